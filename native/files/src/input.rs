//! The archive as it comes: one buffer, filled when it is empty.

use bulkhead_archive::archive::Source;
use bulkhead_archive::failure::Failure;
use std::fs::File;
use std::io::Read;

const BUFFER_BYTES: usize = 64 * 1024;

pub struct Input {
    file: File,
    buffer: Box<[u8]>,
    at: usize,
    filled: usize,
}

impl Input {
    pub fn new(file: File) -> Input {
        Input { file, buffer: vec![0; BUFFER_BYTES].into_boxed_slice(), at: 0, filled: 0 }
    }
}

impl Source for Input {
    fn next(&mut self, most: usize) -> Result<&[u8], Failure> {
        while self.at == self.filled {
            self.at = 0;
            self.filled = match self.file.read(&mut self.buffer) {
                Ok(got) => got,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::corrupt(format!("the archive cannot be read: {error}"))),
            };
            if self.filled == 0 {
                return Ok(&[]);
            }
        }
        let from = self.at;
        self.at = self.filled.min(from.saturating_add(most));
        Ok(&self.buffer[from..self.at])
    }
}
