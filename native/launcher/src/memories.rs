//! The memories of templates, held for as long as the launcher lives: supervisors inherit them, and the first one fills
//! (`bulkhead_machine::memory`). A launcher that is started anew begins with none and loses a few tens of milliseconds once.

use crate::beneath::Below;
use bulkhead_machine::memory;
use bulkhead_wire::Failure;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The engine keeps fewer templates. Each is as large as what its guest has touched: tens of MiB.
const MOST: usize = 16;

#[derive(Default)]
pub struct Memories {
    /// The one used last at the end.
    held: Vec<Memory>,
}

struct Memory {
    path: String,
    /// Device and number of the file that it was made from: another file of that name is another memory.
    file: (u64, u64),
    pages: OwnedFd,
}

impl Memories {
    /// The memory of the template whose file this is; below the root.
    pub fn get(&mut self, below: &Below, path: &str) -> Result<OwnedFd, Failure> {
        let failed = |error: std::io::Error| Failure::from_io("find the template's memory", &error);
        below.parent(path)?;
        let metadata = std::fs::symlink_metadata(path).map_err(failed)?;
        let file = (metadata.dev(), metadata.ino());
        let known = self.held.iter().position(|memory| memory.path == path).map(|at| self.held.remove(at)).filter(|memory| memory.file == file);
        let memory = match known {
            Some(memory) => memory,
            None => Memory { path: path.to_owned(), file, pages: memory::reserve(Path::new(path))? },
        };
        let pages = memory.pages.try_clone().map_err(failed)?;
        self.held.push(memory);
        if self.held.len() > MOST {
            self.held.remove(0);
        }
        Ok(pages)
    }

    /// What lies below this directory is being removed. Machines that stand keep their pages.
    pub fn forget(&mut self, directory: &str) {
        self.held.retain(|memory| !memory.path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/')));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_memory_is_kept_until_its_directory_goes_or_its_file_is_another() {
        let root = std::env::temp_dir().join(format!("bulkhead-memories-{}", std::process::id()));
        std::fs::create_dir_all(root.join("one")).unwrap();
        let path = root.join("one/memory").to_str().unwrap().to_owned();
        std::fs::write(&path, "pages").unwrap();
        let below = Below::new(&root).unwrap();
        let mut memories = Memories::default();
        let identity = |fd: OwnedFd| std::fs::metadata(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap().ino();
        let first = identity(memories.get(&below, &path).unwrap());
        assert_eq!(identity(memories.get(&below, &path).unwrap()), first);
        std::fs::write(root.join("one/new"), "other").unwrap();
        std::fs::rename(root.join("one/new"), &path).unwrap();
        let second = identity(memories.get(&below, &path).unwrap());
        assert_ne!(second, first);
        memories.forget(root.join("on").to_str().unwrap());
        assert_eq!(memories.held.len(), 1);
        memories.forget(root.join("one").to_str().unwrap());
        assert!(memories.held.is_empty());
        assert!(memories.get(&below, "/etc/passwd").is_err());
        std::fs::remove_dir_all(root).unwrap();
    }
}
