//! Paths that callers name must lie below the launcher's root, component by component: no `..`, no symbolic links on the way.

use bulkhead_wire::failure::{Code, Failure, quote};
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_BENEATH: u64 = 0x08;

fn openat2(directory: i32, path: &str, flags: i32, mode: u32, resolve: u64) -> std::io::Result<OwnedFd> {
    let path = CString::new(path)?;
    let how = OpenHow { flags: (flags | libc::O_CLOEXEC) as u64, mode: u64::from(mode), resolve };
    let fd = unsafe { libc::syscall(libc::SYS_openat2, directory, path.as_ptr(), &how, size_of::<OpenHow>()) };
    if fd < 0 { Err(std::io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }) }
}

/// The part of an absolute path below `base`; INVALID_SPEC for any other.
fn relative<'a>(base: &Path, path: &'a str) -> Result<&'a str, Failure> {
    let outside = || Failure::new(Code::InvalidSpec, format!("the path {} does not lie below {}", quote(path), base.display()));
    let rest = path.strip_prefix(base.to_str().unwrap_or_default()).ok_or_else(outside)?;
    let rest = rest.strip_prefix('/').ok_or_else(outside)?;
    let clean = !rest.is_empty() && !rest.contains('\0') && rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if clean { Ok(rest) } else { Err(outside()) }
}

/// A directory that paths are resolved below.
pub struct Below {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl Below {
    pub fn new(path: &Path) -> std::io::Result<Below> {
        let name = CString::new(path.as_os_str().as_encoded_bytes())?;
        let fd = unsafe { libc::open(name.as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Below { path: path.to_path_buf(), descriptor: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    pub fn descriptor(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what an absolute path names, following no link.
    pub fn open(&self, path: &str, flags: i32, mode: u32) -> Result<OwnedFd, Failure> {
        let rest = relative(&self.path, path)?;
        openat2(self.descriptor.as_raw_fd(), rest, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS).map_err(|error| {
            let mut failure = Failure::from_io(&format!("open {}", quote(path)), &error);
            if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EXDEV)) {
                failure.code = Code::InvalidSpec;
            }
            failure
        })
    }

    /// Checks the form and the directory in which the last component lies; what it names need not exist.
    pub fn parent(&self, path: &str) -> Result<(OwnedFd, String), Failure> {
        relative(&self.path, path)?;
        let (parent, name) = path.rsplit_once('/').unwrap_or_default();
        let directory = if Path::new(parent) == self.path {
            self.descriptor.try_clone().map_err(|error| Failure::from_io("duplicate a descriptor", &error))?
        } else {
            self.open(parent, libc::O_PATH | libc::O_DIRECTORY, 0)?
        };
        Ok((directory, name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_the_base_are_taken() {
        let base = Path::new("/var/lib/b");
        assert_eq!(relative(base, "/var/lib/b/x/y").unwrap(), "x/y");
        for bad in ["/var/lib/b", "/var/lib/b/", "/var/lib/bc/x", "/var/lib/b/../x", "/var/lib/b/x/../../y", "/var/lib/b//x", "/var/lib/b/./x", "x", "", "/", "/var/lib/b/x\0"] {
            assert!(relative(base, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_link_on_the_way_is_refused() {
        let base = std::env::temp_dir().join(format!("beneath-{}", std::process::id()));
        std::fs::create_dir_all(base.join("real")).unwrap();
        let _ = std::os::unix::fs::symlink("/etc", base.join("link"));
        let below = Below::new(&base).unwrap();
        let at = |name: &str| base.join(name).to_str().unwrap().to_string();
        assert!(below.open(&at("real"), libc::O_PATH, 0).is_ok());
        assert_eq!(below.open(&at("link/passwd"), libc::O_PATH, 0).unwrap_err().code, Code::InvalidSpec);
        assert_eq!(below.open(&at("none"), libc::O_PATH, 0).unwrap_err().code, Code::NotFound);
        std::fs::remove_dir_all(&base).unwrap();
    }
}
