//! One end of a unix stream socket that speaks frames: never blocks, buffers within bounds, tells when it is broken.

use crate::frame::{Decoder, Kind, append};
use crate::poller::{Interest, Poller};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

pub struct Connection {
    stream: UnixStream,
    token: u64,
    pub decoder: Decoder,
    out: Vec<u8>,
    sent: usize,
    interest: Interest,
    /// Set while this side does not want to read, so that the peer's writes wait in the kernel.
    pub muted: bool,
    /// The peer has closed or broken its end, or sent nonsense: to be dropped once `out` is sent or cannot be.
    pub broken: bool,
}

impl Connection {
    pub fn new(stream: UnixStream, token: u64, poller: &Poller) -> std::io::Result<Connection> {
        stream.set_nonblocking(true)?;
        poller.add(stream.as_raw_fd(), token, Interest::READ)?;
        Ok(Connection { stream, token, decoder: Decoder::new(), out: Vec::new(), sent: 0, interest: Interest::READ, muted: false, broken: false })
    }

    pub fn descriptor(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Bytes that wait for the peer to read.
    pub fn queued(&self) -> usize {
        self.out.len() - self.sent
    }

    /// One read into the decoder. False once the peer has gone.
    pub fn fill(&mut self, scratch: &mut [u8]) -> bool {
        match self.stream.read(scratch) {
            Ok(0) => self.broken = true,
            Ok(count) => self.decoder.push(&scratch[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.broken = true,
        }
        !self.broken
    }

    pub fn send(&mut self, kind: Kind, process: u32, payload: &[u8]) {
        append(&mut self.out, kind, process, payload);
    }

    /// For messages already framed by `bulkhead_wire::message`.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Sends what the kernel takes, and asks to be told when it takes more. True where something went out.
    pub fn flush(&mut self, poller: &Poller) -> bool {
        let before = self.sent;
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.broken = true;
                    self.sent = self.out.len();
                }
            }
        }
        let moved = self.sent != before;
        if self.sent == self.out.len() {
            self.sent = 0;
            if self.out.capacity() > 4096 { self.out = Vec::new() } else { self.out.clear() }
        } else if self.sent > 256 * 1024 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        let interest = Interest { read: !self.muted && !self.broken, write: self.queued() > 0 };
        if interest != self.interest && poller.modify(self.stream.as_raw_fd(), self.token, interest).is_ok() {
            self.interest = interest;
        }
        moved
    }
}
