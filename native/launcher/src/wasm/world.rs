//! What an instance may touch, as detached mounts: each is a tree of its own, above whose top there is nothing to climb to.

use crate::beneath::Below;
use crate::idmap::{RECURSIVE, change, clone_path, clone_tree, make_namespaces, map, move_mount};
use crate::launch::Place;
use crate::mounts::mount;
use crate::oci::overlay;
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::plan::{LaunchPlan, OverlayRoot, WasmEngine, WasmMount};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub struct World {
    /// The workload's directory: its log and its exit record.
    pub directory: OwnedFd,
    pub root: Option<OwnedFd>,
}

const READ_ONLY: u64 = 0x1;
const NOSUID_NODEV_NOEXEC: u64 = 0x2 | 0x4 | 0x8;
const NOSYMFOLLOW: u64 = 0x20_0000;
const RESOLVE_IN_ROOT: u64 = 0x10;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;

pub fn raise(plan: &LaunchPlan, engine: &WasmEngine, place: &Place, directory: &OwnedFd) -> Result<World, Failure> {
    let fault = |doing: &'static str| move |error: io::Error| Failure::from_io(doing, &error);
    // The runner writes log and record there; others pass through it only.
    own(directory, engine)?;
    let tree = clone_tree(directory.as_raw_fd(), 0).map_err(fault("hand the workload's directory over"))?;
    change(&tree, NOSUID_NODEV_NOEXEC | NOSYMFOLLOW, 0).map_err(fault("guard the workload's directory"))?;
    let root = if engine.root.is_some() || !engine.mounts.is_empty() { Some(raise_root(plan, engine, place)?) } else { None };
    Ok(World { directory: tree, root })
}

fn own(directory: &OwnedFd, engine: &WasmEngine) -> Result<(), Failure> {
    if unsafe { libc::fchown(directory.as_raw_fd(), engine.uid, engine.gid) } != 0 {
        return Err(Failure::system("give the workload's directory to its runner"));
    }
    Ok(())
}

fn raise_root(plan: &LaunchPlan, engine: &WasmEngine, place: &Place) -> Result<OwnedFd, Failure> {
    let fault = |doing: &'static str| move |error: io::Error| Failure::from_io(doing, &error);
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(Failure::system("make a mount namespace"));
    }
    mount(None, "/", None, libc::MS_REC | libc::MS_PRIVATE, None).map_err(fault("keep mounts from spreading"))?;
    // Opened again: overlayfs takes no directory from another mount namespace than the caller's.
    let below = Below::new(place.below.path()).map_err(fault("open the root"))?;
    let target = format!("{}/root", plan.directory);
    let read_only = match &engine.root {
        Some(root) => {
            mount_layers(&below, root, &target, engine)?;
            root.read_only
        }
        None => {
            mount_empty(&below, &target)?;
            true
        }
    };
    let top = below.open(&target, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    for wanted in &engine.mounts {
        add(&top, wanted, engine)?;
    }
    let tree = clone_tree(top.as_raw_fd(), RECURSIVE).map_err(fault("hand the root over"))?;
    change(&tree, NOSUID_NODEV_NOEXEC, RECURSIVE).map_err(fault("guard the root"))?;
    if read_only {
        change(&tree, READ_ONLY, 0).map_err(fault("close the root"))?;
    }
    Ok(tree)
}

fn mount_layers(below: &Below, root: &OverlayRoot, target: &str, engine: &WasmEngine) -> Result<(), Failure> {
    // The merged root takes its owner from the upper one: the runner may make files at /.
    let (parent, name) = below.parent(&root.upper)?;
    let name = CString::new(name).unwrap_or_default();
    unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), 0o755) };
    own(&below.open(&root.upper, libc::O_RDONLY | libc::O_DIRECTORY, 0)?, engine)?;
    overlay::mount_root((below, below), root, target)
}

/// For a module without layers that is given volumes: a root that holds their mount points and nothing else.
fn mount_empty(below: &Below, target: &str) -> Result<(), Failure> {
    let (parent, name) = below.parent(target)?;
    let name = CString::new(name).unwrap_or_default();
    unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), 0o711) };
    mount(Some("tmpfs"), target, Some("tmpfs"), libc::MS_NOSUID | libc::MS_NODEV, Some("mode=0755,size=256k"))
        .map_err(|error| Failure::from_io("make an empty root", &error))
}

fn add(top: &OwnedFd, wanted: &WasmMount, engine: &WasmEngine) -> Result<(), Failure> {
    match wanted {
        WasmMount::Tmpfs { target, read_only, size_bytes, mode } => {
            let place = make_directory(top, target)?;
            let size = size_bytes.map_or(String::new(), |bytes| format!(",size={bytes}"));
            let options = format!("mode={:o},uid={},gid={}{size}", mode.unwrap_or(0o1777) & 0o7777, engine.uid, engine.gid);
            let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | if *read_only { libc::MS_RDONLY } else { 0 };
            mount(Some("tmpfs"), &at(&place), Some("tmpfs"), flags, Some(&options)).map_err(|error| Failure::from_io(&format!("mount a tmpfs at {}", quote(target)), &error))
        }
        WasmMount::Bind { source, target, read_only } => {
            let fault = |error: io::Error| Failure::from_io(&format!("show {} at {}", quote(source), quote(target)), &error);
            let metadata = std::fs::metadata(source).map_err(fault)?;
            let tree = clone_path(source, 0).map_err(fault)?;
            let place = if metadata.is_dir() { make_directory(top, target)? } else { make_file(top, target)? };
            // Root's files become the runner's own, and what it makes is root's on disk: as behind every other boundary.
            let users = make_namespaces(engine.uid, 1, 0).map_err(fault)?.users;
            map(&tree, &users, 0).map_err(|error| {
                Failure::new(Code::Unsupported, format!("{} cannot be shown to a wasm instance: its filesystem maps no owners ({error})", quote(source)))
                    .remedy("keep it on ext4, xfs or btrfs")
            })?;
            if *read_only {
                change(&tree, READ_ONLY, RECURSIVE).map_err(fault)?;
            }
            move_mount(&tree, &place).map_err(fault)
        }
    }
}

fn at(descriptor: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

/// Opens a path as the instance would see it: links lead nowhere but into its own root.
fn open_inside(top: &OwnedFd, path: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct OpenHow {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    let path = CString::new(if path.is_empty() { "." } else { path })?;
    let mode = if flags & libc::O_CREAT != 0 { 0o644 } else { 0 };
    let how = OpenHow { flags: (flags | libc::O_CLOEXEC) as u64, mode, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    let opened = unsafe { libc::syscall(libc::SYS_openat2, top.as_raw_fd(), path.as_ptr(), &how, size_of::<OpenHow>()) };
    if opened < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(opened as RawFd) }) }
}

fn parts(target: &str) -> Result<Vec<&str>, Failure> {
    let parts: Vec<&str> = target.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() || parts.contains(&"..") || !target.starts_with('/') {
        return Err(Failure::new(Code::InvalidSpec, format!("{} is no place for a mount", quote(target))));
    }
    Ok(parts)
}

fn make_directory(top: &OwnedFd, target: &str) -> Result<OwnedFd, Failure> {
    directory_of(top, &parts(target)?).map_err(|error| Failure::from_io(&format!("make the mount point {}", quote(target)), &error))
}

fn directory_of(top: &OwnedFd, parts: &[&str]) -> io::Result<OwnedFd> {
    let mut path = String::new();
    let mut parent = open_inside(top, "", libc::O_PATH | libc::O_DIRECTORY)?;
    for part in parts {
        path = if path.is_empty() { (*part).to_owned() } else { format!("{path}/{part}") };
        let name = CString::new(*part)?;
        unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), 0o755) };
        parent = open_inside(top, &path, libc::O_PATH | libc::O_DIRECTORY)?;
    }
    Ok(parent)
}

fn make_file(top: &OwnedFd, target: &str) -> Result<OwnedFd, Failure> {
    let fault = |error: io::Error| Failure::from_io(&format!("make the mount point {}", quote(target)), &error);
    let parts = parts(target)?;
    directory_of(top, &parts[..parts.len() - 1]).map_err(fault)?;
    let path = parts.join("/");
    drop(open_inside(top, &path, libc::O_CREAT | libc::O_WRONLY).map_err(fault)?);
    open_inside(top, &path, libc::O_PATH).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_places_without_climbing_are_mounted_at() {
        assert_eq!(parts("/a//b/./c").unwrap(), ["a", "b", "c"]);
        for bad in ["", "/", "a", "/a/../b", "/.."] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }
}
