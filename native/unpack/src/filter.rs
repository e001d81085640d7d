//! Seccomp filters. For our own unpacker the list of what it may call is known and short; for mkfs.erofs, which links the system's C
//! library, the list of what it must not call.

use std::io::Result;

use bulkhead_filter::{OWN_AFFAIRS, Threads, allow, refuse};
use libc::c_long;

const UNPACKING: &[c_long] = &[
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_lseek, libc::SYS_close, libc::SYS_ftruncate,
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_mkdirat, libc::SYS_mknodat, libc::SYS_symlinkat, libc::SYS_linkat, libc::SYS_unlinkat,
    libc::SYS_renameat2, libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_newfstatat, libc::SYS_fstat, libc::SYS_statx, libc::SYS_fstatfs, libc::SYS_fcntl,
    libc::SYS_fchdir, libc::SYS_getcwd, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_utimensat,
    libc::SYS_fsetxattr, libc::SYS_lsetxattr, libc::SYS_fgetxattr, libc::SYS_flistxattr, libc::SYS_syncfs, libc::SYS_fsync,
    libc::SYS_copy_file_range, libc::SYS_sendfile, libc::SYS_splice,
    libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
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
    allow(&[OWN_AFFAIRS, UNPACKING], Threads::More)
}

pub fn refuse_administration() -> Result<()> {
    refuse(ADMINISTRATION)
}
