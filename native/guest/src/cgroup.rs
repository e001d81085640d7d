//! The workload's limits as the guest's kernel keeps them: one cgroup v2 with every process but the agent in it.

use crate::sys;
use bulkhead_wire::plan::LimitsSpec;
use bulkhead_wire::{Code, Failure};
use std::os::fd::OwnedFd;
use std::time::Duration;

const TOP: &str = "/sys/fs/cgroup";
pub const WORKLOAD: &str = "/sys/fs/cgroup/workload";
const CONTROLLERS: [&str; 5] = ["memory", "cpu", "pids", "cpuset", "io"];
const PERIOD_US: u64 = 100_000;

pub fn mount() -> Result<(), Failure> {
    sys::mount("cgroup2", TOP, "cgroup2", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, "")?;
    // One at a time: a kernel without one of them still gives the others.
    for controller in CONTROLLERS {
        let _ = sys::write_file(&format!("{TOP}/cgroup.subtree_control"), &format!("+{controller}"));
    }
    sys::mkdir(WORKLOAD, 0o755)
}

/// A descriptor to be born into the workload's cgroup by.
pub fn open() -> Result<OwnedFd, Failure> {
    sys::open(WORKLOAD, libc::O_DIRECTORY | libc::O_RDONLY)
}

/// File and text for each limit that is given. Reads like the OCI runtime specification's conversion to v2.
fn settings(limits: &LimitsSpec) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(bytes) = limits.memory_bytes {
        lines.push(("memory.max", if bytes == 0 { "max".to_owned() } else { bytes.to_string() }));
    }
    if let Some(bytes) = limits.memory_reservation_bytes {
        lines.push(("memory.low", bytes.to_string()));
    }
    if let Some(cpus) = limits.cpus {
        let quota = (cpus * PERIOD_US as f64).round().clamp(0.0, 1e12) as u64;
        lines.push(("cpu.max", if quota == 0 { "max".to_owned() } else { format!("{} {PERIOD_US}", quota.max(1000)) }));
    }
    if let Some(shares) = limits.cpu_shares.filter(|shares| *shares > 0) {
        lines.push(("cpu.weight", (1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142).to_string()));
    }
    if let Some(pids) = limits.pids {
        lines.push(("pids.max", if pids == 0 { "max".to_owned() } else { pids.to_string() }));
    }
    lines
}

/// A limit that the kernel does not take is a failure: never a limit that silently does not hold.
/// `cpuset` names the host's processors and is kept there.
pub fn limit(limits: &LimitsSpec) -> Result<(), Failure> {
    for (file, text) in settings(limits) {
        let failed = |error: std::io::Error| Failure::new(Code::Unsupported, format!("the guest's kernel refuses {file} = {text}: {error}"));
        std::fs::write(format!("{WORKLOAD}/{file}"), &text).map_err(failed)?;
    }
    Ok(())
}

fn number(file: &str) -> u64 {
    std::fs::read_to_string(format!("{WORKLOAD}/{file}")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The value after `key` in a file of `key value` lines.
fn keyed(file: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("{WORKLOAD}/{file}")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok()).unwrap_or(0)
}

/// What the limits have refused so far: forks, and processes killed for memory.
#[derive(Clone, Copy)]
pub struct Refused {
    forks: u64,
    kills: u64,
}

pub fn refused() -> Refused {
    Refused { forks: keyed("pids.events", "max"), kills: out_of_memory_kills() }
}

/// The failure of a process that could not be begun, where since `before` a limit has refused something.
pub fn limit_reached(before: Refused) -> Option<Failure> {
    let now = refused();
    match (number("memory.max"), number("pids.max")) {
        (limit, _) if limit > 0 && now.kills > before.kills => Some(Failure::at_memory_limit(limit)),
        (_, limit) if limit > 0 && now.forks > before.forks => Some(Failure::at_process_limit(limit)),
        _ => None,
    }
}

pub fn out_of_memory_kills() -> u64 {
    keyed("memory.events", "oom_kill")
}

pub fn stats() -> serde_json::Value {
    serde_json::json!({
        "memoryBytes": number("memory.current"),
        "memoryInactiveFileBytes": keyed("memory.stat", "inactive_file"),
        "pids": number("pids.current"),
        "outOfMemoryKills": out_of_memory_kills(),
    })
}

pub fn processes() -> Vec<i32> {
    let text = std::fs::read_to_string(format!("{WORKLOAD}/cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Returns when every process stands still, or fails after a while: one in a system call that cannot be interrupted.
pub fn freeze(frozen: bool) -> Result<(), Failure> {
    sys::write_file(&format!("{WORKLOAD}/cgroup.freeze"), if frozen { "1" } else { "0" })?;
    for _ in 0..1000 {
        if (keyed("cgroup.events", "frozen") == 1) == frozen {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    if frozen {
        // What cannot be frozen as a whole goes on as a whole.
        sys::write_file(&format!("{WORKLOAD}/cgroup.freeze"), "0")?;
    }
    Err(Failure::new(Code::TimedOut, "the workload's processes did not stand still within a second"))
}

pub fn kill_all() -> Result<(), Failure> {
    sys::write_file(&format!("{WORKLOAD}/cgroup.kill"), "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_the_kernel_s_files() {
        let limits = LimitsSpec { memory_bytes: Some(64 << 20), cpus: Some(0.5), cpu_shares: Some(1024), pids: Some(50), ..LimitsSpec::default() };
        let expected = [("memory.max", "67108864"), ("cpu.max", "50000 100000"), ("cpu.weight", "39"), ("pids.max", "50")];
        assert_eq!(settings(&limits), expected.map(|(file, text)| (file, text.to_owned())));
        assert!(settings(&LimitsSpec::default()).is_empty());
    }

    #[test]
    fn absurd_numbers_stay_within_what_the_kernel_takes() {
        let of = |cpus| settings(&LimitsSpec { cpus: Some(cpus), ..LimitsSpec::default() })[0].1.clone();
        assert_eq!(of(0.0001), "1000 100000");
        assert_eq!(of(f64::NAN), "max");
        assert_eq!(of(-3.0), "max");
        assert_eq!(settings(&LimitsSpec { cpu_shares: Some(u64::MAX), ..LimitsSpec::default() })[0].1, "10000");
    }
}
