//! Limits as writes. Order matters: lowering memory below memory+swap must come first, raising it last.

use crate::files;
use crate::layout::{Layout, Version};
use bulkhead_wire::plan::LimitsSpec;
use bulkhead_wire::{Code, Failure};
use std::path::PathBuf;

const CPU_PERIOD_US: u64 = 100_000;

/// Applies every limit that is given; what is absent stays as it is.
pub fn apply(layout: &Layout, workload: &str, limits: &LimitsSpec) -> Result<(), Failure> {
    match layout.version {
        Version::V1 => apply_v1(layout, workload, limits),
        Version::V2 => apply_v2(layout, workload, limits),
    }
}

fn set(path: Option<PathBuf>, file: &str, limit: &str, value: &str) -> Result<(), Failure> {
    let Some(path) = path else {
        return Err(Failure::new(Code::Unsupported, format!("this host has no controller for the limit {limit}")));
    };
    files::write(&path.join(file), value).map_err(|error| {
        let code = match error.raw_os_error() {
            Some(libc::ENOENT) => Code::Unsupported,
            Some(libc::EINVAL | libc::ERANGE) => Code::InvalidSpec,
            Some(libc::EBUSY) => Code::Unavailable,
            _ => Code::Internal,
        };
        Failure::new(code, format!("the limit {limit} cannot be set to {value}: {error}"))
    })
}

fn apply_v1(layout: &Layout, workload: &str, limits: &LimitsSpec) -> Result<(), Failure> {
    let at = |controller: &str| layout.directory(controller, workload);
    if limits.memory_bytes.is_some() || limits.memory_swap_bytes.is_some() {
        memory_v1(at("memory"), limits)?;
    }
    if let Some(bytes) = limits.memory_reservation_bytes {
        set(at("memory"), "memory.soft_limit_in_bytes", "memoryReservationBytes", &bytes.to_string())?;
    }
    if let Some(cpus) = limits.cpus {
        set(at("cpu"), "cpu.cfs_period_us", "cpus", &CPU_PERIOD_US.to_string())?;
        set(at("cpu"), "cpu.cfs_quota_us", "cpus", &quota(cpus).map_or("-1".into(), |quota| quota.to_string()))?;
    }
    if let Some(shares) = limits.cpu_shares {
        set(at("cpu"), "cpu.shares", "cpuShares", &shares.to_string())?;
    }
    if let Some(list) = &limits.cpuset {
        set(at("cpuset"), "cpuset.cpus", "cpuset", list)?;
    }
    if let Some(pids) = limits.pids {
        set(at("pids"), "pids.max", "pids", &maximum(pids))?;
    }
    Ok(())
}

fn memory_v1(directory: Option<PathBuf>, limits: &LimitsSpec) -> Result<(), Failure> {
    let swap_file = "memory.memsw.limit_in_bytes";
    let has_swap = directory.as_ref().is_some_and(|path| path.join(swap_file).exists());
    let swap = limits.memory_swap_bytes.filter(|_| has_swap).map(|bytes| if bytes < 0 { "-1".to_string() } else { bytes.to_string() });
    let memory = limits.memory_bytes.map(|bytes| bytes.to_string());
    let set_memory = |value: &str| set(directory.clone(), "memory.limit_in_bytes", "memoryBytes", value);
    let set_swap = |value: &str| set(directory.clone(), swap_file, "memorySwapBytes", value);
    match (memory, swap) {
        // The sum can never lie below memory alone: whichever way both move, one of the two orders works.
        (Some(memory), Some(swap)) => {
            if set_memory(&memory).is_ok() {
                return set_swap(&swap);
            }
            set_swap(&swap)?;
            set_memory(&memory)
        }
        (Some(memory), None) => set_memory(&memory),
        (None, Some(swap)) => set_swap(&swap),
        (None, None) => Ok(()),
    }
}

fn apply_v2(layout: &Layout, workload: &str, limits: &LimitsSpec) -> Result<(), Failure> {
    let at = || layout.directory("unified", workload);
    if let Some(bytes) = limits.memory_bytes {
        set(at(), "memory.max", "memoryBytes", &maximum(bytes))?;
    }
    if let Some(sum) = limits.memory_swap_bytes {
        let memory = limits.memory_bytes.or_else(|| files::read_number(&at()?.join("memory.max"))).unwrap_or(0);
        let swap = u64::try_from(sum).map_or("max".to_string(), |sum| sum.saturating_sub(memory).to_string());
        let has_swap = at().is_some_and(|path| path.join("memory.swap.max").exists());
        if has_swap {
            set(at(), "memory.swap.max", "memorySwapBytes", &swap)?;
        }
    }
    if let Some(bytes) = limits.memory_reservation_bytes {
        set(at(), "memory.low", "memoryReservationBytes", &bytes.to_string())?;
    }
    if let Some(cpus) = limits.cpus {
        let value = quota(cpus).map_or(format!("max {CPU_PERIOD_US}"), |quota| format!("{quota} {CPU_PERIOD_US}"));
        set(at(), "cpu.max", "cpus", &value)?;
    }
    if let Some(shares) = limits.cpu_shares {
        // The OCI runtimes' mapping of 2–262144 to 1–10000.
        let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142;
        set(at(), "cpu.weight", "cpuShares", &weight.to_string())?;
    }
    if let Some(list) = &limits.cpuset {
        set(at(), "cpuset.cpus", "cpuset", list)?;
    }
    if let Some(pids) = limits.pids {
        set(at(), "pids.max", "pids", &maximum(pids))?;
    }
    Ok(())
}

/// Zero asks for no limit, as in Docker's update.
fn maximum(value: u64) -> String {
    if value == 0 { "max".to_string() } else { value.to_string() }
}

/// Microseconds of a period; None for no limit. The kernel refuses less than a millisecond.
fn quota(cpus: f64) -> Option<u64> {
    (cpus > 0.0 && cpus.is_finite()).then(|| ((cpus * CPU_PERIOD_US as f64) as u64).max(1000))
}
