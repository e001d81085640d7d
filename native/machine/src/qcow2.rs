//! The disk of a workload that boots from one: an empty qcow2 (QEMU's docs/interop/qcow2.txt, version 3), over which the image lies as the
//! monitor's arguments say. Its header names no other file: what is read beneath it is never the disk's own word.
//!
//! It outlives its machine (a restart goes on with it), so it is never made twice, and one that was cut in the making is made anew. The host
//! only ever writes an empty one; what the guest and its monitor have written is opened by the monitor alone.

use bulkhead_wire::{Code, Failure};
use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt, fchown};

const CLUSTER_BITS: u32 = 16;
const CLUSTER_BYTES: u64 = 1 << CLUSTER_BITS;
const MAGIC: u32 = 0x5146_49fb;
const HEADER_BYTES: u32 = 104;
/// Sixteen bits each.
const REFCOUNT_ORDER: u32 = 4;
const REFCOUNT_TABLE: u64 = CLUSTER_BYTES;
const REFCOUNT_BLOCK: u64 = 2 * CLUSTER_BYTES;
const L1_TABLE: u64 = 3 * CLUSTER_BYTES;
const SECTOR_BYTES: u64 = 512;
/// As much as one table of the first level in four clusters reaches.
const MOST_BYTES: u64 = 16 << 40;

/// Finds the disk, or makes it, for this user.
pub fn ensure(wanted: &str, bytes: u64, (uid, gid): (u32, u32)) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::from_io("make the machine's disk", &error);
    match OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(wanted) {
        Ok(file) => return fchown(&file, Some(uid), Some(gid)).map_err(|error| Failure::from_io("give the machine its disk", &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // It may be there, with what the workload has written: nothing is made in its place.
        Err(error) => return Err(Failure::from_io("open the machine's disk", &error)),
    }
    if bytes == 0 || bytes > MOST_BYTES || bytes % SECTOR_BYTES != 0 {
        return Err(Failure::new(Code::InvalidSpec, format!("a machine's disk cannot have {bytes} bytes")).remedy("ask for whole MiB, at most 16 TiB"));
    }
    let partial = format!("{wanted}.new");
    let _ = std::fs::remove_file(&partial);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial).map_err(failed)?;
    let made = empty(bytes);
    for (at, part) in &made.parts {
        file.write_all_at(part, *at).map_err(failed)?;
    }
    file.set_len(made.length).map_err(failed)?;
    fchown(&file, Some(uid), Some(gid)).map_err(failed)?;
    std::fs::rename(&partial, wanted).map_err(failed)
}

struct Empty {
    /// Where what is not zero lies.
    parts: Vec<(u64, Vec<u8>)>,
    length: u64,
}

fn empty(bytes: u64) -> Empty {
    let l1_entries = bytes.div_ceil(CLUSTER_BYTES * (CLUSTER_BYTES / 8));
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER_BYTES);
    let mut header = Vec::with_capacity(HEADER_BYTES as usize);
    let mut word = |value: u32| header.extend(value.to_be_bytes());
    let halves = |value: u64| [(value >> 32) as u32, value as u32];
    [MAGIC, 3, 0, 0, 0, CLUSTER_BITS].into_iter().for_each(&mut word);
    halves(bytes).into_iter().for_each(&mut word);
    [0, l1_entries as u32].into_iter().for_each(&mut word);
    halves(L1_TABLE).into_iter().chain(halves(REFCOUNT_TABLE)).for_each(&mut word);
    // One cluster of the refcount table; no snapshots; no features.
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, REFCOUNT_ORDER, HEADER_BYTES].into_iter().for_each(&mut word);
    let used = 3 + l1_clusters;
    let counts = (0..used).flat_map(|_| 1u16.to_be_bytes()).collect();
    Empty { parts: vec![(0, header), (REFCOUNT_TABLE, REFCOUNT_BLOCK.to_be_bytes().to_vec()), (REFCOUNT_BLOCK, counts)], length: used * CLUSTER_BYTES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_made_once_and_kept_ever_after() {
        let directory = std::env::temp_dir().join(format!("bulkhead-machine-qcow2-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let wanted = directory.join("disk").to_str().unwrap().to_owned();
        let own = unsafe { (libc::getuid(), libc::getgid()) };
        std::fs::write(format!("{wanted}.new"), "cut in the making").unwrap();
        ensure(&wanted, 1 << 30, own).unwrap();
        assert_eq!(std::fs::metadata(&wanted).unwrap().len(), 4 * CLUSTER_BYTES);
        std::fs::write(&wanted, "what the guest wrote").unwrap();
        ensure(&wanted, 1 << 30, own).unwrap();
        assert_eq!(std::fs::read(&wanted).unwrap(), b"what the guest wrote");
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_disk_of_no_size_or_too_much_is_refused() {
        for bytes in [0, 513, MOST_BYTES + 512] {
            assert_eq!(ensure("/nowhere/disk", bytes, (1, 1)).unwrap_err().code, Code::InvalidSpec, "{bytes}");
        }
    }

    #[test]
    fn the_header_says_where_everything_lies_and_names_no_other_file() {
        for bytes in [512, 1 << 30, MOST_BYTES] {
            let Empty { parts, length } = empty(bytes);
            let header = &parts[0].1;
            assert_eq!(header.len(), HEADER_BYTES as usize);
            assert_eq!(&header[8..20], &[0; 12], "a backing file");
            assert_eq!(u64::from_be_bytes(header[24..32].try_into().unwrap()), bytes);
            let l1_entries = u64::from(u32::from_be_bytes(header[36..40].try_into().unwrap()));
            assert!(l1_entries * CLUSTER_BYTES * 8192 >= bytes);
            assert_eq!(u64::from_be_bytes(header[40..48].try_into().unwrap()), L1_TABLE);
            assert_eq!(length, L1_TABLE + (l1_entries * 8).next_multiple_of(CLUSTER_BYTES));
            assert_eq!(parts[2].1.len() as u64, length / CLUSTER_BYTES * 2, "every cluster is counted once");
        }
    }
}
