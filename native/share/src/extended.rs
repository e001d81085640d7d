//! Extended attributes: those of users alone. The others (capabilities, labels, access lists, overlayfs's) mean something to the host.

use std::ffi::CStr;

use crate::message::{Errno, Header, Reader, Reply};
use crate::nodes::ROOT;
use crate::session::{Outcome, Session};
use crate::tree::{self, check, check_long};

const LARGEST_BYTES: usize = 64 * 1024;

impl Session {
    pub(crate) fn get_extended(&self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let (size, _padding, name) = (body.number()?, body.number()?, body.text()?);
        check_name(&name)?;
        let path = self.extended_path(header)?;
        // SAFETY: texts and buffer outlive the call, and the buffer's length is given.
        answer(size, |at, room| unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), at, room) })
    }

    pub(crate) fn list_extended(&self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let size = body.number()?;
        let path = self.extended_path(header)?;
        // SAFETY: as above.
        let all = answer(LARGEST_BYTES as u32, |at, room| unsafe { libc::listxattr(path.as_ptr(), at.cast(), room) })?;
        let users = all.split_inclusive(|byte| *byte == 0).filter(|name| name.starts_with(b"user.")).flatten().copied().collect::<Vec<_>>();
        if size == 0 {
            return Ok(sized(users.len()));
        }
        if users.len() > size as usize { Err(libc::ERANGE) } else { Ok(users) }
    }

    pub(crate) fn set_extended(&self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let (size, flags, name) = (body.number()? as usize, body.number()? as i32, body.text()?);
        check_name(&name)?;
        let (value, path) = (body.data(size)?, self.extended_path(header)?);
        // SAFETY: texts and value outlive the call, and the value's length is given.
        check(unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags) })?;
        Ok(Vec::new())
    }

    pub(crate) fn remove_extended(&self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        let name = body.text()?;
        check_name(&name)?;
        let path = self.extended_path(header)?;
        // SAFETY: both texts outlive the call.
        check(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) })?;
        Ok(Vec::new())
    }

    /// Links have no attributes of users; following one's number would be harmless, and pointless.
    fn extended_path(&self, header: &Header) -> Result<std::ffi::CString, Errno> {
        let made_up = header.node == ROOT && self.only.is_some();
        if made_up || !matches!(self.nodes.kind(header.node)?, libc::S_IFREG | libc::S_IFDIR) {
            return Err(libc::EOPNOTSUPP);
        }
        Ok(tree::path_of(self.nodes.get(header.node)?))
    }
}

fn check_name(name: &CStr) -> Result<(), Errno> {
    if name.to_bytes().starts_with(b"user.") { Ok(()) } else { Err(libc::EOPNOTSUPP) }
}

/// The value, or for size 0 how long it is.
fn answer(size: u32, read: impl FnOnce(*mut libc::c_void, usize) -> isize) -> Outcome {
    let mut value = vec![0_u8; (size as usize).min(LARGEST_BYTES)];
    let length = check_long(read(value.as_mut_ptr().cast(), value.len()) as i64)? as usize;
    if size == 0 {
        return Ok(sized(length));
    }
    value.truncate(length);
    Ok(value)
}

fn sized(length: usize) -> Vec<u8> {
    let mut reply = Vec::with_capacity(8);
    reply.number(length as u32);
    reply.number(0);
    reply
}
