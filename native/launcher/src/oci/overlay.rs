//! The workload's root: image layers below, its own writes above, mounted in the supervisor's mount namespace alone.

use crate::beneath::Below;
use crate::mounts::mount;
use bulkhead_wire::plan::OverlayRoot;
use bulkhead_wire::{Code, Failure};
use std::os::fd::{AsRawFd, OwnedFd};

/// Mounts the overlay at `target`. Every path is opened below the root first and named by descriptor, so that nothing can be
/// exchanged in between and even hundreds of layers fit into mount(2)'s one page of options. `layers` and `written`: what the paths of these lie below.
pub fn mount_root((layers, written): (&Below, &Below), root: &OverlayRoot, target: &str) -> Result<(), Failure> {
    mount_at((layers, written), root, &open_or_make(layers, target, 0o711)?)
}

/// The same at an open directory.
pub fn mount_at((layers, written): (&Below, &Below), root: &OverlayRoot, target: &OwnedFd) -> Result<(), Failure> {
    let open = |path: &str| layers.open(path, libc::O_PATH | libc::O_DIRECTORY, 0);
    let place = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower: Vec<OwnedFd> = root.lower.iter().map(|path| open(path)).collect::<Result<_, _>>()?;
    if lower.is_empty() {
        return Err(Failure::new(Code::InvalidSpec, "the root has no layer"));
    }
    // Writable even for a read-only root: the runtime makes mount points in it, and closes it itself.
    let upper = open_or_make(written, &root.upper, 0o755)?;
    let work = open_or_make(written, &root.work, 0o700)?;
    let layers: Vec<String> = lower.iter().map(place).collect();
    let options = format!("lowerdir={},upperdir={},workdir={}", layers.join(":"), place(&upper), place(&work));
    finish(&options, &place(target))
}

fn finish(options: &str, target: &str) -> Result<(), Failure> {
    if options.len() > 4000 {
        return Err(Failure::new(Code::Unsupported, "the image has more layers than the kernel can stack"));
    }
    mount(Some("overlay"), target, Some("overlay"), 0, Some(options)).map_err(|error| {
        let failure = Failure::from_io("mount the workload's root", &error);
        match error.raw_os_error() {
            Some(libc::ENODEV) => failure.remedy("load the kernel's overlay module: modprobe overlay"),
            Some(libc::EINVAL) => failure.remedy("keep the root on ext4, xfs or btrfs; the kernel's log says what overlayfs refused"),
            _ => failure,
        }
    })
}

fn open_or_make(below: &Below, path: &str, mode: u32) -> Result<OwnedFd, Failure> {
    let (parent, name) = below.parent(path)?;
    let name = std::ffi::CString::new(name).unwrap_or_default();
    if unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), mode) } != 0 {
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return Err(Failure::from_io(&format!("make {path}"), &error));
        }
    }
    below.open(path, libc::O_PATH | libc::O_DIRECTORY, 0)
}
