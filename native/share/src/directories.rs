//! Reading directories.

use std::ffi::CStr;
use std::os::fd::AsRawFd;

use crate::message::{Errno, Header, MAX_DATA_BYTES, Reader, Reply};
use crate::nodes::ROOT;
use crate::session::{Outcome, Session};
use crate::tree;

/// Bytes of `struct fuse_entry_out` before each entry of READDIRPLUS.
const ENTRY_BYTES: usize = 128;

/// One entry as getdents64 gives it: the inode, where to go on after it, its kind and its name.
struct Entry<'a> {
    inode: u64,
    next: u64,
    kind: u8,
    name: &'a [u8],
}

impl Session {
    pub(crate) fn open_directory(&mut self, header: &Header) -> Outcome {
        let made_up = header.node == ROOT && self.only.is_some();
        if !made_up && self.nodes.kind(header.node)? != libc::S_IFDIR {
            return Err(libc::ENOTDIR);
        }
        // The made-up directory has a handle as well, which is never read.
        let flags = if made_up { libc::O_PATH } else { libc::O_RDONLY | libc::O_DIRECTORY };
        let descriptor = tree::reopen(self.nodes.get(header.node)?, flags)?;
        let mut reply = Vec::with_capacity(16);
        reply.long(self.directories.add(descriptor)?);
        reply.long(0);
        Ok(reply)
    }

    pub(crate) fn release_directory(&mut self, body: &mut Reader<'_>) -> Outcome {
        self.directories.close(body.long()?);
        Ok(Vec::new())
    }

    /// As many entries as fit, `plus` each with its attributes: those count as looked up.
    pub(crate) fn read_directory(&mut self, header: &Header, body: &mut Reader<'_>, plus: bool) -> Outcome {
        let (handle, offset, size) = (body.long()?, body.long()?, (body.number()? as usize).min(MAX_DATA_BYTES));
        let (mut reply, mut buffer) = (Vec::new(), vec![0; size.clamp(512, 32 * 1024)]);
        if header.node == ROOT {
            if let Some(only) = self.only.clone() {
                let entry = Entry { inode: 2, next: 1, kind: libc::DT_REG, name: &only };
                if offset == 0 {
                    self.put(&mut reply, size, header.node, &entry, plus)?;
                }
                return Ok(reply);
            }
        }
        let directory = self.directories.get(handle)?.try_clone_to_owned().map_err(|_| libc::EMFILE)?;
        let position = i64::try_from(offset).map_err(|_| libc::EINVAL)?;
        // SAFETY: plain calls on a descriptor that we own; the buffer outlives them and its length is given.
        let length = unsafe {
            tree::check_long(libc::lseek(directory.as_raw_fd(), position, libc::SEEK_SET))?;
            tree::check_long(libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()))? as usize
        };
        let mut rest = &buffer[..length];
        while let Some((entry, after)) = read_entry(rest) {
            if !self.put(&mut reply, size, header.node, &entry, plus)? {
                break;
            }
            rest = after;
        }
        Ok(reply)
    }

    /// False when there is no more room.
    fn put(&mut self, reply: &mut Vec<u8>, room: usize, parent: u64, entry: &Entry<'_>, plus: bool) -> Result<bool, Errno> {
        let length = (24 + entry.name.len()).next_multiple_of(8) + if plus { ENTRY_BYTES } else { 0 };
        if reply.len() + length > room {
            return Ok(false);
        }
        if plus {
            match self.look(parent, entry.name) {
                Some((number, stat)) => reply.entry(number, &stat),
                None => reply.resize(reply.len() + ENTRY_BYTES, 0), // node 0: the guest looks it up when it wants it
            }
        }
        reply.long(entry.inode);
        reply.long(entry.next);
        reply.number(entry.name.len() as u32);
        reply.number(u32::from(entry.kind));
        reply.extend_from_slice(entry.name);
        reply.resize(reply.len().next_multiple_of(8), 0);
        Ok(true)
    }

    /// The entries `.` and `..` are never looked up, so that nothing above the share is touched.
    fn look(&mut self, parent: u64, name: &[u8]) -> Option<(u64, libc::stat)> {
        if name == b"." || name == b".." {
            return None;
        }
        let name = std::ffi::CString::new(name).ok()?;
        let descriptor = self.descend(parent, &name).ok()?;
        self.nodes.add(descriptor).ok()
    }
}

fn read_entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let long = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
    let length = usize::from(u16::from_ne_bytes(bytes.get(16..18)?.try_into().ok()?));
    let name = CStr::from_bytes_until_nul(bytes.get(19..length)?).ok()?.to_bytes();
    Some((Entry { inode: long(0)?, next: long(8)?, kind: *bytes.get(18)?, name }, &bytes[length..]))
}
