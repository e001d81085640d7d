//! Writing to whatever file system a directory lies on. The file is ours, of a name that nobody else has, and gone at the end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const BLOCK: usize = 4096;
const PIECE: usize = 1 << 20;
/// What random writes fall into.
const SPAN: u64 = 16 << 20;

/// Pieces of 1 MiB one after another into a new file, and the disk has them at the end.
pub fn sequential(directory: &Path, pieces: u64) -> io::Result<()> {
    let file = Scratch::create(directory)?;
    let bytes = vec![0x5a_u8; PIECE];
    for piece in 0..pieces {
        file.file.write_all_at(&bytes, piece * PIECE as u64)?;
    }
    file.file.sync_data()
}

/// Blocks of 4 KiB at places that look random and are the same each time, and the disk has them at the end.
pub fn random(directory: &Path, writes: u64) -> io::Result<()> {
    let file = Scratch::create(directory)?;
    file.file.set_len(SPAN)?;
    let bytes = [0xa5_u8; BLOCK];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..writes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.file.write_all_at(&bytes, state % (SPAN / BLOCK as u64) * BLOCK as u64)?;
    }
    file.file.sync_data()
}

/// A block of 4 KiB appended and on the disk, again and again: what a database's journal does.
pub fn synced(directory: &Path, writes: u64) -> io::Result<()> {
    let file = Scratch::create(directory)?;
    let bytes = [0x3c_u8; BLOCK];
    for write in 0..writes {
        file.file.write_all_at(&bytes, write * BLOCK as u64)?;
        file.file.sync_data()?;
    }
    Ok(())
}

struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    fn create(directory: &Path) -> io::Result<Scratch> {
        let path = directory.join(format!(".bulkhead-gauge-{}", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Scratch { file, path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_writes_where_it_is_told_and_leaves_nothing() {
        let directory = std::env::temp_dir().join(format!("gauge-disk-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        for work in [sequential, random, synced] {
            work(&directory, 3).unwrap();
            assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
        }
        std::fs::remove_dir(&directory).unwrap();
        assert!(sequential(&directory, 1).is_err());
    }
}
