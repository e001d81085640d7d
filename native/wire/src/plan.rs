//! The documents of `src/contract/launch-plan.ts` and the parts of `spec.ts` that they use.

use crate::process::TerminalSize;
pub use crate::machine_plan::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchPlan {
    pub version: u32,
    pub workload: String,
    pub directory: String,
    pub socket: String,
    pub exit_record: String,
    pub log: LogSpec,
    pub limits: LimitsSpec,
    pub devices: Vec<DeviceSpec>,
    pub all_devices: bool,
    pub network: NetworkSpec,
    pub main: MainStdio,
    pub engine: Engine,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LogSpec {
    None,
    #[serde(rename_all = "camelCase")]
    JsonFile { path: String, max_bytes: Option<u64>, max_files: u32 },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitsSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adjust: Option<i32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceSpec {
    pub host_path: String,
    pub path: String,
    pub access: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum NetworkSpec {
    None,
    Host,
    #[serde(rename_all = "camelCase")]
    Bridge {
        bridge: String,
        interface_name: String,
        address: String,
        prefix_length: u8,
        gateway: String,
        mac: String,
        mtu: u32,
        ports: Vec<PortSpec>,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortSpec {
    /// `tcp` or `udp`.
    pub protocol: String,
    pub host_address: String,
    pub host_port: u16,
    pub workload_port: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MainStdio {
    pub terminal: bool,
    pub terminal_size: Option<TerminalSize>,
    pub stdin: bool,
    pub stdin_once: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Engine {
    Oci(Box<OciEngine>),
    Machine(Box<MachineEngine>),
    #[serde(rename = "disk-machine")]
    DiskMachine(Box<DiskMachineEngine>),
    Wasm(Box<WasmEngine>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciEngine {
    pub runtime: OciRuntime,
    pub bundle: String,
    pub root: OverlayRoot,
    /// Holds the root's upper and work directories, at its top, where what is written is limited in size.
    pub disk: Option<WrittenDisk>,
    pub seccomp_key: Option<String>,
    /// Whether it has a user namespace and a range of ids of its own.
    #[serde(default)]
    pub own_ids: bool,
    /// `process` of the OCI runtime specification.
    pub exec_process: Value,
}

#[derive(Debug, Deserialize)]
pub struct OciRuntime {
    /// `crun`, `runc` or `runsc`.
    pub name: String,
    pub path: String,
    pub arguments: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct WrittenDisk {
    pub path: String,
    pub bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverlayRoot {
    /// Uppermost layer first.
    pub lower: Vec<String>,
    pub upper: String,
    pub work: String,
    pub read_only: bool,
}

impl OverlayRoot {
    /// As seen where the directory `from` is shown at `to`.
    pub fn moved(&self, from: &str, to: &str) -> OverlayRoot {
        let moved = |path: &String| path.strip_prefix(from).filter(|rest| rest.starts_with('/')).map_or_else(|| path.clone(), |rest| format!("{to}{rest}"));
        OverlayRoot { lower: self.lower.iter().map(moved).collect(), upper: moved(&self.upper), work: moved(&self.work), read_only: self.read_only }
    }

    /// What is written lies at the top of the directory `place`.
    pub fn writing_to(&self, place: &str) -> OverlayRoot {
        OverlayRoot { upper: format!("{place}/upper"), work: format!("{place}/work"), ..self.clone() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WasmEngine {
    /// Whose runner carries it; a plain name.
    pub domain: String,
    pub uid: u32,
    pub gid: u32,
    /// What `compileModule` wrote.
    pub module: String,
    pub arguments: Vec<String>,
    pub environment: Vec<String>,
    pub working_directory: String,
    pub root: Option<OverlayRoot>,
    pub mounts: Vec<WasmMount>,
    pub cpu_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum WasmMount {
    #[serde(rename_all = "camelCase")]
    Bind { source: String, target: String, read_only: bool },
    #[serde(rename_all = "camelCase")]
    Tmpfs { target: String, read_only: bool, size_bytes: Option<u64>, mode: Option<u32> },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestConfiguration {
    pub hostname: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_name: Option<String>,
    pub hosts: String,
    pub resolv_conf: String,
    pub network: Option<GuestNetwork>,
    pub layers: Vec<GuestLayer>,
    pub read_only_root: bool,
    pub mounts: Vec<GuestMount>,
    pub shm_bytes: u64,
    pub sysctls: BTreeMap<String, String>,
    pub limits: LimitsSpec,
    pub masked_paths: Vec<String>,
    pub read_only_paths: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestNetwork {
    pub interface_name: String,
    pub address: String,
    pub prefix_length: u8,
    pub gateway: String,
    pub mac: String,
    pub mtu: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestLayer {
    pub offset_bytes: u64,
    pub length_bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum GuestMount {
    #[serde(rename_all = "camelCase")]
    Tmpfs {
        target: String,
        read_only: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size_bytes: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
        options: Vec<String>,
    },
    #[serde(rename_all = "camelCase")]
    Share {
        share: u32,
        target: String,
        read_only: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestProcess {
    pub command: Vec<String>,
    pub environment: Vec<String>,
    pub working_directory: String,
    pub user: String,
    pub additional_groups: Vec<String>,
    pub terminal: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_size: Option<TerminalSize>,
    pub stdin: bool,
    pub capabilities: Vec<String>,
    pub no_new_privileges: bool,
    pub rlimits: Vec<Rlimit>,
    pub init: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_score_adjust: Option<i32>,
    /// In place of a command, which is then empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesOrder>,
    /// In place of a command, which is then empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,
}

/// A root of its own for a process beside the workload's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tools {
    /// Uppermost first.
    pub lower: Vec<String>,
    /// As a bundle's config.json, command included.
    pub config: Value,
}

/// What a process of ours does with files inside, by its stdio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "camelCase")]
pub enum FilesOrder {
    Stat { path: String },
    Read { path: String },
    #[serde(rename_all = "camelCase")]
    Write { path: String, keep_kinds: bool, keep_owners: bool },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rlimit {
    /// With prefix: `RLIMIT_NOFILE`.
    pub name: String,
    #[serde(with = "unlimited")]
    pub soft: u64,
    #[serde(with = "unlimited")]
    pub hard: u64,
}

/// The kernel's word for "no limit", which JSON's numbers cannot carry everywhere: it crosses wires as -1.
pub const UNLIMITED: u64 = u64::MAX;

mod unlimited {
    use super::UNLIMITED;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if *value == UNLIMITED { serializer.serialize_i64(-1) } else { serializer.serialize_u64(*value) }
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<u64, D::Error> {
        match i64::deserialize(deserializer)? {
            -1 => Ok(UNLIMITED),
            value => u64::try_from(value).map_err(|_| Error::custom("a resource limit is -1, zero or more")),
        }
    }
}

/// Reads a plan, and refuses another version by name before anything else of it is looked at.
pub fn read_plan(value: Value) -> Result<LaunchPlan, crate::Failure> {
    use crate::{Code, Failure};
    let version = value.get("version").and_then(Value::as_u64);
    if !matches!(version, Some(1..=3)) {
        return Err(Failure::new(Code::InvalidSpec, "the launch plan is of a version that this launcher does not know")
            .remedy("run a daemon and a launcher of the same release"));
    }
    serde_json::from_value(value).map_err(|error| Failure::new(Code::InvalidSpec, format!("the launch plan is wrong: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Value {
        json!({
            "version": 1, "workload": "ab", "directory": "/r/w", "socket": "/s", "exitRecord": "/r/w/exit.json",
            "log": {"kind": "json-file", "path": "/r/w/log", "maxFiles": 1}, "limits": {"memoryBytes": 1024, "cpus": 0.5},
            "devices": [], "allDevices": false, "network": {"kind": "none"},
            "main": {"terminal": false, "stdin": true, "stdinOnce": true},
            "engine": {"kind": "oci", "runtime": {"name": "crun", "path": "/usr/bin/crun", "arguments": []}, "bundle": "/r/w/b",
                "root": {"lower": ["/r/l/1"], "upper": "/r/w/u", "work": "/r/w/k", "readOnly": false}, "execProcess": {"cwd": "/"}}
        })
    }

    #[test]
    fn a_plan_is_read_with_its_absent_fields() {
        let plan = read_plan(sample()).unwrap();
        assert_eq!(plan.limits.cpus, Some(0.5));
        let Engine::Oci(oci) = plan.engine else { panic!("an OCI engine was written") };
        assert_eq!(oci.exec_process, json!({"cwd": "/"}));
        assert!(matches!(plan.log, LogSpec::JsonFile { max_bytes: None, max_files: 1, .. }));
    }

    #[test]
    fn a_limit_without_limit_is_minus_one_on_the_wire() {
        let limit: Rlimit = serde_json::from_value(json!({"name": "RLIMIT_CORE", "soft": 0, "hard": -1})).unwrap();
        assert_eq!((limit.soft, limit.hard), (0, UNLIMITED));
        assert_eq!(serde_json::to_value(&limit).unwrap(), json!({"name": "RLIMIT_CORE", "soft": 0, "hard": -1}));
        for bad in [json!(-2), json!(1e30), json!("1"), json!(null)] {
            assert!(serde_json::from_value::<Rlimit>(json!({"name": "RLIMIT_CORE", "soft": 0, "hard": bad})).is_err());
        }
    }

    #[test]
    fn damaged_plans_are_failures_and_never_panics() {
        let Value::Object(fields) = sample() else { unreachable!() };
        for key in fields.keys().filter(|key| *key != "version") {
            for bad in [Value::Null, json!(-1), json!([[]]), json!({"kind": "?"})] {
                let mut plan = fields.clone();
                plan.insert(key.clone(), bad);
                if key == "limits" || key == "main" || key == "engine" {
                    let _ = read_plan(Value::Object(plan));
                } else {
                    assert!(read_plan(Value::Object(plan)).is_err(), "{key}");
                }
            }
        }
        assert!(read_plan(json!({"version": 4})).is_err());
    }
}
