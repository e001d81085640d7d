//! What the core knows of one process: its stdin's queue, its streams, its end.

use bulkhead_wire::boundary::{Boundary, StdinWrite, Stream};
use bulkhead_wire::process::ExitStatus;

pub const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

pub struct Process {
    pub number: u32,
    /// What whoever asked for an exec calls it.
    pub name: Option<String>,
    pub host_pid: Option<i32>,
    pub terminal: bool,
    pub status: Option<ExitStatus>,
    /// Everybody has been told of its end.
    pub told: bool,
    /// An exec whose start is not answered yet.
    pub starting: bool,
    pub open: [bool; 2],
    pub reading: [bool; 2],
    pub stdin_open: bool,
    /// The end of a client's input ends stdin.
    pub stdin_once: bool,
    stdin_queue: Vec<u8>,
    stdin_ending: bool,
}

impl Process {
    pub fn new(number: u32, terminal: bool, stdin: bool, stdin_once: bool) -> Process {
        Process {
            number,
            name: None,
            host_pid: None,
            terminal,
            status: None,
            told: false,
            starting: number != 0,
            open: [true, true],
            reading: [true, true],
            stdin_open: stdin,
            stdin_once,
            stdin_queue: Vec::new(),
            stdin_ending: false,
        }
    }

    /// It has ended and its output has been read to the end.
    pub fn over(&self) -> bool {
        self.status.is_some() && self.open == [false, false]
    }

    /// Whether more stdin may be taken from clients.
    pub fn stdin_has_room(&self) -> bool {
        self.stdin_queue.is_empty()
    }

    pub fn write_stdin(&mut self, bytes: &[u8], boundary: &mut dyn Boundary) {
        if !self.stdin_open || self.stdin_ending {
            return;
        }
        self.stdin_queue.extend_from_slice(bytes);
        self.push_stdin(boundary);
    }

    pub fn end_stdin(&mut self, boundary: &mut dyn Boundary) {
        if self.stdin_open {
            self.stdin_ending = true;
            self.push_stdin(boundary);
        }
    }

    /// Hands over what waits; to be called again when there is room.
    pub fn push_stdin(&mut self, boundary: &mut dyn Boundary) {
        if !self.stdin_queue.is_empty() {
            match boundary.write_stdin(self.number, &self.stdin_queue) {
                StdinWrite::Taken(count) if count < self.stdin_queue.len() => {
                    self.stdin_queue.drain(..count);
                    return;
                }
                StdinWrite::Taken(_) => {}
                StdinWrite::Closed => self.stdin_ending = true,
            }
            self.stdin_queue = Vec::new();
        }
        if self.stdin_ending && self.stdin_open {
            boundary.close_stdin(self.number);
            self.stdin_open = false;
        }
    }
}
