//! Mounts whose files have other owners than on the disk, and the user namespaces that say which.

use crate::oci::pipe;
use bulkhead_wire::birth::Birth;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const OPEN_TREE_CLONE: libc::c_int = 1;
pub const RECURSIVE: libc::c_int = 0x8000;
const IDMAP: u64 = 0x10_0000;
const MOVE_FROM_TO_DESCRIPTORS: libc::c_int = 0x4 | 0x40;

/// `linux/mount.h`: `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// A user namespace in which the ids from 0 on are those from `first` on, and with it the other namespaces (`CLONE_NEW…`) that were asked for.
pub struct Namespaces {
    pub users: OwnedFd,
    pub network: Option<OwnedFd>,
}

/// Made by a child that is gone when this returns: they live by their descriptors, and by whoever moves into them.
pub fn make_namespaces(first: u32, count: u32, others: libc::c_int) -> io::Result<Namespaces> {
    let (gate, gate_inner) = pipe()?;
    let pid = Birth { namespaces: libc::CLONE_NEWUSER | others, ..Birth::default() }.fork();
    if pid == 0 {
        let mut byte = 0u8;
        unsafe {
            // Ends when its maker lets go, or is no more.
            libc::close(gate_inner.as_raw_fd());
            libc::read(gate.as_raw_fd(), (&raw mut byte).cast(), 1);
            libc::_exit(0);
        }
    }
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let map = |file: &str| fs::write(format!("/proc/{pid}/{file}"), format!("0 {first} {count}\n"));
    let open = |kind: &str| File::open(format!("/proc/{pid}/ns/{kind}")).map(OwnedFd::from);
    let made = map("uid_map").and_then(|()| map("gid_map")).and_then(|()| {
        let network = if others & libc::CLONE_NEWNET != 0 { Some(open("net")?) } else { None };
        Ok(Namespaces { users: open("user")?, network })
    });
    drop(gate_inner);
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    made
}

fn empty() -> *const libc::c_char {
    c"".as_ptr()
}

fn taken(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) }) }
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A copy of the mount at an open directory, with no place yet. `flags`: `RECURSIVE` for what is mounted below as well.
pub fn clone_tree(directory: RawFd, flags: libc::c_int) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | libc::AT_EMPTY_PATH | flags;
    taken(unsafe { libc::syscall(libc::SYS_open_tree, directory, empty(), flags) })
}

/// The same by a path, whose links are followed.
pub fn clone_path(path: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
    let path = CString::new(path)?;
    taken(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), OPEN_TREE_CLONE | libc::O_CLOEXEC | flags) })
}

/// `attributes`: `MOUNT_ATTR_…`.
pub fn change(tree: &OwnedFd, attributes: u64, flags: libc::c_int) -> io::Result<()> {
    set(tree, &MountAttributes { set: attributes, ..MountAttributes::default() }, flags)
}

/// From here on what lies in the tree belongs to the namespace's own users.
pub fn map(tree: &OwnedFd, users: &OwnedFd, flags: libc::c_int) -> io::Result<()> {
    set(tree, &MountAttributes { set: IDMAP, userns: users.as_raw_fd() as u64, ..MountAttributes::default() }, flags)
}

fn set(tree: &OwnedFd, attributes: &MountAttributes, flags: libc::c_int) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | flags;
    done(unsafe { libc::syscall(libc::SYS_mount_setattr, tree.as_raw_fd(), empty(), flags, attributes, size_of::<MountAttributes>()) })
}

/// Gives a tree its place.
pub fn move_mount(tree: &OwnedFd, place: &OwnedFd) -> io::Result<()> {
    done(unsafe { libc::syscall(libc::SYS_move_mount, tree.as_raw_fd(), empty(), place.as_raw_fd(), empty(), MOVE_FROM_TO_DESCRIPTORS) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_lives_by_its_descriptor_and_shows_its_ids() {
        if unsafe { libc::geteuid() } != 0 {
            return;
        }
        let made = make_namespaces(0x1000_0000, 65_536, libc::CLONE_NEWNET).unwrap();
        let place = format!("/proc/self/fd/{}", made.users.as_raw_fd());
        assert_ne!(fs::read_link(place).unwrap(), fs::read_link("/proc/self/ns/user").unwrap());
        assert!(made.network.is_some());
    }
}
