//! Files inside: this same program once more, as a process of the workload's control group that enters its view of files, gives up everything but
//! root's powers over them, and carries out one order by its stdio. A program anew, because a child of the agent, which has threads, may not allocate.
//!
//! Not the workload's pid namespace, so that nobody inside sees it, and nothing of the workload's is executed.

use crate::launch::{Launched, Main, open_pipes};
use crate::sys::{self, Read, c};
use crate::{cgroup, child};
use bulkhead_files::{Streams, carry_out, confine, refuse};
use bulkhead_wire::birth::Birth;
use bulkhead_wire::plan::{FilesOrder, GuestProcess};
use bulkhead_wire::{Code, Failure};
use std::fs::File;
use std::io::Error;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null;

/// What this program is called where it does this work.
pub const NAME: &str = "bulkhead-files";
/// The main process's pidfd, where it runs.
const MAIN: RawFd = 3;
/// Beyond every number that is given.
const ASIDE: RawFd = 100;

/// Where it goes: `joined` is the main process's view, the others the one that it will be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Joined,
    Held,
    HeldReadOnly,
}

const VIEWS: [(View, &str); 3] = [(View::Joined, "joined"), (View::Held, "held"), (View::HeldReadOnly, "held-read-only")];

/// Begins the work; `read_only` says what becomes of the root when the main process begins.
pub fn launch(spec: &GuestProcess, order: &FilesOrder, main: Option<&Main>, read_only: bool) -> Result<Launched, Failure> {
    let view = match (main, read_only) {
        (Some(_), _) => View::Joined,
        (None, false) => View::Held,
        (None, true) => View::HeldReadOnly,
    };
    let text = serde_json::to_string(order).map_err(|error| Failure::new(Code::Internal, format!("an order about files cannot be written: {error}")))?;
    let texts = [c(NAME)?, c(VIEWS.iter().find(|(known, _)| *known == view).map_or("", |(_, name)| name))?, c(&text)?];
    let arguments = [texts[0].as_ptr(), texts[1].as_ptr(), texts[2].as_ptr(), null()];
    let program = sys::open("/proc/self/exe", libc::O_RDONLY)?;
    let group = cgroup::open()?;
    let stdio = open_pipes(spec.stdin)?;
    let [stdin, stdout, stderr] = stdio.theirs.each_ref().map(|fd| fd.as_raw_fd());
    let given = [stdin, stdout, stderr, main.map_or(stdin, |main| main.pidfd.as_raw_fd())];
    let refused = cgroup::refused();
    let (pid, pidfd) = execute(&program, given, &arguments, Some(group.as_raw_fd())).map_err(|failure| cgroup::limit_reached(refused).unwrap_or(failure))?;
    let (stdin, outputs) = stdio.ours;
    Ok(Launched { pid, pidfd, stdin, outputs, terminal: false })
}

/// Returns once the program runs: until then its process holds a copy of every descriptor of the agent's, other processes' ends among them.
fn execute(program: &OwnedFd, given: [RawFd; 4], arguments: &[*const libc::c_char; 4], group: Option<RawFd>) -> Result<(i32, OwnedFd), Failure> {
    let failed = |error: &Error| Failure::from_io("start a process in the machine", error);
    let (status_read, status_write) = sys::pipe()?;
    let mut pidfd: RawFd = -1;
    let pid = Birth { group, pidfd: Some(&mut pidfd), ..Birth::default() }.fork();
    if pid == 0 {
        become_program(program, given, arguments, status_write.as_raw_fd());
    }
    if pid < 0 {
        return Err(failed(&Error::last_os_error()));
    }
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    drop(status_write);
    let mut error = [0u8; 4];
    // It closes on exec.
    if sys::read(status_read.as_raw_fd(), &mut error) == Read::End {
        return Ok((pid, pidfd));
    }
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    Err(failed(&Error::from_raw_os_error(i32::from_le_bytes(error))))
}

/// Between clone and exec: system calls alone.
fn become_program(program: &OwnedFd, given: [RawFd; 4], arguments: &[*const libc::c_char; 4], status: RawFd) -> ! {
    child::reset_signals();
    unsafe {
        libc::setsid();
        // Aside first: a target's number may be another's source.
        let [status, program] = [status, program.as_raw_fd()].map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ASIDE));
        let aside = given.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ASIDE));
        let placed = (0..).zip(aside).all(|(number, copy)| copy >= 0 && libc::dup2(copy, number) >= 0);
        if placed && program >= 0 {
            let environment: [*const libc::c_char; 1] = [null()];
            libc::syscall(libc::SYS_execveat, program, c"".as_ptr(), arguments.as_ptr(), environment.as_ptr(), libc::AT_EMPTY_PATH);
        }
        let error = sys::errno().to_le_bytes();
        libc::write(status, error.as_ptr().cast(), error.len());
        libc::_exit(127)
    }
}

/// The whole of such a process; its exit code.
pub fn work(mut arguments: impl Iterator<Item = String>) -> i32 {
    let view = arguments.next().and_then(|name| VIEWS.iter().find(|(_, known)| *known == name).map(|(view, _)| *view));
    let order = arguments.next().and_then(|text| serde_json::from_str::<FilesOrder>(&text).ok());
    let output = unsafe { File::from_raw_fd(1) };
    let (Some(view), Some(order)) = (view, order) else {
        return refuse(output, &Failure::new(Code::Internal, "an order about files cannot be understood"));
    };
    match enter(view) {
        Ok(root) => {
            let (input, error) = unsafe { (File::from_raw_fd(0), File::from_raw_fd(2)) };
            let code = carry_out(&order, &root, Streams { input, output, error });
            // A machine that is held may be ended, at once and for good, before it has written out by itself what it has just been given.
            if view != View::Joined && matches!(order, FilesOrder::Write { .. }) {
                unsafe { libc::sync() };
            }
            code
        }
        Err(failure) => refuse(output, &failure),
    }
}

fn enter(view: View) -> Result<OwnedFd, Failure> {
    // The agent's own protection is inherited and must not be.
    let _ = sys::write_file("/proc/self/oom_score_adj", "0");
    let done = unsafe {
        match view {
            View::Joined => libc::setns(MAIN, libc::CLONE_NEWNS) == 0,
            View::Held | View::HeldReadOnly => become_held_view(view == View::HeldReadOnly),
        }
    };
    if !done || unsafe { libc::chdir(c"/".as_ptr()) } != 0 {
        return Err(Failure::system("enter the workload's view of files"));
    }
    confine::withdraw().map_err(|error| Failure::from_io("give up privileges", &error))
}

/// As `Inside::enter` makes it for the main process, without the kernel's own views: volumes, shares and tmpfs stand below `/root` already.
unsafe fn become_held_view(read_only: bool) -> bool {
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::chdir(c"/root".as_ptr()) == 0
            && libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) == 0
            && libc::umount2(c".".as_ptr(), libc::MNT_DETACH) == 0
            && (!read_only || libc::mount(null(), c"/".as_ptr(), null(), libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, null()) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(stdin: &OwnedFd) -> [RawFd; 4] {
        [stdin.as_raw_fd(), 2, 2, stdin.as_raw_fd()]
    }

    #[test]
    fn what_cannot_be_executed_is_told_and_leaves_no_child() {
        let program = sys::open("/proc/self/status", libc::O_RDONLY).unwrap();
        let arguments = [c"x".as_ptr(), null(), null(), null()];
        let failure = execute(&program, give(&program), &arguments, None).map(|_| ()).unwrap_err();
        assert!(failure.what.contains("Permission denied") || failure.what.contains("permission"), "{}", failure.what);
    }

    #[test]
    fn once_it_is_begun_it_holds_what_it_was_given_and_nothing_of_the_agent_s() {
        let (read, write) = sys::pipe().unwrap();
        let program = sys::open("/bin/cat", libc::O_RDONLY).unwrap();
        let (pid, _pidfd) = execute(&program, give(&read), &[c"cat".as_ptr(), null(), null(), null()], None).unwrap();
        let held = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter(|entry| {
            let target = std::fs::read_link(entry.as_ref().unwrap().path()).unwrap_or_default();
            target == std::fs::read_link(format!("/proc/self/fd/{}", write.as_raw_fd())).unwrap()
        });
        assert_eq!(held.count(), 2, "the read end as 0 and as 3, and never the other end");
        drop(write);
        let mut status = 0;
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        assert_eq!(status, 0, "its input ended with the agent's own end of it");
    }
}
