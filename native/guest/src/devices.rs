//! /dev as a container finds it, made before the agent's first word, so that machines that begin from a template have it ready: with an
//! emulated processor each first use of a part of the kernel costs, and this uses many. Moved into the workload's root as a whole.

use crate::root::Root;
use crate::sys::{self, c};
use bulkhead_wire::Failure;

const PREPARED: &str = "/devices";
const DEFAULT_SHM_BYTES: u64 = 64 << 20;
/// Name, major, minor: what every container finds in /dev. All may be read and written by anybody.
const DEVICES: [(&str, u32, u32); 7] = [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0), ("fuse", 10, 229)];
const LINKS: [(&str, &str); 5] =
    [("/proc/self/fd", "fd"), ("/proc/self/fd/0", "stdin"), ("/proc/self/fd/1", "stdout"), ("/proc/self/fd/2", "stderr"), ("pts/ptmx", "ptmx")];
const GUARDED: libc::c_ulong = libc::MS_NOSUID | libc::MS_NOEXEC;

/// Devices, links, terminals, shared memory, on a place of their own.
pub fn prepare() -> Result<(), Failure> {
    sys::mkdir(PREPARED, 0o755)?;
    sys::mount("tmpfs", PREPARED, "tmpfs", libc::MS_NOSUID, "mode=0755,size=64k")?;
    for (name, major, minor) in DEVICES {
        let path = c(&format!("{PREPARED}/{name}"))?;
        unsafe {
            libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(major, minor));
            libc::chmod(path.as_ptr(), 0o666);
        }
    }
    for (target, name) in LINKS {
        std::os::unix::fs::symlink(target, format!("{PREPARED}/{name}")).map_err(|error| Failure::from_io("fill /dev", &error))?;
    }
    sys::write_file(&format!("{PREPARED}/console"), "")?;
    for name in ["mqueue", "pts", "shm"] {
        sys::mkdir(&format!("{PREPARED}/{name}"), 0o755)?;
    }
    sys::mount("devpts", &format!("{PREPARED}/pts"), "devpts", GUARDED, "newinstance,ptmxmode=0666,mode=0620,gid=5")?;
    sys::mount("shm", &shm(), "tmpfs", GUARDED | libc::MS_NODEV, &format!("mode=1777,size={DEFAULT_SHM_BYTES}"))
}

fn shm() -> String {
    format!("{PREPARED}/shm")
}

/// Shows them in the workload's root; 0 bytes of shared memory are the usual size.
pub fn move_into(root: &Root, shm_bytes: u64) -> Result<(), Failure> {
    if !matches!(shm_bytes, 0 | DEFAULT_SHM_BYTES) {
        sys::mount("", &shm(), "", libc::MS_REMOUNT | GUARDED | libc::MS_NODEV, &format!("mode=1777,size={shm_bytes}"))?;
    }
    sys::mount(PREPARED, &root.directory("/dev")?.path(), "", libc::MS_MOVE, "")
}
