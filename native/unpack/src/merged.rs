//! Several trees seen as one, as overlayfs shows them, without mounting anything: for reading an image's files where a mount would
//! need more power than the reader shall have.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{CStr, CString};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, OwnedFd};

use crate::at;
use crate::listing;

const MAX_LINKS: u32 = 40;

/// One directory as it lies in the layers, uppermost first. Layers beneath an opaque one, or one that lacks it, are left out.
pub struct Directory {
    trees: Vec<OwnedFd>,
}

pub enum Node {
    Directory(Directory),
    /// Anything else, by the layer whose directory holds it.
    Other { tree: usize, status: libc::stat },
}

impl Directory {
    /// Roots of the layers, uppermost first.
    pub fn new(trees: Vec<OwnedFd>) -> Self {
        Directory { trees }
    }

    /// Of the uppermost: its attributes are the directory's.
    pub fn top(&self) -> Option<&OwnedFd> {
        self.trees.first()
    }

    pub fn tree(&self, at: usize) -> Option<&OwnedFd> {
        self.trees.get(at)
    }

    pub fn names(&self) -> Result<Vec<CString>> {
        let mut found = BTreeSet::new();
        for tree in &self.trees {
            found.extend(listing::all(tree.as_fd())?);
        }
        Ok(found.into_iter().collect())
    }

    /// `None` for what no layer has, and for what a whiteout took away.
    pub fn child(&self, name: &CStr) -> Result<Option<Node>> {
        let mut trees = Vec::new();
        for (tree, directory) in self.trees.iter().enumerate() {
            let status = match at::status(directory.as_fd(), name) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other?,
            };
            match status.st_mode & libc::S_IFMT {
                libc::S_IFDIR => {
                    let inner = at::open_directory(directory.as_fd(), name)?;
                    let opaque = matches!(at::get_xattr(inner.as_fd(), crate::lowers::OPAQUE), Ok(Some(value)) if value == b"y");
                    trees.push(inner);
                    if opaque {
                        break;
                    }
                }
                // A whiteout, or a file beneath a directory: what is lower is hidden either way.
                _ if !trees.is_empty() => break,
                libc::S_IFCHR if status.st_rdev == 0 => return Ok(None),
                _ => return Ok(Some(Node::Other { tree, status })),
            }
        }
        Ok((!trees.is_empty()).then_some(Node::Directory(Directory { trees })))
    }

    /// The directory of that path, through the image's own links and never above this one; `None` where there is none.
    pub fn find(self, path: &[u8]) -> Result<Option<Directory>> {
        let mut ahead: VecDeque<Vec<u8>> = split(path).collect();
        let mut way = vec![self];
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            if part == b".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let Some(here) = way.last() else { return Ok(None) };
            let name = at::c(&part)?;
            match here.child(&name)? {
                Some(Node::Directory(inner)) => way.push(inner),
                Some(Node::Other { tree, status }) if status.st_mode & libc::S_IFMT == libc::S_IFLNK => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Error::from_raw_os_error(libc::ELOOP));
                    }
                    let target = at::read_link(here.trees[tree].as_fd(), &name)?;
                    if target.starts_with(b"/") {
                        way.truncate(1);
                    }
                    split(&target).collect::<Vec<_>>().into_iter().rev().for_each(|part| ahead.push_front(part));
                }
                _ => return Ok(None),
            }
        }
        Ok(way.pop())
    }
}

fn split(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).map(<[u8]>::to_vec)
}
