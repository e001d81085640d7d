//! Taking away what a workload left, right after a crash at any step: by its cgroup and its note, never by a remembered pid alone.

use crate::beneath::Below;
use crate::detached::{send_signal, wait_ended};
use crate::launch::Place;
use bulkhead_supervise::record;
use crate::supervisors::{self, Standing};
use crate::wasm;
use bulkhead_cgroup::Group;
use bulkhead_wire::failure::{Code, Failure, quote};
use serde_json::{Value, json};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a supervisor may take to end its workload and unmake it, before it is killed.
const ORDERLY_MS: i32 = 3000;

/// How long a fork that is to supervise may take until it has noted itself, once nobody stands in its way. Before that it has made nothing:
/// one that is slower is killed.
const NOTE_PATIENCE: Duration = Duration::from_secs(1);

/// A fork that is to supervise a workload: it may not have noted itself yet, and could not be found.
pub struct Raising {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

impl Raising {
    /// Until it has noted itself, or has ended. It waits for the supervisor before it, so that one is ended first.
    fn await_note(&self, place: &Place, workload: &str) -> Result<(), Failure> {
        let mut patience = Instant::now() + NOTE_PATIENCE;
        while !wait_ended(&self.pidfd, 1) {
            match supervisors::find(&place.run, workload) {
                Some(standing) if standing.pid == self.pid => return Ok(()),
                Some(standing) if standing.alive().is_some() => {
                    end_standing(place, &standing)?;
                    patience = Instant::now() + NOTE_PATIENCE;
                }
                _ if Instant::now() > patience => send_signal(&self.pidfd, libc::SIGKILL),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Ends and removes everything of a workload, whatever was forked for it until now (`raising`, in that order). Idempotent.
pub fn remove(place: &Place, workload: &str, directory: Option<&str>, raising: &[Raising]) -> Result<Value, Failure> {
    for fork in raising {
        fork.await_note(place, workload)?;
    }
    if let Some(standing) = supervisors::find(&place.run, workload) {
        end_standing(place, &standing)?;
    }
    clear(place, workload)?;
    supervisors::leave(&place.run, workload);
    if let Some(directory) = directory {
        remove_directory(&place.below, directory)?;
    }
    Ok(json!({}))
}

fn end_standing(place: &Place, standing: &Standing) -> Result<(), Failure> {
    if let Some(pidfd) = standing.alive() {
        let unmade = if standing.shared.is_some() {
            wasm::end(standing)
        } else {
            send_signal(&pidfd, libc::SIGTERM);
            wait_unmade(place, standing, &pidfd)
        };
        if !unmade {
            send_signal(&pidfd, libc::SIGKILL);
            wait_ended(&pidfd, ORDERLY_MS);
        }
    }
    let _ = fs::remove_file(&standing.socket);
    // A supervisor that ended in order has given its ports back and taken its note away.
    release_ports(place, standing)
}

/// Until the supervisor has taken its own note away, which it does when all else is gone (its end, which waits for the disk, comes
/// later), or has ended. False when it takes too long.
fn wait_unmade(place: &Place, standing: &Standing, pidfd: &OwnedFd) -> bool {
    let noted = || supervisors::find(&place.run, &standing.workload).is_some_and(|found| found.pid == standing.pid);
    (0..ORDERLY_MS).any(|_| wait_ended(pidfd, 1) || !noted())
}

/// Kills by the group, then takes away the group and the runtime's state. Mounts went with the supervisor's namespace.
fn clear(place: &Place, workload: &str) -> Result<(), Failure> {
    let group = Group::of(place.layout.clone(), workload);
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        group.kill();
        if group.remove() {
            break;
        }
        if Instant::now() > patience {
            return Err(Failure::new(Code::Internal, format!("the control groups of {} could not be removed: processes in them do not end", quote(workload)))
                .remedy("look for processes in state D below /sys/fs/cgroup, and remove the workload again"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for state in [supervisors::state_directory(&place.run), older_state(&place.run)] {
        let _ = fs::remove_dir_all(state.join(workload));
    }
    Ok(())
}

/// Where supervisors of the first release keep their runtime's state, on disk.
fn older_state(run: &Path) -> PathBuf {
    run.join("oci")
}

fn release_ports(place: &Place, standing: &Standing) -> Result<(), Failure> {
    // Neither a carrier nor what it carries has any.
    if standing.shared.is_some() || standing.is_carrier() {
        return Ok(());
    }
    let workload = &standing.workload;
    bulkhead_network::ports_remove_for(&place.layout.root_id, workload).map_err(Failure::from)
}

/// Removes a directory below the root with all that is in it; links in it are not followed. Another task may be at it as well: the one
/// that a daemon asked for before it was killed. What is gone under our hands is gone.
pub fn remove_directory(below: &Below, directory: &str) -> Result<(), Failure> {
    loop {
        let (parent, name) = match below.parent(directory) {
            Err(failure) if failure.code == Code::NotFound => return Ok(()),
            other => other?,
        };
        match below.open(directory, libc::O_PATH | libc::O_DIRECTORY, 0) {
            Err(failure) if failure.code == Code::NotFound => return Ok(()),
            other => other?,
        };
        match fs::remove_dir_all(format!("/proc/self/fd/{}/{name}", parent.as_raw_fd())) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            done => return done.map_err(|error| Failure::from_io(&format!("remove {}", quote(directory)), &error)),
        }
    }
}

/// The supervisor was killed. Its workload must not live on unnoticed: it is ended, and the loss is written down.
pub fn settle_loss(place: &Place, standing: &Standing) -> Result<Value, Failure> {
    clear(place, &standing.workload)?;
    release_ports(place, standing)?;
    // The directory may be gone already: then nobody is left to read it. A carrier has no record of its own.
    if let (false, Ok((parent, name))) = (standing.is_carrier(), place.below.parent(&standing.exit_record)) {
        let file = format!("/proc/self/fd/{}/{name}", parent.as_raw_fd());
        if !Path::new(&file).exists() {
            let mark = standing.shared.as_ref().map_or_else(|| supervisors::start_mark(&place.run, &standing.workload), |shared| shared.start_mark.clone().into());
            let lost = record::of_loss(&standing.workload, "its supervisor was killed, so its processes were ended", mark.exists());
            let _ = record::write(&file, &lost);
        }
    }
    let _ = fs::remove_file(&standing.socket);
    supervisors::leave(&place.run, &standing.workload);
    Ok(json!({}))
}

/// A process that carried many is gone: the loss of each, then what was its own.
pub fn settle_carrier(place: &Place, carrier: &Standing) -> Result<Value, Failure> {
    let carried = |standing: &Standing| standing.shared.as_ref().is_some_and(|shared| shared.runner == carrier.workload);
    for standing in supervisors::all(&place.run).into_iter().filter(carried) {
        settle_loss(place, &standing)?;
    }
    settle_loss(place, carrier)
}

/// Removes what carries this root's identity and belongs to none of the workloads named.
pub fn sweep(place: &Place, keep: &[String]) -> Swept {
    let mut found = place.layout.workloads();
    found.extend(supervisors::all(&place.run).into_iter().map(|standing| standing.workload));
    for state in [supervisors::state_directory(&place.run), older_state(&place.run)] {
        let states = fs::read_dir(state).into_iter().flatten().flatten();
        found.extend(states.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    }
    found.sort();
    found.dedup();
    // What carries a workload that is kept is kept with it.
    let carriers: Vec<String> = keep.iter().filter_map(|workload| wasm::runner_of(&place.run, workload)).collect();
    let (mut removed, mut stuck) = (Vec::new(), Vec::new());
    for workload in found.into_iter().filter(|workload| !(keep.contains(workload) || carriers.contains(workload))) {
        match remove(place, &workload, None, &[]) {
            Ok(_) => removed.push(workload),
            Err(failure) => stuck.push((workload, failure)),
        }
    }
    let keep: Vec<&str> = keep.iter().map(String::as_str).collect();
    match bulkhead_network::sweep(&place.layout.root_id, &keep).map_err(Failure::from) {
        Ok(names) => removed.extend(names),
        Err(failure) => stuck.push(("network".into(), failure)),
    }
    Swept { removed, stuck }
}

/// What a sweep took away, and what would not go: one that is stuck keeps nobody else.
pub struct Swept {
    pub removed: Vec<String>,
    pub stuck: Vec<(String, Failure)>,
}

impl Swept {
    pub fn document(&self) -> Value {
        let stuck: Vec<Value> = self.stuck.iter().map(|(name, failure)| json!({ "name": name, "failure": failure })).collect();
        json!({ "removed": self.removed, "stuck": stuck })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_may_be_removed_by_two_at_once() {
        let base = std::env::temp_dir().join(format!("removal-{}", std::process::id()));
        for round in 0..30 {
            let directory = base.join(format!("workload-{round}"));
            for number in 0..40 {
                fs::create_dir_all(directory.join(format!("{number}/deeper"))).unwrap();
                fs::write(directory.join(format!("{number}/deeper/file")), "x").unwrap();
            }
            let remove = || remove_directory(&Below::new(&base).unwrap(), directory.to_str().unwrap());
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..3).map(|_| scope.spawn(remove)).collect();
                all.into_iter().for_each(|one| one.join().unwrap().unwrap());
            });
            assert!(!directory.exists());
        }
        fs::remove_dir_all(&base).unwrap();
    }
}
