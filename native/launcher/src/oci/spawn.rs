//! Starts the runtime: a fork of this small process, put into the workload's control groups before it executes anything, from a
//! sealed copy in memory, with pipes for stdio and no descriptor beyond those named.

use bulkhead_cgroup::Attach;
use bulkhead_wire::birth::Birth;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A runtime's command line, and what it inherits.
pub struct Spawn<'a> {
    pub program: RawFd,
    pub arguments: Vec<CString>,
    pub stdio: [RawFd; 3],
    /// Descriptors that the child keeps, at fixed numbers from FIRST_KEPT on, in this order. No directory may be among them: see `console::place`.
    pub kept: &'a [RawFd],
    pub attach: Option<&'a Attach>,
    /// What the memory killer thinks of it: at most 0 where the workload may not lower it itself.
    pub score: i32,
    /// Done in the child before it becomes the program: what it dirties of the heap goes with it, and the supervisor stays small.
    pub prepare: &'a dyn Fn() -> bool,
}

/// Number of the first kept descriptor in the child. The runtime marks everything from 3 on close-on-exec before the workload's own program.
pub const FIRST_KEPT: RawFd = 10;
/// Temporary copies get free numbers from here on: beyond every target, and never one that is somebody's already.
const ASIDE: RawFd = 100;
/// Stdio and what is kept beside it.
const MOST_COPIES: usize = 16;

impl Spawn<'_> {
    /// The child's pid. It ends with status 127 where it could not be executed, 126 where the control groups refused it.
    pub fn start(&self) -> io::Result<i32> {
        let mut arguments: Vec<*const libc::c_char> = self.arguments.iter().map(|argument| argument.as_ptr()).collect();
        arguments.push(std::ptr::null());
        let environment = [c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".as_ptr(), std::ptr::null()];
        match fork(self.attach)? {
            0 => self.become_program(&arguments, &environment),
            pid => Ok(pid),
        }
    }

    /// In the child. This process has one thread, so that the child may still allocate.
    fn become_program(&self, arguments: &[*const libc::c_char], environment: &[*const libc::c_char]) -> ! {
        unsafe {
            if !(self.prepare)() {
                libc::_exit(125);
            }
            if !self.attach.is_none_or(Attach::enter) {
                libc::_exit(126);
            }
            // The supervisor's own protection from the memory killer is not for the workload; its configuration may set another.
            let score = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            let text = self.score.to_string();
            libc::write(score, text.as_ptr().cast(), text.len());
            // Aside first: a target number may be somebody's source.
            let mut aside = [-1; MOST_COPIES];
            for (copy, fd) in aside.iter_mut().zip(self.stdio.iter().chain(self.kept)) {
                *copy = set_aside(*fd);
            }
            let program = set_aside(self.program);
            for (number, copy) in (0..3).zip(&aside) {
                expect(libc::dup2(*copy, number));
            }
            for (number, copy) in (FIRST_KEPT..).zip(&aside[3..]).take(self.kept.len()) {
                expect(libc::dup2(*copy, number));
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            libc::syscall(libc::SYS_execveat, program, c"".as_ptr(), arguments.as_ptr(), environment.as_ptr(), libc::AT_EMPTY_PATH);
            libc::_exit(127);
        }
    }
}

/// In the child: a copy whose number is in nobody's way.
fn set_aside(fd: RawFd) -> RawFd {
    expect(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ASIDE) })
}

/// In the child: it must not become the program with another descriptor than the one that was meant.
fn expect(result: i32) -> i32 {
    if result < 0 {
        unsafe { libc::_exit(127) }
    }
    result
}

/// A fork, on v2 born into the group. The child of v1 still has to enter.
pub fn fork(attach: Option<&Attach>) -> io::Result<i32> {
    let group = attach.and_then(Attach::clone_descriptor);
    match (Birth { group, ..Birth::default() }).fork() {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// A fork that is inside the group when this returns in it.
pub fn fork_into(attach: &Attach) -> io::Result<i32> {
    let pid = fork(Some(attach))?;
    if pid == 0 && !attach.enter() {
        unsafe { libc::_exit(126) }
    }
    Ok(pid)
}

pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

pub fn set_nonblocking(fd: &OwnedFd) {
    unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK);
    }
}

/// A file in memory that holds these bytes, read from its start, not inherited.
pub fn memory_file(name: &std::ffi::CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut file = std::fs::File::from(fd);
    io::Write::write_all(&mut file, bytes)?;
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// A supervisor with many clients has descriptors at any number.
    #[test]
    fn a_child_gets_its_own_descriptors_whatever_their_numbers() {
        let program = std::fs::File::open("/bin/sh").unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let at = |fd: OwnedFd, number: RawFd| unsafe { OwnedFd::from_raw_fd(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number)) };
        let (output, output_inner) = pipe().unwrap();
        let (kept, kept_inner) = pipe().unwrap();
        // Each number is one that a copy of another descriptor would have been given by position.
        let (output_inner, kept_inner) = (at(output_inner, 503), at(kept_inner, 501));
        let script = [c"sh", c"-c", c"echo out; echo kept >/proc/self/fd/10"].map(CString::from);
        let spawn = Spawn {
            program: program.as_raw_fd(),
            arguments: script.into(),
            stdio: [null.as_raw_fd(), output_inner.as_raw_fd(), null.as_raw_fd()],
            kept: &[kept_inner.as_raw_fd()],
            attach: None,
            score: 0,
            prepare: &|| true,
        };
        let pid = spawn.start().unwrap();
        drop((output_inner, kept_inner));
        let read = |fd: OwnedFd| {
            let mut text = String::new();
            std::fs::File::from(fd).read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!((read(output), read(kept)), ("out\n".to_string(), "kept\n".to_string()));
        let mut status = 0;
        assert_eq!((unsafe { libc::waitpid(pid, &mut status, 0) }, status), (pid, 0));
    }
}
