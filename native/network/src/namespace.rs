//! Network namespaces of threads.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::failure::Failure;

/// Moves the calling thread into a new network namespace and gives a descriptor of it.
pub(crate) fn enter_new() -> Result<OwnedFd, Failure> {
    // SAFETY: no pointers; only the calling thread moves.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(Failure::last_system("cannot make a network namespace"));
    }
    let own = File::open("/proc/thread-self/ns/net");
    own.map(OwnedFd::from).map_err(|error| Failure::system("cannot open the network namespace", error.raw_os_error().unwrap_or(libc::EIO)))
}

/// Moves the calling thread into this one, else into a new one.
pub(crate) fn enter(given: Option<OwnedFd>) -> Result<OwnedFd, Failure> {
    let Some(namespace) = given else { return enter_new() };
    // SAFETY: no pointers; only the calling thread moves.
    if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
        return Err(Failure::last_system("cannot enter the network namespace"));
    }
    Ok(namespace)
}
