//! Reads and empties directories.

use std::ffi::{CStr, CString};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::at;

/// Removes every file of a directory and gives the first name that is a directory itself, if one is left.
pub fn first_that_stays(directory: BorrowedFd<'_>) -> Result<Option<CString>> {
    rewind(directory);
    let mut names = Names::begin();
    while let Some(name) = names.next(directory)? {
        match at::unlink(directory, &name, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(libc::EISDIR) => return Ok(Some(name)),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Every name of a directory, without `.` and `..`.
pub fn all(directory: BorrowedFd<'_>) -> Result<Vec<CString>> {
    rewind(directory);
    let (mut names, mut found) = (Names::begin(), Vec::new());
    while let Some(name) = names.next(directory)? {
        found.push(name);
    }
    Ok(found)
}

fn rewind(directory: BorrowedFd<'_>) {
    unsafe { libc::lseek(directory.as_raw_fd(), 0, libc::SEEK_SET) };
}

/// The names of a directory a few at a time, without `.` and `..`: a directory may have more of them than memory holds.
pub struct Names {
    known: std::vec::IntoIter<CString>,
}

const AT_ONCE_BYTES: usize = 8 * 1024;

impl Names {
    pub fn begin() -> Names {
        Names { known: Vec::new().into_iter() }
    }

    /// The next name of this directory, which must be the same every time.
    pub fn next(&mut self, directory: BorrowedFd<'_>) -> Result<Option<CString>> {
        loop {
            if let Some(name) = self.known.next() {
                return Ok(Some(name));
            }
            let mut buffer = [0u8; AT_ONCE_BYTES];
            let got = unsafe { libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
            match got {
                ..0 => return Err(Error::last_os_error()),
                0 => return Ok(None),
                got => self.known = names(&buffer[..got as usize]).into_iter(),
            }
        }
    }
}

/// Names in what `getdents64(2)` filled, without `.` and `..`.
fn names(mut records: &[u8]) -> Vec<CString> {
    let mut found = Vec::new();
    while records.len() > 19 {
        let length = usize::from(u16::from_ne_bytes([records[16], records[17]]));
        if length <= 19 || length > records.len() {
            break;
        }
        if let Ok(name) = CStr::from_bytes_until_nul(&records[19..length])
            && !matches!(name.to_bytes(), b"." | b"..")
        {
            found.push(name.to_owned());
        }
        records = &records[length..];
    }
    found
}
