//! From clone to exec. Everything was prepared by `launch`: here are only system calls, no allocation, no locks (other
//! threads of the agent may have held them at the clone).

use crate::capability;
use crate::inside::Inside;
use crate::sys::errno;
use std::ffi::CString;
use std::os::fd::RawFd;

/// Where a child stood when it failed. The number travels through the status pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    Enter = 1,
    Parameters,
    Join,
    Stdio,
    Rlimits,
    Adjust,
    Directory,
    Identity,
    Capabilities,
    Exec,
}

pub const STEPS: [Step; 10] =
    [Step::Enter, Step::Parameters, Step::Join, Step::Stdio, Step::Rlimits, Step::Adjust, Step::Directory, Step::Identity, Step::Capabilities, Step::Exec];

pub struct Child<'a> {
    /// The main process's: it makes the view. An exec joins.
    pub inside: Option<(&'a Inside, Option<CString>)>,
    /// The main process's pidfd, for an exec.
    pub join: Option<RawFd>,
    pub init: bool,
    pub stdio: [RawFd; 3],
    pub terminal: bool,
    pub status: RawFd,
    pub rlimits: Vec<(u32, libc::rlimit)>,
    pub oom_score_adjust: Option<CString>,
    pub directory: CString,
    /// The directory's ancestors and itself, to be made where missing; empty for an exec.
    pub make: Vec<CString>,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub capabilities: u64,
    pub no_new_privileges: bool,
    pub candidates: Vec<CString>,
    pub arguments: Vec<*const libc::c_char>,
    pub environment: Vec<*const libc::c_char>,
}

impl Child<'_> {
    /// Never returns: the program runs, or the status pipe says what failed.
    pub fn run(&self) -> ! {
        reset_signals();
        // From its first moment to the program's: a process of the workload with the same user and privileges could otherwise look into it, or
        // lead it, once it has given its own up, while it still holds what is the agent's.
        self.check(hide(), Step::Enter);
        if let Some((inside, console)) = &self.inside {
            self.check(inside.enter(console.as_deref()), Step::Enter);
            self.check(inside.set_parameters(), Step::Parameters);
            self.check(inside.guard(), Step::Enter);
        }
        if let Some(main) = self.join {
            let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
            self.check(unsafe { libc::setns(main, namespaces) } == 0, Step::Join);
        }
        if self.init {
            self.become_init();
        }
        self.check(self.wire_stdio(), Step::Stdio);
        self.check(self.rlimits.iter().all(|(which, limit)| unsafe { libc::setrlimit(*which, limit) } == 0), Step::Rlimits);
        if let Some(text) = &self.oom_score_adjust {
            self.check(write_own(c"/proc/self/oom_score_adj", text.as_bytes()), Step::Adjust);
        }
        for directory in &self.make {
            unsafe { libc::mkdir(directory.as_ptr(), 0o755) };
        }
        // As root first: a directory that only root may enter is still a working directory, as in every other runtime.
        let entered = unsafe { libc::chdir(self.directory.as_ptr()) } == 0;
        self.check(capability::bound(self.capabilities), Step::Capabilities);
        self.check(self.take_identity(), Step::Identity);
        // A change of user sets this anew, as the guest's sysctl says.
        self.check(hide(), Step::Identity);
        self.check(entered || unsafe { libc::chdir(self.directory.as_ptr()) } == 0, Step::Directory);
        self.check(capability::set(if self.uid == 0 { self.capabilities } else { 0 }), Step::Capabilities);
        if self.no_new_privileges {
            self.check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0, Step::Capabilities);
        }
        self.execute()
    }

    fn check(&self, done: bool, step: Step) {
        if !done {
            self.fail(step, errno());
        }
    }

    fn fail(&self, step: Step, error: i32) -> ! {
        let word = error.to_le_bytes();
        let report = [step as u8, word[0], word[1], word[2], word[3]];
        unsafe {
            libc::write(self.status, report.as_ptr().cast(), report.len());
            libc::_exit(127)
        }
    }

    fn wire_stdio(&self) -> bool {
        unsafe {
            let mut done = libc::setsid() >= 0;
            for (place, fd) in self.stdio.iter().enumerate() {
                done = done && libc::dup2(*fd, place as i32) >= 0;
            }
            done && (!self.terminal || libc::ioctl(0, libc::TIOCSCTTY, 0) == 0)
        }
    }

    /// By the bare system calls: the C library's would look for the agent's other threads, which are not in this process.
    fn take_identity(&self) -> bool {
        let (uid, gid) = (self.uid, self.gid);
        unsafe {
            libc::syscall(libc::SYS_setgroups, self.groups.len(), self.groups.as_ptr()) == 0
                && libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
                && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
        }
    }

    /// Tries each place in order. One that may not be executed is remembered: it says more than one that is not there.
    fn execute(&self) -> ! {
        let mut worst = libc::ENOENT;
        for candidate in &self.candidates {
            unsafe { libc::execve(candidate.as_ptr(), self.arguments.as_ptr(), self.environment.as_ptr()) };
            match errno() {
                libc::ENOENT | libc::ENOTDIR => {}
                error => worst = error,
            }
        }
        self.fail(Step::Exec, worst)
    }

    /// Splits in two: the new process goes on here, this one stays as process 1, reaps, and hands signals on.
    fn become_init(&self) {
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
            let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as i32;
            if child == 0 {
                libc::sigprocmask(libc::SIG_UNBLOCK, &all, std::ptr::null_mut());
                return;
            }
            // Nothing of the agent's stays with it: an end of the input that it held would keep the input open.
            libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
            if child < 0 {
                libc::_exit(126);
            }
            loop {
                let signal = libc::sigwaitinfo(&all, std::ptr::null_mut());
                if signal > 0 && signal != libc::SIGCHLD {
                    libc::kill(child, signal);
                }
                let mut status = 0;
                loop {
                    let gone = libc::waitpid(-1, &mut status, libc::WNOHANG);
                    if gone <= 0 {
                        break;
                    }
                    if gone == child {
                        let code = if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
                        libc::_exit(code);
                    }
                }
            }
        }
    }
}

/// Nobody but the guest's root with all its rights may trace this process, until it executes a program.
fn hide() -> bool {
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 }
}

/// The agent blocks some signals and ignores SIGPIPE; a program expects neither.
pub fn reset_signals() {
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

fn write_own(path: &std::ffi::CStr, text: &[u8]) -> bool {
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let done = fd >= 0 && libc::write(fd, text.as_ptr().cast(), text.len()) >= 0;
        libc::close(fd);
        done
    }
}
