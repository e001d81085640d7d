//! The workload's log, byte for byte as Docker's json-file driver writes it: one JSON object a line, both streams, nine digits of
//! time, lines longer than 16 KiB in pieces without a newline; rotation by size to `path.1`, `path.2`, …
//!
//! A log that cannot be written (a full disk) never stops the workload: entries are counted while it lasts, and one entry says
//! how many once writing works again.

use bulkhead_wire::boundary::Stream;
use bulkhead_wire::clock;
use bulkhead_wire::plan::LogSpec;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Docker's: the most bytes of one entry.
const ENTRY_BYTES: usize = 16 * 1024;

pub struct Log {
    file: Option<LogFile>,
    /// What came of a line before its newline.
    partial: [Vec<u8>; 2],
}

struct LogFile {
    path: PathBuf,
    file: File,
    /// Bytes of whole entries in the file.
    size: u64,
    max_bytes: u64,
    max_files: u32,
    lost: u64,
    batch: Vec<u8>,
    batched: u64,
}

impl Log {
    /// Opens the log to be continued where an earlier life of the workload ended it.
    pub fn open(spec: &LogSpec) -> io::Result<Log> {
        let file = match spec {
            LogSpec::None => None,
            LogSpec::JsonFile { path, max_bytes, max_files } => {
                let path = PathBuf::from(path);
                let file = create(&path)?;
                let size = file.metadata()?.len();
                let max_bytes = max_bytes.filter(|bytes| *bytes > 0).unwrap_or(u64::MAX);
                Some(LogFile { path, file, size, max_bytes, max_files: (*max_files).clamp(1, 1000), lost: 0, batch: Vec::new(), batched: 0 })
            }
        };
        Ok(Log { file, partial: [Vec::new(), Vec::new()] })
    }

    pub fn write(&mut self, stream: Stream, mut bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let partial = &mut self.partial[stream as usize];
        while !bytes.is_empty() {
            let room = ENTRY_BYTES - partial.len();
            let newline = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let take = newline.map_or(room.min(bytes.len()), |at| at + 1);
            let (piece, rest) = bytes.split_at(take);
            bytes = rest;
            if newline.is_none() && partial.len() + take < ENTRY_BYTES {
                partial.extend_from_slice(piece);
            } else if partial.is_empty() {
                file.entry(stream, piece);
            } else {
                partial.extend_from_slice(piece);
                file.entry(stream, partial);
                *partial = Vec::new();
            }
        }
        file.flush();
    }

    /// Writes what a stream left without a newline.
    pub fn end(&mut self, stream: Stream) {
        let partial = std::mem::take(&mut self.partial[stream as usize]);
        let Some(file) = self.file.as_mut().filter(|_| !partial.is_empty()) else { return };
        file.entry(stream, &partial);
        file.flush();
    }
}

impl LogFile {
    fn entry(&mut self, stream: Stream, text: &[u8]) {
        if self.size + self.batch.len() as u64 >= self.max_bytes {
            self.flush();
            self.rotate();
        }
        append_entry(&mut self.batch, stream, text);
        self.batched += 1;
        if self.batch.len() > 64 * 1024 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.batched);
        let batch = std::mem::take(&mut self.batch);
        if self.lost > 0 {
            let mut notice = Vec::new();
            let text = format!("[bulkhead: {} log entries before this one could not be written]\n", self.lost);
            append_entry(&mut notice, Stream::Stderr, text.as_bytes());
            if self.write_whole(&notice).is_err() {
                self.lost += entries;
                return;
            }
            self.lost = 0;
        }
        if self.write_whole(&batch).is_err() {
            self.lost += entries;
        }
    }

    /// All of it or, after an error, nothing: half an entry would spoil the next one for every reader.
    fn write_whole(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.size += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                let _ = self.file.set_len(self.size);
                Err(error)
            }
        }
    }

    fn rotate(&mut self) {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.max_files <= 1 {
            return self.replace();
        }
        for number in (1..self.max_files - 1).rev() {
            let _ = std::fs::rename(numbered(number), numbered(number + 1));
        }
        if std::fs::rename(&self.path, numbered(1)).is_err() {
            return;
        }
        // Where no new file can be made, the old one is written on: nothing is lost, it only grows.
        if let Ok(file) = create(&self.path) {
            self.file = file;
            self.size = 0;
        }
    }
}

impl LogFile {
    /// A log of one file: an empty one takes its name. Who still reads the old one comes to its end, and sees by the inode that there is another.
    fn replace(&mut self) {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let fresh = PathBuf::from(name);
        let _ = std::fs::remove_file(&fresh);
        if let Ok(file) = create(&fresh)
            && std::fs::rename(&fresh, &self.path).is_ok()
        {
            self.file = file;
            self.size = 0;
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(path)
}

fn append_entry(out: &mut Vec<u8>, stream: Stream, text: &[u8]) {
    let mut stamp = [0u8; 30];
    clock::write_stamp(clock::now_ns(), &mut stamp);
    out.reserve(text.len() + 90);
    out.extend_from_slice(b"{\"log\":\"");
    append_escaped(out, text);
    out.extend_from_slice(if stream == Stream::Stdout { b"\",\"stream\":\"stdout\",\"time\":\"" } else { b"\",\"stream\":\"stderr\",\"time\":\"" });
    out.extend_from_slice(&stamp);
    out.extend_from_slice(b"\"}\n");
}

/// A JSON string's inside with the escapes that Go's encoder, and so Docker, uses. Bytes that are not UTF-8 become U+FFFD.
fn append_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        let mut plain = 0;
        let bytes = chunk.valid().as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            let replacement: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                b'<' => b"\\u003c",
                b'>' => b"\\u003e",
                b'&' => b"\\u0026",
                0..0x20 => &[b'\\', b'u', b'0', b'0', b"01"[usize::from(byte >> 4)], b"0123456789abcdef"[usize::from(byte & 15)]],
                // U+2028 and U+2029 end a line in JavaScript.
                0xe2 if bytes[at..].starts_with(&[0xe2, 0x80, 0xa8]) => b"\\u2028",
                0xe2 if bytes[at..].starts_with(&[0xe2, 0x80, 0xa9]) => b"\\u2029",
                _ => continue,
            };
            out.extend_from_slice(&bytes[plain..at]);
            out.extend_from_slice(replacement);
            plain = at + if *byte == 0xe2 { 3 } else { 1 };
        }
        out.extend_from_slice(&bytes[plain.min(bytes.len())..]);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
