//! A template's memory, as machines are given it: a copy in an anonymous file that nobody can write any more.
//!
//! Every machine of a template maps the same pages, privately. The monitor opens what it maps for writing (QEMU before 8.2 has no other
//! way), and a monitor that its guest has taken over would keep that descriptor: with the template's own file one workload could change
//! what the next begins from. So it gets a file whose seals (fcntl(2), F_ADD_SEALS) refuse every write and every shared mapping.

use bulkhead_wire::failure::quote;
use bulkhead_wire::{Code, Failure};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

const SEALS: i32 = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
const CHUNK_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;

/// An anonymous file as long as the template's, not filled yet.
pub fn reserve(source: &Path) -> Result<OwnedFd, Failure> {
    let failed = |error: std::io::Error| Failure::from_io("make room for a template's memory", &error);
    let bytes = std::fs::metadata(source).map_err(failed)?.size();
    let fd = unsafe { libc::memfd_create(c"bulkhead-template".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(Failure::system("make room for a template's memory"));
    }
    let file = unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(fd) };
    file.set_len(bytes).map_err(failed)?;
    Ok(file.into())
}

pub fn is_sealed(memory: &OwnedFd) -> bool {
    unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_GET_SEALS) & SEALS == SEALS }
}

/// Fills and seals it, where that was not done before. Several may be at it at once, and any may be killed: the next begins again.
pub fn fill(memory: &OwnedFd, source: &Path) -> Result<(), Failure> {
    if is_sealed(memory) {
        return Ok(());
    }
    let failed = |error: std::io::Error| Failure::from_io(&format!("read the template's memory {}", quote(&source.to_string_lossy())), &error);
    // A description of its own, for locks belong to descriptions, and the given one is everybody's.
    let own = OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", memory.as_raw_fd())).map_err(failed)?;
    if unsafe { libc::flock(own.as_raw_fd(), libc::LOCK_EX) } != 0 {
        return Err(Failure::system("wait for a template's memory"));
    }
    if is_sealed(memory) {
        return Ok(());
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(source).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() != own.metadata().map_err(failed)?.len() {
        return Err(Failure::new(Code::CorruptData, "the template's memory is not as long as it was"));
    }
    copy_data(&file, &own).map_err(failed)?;
    if unsafe { libc::fcntl(own.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } != 0 {
        return Err(Failure::system("seal a template's memory"));
    }
    Ok(())
}

/// What was never touched, or holds nothing but zeros (a quarter of a booted machine), is a hole.
fn copy_data(from: &File, to: &File) -> std::io::Result<()> {
    let seek = |at: i64, whence: i32| unsafe { libc::lseek(from.as_raw_fd(), at, whence) };
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut end = 0;
    loop {
        let start = seek(end, libc::SEEK_DATA);
        if start < 0 {
            let error = std::io::Error::last_os_error();
            return if error.raw_os_error() == Some(libc::ENXIO) { Ok(()) } else { Err(error) };
        }
        end = seek(start, libc::SEEK_HOLE);
        if end < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let (mut at, end) = (start as u64, end as u64);
        while at < end {
            let count = from.read_at(&mut buffer[..CHUNK_BYTES.min((end - at) as usize)], at)?;
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            write_pages(&buffer[..count], to, at)?;
            at += count as u64;
        }
    }
}

fn write_pages(bytes: &[u8], to: &File, at: u64) -> std::io::Result<()> {
    let zero = |page: &[u8]| page.iter().all(|byte| *byte == 0);
    for (number, page) in bytes.chunks(PAGE_BYTES).enumerate() {
        if !zero(page) {
            to.write_all_at(page, at + (number * PAGE_BYTES) as u64)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_was_filled_can_be_read_and_mapped_and_never_written() {
        let path = std::env::temp_dir().join(format!("bulkhead-machine-memory-{}", std::process::id()));
        let mut source = File::create(&path).unwrap();
        source.set_len(8 << 20).unwrap();
        source.write_all_at(b"begin", 0).unwrap();
        source.write_all_at(b"far", 5 << 20).unwrap();
        source.write_all_at(&vec![0; 4 << 20], 1 << 20).unwrap();
        source.flush().unwrap();
        let memory = reserve(&path).unwrap();
        assert!(!is_sealed(&memory));
        fill(&memory, &path).unwrap();
        fill(&memory, &path).unwrap();
        assert!(is_sealed(&memory));
        let reopened = OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", memory.as_raw_fd())).unwrap();
        let mut bytes = [0; 3];
        reopened.read_exact_at(&mut bytes, 5 << 20).unwrap();
        assert_eq!(&bytes, b"far");
        assert!(reopened.write_at(b"poison", 0).is_err() && reopened.set_len(0).is_err());
        let map = |flags: i32| unsafe {
            libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, reopened.as_raw_fd(), 0) != libc::MAP_FAILED
        };
        assert!(map(libc::MAP_PRIVATE) && !map(libc::MAP_SHARED));
        assert!(reopened.metadata().unwrap().blocks() * 512 < 1 << 20, "zeros are holes");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_source_that_was_cut_is_refused() {
        let path = std::env::temp_dir().join(format!("bulkhead-machine-memory-cut-{}", std::process::id()));
        std::fs::write(&path, vec![1; 8192]).unwrap();
        let memory = reserve(&path).unwrap();
        std::fs::write(&path, vec![1; 4096]).unwrap();
        assert!(fill(&memory, &path).is_err() && !is_sealed(&memory));
        std::fs::remove_file(path).unwrap();
    }
}
