//! What the supervisor changes in a bundle's config.json on the way to the runtime, and the process document of an exec.

use super::Runtime;
use bulkhead_cgroup::devices::Rule;
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::plan::{GuestProcess, Rlimit, UNLIMITED};
use serde_json::{Map, Value, json};

/// Annotations with which crun and runsc can be told to run other programs or to loosen their guards: never from outside.
const RUNTIME_ANNOTATIONS: [&str; 2] = ["run.oci.", "dev.gvisor."];
const SECCOMP_ANNOTATION: &str = "run.oci.seccomp_bpf_data";

pub struct Changes<'a> {
    pub runtime: Runtime,
    /// A compiled filter, in base64.
    pub seccomp: Option<&'a str>,
    /// The network namespace that the supervisor made, named by a path; None: the host's.
    pub network: Option<&'a str>,
    /// For runtimes that insist on entering control groups themselves.
    pub cgroups_path: &'a str,
    /// What the workload's group lets it open, for runtimes that write that list anew; None is everything.
    pub devices: Option<&'a [Rule]>,
}

/// The configuration for the runtime, from the text that the driver wrote.
pub fn compose(text: &[u8], bundle: &str, changes: &Changes) -> Result<Value, Failure> {
    let wrong = |what: String| Failure::new(Code::InvalidSpec, format!("the bundle's config.json {what}"));
    let mut config: Value = serde_json::from_slice(text).map_err(|error| wrong(format!("is not JSON: {error}")))?;
    if config.pointer("/root/path").and_then(Value::as_str) != Some("rootfs") {
        return Err(wrong("has another root than rootfs".into()));
    }
    let Some(fields) = config.as_object_mut() else { return Err(wrong("is not an object".into())) };
    if fields.contains_key("hooks") {
        return Err(wrong("has hooks, which would run on the host".into()));
    }
    if let Some(Value::Object(annotations)) = fields.get("annotations")
        && let Some(name) = annotations.keys().find(|name| RUNTIME_ANNOTATIONS.iter().any(|prefix| name.starts_with(prefix)))
    {
        return Err(wrong(format!("has the annotation {}, which would steer the runtime", quote(name))));
    }
    if let (Some(filter), Runtime::Crun) = (changes.seccomp, changes.runtime) {
        let annotations = fields.entry("annotations").or_insert_with(|| json!({}));
        annotations[SECCOMP_ANNOTATION] = Value::from(filter);
    }
    lift_limits(fields.get_mut("process"));
    let Some(linux) = fields.get_mut("linux").and_then(Value::as_object_mut) else { return Err(wrong("has no linux part".into())) };
    set_network(linux, changes.network);
    linux.remove("resources");
    match changes.runtime {
        Runtime::Crun | Runtime::Runsc => linux.remove("cgroupsPath"),
        Runtime::Runc => {
            // Without a list of ours it writes one of its own into the group, which knows neither a privileged workload nor its devices.
            linux.insert("resources".into(), json!({ "devices": device_list(changes.devices) }));
            linux.insert("cgroupsPath".into(), Value::from(changes.cgroups_path))
        }
    };
    if changes.runtime != Runtime::Crun {
        // These take no other file than the bundle's own, so that this one lies elsewhere.
        config["root"]["path"] = Value::from(format!("{bundle}/rootfs"));
    }
    Ok(config)
}

fn device_list(rules: Option<&[Rule]>) -> Value {
    let Some(rules) = rules else { return json!([{ "allow": true, "access": "rwm" }]) };
    let allowed = rules.iter().map(|rule| {
        let mut entry = json!({ "allow": true, "type": rule.kind.to_string(), "access": rule.access });
        for (name, number) in [("major", rule.major), ("minor", rule.minor)] {
            if let Some(number) = number {
                entry[name] = Value::from(number);
            }
        }
        entry
    });
    std::iter::once(json!({ "allow": false, "access": "rwm" })).chain(allowed).collect()
}

/// A driver writes -1 for "no limit", because its numbers end at 2^53; runtimes want the kernel's own word.
fn lift_limits(process: Option<&mut Value>) {
    let Some(limits) = process.and_then(|process| process.get_mut("rlimits")).and_then(Value::as_array_mut) else { return };
    for limit in limits {
        for side in ["soft", "hard"] {
            if limit.get(side).and_then(Value::as_i64) == Some(-1) {
                limit[side] = Value::from(UNLIMITED);
            }
        }
    }
}

/// The namespace is named although the runtime is started inside it: else it would refuse the sysctls that belong to it.
fn set_network(linux: &mut Map<String, Value>, network: Option<&str>) {
    let namespaces = linux.entry("namespaces").or_insert_with(|| json!([]));
    if let Some(list) = namespaces.as_array_mut() {
        list.retain(|entry| entry.get("type").and_then(Value::as_str) != Some("network"));
        if let Some(path) = network {
            list.push(json!({ "type": "network", "path": path }));
        }
    }
}

/// Lifts the hard limits of this process where the workload is given higher ones: in a user namespace of its own the runtime may only lower them.
pub fn lift_own_limits(limits: &[Value]) {
    for limit in limits {
        let resource = limit["type"].as_str().and_then(|name| RESOURCES.iter().position(|known| name.strip_prefix("RLIMIT_") == Some(known)));
        let (Some(resource), Some(wanted)) = (resource, limit["hard"].as_u64()) else { continue };
        unsafe {
            let mut own: libc::rlimit = std::mem::zeroed();
            if libc::getrlimit(resource as libc::__rlimit_resource_t, &mut own) == 0 && own.rlim_max < wanted {
                own.rlim_max = wanted;
                libc::setrlimit(resource as libc::__rlimit_resource_t, &own);
            }
        }
    }
}

/// By number, the same on x86-64, arm64 and riscv64.
const RESOURCES: [&str; 16] =
    ["CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"];

/// Numbers of an exec's user; names have been looked up by the driver.
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// An exec's process document: the defaults with this exec's own fields over them.
pub fn compose_exec(defaults: &Value, spec: &GuestProcess) -> Result<(Vec<u8>, Owner), Failure> {
    let owner = read_user(&spec.user)?;
    let groups: Vec<u32> = spec.additional_groups.iter().map(|group| number(group)).collect::<Result<_, _>>()?;
    let mut process = defaults.as_object().cloned().unwrap_or_default();
    process.insert("args".into(), json!(spec.command));
    process.insert("env".into(), json!(spec.environment));
    let directory = if spec.working_directory.is_empty() { "/" } else { &spec.working_directory };
    process.insert("cwd".into(), json!(directory));
    process.insert("user".into(), json!({ "uid": owner.uid, "gid": owner.gid, "additionalGids": groups }));
    process.insert("terminal".into(), json!(spec.terminal));
    if let Some(size) = spec.terminal_size.filter(|_| spec.terminal) {
        process.insert("consoleSize".into(), json!({ "height": size.rows, "width": size.columns }));
    }
    // Nothing inheritable and nothing ambient: CVE-2022-24769.
    let capabilities = &spec.capabilities;
    process.insert("capabilities".into(), json!({ "bounding": capabilities, "effective": capabilities, "permitted": capabilities }));
    process.insert("noNewPrivileges".into(), json!(spec.no_new_privileges));
    let limits: Vec<Value> = spec.rlimits.iter().map(limit_document).collect();
    process.insert("rlimits".into(), Value::Array(limits));
    if let Some(score) = spec.oom_score_adjust {
        process.insert("oomScoreAdj".into(), json!(score));
    }
    let bytes = serde_json::to_vec(&process).map_err(|error| Failure::new(Code::Internal, format!("could not write the process document: {error}")))?;
    Ok((bytes, owner))
}

pub fn limit_document(limit: &Rlimit) -> Value {
    json!({ "type": limit.name, "soft": limit.soft, "hard": limit.hard })
}

fn read_user(user: &str) -> Result<Owner, Failure> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
    Ok(Owner { uid: if uid.is_empty() { 0 } else { number(uid)? }, gid: number(gid)? })
}

fn number(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| Failure::new(Code::InvalidSpec, format!("{} is not the number of a user or group", quote(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes<'a>() -> Changes<'a> {
        Changes { runtime: Runtime::Crun, seccomp: Some("AAAA"), network: Some("/proc/7/ns/net"), cgroups_path: "/b/w", devices: None }
    }

    #[test]
    fn the_filter_and_the_network_are_put_in() {
        let text = br#"{"root":{"path":"rootfs"},"linux":{"namespaces":[{"type":"network"},{"type":"pid"}],"resources":{}}}"#;
        let config: Value = compose(text, "/b", &changes()).unwrap();
        assert_eq!(config["annotations"][SECCOMP_ANNOTATION], "AAAA");
        assert_eq!(config["linux"]["namespaces"], json!([{"type":"pid"},{"type":"network","path":"/proc/7/ns/net"}]));
        assert!(config["linux"].get("resources").is_none());
    }

    #[test]
    fn a_runtime_that_writes_the_list_of_devices_anew_writes_ours() {
        let text = br#"{"root":{"path":"rootfs"},"linux":{}}"#;
        let rules = [Rule { kind: 'c', major: Some(10), minor: None, access: "rw".into() }];
        let list = |devices| {
            let config: Value = compose(text, "/b", &Changes { runtime: Runtime::Runc, devices, ..changes() }).unwrap();
            config["linux"]["resources"]["devices"].clone()
        };
        assert_eq!(list(Some(&rules)), json!([{"allow":false,"access":"rwm"}, {"allow":true,"type":"c","major":10,"access":"rw"}]));
        assert_eq!(list(None), json!([{"allow":true,"access":"rwm"}]));
    }

    #[test]
    fn a_limit_without_limit_is_the_kernels_own_number() {
        let text = br#"{"root":{"path":"rootfs"},"linux":{},"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":0,"hard":-1}]}}"#;
        let config: Value = compose(text, "/b", &changes()).unwrap();
        assert_eq!(config["process"]["rlimits"], json!([{"type":"RLIMIT_CORE","soft":0,"hard":u64::MAX}]));
    }

    #[test]
    fn what_would_steer_the_runtime_is_refused() {
        for text in [
            r#"{"root":{"path":"rootfs"},"linux":{},"annotations":{"run.oci.handler":"wasm"}}"#,
            r#"{"root":{"path":"rootfs"},"linux":{},"annotations":{"dev.gvisor.flag.network":"host"}}"#,
            r#"{"root":{"path":"rootfs"},"linux":{},"hooks":{}}"#,
            r#"{"root":{"path":"/"},"linux":{}}"#,
            r#"{"root":{"path":"rootfs"}}"#,
            "[]",
            "",
        ] {
            assert!(compose(text.as_bytes(), "/b", &changes()).is_err(), "{text}");
        }
    }
}
