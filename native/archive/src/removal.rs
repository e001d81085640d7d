//! Takes away what stands in the way.

use crate::at;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};

/// Removes a name and everything below it, following no link. Missing is fine. Not recursive in memory: a hostile tree is as deep as it likes.
pub fn remove(parent: BorrowedFd<'_>, name: &std::ffi::CStr) -> std::io::Result<()> {
    match at::unlink(parent, name, 0) {
        Err(error) if error.raw_os_error() == Some(libc::EISDIR) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => return other,
    }
    let mut open = vec![(at::open_directory(parent, name)?, name.to_owned())];
    while let Some((directory, _)) = open.last() {
        match crate::listing::first_that_stays(directory.as_fd())? {
            Some(inner) => {
                if open.len() > 4096 {
                    return Err(std::io::Error::from_raw_os_error(libc::ENAMETOOLONG));
                }
                let next = at::open_directory(directory.as_fd(), &inner)?;
                open.push((next, inner));
            }
            None => {
                let Some((_, emptied)) = open.pop() else { break };
                let above = open.last().map_or(parent, |(directory, _)| directory.as_fd());
                at::unlink(above, &emptied, libc::AT_REMOVEDIR)?;
            }
        }
    }
    Ok(())
}
