//! `top`: the workload's processes as `ps -ef` prints them, with the numbers that the workload itself sees.

use crate::cgroup;
use bulkhead_wire::process::ProcessTable;

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
const MOST_ROWS: usize = 1000;
const LONGEST_COMMAND: usize = 512;

pub fn read() -> ProcessTable {
    let rows = cgroup::processes().into_iter().take(MOST_ROWS).filter_map(row).collect();
    ProcessTable { titles: TITLES.map(str::to_owned).to_vec(), rows }
}

fn row(pid: i32) -> Option<Vec<String>> {
    let stat = text(&format!("/proc/{pid}/stat"))?;
    let status = text(&format!("/proc/{pid}/status"))?;
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let (name, fields) = split_stat(&stat)?;
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or("0");
    let parent: i32 = field(4).parse().ok()?;
    let ticks = field(14).parse::<u64>().unwrap_or(0) + field(15).parse::<u64>().unwrap_or(0);
    let seconds = ticks / 100;
    Some(vec![
        after(&status, "Uid:").split_whitespace().next().unwrap_or("0").to_owned(),
        innermost(&status, pid),
        text(&format!("/proc/{parent}/status")).map_or("0".to_owned(), |text| if parent == 1 { "0".to_owned() } else { innermost(&text, parent) }),
        "0".to_owned(),
        started(field(22).parse().unwrap_or(0)),
        if field(7) == "0" { "?".to_owned() } else { format!("pts/{}", field(7).parse::<i64>().unwrap_or(0) & 0xff) },
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        command_line(&command, name),
    ])
}

/// A process's name, which stands in these files, may be any bytes.
fn text(path: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned())
}

/// The name in brackets may hold anything, brackets and spaces too: the last closing one ends it.
fn split_stat(stat: &str) -> Option<(&str, Vec<&str>)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    Some((name, tail.split_whitespace().collect()))
}

fn after<'a>(status: &'a str, key: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("").trim()
}

fn innermost(status: &str, otherwise: i32) -> String {
    after(status, "NSpid:").split_whitespace().next_back().map_or(otherwise.to_string(), str::to_owned)
}

fn started(ticks_after_boot: u64) -> String {
    let up_ns = bulkhead_wire::clock::monotonic_ns();
    let age_ns = up_ns.saturating_sub(ticks_after_boot * 10_000_000);
    let stamp = bulkhead_wire::clock::stamp(bulkhead_wire::clock::now_ns() - i128::from(age_ns));
    stamp.get(11..16).unwrap_or("?").to_owned()
}

fn command_line(raw: &[u8], name: &str) -> String {
    if raw.is_empty() {
        return format!("[{name}]");
    }
    let text = String::from_utf8_lossy(raw);
    let joined = text.trim_end_matches('\0').replace('\0', " ");
    joined.chars().take(LONGEST_COMMAND).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_one_name() {
        let (name, fields) = split_stat("7 (a) (b c) S 1 7 7 0").unwrap();
        assert_eq!(name, "a) (b c");
        assert_eq!(fields[..2], ["S", "1"]);
        assert!(split_stat("nonsense").is_none());
    }

    #[test]
    fn a_process_whose_name_is_no_text_has_its_row() {
        let named = std::thread::Builder::new().spawn(|| {
            let name = c"\xff\xfe";
            unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
            row(unsafe { libc::gettid() })
        });
        assert_eq!(named.unwrap().join().unwrap().map(|row| row.len()), Some(TITLES.len()));
    }

    #[test]
    fn commands_are_joined_and_kernel_names_bracketed() {
        assert_eq!(command_line(b"sh\0-c\0true\0", "sh"), "sh -c true");
        assert_eq!(command_line(b"", "kworker"), "[kworker]");
        assert_eq!(command_line(&[b'x'; 5000], "x").len(), LONGEST_COMMAND);
    }
}
