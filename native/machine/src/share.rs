//! The servers of a machine's shares: one process each, with one end of a stream; the monitor gets the other. They are in the machine's
//! control group, so that what they use is the machine's, and they end with it.

use bulkhead_cgroup::Attach;
use bulkhead_wire::plan::Share;
use bulkhead_wire::{Code, Failure};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Starts the server of one share and gives the monitor's end. Whether the source can be served shows in the guest's first question.
pub fn start(share: &Share, attach: &Attach) -> Result<OwnedFd, Failure> {
    if std::fs::symlink_metadata(&share.source).is_err() {
        let what = format!("{} is not there to be shown in the machine", bulkhead_wire::failure::quote(&share.source));
        return Err(Failure::new(Code::NotFound, what));
    }
    let (theirs, ours) = UnixStream::pair().map_err(|error| Failure::from_io("make a share's channel", &error))?;
    // The supervisor has one thread, so its fork may go on with its own work.
    let supervisor = std::process::id() as i32;
    match unsafe { libc::fork() } {
        -1 => Err(Failure::system("start a share's server")),
        0 => {
            let stream = OwnedFd::from(ours);
            let alone = attach.join() && become_server(stream.as_raw_fd(), supervisor);
            let served = alone && bulkhead_share::serve(stream, Path::new(&share.source), share.read_only).is_ok();
            unsafe { libc::_exit(i32::from(!served)) }
        }
        _ => Ok(OwnedFd::from(theirs)),
    }
}

/// Dies with its supervisor; holds nothing of it but the stream.
fn become_server(stream: RawFd, supervisor: i32) -> bool {
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0
            // One that died before that sends no signal.
            && libc::getppid() == supervisor
            && libc::prctl(libc::PR_SET_NAME, c"bulkhead-share".as_ptr()) == 0
            && (stream < 1 || libc::syscall(libc::SYS_close_range, 0, stream as u32 - 1, 0) == 0)
            && libc::syscall(libc::SYS_close_range, stream as u32 + 1, u32::MAX, 0) == 0
    }
}
