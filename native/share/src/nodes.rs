//! What the guest's kernel knows by number: nodes (names it looked up and has not forgotten) and handles (files it has open).
//! Both are bounded, because each holds a descriptor.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::message::Errno;
use crate::tree;

/// A hostile guest forgets nothing: so much, at about a kilobyte of kernel memory each, is what it can hold.
const MAX_NODES: usize = 131_072;
const MAX_HANDLES: usize = 8_192;
const RESERVED: usize = 64;
pub(crate) const ROOT: u64 = 1;

struct Node {
    descriptor: OwnedFd,
    kind: u32,
    lookups: u64,
    /// Device and inode number: the same file has one node, whatever its names.
    identity: (u64, u64),
}

/// How many descriptors each table may hold, out of all that the process may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) nodes: usize,
    pub(crate) handles: usize,
}

impl Bounds {
    /// Files and directories have a table each; a few are the server's own.
    pub(crate) const WANTED: u64 = (MAX_NODES + 2 * MAX_HANDLES + RESERVED) as u64;

    pub(crate) fn within(descriptors: u64) -> Self {
        let all = (descriptors.min(Self::WANTED) as usize).saturating_sub(RESERVED);
        let handles = (all / 8).min(MAX_HANDLES);
        Self { nodes: (all - 2 * handles).min(MAX_NODES), handles }
    }
}

pub(crate) struct Nodes {
    most: usize,
    nodes: HashMap<u64, Node>,
    known: HashMap<(u64, u64), u64>,
    next: u64,
}

impl Nodes {
    pub(crate) fn new(root: OwnedFd, most: usize) -> Result<Self, Errno> {
        let stat = tree::stat(root.as_fd())?;
        let identity = (stat.st_dev, stat.st_ino);
        let kind = stat.st_mode & libc::S_IFMT;
        // The root of a single file's share is a made-up directory: the file has a number of its own.
        let known = if kind == libc::S_IFDIR { HashMap::from([(identity, ROOT)]) } else { HashMap::new() };
        let root = Node { descriptor: root, kind, lookups: 1, identity };
        Ok(Self { most, nodes: HashMap::from([(ROOT, root)]), known, next: ROOT + 1 })
    }

    pub(crate) fn get(&self, number: u64) -> Result<BorrowedFd<'_>, Errno> {
        self.nodes.get(&number).map(|node| node.descriptor.as_fd()).ok_or(libc::ESTALE)
    }

    pub(crate) fn kind(&self, number: u64) -> Result<u32, Errno> {
        self.nodes.get(&number).map(|node| node.kind).ok_or(libc::ESTALE)
    }

    /// Counts one lookup of what this descriptor stands for. Numbers are never used twice.
    pub(crate) fn add(&mut self, descriptor: OwnedFd) -> Result<(u64, libc::stat), Errno> {
        let stat = tree::stat(descriptor.as_fd())?;
        let identity = (stat.st_dev, stat.st_ino);
        if let Some(number) = self.known.get(&identity) {
            if let Some(node) = self.nodes.get_mut(number) {
                node.lookups = node.lookups.saturating_add(1);
                return Ok((*number, stat));
            }
        }
        if self.nodes.len() >= self.most {
            return Err(libc::ENFILE);
        }
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, Node { descriptor, kind: stat.st_mode & libc::S_IFMT, lookups: 1, identity });
        self.known.insert(identity, number);
        Ok((number, stat))
    }

    pub(crate) fn forget(&mut self, number: u64, lookups: u64) {
        if number == ROOT {
            return;
        }
        let Some(node) = self.nodes.get_mut(&number) else { return };
        node.lookups = node.lookups.saturating_sub(lookups);
        if node.lookups == 0 {
            let identity = node.identity;
            self.nodes.remove(&number);
            self.known.remove(&identity);
        }
    }
}

pub(crate) struct Handles {
    most: usize,
    open: HashMap<u64, OwnedFd>,
    next: u64,
}

impl Handles {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: HashMap::new(), next: 0 }
    }

    pub(crate) fn add(&mut self, descriptor: OwnedFd) -> Result<u64, Errno> {
        if self.open.len() >= self.most {
            return Err(libc::EMFILE);
        }
        self.next += 1;
        self.open.insert(self.next, descriptor);
        Ok(self.next)
    }

    pub(crate) fn get(&self, number: u64) -> Result<BorrowedFd<'_>, Errno> {
        self.open.get(&number).map(AsFd::as_fd).ok_or(libc::EBADF)
    }

    pub(crate) fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn tables_fit_into_what_the_host_allows() {
        let wide = Bounds::within(1 << 20);
        assert_eq!((wide.nodes, wide.handles), (MAX_NODES, MAX_HANDLES));
        let narrow = Bounds::within(1024);
        assert!(narrow.nodes + 2 * narrow.handles + RESERVED <= 1024 && narrow.handles > 100, "{narrow:?}");
        assert_eq!(Bounds::within(3).nodes, 0);
    }

    #[test]
    fn a_guest_that_forgets_nothing_is_stopped_and_the_same_file_counts_once() {
        let open = |path: &str| OwnedFd::from(File::open(path).expect("there"));
        let mut nodes = Nodes::new(open("/"), 3).expect("root");
        let proc = nodes.add(open("/proc")).expect("first").0;
        assert_eq!(nodes.add(open("/proc")).expect("again").0, proc);
        let dev = nodes.add(open("/dev")).expect("second").0;
        assert_eq!(nodes.add(open("/etc")).err(), Some(libc::ENFILE));
        nodes.forget(proc, 1);
        assert!(nodes.get(proc).is_ok(), "it was looked up twice");
        nodes.forget(proc, u64::MAX);
        assert_eq!(nodes.get(proc).err(), Some(libc::ESTALE));
        assert!(nodes.add(open("/etc")).expect("room").0 > dev, "numbers are never used twice");
        nodes.forget(ROOT, 5);
        assert!(nodes.get(ROOT).is_ok());
    }
}
