//! The uncompressed stream: read and decompressed in one thread, hashed in a second, parsed and written out in the caller's.
//!
//! The threads hand on buffers and hold nothing else; at most `BUFFERS` of them exist, whatever the archive claims.
//!
//! The file may still be written while it is read: its reader then waits at its end for more, until all the promised bytes came or its last name is gone.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::archive::Source;
use crate::failure::{Code, Failure};

const BUFFER_BYTES: usize = 256 * 1024;
const BUFFERS: usize = 8;
/// Between two looks whether a file has grown: a few hundred kilobytes of a fast archive.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

type Piece = Result<Arc<Vec<u8>>, Failure>;

/// What the parser reads from: pieces in order, counted.
pub struct Stream {
    pieces: Receiver<Piece>,
    current: Arc<Vec<u8>>,
    at: usize,
    read: Arc<AtomicU64>,
    workers: Option<(JoinHandle<()>, JoinHandle<[u8; 32]>)>,
}

impl Stream {
    /// Finds out the compression by the first bytes. More than `max_bytes` uncompressed is EXHAUSTED. A file that is still being written has
    /// `grows_to` bytes in the end.
    pub fn open(blob: File, grows_to: Option<u64>, max_bytes: u64) -> Result<Stream, Failure> {
        let read = Arc::new(AtomicU64::new(0));
        let source = Growing { file: blob, grows_to: grows_to.unwrap_or(0), count: read.clone() };
        let (to_parser, pieces) = sync_channel(BUFFERS);
        let (to_hasher, hashes) = sync_channel::<Arc<Vec<u8>>>(BUFFERS);
        let reader = spawn("read", move || read_pieces(source, max_bytes, &to_parser, &to_hasher))?;
        let hasher = spawn("hash", move || {
            let mut hash = Sha256::new();
            for piece in hashes {
                hash.update(piece.as_slice());
            }
            hash.finalize().into()
        })?;
        Ok(Stream { pieces, current: Arc::new(Vec::new()), at: 0, read, workers: Some((reader, hasher)) })
    }

    /// Bytes of the compressed blob read so far.
    pub fn blob_bytes(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Reads on to the end and gives the sha256 of everything.
    pub fn finish(mut self) -> Result<[u8; 32], Failure> {
        while !self.next(usize::MAX)?.is_empty() {}
        let (reader, hasher) = self.workers.take().ok_or_else(|| Failure::new(Code::Internal, "the stream was finished twice"))?;
        let died = |_| Failure::new(Code::Internal, "a worker thread of the unpacker died");
        reader.join().map_err(died)?;
        hasher.join().map_err(died)
    }
}

impl Source for Stream {
    fn next(&mut self, most: usize) -> Result<&[u8], Failure> {
        while self.at == self.current.len() {
            match self.pieces.recv() {
                Ok(piece) => {
                    self.current = piece?;
                    self.at = 0;
                }
                Err(_) => return Ok(&[]),
            }
        }
        let from = self.at;
        self.at = self.current.len().min(from.saturating_add(most));
        Ok(&self.current[from..self.at])
    }
}

fn spawn<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, Failure> {
    std::thread::Builder::new().stack_size(512 * 1024).spawn(work).map_err(|e| Failure::system(format!("cannot start the {what} thread"), e))
}

struct Growing {
    file: File,
    grows_to: u64,
    count: Arc<AtomicU64>,
}

impl Read for Growing {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let got = self.file.read(to)?;
            let all = self.count.fetch_add(got as u64, Ordering::Relaxed) + got as u64;
            if got > 0 || to.is_empty() || all >= self.grows_to {
                return Ok(got);
            }
            // Who gave up writing it took its name away.
            if self.file.metadata()?.nlink() == 0 {
                return Err(Error::other("it was withdrawn while it was being written"));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

fn read_pieces(source: Growing, max_bytes: u64, parser: &SyncSender<Piece>, hasher: &SyncSender<Arc<Vec<u8>>>) {
    let outcome = decoder(source).and_then(|mut from| {
        let mut left = max_bytes;
        loop {
            let mut buffer = Vec::with_capacity(BUFFER_BYTES);
            let got = from.by_ref().take(BUFFER_BYTES as u64).read_to_end(&mut buffer).map_err(broken)?;
            if got == 0 {
                return Ok(());
            }
            left = left.checked_sub(got as u64).ok_or_else(|| too_large(max_bytes))?;
            let piece = Arc::new(buffer);
            // A parser that went away has failed and said why; there is nobody left to tell.
            if hasher.send(piece.clone()).is_err() || parser.send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
    });
    if let Err(failure) = outcome {
        let _ = parser.send(Err(failure));
    }
}

fn too_large(max_bytes: u64) -> Failure {
    Failure::new(Code::Exhausted, format!("the layer is larger than {max_bytes} bytes when uncompressed")).with_remedy("raise the limit for layers if you trust this image")
}

fn broken(error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Failure::corrupt("the archive ends in the middle of its compressed stream"),
        _ => Failure::corrupt(format!("the archive cannot be read: {error}")),
    }
}

fn decoder(source: Growing) -> Result<Box<dyn Read>, Failure> {
    let mut source = BufReader::with_capacity(BUFFER_BYTES, source);
    let start = source.fill_buf().map_err(broken)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(source)));
    }
    if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(source).map_err(broken)?;
        decoder.window_log_max(27).map_err(broken)?;
        return Ok(Box::new(decoder));
    }
    // Said by name, because "not a tar archive" would send the reader the wrong way.
    for (magic, name) in [(&b"BZh"[..], "bzip2"), (&b"\xfd7zXZ\0"[..], "xz")] {
        if start.starts_with(magic) {
            return Err(Failure::new(Code::Unsupported, format!("the layer is compressed by {name}")).with_remedy("compress it with gzip or zstd, or not at all"));
        }
    }
    Ok(Box::new(source))
}
