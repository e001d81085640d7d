//! One process of the workload: its stdio, and how much of it may flow.

use crate::launch::Launched;
use crate::sys::{self, Read};
use bulkhead_wire::frame::{INITIAL_CREDIT_BYTES, Kind};
use bulkhead_wire::{Code, Failure};
use std::os::fd::{AsRawFd, OwnedFd};

/// Room for stdin is given back in steps of this, not byte by byte.
const CREDIT_STEP: u32 = 64 * 1024;

pub struct Running {
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub terminal: bool,
    pub stdin: Option<Input>,
    /// stdout and stderr.
    pub outputs: [Output; 2],
    pub exit: Option<i32>,
    pub kills_before: u64,
    /// After the process's end: when its silent streams are given up, on the monotonic clock.
    pub drained_by_ns: Option<u64>,
}

pub struct Input {
    pub fd: OwnedFd,
    queue: Vec<u8>,
    ending: bool,
    /// A terminal's end of input is still to be written.
    end_of_text: bool,
    owed: u32,
}

pub struct Output {
    pub fd: Option<OwnedFd>,
    pub credit: u32,
    pub ended: bool,
}

impl Running {
    pub fn new(launched: Launched, kills_before: u64) -> Running {
        let output = |fd: Option<OwnedFd>| Output { ended: false, fd, credit: INITIAL_CREDIT_BYTES };
        let [stdout, stderr] = launched.outputs;
        Running {
            pid: launched.pid,
            pidfd: launched.pidfd,
            terminal: launched.terminal,
            stdin: launched.stdin.map(|fd| Input { fd, queue: Vec::new(), ending: false, end_of_text: false, owed: 0 }),
            outputs: [output(stdout), output(stderr)],
            exit: None,
            kills_before,
            drained_by_ns: None,
        }
    }

    /// Everything has been said: the process has ended and so have both streams.
    pub fn is_over(&self) -> bool {
        self.exit.is_some() && self.outputs.iter().all(|output| output.ended)
    }

    /// False: it has ended already.
    pub fn signal(&self, number: i32) -> bool {
        let nothing = std::ptr::null::<libc::siginfo_t>();
        self.exit.is_none() && unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), number, nothing, 0) } == 0
    }
}

impl Input {
    /// Takes what the host sent. More than it was allowed is its fault and ends the wire.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.queue.len() + bytes.len() + self.owed as usize > INITIAL_CREDIT_BYTES as usize {
            return Err(Failure::new(Code::CorruptData, "the host sent more input than it had credit for"));
        }
        if !self.ending {
            self.queue.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// A pipe is closed once all was taken; a terminal is told what its line discipline takes for the end of input.
    pub fn end(&mut self, terminal: bool) {
        if terminal {
            self.end_of_text = true;
        } else {
            self.ending = true;
        }
    }

    pub fn wants_write(&self) -> bool {
        !self.queue.is_empty() || self.end_of_text
    }

    /// Gives the process what it takes. True: the input is to be closed. A reader that is gone swallows everything, so that credit flows on.
    pub fn flush(&mut self) -> bool {
        while !self.queue.is_empty() {
            let taken = match sys::write(self.fd.as_raw_fd(), &self.queue) {
                Some(0) => break,
                Some(count) => count,
                None => self.queue.len(),
            };
            self.queue.drain(..taken);
            self.owed += taken as u32;
        }
        if self.end_of_text && self.queue.is_empty() {
            self.end_of_text = sys::write(self.fd.as_raw_fd(), &[4]) == Some(0);
        }
        self.ending && self.queue.is_empty()
    }

    /// Credit to give back to the host, once it is worth a frame.
    pub fn take_credit(&mut self) -> Option<u32> {
        if self.owed < CREDIT_STEP && !(self.queue.is_empty() && self.owed > 0) {
            return None;
        }
        Some(std::mem::take(&mut self.owed))
    }
}

impl Output {
    pub fn may_read(&self) -> bool {
        self.fd.is_some() && self.credit > 0
    }

    /// One read, within credit.
    pub fn read(&mut self, buffer: &mut [u8]) -> Read {
        let Some(fd) = &self.fd else { return Read::End };
        let most = buffer.len().min(self.credit as usize);
        let got = sys::read(fd.as_raw_fd(), &mut buffer[..most]);
        if let Read::Bytes(count) = got {
            self.credit -= count as u32;
        }
        got
    }
}

pub fn kind(stream: usize) -> Kind {
    if stream == 0 { Kind::Stdout } else { Kind::Stderr }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> (Input, OwnedFd) {
        let (read, write) = sys::pipe().unwrap();
        sys::set_nonblocking(&write);
        (Input { fd: write, queue: Vec::new(), ending: false, end_of_text: false, owed: 0 }, read)
    }

    #[test]
    fn input_beyond_its_credit_ends_the_wire() {
        let (mut input, _reader) = input();
        input.push(&vec![0; INITIAL_CREDIT_BYTES as usize]).unwrap();
        assert!(input.push(&[0]).is_err());
        assert!(!input.flush(), "the pipe took less than everything");
        let given = input.take_credit().unwrap();
        assert_eq!(given, 65_536);
        input.push(&vec![0; given as usize]).unwrap();
        assert!(input.push(&[0]).is_err());
    }

    #[test]
    fn a_reader_that_is_gone_swallows_input_and_credit_flows() {
        let (mut input, reader) = input();
        drop(reader);
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        input.push(b"text").unwrap();
        input.end(false);
        assert!(input.flush());
        assert_eq!(input.take_credit(), Some(4));
        assert_eq!(input.take_credit(), None);
    }

    #[test]
    fn output_is_read_only_within_credit() {
        let (read, write) = sys::pipe().unwrap();
        sys::set_nonblocking(&read);
        sys::write(write.as_raw_fd(), &[7; 100]);
        let mut output = Output { fd: Some(read), credit: 60, ended: false };
        assert_eq!(output.read(&mut [0; 1000]), Read::Bytes(60));
        assert!(!output.may_read());
    }
}
