//! The servers of a machine's shares: one process each, with one end of a stream; the monitor gets the other. They are in the machine's
//! control group, so that what they use is the machine's, and they end with it.

use bulkhead_cgroup::Attach;
use bulkhead_wire::plan::Share;
use bulkhead_wire::Failure;
use bulkhead_wire::birth::Birth;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Starts the server of one share, whose source is open, and gives the monitor's end. Whether it can be served shows in the guest's first question.
pub fn start(share: &Share, source: OwnedFd, attach: &Attach) -> Result<OwnedFd, Failure> {
    let (theirs, ours) = UnixStream::pair().map_err(|error| Failure::from_io("make a share's channel", &error))?;
    // The supervisor has one thread, so its fork may go on with its own work. It sees and reaches no process but itself.
    let supervisor = own_descriptor().map_err(|error| Failure::from_io("start a share's server", &error))?;
    match (Birth { namespaces: libc::CLONE_NEWPID, ..Birth::default() }).fork() {
        -1 => Err(Failure::system("start a share's server")),
        0 => {
            let stream = OwnedFd::from(ours);
            let alone = attach.join() && become_server([stream.as_raw_fd(), source.as_raw_fd()], &supervisor);
            let name = Path::new(&share.source).file_name().unwrap_or_default();
            let served = alone && bulkhead_share::serve_opened(stream, source, name, share.read_only).is_ok();
            unsafe { libc::_exit(i32::from(!served)) }
        }
        _ => Ok(OwnedFd::from(theirs)),
    }
}

/// Readable once this process has ended: in another namespace nobody has a number for it.
fn own_descriptor() -> std::io::Result<OwnedFd> {
    match unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) } as RawFd {
        -1 => Err(std::io::Error::last_os_error()),
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

/// Dies with its supervisor; holds nothing of it but these two.
fn become_server(keep: [RawFd; 2], supervisor: &OwnedFd) -> bool {
    let (first, second) = (keep[0].min(keep[1]) as u32, keep[0].max(keep[1]) as u32);
    let close = |from: u32, to: u32| from > to || unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) } == 0;
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0
            // One that died before that sends no signal.
            && libc::poll(&mut libc::pollfd { fd: supervisor.as_raw_fd(), events: libc::POLLIN, revents: 0 }, 1, 0) == 0
            && libc::prctl(libc::PR_SET_NAME, c"bulkhead-share".as_ptr()) == 0
            && (first == 0 || close(0, first - 1))
            && close(first + 1, second - 1)
            && close(second + 1, u32::MAX)
    }
}
