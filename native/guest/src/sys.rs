//! System calls with their failures in words.

use bulkhead_wire::{Code, Failure};
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Text for the kernel; a NUL inside is the sender's fault.
pub fn c(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::new(Code::InvalidSpec, "a text that goes to the kernel contains a NUL byte"))
}

pub fn mount(source: &str, target: &str, kind: &str, flags: libc::c_ulong, data: &str) -> Result<(), Failure> {
    let (source, place, kind, data) = (c(source)?, c(target)?, c(kind)?, c(data)?);
    let done = unsafe { libc::mount(source.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    if done == 0 { Ok(()) } else { Err(Failure::system(&format!("mount {} on {target}", kind.to_string_lossy()))) }
}

/// Makes one directory; one that is there is as good.
pub fn mkdir(path: &str, mode: libc::mode_t) -> Result<(), Failure> {
    let place = c(path)?;
    if unsafe { libc::mkdir(place.as_ptr(), mode) } == 0 || errno() == libc::EEXIST {
        return Ok(());
    }
    Err(Failure::system(&format!("make the directory {path}")))
}

pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

pub fn write_file(path: &str, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::from_io(&format!("write {path}"), &error))
}

pub fn owned(fd: RawFd, doing: &str) -> Result<OwnedFd, Failure> {
    if fd < 0 { Err(Failure::system(doing)) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

pub fn open(path: &str, flags: i32) -> Result<OwnedFd, Failure> {
    let place = c(path)?;
    owned(unsafe { libc::open(place.as_ptr(), flags | libc::O_CLOEXEC, 0o644) }, &format!("open {path}"))
}

/// A pipe whose ends close on exec: read end, write end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let mut ends = [-1; 2];
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Failure::system("make a pipe"));
    }
    unsafe { Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))) }
}

pub fn set_nonblocking(fd: &OwnedFd) {
    unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK);
    }
}

/// What one non-blocking read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    Bytes(usize),
    Nothing,
    End,
}

/// A terminal whose last user has gone reads EIO: that is its end.
pub fn read(fd: RawFd, buffer: &mut [u8]) -> Read {
    loop {
        let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        if count > 0 {
            return Read::Bytes(count as usize);
        }
        if count == 0 {
            return Read::End;
        }
        match errno() {
            libc::EINTR => continue,
            libc::EAGAIN => return Read::Nothing,
            _ => return Read::End,
        }
    }
}

/// So many bytes were taken; None: nobody reads any more.
pub fn write(fd: RawFd, bytes: &[u8]) -> Option<usize> {
    loop {
        let count = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        if count >= 0 {
            return Some(count as usize);
        }
        match errno() {
            libc::EINTR => continue,
            libc::EAGAIN => return Some(0),
            _ => return None,
        }
    }
}
