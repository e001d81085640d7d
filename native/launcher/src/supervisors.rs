//! Which supervisors stand: a small file for each below the run directory, by which a new launcher takes up what an earlier one
//! began, and by which `remove` finds whom to end. A pid alone names nobody; with its start time it does.

use crate::beneath::Below;
use crate::detached::{pidfd_open, start_time, wait_ended};
use bulkhead_wire::{Code, Failure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    pub version: u32,
    pub workload: String,
    pub pid: i32,
    pub start_time: u64,
    pub exit_record: String,
    pub socket: String,
    /// Where the supervisor carries other workloads too, and must not be ended for the sake of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Shared>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shared {
    /// The name under which the process itself is noted.
    pub runner: String,
    /// Exists once the workload's `start` was asked for.
    pub start_mark: String,
}

fn directory(run: &Path) -> PathBuf {
    run.join("supervisors")
}

fn place(run: &Path, workload: &str) -> PathBuf {
    directory(run).join(format!("{workload}.json"))
}

/// Where runtimes keep what they know of their workloads: a tmpfs of the launcher's.
pub fn state_directory(run: &Path) -> PathBuf {
    run.join("state")
}

/// Exists once the workload's `start` was asked for.
pub fn start_mark(run: &Path, workload: &str) -> PathBuf {
    directory(run).join(format!("{workload}.started"))
}

pub fn make_directory(run: &Path) -> Result<(), String> {
    crate::instance::make_directory(&directory(run), 0o700)
}

/// Written by the supervisor about itself, before it makes anything.
pub fn enter(run: &Path, standing: &Standing) -> std::io::Result<()> {
    let place = place(run, &standing.workload);
    let temporary = place.with_extension("new");
    fs::write(&temporary, serde_json::to_vec(standing)?)?;
    fs::rename(temporary, place)
}

pub fn leave(run: &Path, workload: &str) {
    let _ = fs::remove_file(place(run, workload));
    let _ = fs::remove_file(start_mark(run, workload));
}

pub fn find(run: &Path, workload: &str) -> Option<Standing> {
    serde_json::from_slice(&fs::read(place(run, workload)).ok()?).ok()
}

pub fn all(run: &Path) -> Vec<Standing> {
    let entries = fs::read_dir(directory(run)).into_iter().flatten().flatten();
    entries.filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()).collect()
}

/// The right to be the workload's supervisor: a lock on its directory, which the kernel gives to one and takes back with its end.
pub fn claim(below: &Below, directory: &str, until: Instant) -> Result<OwnedFd, Failure> {
    let directory = below.open(directory, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    while unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        if Instant::now() > until {
            return Err(taken());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(directory)
}

pub fn taken() -> Failure {
    Failure::new(Code::AlreadyExists, "the workload already has a supervisor").remedy("end it first")
}

impl Standing {
    /// Whether this is the note of a process that carries workloads, and of no workload itself.
    pub fn is_carrier(&self) -> bool {
        self.exit_record.is_empty()
    }

    /// A descriptor of the very process, where it still lives.
    pub fn alive(&self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(self.pid).ok()?;
        // One that has ended and waits to be reaped by somebody else is dead.
        (start_time(self.pid)? == self.start_time && !wait_ended(&pidfd, 0)).then_some(pidfd)
    }
}
