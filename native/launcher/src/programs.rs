//! `run`: a program of a closed table, without privilege, with a deadline. For finding out what it can do.

use bulkhead_wire::failure::{Code, Failure, quote};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Names and where distributions put them.
const PROGRAMS: [&str; 8] = ["bulkhead-wasm", "crun", "runc", "runsc", "qemu-system-x86_64", "qemu-system-aarch64", "mkfs.erofs", "nft"];
/// In the daemon's order: what the operator has put beside the distribution's goes first.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const NOBODY: u32 = 65534;
const MOST_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    program: String,
    arguments: Vec<String>,
    deadline_ms: u64,
}

pub fn run(run: &Run) -> Result<Value, Failure> {
    let name = PROGRAMS.iter().find(|name| **name == run.program);
    let name = name.ok_or_else(|| Failure::new(Code::DeniedByPolicy, format!("{} is not in the launcher's table of programs", quote(&run.program))))?;
    let own = if *name == "bulkhead-wasm" { Some(own_program()?) } else { None };
    let path = own.as_ref().map(|file| format!("/proc/self/fd/{}", file.as_raw_fd())).or_else(|| locate(name));
    let path = path.ok_or_else(|| Failure::new(Code::NotFound, format!("{name} is not installed")).remedy(format!("apt-get install {}", package(name))))?;
    // A probe that boots a machine needs the device's group; nothing else.
    let groups: Vec<u32> = std::fs::metadata("/dev/kvm").map(|meta| meta.gid()).ok().filter(|gid| *gid != 0).into_iter().collect();
    let mut command = Command::new(path);
    command.args(&run.arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    unsafe {
        command.pre_exec(move || {
            let dropped = libc::setgroups(groups.len(), groups.as_ptr()) == 0
                && libc::setgid(NOBODY) == 0
                && libc::setuid(NOBODY) == 0
                && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0;
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            if dropped { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
    let mut child = command.spawn().map_err(|error| Failure::from_io(&format!("run {name}"), &error))?;
    drop(child.stdin.take());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let deadline = Instant::now() + Duration::from_millis(run.deadline_ms.min(600_000));
    let (stdout, stderr, in_time) = collect(stdout, stderr, deadline);
    if !in_time {
        unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
        let _ = child.wait();
        return Err(Failure::new(Code::TimedOut, format!("{name} did not end within {} ms", run.deadline_ms)));
    }
    let status = child.wait().map_err(|error| Failure::from_io(&format!("wait for {name}"), &error))?;
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(json!({ "code": code, "stdout": String::from_utf8_lossy(&stdout), "stderr": String::from_utf8_lossy(&stderr) }))
}

/// Opened before privileges go: nobody may pass through to where it lies. Not closed at execution, since that is how it is named.
fn own_program() -> Result<std::fs::File, Failure> {
    let path = crate::wasm::program()?;
    let file = std::fs::File::open(path).map_err(|error| Failure::from_io("open the wasm runner", &error))?;
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
    Ok(file)
}

/// Where a program is installed; never asked of a PATH.
pub fn locate(name: &str) -> Option<String> {
    places(name).find(|path| std::fs::metadata(path).is_ok())
}

/// Where distributions may have put it.
pub fn places(name: &str) -> impl Iterator<Item = String> {
    FOLDERS.iter().map(move |folder| format!("{folder}/{name}"))
}

fn package(name: &str) -> &str {
    match name {
        "qemu-system-x86_64" => "qemu-system-x86",
        "qemu-system-aarch64" => "qemu-system-arm",
        "mkfs.erofs" => "erofs-utils",
        "nft" => "nftables",
        other => other,
    }
}

/// Both streams until they end or the deadline comes; what is too much is read and dropped.
fn collect(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>, deadline: Instant) -> (Vec<u8>, Vec<u8>, bool) {
    let mut out = stdout.map(|pipe| std::fs::File::from(std::os::fd::OwnedFd::from(pipe)));
    let mut err = stderr.map(|pipe| std::fs::File::from(std::os::fd::OwnedFd::from(pipe)));
    let mut texts = [Vec::new(), Vec::new()];
    while out.is_some() || err.is_some() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let [out, err] = texts;
            return (out, err, false);
        }
        let descriptor = |pipe: &Option<std::fs::File>| libc::pollfd { fd: pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd), events: libc::POLLIN, revents: 0 };
        let mut set = [descriptor(&out), descriptor(&err)];
        unsafe { libc::poll(set.as_mut_ptr(), 2, (left.as_millis() as i32).max(1)) };
        for (at, pipe) in [&mut out, &mut err].into_iter().enumerate() {
            if set[at].revents == 0 {
                continue;
            }
            let mut chunk = [0u8; 4096];
            match pipe.as_mut().map(|file| file.read(&mut chunk)) {
                Some(Ok(count)) if count > 0 => {
                    let room = MOST_BYTES - texts[at].len();
                    texts[at].extend_from_slice(&chunk[..count.min(room)]);
                }
                _ => *pipe = None,
            }
        }
    }
    let [out, err] = texts;
    (out, err, true)
}
