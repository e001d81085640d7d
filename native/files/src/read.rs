//! A tree as an archive. The workload changes it meanwhile: what has gone is left out, what shrinks is filled up, what grows is cut, as GNU tar does it.

use crate::fault::fault;
use crate::place::Found;
use bulkhead_archive::at;
use bulkhead_archive::header::BLOCK;
use bulkhead_archive::listing::Names;
use bulkhead_archive::pax::Time;
use bulkhead_archive::writer::{END, Item};
use bulkhead_wire::{Code, Failure};
use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::io::{BufWriter, Error, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const BUFFER_BYTES: usize = 64 * 1024;
/// Each holds a descriptor and a few names.
const MOST_DEEP: usize = 512;
/// Files of several names that are remembered. Beyond them, further names are copies.
const MOST_LINKED: usize = 32 * 1024;

/// File systems that are views of the kernel, by `statfs`: from above they are seen as the empty directories that they are mounted on, as in the
/// image. proc, sysfs, cgroup, cgroup2, devpts, mqueue, debugfs, tracefs, securityfs, bpf, pstore, configfs, fusectl.
const KERNEL_VIEWS: [i64; 13] = [0x9fa0, 0x6265_6572, 0x27_e0eb, 0x6367_7270, 0x1cd1, 0x1980_0202, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0xcafe_4a11, 0x6165_676c, 0x6265_6570, 0x6573_5543];

/// A directory whose entries are being read.
struct Open {
    directory: OwnedFd,
    names: Names,
    shown: Vec<u8>,
    device: u64,
}

pub fn read(found: &Found, output: File) -> Result<(), Failure> {
    let mut reading = Reading { output: BufWriter::with_capacity(BUFFER_BYTES, output), linked: HashMap::new(), open: Vec::new(), buffer: vec![0; BUFFER_BYTES].into_boxed_slice() };
    let there = reading.entry(found.holder.as_fd(), &found.entry, found.shown.clone(), None)?;
    if !there {
        return Err(fault("read", &found.path, &Error::from_raw_os_error(libc::ENOENT)));
    }
    while let Some(mut top) = reading.open.pop() {
        let name = match present(top.names.next(top.directory.as_fd())) {
            Ok(Some(Some(name))) => name,
            Ok(_) => continue,
            Err(error) => return Err(fault("read", &top.shown, &error)),
        };
        let shown = [top.shown.as_slice(), b"/", name.to_bytes()].concat();
        let depth = reading.open.len();
        reading.entry(top.directory.as_fd(), &name, shown, Some(top.device))?;
        // Below the directory that the entry may have been: that one is read first.
        reading.open.insert(depth, top);
    }
    reading.put(&END)?;
    reading.output.flush().map_err(gone)
}

struct Reading {
    output: BufWriter<File>,
    linked: HashMap<(u64, u64), Vec<u8>>,
    open: Vec<Open>,
    buffer: Box<[u8]>,
}

impl Reading {
    /// False where it is not there any more, or is nothing that an archive can hold. `above` is the device of the directory that it is in.
    fn entry(&mut self, parent: BorrowedFd<'_>, name: &CStr, shown: Vec<u8>, above: Option<u64>) -> Result<bool, Failure> {
        let failed = |error: Error| fault("read", &shown, &error);
        let Some(status) = present(at::status(parent, name)).map_err(failed)? else { return Ok(false) };
        let kind = match status.st_mode & libc::S_IFMT {
            libc::S_IFREG => b'0',
            libc::S_IFDIR => return self.directory(parent, name, shown, above),
            libc::S_IFLNK => b'2',
            libc::S_IFCHR => b'3',
            libc::S_IFBLK => b'4',
            libc::S_IFIFO => b'6',
            // A socket means something only to who listens on it.
            _ => return Ok(false),
        };
        if let Some(first) = self.name_before(&status, &shown) {
            self.header(&status, b'1', &shown, &first, &[])?;
            return Ok(true);
        }
        if kind == b'0' {
            return self.file(parent, name, &shown);
        }
        let Some(link) = present(if kind == b'2' { at::read_link(parent, name) } else { Ok(Vec::new()) }).map_err(failed)? else { return Ok(false) };
        self.header(&status, kind, &shown, &link, &[])?;
        Ok(true)
    }

    /// Where the archive has the same file already.
    fn name_before(&mut self, status: &libc::stat, shown: &[u8]) -> Option<Vec<u8>> {
        if status.st_nlink < 2 {
            return None;
        }
        let key = (status.st_dev, status.st_ino);
        let known = self.linked.get(&key).cloned();
        if known.is_none() && self.linked.len() < MOST_LINKED {
            self.linked.insert(key, shown.to_vec());
        }
        known
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &CStr, shown: &[u8]) -> Result<bool, Failure> {
        let failed = |error: Error| fault("read", shown, &error);
        let Some(file) = present(at::open_file(parent, name)).map_err(failed)? else { return Ok(false) };
        let status = at::status(file.as_fd(), c"").map_err(failed)?;
        if status.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Ok(false);
        }
        let xattrs = attributes(file.as_fd());
        self.header(&status, b'0', shown, b"", &xattrs)?;
        let size = u64::try_from(status.st_size).unwrap_or(0);
        let mut left = size;
        let mut file = File::from(file);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            match file.read(&mut self.buffer[..most]) {
                Ok(0) => break,
                Ok(got) => {
                    self.output.write_all(&self.buffer[..got]).map_err(gone)?;
                    left -= got as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        self.fill(left)?;
        self.fill(size.wrapping_neg() % BLOCK as u64)?;
        Ok(true)
    }

    /// Zeros.
    fn fill(&mut self, mut left: u64) -> Result<(), Failure> {
        const ZEROS: [u8; 4096] = [0; 4096];
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.put(&ZEROS[..length])?;
            left -= length as u64;
        }
        Ok(())
    }

    fn directory(&mut self, parent: BorrowedFd<'_>, name: &CStr, shown: Vec<u8>, above: Option<u64>) -> Result<bool, Failure> {
        let failed = |error: Error| fault("read", &shown, &error);
        let Some(directory) = present(at::open_directory(parent, name)).map_err(failed)? else { return Ok(false) };
        let status = at::status(directory.as_fd(), c"").map_err(failed)?;
        let xattrs = attributes(directory.as_fd());
        self.header(&status, b'5', &[shown.as_slice(), b"/"].concat(), b"", &xattrs)?;
        if above.is_some_and(|above| above != status.st_dev) && is_kernel_view(directory.as_fd()) {
            return Ok(true);
        }
        if self.open.len() >= MOST_DEEP {
            return Err(Failure::new(Code::Exhausted, format!("the directories are more than {MOST_DEEP} deep")));
        }
        self.open.push(Open { directory, names: Names::begin(), shown, device: status.st_dev });
        Ok(true)
    }

    fn header(&mut self, status: &libc::stat, kind: u8, shown: &[u8], link: &[u8], xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Failure> {
        let mtime = Time { seconds: status.st_mtime, nanoseconds: u32::try_from(status.st_mtime_nsec).unwrap_or(0) };
        let device = if matches!(kind, b'3' | b'4') { (libc::major(status.st_rdev), libc::minor(status.st_rdev)) } else { (0, 0) };
        let size = if kind == b'0' { u64::try_from(status.st_size).unwrap_or(0) } else { 0 };
        let item = Item { path: shown, link, kind, mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid, size, mtime, device, xattrs };
        self.put(&item.header())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.output.write_all(bytes).map_err(gone)
    }
}

/// What has gone since its name was read, or is now something else.
fn present<T>(found: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENXIO | libc::EINVAL)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a program may say of its own files, and what makes a file privileged. Everything else belongs to the host's or the image's keeper.
fn attributes(file: BorrowedFd<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let names = at::list_xattrs(file).unwrap_or_default();
    let wanted = names.into_iter().filter(|name| crate::write::is_carried(name.to_bytes()));
    wanted.filter_map(|name| at::get_xattr(file, &name).ok().flatten().map(|value| (name.into_bytes(), value))).collect()
}

fn is_kernel_view(directory: BorrowedFd<'_>) -> bool {
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    let done = unsafe { libc::fstatfs(directory.as_raw_fd(), &mut found) };
    done == 0 && KERNEL_VIEWS.contains(&(found.f_type as i64))
}

fn gone(error: Error) -> Failure {
    Failure::new(Code::Cancelled, format!("nobody reads the archive any more: {error}"))
}
