//! A further process inside a gVisor sandbox: a `runsc exec` that stays, holds the process's stdio and ends with its status.

use super::configuration::compose_exec;
use super::raise::{CONTAINER, doing, exit_text, terminated};
use super::runsc::read_all;
use super::spawn::{FIRST_KEPT, Spawn, memory_file, pipe, set_nonblocking};
use super::stdio::{Inner, Stdio};
use super::{Child, Oci, Wake, console, report, token};
use bulkhead_wire::boundary::{Reply, Sink, Ticket};
use bulkhead_wire::plan::GuestProcess;
use bulkhead_wire::poller::Interest;
use bulkhead_wire::{Code, Failure};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};

pub struct InnerExec {
    number: u32,
    client: i32,
    log: OwnedFd,
    /// Its pid inside, once it runs.
    pid: Option<i32>,
    begun: Option<Begun>,
}

/// What an exec needs until it runs.
struct Begun {
    ticket: Ticket,
    stdio: Stdio,
    /// Its pid inside comes by this pipe.
    told: OwnedFd,
}

/// runsc ends with this where it failed itself.
const RUNSC_FAILED: i32 = 128;

impl Oci {
    pub fn begin_inner_exec(&mut self, ticket: Ticket, number: u32, spec: &GuestProcess) -> Result<(), Failure> {
        let (document, _) = compose_exec(&self.order.engine.exec_process, spec)?;
        let process = memory_file(c"process.json", &document).map_err(doing("hold the process document"))?;
        let log = memory_file(c"log", b"").map_err(doing("make a log for the runtime"))?;
        let (told, told_inner) = pipe().map_err(doing("make a pipe"))?;
        set_nonblocking(&told);
        let (stdio, inner) = if spec.terminal { of_terminal(number, spec)? } else { Stdio::pipes(number, spec.stdin).map_err(doing("make pipes"))? };
        let mut arguments = self.client_arguments();
        let kept_place = |at: i32| format!("/proc/self/fd/{}", FIRST_KEPT + at);
        arguments.extend([format!("--log={}", kept_place(1)), "--log-format=json".into(), "exec".into()]);
        arguments.extend([format!("--process={}", kept_place(0)), format!("--internal-pid-file={}", kept_place(2)), CONTAINER.into()]);
        let kept = [process.as_raw_fd(), log.as_raw_fd(), told_inner.as_raw_fd()];
        let terminal = spec.terminal.then(|| inner.numbers()[0]);
        let prepare = || terminal.is_none_or(lead_session);
        let spawn = Spawn { program: self.order.program.as_raw_fd(), arguments: terminated(arguments)?, stdio: inner.numbers(), kept: &kept, attach: None, score: 0, prepare: &prepare };
        let client = spawn.start().map_err(doing("start the runtime"))?;
        self.poller.add(told.as_raw_fd(), token(Wake::Started, number), Interest::READ).map_err(doing("watch the runtime"))?;
        self.inner_execs.push(InnerExec { number, client, log, pid: None, begun: Some(Begun { ticket, stdio, told }) });
        Ok(())
    }

    pub fn inner_exec_told(&mut self, number: u32, sink: &mut dyn Sink) {
        let Some(exec) = self.inner_execs.iter_mut().find(|exec| exec.number == number) else { return };
        let Some(begun) = &exec.begun else { return };
        let mut bytes = [0u8; 32];
        let count = begun.told.try_clone().and_then(|told| std::fs::File::from(told).read(&mut bytes));
        let pid = count.as_ref().ok().and_then(|count| std::str::from_utf8(&bytes[..*count]).ok()?.trim().parse::<i32>().ok());
        if pid.is_none() && count.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
            return;
        }
        self.poller.remove(begun.told.as_raw_fd());
        // Closed without a word: its end tells why.
        if pid.is_none() {
            return;
        }
        exec.pid = pid;
        let client = exec.client;
        if let Some(begun) = exec.begun.take() {
            sink.answered(begun.ticket, Ok(Reply::Begun { host_pid: None }));
            let _ = begun.stdio.watch(&self.poller);
            self.children.push(Child { number, pid: client, exited: false, stdio: begun.stdio, streams_until: None });
        }
    }

    /// The client of an exec has ended. False where the pid was none.
    pub fn inner_exec_ended(&mut self, client: i32, status: i32, sink: &mut dyn Sink) -> bool {
        let Some(number) = self.inner_execs.iter().find(|exec| exec.client == client).map(|exec| exec.number) else { return false };
        // A short one's word may lie unread in the pipe.
        self.inner_exec_told(number, sink);
        let Some(at) = self.inner_execs.iter().position(|exec| exec.client == client) else { return true };
        let exec = self.inner_execs.swap_remove(at);
        let said = report::read_words(read_all(&exec.log).as_bytes());
        if let Some(begun) = exec.begun {
            self.poller.remove(begun.told.as_raw_fd());
            let over = self.children.first().is_none_or(|main| main.exited);
            let failure = match over {
                true => Failure::new(Code::WrongState, "the workload ended before the command could be run"),
                false => report::failure(self.runtime_name(), "run the command", said.or_else(|| exit_text(status))),
            };
            sink.answered(begun.ticket, Err(failure));
            return true;
        }
        // Its failure was told when the workload ended.
        if exec.pid.is_none() {
            return true;
        }
        // It complains only when the kernel has gone from under it: the process was killed with everything else.
        let cut = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == RUNSC_FAILED && said.is_some();
        self.child_ended(number, if cut { libc::SIGKILL } else { status }, sink);
        true
    }

    pub fn inner_pid(&self, number: u32) -> Option<i32> {
        self.inner_execs.iter().find(|exec| exec.number == number).and_then(|exec| exec.pid)
    }

    pub fn inner_clients(&self) -> impl Iterator<Item = i32> {
        self.inner_execs.iter().map(|exec| exec.client)
    }

    /// The workload is gone: whoever still waits for an exec is told. Those that ran end by themselves.
    pub fn fail_inner_execs(&mut self, sink: &mut dyn Sink) {
        for exec in &mut self.inner_execs {
            if let Some(begun) = exec.begun.take() {
                self.poller.remove(begun.told.as_raw_fd());
                sink.answered(begun.ticket, Err(Failure::new(Code::WrongState, "the workload ended before the command could be run")));
            }
        }
    }
}

fn of_terminal(number: u32, spec: &GuestProcess) -> Result<(Stdio, Inner), Failure> {
    let (master, slave) = console::open_pair().map_err(doing("open a terminal"))?;
    if let Some(size) = spec.terminal_size {
        console::resize(&master, size).map_err(doing("size the command's terminal"))?;
    }
    let copy = || slave.try_clone().map_err(doing("share the terminal"));
    let inner = Inner { ends: [copy()?, copy()?, copy()?] };
    Ok((Stdio::of_terminal(number, master, spec.stdin).map_err(doing("use the command's terminal"))?, inner))
}

/// In the child: changes of the terminal's size, and its keys, reach the client, which passes them on inside.
fn lead_session(terminal: i32) -> bool {
    unsafe { libc::setsid() > 0 && libc::ioctl(terminal, libc::TIOCSCTTY, 0) == 0 }
}
