//! Walls around a job: this process keeps what the job needs and nothing else, for good.
//!
//! Mounts: a mount namespace whose root is the directory of the job. Network: an empty namespace. Capabilities: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD,
//! SETFCAP for what layers contain, and SYS_ADMIN, because `trusted.overlay.opaque` cannot be written or read without it. The filter
//! (`filter.rs`) takes SYS_ADMIN's other powers away again. Needs Linux 5.12.

use std::ffi::CStr;
use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::at;
use crate::failure::{Code, Failure};
use crate::filter;

const CHOWN: u32 = 0;
const DAC_OVERRIDE: u32 = 1;
const FOWNER: u32 = 3;
const FSETID: u32 = 4;
const SYS_ADMIN: u32 = 21;
const MKNOD: u32 = 27;
const SETFCAP: u32 = 31;

const UNPACKING: &[u32] = &[CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SYS_ADMIN, MKNOD, SETFCAP];
/// DAC_OVERRIDE to read what the image's own owners closed.
const IMAGE_MAKING: &[u32] = &[DAC_OVERRIDE, SYS_ADMIN];

/// Memory: three threads, a zstd window of 128 MiB, the archive's directories.
const UNPACKING_MEMORY: u64 = 2 << 30;
const IMAGE_MAKING_MEMORY: u64 = 4 << 30;

const RDONLY: u64 = 1;
const NOSUID: u64 = 2;
const NODEV: u64 = 4;
const NOEXEC: u64 = 8;

/// `parent` becomes the root directory; `lowers` come back as read-only trees of their own, from which no `..` leads out.
pub fn for_unpacking(parent: OwnedFd, lowers: Vec<OwnedFd>) -> std::result::Result<Vec<OwnedFd>, Failure> {
    let walls = || -> Result<Vec<OwnedFd>> {
        let lowers = lowers.iter().map(|lower| clone_tree(lower.as_fd(), RDONLY | NODEV | NOSUID | NOEXEC)).collect::<Result<_>>()?;
        let root = clone_tree(parent.as_fd(), NODEV | NOSUID | NOEXEC)?;
        check(unsafe { libc::fchdir(parent.as_raw_fd()) })?;
        private_namespaces()?;
        attach(root.as_fd(), c".")?;
        enter(root.as_fd())?;
        drop((root, parent));
        limits(UNPACKING_MEMORY)?;
        keep_capabilities(UNPACKING)?;
        filter::allow_unpacking()?;
        Ok(lowers)
    };
    walls().map_err(not_confined)
}

/// The root becomes a small tmpfs with the host's programs (`/usr`), the tree (`/layer`) read-only, and `/out`.
pub fn for_image_making(layer: OwnedFd, parent: OwnedFd) -> std::result::Result<(), Failure> {
    let walls = || -> Result<()> {
        let layer = clone_tree(layer.as_fd(), RDONLY | NODEV | NOSUID | NOEXEC)?;
        let out = clone_tree(parent.as_fd(), NODEV | NOSUID | NOEXEC)?;
        let programs = [c"usr", c"lib", c"lib64"].map(|name| (name, program_tree(name)));
        check(unsafe { libc::fchdir(parent.as_raw_fd()) })?;
        private_namespaces()?;
        let root = tmpfs()?;
        attach(root.as_fd(), c".")?;
        check(unsafe { libc::fchdir(root.as_raw_fd()) })?;
        for (name, tree) in programs {
            match tree? {
                Program::Absent => {}
                Program::Link(target) => at::symlink(&at::c(&target)?, root.as_fd(), name)?,
                Program::Tree(tree) => place(root.as_fd(), tree.as_fd(), name)?,
            }
        }
        place(root.as_fd(), layer.as_fd(), c"layer")?;
        place(root.as_fd(), out.as_fd(), c"out")?;
        enter(root.as_fd())?;
        set_attributes(root.as_fd(), RDONLY | NODEV | NOSUID)?;
        drop((root, layer, out, parent));
        limits(IMAGE_MAKING_MEMORY)?;
        keep_capabilities(IMAGE_MAKING)?;
        filter::refuse_administration()
    };
    walls().map_err(not_confined)
}

fn not_confined(error: Error) -> Failure {
    Failure::new(Code::Unavailable, format!("the unpacker cannot be confined: {error}")).with_remedy("run `bulkhead doctor`; Linux 5.12 or newer and root are needed")
}

enum Program {
    Absent,
    Link(Vec<u8>),
    Tree(OwnedFd),
}

/// Where `/lib` is a link into `/usr`, as on current distributions, the link is enough.
fn program_tree(name: &CStr) -> Result<Program> {
    let root = crate::at::open_inside(cwd(), b"/", libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let Ok(status) = at::status(root.as_fd(), name) else { return Ok(Program::Absent) };
    if status.st_mode & libc::S_IFMT == libc::S_IFLNK {
        return at::read_link(root.as_fd(), name).map(Program::Link);
    }
    let tree = at::open_inside(root.as_fd(), name.to_bytes(), libc::O_PATH | libc::O_DIRECTORY, 0)?;
    clone_tree(tree.as_fd(), RDONLY | NODEV | NOSUID).map(Program::Tree)
}

fn cwd() -> BorrowedFd<'static> {
    // SAFETY: AT_FDCWD is no descriptor that could be closed.
    unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) }
}

fn private_namespaces() -> Result<()> {
    check(unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS) })?;
    let none = std::ptr::null::<libc::c_char>();
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) })
}

/// A mount of that directory which belongs to no namespace yet. Before `unshare`: afterwards the descriptor's own mount is a stranger.
fn clone_tree(directory: BorrowedFd<'_>, attributes: u64) -> Result<OwnedFd> {
    const OPEN_TREE_CLONE: u32 = 1;
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | libc::AT_EMPTY_PATH as u32;
    let tree = owned(unsafe { libc::syscall(libc::SYS_open_tree, directory.as_raw_fd(), c"".as_ptr(), flags) })?;
    set_attributes(tree.as_fd(), attributes)?;
    Ok(tree)
}

fn set_attributes(tree: BorrowedFd<'_>, attributes: u64) -> Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    let attr = MountAttr { set: attributes, clear: 0, propagation: 0, userns: 0 };
    let flags = libc::AT_EMPTY_PATH as u32;
    check_long(unsafe { libc::syscall(libc::SYS_mount_setattr, tree.as_raw_fd(), c"".as_ptr(), flags, &raw const attr, size_of::<MountAttr>()) }).map(drop)
}

fn tmpfs() -> Result<OwnedFd> {
    const CREATE: u32 = 6;
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 1u32) })?;
    let none = std::ptr::null::<libc::c_char>();
    check_long(unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), CREATE, none, none, 0) })?;
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1u32, 0u32) })
}

fn attach(tree: BorrowedFd<'_>, at: &CStr) -> Result<()> {
    const FROM_EMPTY_PATH: u32 = 4;
    check_long(unsafe { libc::syscall(libc::SYS_move_mount, tree.as_raw_fd(), c"".as_ptr(), libc::AT_FDCWD, at.as_ptr(), FROM_EMPTY_PATH) }).map(drop)
}

fn place(root: BorrowedFd<'_>, tree: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    at::make_directory(root, name, 0o755)?;
    attach(tree, name)
}

fn enter(root: BorrowedFd<'_>) -> Result<()> {
    check(unsafe { libc::fchdir(root.as_raw_fd()) })?;
    check_long(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    check(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    check(unsafe { libc::chdir(c"/".as_ptr()) })
}

fn limits(memory: u64) -> Result<()> {
    for (what, most) in [(libc::RLIMIT_AS, memory), (libc::RLIMIT_CORE, 0), (libc::RLIMIT_NOFILE, 1024)] {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        check(unsafe { libc::setrlimit(what, &raw const limit) })?;
    }
    unsafe { libc::umask(0) };
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })
}

fn keep_capabilities(kept: &[u32]) -> Result<()> {
    for capability in (0..64).filter(|capability| !kept.contains(capability)) {
        // The first number that the kernel does not know ends the list.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            break;
        }
    }
    let mask: u64 = kept.iter().map(|capability| 1u64 << capability).sum();
    let header: [u32; 2] = [0x2008_0522, 0];
    let (low, high) = (mask as u32, (mask >> 32) as u32);
    let sets: [u32; 6] = [low, low, 0, high, high, 0];
    check_long(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) })?;
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) })?;
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

fn check(result: libc::c_int) -> Result<()> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

fn check_long(result: libc::c_long) -> Result<libc::c_long> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: libc::c_long) -> Result<OwnedFd> {
    // SAFETY: the kernel just gave this descriptor to us alone.
    check_long(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
