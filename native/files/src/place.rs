//! Paths inside, as the kernel understands them: links are followed on the way, and in the last part before `/` or `/.`.

use crate::fault::fault;
use bulkhead_archive::at;
use bulkhead_wire::Failure;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// What lies at a path.
pub struct Found {
    pub path: Vec<u8>,
    /// The path's last part, without what follows it; `/` for the root.
    pub name: Vec<u8>,
    /// What entries of an archive begin with; empty for the root, whose entries begin with a slash.
    pub shown: Vec<u8>,
    pub status: libc::stat,
    /// Only good for asking what it is.
    pub itself: OwnedFd,
    /// Where it can be opened from: the directory that it lies in and its name there, or itself where it is a directory.
    pub holder: OwnedFd,
    pub entry: CString,
}

pub fn find(root: &OwnedFd, path: &str) -> Result<Found, Failure> {
    let path = path.as_bytes();
    let failed = |error: std::io::Error| match error.raw_os_error() {
        // Below what is no directory lies nothing.
        Some(libc::ENOTDIR) => fault("find", path, &std::io::Error::from_raw_os_error(libc::ENOENT)),
        _ => fault("find", path, &error),
    };
    let itself = at::open_inside(root.as_fd(), path, libc::O_PATH | libc::O_NOFOLLOW, at::IN_ROOT).map_err(failed)?;
    let status = at::status(itself.as_fd(), c"").map_err(failed)?;
    let (name, inside) = last_part(path);
    let (holder, entry) = if status.st_mode & libc::S_IFMT == libc::S_IFDIR {
        (at::open_inside(itself.as_fd(), b".", libc::O_PATH | libc::O_DIRECTORY, 0).map_err(failed)?, c".".to_owned())
    } else {
        let above = &path[..path.len() - name.len()];
        (at::open_inside(root.as_fd(), if above.is_empty() { b"/" } else { above }, libc::O_PATH | libc::O_DIRECTORY, at::IN_ROOT).map_err(failed)?, at::c(name).map_err(failed)?)
    };
    let shown = if inside || name == b".." { b".".to_vec() } else { name.to_vec() };
    let name = if name.is_empty() { b"/".to_vec() } else { name.to_vec() };
    Ok(Found { path: path.to_vec(), name, shown, status, itself, holder, entry })
}

/// Without slashes and `/.` behind it, and whether the path ends in such a dot. Empty for the root.
fn last_part(path: &[u8]) -> (&[u8], bool) {
    let mut rest = path;
    let mut inside = false;
    loop {
        while let [before @ .., b'/'] = rest {
            rest = before;
        }
        match rest {
            [b'.'] => return (b"", true),
            [before @ .., b'/', b'.'] => {
                // `/a/./` names `a`, and only a dot at the very end asks for what lies in it.
                inside |= path.ends_with(b"/.");
                rest = before;
            }
            _ => break,
        }
    }
    (rest.rsplit(|byte| *byte == b'/').next().unwrap_or_default(), inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_what_stands_before_slashes_and_dots() {
        let of = |path: &str| {
            let (name, inside) = last_part(path.as_bytes());
            (String::from_utf8_lossy(name).into_owned(), inside)
        };
        for (path, name, inside) in [("/a/b", "b", false), ("/a/b/", "b", false), ("/a/b//", "b", false), ("/a/b/.", "b", true), ("/a/./", "a", false), ("/", "", false), ("/.", "", true), ("", "", false), ("b", "b", false), ("/a/..", "..", false), ("/a/.b", ".b", false)] {
            assert_eq!(of(path), (name.to_string(), inside), "{path}");
        }
    }
}
