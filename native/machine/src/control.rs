//! The monitor's control channel (QMP), as far as saving and resuming need it. Held only while a machine is raised (`channel` goes on with it where one that runs has it); what comes from it
//! is bounded and read with suspicion, though no guest instruction has run by then that anybody but us wrote.

use crate::channel::Channel;
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::{Code, Failure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const MOST_UNREAD_BYTES: usize = 64 * 1024;
const LONGEST_QUOTE: usize = 200;

pub struct Control {
    socket: UnixStream,
    unread: Vec<u8>,
    deadline_ns: u64,
    next_id: u64,
}

impl Control {
    pub fn new(socket: UnixStream, patience_ms: u64) -> Control {
        Control { socket, unread: Vec::new(), deadline_ns: monotonic_ns() + patience_ms * 1_000_000, next_id: 1 }
    }

    /// What a channel begins with.
    pub fn greet(&mut self) -> Result<(), Failure> {
        self.ask("qmp_capabilities", json!({}))
    }

    /// From here on its answers come as events.
    pub fn into_channel(self) -> std::io::Result<Channel> {
        Channel::new(self.socket, self.unread, self.next_id)
    }

    /// Asks for memory that is shared to be left where it is, and to be told of the transfer's progress. First of all.
    pub fn begin(&mut self) -> Result<(), Failure> {
        self.greet()?;
        let abilities = ["x-ignore-shared", "events"].map(|name| json!({ "capability": name, "state": true }));
        self.ask("migrate-set-capabilities", json!({ "capabilities": abilities }))
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, execute: &str, arguments: Value) -> Result<(), Failure> {
        let id = self.say(execute, arguments, None)?;
        self.await_answer(execute, id)
    }

    /// As `ask`, with a descriptor beside the question.
    pub fn give(&mut self, name: &str, descriptor: RawFd) -> Result<(), Failure> {
        let id = self.say("getfd", json!({ "fdname": name }), Some(descriptor))?;
        self.await_answer("getfd", id)
    }

    /// Until the state has gone out, or come in.
    pub fn await_transfer(&mut self) -> Result<(), Failure> {
        loop {
            let message = self.read_message()?;
            if message.get("event").and_then(Value::as_str) != Some("MIGRATION") {
                continue;
            }
            match message.pointer("/data/status").and_then(Value::as_str) {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => return Err(broken("the monitor gave the transfer of its state up")),
                _ => {}
            }
        }
    }

    fn await_answer(&mut self, execute: &str, id: u64) -> Result<(), Failure> {
        loop {
            let message = self.read_message()?;
            if message.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            let Some(error) = message.get("error") else { return Ok(()) };
            let what = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
            let what: String = what.chars().filter(|letter| !letter.is_control()).take(LONGEST_QUOTE).collect();
            return Err(broken(&format!("the monitor refused {execute}: {what}")));
        }
    }

    fn say(&mut self, execute: &str, arguments: Value, descriptor: Option<RawFd>) -> Result<u64, Failure> {
        let id = self.next_id;
        self.next_id += 1;
        let text = format!("{}\n", json!({ "execute": execute, "arguments": arguments, "id": id }));
        let sent = match descriptor {
            Some(descriptor) => send_with(&self.socket, text.as_bytes(), descriptor),
            None => self.socket.write_all(text.as_bytes()),
        };
        sent.map_err(|error| Failure::from_io("speak to the machine's monitor", &error))?;
        Ok(id)
    }

    fn read_message(&mut self) -> Result<Value, Failure> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return serde_json::from_slice(&line).map_err(|_| broken("the monitor said what is no JSON"));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Failure> {
        let left = self.deadline_ns.saturating_sub(monotonic_ns());
        if left == 0 {
            return Err(Failure::new(Code::TimedOut, "the machine's monitor did not save or resume it in time"));
        }
        let failed = |error: std::io::Error| Failure::from_io("hear the machine's monitor", &error);
        self.socket.set_read_timeout(Some(Duration::from_nanos(left))).map_err(failed)?;
        let mut buffer = [0u8; 4096];
        match self.socket.read(&mut buffer) {
            Ok(0) => Err(broken("the monitor ended while it was spoken to")),
            Ok(count) if self.unread.len() + count > MOST_UNREAD_BYTES => Err(broken("the monitor does not come to the end of a line")),
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

fn broken(what: &str) -> Failure {
    Failure::new(Code::Unavailable, what.to_owned())
}

/// One descriptor as ancillary data (unix(7), SCM_RIGHTS).
fn send_with(socket: &UnixStream, bytes: &[u8], descriptor: RawFd) -> std::io::Result<()> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr() as *mut libc::c_void, iov_len: bytes.len() };
    // Aligned as `cmsghdr` must be.
    let mut ancillary = [0u64; 8];
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = ancillary.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor);
        libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL)
    };
    match usize::try_from(sent) {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(_) => Err(std::io::ErrorKind::WriteZero.into()),
        Err(_) => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(said: &str) -> (Control, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(said.as_bytes()).unwrap();
        (Control::new(ours, 200), theirs)
    }

    #[test]
    fn answers_are_found_among_greetings_events_and_other_answers() {
        let (mut control, _monitor) = pair("{\"QMP\":{}}\r\n{\"event\":\"STOP\"}\n{\"return\":{},\"id\":7}\n{\"return\":{},\"id\":1}\n");
        control.ask("stop", json!({})).unwrap();
    }

    #[test]
    fn refusals_silence_floods_and_nonsense_are_failures() {
        for said in [
            "{\"error\":{\"desc\":\"no\\nsuch thing\"},\"id\":1}\n".to_owned(),
            String::new(),
            "x".repeat(MOST_UNREAD_BYTES + 1),
            "nonsense\n".to_owned(),
        ] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let writer = std::thread::spawn(move || {
                let _ = theirs.write_all(said.as_bytes());
                theirs
            });
            assert!(Control::new(ours, 200).ask("stop", json!({})).is_err());
            drop(writer.join());
        }
    }

    #[test]
    fn a_transfer_ends_well_or_badly() {
        let event = |status: &str| format!("{{\"event\":\"MIGRATION\",\"data\":{{\"status\":\"{status}\"}}}}\n");
        let (mut control, _monitor) = pair(&(event("setup") + &event("active") + &event("completed")));
        control.await_transfer().unwrap();
        let (mut control, _monitor) = pair(&(event("active") + &event("failed")));
        assert!(control.await_transfer().is_err());
    }
}
