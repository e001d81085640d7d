//! The supervisor's ends of one process's stdio: three pipes, or one terminal.

use super::spawn::{pipe, set_nonblocking};
use super::{Wake, token};
use bulkhead_wire::boundary::{StdinWrite, Stream};
use bulkhead_wire::poller::{Interest, Poller};
use bulkhead_wire::process::TerminalSize;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// The process's own ends; closed here once it has inherited them.
pub struct Inner {
    pub ends: [OwnedFd; 3],
}

impl Inner {
    pub fn numbers(&self) -> [RawFd; 3] {
        [self.ends[0].as_raw_fd(), self.ends[1].as_raw_fd(), self.ends[2].as_raw_fd()]
    }

    /// Lets another user open `/dev/stdout` again.
    pub fn give_to(&self, uid: u32, gid: u32) {
        for end in &self.ends {
            unsafe { libc::fchown(end.as_raw_fd(), uid, gid) };
        }
    }
}

pub struct Stdio {
    number: u32,
    pub terminal: bool,
    input: Option<OwnedFd>,
    input_watched: bool,
    outputs: [Option<OwnedFd>; 2],
    reading: [bool; 2],
}

/// Read at most so much at once: a pipe's size.
const CHUNK_BYTES: usize = 64 * 1024;

pub enum Chunk {
    Bytes(Vec<u8>),
    Nothing,
    End,
}

impl Stdio {
    /// Pipes for all three. Without stdin the process reads end-of-file at once.
    pub fn pipes(number: u32, stdin: bool) -> io::Result<(Stdio, Inner)> {
        let (input_inner, input) = pipe()?;
        let (output, output_inner) = pipe()?;
        let (error, error_inner) = pipe()?;
        for own in [&input, &output, &error] {
            set_nonblocking(own);
        }
        let input = stdin.then_some(input);
        let stdio = Stdio { number, terminal: false, input, input_watched: false, outputs: [Some(output), Some(error)], reading: [true, true] };
        Ok((stdio, Inner { ends: [input_inner, output_inner, error_inner] }))
    }

    pub fn of_terminal(number: u32, master: OwnedFd, stdin: bool) -> io::Result<Stdio> {
        set_nonblocking(&master);
        let input = if stdin { Some(master.try_clone()?) } else { None };
        Ok(Stdio { number, terminal: true, input, input_watched: false, outputs: [Some(master), None], reading: [true, true] })
    }

    /// From now on output wakes the poller.
    pub fn watch(&self, poller: &Poller) -> io::Result<()> {
        for (output, wake) in self.outputs.iter().zip([Wake::Stdout, Wake::Stderr]) {
            if let Some(output) = output {
                poller.add(output.as_raw_fd(), token(wake, self.number), Interest::READ)?;
            }
        }
        Ok(())
    }

    pub fn read(&mut self, stream: Stream) -> Chunk {
        let Some(output) = &self.outputs[stream as usize] else { return Chunk::End };
        let mut bytes: Vec<u8> = Vec::with_capacity(CHUNK_BYTES);
        let count = unsafe { libc::read(output.as_raw_fd(), bytes.as_mut_ptr().cast(), CHUNK_BYTES) };
        if count > 0 {
            unsafe { bytes.set_len(count as usize) };
            return Chunk::Bytes(bytes);
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) if count < 0 => Chunk::Nothing,
            // A terminal whose last user is gone answers EIO.
            _ => Chunk::End,
        }
    }

    pub fn is_reading(&self, stream: Stream) -> bool {
        self.reading[stream as usize]
    }

    pub fn is_open(&self, stream: Stream) -> bool {
        self.outputs[stream as usize].is_some()
    }

    /// False where it was closed before.
    pub fn close_output(&mut self, stream: Stream, poller: &Poller) -> bool {
        let Some(output) = self.outputs[stream as usize].take() else { return false };
        poller.remove(output.as_raw_fd());
        true
    }

    pub fn set_reading(&mut self, stream: Stream, reading: bool, poller: &Poller) {
        if self.reading[stream as usize] == reading {
            return;
        }
        self.reading[stream as usize] = reading;
        let Some(output) = &self.outputs[stream as usize] else { return };
        // Taken out rather than masked: a hangup is told whatever the mask.
        if reading {
            let wake = if stream == Stream::Stdout { Wake::Stdout } else { Wake::Stderr };
            let _ = poller.add(output.as_raw_fd(), token(wake, self.number), Interest::READ);
        } else {
            poller.remove(output.as_raw_fd());
        }
    }

    pub fn write(&mut self, bytes: &[u8], poller: &Poller) -> StdinWrite {
        let Some(input) = &self.input else { return StdinWrite::Closed };
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let count = unsafe { libc::write(input.as_raw_fd(), rest.as_ptr().cast(), rest.len()) };
            if count > 0 {
                taken += count as usize;
                continue;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) => {
                    if !self.input_watched {
                        self.input_watched = poller.add(input.as_raw_fd(), token(Wake::Stdin, self.number), Interest::WRITE).is_ok();
                    }
                    return StdinWrite::Taken(taken);
                }
                _ => {
                    self.drop_input(poller);
                    return StdinWrite::Closed;
                }
            }
        }
        StdinWrite::Taken(taken)
    }

    /// The kernel takes input again: stop asking.
    pub fn input_has_room(&mut self, poller: &Poller) {
        if let Some(input) = self.input.as_ref().filter(|_| self.input_watched) {
            poller.remove(input.as_raw_fd());
            self.input_watched = false;
        }
    }

    /// A pipe is closed; a terminal is told what its line discipline takes for the end of input.
    pub fn close_input(&mut self, poller: &Poller) {
        if let Some(input) = self.input.as_ref().filter(|_| self.terminal) {
            unsafe { libc::write(input.as_raw_fd(), [4u8].as_ptr().cast(), 1) };
            return;
        }
        self.drop_input(poller);
    }

    fn drop_input(&mut self, poller: &Poller) {
        if let Some(input) = self.input.take() {
            poller.remove(input.as_raw_fd());
        }
    }

    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        match &self.outputs[0] {
            Some(master) if self.terminal => super::console::resize(master, size),
            _ => Err(io::Error::other("the process has no terminal")),
        }
    }
}
