//! The workload's view of its machine, made in the main process's own namespaces just before its program runs.
//!
//! Runs between clone and exec: no allocation, no locks, only system calls on what was prepared before.

use crate::sys::c;
use bulkhead_wire::Failure;
use bulkhead_wire::plan::GuestConfiguration;
use std::ffi::{CStr, CString};
use std::ptr::null;

pub struct Inside {
    sysctls: Vec<(CString, Vec<u8>)>,
    masked: Vec<CString>,
    read_only: Vec<CString>,
    read_only_root: bool,
}

const GUARDED: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

impl Inside {
    pub fn new(wanted: &GuestConfiguration) -> Result<Inside, Failure> {
        let sysctl = |(key, value): (&String, &String)| Ok((c(&format!("/proc/sys/{}", key.replace('.', "/")))?, value.clone().into_bytes()));
        let texts = |paths: &[String]| paths.iter().map(|path| c(path)).collect::<Result<Vec<_>, _>>();
        Ok(Inside {
            sysctls: wanted.sysctls.iter().map(sysctl).collect::<Result<_, Failure>>()?,
            masked: texts(&wanted.masked_paths)?,
            read_only: texts(&wanted.read_only_paths)?,
            read_only_root: wanted.read_only_root,
        })
    }

    /// Whether the workload may not write into its root.
    pub fn has_read_only_root(&self) -> bool {
        self.read_only_root
    }

    /// Pivots into `/root` and mounts what only these namespaces can. False where a call failed; errno says why.
    pub fn enter(&self, console: Option<&CStr>) -> bool {
        let entered = unsafe {
            libc::unshare(libc::CLONE_NEWCGROUP) == 0
                && libc::chdir(c"/root".as_ptr()) == 0
                && libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) == 0
                && libc::umount2(c".".as_ptr(), libc::MNT_DETACH) == 0
                && libc::chdir(c"/".as_ptr()) == 0
        };
        entered
            && mount(c"proc", c"/proc", c"proc", GUARDED)
            && mount(c"sysfs", c"/sys", c"sysfs", GUARDED | libc::MS_RDONLY)
            && mount(c"cgroup", c"/sys/fs/cgroup", c"cgroup2", GUARDED | libc::MS_RDONLY)
            // A kernel without message queues has no such filesystem.
            && (mount(c"mqueue", c"/dev/mqueue", c"mqueue", GUARDED) || crate::sys::errno() == libc::ENODEV)
            && console.is_none_or(|terminal| bind(terminal, c"/dev/console"))
    }

    /// The caller's kernel parameters, while /proc may still be written.
    pub fn set_parameters(&self) -> bool {
        self.sysctls.iter().all(|(path, value)| write(path, value))
    }

    /// Takes away what the workload may not see or change.
    pub fn guard(&self) -> bool {
        self.masked.iter().all(|path| mask(path))
            && self.read_only.iter().all(|path| make_read_only(path))
            && (!self.read_only_root || remount_read_only(c"/"))
    }
}

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: libc::c_ulong) -> bool {
    unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, null()) == 0 }
}

fn bind(source: &CStr, target: &CStr) -> bool {
    unsafe { libc::mount(source.as_ptr(), target.as_ptr(), null(), libc::MS_BIND | libc::MS_REC, null()) == 0 }
}

fn remount_read_only(target: &CStr) -> bool {
    let flags = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY;
    let plain = unsafe { libc::mount(null(), target.as_ptr(), null(), flags, null()) == 0 };
    // Below /proc and /sys the other guards are there already and must be repeated.
    plain || unsafe { libc::mount(null(), target.as_ptr(), null(), flags | GUARDED, null()) == 0 }
}

fn write(path: &CStr, value: &[u8]) -> bool {
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return false;
        }
        let done = libc::write(fd, value.as_ptr().cast(), value.len()) == value.len() as isize;
        libc::close(fd);
        done
    }
}

/// Nothing to be seen there: an empty directory, or an empty file. What this kernel does not have needs no mask.
fn mask(path: &CStr) -> bool {
    if bind(c"/dev/null", path) {
        return true;
    }
    match crate::sys::errno() {
        libc::ENOENT => true,
        libc::ENOTDIR => unsafe { libc::mount(c"tmpfs".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), GUARDED | libc::MS_RDONLY, c"size=0".as_ptr().cast()) == 0 },
        _ => false,
    }
}

fn make_read_only(path: &CStr) -> bool {
    (bind(path, path) && remount_read_only(path)) || crate::sys::errno() == libc::ENOENT
}
