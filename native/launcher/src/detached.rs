//! What a fork of the launcher does before anything else, and how ends and signals become descriptors.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Blocks a signal and gives a descriptor that becomes readable when it comes.
pub fn signal_descriptor(signal: i32) -> io::Result<OwnedFd> {
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        if libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// For a fork that has no descriptor for signals of its own: what asks it to end shall end it.
pub fn unblock_signals() {
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Undoes what whoever started the launcher had ignored (a shell its interrupts, nohup the hangup): programs inherit that, and so would
/// every workload. SIGPIPE stays as Rust has it.
pub fn default_signals() {
    for signal in (1..=64).filter(|signal| *signal != libc::SIGPIPE) {
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Closes every descriptor from 3 on but these, whatever they are and whoever opened them.
pub fn close_others(keep: &[RawFd]) {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd >= 3).collect();
    keep.sort_unstable();
    let mut from = 3;
    for fd in keep {
        if fd > from {
            close_range(from, fd - 1);
        }
        from = from.max(fd + 1);
    }
    close_range(from, i32::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// Standard descriptors that lead nowhere. Never the host's own /dev/null: a runtime that inherits it may change its owner.
pub fn silence() {
    let mut ends = [0; 2];
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return;
    }
    unsafe {
        libc::dup2(ends[0], 0);
        libc::dup2(ends[1], 1);
        libc::dup2(ends[1], 2);
        libc::close(ends[0]);
        libc::close(ends[1]);
        // The reading end is this process's own stdin: writes never break, and beyond the pipe's size they are dropped.
        let flags = libc::fcntl(1, libc::F_GETFL);
        libc::fcntl(1, libc::F_SETFL, flags | libc::O_NONBLOCK);
    }
}

pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    match unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } {
        -1 => Err(io::Error::last_os_error()),
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
    }
}

/// Waits until the process of a pidfd has ended; false after `timeout_ms`.
pub fn wait_ended(pidfd: &OwnedFd, timeout_ms: i32) -> bool {
    let mut set = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    unsafe { libc::poll(&mut set, 1, timeout_ms) == 1 }
}

pub fn send_signal(pidfd: &OwnedFd, signal: i32) {
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<u8>(), 0) };
}

/// When a process began, in clock ticks since boot: with its pid it names one process for ever.
pub fn start_time(pid: i32) -> Option<u64> {
    // Its name may be any bytes.
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    String::from_utf8_lossy(&stat).rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

pub fn set_name(name: &std::ffi::CStr) {
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}
