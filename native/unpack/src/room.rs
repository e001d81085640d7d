//! Room on the disk: a layer stops before it has filled it, because everybody else on this host writes there too.

use std::os::fd::BorrowedFd;

use crate::at;
use crate::failure::{Code, Failure};

/// Between two looks at the disk: at most 16 MiB of one file, or so many small ones; fewer where there is less left.
const LOOK_EVERY: u64 = 64;
/// No piece is larger.
const PIECE_BYTES: u64 = 256 * 1024;
/// Of a filesystem that counts its inodes one in a hundred stays free.
const INODES_KEPT: u64 = 100;

pub struct Room<'a> {
    directory: BorrowedFd<'a>,
    reserve_bytes: u64,
    until_look: u64,
}

impl<'a> Room<'a> {
    pub fn new(directory: BorrowedFd<'a>, reserve_bytes: u64) -> Room<'a> {
        Room { directory, reserve_bytes, until_look: 0 }
    }

    /// To be called after each piece that was written. EXHAUSTED where the reserve is reached.
    pub fn look(&mut self) -> Result<(), Failure> {
        if self.until_look > 0 {
            self.until_look -= 1;
            return Ok(());
        }
        let Ok(disk) = at::disk(self.directory) else { return Ok(()) };
        self.until_look = (disk.free_bytes.saturating_sub(self.reserve_bytes) / PIECE_BYTES).min(LOOK_EVERY);
        if disk.free_bytes < self.reserve_bytes {
            return Err(too_full(format!("the disk is too full for the layer: {} MiB are kept in reserve", self.reserve_bytes >> 20)));
        }
        if self.reserve_bytes > 0 && disk.inodes > 0 && disk.free_inodes < disk.inodes / INODES_KEPT {
            return Err(too_full(format!("the disk has too few inodes for the layer: {} are left", disk.free_inodes)));
        }
        Ok(())
    }
}

fn too_full(what: String) -> Failure {
    Failure::new(Code::Exhausted, what)
        .with_remedy("free space below the root (`bulkhead image prune`), or lower images.reserveBytes in the configuration, then ask again")
}
