//! The agent's port: frames in, frames out, bounded both ways.

use crate::sys::{self, Read};
use bulkhead_wire::frame::{self, Decoder, Kind};
use bulkhead_wire::{Code, Failure};
use serde_json::Value;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Above this no process's output is read and no request is taken until the host has read on.
const ROOM_BYTES: usize = 512 * 1024;

pub struct Port {
    fd: OwnedFd,
    decoder: Decoder,
    unsent: Vec<u8>,
    sent: usize,
}

impl Port {
    pub fn new(fd: OwnedFd) -> Result<Port, Failure> {
        sys::set_nonblocking(&fd);
        Ok(Port { fd, decoder: Decoder::new(), unsent: Vec::new(), sent: 0 })
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether more may be queued: everything but credit and the ends of things must ask first.
    pub fn has_room(&self) -> bool {
        self.unsent.len() - self.sent < ROOM_BYTES
    }

    pub fn has_unsent(&self) -> bool {
        self.unsent.len() > self.sent
    }

    pub fn send(&mut self, kind: Kind, process: u32, payload: &[u8]) {
        frame::append(&mut self.unsent, kind, process, payload);
    }

    pub fn say(&mut self, message: &Value) {
        bulkhead_wire::message::append_message(&mut self.unsent, message);
    }

    pub fn answer(&mut self, id: u64, answer: Result<Value, Failure>) {
        bulkhead_wire::message::append_answer(&mut self.unsent, id, answer.as_ref());
    }

    /// Gives the kernel as much as it takes now.
    pub fn flush(&mut self) -> Result<(), Failure> {
        while self.has_unsent() {
            match sys::write(self.fd(), &self.unsent[self.sent..]) {
                Some(0) => return Ok(()),
                Some(count) => self.sent += count,
                None => return Err(Failure::new(Code::ConnectionLost, "the agent's port does not take any more")),
            }
        }
        self.sent = 0;
        if self.unsent.capacity() > ROOM_BYTES { self.unsent = Vec::new() } else { self.unsent.clear() }
        Ok(())
    }

    /// Reads what is there, one buffer at most. A port that nobody holds at the other end reads as ended: it may come back.
    pub fn fill(&mut self, buffer: &mut [u8]) -> bool {
        match sys::read(self.fd(), buffer) {
            Read::Bytes(count) => {
                self.decoder.push(&buffer[..count]);
                true
            }
            Read::Nothing => true,
            Read::End => false,
        }
    }

    /// The next whole frame as kind, process, payload.
    pub fn next(&mut self) -> Result<Option<(Kind, u32, Vec<u8>)>, Failure> {
        match self.decoder.next_frame() {
            Ok(found) => Ok(found.map(|frame| (frame.kind, frame.process, frame.payload.to_vec()))),
            Err(error) => Err(Failure::new(Code::CorruptData, format!("the host sent what is no frame: {error}"))),
        }
    }
}
