//! One connection to the supervisor, and the processes that it joined.

use bulkhead_wire::connection::Connection;
use bulkhead_wire::boundary::Stream;
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::frame::Kind;
use bulkhead_wire::poller::Poller;
use bulkhead_wire::process::AttachOptions;

/// What is kept for a client that does not read, before its processes are made to wait.
const BUFFER_BYTES: usize = 1024 * 1024;
/// Beyond this a client that does not read is dropped: answers and news go to it whatever it reads.
const MOST_QUEUED_BYTES: usize = 4 * BUFFER_BYTES;
/// Questions of one client that may be under way before its next one waits.
const MOST_QUESTIONS: usize = 64;
/// How long a client may hold others up without reading a byte.
const PATIENCE_NS: u64 = 60_000_000_000;
/// Of one client in a row, where nothing is done with what it sends.
const MOST_READS: usize = 64;

pub struct Client {
    pub connection: Connection,
    pub token: u64,
    /// It has said hello, and gets events.
    pub greeted: bool,
    joins: Vec<(u32, AttachOptions)>,
    /// It may have input on its way to us at any time.
    feeds_something: bool,
    /// Its input waits for this process to read.
    pub waits_for: Option<u32>,
    /// Somebody else waits for it to read.
    pub holds_up: bool,
    /// Its requests wait until it has read, or until its earlier ones are answered.
    pub held: bool,
    moved_at: u64,
}

impl Client {
    pub fn new(connection: Connection, token: u64) -> Client {
        Client { connection, token, greeted: false, joins: Vec::new(), feeds_something: false, waits_for: None, holds_up: false, held: false, moved_at: monotonic_ns() }
    }

    pub fn join(&mut self, process: u32, options: AttachOptions) {
        self.joins.retain(|(number, _)| *number != process);
        self.feeds_something |= options.stdin;
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

    /// Numbers of the processes that it joined.
    pub fn processes(&self) -> impl Iterator<Item = u32> {
        self.joins.iter().map(|(number, _)| *number)
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

    /// Whether it is worth waiting for that it closes first: of a connection that we close, whoever writes input to it at that moment loses what he
    /// has not read yet.
    pub fn closes_first(&self) -> bool {
        self.feeds_something && !self.connection.broken
    }

    /// Reads and drops what it still sends, but not for ever of one that never stops. True: it has closed its end.
    pub fn has_closed(&mut self, scratch: &mut [u8]) -> bool {
        for _ in 0..MOST_READS {
            let count = unsafe { libc::read(self.connection.descriptor(), scratch.as_mut_ptr().cast(), scratch.len()) };
            match count {
                1.. => {}
                0 => return true,
                _ => return !matches!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EAGAIN | libc::EINTR)),
            }
        }
        false
    }

    pub fn full(&self) -> bool {
        !self.connection.broken && self.connection.queued() >= BUFFER_BYTES
    }

    /// Whether another request of it must wait.
    pub fn sated(&self, under_way: usize) -> bool {
        self.full() || under_way >= MOST_QUESTIONS
    }

    /// It has let more gather than can be kept.
    pub fn overflows(&self) -> bool {
        !self.connection.broken && self.connection.queued() > MOST_QUEUED_BYTES
    }

    pub fn flush(&mut self, poller: &Poller) {
        self.connection.muted = self.waits_for.is_some() || self.held;
        if self.connection.flush(poller) || self.connection.queued() < BUFFER_BYTES {
            self.moved_at = monotonic_ns();
        }
    }

    /// When its patience with a client that holds others up runs out.
    pub fn deadline(&self) -> Option<u64> {
        (self.full() && self.holds_up).then_some(self.moved_at + PATIENCE_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_wire::message::append_message;
    use serde_json::json;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_client_that_reads_nothing_waits_first_and_is_dropped_in_the_end() {
        let poller = Poller::new().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut client = Client::new(Connection::new(ours, 1, &poller).unwrap(), 1);
        let news = json!({ "event": "paused", "padding": "x".repeat(1000) });
        let (mut sated_at, mut dropped_at) = (None, None);
        for count in 0..10_000 {
            append_message(client.connection.outgoing(), &news);
            client.flush(&poller);
            sated_at = sated_at.or(client.sated(0).then_some(count));
            dropped_at = dropped_at.or(client.overflows().then_some(count));
        }
        assert!(sated_at.is_some_and(|at| at < 2_000) && dropped_at.is_some_and(|at| at < 6_000), "{sated_at:?} {dropped_at:?}");
        assert!(!Client::new(Connection::new(theirs, 2, &poller).unwrap(), 2).sated(0));
    }

    #[test]
    fn one_that_never_stops_sending_does_not_keep_its_reader_from_looking_up() {
        let poller = Poller::new().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut client = Client::new(Connection::new(ours, 1, &poller).unwrap(), 1);
        std::io::Write::write_all(&mut &theirs, &[0; MOST_READS + 1]).unwrap();
        drop(theirs);
        assert_eq!([client.has_closed(&mut [0]), client.has_closed(&mut [0])], [false, true]);
    }

    #[test]
    fn questions_that_are_open_make_the_next_one_wait() {
        let poller = Poller::new().unwrap();
        let client = Client::new(Connection::new(UnixStream::pair().unwrap().0, 1, &poller).unwrap(), 1);
        assert!(!client.sated(MOST_QUESTIONS - 1) && client.sated(MOST_QUESTIONS));
    }
}
