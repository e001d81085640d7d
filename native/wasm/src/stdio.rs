//! An instance's standard streams: bounded buffers between its task and its supervisor's thread, which an event descriptor wakes.

use bulkhead_wire::boundary::Stream;
use bytes::Bytes;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::Notify;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// As much as a pipe holds.
const BUFFER_BYTES: usize = 64 * 1024;

pub struct Stdio {
    event: OwnedFd,
    buffers: Mutex<Buffers>,
    room: Notify,
    input: Notify,
}

#[derive(Default)]
struct Buffers {
    output: [Vec<u8>; 2],
    input: VecDeque<u8>,
    input_closed: bool,
    /// The supervisor has more than it could hand over.
    input_wanted: bool,
}

pub fn event_descriptor() -> std::io::Result<OwnedFd> {
    match unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } {
        -1 => Err(std::io::Error::last_os_error()),
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

pub fn ring(event: &OwnedFd) {
    unsafe { libc::write(event.as_raw_fd(), 1u64.to_ne_bytes().as_ptr().cast(), 8) };
}

impl Stdio {
    pub fn new(input_open: bool) -> std::io::Result<Arc<Stdio>> {
        let buffers = Mutex::new(Buffers { input_closed: !input_open, ..Buffers::default() });
        Ok(Arc::new(Stdio { event: event_descriptor()?, buffers, room: Notify::new(), input: Notify::new() }))
    }

    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn descriptor(&self) -> &OwnedFd {
        &self.event
    }

    /// Makes the supervisor look.
    pub fn ring(&self) {
        ring(&self.event);
    }

    /// Before the supervisor looks, so that what comes meanwhile rings again.
    pub fn quiet(&self) {
        let mut count = [0u8; 8];
        unsafe { libc::read(self.event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }

    pub fn take_output(&self, stream: Stream) -> Vec<u8> {
        let taken = std::mem::take(&mut self.buffers().output[stream as usize]);
        if !taken.is_empty() {
            self.room.notify_waiters();
        }
        taken
    }

    pub fn holds_output(&self, stream: Stream) -> bool {
        !self.buffers().output[stream as usize].is_empty()
    }

    /// Bytes of the runner's own, as the last of stderr.
    pub fn append_error(&self, text: &str) {
        self.buffers().output[Stream::Stderr as usize].extend_from_slice(text.as_bytes());
    }

    /// How much of it was taken; less than all means that `input_has_room` will say when there is room again.
    pub fn write_input(&self, bytes: &[u8]) -> usize {
        let mut buffers = self.buffers();
        let taken = BUFFER_BYTES.saturating_sub(buffers.input.len()).min(bytes.len());
        buffers.input.extend(&bytes[..taken]);
        buffers.input_wanted = taken < bytes.len();
        drop(buffers);
        self.input.notify_waiters();
        taken
    }

    pub fn close_input(&self) {
        self.buffers().input_closed = true;
        self.input.notify_waiters();
    }

    /// True once after room was made for a supervisor that waits for it.
    pub fn input_has_room(&self) -> bool {
        let mut buffers = self.buffers();
        let now = buffers.input_wanted && buffers.input.len() < BUFFER_BYTES;
        buffers.input_wanted &= !now;
        now
    }

    fn read_input(&self, most: usize) -> StreamResult<Bytes> {
        let mut buffers = self.buffers();
        if buffers.input.is_empty() {
            return if buffers.input_closed { Err(StreamError::Closed) } else { Ok(Bytes::new()) };
        }
        let count = most.min(buffers.input.len());
        let bytes: Vec<u8> = buffers.input.drain(..count).collect();
        let wanted = buffers.input_wanted;
        drop(buffers);
        if wanted {
            self.ring();
        }
        Ok(bytes.into())
    }

    fn room(&self, stream: Stream) -> usize {
        BUFFER_BYTES.saturating_sub(self.buffers().output[stream as usize].len())
    }

    fn write_output(&self, stream: Stream, bytes: &[u8]) -> StreamResult<()> {
        let mut buffers = self.buffers();
        let buffer = &mut buffers.output[stream as usize];
        if bytes.len() > BUFFER_BYTES.saturating_sub(buffer.len()) {
            return Err(StreamError::trap("more was written than there was room for"));
        }
        let first = buffer.is_empty();
        buffer.extend_from_slice(bytes);
        drop(buffers);
        if first && !bytes.is_empty() {
            self.ring();
        }
        Ok(())
    }
}

#[derive(Clone)]
pub struct Input(pub Arc<Stdio>);

#[derive(Clone)]
pub struct Output(pub Arc<Stdio>, pub Stream);

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Input {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }

    /// Preview 3's way in, which is not offered.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        Box::new(Nothing)
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(Nothing)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        loop {
            let mut told = std::pin::pin!(self.0.input.notified());
            // Enlisted before the buffer is looked at, so that nothing is missed in between.
            told.as_mut().enable();
            {
                let buffers = self.0.buffers();
                if !buffers.input.is_empty() || buffers.input_closed {
                    return;
                }
            }
            told.await;
        }
    }
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.0.read_input(size)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        loop {
            let mut told = std::pin::pin!(self.0.room.notified());
            told.as_mut().enable();
            if self.0.room(self.1) > 0 {
                return;
            }
            told.await;
        }
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write_output(self.1, &bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.0.room(self.1))
    }
}

struct Nothing;

impl tokio::io::AsyncRead for Nothing {
    fn poll_read(self: std::pin::Pin<&mut Self>, _: &mut Context, _: &mut tokio::io::ReadBuf) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Nothing {
    fn poll_write(self: std::pin::Pin<&mut Self>, _: &mut Context, _: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut Context) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _: &mut Context) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_bounded_and_room_returns_once_it_was_taken() {
        let stdio = Stdio::new(false).unwrap();
        assert_eq!(stdio.room(Stream::Stdout), BUFFER_BYTES);
        stdio.write_output(Stream::Stdout, &vec![7; BUFFER_BYTES]).unwrap();
        assert_eq!(stdio.room(Stream::Stdout), 0);
        assert!(stdio.write_output(Stream::Stdout, b"x").is_err());
        assert_eq!(stdio.take_output(Stream::Stdout).len(), BUFFER_BYTES);
        assert_eq!(stdio.room(Stream::Stdout), BUFFER_BYTES);
    }

    #[test]
    fn input_is_taken_as_far_as_there_is_room_and_ends_once_closed() {
        let stdio = Stdio::new(true).unwrap();
        assert_eq!(stdio.write_input(&vec![1; BUFFER_BYTES + 5]), BUFFER_BYTES);
        assert!(!stdio.input_has_room());
        assert_eq!(stdio.read_input(usize::MAX).unwrap().len(), BUFFER_BYTES);
        assert!(stdio.input_has_room());
        assert!(!stdio.input_has_room(), "told once");
        assert_eq!(stdio.read_input(10).unwrap().len(), 0);
        stdio.close_input();
        assert!(matches!(stdio.read_input(10), Err(StreamError::Closed)));
    }
}
