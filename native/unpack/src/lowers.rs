//! What the layers below lend to this one.
//!
//! Layers are unpacked alone, so that images share them. Two things an archive may leave out, because whoever wrote it had the lower layers at
//! hand: the attributes of a directory that is only named inside a path (overlayfs would show the invented ones over the
//! true ones; containerd copies them from the lowers too), and the target of a hard link (containerd fails there; we copy the file up, as overlayfs does).

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::at;
use crate::failure::{Failure, quoted};
use crate::pax::Time;

pub const OPAQUE: &std::ffi::CStr = c"trusted.overlay.opaque";

pub struct Lowers {
    trees: Vec<OwnedFd>,
    pub used: bool,
    /// Something was looked for, found or not.
    pub asked: bool,
}

impl Lowers {
    pub fn new(trees: Vec<OwnedFd>) -> Self {
        Lowers { trees, used: false, asked: false }
    }

    /// The uppermost thing of that path, unless a layer above it has taken it away.
    fn find(&mut self, path: &[u8], flags: i32) -> Option<OwnedFd> {
        self.asked = true;
        for tree in &self.trees {
            if let Ok(found) = at::open_inside(tree.as_fd(), path, flags | libc::O_NOFOLLOW, at::IN_ROOT) {
                return Some(found);
            }
            if hides(tree.as_fd(), path) {
                return None;
            }
        }
        None
    }

    /// Gives a directory that the archive did not describe the owner, mode and attributes it has below. Its time, where there is such a one.
    pub fn lend_attributes(&mut self, path: &[u8], to: BorrowedFd<'_>) -> Result<Option<Time>, Failure> {
        let Some(from) = self.find(path, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK) else { return Ok(None) };
        self.used = true;
        copy_attributes(from.as_fd(), to).map(Some).map_err(|error| Failure::system(format!("cannot copy the attributes of {}", quoted(path)), error))
    }

    /// Copies a regular file up to `name` in `parent`. False where no lower layer has it.
    pub fn copy_up(&mut self, path: &[u8], parent: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<bool, Failure> {
        let Some(from) = self.find(path, libc::O_RDONLY | libc::O_NONBLOCK) else { return Ok(false) };
        let failed = |error| Failure::system(format!("cannot copy {} up from a lower layer", quoted(path)), error);
        if at::status(from.as_fd(), c"").map_err(failed)?.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Ok(false);
        }
        self.used = true;
        let mut to = File::from(at::create_file(parent, name, 0o600).map_err(failed)?);
        let mut from = File::from(from);
        std::io::copy(&mut from, &mut to).map_err(failed)?;
        let time = copy_attributes(from.as_fd(), to.as_fd()).map_err(failed)?;
        at::time_file(to.as_fd(), time).map_err(failed)?;
        Ok(true)
    }
}

pub fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> std::io::Result<Time> {
    let status = at::status(from, c"")?;
    at::own_file(to, status.st_uid, status.st_gid)?;
    at::mode_file(to, status.st_mode & 0o7777)?;
    for name in at::list_xattrs(from)? {
        // Opaqueness belongs to that layer alone.
        if !name.to_bytes().starts_with(b"trusted.") && let Some(value) = at::get_xattr(from, &name)? {
            at::set_xattr(to, &name, &value)?;
        }
    }
    Ok(Time { seconds: status.st_mtime, nanoseconds: u32::try_from(status.st_mtime_nsec).unwrap_or(0) })
}

/// Whether this layer hides the path from what lies below it: by a whiteout, a file or an opaque directory on the way.
fn hides(tree: BorrowedFd<'_>, path: &[u8]) -> bool {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        match at::open_inside(tree, &path[..end], libc::O_PATH | libc::O_NOFOLLOW, at::IN_ROOT) {
            Err(_) => return false,
            Ok(found) => {
                let Ok(status) = at::status(found.as_fd(), c"") else { return true };
                match status.st_mode & libc::S_IFMT {
                    libc::S_IFDIR if !is_opaque(tree, &path[..end]) => {}
                    libc::S_IFLNK if end < path.len() => {}
                    _ => return true,
                }
            }
        }
    }
    false
}

fn is_opaque(tree: BorrowedFd<'_>, path: &[u8]) -> bool {
    let Ok(directory) = at::open_inside(tree, path, libc::O_RDONLY | libc::O_DIRECTORY, at::IN_ROOT) else { return false };
    matches!(at::get_xattr(directory.as_fd(), OPAQUE), Ok(Some(value)) if value == b"y")
}
