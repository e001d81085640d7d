//! Operations on open files, on attributes, and on the filesystem as a whole.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::message::{Errno, Header, MAX_DATA_BYTES, Reader, Reply};
use crate::names::allowed_flags;
use crate::nodes::ROOT;
use crate::session::{Outcome, Session};
use crate::tree::{self, check, check_long};

const GETATTR_HANDLE: u32 = 1;
const MODE: u32 = 1;
const UID: u32 = 1 << 1;
const GID: u32 = 1 << 2;
const SIZE: u32 = 1 << 3;
const ATIME: u32 = 1 << 4;
const MTIME: u32 = 1 << 5;
const HANDLE: u32 = 1 << 6;
const ATIME_NOW: u32 = 1 << 7;
const MTIME_NOW: u32 = 1 << 8;

impl Session {
    pub(crate) fn open(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let flags = body.number()? as i32;
        let descriptor = self.reopen_file(header.node, allowed_flags(flags) | flags & libc::O_TRUNC)?;
        let mut reply = Vec::with_capacity(16);
        reply.long(self.files.add(descriptor)?);
        reply.long(0);
        Ok(reply)
    }

    pub(crate) fn read(&self, body: &mut Reader<'_>) -> Outcome {
        let (handle, offset, size) = (body.long()?, body.long()?, body.number()? as usize);
        let file = self.files.get(handle)?;
        let mut data = vec![0; size.min(MAX_DATA_BYTES)];
        // SAFETY: the buffer outlives the call and its length is given.
        let length = unsafe { libc::pread(file.as_raw_fd(), data.as_mut_ptr().cast(), data.len(), signed(offset)?) };
        data.truncate(check_long(length as i64)? as usize);
        Ok(data)
    }

    pub(crate) fn write(&self, body: &mut Reader<'_>) -> Outcome {
        let (handle, offset, size) = (body.long()?, body.long()?, body.number()?);
        body.data(4 + 8 + 8)?; // flags, lock owner, flags
        let (file, data) = (self.files.get(handle)?, body.data(size as usize)?);
        // SAFETY: the data outlives the call and its length is given.
        let length = unsafe { libc::pwrite(file.as_raw_fd(), data.as_ptr().cast(), data.len(), signed(offset)?) };
        let mut reply = Vec::with_capacity(8);
        reply.number(check_long(length as i64)? as u32);
        reply.number(0);
        Ok(reply)
    }

    pub(crate) fn release(&mut self, body: &mut Reader<'_>) -> Outcome {
        self.files.close(body.long()?);
        Ok(Vec::new())
    }

    /// A duplicate is closed, so that what closing would report is reported.
    pub(crate) fn flush(&self, body: &mut Reader<'_>) -> Outcome {
        let file = self.files.get(body.long()?)?;
        // SAFETY: the duplicate is ours and closed once.
        unsafe { check(libc::close(check(libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0))?))? };
        Ok(Vec::new())
    }

    pub(crate) fn sync(&self, body: &mut Reader<'_>, directory: bool) -> Outcome {
        let (handle, flags) = (body.long()?, body.number()?);
        let file = if directory { self.directories.get(handle)? } else { self.files.get(handle)? };
        // SAFETY: plain calls on a descriptor that we own.
        check(unsafe { if flags & 1 != 0 { libc::fdatasync(file.as_raw_fd()) } else { libc::fsync(file.as_raw_fd()) } })?;
        Ok(Vec::new())
    }

    pub(crate) fn allocate(&self, body: &mut Reader<'_>) -> Outcome {
        let (handle, offset, length, mode) = (body.long()?, body.long()?, body.long()?, body.number()? as i32);
        let file = self.files.get(handle)?;
        // SAFETY: a plain call on a descriptor that we own.
        check(unsafe { libc::fallocate(file.as_raw_fd(), mode, signed(offset)?, signed(length)?) })?;
        Ok(Vec::new())
    }

    pub(crate) fn seek(&self, body: &mut Reader<'_>) -> Outcome {
        let (handle, offset, whence) = (body.long()?, body.long()?, body.number()? as i32);
        if !matches!(whence, libc::SEEK_DATA | libc::SEEK_HOLE) {
            return Err(libc::EINVAL);
        }
        let file = self.files.get(handle)?;
        let mut reply = Vec::with_capacity(8);
        // SAFETY: a plain call on a descriptor that we own.
        reply.long(check_long(unsafe { libc::lseek(file.as_raw_fd(), signed(offset)?, whence) })?);
        Ok(reply)
    }

    pub(crate) fn statfs(&self, header: &Header) -> Outcome {
        let node = self.nodes.get(header.node)?;
        // SAFETY: the structure is plain data and outlives the call.
        let found = unsafe {
            let mut found: libc::statfs = std::mem::zeroed();
            check(libc::fstatfs(node.as_raw_fd(), &raw mut found))?;
            found
        };
        let mut reply = Vec::with_capacity(80);
        for value in [found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree] {
            reply.long(value);
        }
        for value in [found.f_bsize as u32, 255, found.f_frsize as u32] {
            reply.number(value);
        }
        reply.resize(80, 0);
        Ok(reply)
    }

    pub(crate) fn get_attributes(&self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let (flags, _padding, handle) = (body.number()?, body.number()?, body.long()?);
        let stat = match self.files.get(handle) {
            Ok(file) if flags & GETATTR_HANDLE != 0 => tree::stat(file)?,
            _ => self.stat(header.node)?,
        };
        Ok(attributes(&stat))
    }

    pub(crate) fn set_attributes(&self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        if header.node == ROOT && self.only.is_some() {
            return Err(libc::EPERM);
        }
        let (valid, _padding, handle, size, _owner) = (body.number()?, body.number()?, body.long()?, body.long()?, body.long()?);
        let (atime, mtime, _ctime) = (body.long()?, body.long()?, body.long()?);
        let (atime_ns, mtime_ns, _ctime_ns) = (body.number()?, body.number()?, body.number()?);
        let (mode, _unused, uid, gid) = (body.number()?, body.number()?, body.number()?, body.number()?);
        let node = self.nodes.get(header.node)?;
        if valid & (UID | GID) != 0 {
            let keep = |flag: u32, id: u32| if valid & flag != 0 { id } else { u32::MAX };
            // SAFETY: plain calls on a descriptor that we own, here and below; texts and structures outlive them.
            check(unsafe { libc::fchownat(node.as_raw_fd(), c"".as_ptr(), keep(UID, uid), keep(GID, gid), libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) })?;
        }
        if valid & MODE != 0 {
            if self.nodes.kind(header.node)? == libc::S_IFLNK {
                return Err(libc::EOPNOTSUPP);
            }
            check(unsafe { libc::fchmodat(libc::AT_FDCWD, tree::path_of(node).as_ptr(), mode & 0o7777, 0) })?;
        }
        if valid & SIZE != 0 {
            let by_handle = if valid & HANDLE != 0 { self.files.get(handle).ok() } else { None };
            self.truncate(header.node, by_handle, size)?;
        }
        if valid & (ATIME | MTIME) != 0 {
            let times = [time(valid, ATIME, ATIME_NOW, atime, atime_ns), time(valid, MTIME, MTIME_NOW, mtime, mtime_ns)];
            check(unsafe { libc::utimensat(node.as_raw_fd(), c"".as_ptr(), times.as_ptr(), libc::AT_EMPTY_PATH) })?;
        }
        Ok(attributes(&self.stat(header.node)?))
    }

    fn truncate(&self, number: u64, by_handle: Option<BorrowedFd<'_>>, size: u64) -> Result<(), Errno> {
        let size = signed(size)?;
        let opened = if by_handle.is_none() { Some(self.reopen_file(number, libc::O_WRONLY)?) } else { None };
        let Some(file) = by_handle.or(opened.as_ref().map(AsFd::as_fd)) else { return Err(libc::EBADF) };
        // SAFETY: a plain call on a descriptor that we own.
        check(unsafe { libc::ftruncate(file.as_raw_fd(), size) }).map(drop)
    }

    /// The directory of a single file is made up: it may be looked at, and holds what it holds.
    fn stat(&self, number: u64) -> Result<libc::stat, Errno> {
        let mut stat = tree::stat(self.nodes.get(number)?)?;
        if number == ROOT && self.only.is_some() {
            (stat.st_mode, stat.st_nlink, stat.st_size, stat.st_ino) = (libc::S_IFDIR | 0o755, 2, 0, 1);
            (stat.st_uid, stat.st_gid) = (0, 0);
        }
        Ok(stat)
    }
}

fn attributes(stat: &libc::stat) -> Vec<u8> {
    let mut reply = Vec::with_capacity(104);
    reply.long(0);
    reply.long(0);
    reply.attributes(stat);
    reply
}

fn time(valid: u32, flag: u32, now: u32, seconds: u64, nanoseconds: u32) -> libc::timespec {
    let special = |tv_nsec| libc::timespec { tv_sec: 0, tv_nsec };
    match (valid & flag != 0, valid & now != 0) {
        (false, _) => special(libc::UTIME_OMIT),
        (true, true) => special(libc::UTIME_NOW),
        // Beyond a second the number would be one of the kernel's special ones.
        (true, false) => libc::timespec { tv_sec: seconds as i64, tv_nsec: i64::from(nanoseconds.min(999_999_999)) },
    }
}

fn signed(value: u64) -> Result<i64, Errno> {
    i64::try_from(value).map_err(|_| libc::EINVAL)
}
