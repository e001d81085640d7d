//! Process 1 of a container that was asked for with `--init`, shown inside as /sbin/docker-init: `bulkhead-init -- COMMAND…` starts the
//! command in a process group of its own (with the terminal, where there is one), hands every signal on to it, reaps whoever is left to
//! process 1, and ends as the command ended: its code, or 128 and the signal.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

fn main() {
    let mut words = std::env::args_os().skip(1).peekable();
    words.next_if(|word| word == "--");
    let command: Vec<CString> = words.filter_map(|word: OsString| CString::new(word.into_vec()).ok()).collect();
    if command.is_empty() {
        eprintln!("usage: bulkhead-init -- COMMAND [ARGUMENT]...");
        std::process::exit(64);
    }
    // Elsewhere than as process 1 orphans are its own only if it asks for them.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    unsafe {
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, &mut before);
    }
    match unsafe { libc::fork() } {
        0 => become_command(&command, &before),
        -1 => {
            eprintln!("bulkhead-init: cannot start the command: {}", std::io::Error::last_os_error());
            std::process::exit(126);
        }
        child => std::process::exit(look_after(child, &all)),
    }
}

/// In the child. The signals are still blocked while it takes the terminal, which from the background would stop it.
fn become_command(command: &[CString], signals: &libc::sigset_t) -> ! {
    let mut arguments: Vec<*const libc::c_char> = command.iter().map(|word| word.as_ptr()).collect();
    arguments.push(std::ptr::null());
    unsafe {
        libc::setpgid(0, 0);
        if libc::isatty(0) == 1 {
            libc::tcsetpgrp(0, libc::getpgrp());
        }
        // Rust's own start ignores it.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_SETMASK, signals, std::ptr::null_mut());
        libc::execvp(arguments[0], arguments.as_ptr());
    }
    let error = std::io::Error::last_os_error();
    eprintln!("bulkhead-init: exec {} failed: {error}", command[0].to_string_lossy());
    std::process::exit(if error.raw_os_error() == Some(libc::ENOENT) { 127 } else { 126 })
}

/// Hands on and reaps until the command has ended; gives its exit code.
fn look_after(child: i32, signals: &libc::sigset_t) -> i32 {
    loop {
        match unsafe { libc::sigwaitinfo(signals, std::ptr::null_mut()) } {
            libc::SIGCHLD => {}
            signal if signal > 0 => {
                unsafe { libc::kill(child, signal) };
            }
            _ => {}
        }
        let mut status = 0;
        loop {
            match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
                pid if pid == child && libc::WIFSIGNALED(status) => return 128 + libc::WTERMSIG(status),
                pid if pid == child && libc::WIFEXITED(status) => return libc::WEXITSTATUS(status),
                pid if pid <= 0 => break,
                _ => {}
            }
        }
    }
}
