//! Reading and writing the small files of a control group.

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One write(2): the kernel takes a setting only whole.
pub fn write(path: &Path, value: &str) -> io::Result<()> {
    let file = open(path, libc::O_WRONLY | libc::O_CLOEXEC)?;
    write_fd(&file, value)
}

pub fn write_fd(file: &OwnedFd, value: &str) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let count = unsafe { libc::write(file.as_raw_fd(), value.as_ptr().cast(), value.len()) };
    if count == value.len() as isize { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub fn open(path: &Path, flags: i32) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let fd = unsafe { libc::open(path.as_ptr(), flags) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

/// The file's text; empty where it cannot be read, which for statistics means: not counted here.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A file that holds one number. `max` and nonsense give None.
pub fn read_number(path: &Path) -> Option<u64> {
    read(path).trim().parse().ok()
}

/// The value beside `key` in lines of `key value`.
pub fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Removes a group's directory with its children. True once it is gone.
pub fn remove_tree(directory: &Path) -> bool {
    if let Err(error) = std::fs::remove_dir(directory) {
        if error.kind() == io::ErrorKind::NotFound {
            return true;
        }
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_tree(&entry.path());
            }
        }
        return std::fs::remove_dir(directory).is_ok();
    }
    true
}
