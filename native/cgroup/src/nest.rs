//! A group within a workload's own, for processes that shall be ended together and leave the workload standing. It exists in the hierarchy that
//! kills and freezes alone: everything is still counted and limited as the workload's.

use crate::group::{Attach, Group, collect};
use crate::files;
use std::io;
use std::path::PathBuf;

pub struct Nest {
    directory: PathBuf,
}

impl Group {
    /// Makes it. Whoever kills, freezes or removes the workload's group does so with this one.
    pub fn nest(&self, name: &str) -> io::Result<Nest> {
        let directory = self.freezer().join(name);
        std::fs::create_dir(&directory)?;
        Ok(Nest { directory })
    }

    /// As `attach`, into the nest where it exists, and into the workload's group everywhere else.
    pub fn attach_to(&self, nest: &Nest) -> io::Result<Attach> {
        self.attach_through(&self.freezer(), &nest.directory)
    }
}

impl Nest {
    /// One round of killing what is inside; true once nothing is, and the group is gone. Repeat until then.
    pub fn end(&self) -> bool {
        if files::remove_tree(&self.directory) {
            return true;
        }
        if files::write(&self.directory.join("cgroup.kill"), "1").is_err() {
            self.kill_each();
        }
        files::remove_tree(&self.directory)
    }

    /// Frozen meanwhile, so that no number on the list becomes another process's. A workload that stands still stays so.
    fn kill_each(&self) {
        let freeze = |file: &str, word: &str| files::write(&self.directory.join(file), word).is_ok();
        let _ = freeze("freezer.state", "FROZEN") || freeze("cgroup.freeze", "1");
        let mut pids = Vec::new();
        collect(&self.directory, &mut pids);
        for pid in pids {
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        let _ = freeze("freezer.state", "THAWED") || freeze("cgroup.freeze", "0");
    }
}
