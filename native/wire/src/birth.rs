//! clone3(2): a fork that may be born into a control group and into namespaces of its own.

use std::os::fd::RawFd;

/// `linux/sched.h`: `struct clone_args`.
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

#[derive(Default)]
pub struct Birth<'a> {
    /// `CLONE_NEW…`.
    pub namespaces: libc::c_int,
    /// An open directory of cgroup v2.
    pub group: Option<RawFd>,
    /// Where the child's pidfd is left.
    pub pidfd: Option<&'a mut RawFd>,
}

impl Birth<'_> {
    /// As fork(2): 0 in the child, its pid in the parent, -1 with `errno` set. Only for a process of one thread, or for a child that makes
    /// nothing but system calls.
    pub fn fork(self) -> i32 {
        let mut arguments = CloneArguments { flags: self.namespaces as u64, exit_signal: libc::SIGCHLD as u64, ..CloneArguments::default() };
        if let Some(group) = self.group {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = group as u64;
        }
        if let Some(pidfd) = self.pidfd {
            arguments.flags |= libc::CLONE_PIDFD as u64;
            arguments.pidfd = &raw mut *pidfd as u64;
        }
        unsafe { libc::syscall(libc::SYS_clone3, &arguments, size_of::<CloneArguments>()) as i32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_born_with_a_descriptor_of_itself() {
        let mut pidfd = -1;
        let pid = Birth { pidfd: Some(&mut pidfd), ..Birth::default() }.fork();
        if pid == 0 {
            unsafe { libc::_exit(7) }
        }
        let mut status = 0;
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        assert_eq!(libc::WEXITSTATUS(status), 7);
        assert!(pidfd >= 0 && unsafe { libc::close(pidfd) } == 0);
    }
}
