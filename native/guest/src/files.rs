//! Files inside: this same program once more, as a process of the workload's control group that enters its view of files, gives up everything but
//! root's powers over them, and carries out one order by its stdio. A program anew, because a child of the agent, which has threads, may not allocate.
//!
//! Not the workload's pid namespace, so that nobody inside sees it, and nothing of the workload's is executed.

use crate::launch::{Launched, Main};
use crate::sys::{self, c};
use crate::{cgroup, child};
use bulkhead_files::{Streams, carry_out, confine, refuse};
use bulkhead_wire::birth::Birth;
use bulkhead_wire::plan::{FilesOrder, GuestProcess};
use bulkhead_wire::{Code, Failure};
use std::fs::File;
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
    let (stdin_theirs, stdin_ours) = if spec.stdin {
        let (read, write) = sys::pipe()?;
        sys::set_nonblocking(&write);
        (read, Some(write))
    } else {
        (sys::open("/dev/null", libc::O_RDONLY)?, None)
    };
    let (stdout_ours, stdout_theirs) = sys::pipe()?;
    let (stderr_ours, stderr_theirs) = sys::pipe()?;
    sys::set_nonblocking(&stdout_ours);
    sys::set_nonblocking(&stderr_ours);
    let given = [stdin_theirs.as_raw_fd(), stdout_theirs.as_raw_fd(), stderr_theirs.as_raw_fd(), main.map_or(stdin_theirs.as_raw_fd(), |main| main.pidfd.as_raw_fd())];
    let refused = cgroup::refused();
    let mut pidfd: RawFd = -1;
    let pid = Birth { group: Some(group.as_raw_fd()), pidfd: Some(&mut pidfd), ..Birth::default() }.fork();
    if pid == 0 {
        become_program(&program, given, &arguments);
    }
    if pid < 0 {
        let error = std::io::Error::last_os_error();
        return Err(cgroup::limit_reached(refused).unwrap_or_else(|| Failure::from_io("start a process in the machine", &error)));
    }
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Launched { pid, pidfd, stdin: stdin_ours, outputs: [Some(stdout_ours), Some(stderr_ours)], terminal: false })
}

/// Between clone and exec: system calls alone.
fn become_program(program: &OwnedFd, given: [RawFd; 4], arguments: &[*const libc::c_char; 4]) -> ! {
    child::reset_signals();
    unsafe {
        libc::setsid();
        // Aside first: a target's number may be another's source.
        let aside = given.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ASIDE));
        let program = libc::fcntl(program.as_raw_fd(), libc::F_DUPFD_CLOEXEC, ASIDE);
        let placed = (0..).zip(aside).all(|(number, copy)| copy >= 0 && libc::dup2(copy, number) >= 0);
        if placed && program >= 0 {
            let environment: [*const libc::c_char; 1] = [null()];
            libc::syscall(libc::SYS_execveat, program, c"".as_ptr(), arguments.as_ptr(), environment.as_ptr(), libc::AT_EMPTY_PATH);
        }
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
            carry_out(&order, &root, Streams { input, output, error })
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
    confine::shed().map_err(|error| Failure::from_io("give up privileges", &error))?;
    unsafe { libc::syscall(libc::SYS_close_range, MAIN, libc::c_uint::MAX, 0) };
    sys::open("/", libc::O_RDONLY | libc::O_DIRECTORY)
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
