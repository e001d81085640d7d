//! What a tree that strangers wrote takes on disk.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use crate::{at, listing};

const MAX_DEPTH: usize = 512;

/// Bytes of blocks, holes not counted, a file of several names once. Follows no link; what vanishes meanwhile, or lies deeper than
/// anybody's files do, is left out.
pub fn disk_use(directory: OwnedFd) -> u64 {
    let mut seen = HashSet::new();
    below(directory, &mut seen, 0)
}

fn below(directory: OwnedFd, seen: &mut HashSet<(u64, u64)>, depth: usize) -> u64 {
    let mut bytes = 0u64;
    for name in listing::all(directory.as_fd()).unwrap_or_default() {
        let Ok(status) = at::status(directory.as_fd(), &name) else { continue };
        if status.st_nlink > 1 && status.st_mode & libc::S_IFMT != libc::S_IFDIR && !seen.insert((status.st_dev, status.st_ino)) {
            continue;
        }
        bytes = bytes.saturating_add(u64::try_from(status.st_blocks).unwrap_or(0).saturating_mul(512));
        if status.st_mode & libc::S_IFMT == libc::S_IFDIR
            && depth < MAX_DEPTH
            && let Ok(inner) = at::open_directory(directory.as_fd(), &name)
        {
            bytes = bytes.saturating_add(below(inner, seen, depth + 1));
        }
    }
    bytes
}
