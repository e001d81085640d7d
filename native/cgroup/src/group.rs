//! One workload's group: made, entered, frozen, killed, removed.

use crate::layout::{Layout, Version};
use crate::{devices, files, limits, stats};
use bulkhead_wire::Failure;
use bulkhead_wire::plan::{DeviceSpec, LimitsSpec};
use bulkhead_wire::process::ResourceUse;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub struct Group {
    layout: Rc<Layout>,
    workload: String,
}

impl Group {
    /// Makes the group with its limits and device rules. On failure nothing of it is left.
    pub fn make(layout: Rc<Layout>, workload: &str, limits: &LimitsSpec, devices: &[DeviceSpec], all_devices: bool) -> Result<Group, Failure> {
        let group = Group::of(layout, workload);
        let made = group.make_directories().and_then(|()| {
            limits::apply(&group.layout, workload, limits)?;
            if all_devices {
                return Ok(());
            }
            devices::confine(&group.layout, workload, &devices::rules_for(devices)?)
        });
        match made {
            Ok(()) => Ok(group),
            Err(failure) => {
                group.remove();
                Err(failure)
            }
        }
    }

    /// A group that may or may not stand: for killing and removing what an earlier process left.
    pub fn of(layout: Rc<Layout>, workload: &str) -> Group {
        Group { layout, workload: workload.to_string() }
    }

    fn make_directories(&self) -> Result<(), Failure> {
        for directory in self.layout.directories(&self.workload) {
            std::fs::create_dir(&directory).map_err(|error| Failure::from_io(&format!("make the control group {}", directory.display()), &error))?;
        }
        Ok(())
    }

    /// Opened beforehand, so that a child between fork and exec only has to write.
    pub fn attach(&self) -> io::Result<Attach> {
        let freezer = self.freezer();
        self.attach_through(&freezer, &freezer)
    }

    /// With `to` in the place of `from`, one of the group's directories.
    pub(crate) fn attach_through(&self, from: &Path, to: &Path) -> io::Result<Attach> {
        let directories = self.layout.directories(&self.workload).into_iter().map(|directory| if directory == from { to.to_path_buf() } else { directory });
        let directories: Vec<PathBuf> = directories.collect();
        match self.layout.version {
            Version::V1 => {
                let tasks = directories.iter().map(|directory| files::open(&directory.join("tasks"), libc::O_WRONLY | libc::O_CLOEXEC));
                Ok(Attach::Tasks(tasks.collect::<io::Result<_>>()?))
            }
            Version::V2 => Ok(Attach::Into(files::open(&directories[0], libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC)?)),
        }
    }

    pub fn update(&self, limits: &LimitsSpec) -> Result<(), Failure> {
        limits::apply(&self.layout, &self.workload, limits)
    }

    pub fn stats(&self) -> ResourceUse {
        stats::measure(&self.layout, &self.workload)
    }

    pub fn refused(&self) -> stats::Refused {
        stats::refused(&self.layout, &self.workload)
    }

    pub fn out_of_memory_kills(&self) -> u64 {
        stats::out_of_memory_kills(&self.layout, &self.workload)
    }

    /// A descriptor that becomes readable when the kernel runs out of the workload's memory (drain it by reading; v1 also on
    /// removal, so ask `out_of_memory_kills` what really happened). None where it cannot be had.
    pub fn out_of_memory_watch(&self) -> Option<OwnedFd> {
        let directory = self.layout.directory("memory", &self.workload)?;
        match self.layout.version {
            Version::V1 => {
                let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
                if event < 0 {
                    return None;
                }
                let event = unsafe { OwnedFd::from_raw_fd(event) };
                let control = files::open(&directory.join("memory.oom_control"), libc::O_RDONLY | libc::O_CLOEXEC).ok()?;
                let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
                files::write(&directory.join("cgroup.event_control"), &line).ok()?;
                Some(event)
            }
            Version::V2 => {
                use std::os::unix::ffi::OsStrExt;
                let inotify = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
                if inotify < 0 {
                    return None;
                }
                let inotify = unsafe { OwnedFd::from_raw_fd(inotify) };
                let path = std::ffi::CString::new(directory.join("memory.events").as_os_str().as_bytes()).ok()?;
                let watch = unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), libc::IN_MODIFY) };
                (watch >= 0).then_some(inotify)
            }
        }
    }

    /// Pids inside, as this process's namespace sees them.
    pub fn processes(&self) -> Vec<i32> {
        let Some(directory) = self.layout.directory("freezer", &self.workload) else { return Vec::new() };
        let mut pids = Vec::new();
        collect(&directory, &mut pids);
        pids
    }

    /// Stops or continues every process. The kernel may still be at it when this returns; see `frozen`.
    pub fn freeze(&self, frozen: bool) -> io::Result<()> {
        let directory = self.freezer();
        match self.layout.version {
            Version::V1 => files::write(&directory.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" }),
            Version::V2 => files::write(&directory.join("cgroup.freeze"), if frozen { "1" } else { "0" }),
        }
    }

    /// Whether every process has stopped.
    pub fn frozen(&self) -> bool {
        match self.layout.version {
            Version::V1 => files::read(&self.freezer().join("freezer.state")).trim() == "FROZEN",
            Version::V2 => files::keyed(&files::read(&self.freezer().join("cgroup.events")), "frozen") == Some(1),
        }
    }

    /// One round of killing everything inside; returns how many were still there. Repeat until that is none: on v1 a process
    /// can fork between the list and the signal, which the freezer makes rare but not impossible.
    pub fn kill(&self) -> usize {
        let directory = self.freezer();
        if self.layout.version == Version::V2 && files::write(&directory.join("cgroup.kill"), "1").is_ok() {
            let _ = self.freeze(false);
            return self.processes().len();
        }
        let mut pids = self.processes();
        if pids.is_empty() {
            return 0;
        }
        let _ = self.freeze(true);
        pids = self.processes();
        for pid in &pids {
            unsafe { libc::kill(*pid, libc::SIGKILL) };
        }
        let _ = self.freeze(false);
        pids.len()
    }

    /// Removes every directory of the group; true once all are gone. Fails softly while dying processes still hold it.
    pub fn remove(&self) -> bool {
        let left = self.layout.directories(&self.workload).into_iter().chain(self.layout.strays(&self.workload)).filter(|directory| !files::remove_tree(directory)).count();
        left == 0
    }

    pub(crate) fn freezer(&self) -> PathBuf {
        self.layout.directory("freezer", &self.workload).unwrap_or_default()
    }
}

pub(crate) fn collect(directory: &Path, pids: &mut Vec<i32>) {
    let text = files::read(&directory.join("cgroup.procs"));
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), pids);
        }
    }
}

/// How a child gets into the group.
pub enum Attach {
    /// v1: the child writes 0 to each. Half a millisecond for all, where `cgroup.procs` waits seven for a grace period.
    Tasks(Vec<OwnedFd>),
    /// v2: the parent passes this to `clone3` with CLONE_INTO_CGROUP.
    Into(OwnedFd),
}

impl Attach {
    /// In the child, between fork and exec: only write(2).
    pub fn enter(&self) -> bool {
        match self {
            Attach::Tasks(tasks) => tasks.iter().all(|task| unsafe { libc::write(task.as_raw_fd(), c"0".as_ptr().cast(), 1) } == 1),
            Attach::Into(_) => true,
        }
    }

    /// For a process that was forked without `clone_descriptor`. Makes system calls only.
    pub fn join(&self) -> bool {
        let Attach::Into(group) = self else { return self.enter() };
        unsafe {
            let procs = libc::openat(group.as_raw_fd(), c"cgroup.procs".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            let done = procs >= 0 && libc::write(procs, c"0".as_ptr().cast(), 1) == 1;
            libc::close(procs);
            done
        }
    }

    pub fn clone_descriptor(&self) -> Option<RawFd> {
        match self {
            Attach::Tasks(_) => None,
            Attach::Into(group) => Some(group.as_raw_fd()),
        }
    }
}
