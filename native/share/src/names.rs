//! Operations on names: looking up, making, removing, renaming.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::message::{Errno, Header, Reader, Reply, opcode};
use crate::nodes::ROOT;
use crate::session::{Outcome, Session};
use crate::tree::{self, check};

/// RENAME_NOREPLACE and RENAME_EXCHANGE.
const RENAME_FLAGS: u32 = 1 | 2;

impl Session {
    pub(crate) fn lookup(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let name = body.name()?;
        self.entry_of(header.node, &name)
    }

    pub(crate) fn make_directory(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let (mode, _umask, name) = (body.number()?, body.number()?, body.name()?);
        let parent = self.directory(header.node)?;
        // SAFETY: the name outlives the call.
        tree::as_owner(header.uid, header.gid, || check(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), mode & 0o7777) }))?;
        self.entry_of(header.node, &name)
    }

    /// Files, pipes and sockets. Devices would be the host's.
    pub(crate) fn make_node(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let (mode, _device, _umask, _padding, name) = (body.number()?, body.number()?, body.number()?, body.number()?, body.name()?);
        if !matches!(mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFIFO | libc::S_IFSOCK | 0) {
            return Err(libc::EPERM);
        }
        let parent = self.directory(header.node)?;
        // SAFETY: the name outlives the call.
        tree::as_owner(header.uid, header.gid, || check(unsafe { libc::mknodat(parent.as_raw_fd(), name.as_ptr(), mode, 0) }))?;
        self.entry_of(header.node, &name)
    }

    pub(crate) fn make_link(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let (name, target) = (body.name()?, body.text()?);
        let parent = self.directory(header.node)?;
        // SAFETY: both texts outlive the call. The target is only text here: the guest resolves it.
        tree::as_owner(header.uid, header.gid, || check(unsafe { libc::symlinkat(target.as_ptr(), parent.as_raw_fd(), name.as_ptr()) }))?;
        self.entry_of(header.node, &name)
    }

    pub(crate) fn link(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let (old, name) = (body.long()?, body.name()?);
        let path = tree::path_of(self.nodes.get(old)?);
        let parent = self.directory(header.node)?;
        // SAFETY: both texts outlive the call. Following leads from the descriptor's number to what it stands for, and no further.
        check(unsafe { libc::linkat(libc::AT_FDCWD, path.as_ptr(), parent.as_raw_fd(), name.as_ptr(), libc::AT_SYMLINK_FOLLOW) })?;
        self.entry_of(header.node, &name)
    }

    pub(crate) fn unlink(&mut self, header: &Header, body: &mut Reader<'_>, flags: i32) -> Outcome {
        let name = body.name()?;
        let parent = self.directory(header.node)?;
        // SAFETY: the name outlives the call.
        check(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), flags) })?;
        Ok(Vec::new())
    }

    pub(crate) fn rename(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let target = body.long()?;
        let flags = if header.opcode == opcode::RENAME2 { (body.number()?, body.number()?).0 } else { 0 };
        let (from, to) = (body.name()?, body.name()?);
        if flags & !RENAME_FLAGS != 0 {
            return Err(libc::EINVAL);
        }
        let (old, new) = (self.directory(header.node)?, self.directory(target)?);
        // SAFETY: both names outlive the call.
        let result = unsafe { libc::syscall(libc::SYS_renameat2, old.as_raw_fd(), from.as_ptr(), new.as_raw_fd(), to.as_ptr(), flags) };
        tree::check_long(result).map(|_| Vec::new())
    }

    pub(crate) fn read_link(&self, header: &Header) -> Outcome {
        let node = self.nodes.get(header.node)?;
        let mut target = vec![0; libc::PATH_MAX as usize];
        // SAFETY: the buffer outlives the call and its length is given.
        let length = unsafe { libc::readlinkat(node.as_raw_fd(), c"".as_ptr(), target.as_mut_ptr().cast(), target.len()) };
        target.truncate(tree::check_long(length as i64)? as usize);
        Ok(target)
    }

    pub(crate) fn create(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let (flags, mode, _umask, _flags) = (body.number()? as i32, body.number()?, body.number()?, body.number()?);
        let name = body.name()?;
        let wanted = allowed_flags(flags);
        let parent = self.directory(header.node)?;
        let made = tree::as_owner(header.uid, header.gid, || {
            tree::open_beneath(parent.as_fd(), &name, wanted | libc::O_CREAT | libc::O_EXCL, mode & 0o7777)
        });
        let existed = matches!(made, Err(libc::EEXIST)) && flags & libc::O_EXCL == 0;
        if !existed {
            made.as_ref().map_err(|errno| *errno)?;
        }
        let node = self.descend(header.node, &name)?;
        let (number, stat) = self.nodes.add(node)?;
        // What was there already is opened as any other file is: not at all, where it is no file.
        let opened = made.or_else(|_| self.reopen_file(number, wanted | flags & libc::O_TRUNC));
        let handle = opened.and_then(|descriptor| self.files.add(descriptor)).inspect_err(|_| self.nodes.forget(number, 1))?;
        let mut reply = Vec::with_capacity(144);
        reply.entry(number, &stat);
        reply.long(handle);
        reply.long(0);
        Ok(reply)
    }

    /// Looks a name up, counts it and answers with it.
    fn entry_of(&mut self, parent: u64, name: &CStr) -> Outcome {
        let descriptor = self.descend(parent, name)?;
        let (number, stat) = self.nodes.add(descriptor)?;
        let mut reply = Vec::with_capacity(128);
        reply.entry(number, &stat);
        Ok(reply)
    }

    /// What a name in a directory stands for.
    pub(crate) fn descend(&self, parent: u64, name: &CStr) -> Result<OwnedFd, Errno> {
        if let (ROOT, Some(only)) = (parent, &self.only) {
            let file = self.nodes.get(ROOT)?;
            return if only == name.to_bytes() { file.try_clone_to_owned().map_err(|_| libc::EMFILE) } else { Err(libc::ENOENT) };
        }
        tree::open_beneath(self.nodes.get(parent)?, name, libc::O_PATH, 0)
    }

    /// A node in which names may be made and removed. The made-up directory of a single file is none.
    fn directory(&self, number: u64) -> Result<OwnedFd, Errno> {
        if number == ROOT && self.only.is_some() {
            return Err(libc::EPERM);
        }
        self.nodes.get(number)?.try_clone_to_owned().map_err(|_| libc::EMFILE)
    }

    /// Opens a node that is a regular file, and nothing else.
    pub(crate) fn reopen_file(&self, number: u64, flags: i32) -> Result<OwnedFd, Errno> {
        if self.nodes.kind(number)? != libc::S_IFREG {
            return Err(libc::EPERM);
        }
        if self.read_only && (flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_TRUNC != 0) {
            return Err(libc::EROFS);
        }
        tree::reopen(self.nodes.get(number)?, flags)
    }
}

/// Of a guest's flags those that mean something on the host: how it is accessed, and that writes are synced or appended.
/// Direct access would ask for aligned memory of ours; the guest's own cache is passed by there all the same.
pub(crate) fn allowed_flags(flags: i32) -> i32 {
    flags & (libc::O_ACCMODE | libc::O_APPEND | libc::O_DSYNC | libc::O_SYNC)
}
