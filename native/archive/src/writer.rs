//! Headers for an archive that is written: ustar, with an extended header before it where ustar has no room (POSIX.1-2017, pax).

use crate::header::{BLOCK, Block};
use crate::pax::Time;

/// What ends an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The largest number that eleven octal digits hold.
const MOST_OCTAL: u64 = 0o77_777_777_777;
const MOST_ID: u32 = 0o7_777_777;

pub struct Item<'a> {
    pub path: &'a [u8],
    /// A link's target; empty for everything else.
    pub link: &'a [u8],
    /// As ustar's type flag.
    pub kind: u8,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub mtime: Time,
    pub device: (u32, u32),
    pub xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl Item<'_> {
    /// All blocks that come before the data.
    pub fn header(&self) -> Vec<u8> {
        let records = self.records();
        let mut blocks = Vec::with_capacity(3 * BLOCK + records.len());
        if !records.is_empty() {
            let name = Item { path: b"PaxHeaders/entry", link: b"", kind: b'x', mode: 0o644, uid: 0, gid: 0, size: records.len() as u64, mtime: Time::default(), device: (0, 0), xattrs: &[] };
            blocks.extend_from_slice(&name.block());
            blocks.extend_from_slice(&records);
            blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
        }
        blocks.extend_from_slice(&self.block());
        blocks
    }

    fn records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        let mut add = |key: &str, value: &[u8]| records.extend_from_slice(&record(key.as_bytes(), value));
        if self.path.len() > 100 || !self.path.is_ascii() {
            add("path", self.path);
        }
        if self.link.len() > 100 || !self.link.is_ascii() {
            add("linkpath", self.link);
        }
        if self.size > MOST_OCTAL {
            add("size", self.size.to_string().as_bytes());
        }
        if self.uid > MOST_ID {
            add("uid", self.uid.to_string().as_bytes());
        }
        if self.gid > MOST_ID {
            add("gid", self.gid.to_string().as_bytes());
        }
        if self.mtime.nanoseconds != 0 || u64::try_from(self.mtime.seconds).map_or(true, |seconds| seconds > MOST_OCTAL) {
            add("mtime", moment(self.mtime).as_bytes());
        }
        for (name, value) in self.xattrs {
            records.extend_from_slice(&record(&[b"SCHILY.xattr.", name.as_slice()].concat(), value));
        }
        records
    }

    fn block(&self) -> Block {
        let mut block = [0; BLOCK];
        let mut text = |at: usize, room: usize, value: &[u8]| {
            let length = value.len().min(room);
            block[at..at + length].copy_from_slice(&value[..length]);
        };
        text(0, 100, self.path);
        text(157, 100, self.link);
        text(257, 8, b"ustar\x0000");
        text(156, 1, &[self.kind]);
        text(100, 8, octal(u64::from(self.mode & 0o7777), 7).as_bytes());
        text(108, 8, octal(u64::from(self.uid.min(MOST_ID)), 7).as_bytes());
        text(116, 8, octal(u64::from(self.gid.min(MOST_ID)), 7).as_bytes());
        text(124, 12, octal(self.size.min(MOST_OCTAL), 11).as_bytes());
        text(136, 12, octal(u64::try_from(self.mtime.seconds).unwrap_or(0).min(MOST_OCTAL), 11).as_bytes());
        text(329, 8, octal(u64::from(self.device.0.min(MOST_ID)), 7).as_bytes());
        text(337, 8, octal(u64::from(self.device.1.min(MOST_ID)), 7).as_bytes());
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..155].copy_from_slice(octal(sum, 6).as_bytes());
        block
    }
}

/// So many digits and a NUL. The value fits.
fn octal(value: u64, digits: usize) -> String {
    format!("{value:0digits$o}\0")
}

fn moment(time: Time) -> String {
    match (time.seconds < 0, time.nanoseconds) {
        (_, 0) => time.seconds.to_string(),
        (false, fraction) => format!("{}.{fraction:09}", time.seconds),
        (true, fraction) => format!("-{}.{:09}", -(time.seconds + 1), 1_000_000_000 - fraction),
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Archive, Kind, Source};
    use crate::failure::Failure;

    struct Bytes(Vec<u8>, usize);

    impl Source for Bytes {
        fn next(&mut self, most: usize) -> Result<&[u8], Failure> {
            let from = self.1;
            self.1 = self.0.len().min(from.saturating_add(most));
            Ok(&self.0[from..self.1])
        }
    }

    #[test]
    fn what_is_written_is_read_back_whatever_its_size() {
        let long = [b"d/".repeat(80), "ä".as_bytes().to_vec()].concat();
        let xattrs = vec![(b"user.k".to_vec(), b"v\n=\0".to_vec())];
        for seconds in [-2, 0, 1_700_000_000, 1 << 40] {
            for nanoseconds in [0, 500_000_000] {
                let mtime = Time { seconds, nanoseconds };
                let item = Item { path: &long, link: b"", kind: b'0', mode: 0o4755, uid: 3_000_000_000, gid: 7, size: 10 << 30, mtime, device: (0, 0), xattrs: &xattrs };
                let mut archive = Archive::new(Bytes(item.header(), 0));
                let entry = archive.next_entry().unwrap().unwrap();
                assert_eq!((entry.path, entry.kind, entry.mode, entry.uid, entry.gid, entry.size), (long.clone(), Kind::File, 0o4755, 3_000_000_000, 7, 10 << 30));
                assert_eq!((entry.mtime, entry.xattrs), (mtime, xattrs.clone()));
            }
        }
    }

    #[test]
    fn what_ustar_holds_needs_no_extension() {
        let item = Item { path: b"dev/null", link: b"", kind: b'3', mode: 0o666, uid: 0, gid: 0, size: 0, mtime: Time::default(), device: (1, 3), xattrs: &[] };
        assert_eq!(item.header().len(), BLOCK);
        let entry = Archive::new(Bytes(item.header(), 0)).next_entry().unwrap().unwrap();
        assert_eq!(entry.kind, Kind::Character(1, 3));
    }

    #[test]
    fn a_record_s_length_counts_itself() {
        assert_eq!(record(b"path", b"a"), b"9 path=a\n");
        for length in [1, 80, 90, 91, 92, 93, 94, 990, 991, 992, 993] {
            let made = record(b"path", &vec![b'x'; length]);
            assert!(made.starts_with(format!("{} ", made.len()).as_bytes()), "{length}");
        }
    }
}
