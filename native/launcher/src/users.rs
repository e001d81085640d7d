//! A machine's user is its alone. The plan names one by the workload's hash, and two workloads' may be the same: whoever comes second gets the next.
//! So is a container's range of users.
//!
//! A claim is a lock on one byte of one file of the host, whatever root asks; the kernel gives it back when the supervisor that holds it ends.

use bulkhead_wire::{Code, Failure};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const PLACE: &str = "/run/bulkhead-users";
/// Where a host lets nothing be made there, the users of one root are told apart all the same.
const OWN_PLACE: &str = "users";
/// Users of one kind of boundary have the upper eight bits in common.
const LOW_BITS: u32 = 0x00ff_ffff;
const MOST_TRIES: u32 = 1000;

/// How many users a range has: as many as an image may know.
pub const RANGE: u32 = 65_536;
/// Where ranges begin: beyond what systemd gives to containers, and below the sign bit, from which on programs misread numbers.
const FIRST_RANGE: u32 = 0x7000_0000;
const RANGES: u32 = 4094;

/// While it lives nobody else gets this user.
pub struct Claim {
    pub id: u32,
    _held: File,
}

pub fn claim(run: &Path, wanted: u32) -> Result<Claim, Failure> {
    let file = open_list(run)?;
    // Below lie users that a host gives to people and services: such a one is had or not, and never its neighbour.
    let tries = if wanted > LOW_BITS { MOST_TRIES } else { 1 };
    for step in 0..tries {
        let id = (wanted & !LOW_BITS) | (wanted.wrapping_add(step) & LOW_BITS);
        if lock(&file, id, 1).map_err(|error| Failure::from_io("claim a user", &error))? {
            return Ok(Claim { id, _held: file });
        }
    }
    Err(Failure::new(Code::Exhausted, format!("the {tries} users from {wanted} on are all in use")).remedy("end some machines"))
}

/// A range that nobody of this host has. `hash` says where to look first.
pub fn claim_range(run: &Path, hash: u32) -> Result<Claim, Failure> {
    claim_range_among(run, hash, FIRST_RANGE, RANGES)
}

fn claim_range_among(run: &Path, hash: u32, first: u32, ranges: u32) -> Result<Claim, Failure> {
    let file = open_list(run)?;
    for step in 0..ranges {
        let id = first + (hash.wrapping_add(step) % ranges) * RANGE;
        if lock(&file, id, RANGE).map_err(|error| Failure::from_io("claim a range of users", &error))? {
            return Ok(Claim { id, _held: file });
        }
    }
    let what = format!("the {ranges} ranges of users that this host has for workloads are all in use");
    Err(Failure::new(Code::Exhausted, what).remedy("end some workloads, or run this one with --userns=host"))
}

fn open_list(run: &Path) -> Result<File, Failure> {
    open(Path::new(PLACE)).or_else(|_| open(&run.join(OWN_PLACE))).map_err(|error| Failure::from_io("open the list of users", &error))
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// False where somebody holds it. By open file description: another thread's or child's end takes nothing back.
fn lock(file: &File, id: u32, count: u32) -> std::io::Result<bool> {
    let mut wanted: libc::flock = unsafe { std::mem::zeroed() };
    wanted.l_type = libc::F_WRLCK as i16;
    wanted.l_whence = libc::SEEK_SET as i16;
    wanted.l_start = i64::from(id);
    wanted.l_len = i64::from(count);
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &wanted) } == 0 {
        return Ok(true);
    }
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_with_the_same_hash_the_second_gets_the_next_and_what_is_given_back_is_free() {
        // In a range of no boundary's, so that nothing that runs is disturbed.
        let wanted = 0x1000_0000 | (std::process::id() & 0xff_ffff);
        let run = std::env::temp_dir();
        let first = claim(&run, wanted).unwrap();
        let second = claim(&run, wanted).unwrap();
        assert_eq!(first.id, wanted);
        assert_ne!(second.id, wanted);
        drop(first);
        assert_eq!(claim(&run, wanted).unwrap().id, wanted);
        let ordinary = 0x00ff_0000 | (std::process::id() & 0xffff);
        let held = claim(&run, ordinary).unwrap();
        assert_eq!(held.id, ordinary);
        assert_eq!(claim(&run, ordinary).map(|claim| claim.id).unwrap_err().code, Code::Exhausted);
        let last = claim(&run, 0x10ff_ffff).unwrap();
        let around = claim(&run, 0x10ff_ffff).unwrap();
        assert_eq!((last.id, around.id), (0x10ff_ffff, 0x1000_0000), "never the users of another boundary");
    }

    #[test]
    fn ranges_never_overlap_and_where_all_are_had_the_next_is_refused() {
        let first = 0x2000_0000 | (std::process::id() & 0xff) << 20;
        let run = std::env::temp_dir();
        let held: Vec<Claim> = (0..3).map(|_| claim_range_among(&run, 2, first, 3).unwrap()).collect();
        let mut starts: Vec<u32> = held.iter().map(|claim| claim.id - first).collect();
        assert_eq!(starts[0], 2 * RANGE);
        starts.sort_unstable();
        assert_eq!(starts, [0, RANGE, 2 * RANGE]);
        assert!(claim(&run, first + 5).is_err(), "with a range goes each of its users");
        let failure = claim_range_among(&run, 7, first, 3).map(|claim| claim.id).unwrap_err();
        assert_eq!(failure.code, Code::Exhausted);
        drop(held);
        assert_eq!(claim_range_among(&run, 7, first, 3).unwrap().id, first + RANGE);
    }
}
