//! The end of a root on this host: workloads, control groups, bridges, firewall, sockets. Its files below the root stay.
//!
//! By the verb `teardown`, while the launcher serves; or as `bulkhead-launcher --teardown`, whatever may be alive or dead.

use crate::detached::{pidfd_open, send_signal, wait_ended};
use crate::launch::Place;
use crate::options::Options;
use crate::{instance, kin, removal, upkeep};
use bulkhead_wire::Failure;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How long a launcher may take to finish what it was asked before it is killed.
const ORDERLY_MS: i32 = 5000;

/// Removes everything that carries the root's identity but the bases of its control groups. One step's failure keeps no other from being taken.
pub fn clear(place: &Place) -> Result<Value, Failure> {
    let swept = removal::sweep(place, &[]);
    let bridges = bulkhead_network::remove_all(&place.layout.root_id).map_err(Failure::from);
    for directory in ["s", "oci", "state", "supervisors", "wasm"] {
        let _ = fs::remove_dir_all(place.run.join(directory));
    }
    // Or the next launcher would take them for flushed.
    let _ = fs::remove_file(upkeep::file(&place.run));
    match swept.stuck.into_iter().next() {
        Some((_, failure)) => Err(failure),
        None => Ok(json!({ "removed": swept.removed, "bridges": bridges? })),
    }
}

/// Ends the launcher that serves the root, then does its work. A root that never had one is no failure.
pub fn from_outside(options: &Options) -> Result<(), String> {
    end_processes(&options.root, |name| kin::is_launcher(name.as_bytes()));
    if options.root.join("identity.json").exists() {
        let _lock = instance::lock(&options.root)?;
        let root_id = instance::identity(&options.root)?;
        let place = Place::open(options, &root_id)?;
        let cleared = clear(&place);
        place.layout.remove_bases();
        cleared.map_err(|failure| failure.what)?;
    }
    // Supervisors of whom no note is left.
    end_processes(&options.root, |_| true);
    let _ = fs::remove_file(&options.socket);
    let _ = fs::remove_file(options.root.join("launcher.lock"));
    Ok(())
}

/// SIGTERM, patience, SIGKILL, for every process that runs this program for the root and whose short name is wanted.
fn end_processes(root: &Path, wanted: impl Fn(&str) -> bool) {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).filter(|pid| *pid != std::process::id() as i32);
    for pid in pids {
        // Opened before it is looked at: a number that comes again is not mistaken.
        let Ok(pidfd) = pidfd_open(pid) else { continue };
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if !kin::command_line(pid).is_some_and(|line| serves(&line, root)) || !wanted(name.trim()) {
            continue;
        }
        send_signal(&pidfd, libc::SIGTERM);
        if !wait_ended(&pidfd, ORDERLY_MS) {
            send_signal(&pidfd, libc::SIGKILL);
            wait_ended(&pidfd, ORDERLY_MS);
        }
    }
}

/// Whether these arguments are a launcher's for this root. One that tears down serves nobody.
fn serves(command_line: &[u8], root: &Path) -> bool {
    let arguments: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    let trimmed = |path: &[u8]| path.strip_suffix(b"/").unwrap_or(path).to_vec();
    arguments.windows(2).any(|pair| pair[0] == b"--root" && trimmed(pair[1]) == root.as_os_str().as_bytes())
        && !arguments.contains(&b"--teardown".as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_launcher_of_the_very_root_is_ended() {
        let root = Path::new("/r");
        assert!(serves(b"/opt/bulkhead-launcher\0--root\0/r\0--run\0/r/run\0", root));
        assert!(serves(b"bulkhead-launcher\0--root\0/r/\0", root));
        for other in [
            &b"bulkhead-launcher\0--root\0/r2\0"[..],
            b"bulkhead-launcher\0--run\0/r\0",
            b"bulkhead-launcher\0--teardown\0--root\0/r\0",
            b"",
        ] {
            assert!(!serves(other, root), "{}", String::from_utf8_lossy(other));
        }
    }
}
