//! What such a process gives up, for good, before it touches a stranger's path.

use crate::filter;
use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::OwnedFd;

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP.
const KEPT: [u32; 6] = [0, 1, 3, 4, 27, 31];
/// For directories within directories.
const MOST_FILES: libc::rlim_t = 1024;

/// Gives up what it has beyond files, closes every descriptor beyond its stdio, and opens the root. Afterwards it is root of the namespaces that it is in
/// with its powers over files alone: it can trace nobody, mount nothing, execute nothing, open no socket, and start no process. To be called in a
/// process of one thread whose working directory is the root.
pub fn withdraw() -> Result<OwnedFd> {
    shed()?;
    // Nothing of whoever started it stays, least of all a directory of the host's.
    unsafe { check(libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0))? };
    let root = File::open("/")?;
    filter::enter()?;
    Ok(root.into())
}

fn shed() -> Result<()> {
    unsafe {
        libc::umask(0);
        for (which, most) in [(libc::RLIMIT_CORE, 0), (libc::RLIMIT_NOFILE, MOST_FILES)] {
            let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
            check(libc::setrlimit(which, &raw const limit).into())?;
        }
        for capability in (0..64).filter(|capability| !KEPT.contains(capability)) {
            // The first number that the kernel does not know ends the list.
            if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 {
                break;
            }
        }
        check(libc::setgroups(0, std::ptr::null()).into())?;
        check(libc::setresgid(0, 0, 0).into())?;
        check(libc::setresuid(0, 0, 0).into())?;
        let mask: u64 = KEPT.iter().map(|capability| 1u64 << capability).sum();
        let header: [u32; 2] = [0x2008_0522, 0];
        let sets: [u32; 6] = [mask as u32, mask as u32, 0, (mask >> 32) as u32, (mask >> 32) as u32, 0];
        check(libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()))?;
        check(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0).into())?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
        // Last: a change of user would set it anew.
        check(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0).into())
    }
}

fn check(result: libc::c_long) -> Result<()> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}
