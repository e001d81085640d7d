//! A further process inside: the runtime's `exec`, detached, so that the process becomes this subreaper's own child.

use super::configuration::{Owner, compose_exec, lift_own_limits, limit_document};
use super::raise::{CONTAINER, doing, exit_text, open_directory, read_pid, terminated};
use super::spawn::{FIRST_KEPT, Spawn, memory_file, pipe};
use super::stdio::Stdio;
use super::{Child, Oci, Runtime, Wake, console, report, token};
use bulkhead_cgroup::{Attach, Group, Refused};
use bulkhead_wire::boundary::{Reply, Sink, Ticket};
use bulkhead_wire::plan::GuestProcess;
use bulkhead_wire::poller::Interest;
use bulkhead_wire::process::TerminalSize;
use bulkhead_wire::{Code, Failure};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

/// An exec between its question and the proof that its program runs.
pub struct ExecStart {
    ticket: Ticket,
    number: u32,
    runtime: i32,
    runtime_status: Option<i32>,
    stdio: Stdio,
    stdin: bool,
    /// Closes when the program runs, or when it cannot.
    started: OwnedFd,
    started_closed: bool,
    log: OwnedFd,
    pid_file: PathBuf,
    listener: Option<UnixListener>,
    size: Option<TerminalSize>,
    /// What the workload's limits had refused before.
    refused: Refused,
}

/// What the runtime is asked for.
pub struct Beginning<'a> {
    pub verb: Vec<String>,
    /// The runtime's own name for where the process shall be.
    pub name: &'a str,
    /// Kept by the child at `FIRST_KEPT + 1`; `more` from `FIRST_KEPT + 4` on.
    pub document: &'a OwnedFd,
    pub more: &'a [OwnedFd],
    pub owner: Owner,
    pub attach: Option<&'a Attach>,
    /// Done in the child; what goes wrong may be left in the log.
    pub prepare: &'a dyn Fn(&OwnedFd) -> bool,
}

impl Oci {
    pub fn begin_exec(&mut self, ticket: Ticket, number: u32, spec: &GuestProcess) -> Result<(), Failure> {
        let (document, owner) = compose_exec(&self.order.engine.exec_process, spec)?;
        let process = memory_file(c"process.json", &document).map_err(doing("hold the process document"))?;
        let attach = self.group.as_ref().map(Group::attach).transpose().map_err(doing("open the control groups"))?;
        let attach = attach.filter(|_| self.order.runtime == Runtime::Crun);
        let verb = ["exec", "--detach", "--process"].map(String::from).into_iter().chain([format!("/proc/self/fd/{}", FIRST_KEPT + 1)]).collect();
        let prepare = |_: &OwnedFd| {
            if self.ids.is_some() {
                lift_own_limits(&spec.rlimits.iter().map(limit_document).collect::<Vec<_>>());
            }
            self.step_outside()
        };
        let order = Beginning { verb, name: CONTAINER, document: &process, more: &[], owner, attach: attach.as_ref(), prepare: &prepare };
        let begun = self.begin(ticket, number, spec, &order)?;
        self.execs.push(begun);
        Ok(())
    }

    /// Starts the runtime with stdio or a terminal of its own for one more process.
    pub fn begin(&self, ticket: Ticket, number: u32, spec: &GuestProcess, order: &Beginning<'_>) -> Result<ExecStart, Failure> {
        let state = self.state_directory();
        let log = memory_file(c"log", b"").map_err(doing("make a log for the runtime"))?;
        let directory = open_directory(&state).map_err(doing("open the workload's state directory"))?;
        let (started, started_inner) = pipe().map_err(doing("make a pipe"))?;
        let socket = format!("c{number}");
        let listener = if spec.terminal { Some(console::listen(&directory, &socket).map_err(doing("listen for the terminal"))?) } else { None };
        let place = listener.as_ref().map(|_| console::place(&directory, &socket)).transpose().map_err(doing("find the terminal's socket"))?;
        let (stdio, inner) = Stdio::pipes(number, spec.stdin && !spec.terminal).map_err(doing("make pipes"))?;
        let owner = self.outside(order.owner.uid, order.owner.gid)?;
        inner.give_to(owner.0, owner.1);

        let pid_file = state.join(format!("pid{number}"));
        let mut arguments = self.global_arguments();
        arguments.extend(order.verb.iter().cloned());
        arguments.extend(["--pid-file".into(), pid_file.display().to_string()]);
        if listener.is_some() {
            arguments.extend(["--console-socket".into(), format!("/proc/self/fd/{FIRST_KEPT}")]);
        }
        arguments.push(order.name.into());
        let mut kept = vec![place.as_ref().unwrap_or(&log).as_raw_fd(), order.document.as_raw_fd(), log.as_raw_fd(), started_inner.as_raw_fd()];
        kept.extend(order.more.iter().map(AsRawFd::as_raw_fd));
        let prepare = || (order.prepare)(&log);
        let spawn = Spawn { program: self.order.program.as_raw_fd(), arguments: terminated(arguments)?, stdio: inner.numbers(), kept: &kept, attach: order.attach, score: self.own_score(spec.oom_score_adjust), prepare: &prepare };
        let refused = self.refused();
        let runtime = spawn.start().map_err(|error| self.limit_reached(refused).unwrap_or_else(|| doing("start the runtime")(error)))?;
        self.poller.add(started.as_raw_fd(), token(Wake::Started, number), Interest::READ).map_err(doing("watch the runtime"))?;
        Ok(ExecStart {
            ticket,
            number,
            runtime,
            runtime_status: None,
            stdio,
            stdin: spec.stdin,
            started,
            started_closed: false,
            log,
            pid_file,
            listener,
            size: spec.terminal_size,
            refused,
        })
    }

    /// The runtime of an exec has ended. False where the pid was no such runtime.
    pub fn exec_runtime_ended(&mut self, pid: i32, status: i32, sink: &mut dyn Sink) -> bool {
        let Some(exec) = self.execs.iter_mut().find(|exec| exec.runtime == pid) else { return false };
        exec.runtime_status = Some(status);
        let number = exec.number;
        self.try_exec(number, sink);
        true
    }

    pub fn exec_started_closed(&mut self, number: u32, sink: &mut dyn Sink) {
        let Some(exec) = self.execs.iter_mut().find(|exec| exec.number == number) else { return };
        exec.started_closed = true;
        self.poller.remove(exec.started.as_raw_fd());
        self.try_exec(number, sink);
    }

    /// Once both the runtime and the pipe have spoken, the exec has begun or failed.
    fn try_exec(&mut self, number: u32, sink: &mut dyn Sink) {
        let Some(at) = self.execs.iter().position(|exec| exec.number == number) else { return };
        let exec = &self.execs[at];
        let Some(status) = exec.runtime_status else { return };
        if status == 0 && !exec.started_closed {
            return;
        }
        let exec = self.execs.swap_remove(at);
        self.poller.remove(exec.started.as_raw_fd());
        let ticket = exec.ticket;
        match self.adopt_exec(exec, status) {
            Ok((pid, ended)) => {
                sink.answered(ticket, Ok(Reply::Begun { host_pid: Some(pid) }));
                self.watch_exec(number);
                if let Some(status) = ended {
                    self.child_ended(number, status, sink);
                }
            }
            Err(failure) => {
                self.end_beside(number);
                sink.answered(ticket, Err(failure));
            }
        }
        if self.execs.is_empty() {
            self.strangers.clear();
        }
    }

    /// Makes a child of an exec whose runtime has ended; with its status where it has ended already.
    fn adopt_exec(&mut self, exec: ExecStart, status: i32) -> Result<(i32, Option<i32>), Failure> {
        let message = report::read_log(&exec.log);
        let pid = read_pid(&exec.pid_file);
        let _ = std::fs::remove_file(&exec.pid_file);
        if let Some(listener) = &exec.listener
            && let Ok(address) = listener.local_addr()
            && let Some(path) = address.as_pathname()
        {
            let _ = std::fs::remove_file(path);
        }
        if status != 0 || message.is_some() {
            if let Some(failure) = report::read_failure(&exec.log) {
                return Err(failure);
            }
            // A runtime that finds no room in the workload's groups dies there of whatever comes first, and says little of use.
            return Err(self.limit_reached(exec.refused).unwrap_or_else(|| match self.children.first().is_none_or(|main| main.exited) {
                true => over(),
                false => report::failure(self.runtime_name(), "run the command", message.or_else(|| exit_text(status))),
            }));
        }
        let pid = pid?;
        let stdio = match &exec.listener {
            Some(listener) => {
                let master = console::receive(listener).map_err(doing("take the command's terminal"))?;
                if let Some(size) = exec.size {
                    let _ = console::resize(&master, size);
                }
                Stdio::of_terminal(exec.number, master, exec.stdin).map_err(doing("use the command's terminal"))?
            }
            None => exec.stdio,
        };
        let ended = self.strangers.iter().find(|(known, _)| *known == pid).map(|(_, status)| *status);
        self.children.push(Child { number: exec.number, pid, exited: false, stdio, streams_until: None });
        Ok((pid, ended))
    }

    pub fn refused(&self) -> Refused {
        self.group.as_ref().map(Group::refused).unwrap_or_default()
    }

    /// The failure of a command that could not be begun, where since `before` one of the workload's limits has refused something.
    pub fn limit_reached(&self, before: Refused) -> Option<Failure> {
        let group = self.group.as_ref()?;
        before.explain(group.refused(), &group.stats())
    }

    pub fn watch_exec(&mut self, number: u32) {
        let poller = self.poller.clone();
        if let Some(child) = self.child(number) {
            let _ = child.stdio.watch(&poller);
        }
    }

    /// The workload is gone: whoever still waits for an exec is told.
    pub fn fail_execs(&mut self, sink: &mut dyn Sink) {
        for exec in std::mem::take(&mut self.execs) {
            self.poller.remove(exec.started.as_raw_fd());
            let failure = self.limit_reached(exec.refused).unwrap_or_else(over);
            sink.answered(exec.ticket, Err(failure));
        }
    }
}

pub fn over() -> Failure {
    Failure::new(Code::WrongState, "the workload ended before the command could be run")
}
