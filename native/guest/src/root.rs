//! Paths inside the workload's root, resolved there and nowhere else: the image decides what is a symbolic link.

use crate::sys::{self, c, errno};
use bulkhead_wire::{Code, Failure};
use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};

pub struct Root(OwnedFd);

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}
const RESOLVE_NO_XDEV: u64 = 0x01;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_IN_ROOT: u64 = 0x10;
const LONGEST_ACCOUNT_FILE: u64 = 1024 * 1024;

impl Root {
    pub fn open(path: &str) -> Result<Root, Failure> {
        Ok(Root(sys::open(path, libc::O_PATH | libc::O_DIRECTORY)?))
    }

    fn at(&self, path: &str, flags: i32) -> Result<OwnedFd, Failure> {
        self.resolve(path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    }

    fn resolve(&self, path: &str, flags: i32, resolve: u64) -> Result<OwnedFd, Failure> {
        let relative = c(if path.is_empty() { "." } else { path })?;
        let how = OpenHow { flags: (flags | libc::O_CLOEXEC) as u64, mode: 0, resolve };
        let fd = unsafe { libc::syscall(libc::SYS_openat2, self.0.as_raw_fd(), relative.as_ptr(), &how, size_of::<OpenHow>()) };
        sys::owned(fd as i32, &format!("open {path} in the image"))
    }

    pub fn open_at(&self, path: &str, flags: i32) -> Result<OwnedFd, Failure> {
        self.at(path, flags)
    }

    /// The place, where something is there.
    pub fn find(&self, path: &str) -> Option<Place> {
        self.at(path, libc::O_PATH).ok().map(Place)
    }

    /// As `find`, saying why not.
    pub fn place(&self, path: &str) -> Result<Place, Failure> {
        self.at(path, libc::O_PATH).map(Place)
    }

    /// Has the kernel read a program of the image while something else is done. Volumes are left alone: whoever serves them may not answer.
    /// True: it is there.
    pub fn read_ahead(&self, path: &str) -> bool {
        const MOST_BYTES: i64 = 16 << 20;
        let Ok(program) = self.resolve(path, libc::O_RDONLY | libc::O_NONBLOCK, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV) else { return false };
        unsafe { libc::posix_fadvise(program.as_raw_fd(), 0, MOST_BYTES, libc::POSIX_FADV_WILLNEED) };
        true
    }

    /// The directory, made with all that lead to it where it is missing.
    pub fn directory(&self, path: &str) -> Result<Place, Failure> {
        let mut reached = String::from(".");
        let mut place = Place(self.at(".", libc::O_PATH)?);
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            let next = format!("{reached}/{name}");
            match self.find(&next) {
                Some(found) => place = found,
                None => {
                    let component = c(name)?;
                    if unsafe { libc::mkdirat(place.0.as_raw_fd(), component.as_ptr(), 0o755) } != 0 && errno() != libc::EEXIST {
                        return Err(Failure::system(&format!("make the directory {path} in the workload's root")));
                    }
                    place = Place(self.at(&next, libc::O_PATH)?);
                }
            }
            reached = next;
        }
        if !place.is_directory() {
            return Err(Failure::new(Code::InvalidSpec, format!("{path} in the image is no directory")));
        }
        Ok(place)
    }

    /// The file, made empty where it is missing.
    pub fn file(&self, path: &str) -> Result<Place, Failure> {
        if let Some(found) = self.find(path) {
            return Ok(found);
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.directory(parent)?;
        let name = c(name)?;
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let made = unsafe { libc::openat(directory.0.as_raw_fd(), name.as_ptr(), flags, 0o644) };
        drop(sys::owned(made, &format!("make the file {path} in the workload's root"))?);
        Ok(Place(self.at(path, libc::O_PATH)?))
    }

    /// A small text file, empty where there is none or it is none.
    pub fn text(&self, path: &str) -> String {
        let mut text = Vec::new();
        let Some(fd) = self.find(path).filter(Place::is_file).and_then(|_| self.at(path, libc::O_RDONLY | libc::O_NONBLOCK).ok()) else {
            return String::new();
        };
        let _ = std::fs::File::from(fd).take(LONGEST_ACCOUNT_FILE).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Something inside the root, held by descriptor: what its path means cannot change any more.
pub struct Place(OwnedFd);

impl Place {
    /// A path for system calls that take only paths.
    pub fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }

    fn kind(&self) -> u32 {
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        let done = unsafe { libc::fstat(self.0.as_raw_fd(), &mut stat) };
        if done == 0 { stat.st_mode & libc::S_IFMT } else { 0 }
    }

    pub fn is_directory(&self) -> bool {
        self.kind() == libc::S_IFDIR
    }

    pub fn is_file(&self) -> bool {
        self.kind() == libc::S_IFREG
    }

    /// Its path as the agent's namespaces see it, for a child that mounts there later.
    pub fn real_path(&self) -> Result<CString, Failure> {
        let target = std::fs::read_link(self.path()).map_err(|error| Failure::from_io("name a place in the workload's root", &error))?;
        c(&target.to_string_lossy())
    }

    /// Shows `source` here.
    pub fn bind(&self, source: &str, read_only: bool) -> Result<(), Failure> {
        sys::mount(source, &self.path(), "", libc::MS_BIND | libc::MS_REC, "")?;
        if read_only {
            // The descriptor still means what lies below the new mount; its real path means the mount.
            let path = self.real_path()?;
            sys::mount("", &path.to_string_lossy(), "", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, "")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn scratch(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("bulkhead-guest-root-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn links_lead_to_the_root_s_own_places_and_never_out_of_it() {
        let at = scratch("links");
        std::fs::create_dir(at.join("run")).unwrap();
        symlink("/run", at.join("var")).unwrap();
        symlink("../../../../../../etc", at.join("escape")).unwrap();
        let root = Root::open(at.to_str().unwrap()).unwrap();
        root.directory("/var/lock/deep").unwrap();
        assert!(at.join("run/lock/deep").is_dir());
        assert!(root.find("escape/passwd").is_none());
        assert_eq!(root.text("/escape/passwd"), "");
        assert!(root.directory("escape/new").is_err(), "a link to nowhere is no directory to make things in");
        std::fs::remove_dir_all(at).unwrap();
    }

    #[test]
    fn files_are_made_with_their_directories_and_found_again() {
        let at = scratch("files");
        let root = Root::open(at.to_str().unwrap()).unwrap();
        assert!(root.file("/etc/hosts").unwrap().is_file());
        std::fs::write(at.join("etc/hosts"), "text").unwrap();
        assert!(root.file("etc/hosts").unwrap().is_file());
        assert_eq!(root.text("/etc/hosts"), "text");
        assert!(root.directory("/etc/hosts").is_err());
        std::fs::remove_dir_all(at).unwrap();
    }
}
