//! What a runtime wrote into its log, as a failure whose code says what to do.

use bulkhead_wire::{Code, Failure};
use serde_json::{Value, json};
use std::os::fd::{AsRawFd, OwnedFd};

/// The first error in a runtime's JSON log, plain text where it is not JSON.
pub fn read_log(log: &OwnedFd) -> Option<String> {
    let mut bytes = [0u8; 4096];
    let count = unsafe { libc::pread(log.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    read_words(bytes.get(..usize::try_from(count).ok()?)?)
}

/// As `read_log`, from bytes at hand.
pub fn read_words(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut message = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let parsed: Option<Value> = serde_json::from_str(line).ok();
        let field = |name: &str| parsed.as_ref().and_then(|value| value.get(name)).and_then(Value::as_str);
        match (field("level"), field("msg")) {
            (Some("error" | "fatal"), Some(text)) => return Some(text.to_string()),
            (Some(_), _) => {}
            _ => message = Some(line.to_string()),
        }
    }
    message
}

/// Leaves a failure for the parent, in the same log.
pub fn leave_failure(log: &OwnedFd, failure: &Failure) {
    let text = json!({ "failure": failure }).to_string();
    unsafe { libc::pwrite(log.as_raw_fd(), text.as_ptr().cast(), text.len(), 0) };
}

pub fn read_failure(log: &OwnedFd) -> Option<Failure> {
    let mut bytes = [0u8; 4096];
    let count = unsafe { libc::pread(log.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    let mut value: Value = serde_json::from_slice(bytes.get(..usize::try_from(count).ok()?)?).ok()?;
    serde_json::from_value(value.get_mut("failure")?.take()).ok()
}

/// A command that cannot run is the caller's; everything else is the runtime's trouble.
pub fn failure(runtime: &str, doing: &str, message: Option<String>) -> Failure {
    let message = message.unwrap_or_else(|| "it said nothing".into());
    let has = |part: &str| message.contains(part);
    if has("self/attr/") {
        return Failure::new(Code::InvalidSpec, format!("the security profile cannot be applied: {message}")).remedy("load the profile first (apparmor_parser -r FILE)");
    }
    // gVisor's kernel says what it could not load.
    let execution = has("exec") || has("failed to load");
    if has("not found in $PATH") || (execution && has("o such file or directory") && !has("chdir")) {
        return Failure::new(Code::CommandNotFound, format!("the command does not exist inside the workload: {message}"));
    }
    if has("open executable") || (execution && (has("ermission denied") || has("xec format error") || has("s a directory"))) {
        return Failure::new(Code::CommandNotExecutable, format!("the command cannot be executed inside the workload: {message}"));
    }
    if has("rlimit") {
        return Failure::new(Code::InvalidSpec, format!("a resource limit was refused: {message}")).remedy("ask for no more than this host's own limits (ulimit -Ha; /proc/sys/fs/nr_open)");
    }
    if has("sysctl") || has("/proc/sys/") {
        return Failure::new(Code::InvalidSpec, format!("a kernel parameter was refused: {message}")).remedy("check its name and value: sysctl NAME. Older kernels show fewer of net.core to a workload with ids of its own: then --userns=host");
    }
    if has("oom_score_adj") {
        return Failure::new(Code::InvalidSpec, format!("the score for the out-of-memory killer was refused: {message}")).remedy("ask for zero or more: lowering it needs CAP_SYS_RESOURCE on the host");
    }
    if has("seccomp") {
        return Failure::new(Code::InvalidSpec, format!("the seccomp profile was refused: {message}")).remedy("name actions, architectures and calls as libseccomp does");
    }
    if has("mknod") {
        return Failure::new(Code::InvalidSpec, format!("a device cannot be made where it was asked for: {message}")).remedy("name a path below /dev");
    }
    if has("mount `") && (has("ot a directory") || has("s a directory") || has("nvalid argument") || has("name too long")) {
        return Failure::new(Code::InvalidSpec, format!("a mount cannot be put where it was asked for: {message}")).remedy("mount a directory on a directory and a file on a file, with options that the filesystem knows");
    }
    if has("rgument list too long") {
        return Failure::new(Code::InvalidSpec, format!("the command and its environment are too long: {message}")).remedy("pass long texts in a file");
    }
    if has("chdir") || has("mkdir cwd") {
        return Failure::new(Code::CommandNotExecutable, format!("the working directory cannot be entered: {message}"));
    }
    let code = if has("annot allocate memory") || has("esource temporarily unavailable") || has("o space left") || has("oo many open files") { Code::Exhausted } else { Code::Internal };
    Failure::new(code, format!("{runtime} could not {doing}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_forbidden_commands_are_told_apart() {
        let code = |text: &str| failure("crun", "create", Some(text.into())).code;
        assert_eq!(code("executable file `x` not found in $PATH: No such file or directory"), Code::CommandNotFound);
        assert_eq!(code("open executable: Permission denied"), Code::CommandNotExecutable);
        assert_eq!(code("exec container process `/a`: Exec format error"), Code::CommandNotExecutable);
        assert_eq!(code("exec: \"/etc\": is a directory"), Code::CommandNotExecutable);
        assert_eq!(code("exec: \"nope\": executable file not found in $PATH"), Code::CommandNotFound);
        assert_eq!(code("exec container process (missing dynamic library?) `/a`: No such file or directory"), Code::CommandNotFound);
        assert_eq!(code("write file `/proc/thread-self/attr/exec`: No such file or directory"), Code::InvalidSpec);
        assert_eq!(code("chdir `/x`: No such file or directory"), Code::CommandNotExecutable);
        assert_eq!(code("setrlimit `RLIMIT_NOFILE`: Operation not permitted"), Code::InvalidSpec);
        assert_eq!(code("open `/proc/sys/net/foo`: No such file or directory"), Code::InvalidSpec);
        assert_eq!(code("exec container process `/bin/sh`: Argument list too long"), Code::InvalidSpec);
        assert_eq!(code("mount `/etc/hosts` to `bin`: Not a directory"), Code::InvalidSpec);
        assert_eq!(code("mount `tmpfs` to `t`: Invalid argument"), Code::InvalidSpec);
        assert_eq!(code("invalid seccomp action `NOPE`"), Code::InvalidSpec);
        assert_eq!(code("mknod `/proc/x`: No such file or directory"), Code::InvalidSpec);
        assert_eq!(code("write to /proc/self/oom_score_adj: Permission denied"), Code::InvalidSpec);
        assert_eq!(code("starting sandbox: creating process: failed to load /bin/nosuch: no such file or directory"), Code::CommandNotFound);
        assert_eq!(code("starting sandbox: creating process: failed to load /etc: permission denied"), Code::CommandNotExecutable);
        assert_eq!(code("mount `proc`: Operation not permitted"), Code::Internal);
    }
}
