//! The network of a workload that has none: a namespace of its own with loopback alone.

use std::io;

/// Moves this process into a new network namespace and brings its loopback up.
pub fn enter_alone() -> io::Result<()> {
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    let done = unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &request) };
    let error = io::Error::last_os_error();
    unsafe { libc::close(socket) };
    if done == 0 { Ok(()) } else { Err(error) }
}
