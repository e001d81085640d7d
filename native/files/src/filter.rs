//! The calls that reading and writing trees takes. No process, program, socket, mount, namespace, key, other process, handle or ring among them.

use bulkhead_filter::{OWN_AFFAIRS, Threads, allow};
use libc::c_long;

const FILES: &[c_long] = &[
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_lseek, libc::SYS_close, libc::SYS_fcntl, libc::SYS_ftruncate,
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_getdents64, libc::SYS_readlinkat, libc::SYS_newfstatat, libc::SYS_fstat, libc::SYS_statx, libc::SYS_fstatfs,
    libc::SYS_mkdirat, libc::SYS_mknodat, libc::SYS_symlinkat, libc::SYS_linkat, libc::SYS_unlinkat,
    libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_utimensat,
    libc::SYS_fsetxattr, libc::SYS_fgetxattr, libc::SYS_flistxattr,
    // A machine's, after the work: what was written reaches its disk.
    libc::SYS_sync,
];

/// For good. To be called once the root is open.
pub fn enter() -> std::io::Result<()> {
    allow(&[OWN_AFFAIRS, FILES], Threads::None)
}
