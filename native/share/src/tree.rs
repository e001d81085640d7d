//! The host's files, reached by descriptors alone. A node is an O_PATH descriptor; a name is always one component below one; a node is opened
//! again through `/proc/self/fd`, which is the working directory (see `confine`), so that its number is a path.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use std::sync::atomic::{AtomicI32, Ordering};

use crate::message::Errno;

/// What the caller of `serve` asked for; 0 is nothing.
static PARENT_DEATH_SIGNAL: AtomicI32 = AtomicI32::new(0);

pub(crate) fn remember_parent_death_signal() {
    let mut signal = 0;
    // SAFETY: the number outlives the call.
    if unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) } == 0 {
        PARENT_DEATH_SIGNAL.store(signal, Ordering::Relaxed);
    }
}

const BENEATH: u64 = 0x08 | 0x02 | 0x04; // RESOLVE_BENEATH, NO_MAGICLINKS, NO_SYMLINKS

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

pub(crate) fn errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

pub(crate) fn check(result: i32) -> Result<i32, Errno> {
    if result < 0 { Err(errno()) } else { Ok(result) }
}

pub(crate) fn check_long(result: i64) -> Result<u64, Errno> {
    u64::try_from(result).map_err(|_| errno())
}

fn own(result: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: a fresh descriptor of ours.
    check(result).map(|raw| unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Opens one name in a directory, never through a link, never out of it.
pub(crate) fn open_beneath(directory: BorrowedFd<'_>, name: &CStr, flags: i32, mode: u32) -> Result<OwnedFd, Errno> {
    let how = OpenHow { flags: (flags | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64, mode: u64::from(mode), resolve: BENEATH };
    // SAFETY: name and structure outlive the call, and its size is given.
    let result = unsafe { libc::syscall(libc::SYS_openat2, directory.as_raw_fd(), name.as_ptr(), &raw const how, size_of::<OpenHow>()) };
    own(result as i32)
}

/// A node's path as long as the working directory is `/proc/self/fd`.
pub(crate) fn path_of(node: BorrowedFd<'_>) -> CString {
    CString::new(node.as_raw_fd().to_string()).unwrap_or_default()
}

/// Opens a node for use. Only for files and directories: to open anything else may block or do things.
pub(crate) fn reopen(node: BorrowedFd<'_>, flags: i32) -> Result<OwnedFd, Errno> {
    let path = path_of(node);
    // SAFETY: the path outlives the call.
    own(unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), (flags & !libc::O_NOFOLLOW & !libc::O_CREAT) | libc::O_CLOEXEC) })
}

pub(crate) fn stat(node: BorrowedFd<'_>) -> Result<libc::stat, Errno> {
    // SAFETY: the structure is plain data, and outlives the call.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        check(libc::fstatat(node.as_raw_fd(), c"".as_ptr(), &raw mut stat, libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW))?;
        Ok(stat)
    }
}

/// Runs `work` so that what it makes belongs to this user and group. Capabilities stay: see NO_SETUID_FIXUP in `confine`.
pub(crate) fn as_owner<T>(uid: u32, gid: u32, work: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    // SAFETY: plain calls about the calling thread.
    unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
    }
    let done = work();
    // SAFETY: as above. A change of ids makes the kernel forget that the process dies with its parent.
    unsafe {
        libc::setfsuid(0);
        libc::setfsgid(0);
        libc::prctl(libc::PR_SET_PDEATHSIG, PARENT_DEATH_SIGNAL.load(Ordering::Relaxed));
    }
    done
}
