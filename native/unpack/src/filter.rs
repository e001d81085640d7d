//! Seccomp filters. For our own unpacker the list of what it may call is known and short; for mkfs.erofs, which links the system's C
//! library, the list of what it must not call.

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

const UNPACKING: &[c_long] = &[
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_lseek, libc::SYS_close, libc::SYS_ftruncate,
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_mkdirat, libc::SYS_mknodat, libc::SYS_symlinkat, libc::SYS_linkat, libc::SYS_unlinkat,
    libc::SYS_renameat2, libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_newfstatat, libc::SYS_fstat, libc::SYS_statx, libc::SYS_fstatfs, libc::SYS_fcntl,
    libc::SYS_fchdir, libc::SYS_getcwd, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_utimensat,
    libc::SYS_fsetxattr, libc::SYS_lsetxattr, libc::SYS_fgetxattr, libc::SYS_flistxattr, libc::SYS_syncfs, libc::SYS_fsync,
    libc::SYS_copy_file_range, libc::SYS_sendfile, libc::SYS_splice,
    libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
    libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_gettid, libc::SYS_getpid, libc::SYS_tgkill,
    libc::SYS_rt_sigprocmask, libc::SYS_rt_sigaction, libc::SYS_rt_sigreturn, libc::SYS_sigaltstack, libc::SYS_restart_syscall,
    libc::SYS_clock_gettime, libc::SYS_clock_nanosleep, libc::SYS_nanosleep, libc::SYS_getrandom, libc::SYS_exit, libc::SYS_exit_group,
    // Progress and the answer go out over a pipe or a socket that the launcher had opened.
    libc::SYS_sendto, libc::SYS_sendmsg, libc::SYS_dup,
];

const ADMINISTRATION: &[c_long] = &[
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_setns, libc::SYS_unshare, libc::SYS_fsopen, libc::SYS_fsmount,
    libc::SYS_fsconfig, libc::SYS_fspick, libc::SYS_move_mount, libc::SYS_open_tree, libc::SYS_mount_setattr, libc::SYS_bpf, libc::SYS_perf_event_open,
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load, libc::SYS_reboot, libc::SYS_swapon, libc::SYS_swapoff,
    libc::SYS_sethostname, libc::SYS_setdomainname, libc::SYS_quotactl, libc::SYS_syslog, libc::SYS_acct, libc::SYS_userfaultfd, libc::SYS_io_uring_setup,
    libc::SYS_socket, libc::SYS_name_to_handle_at, libc::SYS_open_by_handle_at, libc::SYS_fanotify_init, libc::SYS_pidfd_getfd, libc::SYS_lsetxattr, libc::SYS_setxattr,
    libc::SYS_fsetxattr, libc::SYS_mknodat,
];

/// Everything else is refused. Threads may be started; processes and namespaces may not.
pub fn allow_unpacking() -> Result<()> {
    let mut program = prologue();
    // glibc tries clone3 first, whose flags a filter cannot see, and falls back to clone.
    program.extend(when(libc::SYS_clone3, NO_SUCH_CALL));
    program.extend([
        jump(BPF_JEQ, libc::SYS_clone as u32, 0, 4),
        load(16),
        jump(BPF_JSET, libc::CLONE_THREAD as u32, 0, 1),
        answer(ALLOW),
        answer(NOT_PERMITTED),
    ]);
    for call in UNPACKING {
        program.extend(when(*call, ALLOW));
    }
    program.push(answer(NOT_PERMITTED));
    install(&program)
}

pub fn refuse_administration() -> Result<()> {
    let mut program = prologue();
    for call in ADMINISTRATION {
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
