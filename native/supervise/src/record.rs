//! What stays when everything else is gone: the exit record, whole or absent.

use super::hub::Hub;
use bulkhead_wire::Failure;
use bulkhead_wire::process::{EndKind, ExitRecord, ExitStatus};
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

pub fn of_end(workload: &str, hub: &Hub) -> ExitRecord {
    let status = hub.processes.first().and_then(|main| main.status.clone()).unwrap_or_else(|| ExitStatus::signalled(libc::SIGKILL));
    let kind = match (&hub.lost, hub.end_asked) {
        (Some(_), _) => EndKind::BoundaryLost,
        (None, true) => EndKind::Ended,
        (None, false) => EndKind::Exited,
    };
    ExitRecord {
        version: 1,
        workload: workload.to_string(),
        kind,
        what: hub.lost.clone(),
        code: status.code,
        signal: status.signal,
        out_of_memory: status.out_of_memory,
        at: status.at,
        started: hub.started,
    }
}

/// The record of a workload whose supervisor was killed: the closest truth there is.
pub fn of_loss(workload: &str, what: &str, started: bool) -> ExitRecord {
    let status = ExitStatus::signalled(libc::SIGKILL);
    ExitRecord {
        version: 1,
        workload: workload.to_string(),
        kind: EndKind::BoundaryLost,
        what: Some(what.to_string()),
        code: status.code,
        signal: status.signal,
        out_of_memory: false,
        at: status.at,
        started,
    }
}

/// Whole or absent for every process that looks, and not synced: after a crash of the host nothing of the workload stands either, and
/// waiting for a busy disk was up to 20 ms of every end.
pub fn write(path: &str, record: &ExitRecord) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(record).unwrap_or_default();
    place(path, &bytes).map_err(|error| Failure::from_io("write the exit record", &error))
}

/// Takes the room for the record beforehand: a disk that is full at the end must not cost the exit code. Where there is none already, the
/// end tries again.
pub fn reserve(path: &str) {
    if let Ok(file) = open(path) {
        unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, ROOM_BYTES) };
    }
}

const ROOM_BYTES: i64 = 4096;

fn open(path: &str) -> io::Result<fs::File> {
    fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(format!("{path}.new"))
}

fn place(path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    fs::rename(format!("{path}.new"), path)
}
