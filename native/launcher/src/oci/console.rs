//! The terminal that a runtime opens inside and hands out over a socket.

use bulkhead_wire::process::TerminalSize;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Listens at `name` in an open directory, whatever the length of the directory's own path.
pub fn listen(directory: &OwnedFd, name: &str) -> io::Result<UnixListener> {
    let path = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
    let _ = std::fs::remove_file(&path);
    UnixListener::bind(Path::new(&path))
}

/// The socket itself, for the runtime to connect to. Never its directory: a runtime enters the workload's working directory with its descriptors
/// still open, and `/proc/self/fd/N` of a directory of ours would be a way onto the host (CVE-2024-21626).
pub fn place(directory: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let name = std::ffi::CString::new(name)?;
    let fd = unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

/// After the runtime has ended well, the descriptor waits in the socket.
pub fn receive(listener: &UnixListener) -> io::Result<OwnedFd> {
    listener.set_nonblocking(true)?;
    let (stream, _) = listener.accept()?;
    receive_descriptor(&stream)
}

fn receive_descriptor(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut text = [0u8; 4096];
    let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: text.len() };
    let mut control = [0u64; 8];
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    if unsafe { libc::recvmsg(stream.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    if header.is_null() || unsafe { ((*header).cmsg_level, (*header).cmsg_type) } != (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
        return Err(io::Error::other("the runtime sent no terminal"));
    }
    let fd = unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(header).cast::<i32>()) };
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub fn resize(terminal: &OwnedFd, size: TerminalSize) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A terminal of the host's own, for a runtime that takes one as its stdio: both ends.
pub fn open_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    if master < 0 {
        return Err(io::Error::last_os_error());
    }
    let master = unsafe { OwnedFd::from_raw_fd(master) };
    let unlocked = unsafe { libc::grantpt(master.as_raw_fd()) == 0 && libc::unlockpt(master.as_raw_fd()) == 0 };
    let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    if !unlocked || slave < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((master, unsafe { OwnedFd::from_raw_fd(slave) }))
}
