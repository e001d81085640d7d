//! Which processes of this host are launchers, zygotes and supervisors. What a process calls itself proves nothing: it is asked for the program
//! that it runs and for the privilege without which that program cannot work.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const PROGRAM: &[u8] = b"bulkhead-launcher";
/// What the kernel puts behind the name of a program that was replaced meanwhile, as by an upgrade.
const REPLACED: &[u8] = b" (deleted)";
const CAP_SYS_ADMIN: u64 = 1 << 21;
/// Far more than any of these is: what is larger is not ours.
const MOST_BYTES: u64 = 64 * 1024;

/// The arguments of a process of ours, each ended by a zero.
pub fn command_line(pid: i32) -> Option<Vec<u8>> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    // First, and by what the kernel alone says: a command line lies in memory that its process may have made endless to read.
    let privileged = is_privileged(&String::from_utf8_lossy(&read(&process.join("status"))?));
    let program = process.join("exe").read_link().ok()?;
    (privileged && is_program(program.as_os_str().as_bytes())).then(|| read(&process.join("cmdline")))?
}

/// Whether this is the name of one that serves as launcher; its forks go by others.
pub fn is_launcher(name: &[u8]) -> bool {
    name.trim_ascii_end() == b"bulkhead-launch"
}

/// A file that somebody else may have put there: no pipe is waited for, no device read, nothing endless taken in.
pub fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = read_head(path)?;
    (bytes.len() as u64 <= MOST_BYTES).then_some(bytes)
}

/// The same of a file that may be long, whose beginning says enough.
pub fn read_head(path: &Path) -> Option<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn is_privileged(status: &str) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let root = field("Uid:").is_some_and(|uids| uids.split_whitespace().all(|uid| uid == "0"));
    let capabilities = field("CapEff:").and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    root && capabilities & CAP_SYS_ADMIN != 0
}

fn is_program(path: &[u8]) -> bool {
    let path = path.strip_suffix(REPLACED).unwrap_or(path);
    path.rsplit(|byte| *byte == b'/').next() == Some(PROGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn privilege_is_every_uid_of_root_and_the_right_to_mount() {
        let status = |uids: &str, set: &str| format!("Name:\tbulkhead-launch\nUid:\t{uids}\nCapEff:\t{set}\n");
        assert!(is_privileged(&status("0\t0\t0\t0", "000001ffffffffff")));
        for other in [status("1000\t0\t0\t0", "000001ffffffffff"), status("0\t0\t0\t0", "00000000a80425fb"), String::new()] {
            assert!(!is_privileged(&other), "{other}");
        }
    }

    #[test]
    fn a_program_is_known_by_its_file_also_when_that_was_replaced() {
        assert!(is_program(b"/opt/bulkhead-launcher") && is_program(b"/opt/bulkhead-launcher (deleted)"));
        assert!(!is_program(b"/usr/bin/dash") && !is_program(b"/opt/bulkhead-launcher/sh") && !is_program(b""));
    }

    #[test]
    fn a_process_that_is_merely_called_so_is_none_of_ours() {
        let mut child = Command::new("/bin/sh").arg0("/opt/bulkhead-launcher").args(["-c", "sleep 100; :", "--root", "/r"]).spawn().unwrap();
        let found = command_line(child.id() as i32);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, None);
    }

    #[test]
    fn pipes_and_endless_files_are_not_read() {
        let pipe = std::env::temp_dir().join(format!("bulkhead-kin-{}", std::process::id()));
        let name = std::ffi::CString::new(pipe.as_os_str().as_bytes()).unwrap();
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let found = read(&pipe);
        std::fs::remove_file(&pipe).unwrap();
        assert_eq!((found, read(Path::new("/dev/zero"))), (None, None));
        assert!(read(Path::new("/proc/self/status")).is_some());
    }
}
