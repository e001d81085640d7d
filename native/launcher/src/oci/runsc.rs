//! gVisor. Its sandbox is two processes on the host: a kernel in user space, which is the main process here and ends with the
//! workload's own status, and a gofer that opens its files. Both are this subreaper's once `runsc create` has ended. Everything else is
//! asked by running runsc again as a client, outside the workload's control groups but in its network namespace, where the kernel listens.
//!
//! runsc hands every descriptor that it inherits on to kernel and gofer, so it gets none but stdio (a directory would lead out of
//! their empty root); paths are relative to the state directory instead, in which it is started.

use super::raise::{CONTAINER, doing, exit_text, open_directory, read_pid, terminated, wait_for};
use super::spawn::{Spawn, memory_file};
use super::stdio::Stdio;
use super::verbs::Answer;
use super::{Child, Oci, console, report};
use crate::kin;
use bulkhead_cgroup::Group;
use bulkhead_wire::boundary::{Reply, Sink, Ticket};
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::plan::{LimitsSpec, NetworkSpec};
use bulkhead_wire::process::ProcessTable;
use bulkhead_wire::{Code, Failure};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// A process inside takes so many tasks of the host's (stubs that carry it, threads of the kernel), by platform: measured with up to 40
/// processes were 2.1 and 8.3. The kernel and the client that makes it take some themselves. A limit of N processes lets N live.
const TASKS_PER_PROCESS: [(&str, u64); 1] = [("--platform=systrap", 3)];
const MOST_TASKS_PER_PROCESS: u64 = 10;
const TASKS_OF_ITS_OWN: u64 = 50;
/// What the kernel says when the host has refused it a task.
const STARVED: [&str; 3] = ["resource temporarily unavailable", "failed to create new OS thread", "createStub: failed to get clone"];

/// How long the kernel may take to end its workload by SIGKILL before it is killed itself.
const KILL_PATIENCE_NS: u64 = 3_000_000_000;

/// Files of the state directory.
const LOG: &str = "log";
const PANIC_LOG: &str = "panic";

/// The limits of the host's control groups around a sandbox: memory and processor time are counted with the kernel's own.
pub fn outer_limits(limits: &LimitsSpec, arguments: &[String]) -> LimitsSpec {
    let known = TASKS_PER_PROCESS.iter().find(|(platform, _)| arguments.iter().any(|argument| argument == platform));
    let each = known.map_or(MOST_TASKS_PER_PROCESS, |(_, tasks)| *tasks);
    let pids = limits.pids.map(|pids| if pids == 0 { 0 } else { pids.saturating_mul(each).saturating_add(TASKS_OF_ITS_OWN) });
    LimitsSpec { pids, ..limits.clone() }
}

pub enum About {
    Start,
    Signal,
    Top,
}

/// A runsc that was started to ask something, and has not ended.
pub struct Client {
    pid: i32,
    about: About,
    /// None where it has been answered already.
    ticket: Option<Ticket>,
    output: OwnedFd,
}

impl Oci {
    /// Runs `runsc create`: kernel and gofer stand, the workload's program is not loaded.
    pub fn create_sandbox(&mut self, state: &Path) -> Result<i32, Failure> {
        let bundle = self.order.engine.bundle.clone();
        let place = memory_file(c"config.json", b"").map_err(doing("hold the runtime's configuration"))?;
        let fault = memory_file(c"log", b"").map_err(doing("make a log for the runtime"))?;
        let directory = open_directory(state).map_err(doing("open the workload's state directory"))?;
        let listener = if self.order.main.terminal { Some(console::listen(&directory, "c").map_err(doing("listen for the terminal"))?) } else { None };
        let (stdio, inner) = Stdio::pipes(0, self.order.main.stdin && !self.order.main.terminal).map_err(doing("make pipes"))?;
        let attach = self.group.as_ref().map(Group::attach).transpose().map_err(doing("open the control groups"))?;
        let mut arguments = self.client_arguments();
        arguments.extend([format!("--log={LOG}"), "--log-format=json".into(), format!("--panic-log={PANIC_LOG}"), "create".into()]);
        // It looks for the bundle again at the start.
        arguments.extend([format!("--bundle={}", state.display()), "--pid-file=pid".into()]);
        if listener.is_some() {
            arguments.push("--console-socket=c".into());
        }
        arguments.push(CONTAINER.into());
        let network = format!("/proc/{}/ns/net", std::process::id());
        let network = (!matches!(self.order.network, NetworkSpec::Host)).then_some(network.as_str());
        let prepare = || self.write_config(&bundle, (None, network), &place, &fault) && enter(&directory);
        let spawn = Spawn { program: self.order.program.as_raw_fd(), arguments: terminated(arguments)?, stdio: inner.numbers(), kept: &[], attach: attach.as_ref(), score: 0, prepare: &prepare };
        let runtime = spawn.start().map_err(doing("start the runtime"))?;
        drop(inner);
        let status = wait_for(runtime);
        if status != 0 {
            if let Some(failure) = report::read_failure(&fault) {
                return Err(failure);
            }
            let said = kin::read_head(&state.join(LOG)).and_then(|bytes| report::read_words(&bytes));
            return Err(report::failure(self.runtime_name(), "create the sandbox", said.or_else(|| exit_text(status))));
        }
        let pid = read_pid(&state.join("pid"))?;
        let stdio = match listener {
            Some(listener) => self.main_terminal(&listener)?,
            None => stdio,
        };
        self.children.push(Child { number: 0, pid, exited: false, stdio, streams_until: None });
        Ok(pid)
    }

    /// What comes before the verb. The network namespace is ours already, and so are the control groups.
    pub fn client_arguments(&self) -> Vec<String> {
        let network = match self.order.network {
            NetworkSpec::None => "none",
            NetworkSpec::Host => "host",
            NetworkSpec::Bridge { .. } => "sandbox",
        };
        let mut arguments = vec![self.runtime_name().to_string()];
        arguments.extend(self.order.engine.runtime.arguments.iter().cloned());
        arguments.extend([format!("--root={}", self.state_directory().join("state").display()), "--ignore-cgroups".into(), format!("--network={network}")]);
        arguments
    }

    /// Runs runsc with these words; its end brings the answer.
    fn ask_runsc(&mut self, ticket: Ticket, about: About, words: &[&str]) -> Result<(), Failure> {
        let mut arguments = self.client_arguments();
        arguments.extend(words.iter().map(ToString::to_string));
        let output = memory_file(c"output", b"").map_err(doing("hold the runtime's words"))?;
        let null = File::open("/dev/null").map_err(doing("open /dev/null"))?;
        let stdio = [null.as_raw_fd(), output.as_raw_fd(), output.as_raw_fd()];
        let networked = matches!((&about, &self.order.network), (About::Start, NetworkSpec::Bridge { .. }));
        let prepare = || !networked || show_own_network();
        let spawn = Spawn { program: self.order.program.as_raw_fd(), arguments: terminated(arguments)?, stdio, kept: &[], attach: None, score: 0, prepare: &prepare };
        let pid = spawn.start().map_err(doing("start the runtime"))?;
        self.clients.push(Client { pid, about, ticket: Some(ticket), output });
        Ok(())
    }

    pub fn start_sandbox(&mut self, ticket: Ticket) -> Result<(), Failure> {
        self.ask_runsc(ticket, About::Start, &["start", CONTAINER])
    }

    pub fn top_inside(&mut self, ticket: Ticket) -> Result<(), Failure> {
        if self.is_frozen() {
            return Err(Failure::new(Code::WrongState, "the workload is paused, and its kernel with it").remedy("resume it first"));
        }
        self.ask_runsc(ticket, About::Top, &["ps", CONTAINER])
    }

    /// Through the kernel inside, so that files are written back in order even by SIGKILL.
    pub fn signal_inside(&mut self, ticket: Ticket, process: u32, signal: i32) -> Option<Answer> {
        let number = signal.to_string();
        let frozen = self.is_frozen();
        if process == 0 && signal == libc::SIGKILL {
            // A frozen kernel hears nothing.
            self.kill_at = Some(monotonic_ns() + if frozen { 0 } else { KILL_PATIENCE_NS });
        }
        let inner = self.inner_pid(process);
        let alive = self.children.iter().any(|child| child.number == process && !child.exited);
        let asked = match inner.filter(|_| alive) {
            _ if process == 0 && alive && !self.started => return Some(self.signal(process, signal)),
            _ if process == 0 && alive => self.ask_runsc(ticket, About::Signal, &["kill", CONTAINER, &number]),
            Some(pid) => self.ask_runsc(ticket, About::Signal, &["kill", "--pid", &pid.to_string(), CONTAINER, &number]),
            None => return Some(Ok(Reply::Delivered(false))),
        };
        if let Err(failure) = asked {
            return Some(Err(failure));
        }
        // It hears it when it thaws: nobody waits for that.
        if frozen && let Some(client) = self.clients.last_mut() {
            client.ticket = None;
        }
        frozen.then_some(Ok(Reply::Delivered(true)))
    }

    fn is_frozen(&self) -> bool {
        self.group.as_ref().is_some_and(Group::frozen)
    }

    /// False where the pid was no client.
    pub fn client_ended(&mut self, pid: i32, status: i32, sink: &mut dyn Sink) -> bool {
        if self.inner_exec_ended(pid, status, sink) {
            return true;
        }
        let Some(at) = self.clients.iter().position(|client| client.pid == pid) else { return false };
        let client = self.clients.swap_remove(at);
        let said = read_all(&client.output);
        let answer = match client.about {
            About::Start => self.started_or_not(status, &said),
            // Whatever else it finds wrong comes of the kernel ending meanwhile, most likely by this very signal.
            About::Signal => Ok(Reply::Delivered(!said.contains("no such process"))),
            About::Top if status == 0 => Ok(Reply::Top(table(&said))),
            About::Top => Err(report::failure(self.runtime_name(), "list the processes", report::read_words(said.as_bytes()))),
        };
        if let Some(ticket) = client.ticket {
            sink.answered(ticket, answer);
        }
        true
    }

    fn started_or_not(&mut self, status: i32, said: &str) -> Answer {
        if status == 0 {
            self.started = true;
            self.watch_main();
            return Ok(Reply::Done);
        }
        let failure = report::failure(self.runtime_name(), "run the command", report::read_words(said.as_bytes()).or_else(|| exit_text(status)));
        self.start_failure = Some(if failure.code == Code::CommandNotFound { 127 } else { 126 });
        // The kernel stands there with nothing to run.
        self.killing = true;
        self.kill_round();
        Err(failure)
    }

    /// The main process has ended by itself: a start that is still under way has happened, for one that fails ends nothing.
    pub fn settle_start(&mut self, sink: &mut dyn Sink) {
        let start = self.clients.iter_mut().find(|client| matches!(client.about, About::Start));
        if let Some(ticket) = start.filter(|_| !self.killing).and_then(|client| client.ticket.take()) {
            self.started = true;
            sink.answered(ticket, Ok(Reply::Done));
        }
    }

    /// The main process has ended, and whoever still waits is told.
    pub fn fail_clients(&mut self, sink: &mut dyn Sink) {
        for client in &mut self.clients {
            let Some(ticket) = client.ticket.take() else { continue };
            let answer = match client.about {
                About::Signal => Ok(Reply::Delivered(true)),
                _ => Err(Failure::new(Code::WrongState, "the workload has ended")),
            };
            sink.answered(ticket, answer);
        }
        self.fail_inner_execs(sink);
    }

    /// Nothing of ours stays behind, whatever it waits for.
    pub fn end_clients(&mut self) {
        let pids = self.clients.iter().map(|client| client.pid).chain(self.inner_clients());
        for pid in pids {
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        self.clients.clear();
        self.inner_execs.clear();
    }

    /// Why the end of the sandbox is the loss of the wall and not the workload's own; None where it is the workload's.
    pub fn sandbox_lost(&mut self, number: u32, status: i32, sink: &mut dyn Sink) -> Option<String> {
        if number != 0 || self.order.runtime != super::Runtime::Runsc || self.killing {
            return None;
        }
        self.look_at_memory(sink);
        if libc::WIFSIGNALED(status) {
            return (self.memory_kills == 0).then(|| format!("gVisor's kernel was ended by {}", bulkhead_wire::signal::name(libc::WTERMSIG(status))));
        }
        let text = kin::read_head(&self.state_directory().join(PANIC_LOG))?;
        let text = String::from_utf8_lossy(&text[..text.len().min(4096)]).into_owned();
        let first = text.lines().find(|line| line.starts_with("panic:") || line.starts_with("fatal error:"))?;
        let starved = STARVED.iter().any(|words| text.contains(words));
        Some(match self.order.limits.pids.filter(|_| starved) {
            Some(pids) => format!("the workload went beyond its limit of {pids} processes, and gVisor's kernel ended ({})", shortened(first)),
            None => format!("gVisor's kernel gave up: {}", shortened(first)),
        })
    }

    /// What stands without the kernel goes, and everybody is told.
    pub fn lose(&mut self, what: String, sink: &mut dyn Sink) {
        if let Some(main) = self.children.first_mut() {
            main.exited = true;
        }
        self.watch_main();
        self.killing = true;
        self.kill_round();
        self.fail_clients(sink);
        sink.lost(what);
    }
}

/// In the child: relative paths are of the state directory from here on.
fn enter(directory: &OwnedFd) -> bool {
    let path = std::ffi::CString::new(format!("/proc/self/fd/{}", directory.as_raw_fd())).unwrap_or_default();
    unsafe { libc::chdir(path.as_ptr()) == 0 }
}

/// In the child: runsc takes a network namespace in which this file is seen for the host's own, and refuses it; kernels since 6.13 show
/// the file in every one. This process stands in the workload's.
fn show_own_network() -> bool {
    const SETTINGS: &str = "/proc/sys/net/core";
    if !Path::new(SETTINGS).join("rmem_default").exists() {
        return true;
    }
    let alone = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    alone && crate::mounts::mount(Some("tmpfs"), SETTINGS, Some("tmpfs"), libc::MS_RDONLY, Some("size=4k")).is_ok()
}

pub fn read_all(file: &OwnedFd) -> String {
    let mut text = String::new();
    if let Ok(file) = file.try_clone() {
        let mut file = File::from(file);
        let _ = std::io::Seek::rewind(&mut file);
        let mut bytes = Vec::new();
        let _ = file.take(1024 * 1024).read_to_end(&mut bytes);
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

fn shortened(line: &str) -> &str {
    line.char_indices().nth(200).map_or(line, |(at, _)| &line[..at])
}

/// `runsc ps` prints columns; the last may hold spaces.
fn table(text: &str) -> ProcessTable {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let titles: Vec<String> = lines.next().unwrap_or_default().split_whitespace().map(String::from).collect();
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let mut row: Vec<String> = words.by_ref().take(titles.len().saturating_sub(1)).map(String::from).collect();
        row.push(words.collect::<Vec<_>>().join(" "));
        row
    };
    let rows = lines.map(row).filter(|row| row.len() == titles.len()).collect();
    ProcessTable { titles, rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_on_processes_leaves_the_kernel_its_own_tasks_by_platform() {
        let of = |pids, platform: &str| outer_limits(&LimitsSpec { pids, ..LimitsSpec::default() }, &[platform.to_string()]).pids;
        assert_eq!((of(Some(12), "--platform=systrap"), of(Some(12), "--platform=ptrace")), (Some(86), Some(170)));
        assert_eq!((of(Some(0), "--platform=ptrace"), of(None, "--platform=ptrace"), of(Some(u64::MAX), "x")), (Some(0), None, Some(u64::MAX)));
    }

    #[test]
    fn the_kernels_own_table_is_read_with_its_last_column_whole() {
        let table = table("UID       PID       PPID      C         TTY       STIME     TIME      CMD\n0         1         0         10        ?         14:18     0s        sleep 10\n");
        assert_eq!(table.titles.last().map(String::as_str), Some("CMD"));
        assert_eq!(table.rows, [["0", "1", "0", "10", "?", "14:18", "0s", "sleep 10"]]);
        assert!(super::table("").rows.is_empty());
        assert!(super::table("UID PID CMD\n0\n").rows.is_empty());
    }
}
