//! One connection to the supervisor, and the processes that it joined.

use bulkhead_wire::connection::Connection;
use bulkhead_wire::boundary::Stream;
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::frame::Kind;
use bulkhead_wire::poller::Poller;
use bulkhead_wire::process::AttachOptions;

/// What is kept for a client that does not read, before its processes are made to wait.
const BUFFER_BYTES: usize = 1024 * 1024;
/// How long a client may hold others up without reading a byte.
const PATIENCE_NS: u64 = 60_000_000_000;

pub struct Client {
    pub connection: Connection,
    pub token: u64,
    /// It has said hello, and gets events.
    pub greeted: bool,
    joins: Vec<(u32, AttachOptions)>,
    /// Its input waits for this process to read.
    pub waits_for: Option<u32>,
    moved_at: u64,
}

impl Client {
    pub fn new(connection: Connection, token: u64) -> Client {
        Client { connection, token, greeted: false, joins: Vec::new(), waits_for: None, moved_at: monotonic_ns() }
    }

    pub fn join(&mut self, process: u32, options: AttachOptions) {
        self.joins.retain(|(number, _)| *number != process);
        self.joins.push((process, options));
    }

    pub fn leave(&mut self, process: u32) {
        self.joins.retain(|(number, _)| *number != process);
    }

    pub fn joined(&self, process: u32, stream: Stream) -> bool {
        self.joins.iter().any(|(number, options)| *number == process && if stream == Stream::Stdout { options.stdout } else { options.stderr })
    }

    pub fn feeds(&self, process: u32) -> bool {
        self.joins.iter().any(|(number, options)| *number == process && options.stdin)
    }

    /// Processes whose stdin this client feeds.
    pub fn fed(&self) -> Vec<u32> {
        self.joins.iter().filter(|(_, options)| options.stdin).map(|(number, _)| *number).collect()
    }

    /// After a process's last byte.
    pub fn end_streams(&mut self, process: u32) {
        if self.joins.iter().any(|(number, _)| *number == process) {
            self.connection.send(Kind::End, process, &[Kind::Stdout as u8]);
            self.connection.send(Kind::End, process, &[Kind::Stderr as u8]);
            self.leave(process);
        }
    }

    pub fn full(&self) -> bool {
        !self.connection.broken && self.connection.queued() >= BUFFER_BYTES
    }

    pub fn flush(&mut self, poller: &Poller) {
        self.connection.muted = self.waits_for.is_some();
        if self.connection.flush(poller) || self.connection.queued() < BUFFER_BYTES {
            self.moved_at = monotonic_ns();
        }
    }

    /// When its patience with a client that holds others up runs out.
    pub fn deadline(&self) -> Option<u64> {
        self.full().then_some(self.moved_at + PATIENCE_NS)
    }
}
