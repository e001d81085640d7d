//! Starting a process: everything is looked up and allocated here, then one clone into cgroup and namespaces, then `child`.

use crate::child::{Child, STEPS, Step};
use crate::configure::Machine;
use crate::root::Root;
use crate::sys::{self, c};
use crate::{account, capability, cgroup};
use bulkhead_wire::birth::Birth;
use bulkhead_wire::failure::quote;
use bulkhead_wire::plan::{GuestProcess, Rlimit};
use bulkhead_wire::process::TerminalSize;
use bulkhead_wire::{Code, Failure};
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The main process as execs find it.
pub struct Main {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

/// A process that runs its program, and our ends of its stdio.
pub struct Launched {
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub stdin: Option<OwnedFd>,
    /// stdout and stderr; with a terminal stdout alone.
    pub outputs: [Option<OwnedFd>; 2],
    pub terminal: bool,
}

pub struct Stdio {
    pub ours: (Option<OwnedFd>, [Option<OwnedFd>; 2]),
    pub theirs: [OwnedFd; 3],
    console: Option<CString>,
}

/// Starts the main process (`main` is None) or an exec. Returns once its program runs.
pub fn launch(spec: &GuestProcess, machine: &Machine, main: Option<&Main>) -> Result<Launched, Failure> {
    if spec.command.is_empty() {
        return Err(Failure::new(Code::InvalidSpec, "a process needs a command"));
    }
    let root = Root::open(&main.map_or("/root".to_owned(), |main| format!("/proc/{}/root", main.pid)))?;
    let account = account::resolve(&spec.user, &spec.additional_groups, &root.text("/etc/passwd"), &root.text("/etc/group"))?;
    let stdio = open_stdio(spec, &root)?;
    let (status_read, status_write) = sys::pipe()?;

    let mut environment = spec.environment.clone();
    if !environment.iter().any(|entry| entry.starts_with("HOME=")) {
        environment.push(format!("HOME={}", account.home));
    }
    let (argument_texts, arguments) = pointers(&spec.command)?;
    let (environment_texts, environment_pointers) = pointers(&environment)?;
    let directory = if spec.working_directory.is_empty() { "/" } else { &spec.working_directory };
    let child = Child {
        inside: if main.is_none() { Some((&machine.inside, stdio.console.clone())) } else { None },
        join: main.map(|main| main.pidfd.as_raw_fd()),
        init: spec.init && main.is_none(),
        stdio: [stdio.theirs[0].as_raw_fd(), stdio.theirs[1].as_raw_fd(), stdio.theirs[2].as_raw_fd()],
        terminal: spec.terminal,
        status: status_write.as_raw_fd(),
        rlimits: spec.rlimits.iter().map(rlimit).collect::<Result<_, _>>()?,
        // The agent's own protection is inherited and must not be.
        oom_score_adjust: Some(c(&spec.oom_score_adjust.unwrap_or(0).clamp(-1000, 1000).to_string())?),
        directory: c(directory)?,
        make: if main.is_none() { ancestors(directory)? } else { Vec::new() },
        uid: account.uid,
        gid: account.gid,
        groups: account.groups,
        capabilities: capability::bits(&spec.capabilities),
        no_new_privileges: spec.no_new_privileges,
        candidates: candidates(&spec.command[0], &environment)?,
        arguments,
        environment: environment_pointers,
    };
    if main.is_none() {
        // Its pages come while the namespaces are made.
        let _ = child.candidates.iter().any(|path| path.to_str().is_ok_and(|path| path.starts_with('/') && root.read_ahead(path)));
    }
    let refused = cgroup::refused();
    let explained = |failure: Failure| cgroup::limit_reached(refused).unwrap_or(failure);
    let (pid, pidfd) = clone(&child, main).map_err(explained)?;
    drop((status_write, stdio.theirs, argument_texts, environment_texts));
    if let Err(failure) = await_exec(&status_read, &spec.command[0]) {
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        return Err(if failure.code == Code::Internal { explained(failure) } else { failure });
    }
    let (stdin, outputs) = stdio.ours;
    Ok(Launched { pid, pidfd, stdin, outputs, terminal: spec.terminal })
}

/// Texts and the null-terminated list of pointers to them; the texts must live as long.
fn pointers(texts: &[String]) -> Result<(Vec<CString>, Vec<*const libc::c_char>), Failure> {
    let owned = texts.iter().map(|text| c(text)).collect::<Result<Vec<_>, _>>()?;
    let list = owned.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
    Ok((owned, list))
}

/// Where the program may lie: the path itself where it has a slash, else in each directory of the PATH that it will see.
fn candidates(program: &str, environment: &[String]) -> Result<Vec<CString>, Failure> {
    if program.contains('/') {
        return Ok(vec![c(program)?]);
    }
    if program.is_empty() {
        return Ok(Vec::new());
    }
    let path = environment.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    path.split(':').map(|directory| c(&if directory.is_empty() { format!("./{program}") } else { format!("{directory}/{program}") })).collect()
}

fn ancestors(directory: &str) -> Result<Vec<CString>, Failure> {
    let ends = directory.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([directory.len()]);
    ends.map(|end| c(&directory[..end])).collect()
}

fn rlimit(wanted: &Rlimit) -> Result<(u32, libc::rlimit), Failure> {
    const NAMES: [(&str, u32); 16] = [
        ("CPU", libc::RLIMIT_CPU), ("FSIZE", libc::RLIMIT_FSIZE), ("DATA", libc::RLIMIT_DATA), ("STACK", libc::RLIMIT_STACK),
        ("CORE", libc::RLIMIT_CORE), ("RSS", libc::RLIMIT_RSS), ("NPROC", libc::RLIMIT_NPROC), ("NOFILE", libc::RLIMIT_NOFILE),
        ("MEMLOCK", libc::RLIMIT_MEMLOCK), ("AS", libc::RLIMIT_AS), ("LOCKS", libc::RLIMIT_LOCKS), ("SIGPENDING", libc::RLIMIT_SIGPENDING),
        ("MSGQUEUE", libc::RLIMIT_MSGQUEUE), ("NICE", libc::RLIMIT_NICE), ("RTPRIO", libc::RLIMIT_RTPRIO), ("RTTIME", libc::RLIMIT_RTTIME),
    ];
    let known = NAMES.iter().find(|(name, _)| wanted.name.strip_prefix("RLIMIT_") == Some(name));
    let (_, number) = known.ok_or_else(|| Failure::new(Code::InvalidSpec, format!("{} is no resource limit", quote(&wanted.name))))?;
    Ok((*number, libc::rlimit { rlim_cur: wanted.soft, rlim_max: wanted.hard }))
}

fn open_stdio(spec: &GuestProcess, root: &Root) -> Result<Stdio, Failure> {
    if spec.terminal {
        return open_terminal(spec.terminal_size, root);
    }
    open_pipes(spec.stdin)
}

/// Three pipes. Without stdin the process reads end-of-file at once.
pub fn open_pipes(stdin: bool) -> Result<Stdio, Failure> {
    let (stdin_theirs, stdin_ours) = if stdin {
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
    Ok(Stdio { ours: (stdin_ours, [Some(stdout_ours), Some(stderr_ours)]), theirs: [stdin_theirs, stdout_theirs, stderr_theirs], console: None })
}

/// A terminal of the workload's own devpts.
fn open_terminal(size: Option<TerminalSize>, root: &Root) -> Result<Stdio, Failure> {
    let ours = root.open_at("/dev/pts/ptmx", libc::O_RDWR | libc::O_NOCTTY)?;
    let (unlock, mut number) = (0i32, 0u32);
    unsafe {
        libc::ioctl(ours.as_raw_fd(), libc::TIOCSPTLCK, &unlock);
        libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTN, &mut number);
    }
    let peer = unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    let peer = sys::owned(peer, "open a terminal")?;
    if let Some(size) = size {
        resize(&ours, size);
    }
    sys::set_nonblocking(&ours);
    let again = |fd: &OwnedFd| fd.try_clone().map_err(|error| Failure::from_io("share a terminal", &error));
    Ok(Stdio {
        theirs: [again(&peer)?, again(&peer)?, peer],
        ours: (Some(again(&ours)?), [Some(ours), None]),
        console: Some(c(&format!("/dev/pts/{number}"))?),
    })
}

pub fn resize(terminal: &OwnedFd, size: TerminalSize) {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
}

fn clone(child: &Child, main: Option<&Main>) -> Result<(i32, OwnedFd), Failure> {
    let cgroup = cgroup::open()?;
    let own = sys::open("/proc/self/ns/pid", libc::O_RDONLY)?;
    let namespaces = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let mut pidfd: RawFd = -1;
    // Only children are born into another pid namespace, so the agent itself points there for the length of one clone.
    if let Some(main) = main {
        if unsafe { libc::setns(main.pidfd.as_raw_fd(), libc::CLONE_NEWPID) } != 0 {
            return Err(gone());
        }
    }
    let pid = Birth { namespaces: if main.is_none() { namespaces } else { 0 }, group: Some(cgroup.as_raw_fd()), pidfd: Some(&mut pidfd) }.fork();
    if pid == 0 {
        child.run();
    }
    let error = sys::errno();
    if main.is_some() {
        unsafe { libc::setns(own.as_raw_fd(), libc::CLONE_NEWPID) };
    }
    match pid {
        // The kernel's word for a pid namespace whose first process has gone, and for no memory.
        -1 if error == libc::ENOMEM && main.is_some_and(has_ended) => Err(gone()),
        -1 => Err(Failure::from_io("start a process in the machine", &std::io::Error::from_raw_os_error(error))),
        pid => Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })),
    }
}

fn has_ended(main: &Main) -> bool {
    let mut ended = libc::pollfd { fd: main.pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    unsafe { libc::poll(&mut ended, 1, 0) > 0 }
}

fn gone() -> Failure {
    Failure::new(Code::WrongState, "the main process has ended")
}

/// The status pipe closes on exec; before that it brings where the child failed.
fn await_exec(status: &OwnedFd, program: &str) -> Result<(), Failure> {
    let mut report = [0u8; 5];
    let sys::Read::Bytes(length) = sys::read(status.as_raw_fd(), &mut report) else { return Ok(()) };
    if length < report.len() {
        return Err(Failure::new(Code::Internal, "a process ended before its program ran"));
    }
    let step = STEPS.into_iter().find(|step| *step as u8 == report[0]);
    Err(explain(step, i32::from_le_bytes([report[1], report[2], report[3], report[4]]), program))
}

fn explain(step: Option<Step>, error: i32, program: &str) -> Failure {
    let reason = std::io::Error::from_raw_os_error(error);
    let (code, what) = match step {
        Some(Step::Exec) if error == libc::ENOENT && !program.contains('/') => {
            (Code::CommandNotFound, format!("exec: {}: executable file not found in $PATH", quote(program)))
        }
        Some(Step::Exec) if error == libc::ENOENT => (Code::CommandNotFound, format!("exec: {}: no such file or directory", quote(program))),
        Some(Step::Exec) if error == libc::EACCES => (Code::CommandNotExecutable, format!("exec: {}: permission denied", quote(program))),
        Some(Step::Exec) if error == libc::E2BIG => (Code::InvalidSpec, format!("the command and its environment are too long: {reason}")),
        Some(Step::Exec) => (Code::CommandNotExecutable, format!("exec: {}: {reason}", quote(program))),
        Some(Step::Directory) => (Code::CommandNotExecutable, format!("the working directory cannot be entered: {reason}")),
        Some(Step::Enter) => (Code::Internal, format!("the machine could not make the workload's view: {reason}")),
        Some(Step::Parameters) => (Code::InvalidSpec, format!("a kernel parameter was refused: {reason}")),
        Some(Step::Rlimits) => (Code::InvalidSpec, format!("a resource limit was refused: {reason}")),
        Some(other) => (Code::Internal, format!("a process could not be made ready ({other:?}): {reason}")),
        None => (Code::Internal, "a process failed before its program ran".to_owned()),
    };
    Failure::new(code, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: Vec<CString>) -> Vec<String> {
        list.into_iter().map(|text| text.into_string().unwrap()).collect()
    }

    #[test]
    fn programs_are_looked_for_along_the_path_that_they_will_see() {
        let of = |program: &str, entries: &[&str]| texts(candidates(program, &entries.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>()).unwrap());
        assert_eq!(of("sh", &["PATH=/a::/b"]), ["/a/sh", "./sh", "/b/sh"]);
        assert_eq!(of("./sh", &["PATH=/a"]), ["./sh"]);
        assert_eq!(of("sh", &[]).len(), 6);
        assert!(of("", &[]).is_empty());
        assert!(candidates("a\0b", &[]).is_err());
    }

    #[test]
    fn every_ancestor_of_the_working_directory_is_made_in_order() {
        assert_eq!(texts(ancestors("/srv/app/x").unwrap()), ["/srv", "/srv/app", "/srv/app/x"]);
        assert_eq!(texts(ancestors("/").unwrap()), ["/"]);
    }

    #[test]
    fn failures_before_the_program_say_126_or_127() {
        assert_eq!(explain(Some(Step::Exec), libc::ENOENT, "x").code, Code::CommandNotFound);
        assert_eq!(explain(Some(Step::Exec), libc::EACCES, "/x").code, Code::CommandNotExecutable);
        assert_eq!(explain(Some(Step::Exec), libc::ENOEXEC, "/x").code, Code::CommandNotExecutable);
        assert_eq!(explain(Some(Step::Parameters), libc::EINVAL, "x").code, Code::InvalidSpec);
        assert_eq!(explain(Some(Step::Directory), libc::ENOENT, "x").code, Code::CommandNotExecutable);
        assert_eq!(explain(None, 0, "x").code, Code::Internal);
    }

    #[test]
    fn resource_limits_are_known_by_name() {
        let of = |name: &str| rlimit(&Rlimit { name: name.into(), soft: 1, hard: 2 });
        assert_eq!(of("RLIMIT_NOFILE").unwrap().0, libc::RLIMIT_NOFILE);
        assert!(of("NOFILE").is_err() && of("RLIMIT_X").is_err());
    }
}
