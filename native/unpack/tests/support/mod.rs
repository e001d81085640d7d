//! What the tests share: archives written byte by byte, and jobs run in a child, because a job confines its process for good.

#![allow(dead_code)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use bulkhead_unpack::{Failure, ImageJob, Limits, UnpackJob, Unpacked, layer_image, unpack};

pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bulkhead-unpack-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("layers")).unwrap();
        Scratch(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub const LIMITS: Limits = Limits { max_bytes: 1 << 30, max_entries: 10_000, reserve_bytes: 0 };

/// Runs the job in a child; its answer as text: `ok …` or `CODE: sentence`.
pub fn in_child(work: impl FnOnce() -> Result<String, Failure>) -> Result<String, String> {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    let (mut from, mut to) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    match unsafe { libc::fork() } {
        0 => {
            let said = match work() {
                Ok(text) => format!("+{text}"),
                Err(failure) => format!("-{failure}"),
            };
            let _ = to.write_all(said.as_bytes());
            unsafe { libc::_exit(0) }
        }
        child => {
            assert!(child > 0);
            drop(to);
            let mut said = String::new();
            from.read_to_string(&mut said).unwrap();
            let mut status = 0;
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0, "the child died: {status:#x}");
            match said.split_at_checked(1) {
                Some(("+", text)) => Ok(text.to_owned()),
                Some((_, text)) => Err(text.to_owned()),
                None => panic!("the child said nothing"),
            }
        }
    }
}

/// Unpacks these bytes as `layers/NAME`.
pub fn unpack_bytes(scratch: &Scratch, name: &str, archive: &[u8]) -> Result<String, String> {
    unpack_with(scratch, name, archive, LIMITS, &[])
}

pub fn unpack_with(scratch: &Scratch, name: &str, archive: &[u8], limits: Limits, lowers: &[&str]) -> Result<String, String> {
    let blob = scratch.path(&format!("{name}.blob"));
    fs::write(&blob, archive).unwrap();
    in_child(|| {
        let open = |path: &Path| -> OwnedFd { File::open(path).unwrap().into() };
        let lowers = lowers.iter().map(|lower| open(&scratch.path(&format!("layers/{lower}")))).collect();
        let job = UnpackJob { blob: File::open(&blob).unwrap(), grows_to: None, parent: open(&scratch.path("layers")), name: name.to_owned(), lowers, diff_id: None, limits };
        unpack(job, &mut |_| {}).map(|Unpacked { diff_id, bytes, entries, leans_on_lowers, .. }| format!("{diff_id} {bytes} {entries} {leans_on_lowers}"))
    })
}

pub fn make_image(scratch: &Scratch, layer: &str, name: &str) -> Result<String, String> {
    in_child(|| {
        let layer = File::open(scratch.path(&format!("layers/{layer}"))).unwrap().into();
        let parent = File::open(&scratch.0).unwrap().into();
        layer_image(ImageJob { layer, parent, name: name.to_owned() }).map(|made| made.bytes.to_string())
    })
}

/// One entry: a header with a right checksum, and its data padded.
pub struct Item<'a> {
    pub name: &'a [u8],
    pub kind: u8,
    pub link: &'a [u8],
    pub data: &'a [u8],
    pub mode: u32,
    pub mtime: u64,
}

pub const FILE: Item<'static> = Item { name: b"f", kind: b'0', link: b"", data: b"", mode: 0o644, mtime: 1_000_000_000 };

pub fn file<'a>(name: &'a str, data: &'a str) -> Item<'a> {
    Item { name: name.as_bytes(), data: data.as_bytes(), ..FILE }
}

pub fn link<'a>(kind: u8, name: &'a str, target: &'a str) -> Item<'a> {
    Item { name: name.as_bytes(), kind, link: target.as_bytes(), ..FILE }
}

pub fn directory(name: &str) -> Item<'_> {
    Item { name: name.as_bytes(), kind: b'5', mode: 0o755, ..FILE }
}

pub fn header(item: &Item<'_>) -> [u8; 512] {
    let mut block = [0u8; 512];
    block[..item.name.len().min(100)].copy_from_slice(&item.name[..item.name.len().min(100)]);
    let mut octal = |range: std::ops::Range<usize>, value: u64| {
        let text = format!("{value:0width$o}\0", width = range.len() - 1);
        block[range].copy_from_slice(text.as_bytes());
    };
    octal(100..108, u64::from(item.mode));
    octal(108..116, 0);
    octal(116..124, 0);
    octal(124..136, item.data.len() as u64);
    octal(136..148, item.mtime);
    block[156] = item.kind;
    block[157..157 + item.link.len()].copy_from_slice(item.link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block
}

pub fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

pub fn append(archive: &mut Vec<u8>, item: &Item<'_>) {
    archive.extend_from_slice(&header(item));
    archive.extend_from_slice(item.data);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

pub fn archive(items: &[Item<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        append(&mut bytes, item);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A PAX record with its own length in front.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let mut length = body.len();
    while format!("{length}").len() + body.len() != length {
        length = format!("{length}").len() + body.len();
    }
    [format!("{length}").as_bytes(), &body].concat()
}

/// A small generator of numbers, the same for the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
