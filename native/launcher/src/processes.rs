//! What /proc tells of a workload's processes, for `top` and `stats`.

use bulkhead_wire::process::{ProcessTable, ResourceUse};

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
const TICKS: u64 = 100;

/// The table that `ps -ef` prints, with the host's pids.
pub fn table(pids: &[i32]) -> ProcessTable {
    let boot = boot_seconds();
    let rows = pids.iter().filter_map(|pid| row(*pid, boot)).collect();
    ProcessTable { titles: TITLES.map(String::from).to_vec(), rows }
}

fn row(pid: i32, boot: u64) -> Option<Vec<String>> {
    // A process's name may be any bytes.
    let text = |file: &str| Some(String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/{file}")).ok()?).into_owned());
    let stat = text("stat")?;
    // The name may hold spaces and parentheses: fields count from behind the last one.
    let (head, tail) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let status = text("status")?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1).map(String::from))?;
    let seconds = (number(11) + number(12)) / TICKS;
    let started = boot + number(19) / TICKS;
    let age = (bulkhead_wire::clock::now_ns() / 1_000_000_000) as u64;
    let cpu = seconds * 100 / age.saturating_sub(started).max(1);
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
    let name = head.split_once('(').map_or("", |(_, name)| name);
    Some(vec![
        uid,
        pid.to_string(),
        number(1).to_string(),
        cpu.min(99).to_string(),
        clock_of(started),
        terminal(number(4)),
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        if command.is_empty() { format!("[{name}]") } else { command },
    ])
}

fn boot_seconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0)
}

/// Hours and minutes, UTC.
fn clock_of(seconds: u64) -> String {
    format!("{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60)
}

fn terminal(device: u64) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    if (136..144).contains(&major) { format!("pts/{minor}") } else { "?".into() }
}

/// Adds what the interfaces in a process's network namespace have moved, loopback left out.
pub fn add_traffic(pid: i32, used: &mut ResourceUse) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    for (name, counts) in text.lines().filter_map(|line| line.split_once(':')) {
        if name.trim() == "lo" {
            continue;
        }
        let counts: Vec<u64> = counts.split_whitespace().map(|count| count.parse().unwrap_or(0)).collect();
        if let [received_bytes, received_packets, _, _, _, _, _, _, sent_bytes, sent_packets, ..] = counts[..] {
            used.network_received_bytes += received_bytes;
            used.network_received_packets += received_packets;
            used.network_sent_bytes += sent_bytes;
            used.network_sent_packets += sent_packets;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_this_process() {
        let own = std::process::id() as i32;
        let table = table(&[own, 0]);
        assert_eq!(table.rows.len(), 1);
        assert_eq!(table.rows[0][1], own.to_string());
        assert_eq!(table.titles.len(), table.rows[0].len());
    }
}
