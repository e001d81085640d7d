//! What stays when everything else is gone: the exit record, whole or absent.

use super::hub::Hub;
use bulkhead_wire::Failure;
use bulkhead_wire::process::{EndKind, ExitRecord, ExitStatus};
use std::fs;
use std::io::{self, Write};
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

fn place(path: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{path}.new");
    fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?.write_all(bytes)?;
    fs::rename(&temporary, path)
}
