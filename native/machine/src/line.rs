//! A machine's serial line, seen from the host: what its guest says is the workload's output, what clients type is its input. The socket's
//! buffer is the flow control both ways: a guest whose words nobody takes waits at its port, as at a slow terminal.

use bulkhead_wire::boundary::{Sink, StdinWrite, Stream};
use bulkhead_wire::poller::{Interest, Poller};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

/// One line of clients: the main process.
const MAIN: u32 = 0;
const CHUNK_BYTES: usize = 16 * 1024;
/// A guest that talks without end gets its turns, not all of them.
const MOST_CHUNKS: usize = 8;

pub struct Line {
    socket: UnixStream,
    token: u64,
    watched: Interest,
    reading: bool,
    wants_room: bool,
    ended: bool,
}

impl Line {
    pub fn new(socket: UnixStream, token: u64) -> std::io::Result<Line> {
        socket.set_nonblocking(true)?;
        Ok(Line { socket, token, watched: Interest::NONE, reading: true, wants_room: false, ended: false })
    }

    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub fn set_reading(&mut self, reading: bool, poller: &Poller) {
        self.reading = reading;
        self.watch(poller);
    }

    pub fn write(&mut self, bytes: &[u8], poller: &Poller) -> StdinWrite {
        if self.ended {
            return StdinWrite::Closed;
        }
        let mut taken = 0;
        while taken < bytes.len() {
            match self.socket.write(&bytes[taken..]) {
                Ok(count) if count > 0 => taken += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wants_room = true;
                    self.watch(poller);
                    return StdinWrite::Taken(taken);
                }
                _ => return StdinWrite::Closed,
            }
        }
        StdinWrite::Taken(taken)
    }

    /// Something can be read or written.
    pub fn ready(&mut self, write: bool, poller: &Poller, sink: &mut dyn Sink) {
        if write && self.wants_room {
            self.wants_room = false;
            sink.stdin_room(MAIN);
        }
        if self.reading {
            self.read(sink);
        }
        self.watch(poller);
    }

    /// Everything that is there; the streams end with the monitor's end of it.
    pub fn read(&mut self, sink: &mut dyn Sink) {
        let mut buffer = [0u8; CHUNK_BYTES];
        for _ in 0..MOST_CHUNKS {
            match self.socket.read(&mut buffer) {
                Ok(count) if count > 0 => sink.output(MAIN, Stream::Stdout, &buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ if self.ended => return,
                _ => {
                    self.ended = true;
                    sink.stream_ended(MAIN, Stream::Stdout);
                    return sink.stream_ended(MAIN, Stream::Stderr);
                }
            }
        }
    }

    /// Not watched at all where nothing is wanted: its end would be told over and over.
    pub fn watch(&mut self, poller: &Poller) {
        let wanted = if self.ended { Interest::NONE } else { Interest { read: self.reading, write: self.wants_room } };
        let (before, descriptor) = (std::mem::replace(&mut self.watched, wanted), self.descriptor());
        if before == wanted {
            return;
        }
        if wanted == Interest::NONE {
            return poller.remove(descriptor);
        }
        let told = if before == Interest::NONE { poller.add(descriptor, self.token, wanted) } else { poller.modify(descriptor, self.token, wanted) };
        if told.is_err() {
            self.watched = before;
        }
    }
}
