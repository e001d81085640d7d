//! Before the first byte of a guest is read, the process gives up what it does not need. After it, a server that a guest has taken over
//! reaches the share and nothing else.

use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

const OPEN_TREE_CLONE: u32 = 1;
const AT_RECURSIVE: u32 = 0x8000;
const MOUNT_ATTR_RDONLY: u64 = 1;
const MOUNT_ATTR_NODEV: u64 = 4;
const SECURE_NO_SETUID_FIXUP: libc::c_ulong = 1 << 2;
/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID: what root needs for other users' files, and nothing for the host's sake.
const CAPABILITIES: u64 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7;

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// The source as a mount of the server's own: it has no parent to climb to, and where it is read-only the kernel itself refuses writing.
/// What is mounted below the source comes with it, as with a bind mount of Docker's.
pub(crate) fn detach(source: OwnedFd, read_only: bool) -> Result<OwnedFd> {
    // SAFETY: pointers outlive the calls; a fresh descriptor is owned at once.
    unsafe {
        let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::AT_EMPTY_PATH as u32 | libc::O_CLOEXEC as u32;
        let raw = libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), c"".as_ptr(), flags) as i32;
        if raw < 0 {
            return Err(Error::last_os_error());
        }
        let tree = OwnedFd::from_raw_fd(raw);
        let set = MOUNT_ATTR_NODEV | if read_only { MOUNT_ATTR_RDONLY } else { 0 };
        let attributes = MountAttributes { set, clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
        let flags = libc::AT_EMPTY_PATH as u32 | AT_RECURSIVE;
        check(libc::syscall(libc::SYS_mount_setattr, tree.as_raw_fd(), c"".as_ptr(), flags, &raw const attributes, size_of::<MountAttributes>()))?;
        Ok(tree)
    }
}

/// For good. The working directory becomes `/proc/self/fd`, by which nodes are opened again.
/// Gives the number of descriptors that it may have: those asked for, or what the host allows.
pub(crate) fn confine(root: &OwnedFd, descriptors: u64) -> Result<u64> {
    let allowed = limit_descriptors(descriptors)?;
    // SAFETY: plain calls about this process; pointers outlive them.
    unsafe {
        check(libc::chdir(c"/proc/self/fd".as_ptr()).into())?;
        libc::umask(0);
        check(libc::prctl(libc::PR_SET_SECUREBITS, SECURE_NO_SETUID_FIXUP).into())?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
        check(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0).into())?;
        // No other users' processes, interfaces or message queues to reach.
        check(libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS).into())?;
    }
    restrict_paths(root)?;
    drop_capabilities()?;
    Ok(allowed)
}

/// `fs.nr_open` may forbid what is asked for, even to root.
fn limit_descriptors(wanted: u64) -> Result<u64> {
    let set = |number: u64| {
        let limit = libc::rlimit { rlim_cur: number, rlim_max: number };
        // SAFETY: the structure outlives the call.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }.into()).map(|()| number)
    };
    let mut present = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure outlives the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut present) }.into())?;
    set(wanted).or_else(|_| set(present.rlim_max.min(wanted)))
}

/// Landlock: below the share alone. A kernel without it (before 5.13, or built so) has the other walls.
fn restrict_paths(root: &OwnedFd) -> Result<()> {
    #[repr(C, packed)]
    struct Beneath {
        allowed: u64,
        parent: i32,
    }
    // SAFETY: pointers outlive the calls and sizes are given; the ruleset's descriptor is owned at once.
    unsafe {
        let version = libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u64>(), 0_usize, 1_u32);
        if version < 1 {
            return Ok(());
        }
        // Every right of the first version; REFER (renaming between directories) from 2, TRUNCATE from 3.
        let handled: u64 = 0x1fff | if version >= 2 { 1 << 13 } else { 0 } | if version >= 3 { 1 << 14 } else { 0 };
        // Version 1 forbids renaming between directories whatever a rule says; better no Landlock than a broken share.
        if version < 2 {
            return Ok(());
        }
        let raw = libc::syscall(libc::SYS_landlock_create_ruleset, &raw const handled, size_of::<u64>(), 0_u32) as i32;
        check(raw.into())?;
        let ruleset = OwnedFd::from_raw_fd(raw);
        let is_file = crate::tree::stat(root.as_fd()).is_ok_and(|stat| stat.st_mode & libc::S_IFMT != libc::S_IFDIR);
        // For a single file the rights that files have: write, read, truncate. For a directory all but to execute and to make devices.
        let allowed = if is_file { handled & (0b110 | 1 << 14) } else { handled & !(1 | 1 << 6 | 1 << 11) };
        let rule = Beneath { allowed, parent: root.as_raw_fd() };
        check(libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), 1_u32, &raw const rule, 0_u32))?;
        check(libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32))
    }
}

fn drop_capabilities() -> Result<()> {
    let header: [u32; 2] = [0x2008_0522, 0];
    let (low, high) = (CAPABILITIES as u32, (CAPABILITIES >> 32) as u32);
    let sets: [u32; 6] = [low, low, 0, high, high, 0];
    // SAFETY: both arrays outlive the call and have the kernel's layout.
    unsafe {
        for capability in (0..64).filter(|capability| CAPABILITIES & (1 << capability) == 0) {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0); // numbers that this kernel does not have are no failure
        }
        check(libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()))
    }
}

fn check(result: i64) -> Result<()> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}
