//! The runner's own system calls: a closed list, entered before the first foreign byte is read. Everything else fails with EPERM.
//!
//! Left out on purpose: sockets of any kind, execution, links (what this process writes below a workload's directory is read by the
//! daemon, and a link would lead it elsewhere), device nodes, mounts, namespaces, tracing, other processes.

use std::io;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Compile,
    Serve,
}

/// Address space and processor time of one compilation: a hostile module costs this much and no more.
const COMPILE_BYTES: u64 = 8 << 30;
const COMPILE_SECONDS: u64 = 300;

/// Memory, threads, time, and the descriptors that are there already.
const BASE: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_restart_syscall,
];

/// Files below what was handed over, and the sockets of launcher and clients.
const SERVE: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_utimensat,
    libc::SYS_fstatfs,
    libc::SYS_dup,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_accept4,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_shutdown,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_prctl,
];

/// Spelled so on this processor alone.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[libc::SYS_open, libc::SYS_stat, libc::SYS_unlink, libc::SYS_mkdir, libc::SYS_rename, libc::SYS_rmdir, libc::SYS_readlink, libc::SYS_poll, libc::SYS_epoll_wait];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST: u32 = 16;
const SECOND: u32 = 24;
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;
const THREAD_FLAGS: u32 = (libc::CLONE_THREAD | libc::CLONE_VM) as u32;
const FIONBIO: u32 = 0x5421;

/// No way back.
pub fn enter(purpose: Purpose) -> io::Result<()> {
    if purpose == Purpose::Compile {
        limit(libc::RLIMIT_AS, COMPILE_BYTES)?;
        limit(libc::RLIMIT_CPU, COMPILE_SECONDS)?;
    }
    let mut filter = filter(purpose);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn limit(resource: libc::__rlimit_resource_t, most: u64) -> io::Result<()> {
    let wanted = libc::rlimit { rlim_cur: most, rlim_max: most };
    if unsafe { libc::setrlimit(resource, &wanted) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn filter(purpose: Purpose) -> Vec<libc::sock_filter> {
    let load = |offset| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let equal = |value, yes, no| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no);
    let done = |verdict| step(libc::BPF_RET | libc::BPF_K, verdict, 0, 0);
    let mut steps = vec![load(ARCH), equal(ARCHITECTURE, 1, 0), done(KILL), load(NUMBER)];
    let mut allow = |numbers: &[libc::c_long]| {
        for number in numbers {
            steps.extend([equal(*number as u32, 0, 1), done(ALLOW)]);
        }
    };
    allow(BASE);
    if purpose == Purpose::Serve {
        allow(SERVE);
        allow(OLDER);
        // Threads, and no other kind of child; the C library falls back to this call where the newer one is unknown.
        let refuse = ERRNO | libc::ENOSYS as u32;
        steps.extend([equal(libc::SYS_clone3 as u32, 0, 1), done(refuse)]);
        steps.extend([equal(libc::SYS_clone as u32, 0, 5), load(FIRST), step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, THREAD_FLAGS, 0, 0)]);
        steps.extend([equal(THREAD_FLAGS, 0, 1), done(ALLOW), done(ERRNO | libc::EPERM as u32)]);
        steps.extend([equal(libc::SYS_ioctl as u32, 0, 4), load(SECOND), equal(FIONBIO, 0, 1), done(ALLOW), done(ERRNO | libc::EPERM as u32)]);
    }
    steps.push(done(ERRNO | libc::EPERM as u32));
    steps
}

fn step(code: u32, value: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: yes, jf: no, k: value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a child: there is no way back for a process that has entered.
    fn confined(attempt: impl FnOnce() -> i32) -> i32 {
        match unsafe { libc::fork() } {
            0 => {
                let code = if enter(Purpose::Serve).is_ok() { attempt() } else { 99 };
                unsafe { libc::_exit(code) }
            }
            child => {
                let mut status = 0;
                unsafe { libc::waitpid(child, &mut status, 0) };
                if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 }
            }
        }
    }

    fn error_of(result: libc::c_long) -> i32 {
        if result >= 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(0) }
    }

    #[test]
    fn links_sockets_and_programs_are_out_of_reach() {
        let path = c"/tmp/bulkhead-wasm-sandbox-test".as_ptr();
        assert_eq!(confined(|| unsafe { error_of(libc::symlink(c"/etc/passwd".as_ptr(), path).into()) }), libc::EPERM);
        assert_eq!(confined(|| unsafe { error_of(libc::link(c"/etc/passwd".as_ptr(), path).into()) }), libc::EPERM);
        assert_eq!(confined(|| unsafe { error_of(libc::mkfifo(path, 0o600).into()) }), libc::EPERM);
        assert_eq!(confined(|| unsafe { error_of(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0).into()) }), libc::EPERM);
        assert_eq!(confined(|| unsafe { error_of(libc::execve(c"/bin/true".as_ptr(), std::ptr::null(), std::ptr::null()).into()) }), libc::EPERM);
        assert_eq!(confined(|| unsafe { error_of(libc::fork().into()) }), libc::EPERM);
    }

    #[test]
    fn what_the_runner_needs_is_there() {
        assert_eq!(confined(|| std::thread::Builder::new().spawn(|| 7).map_or(1, |thread| thread.join().map_or(2, |seven| seven - 7))), 0);
        assert_eq!(confined(|| unsafe { error_of(libc::eventfd(0, libc::EFD_CLOEXEC).into()) }), 0);
    }
}
