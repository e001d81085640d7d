//! Who is at the other end of a unix socket.

use bulkhead_wire::Failure;
use serde::Serialize;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

#[derive(Debug, Serialize)]
pub struct Peer {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

pub fn of_socket(socket: RawFd) -> io::Result<Peer> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let got = unsafe { libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut credentials).cast(), &mut length) };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut groups = vec![0u32; 1024];
    let mut length = (groups.len() * 4) as libc::socklen_t;
    let got = unsafe { libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERGROUPS, groups.as_mut_ptr().cast(), &mut length) };
    groups.truncate(if got == 0 { length as usize / 4 } else { 0 });
    Ok(Peer { pid: credentials.pid, uid: credentials.uid, gid: credentials.gid, groups })
}

/// The peer of a socket that another process holds.
pub fn of_other(pid: i32, number: RawFd) -> Result<Peer, Failure> {
    let process = crate::detached::pidfd_open(pid).map_err(|error| Failure::from_io("find the asking process", &error))?;
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    if fd < 0 {
        return Err(Failure::system(&format!("take descriptor {number} of the asking process")));
    }
    let socket = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    of_socket(socket.as_raw_fd()).map_err(|error| Failure::from_io("ask for the socket's peer", &error))
}
