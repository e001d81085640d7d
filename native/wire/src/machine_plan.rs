//! The machines of `src/contract/launch-plan.ts`: with our agent inside, or with an operating system of their own.

use crate::plan::{GuestConfiguration, GuestProcess};
use serde::Deserialize;

/// The monitor of a machine, whatever the machine is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitorPlan {
    pub program: String,
    pub arguments: Vec<String>,
    pub uid: u32,
    pub gid: u32,
    pub files: Vec<MachineFile>,
    pub kvm: bool,
    pub boot_deadline_ms: u64,
}

/// A machine with an operating system of its own, on a disk of its own, and nothing of ours inside.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskMachineEngine {
    #[serde(flatten)]
    pub monitor: MonitorPlan,
    /// As long as the workload lives; made where it is not there.
    pub disk: OwnDisk,
    /// What its firmware or system asks the network for: see `lease`.
    pub names: LeaseNames,
}

#[derive(Debug, Deserialize)]
pub struct OwnDisk {
    pub path: String,
    pub bytes: u64,
}

#[derive(Debug, Deserialize)]
pub struct LeaseNames {
    pub hostname: String,
    /// Name servers, in dotted form.
    pub servers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineEngine {
    #[serde(flatten)]
    pub monitor: MonitorPlan,
    pub scratch: Scratch,
    pub guest: GuestConfiguration,
    pub main_process: GuestProcess,
    pub shares: Vec<Share>,
    pub template: Option<MachineTemplate>,
}

/// Where a machine's memory is a file: one that is saved there, or one that begins from there.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineTemplate {
    pub mode: TemplateMode,
    pub memory: String,
    pub memory_bytes: u64,
    pub state: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateMode {
    Save,
    Resume,
}

#[derive(Debug, Deserialize)]
pub struct MachineFile {
    pub path: String,
    pub writable: bool,
}

#[derive(Debug, Deserialize)]
pub struct Scratch {
    pub path: String,
    pub bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    pub source: String,
    pub read_only: bool,
}
