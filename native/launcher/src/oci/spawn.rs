//! Starts the runtime: a fork of this small process, put into the workload's control groups before it executes anything, from a
//! sealed copy in memory, with pipes for stdio and no descriptor beyond those named.

use bulkhead_cgroup::Attach;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A runtime's command line, and what it inherits.
pub struct Spawn<'a> {
    pub program: RawFd,
    pub arguments: Vec<CString>,
    pub stdio: [RawFd; 3],
    /// Descriptors that the child keeps, at fixed numbers from FIRST_KEPT on, in this order.
    pub kept: &'a [RawFd],
    pub attach: Option<&'a Attach>,
    /// Done in the child before it becomes the program: what it dirties of the heap goes with it, and the supervisor stays small.
    pub prepare: &'a dyn Fn() -> bool,
}

/// Number of the first kept descriptor in the child. The runtime marks everything from 3 on close-on-exec before the workload's own program.
pub const FIRST_KEPT: RawFd = 10;
/// Temporary numbers beyond every descriptor of a supervisor.
const ASIDE: RawFd = 500;

#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

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
            libc::write(score, c"0".as_ptr().cast(), 1);
            // Aside first: a target number may be somebody's source.
            for (at, fd) in self.stdio.iter().chain(self.kept).enumerate() {
                if libc::dup3(*fd, ASIDE + at as RawFd, libc::O_CLOEXEC) < 0 {
                    libc::_exit(127);
                }
            }
            let program = ASIDE + 100;
            libc::dup3(self.program, program, libc::O_CLOEXEC);
            for number in 0..3 {
                libc::dup2(ASIDE + number, number);
            }
            for at in 0..self.kept.len() as RawFd {
                libc::dup2(ASIDE + 3 + at, FIRST_KEPT + at);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            libc::syscall(libc::SYS_execveat, program, c"".as_ptr(), arguments.as_ptr(), environment.as_ptr(), libc::AT_EMPTY_PATH);
            libc::_exit(127);
        }
    }
}

/// A fork, on v2 born into the group. The child of v1 still has to enter.
fn fork(attach: Option<&Attach>) -> io::Result<i32> {
    let mut clone = CloneArguments { exit_signal: libc::SIGCHLD as u64, ..CloneArguments::default() };
    if let Some(group) = attach.and_then(Attach::clone_descriptor) {
        clone.flags = CLONE_INTO_CGROUP;
        clone.cgroup = group as u64;
    }
    match unsafe { libc::syscall(libc::SYS_clone3, &clone, size_of::<CloneArguments>()) } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid as i32),
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
