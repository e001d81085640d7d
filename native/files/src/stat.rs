//! One file as `FileStat` of the contract.

use crate::place::Found;
use bulkhead_archive::at;
use bulkhead_wire::clock;
use serde_json::{Value, json};
use std::os::fd::AsFd;

pub fn describe(found: &Found) -> Value {
    let status = &found.status;
    let link = if status.st_mode & libc::S_IFMT == libc::S_IFLNK { at::read_link(found.itself.as_fd(), c"").unwrap_or_default() } else { Vec::new() };
    let modified = i128::from(status.st_mtime) * 1_000_000_000 + i128::from(status.st_mtime_nsec);
    json!({
        "name": String::from_utf8_lossy(&found.name),
        "sizeBytes": status.st_size.max(0),
        "mode": status.st_mode,
        "modifiedAt": clock::stamp(modified),
        "linkTarget": String::from_utf8_lossy(&link),
    })
}
