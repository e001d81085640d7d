//! The init outside of any container: it is its children's reaper all the same.

use std::process::{Command, Stdio};

fn init(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead-init"));
    command.args(["--", "sh", "-c", script]);
    command
}

#[test]
fn it_ends_as_its_command_ends() {
    assert_eq!(init("exit 7").status().unwrap().code(), Some(7));
    assert_eq!(init("kill -9 $$").status().unwrap().code(), Some(137));
    let run = |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_bulkhead-init")).args(words).stderr(Stdio::null()).status().unwrap().code();
    assert_eq!(run(&["--", "no-such-program-anywhere"]), Some(127));
    assert_eq!(run(&["--", "/etc/passwd"]), Some(126));
    assert_eq!(run(&["--"]), Some(64));
}

#[test]
fn signals_reach_the_command() {
    let child = init("trap 'exit 5' USR1; while :; do sleep 0.02; done").spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    unsafe { libc::kill(child.id() as i32, libc::SIGUSR1) };
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(5));
}

#[test]
fn orphans_are_reaped() {
    // Its parent ends at once; a zombie of it would be a child of the init for as long as the init lives.
    let script = "(sleep 0.05 &) ; sleep 0.4; ps -o stat= --ppid $PPID | grep -c Z; true";
    let output = init(script).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0");
}

#[test]
fn the_command_starts_with_no_signal_blocked_or_ignored() {
    let output = init("grep -E 'SigBlk|SigIgn' /proc/self/status").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mask = |name: &str| u64::from_str_radix(text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim(), 16).unwrap();
    // What Rust ignores and what the init blocks are its own affair.
    assert_eq!((mask("SigBlk:"), mask("SigIgn:") & 1 << (libc::SIGPIPE - 1)), (0, 0), "{text}");
}
