//! The system calls by which a tree is written, each relative to a descriptor.

use std::ffi::{CStr, CString};
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::pax::Time;

/// A component or a path as the kernel wants it. `path::components` let no NUL through, except in link targets.
pub fn c(name: &[u8]) -> Result<CString> {
    CString::new(name).map_err(|_| Error::from_raw_os_error(libc::EINVAL))
}

fn check(result: i64) -> Result<i64> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: i64) -> Result<OwnedFd> {
    // SAFETY: the kernel just gave this descriptor to us alone.
    check(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

pub const IN_ROOT: u64 = 0x10 | 0x02;
pub const NO_SYMLINKS: u64 = 0x08 | 0x04 | 0x02;

/// `openat2(2)`; with IN_ROOT no name, link or `..` leads out of `root`.
pub fn open_inside(root: BorrowedFd<'_>, path: &[u8], flags: i32, resolve: u64) -> Result<OwnedFd> {
    let path = c(if path.is_empty() { b"." } else { path })?;
    let how = OpenHow { flags: (flags | libc::O_CLOEXEC) as u64, mode: 0, resolve };
    loop {
        let fd = owned(unsafe { libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), &raw const how, size_of::<OpenHow>()) });
        // EAGAIN: something else in the whole filesystem was renamed while the kernel followed a `..`.
        match fd {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            other => return other,
        }
    }
}

pub fn create_file(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<OwnedFd> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    owned(i64::from(unsafe { libc::openat(parent.as_raw_fd(), name.as_ptr(), flags, mode) }))
}

/// Opens a directory by its own name, for reading or changing its attributes.
pub fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    owned(i64::from(unsafe { libc::openat(parent.as_raw_fd(), name.as_ptr(), flags) }))
}

/// For reading what is there; a fifo or a device without a reader or a medium does not hold it up.
pub fn open_file(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    owned(i64::from(unsafe { libc::openat(parent.as_raw_fd(), name.as_ptr(), flags) }))
}

/// An existing file, emptied, to be written anew.
pub fn empty_file(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_WRONLY | libc::O_TRUNC | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    owned(i64::from(unsafe { libc::openat(parent.as_raw_fd(), name.as_ptr(), flags) }))
}

pub fn make_directory(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    check(i64::from(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), mode) })).map(drop)
}

pub fn make_node(parent: BorrowedFd<'_>, name: &CStr, mode: u32, device: libc::dev_t) -> Result<()> {
    check(i64::from(unsafe { libc::mknodat(parent.as_raw_fd(), name.as_ptr(), mode, device) })).map(drop)
}

pub fn symlink(target: &CStr, parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    check(i64::from(unsafe { libc::symlinkat(target.as_ptr(), parent.as_raw_fd(), name.as_ptr()) })).map(drop)
}

pub fn hard_link(from: BorrowedFd<'_>, old: &CStr, to: BorrowedFd<'_>, new: &CStr) -> Result<()> {
    check(i64::from(unsafe { libc::linkat(from.as_raw_fd(), old.as_ptr(), to.as_raw_fd(), new.as_ptr(), 0) })).map(drop)
}

pub fn rename_new(parent: BorrowedFd<'_>, old: &CStr, new: &CStr) -> Result<()> {
    let fd = parent.as_raw_fd();
    check(unsafe { libc::syscall(libc::SYS_renameat2, fd, old.as_ptr(), fd, new.as_ptr(), libc::RENAME_NOREPLACE) }).map(drop)
}

/// Into another directory, under the same name, which must be free there.
pub fn move_new(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    check(unsafe { libc::syscall(libc::SYS_renameat2, from, name.as_ptr(), to, name.as_ptr(), libc::RENAME_NOREPLACE) }).map(drop)
}

pub fn unlink(parent: BorrowedFd<'_>, name: &CStr, flags: i32) -> Result<()> {
    check(i64::from(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), flags) })).map(drop)
}

pub fn read_link(parent: BorrowedFd<'_>, name: &CStr) -> Result<Vec<u8>> {
    let mut target = vec![0u8; libc::PATH_MAX as usize];
    let length = check(unsafe { libc::readlinkat(parent.as_raw_fd(), name.as_ptr(), target.as_mut_ptr().cast(), target.len()) } as i64)?;
    target.truncate(length as usize);
    Ok(target)
}

pub fn status(parent: BorrowedFd<'_>, name: &CStr) -> Result<libc::stat> {
    let mut status = std::mem::MaybeUninit::<libc::stat>::zeroed();
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
    check(i64::from(unsafe { libc::fstatat(parent.as_raw_fd(), name.as_ptr(), status.as_mut_ptr(), flags) }))?;
    // SAFETY: the kernel filled it, and all zeros are a value of it.
    Ok(unsafe { status.assume_init() })
}

/// Of the thing itself, where a descriptor for writing exists.
pub fn own_file(file: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<()> {
    check(i64::from(unsafe { libc::fchown(file.as_raw_fd(), uid, gid) })).map(drop)
}

pub fn own_name(parent: BorrowedFd<'_>, name: &CStr, uid: u32, gid: u32) -> Result<()> {
    check(i64::from(unsafe { libc::fchownat(parent.as_raw_fd(), name.as_ptr(), uid, gid, libc::AT_SYMLINK_NOFOLLOW) })).map(drop)
}

pub fn mode_file(file: BorrowedFd<'_>, mode: u32) -> Result<()> {
    check(i64::from(unsafe { libc::fchmod(file.as_raw_fd(), mode) })).map(drop)
}

/// Only for what was just made here and is no symlink.
pub fn mode_name(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    check(i64::from(unsafe { libc::fchmodat(parent.as_raw_fd(), name.as_ptr(), mode, 0) })).map(drop)
}

fn times(time: Time) -> [libc::timespec; 2] {
    let instant = libc::timespec { tv_sec: time.seconds, tv_nsec: libc::c_long::from(time.nanoseconds) };
    [instant, instant]
}

pub fn time_file(file: BorrowedFd<'_>, time: Time) -> Result<()> {
    check(i64::from(unsafe { libc::futimens(file.as_raw_fd(), times(time).as_ptr()) })).map(drop)
}

pub fn time_name(parent: BorrowedFd<'_>, name: &CStr, time: Time) -> Result<()> {
    check(i64::from(unsafe { libc::utimensat(parent.as_raw_fd(), name.as_ptr(), times(time).as_ptr(), libc::AT_SYMLINK_NOFOLLOW) })).map(drop)
}

pub fn set_xattr(file: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<()> {
    check(i64::from(unsafe { libc::fsetxattr(file.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })).map(drop)
}

/// For what cannot be opened for writing (symlinks, devices): goes through the current directory, which is this process's own.
pub fn set_xattr_name(parent: BorrowedFd<'_>, file: &CStr, name: &CStr, value: &[u8]) -> Result<()> {
    check(i64::from(unsafe { libc::fchdir(parent.as_raw_fd()) }))?;
    check(i64::from(unsafe { libc::lsetxattr(file.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })).map(drop)
}

/// `None` where the file has no such attribute.
pub fn get_xattr(file: BorrowedFd<'_>, name: &CStr) -> Result<Option<Vec<u8>>> {
    let mut value = vec![0u8; 64 * 1024];
    let length = unsafe { libc::fgetxattr(file.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match check(length as i64) {
        Ok(length) => {
            value.truncate(length as usize);
            Ok(Some(value))
        }
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODATA | libc::EOPNOTSUPP)) => Ok(None),
        Err(error) => Err(error),
    }
}

pub fn list_xattrs(file: BorrowedFd<'_>) -> Result<Vec<CString>> {
    let mut names = vec![0u8; 64 * 1024];
    let length = check(unsafe { libc::flistxattr(file.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) } as i64)? as usize;
    names.truncate(length);
    names.split(|b| *b == 0).filter(|name| !name.is_empty()).map(c).collect()
}

pub struct Disk {
    pub free_bytes: u64,
    /// 0 where the filesystem does not count them.
    pub inodes: u64,
    pub free_inodes: u64,
}

/// Of the filesystem that holds this file; what is free is what others than root may use.
pub fn disk(file: BorrowedFd<'_>) -> Result<Disk> {
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    check(i64::from(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut found) }))?;
    let block = u64::try_from(found.f_bsize).unwrap_or(0);
    Ok(Disk { free_bytes: found.f_bavail.saturating_mul(block), inodes: found.f_files, free_inodes: found.f_ffree })
}

pub fn sync_filesystem(file: BorrowedFd<'_>) -> Result<()> {
    check(i64::from(unsafe { libc::syncfs(file.as_raw_fd()) })).map(drop)
}

pub fn sync(file: BorrowedFd<'_>) -> Result<()> {
    check(i64::from(unsafe { libc::fsync(file.as_raw_fd()) })).map(drop)
}

/// Whether the directory's whole path, from this process's root, still fits where programs keep paths.
pub fn path_fits(directory: BorrowedFd<'_>) -> Result<bool> {
    check(i64::from(unsafe { libc::fchdir(directory.as_raw_fd()) }))?;
    let mut buffer = [0u8; 3584];
    Ok(!unsafe { libc::getcwd(buffer.as_mut_ptr().cast(), buffer.len()) }.is_null())
}
