//! What a workload has used, as its control groups count it.

use crate::files::{keyed, read, read_number};
use crate::layout::{Layout, Version};
use bulkhead_wire::Failure;
use bulkhead_wire::process::ResourceUse;

/// Nanoseconds of one USER_HZ tick.
const TICK_NS: u64 = 10_000_000;

pub fn measure(layout: &Layout, workload: &str) -> ResourceUse {
    let mut used = ResourceUse { at: bulkhead_wire::clock::stamp_now(), ..ResourceUse::default() };
    match layout.version {
        Version::V1 => measure_v1(layout, workload, &mut used),
        Version::V2 => measure_v2(layout, workload, &mut used),
    }
    used.out_of_memory_kills = out_of_memory_kills(layout, workload);
    used
}

/// Times that the kernel killed a process of the workload for memory.
pub fn out_of_memory_kills(layout: &Layout, workload: &str) -> u64 {
    let Some(directory) = layout.directory("memory", workload) else { return 0 };
    let file = if layout.version == Version::V1 { "memory.oom_control" } else { "memory.events" };
    keyed(&read(&directory.join(file)), "oom_kill").unwrap_or(0)
}

/// What the group's limits have refused so far: compared before and after something failed, it says whether they were why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Forks, for the limit of processes.
    forks: u64,
    /// Processes killed for memory.
    kills: u64,
}

impl Refused {
    /// The failure of a command that could not be begun since, where a limit was its reason.
    pub fn explain(self, now: Refused, used: &ResourceUse) -> Option<Failure> {
        if now.kills > self.kills && used.memory_limit_bytes > 0 {
            return Some(Failure::at_memory_limit(used.memory_limit_bytes));
        }
        (now.forks > self.forks && used.pids_limit > 0).then(|| Failure::at_process_limit(used.pids_limit))
    }
}

pub fn refused(layout: &Layout, workload: &str) -> Refused {
    let pids = layout.directory(if layout.version == Version::V1 { "pids" } else { "unified" }, workload);
    let forks = pids.and_then(|directory| keyed(&read(&directory.join("pids.events")), "max")).unwrap_or(0);
    Refused { forks, kills: out_of_memory_kills(layout, workload) }
}

fn measure_v1(layout: &Layout, workload: &str, used: &mut ResourceUse) {
    if let Some(cpu) = layout.directory("cpuacct", workload) {
        used.cpu_total_ns = read_number(&cpu.join("cpuacct.usage")).unwrap_or(0);
        let split = read(&cpu.join("cpuacct.stat"));
        used.cpu_user_ns = keyed(&split, "user").unwrap_or(0).saturating_mul(TICK_NS);
        used.cpu_system_ns = keyed(&split, "system").unwrap_or(0).saturating_mul(TICK_NS);
    }
    if let Some(memory) = layout.directory("memory", workload) {
        used.memory_bytes = read_number(&memory.join("memory.usage_in_bytes")).unwrap_or(0);
        used.memory_inactive_file_bytes = keyed(&read(&memory.join("memory.stat")), "total_inactive_file").unwrap_or(0);
        // An unlimited group shows the largest number of whole pages.
        used.memory_limit_bytes = read_number(&memory.join("memory.limit_in_bytes")).filter(|limit| *limit < 1 << 62).unwrap_or(0);
    }
    if let Some(pids) = layout.directory("pids", workload) {
        used.pids = read_number(&pids.join("pids.current")).unwrap_or(0);
        used.pids_limit = read_number(&pids.join("pids.max")).unwrap_or(0);
    }
    if let Some(blkio) = layout.directory("blkio", workload) {
        for line in read(&blkio.join("blkio.throttle.io_service_bytes_recursive")).lines() {
            let mut words = line.split_whitespace().skip(1);
            let (what, count) = (words.next(), words.next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0));
            match what {
                Some("Read") => used.disk_read_bytes += count,
                Some("Write") => used.disk_write_bytes += count,
                _ => {}
            }
        }
    }
}

fn measure_v2(layout: &Layout, workload: &str, used: &mut ResourceUse) {
    let Some(group) = layout.directory("unified", workload) else { return };
    let cpu = read(&group.join("cpu.stat"));
    used.cpu_total_ns = keyed(&cpu, "usage_usec").unwrap_or(0).saturating_mul(1000);
    used.cpu_user_ns = keyed(&cpu, "user_usec").unwrap_or(0).saturating_mul(1000);
    used.cpu_system_ns = keyed(&cpu, "system_usec").unwrap_or(0).saturating_mul(1000);
    used.memory_bytes = read_number(&group.join("memory.current")).unwrap_or(0);
    used.memory_inactive_file_bytes = keyed(&read(&group.join("memory.stat")), "inactive_file").unwrap_or(0);
    used.memory_limit_bytes = read_number(&group.join("memory.max")).unwrap_or(0);
    used.pids = read_number(&group.join("pids.current")).unwrap_or(0);
    used.pids_limit = read_number(&group.join("pids.max")).unwrap_or(0);
    for word in read(&group.join("io.stat")).split_whitespace() {
        if let Some(count) = word.strip_prefix("rbytes=") {
            used.disk_read_bytes += count.parse::<u64>().unwrap_or(0);
        } else if let Some(count) = word.strip_prefix("wbytes=") {
            used.disk_write_bytes += count.parse::<u64>().unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_reason_only_where_it_refused_something_meanwhile() {
        let before = Refused { forks: 3, kills: 1 };
        let used = ResourceUse { pids_limit: 4, memory_limit_bytes: 8 << 20, ..ResourceUse::default() };
        let told = |now: Refused| before.explain(now, &used).map(|failure| failure.what);
        assert_eq!(told(before), None);
        assert!(told(Refused { forks: 4, ..before }).is_some_and(|what| what.contains("limit of 4 processes")));
        assert!(told(Refused { kills: 2, ..before }).is_some_and(|what| what.contains("limit of 8388608 bytes")));
        assert_eq!(before.explain(Refused { forks: 4, kills: 2 }, &ResourceUse::default()), None);
    }
}
