//! Seccomp filters for what this process itself may still call. Entered for good, by a process that can gain no new privileges.

use std::io::{Error, Result};

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long, sock_filter};

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const NOT_PERMITTED: u32 = 0x0005_0000 | libc::EPERM as u32;
const NO_SUCH_CALL: u32 = 0x0005_0000 | libc::ENOSYS as u32;

/// What a program of ours cannot do without, whatever it is for: memory, its own signals, time, entropy, its end.
pub const OWN_AFFAIRS: &[c_long] = &[
    libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
    libc::SYS_futex, libc::SYS_gettid, libc::SYS_getpid, libc::SYS_tgkill,
    libc::SYS_rt_sigprocmask, libc::SYS_rt_sigaction, libc::SYS_rt_sigreturn, libc::SYS_sigaltstack, libc::SYS_restart_syscall,
    libc::SYS_clock_gettime, libc::SYS_getrandom, libc::SYS_exit, libc::SYS_exit_group,
];

/// Whether it may still start threads. Processes and namespaces may not be started in any case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    None,
    More,
}

/// Only these calls; every other one fails with EPERM.
pub fn allow(lists: &[&[c_long]], threads: Threads) -> Result<()> {
    let mut program = prologue();
    if threads == Threads::More {
        // glibc tries clone3 first, whose flags a filter cannot see, and falls back to clone.
        program.extend(when(libc::SYS_clone3, NO_SUCH_CALL));
        program.extend([
            jump(BPF_JEQ, libc::SYS_clone as u32, 0, 4),
            load(16),
            jump(BPF_JSET, libc::CLONE_THREAD as u32, 0, 1),
            answer(ALLOW),
            answer(NOT_PERMITTED),
        ]);
    }
    for call in lists.iter().copied().flatten() {
        program.extend(when(*call, ALLOW));
    }
    program.push(answer(NOT_PERMITTED));
    install(&program)
}

/// All calls but these, which fail with EPERM: for programs that are not ours.
pub fn refuse(calls: &[c_long]) -> Result<()> {
    let mut program = prologue();
    for call in calls {
        program.extend(when(*call, NOT_PERMITTED));
    }
    program.push(answer(ALLOW));
    install(&program)
}

/// Another architecture's calls have other numbers, and so have x32's: the first kills, the second are above.
fn prologue() -> Vec<sock_filter> {
    let mut program = vec![load(4), jump(BPF_JEQ, ARCHITECTURE, 1, 0), answer(KILL), load(0)];
    if cfg!(target_arch = "x86_64") {
        program.extend([jump(BPF_JSET, 0x4000_0000, 0, 1), answer(KILL)]);
    }
    program
}

fn when(call: c_long, verdict: u32) -> [sock_filter; 2] {
    [jump(BPF_JEQ, call as u32, 0, 1), answer(verdict)]
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

fn jump(test: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt, jf, k }
}

fn answer(verdict: u32) -> sock_filter {
    sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: verdict }
}

fn install(program: &[sock_filter]) -> Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| Error::from_raw_os_error(libc::E2BIG))?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a child, which has no way back: what it exits with.
    fn confined(enter: impl FnOnce() -> Result<()>, attempt: impl FnOnce() -> i32) -> i32 {
        let child = unsafe { libc::fork() };
        if child == 0 {
            let entered = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0 && enter().is_ok();
            unsafe { libc::_exit(if entered { attempt() } else { 99 }) }
        }
        let mut status = 0;
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
    }

    fn error_of(result: c_long) -> i32 {
        if result < 0 { Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 }
    }

    #[test]
    fn what_is_not_on_the_list_is_refused_and_what_is_goes_through() {
        let parent = || error_of(unsafe { libc::syscall(libc::SYS_getppid) });
        let own = || error_of(unsafe { libc::syscall(libc::SYS_getpid) });
        assert_eq!(confined(|| allow(&[OWN_AFFAIRS], Threads::None), parent), libc::EPERM);
        assert_eq!(confined(|| allow(&[OWN_AFFAIRS], Threads::None), own), 0);
        assert_eq!(confined(|| refuse(&[libc::SYS_getppid]), parent), libc::EPERM);
        assert_eq!(confined(|| refuse(&[libc::SYS_getppid]), own), 0);
    }

    #[test]
    fn no_process_is_started_whether_or_not_threads_may_be() {
        for threads in [Threads::None, Threads::More] {
            assert_eq!(confined(|| allow(&[OWN_AFFAIRS], threads), || error_of(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) })), libc::EPERM);
        }
    }
}
