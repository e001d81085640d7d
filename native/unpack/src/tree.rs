//! The tree that is being written: finds and makes parents inside its root, whatever links the archive has put in the way.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use crate::at;
use crate::failure::{Failure, quoted};
use crate::lowers::Lowers;
use crate::pax::Time;
use bulkhead_archive::removal;

const PATH_FLAGS: i32 = libc::O_RDONLY | libc::O_DIRECTORY;
const MAX_LINKS: u32 = 40;
const CACHED_PARENTS: usize = 64;

pub struct Tree {
    pub root: Rc<OwnedFd>,
    pub lowers: Lowers,
    /// Directories by the path that led to them. Emptied whenever something is replaced.
    parents: HashMap<Vec<u8>, Rc<OwnedFd>>,
    /// Set last, because writing into a directory changes its time.
    times: HashMap<Vec<u8>, Time>,
    /// Set last, because they change what is made in a directory.
    default_acls: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Tree {
    pub fn new(root: OwnedFd, lowers: Lowers) -> Self {
        let times = HashMap::from([(Vec::new(), Time::default())]);
        Tree { root: Rc::new(root), lowers, parents: HashMap::new(), times, default_acls: Vec::new() }
    }

    /// The directory that these components name, made with all its parents where it is missing.
    pub fn directory(&mut self, parts: &[&[u8]]) -> Result<Rc<OwnedFd>, Failure> {
        self.directory_through(parts, MAX_LINKS)
    }

    fn directory_through(&mut self, parts: &[&[u8]], links: u32) -> Result<Rc<OwnedFd>, Failure> {
        if parts.is_empty() {
            return Ok(self.root.clone());
        }
        let path = parts.join(&b'/');
        if let Some(known) = self.parents.get(&path) {
            return Ok(known.clone());
        }
        let found = match self.open_existing(&path)? {
            Some(found) => Rc::new(found),
            None => self.make(parts, links)?,
        };
        if self.parents.len() >= CACHED_PARENTS {
            self.parents.clear();
        }
        self.parents.insert(path, found.clone());
        Ok(found)
    }

    /// `None` where a component is missing.
    pub fn open_existing(&self, path: &[u8]) -> Result<Option<OwnedFd>, Failure> {
        let root = self.root.as_fd();
        let found = match at::open_inside(root, path, PATH_FLAGS, at::NO_SYMLINKS) {
            // ELOOP: a symlink is in the way, which is allowed. Through links a real path can grow beyond what programs can name.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENOTDIR)) => {
                at::open_inside(root, path, PATH_FLAGS, at::IN_ROOT).and_then(|found| {
                    let fits = at::path_fits(found.as_fd())?;
                    if fits { Ok(found) } else { Err(std::io::Error::from_raw_os_error(libc::ENAMETOOLONG)) }
                })
            }
            other => other,
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT) => Ok(None),
                Some(libc::ENOTDIR) => Err(Failure::corrupt(format!("{} leads through something that is not a directory", quoted(path)))),
                Some(libc::ELOOP) => Err(Failure::corrupt(format!("{} leads through symbolic links without end", quoted(path)))),
                Some(libc::ENAMETOOLONG) => Err(Failure::corrupt(format!("{} leads too deep", quoted(path)))),
                _ => Err(Failure::system(format!("cannot open {}", quoted(path)), error)),
            },
        }
    }

    /// Makes the last component below its parents, or what a dangling link in its place points at.
    fn make(&mut self, parts: &[&[u8]], links: u32) -> Result<Rc<OwnedFd>, Failure> {
        let Some((name, above)) = parts.split_last() else { return Ok(self.root.clone()) };
        let parent = self.directory_through(above, links)?;
        let path = parts.join(&b'/');
        let failed = |error| Failure::system(format!("cannot make {}", quoted(&path)), error);
        let name = at::c(name).map_err(failed)?;
        match at::make_directory(parent.as_fd(), &name, 0o755) {
            Ok(()) => {
                let made = at::open_directory(parent.as_fd(), &name).map_err(failed)?;
                // The archive did not describe this directory: the layers below know its owner and mode, else it is root's.
                let time = self.lowers.lend_attributes(&path, made.as_fd())?;
                self.remember_time(parts, time.unwrap_or_default());
                Ok(Rc::new(made))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let target = at::read_link(parent.as_fd(), &name)
                    .map_err(|_| Failure::corrupt(format!("{} leads through something that is not a directory", quoted(&path))))?;
                if links == 0 {
                    return Err(Failure::corrupt(format!("{} leads through symbolic links without end", quoted(&path))));
                }
                let from_root = if target.starts_with(b"/") { target } else { [above.join(&b'/'), target].join(&b'/') };
                let parts = bulkhead_archive::path::components(&from_root)?;
                self.directory_through(&parts, links - 1)
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub fn remember_time(&mut self, parts: &[&[u8]], time: Time) {
        self.times.insert(parts.join(&b'/'), time);
    }

    pub fn remember_default_acl(&mut self, parts: &[&[u8]], acl: Vec<u8>) {
        self.default_acls.push((parts.join(&b'/'), acl));
    }

    /// Removes what stands in the way of a new entry, whatever it is.
    pub fn clear(&mut self, parent: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<(), Failure> {
        self.parents.clear();
        removal::remove(parent, name).map_err(|error| Failure::system(format!("cannot replace {}", quoted(name.to_bytes())), error))
    }

    pub fn forget_parents(&mut self) {
        self.parents.clear();
    }

    /// Gives directories the times that the archive says.
    pub fn finish(&mut self) -> Result<(), Failure> {
        for (path, acl) in std::mem::take(&mut self.default_acls) {
            let Ok(directory) = at::open_inside(self.root.as_fd(), &path, PATH_FLAGS, at::NO_SYMLINKS) else { continue };
            at::set_xattr(directory.as_fd(), c"system.posix_acl_default", &acl)
                .map_err(|error| Failure::system(format!("cannot set the access list of {}", quoted(&path)), error))?;
        }
        for (path, time) in std::mem::take(&mut self.times) {
            // What was replaced meanwhile by something else has its own time.
            let Ok(directory) = at::open_inside(self.root.as_fd(), &path, PATH_FLAGS, at::NO_SYMLINKS) else { continue };
            at::time_file(directory.as_fd(), time).map_err(|error| Failure::system(format!("cannot set the time of {}", quoted(&path)), error))?;
        }
        Ok(())
    }
}
