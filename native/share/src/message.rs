//! FUSE messages as `linux/fuse.h` lays them out (7.31): a reader that checks every length, and the parts of replies.

use std::ffi::CString;

pub(crate) const HEADER_BYTES: usize = 40;
pub(crate) const REPLY_HEADER_BYTES: usize = 16;
/// Most data in one read or write.
pub(crate) const MAX_DATA_BYTES: usize = 1 << 20;
/// What the guest's kernel may send: data, headers, names. The same bound stands on its side of the port.
pub(crate) const MAX_REQUEST_BYTES: usize = MAX_DATA_BYTES + 64 * 1024;

pub(crate) type Errno = i32;

/// `struct fuse_in_header` without what nobody here asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) opcode: u32,
    pub(crate) unique: u64,
    pub(crate) node: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Header {
    pub(crate) fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let mut reader = Reader { rest: &bytes[4..] };
        let mut number = || reader.number().unwrap_or(0);
        let opcode = number();
        let mut long = || reader.long().unwrap_or(0);
        let (unique, node) = (long(), long());
        let mut number = || reader.number().unwrap_or(0);
        Self { opcode, unique, node, uid: number(), gid: number() }
    }
}

/// A request's body. What is missing or no name is EINVAL.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    pub(crate) fn number(&mut self) -> Result<u32, Errno> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(libc::EINVAL)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*head))
    }

    pub(crate) fn long(&mut self) -> Result<u64, Errno> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(libc::EINVAL)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*head))
    }

    /// One name in one directory: never a path, never the directory itself or what it lies in.
    pub(crate) fn name(&mut self) -> Result<CString, Errno> {
        let name = self.text()?;
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.contains(&b'/') || bytes == b"." || bytes == b".." {
            return Err(libc::EINVAL);
        }
        if bytes.len() > 255 { Err(libc::ENAMETOOLONG) } else { Ok(name) }
    }

    /// Up to its closing zero.
    pub(crate) fn text(&mut self) -> Result<CString, Errno> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(libc::EINVAL)?;
        let text = CString::new(&self.rest[..end]).map_err(|_| libc::EINVAL)?;
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    pub(crate) fn data(&mut self, length: usize) -> Result<&'a [u8], Errno> {
        let (data, rest) = self.rest.split_at_checked(length).ok_or(libc::EINVAL)?;
        self.rest = rest;
        Ok(data)
    }
}

/// The body of a reply.
pub(crate) trait Reply {
    fn number(&mut self, value: u32);
    fn long(&mut self, value: u64);
    /// `struct fuse_attr`.
    fn attributes(&mut self, stat: &libc::stat);
    /// `struct fuse_entry_out`. Names and attributes are believed for no time at all: the host's own programs change them.
    fn entry(&mut self, node: u64, stat: &libc::stat);
}

impl Reply for Vec<u8> {
    fn number(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn long(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn attributes(&mut self, stat: &libc::stat) {
        for value in [stat.st_ino, stat.st_size as u64, stat.st_blocks as u64, stat.st_atime as u64, stat.st_mtime as u64, stat.st_ctime as u64] {
            self.long(value);
        }
        let device = libc::major(stat.st_rdev) << 20 | libc::minor(stat.st_rdev) & 0xf_ffff;
        let numbers = [
            stat.st_atime_nsec as u32,
            stat.st_mtime_nsec as u32,
            stat.st_ctime_nsec as u32,
            stat.st_mode,
            stat.st_nlink as u32,
            stat.st_uid,
            stat.st_gid,
            device,
            stat.st_blksize as u32,
            0,
        ];
        numbers.into_iter().for_each(|value| self.number(value));
    }

    fn entry(&mut self, node: u64, stat: &libc::stat) {
        for value in [node, 0, 0, 0] {
            self.long(value);
        }
        self.number(0);
        self.number(0);
        self.attributes(stat);
    }
}

pub(crate) mod opcode {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FSYNC: u32 = 20;
    pub(crate) const SETXATTR: u32 = 21;
    pub(crate) const GETXATTR: u32 = 22;
    pub(crate) const LISTXATTR: u32 = 23;
    pub(crate) const REMOVEXATTR: u32 = 24;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const FSYNCDIR: u32 = 30;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const FALLOCATE: u32 = 43;
    pub(crate) const READDIRPLUS: u32 = 44;
    pub(crate) const RENAME2: u32 = 45;
    pub(crate) const LSEEK: u32 = 46;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for bad in [&b"..\0"[..], b".\0", b"\0", b"a/b\0", b"/etc\0", b"no-end"] {
            assert_eq!(Reader::new(bad).name().err(), Some(libc::EINVAL), "{bad:?}");
        }
        assert_eq!(Reader::new(&[&[b'x'; 256][..], &[0]].concat()).name().err(), Some(libc::ENAMETOOLONG));
        let mut two = Reader::new(b"one\0two\0");
        assert_eq!((two.name().unwrap().as_bytes(), two.name().unwrap().as_bytes()), (&b"one"[..], &b"two"[..]));
    }

    #[test]
    fn what_is_missing_is_refused() {
        assert_eq!(Reader::new(&[1, 2, 3]).number(), Err(libc::EINVAL));
        assert_eq!(Reader::new(&[0; 7]).long(), Err(libc::EINVAL));
        assert_eq!(Reader::new(&[0; 7]).data(8), Err(libc::EINVAL));
        assert_eq!(Reader::new(&[0; 7]).data(usize::MAX), Err(libc::EINVAL));
    }

    #[test]
    fn replies_are_as_long_as_the_kernels_structures() {
        let stat: libc::stat = unsafe { std::mem::zeroed() };
        let (mut attributes, mut entry) = (Vec::new(), Vec::new());
        attributes.attributes(&stat);
        entry.entry(1, &stat);
        assert_eq!((attributes.len(), entry.len()), (88, 128));
    }
}
