//! Processes, their ends and what they use, as `src/contract/process.ts` and `sandbox.ts` write them.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    pub rows: u16,
    pub columns: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitStatus {
    pub code: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    pub out_of_memory: bool,
    pub at: String,
}

impl ExitStatus {
    pub fn exited(code: i32) -> ExitStatus {
        ExitStatus { code: code & 0xff, signal: None, out_of_memory: false, at: crate::clock::stamp_now() }
    }

    pub fn signalled(signal: i32) -> ExitStatus {
        let name = Some(crate::signal::name(signal));
        ExitStatus { code: 128 + signal, signal: name, out_of_memory: false, at: crate::clock::stamp_now() }
    }

    /// From what `waitpid` gave.
    pub fn from_wait(status: i32) -> ExitStatus {
        if libc::WIFSIGNALED(status) { ExitStatus::signalled(libc::WTERMSIG(status)) } else { ExitStatus::exited(libc::WEXITSTATUS(status)) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceUse {
    pub at: String,
    pub cpu_total_ns: u64,
    pub cpu_user_ns: u64,
    pub cpu_system_ns: u64,
    pub memory_bytes: u64,
    pub memory_inactive_file_bytes: u64,
    pub memory_limit_bytes: u64,
    pub pids: u64,
    pub pids_limit: u64,
    pub disk_read_bytes: u64,
    pub disk_write_bytes: u64,
    pub network_received_bytes: u64,
    pub network_received_packets: u64,
    pub network_sent_bytes: u64,
    pub network_sent_packets: u64,
    pub out_of_memory_kills: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessTable {
    pub titles: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// `ended`'s reason and the file `exitRecord`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitRecord {
    pub version: u32,
    pub workload: String,
    pub kind: EndKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    pub code: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    pub out_of_memory: bool,
    pub at: String,
    pub started: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndKind {
    Exited,
    Ended,
    BoundaryLost,
}
