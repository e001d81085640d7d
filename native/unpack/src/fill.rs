//! Fills an empty volume with what the image has at the place where it will be mounted.
//!
//!     layers, seen as one ─▶ `.NAME.filling` ─▶ sync ─▶ `.NAME.filled` ─▶ entry by entry into `NAME`
//!
//! The volume's own directory is never replaced, because a workload may have it mounted already. A crash before `.NAME.filled` leaves an
//! empty volume, and one after it is made good by the next fill: a volume is never believed to be filled while half of it is missing.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::failure::{Code, Failure, quoted};
use crate::lowers::copy_attributes;
use crate::merged::{Directory, Node};
use crate::pax::Time;
use crate::{at, confine, listing};
use bulkhead_archive::removal;

const MAX_DEPTH: usize = 512;

pub struct FillJob {
    /// The directory in which the volume lies; trusted.
    pub parent: OwnedFd,
    /// The volume's directory: one component, which exists.
    pub name: String,
    /// Trees of the image's layers, uppermost first.
    pub layers: Vec<OwnedFd>,
    /// Where the volume will be mounted, from the image's root on.
    pub path: String,
}

/// Confines this process, then fills. False where the volume holds something already, or the image has no directory at that place.
pub fn fill(job: FillJob) -> Result<bool, Failure> {
    let (volume, filling, filled) = names(&job.name)?;
    let layers = confine::for_unpacking(job.parent, job.layers)?;
    let parent: OwnedFd = File::open("/").map_err(|error| Failure::system("cannot open the volumes' directory", error))?.into();
    let failed = |error| Failure::system(format!("cannot fill the volume {}", quoted(volume.to_bytes())), error);
    let to = at::open_directory(parent.as_fd(), &volume).map_err(failed)?;
    if at::status(parent.as_fd(), &filled).is_err() {
        removal::remove(parent.as_fd(), &filling).map_err(failed)?;
        if !listing::all(to.as_fd()).map_err(failed)?.is_empty() {
            return Ok(false);
        }
        let Some(from) = Directory::new(layers).find(job.path.as_bytes()).map_err(failed)? else { return Ok(false) };
        let copied = copy_aside(&from, &parent, &filling).and_then(|()| at::rename_new(parent.as_fd(), &filling, &filled).map_err(failed));
        if copied.is_err() {
            let _ = removal::remove(parent.as_fd(), &filling);
        }
        copied?;
    }
    move_in(&parent, &filled, &to).map_err(failed)?;
    Ok(true)
}

fn names(name: &str) -> Result<(CString, CString, CString), Failure> {
    let refused = || Failure::new(Code::InvalidSpec, format!("{} is not a name for a volume", quoted(name.as_bytes())));
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(refused());
    }
    // Beside the longest name of a volume there must be room for ours.
    let short: String = name.chars().take(240).collect();
    let c = |text: String| CString::new(text).map_err(|_| refused());
    Ok((c(name.to_owned())?, c(format!(".{short}.filling"))?, c(format!(".{short}.filled"))?))
}

/// Names beside a volume's directory that a crash may have left.
pub fn leftovers(name: &str) -> Result<[String; 2], Failure> {
    let (_, filling, filled) = names(name)?;
    Ok([filling, filled].map(|name| name.to_string_lossy().into_owned()))
}

fn copy_aside(from: &Directory, parent: &OwnedFd, filling: &CStr) -> Result<(), Failure> {
    let failed = |error| Failure::system("cannot copy the image's files into the volume", error);
    at::make_directory(parent.as_fd(), filling, 0o700).map_err(failed)?;
    let root = at::open_directory(parent.as_fd(), filling).map_err(failed)?;
    let mut copy = Copy { root: root.as_fd(), linked: HashMap::new() };
    copy.directory(from, root.as_fd(), &[])?;
    at::sync_filesystem(parent.as_fd()).map_err(failed)
}

/// Entries first, then what the directory itself is like; the emptied one goes last.
fn move_in(parent: &OwnedFd, filled: &CStr, to: &OwnedFd) -> std::io::Result<()> {
    let from = at::open_directory(parent.as_fd(), filled)?;
    for name in listing::all(from.as_fd())? {
        match at::move_new(from.as_fd(), to.as_fd(), &name) {
            // Somebody wrote this name first: theirs stays.
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => removal::remove(from.as_fd(), &name)?,
            other => other?,
        }
    }
    let time = copy_attributes(from.as_fd(), to.as_fd())?;
    at::time_file(to.as_fd(), time)?;
    at::sync(to.as_fd())?;
    at::unlink(parent.as_fd(), filled, libc::AT_REMOVEDIR)
}

struct Copy<'a> {
    root: BorrowedFd<'a>,
    /// Files of several names: where the first of them was put.
    linked: HashMap<(u64, u64), CString>,
}

impl Copy<'_> {
    fn directory(&mut self, from: &Directory, to: BorrowedFd<'_>, path: &[Vec<u8>]) -> Result<(), Failure> {
        let shown = path.join(&b'/');
        let failed = |error| Failure::system(format!("cannot copy {} into the volume", quoted(&shown)), error);
        if path.len() > MAX_DEPTH {
            return Err(Failure::new(Code::Exhausted, "the image has directories too deep for a volume"));
        }
        for name in from.names().map_err(failed)? {
            let mut inner = path.to_vec();
            inner.push(name.to_bytes().to_vec());
            match from.child(&name).map_err(failed)? {
                None => {}
                Some(Node::Directory(below)) => {
                    at::make_directory(to, &name, 0o700).map_err(failed)?;
                    let made = at::open_directory(to, &name).map_err(failed)?;
                    self.directory(&below, made.as_fd(), &inner)?;
                }
                Some(Node::Other { tree, status }) => {
                    let holder = from.tree(tree).ok_or_else(|| failed(std::io::Error::from_raw_os_error(libc::ENOENT)))?;
                    self.other((holder.as_fd(), &status), to, &inner).map_err(failed)?;
                }
            }
        }
        let Some(top) = from.top() else { return Ok(()) };
        copy_attributes(top.as_fd(), to).and_then(|time| at::time_file(to, time)).map_err(failed)
    }

    fn other(&mut self, (holder, status): (BorrowedFd<'_>, &libc::stat), to: BorrowedFd<'_>, path: &[Vec<u8>]) -> std::io::Result<()> {
        let name = at::c(path.last().map_or(&b""[..], Vec::as_slice))?;
        let key = (status.st_dev, status.st_ino);
        if let Some(first) = self.linked.get(&key) {
            return at::hard_link(self.root, first, to, &name);
        }
        let time = Time { seconds: status.st_mtime, nanoseconds: u32::try_from(status.st_mtime_nsec).unwrap_or(0) };
        match status.st_mode & libc::S_IFMT {
            libc::S_IFREG => {
                let mut from = File::from(at::open_inside(holder, name.to_bytes(), libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK, at::NO_SYMLINKS)?);
                let mut made = File::from(at::create_file(to, &name, 0o600)?);
                std::io::copy(&mut from, &mut made)?;
                copy_attributes(from.as_fd(), made.as_fd())?;
                at::time_file(made.as_fd(), time)?;
            }
            libc::S_IFLNK => {
                at::symlink(&at::c(&at::read_link(holder, &name)?)?, to, &name)?;
                at::own_name(to, &name, status.st_uid, status.st_gid)?;
                at::time_name(to, &name, time)?;
            }
            kind => {
                at::make_node(to, &name, kind | 0o600, status.st_rdev)?;
                at::own_name(to, &name, status.st_uid, status.st_gid)?;
                at::mode_name(to, &name, status.st_mode & 0o7777)?;
                at::time_name(to, &name, time)?;
            }
        }
        if status.st_nlink > 1 {
            self.linked.insert(key, at::c(&path.join(&b'/'))?);
        }
        Ok(())
    }
}
