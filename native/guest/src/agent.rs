//! The agent's one loop: requests from the host, output of processes, ends of children. `src/contract/agent-protocol.ts`.

use crate::configure::{self, Machine};
use crate::drive::Drives;
use crate::launch::{self, Main};
use crate::port::Port;
use crate::running::{Running, kind};
use crate::sys::{self, Read};
use crate::{cgroup, files, table};
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::failure::quote;
use bulkhead_wire::frame::Kind;
use bulkhead_wire::greeting::NEWEST;
use bulkhead_wire::message::Request;
use bulkhead_wire::plan::{GuestProcess, LimitsSpec};
use bulkhead_wire::poller::{Interest, Poller, Ready};
use bulkhead_wire::process::TerminalSize;
use bulkhead_wire::{Code, Failure, signal};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};

const PORT: u64 = 0;
const CHILDREN: u64 = 1;
/// Tokens of a process's streams: its number, then which (0 stdin, 1 stdout, 2 stderr).
const STREAMS: u64 = 1 << 40;
const MOST_PROCESSES: usize = 4096;
/// A process that left a background child holding its stdout is over when that child has been silent for so long.
const DRAIN_NS: u64 = 100_000_000;
const PORT_RETRY_MS: u64 = 5;

struct Agent {
    poller: Poller,
    port: Port,
    /// Nobody holds the port's other end: it is looked at from time to time.
    port_away: bool,
    children: OwnedFd,
    drives: Drives,
    machine: Option<Machine>,
    main: Option<Main>,
    processes: BTreeMap<u32, Running>,
    buffer: Box<[u8]>,
}

#[derive(Deserialize)]
struct Start {
    process: u32,
    spec: GuestProcess,
}
#[derive(Deserialize)]
struct Signal {
    process: u32,
    signal: String,
}
#[derive(Deserialize)]
struct Resize {
    process: u32,
    #[serde(flatten)]
    size: TerminalSize,
}
#[derive(Deserialize)]
struct Update {
    limits: LimitsSpec,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Clock {
    clock_ns: String,
}

/// Serves until `powerOff` (Ok) or until the wire cannot be trusted any more.
pub fn serve(mut port: Port) -> Result<(), Failure> {
    let drives = Drives::find();
    let poller = Poller::new().map_err(|error| Failure::from_io("make a poller", &error))?;
    let children = watch_children()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    port.say(&json!({ "event": "hello", "version": NEWEST, "kernel": kernel.trim_end() }));
    port.flush()?;
    let add = |fd: i32, token: u64| poller.add(fd, token, Interest::READ).map_err(|error| Failure::from_io("watch a descriptor", &error));
    add(port.fd(), PORT)?;
    add(children.as_raw_fd(), CHILDREN)?;
    let buffer = vec![0; 64 * 1024].into_boxed_slice();
    let mut agent = Agent { poller, port, port_away: false, children, drives, machine: None, main: None, processes: BTreeMap::new(), buffer };
    loop {
        if agent.turn()? {
            return Ok(());
        }
    }
}

/// Ends of children come as a readable descriptor; children get the signal mask back before their program runs.
fn watch_children() -> Result<OwnedFd, Failure> {
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        sys::owned(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK), "watch children")
    }
}

fn token(process: u32, which: u64) -> u64 {
    STREAMS | u64::from(process) << 2 | which
}

impl Agent {
    /// One round. True: power off.
    fn turn(&mut self) -> Result<bool, Failure> {
        self.port.flush()?;
        self.watch();
        let mut ready = [Ready::EMPTY; 32];
        let count = self.poller.wait(&mut ready, self.timeout()).map_err(|error| Failure::from_io("wait", &error))?;
        for event in &ready[..count] {
            match event.token {
                PORT => {}
                CHILDREN => self.reap(),
                stream => self.move_stream(((stream & !STREAMS) >> 2) as u32, stream & 3)?,
            }
        }
        self.give_up_silent_streams();
        // What cannot be answered for want of room stays in the kernel's queue.
        if self.port.has_room() {
            let mut buffer = std::mem::take(&mut self.buffer);
            self.port_away = !self.port.fill(&mut buffer);
            self.buffer = buffer;
            while let Some((kind, process, payload)) = self.port.next()? {
                if self.frame(kind, process, &payload)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn timeout(&self) -> Option<u64> {
        if self.port_away {
            return Some(PORT_RETRY_MS);
        }
        let first = self.processes.values().filter_map(|process| process.drained_by_ns).min()?;
        Some(first.saturating_sub(monotonic_ns()).div_ceil(1_000_000))
    }

    /// Tells the kernel what is waited for now: never what could not be taken.
    fn watch(&mut self) {
        let room = self.port.has_room();
        let interest = Interest { read: room && !self.port_away, write: self.port.has_unsent() };
        if self.port_away && !interest.write {
            self.poller.remove(self.port.fd());
        } else if self.poller.modify(self.port.fd(), PORT, interest).is_err() {
            let _ = self.poller.add(self.port.fd(), PORT, interest);
        }
        for (number, process) in &self.processes {
            if let Some(input) = &process.stdin {
                self.expect(&input.fd, token(*number, 0), Interest { read: false, write: input.wants_write() });
            }
            for (stream, output) in process.outputs.iter().enumerate() {
                if let Some(fd) = &output.fd {
                    self.expect(fd, token(*number, stream as u64 + 1), Interest { read: room && output.may_read(), write: false });
                }
            }
        }
    }

    /// A descriptor that nothing is wanted of is not watched at all: its hangup would come again and again.
    fn expect(&self, fd: &OwnedFd, token: u64, interest: Interest) {
        if interest == Interest::NONE {
            self.poller.remove(fd.as_raw_fd());
        } else if self.poller.modify(fd.as_raw_fd(), token, interest).is_err() {
            let _ = self.poller.add(fd.as_raw_fd(), token, interest);
        }
    }

    fn frame(&mut self, kind: Kind, process: u32, payload: &[u8]) -> Result<bool, Failure> {
        let frame = bulkhead_wire::Frame { kind, process, payload };
        match kind {
            Kind::Message => return self.request(payload),
            Kind::Stdin => {
                if let Some(input) = self.processes.get_mut(&process).and_then(|running| running.stdin.as_mut()) {
                    input.push(payload)?;
                    self.move_stream(process, 0)?;
                }
            }
            Kind::End if frame.ended_stream() == Some(Kind::Stdin) => {
                if let Some(running) = self.processes.get_mut(&process) {
                    let terminal = running.terminal;
                    running.stdin.iter_mut().for_each(|input| input.end(terminal));
                    self.move_stream(process, 0)?;
                }
            }
            Kind::Credit => {
                let Some((stream @ (Kind::Stdout | Kind::Stderr), bytes)) = frame.credit() else { return Err(nonsense()) };
                if let Some(running) = self.processes.get_mut(&process) {
                    let output = &mut running.outputs[usize::from(stream == Kind::Stderr)];
                    output.credit = output.credit.saturating_add(bytes);
                }
            }
            _ => return Err(nonsense()),
        }
        Ok(false)
    }

    fn request(&mut self, payload: &[u8]) -> Result<bool, Failure> {
        let request = Request::read(payload)?;
        if request.verb == "powerOff" {
            return Ok(true);
        }
        let id = request.id;
        let answer = self.carry_out(request);
        self.port.answer(id, answer);
        Ok(false)
    }

    fn carry_out(&mut self, request: Request) -> Result<Value, Failure> {
        let nothing = json!({});
        match request.verb.as_str() {
            "configure" => {
                if self.machine.is_some() {
                    return Err(Failure::new(Code::WrongState, "the machine is configured already"));
                }
                self.machine = Some(configure::configure(request, &self.drives)?);
            }
            "start" => return self.start(request.arguments()?),
            "signal" => {
                let wanted: Signal = request.arguments()?;
                let unknown = || Failure::new(Code::InvalidSpec, format!("{} is no signal", quote(&wanted.signal)));
                let number = signal::number(&wanted.signal).ok_or_else(unknown)?;
                let delivered = self.processes.get(&wanted.process).is_some_and(|running| running.signal(number));
                return Ok(json!({ "delivered": delivered }));
            }
            "resize" => {
                let wanted: Resize = request.arguments()?;
                let running = self.processes.get(&wanted.process).filter(|running| running.terminal);
                let terminal = running.and_then(|running| running.outputs[0].fd.as_ref());
                launch::resize(terminal.ok_or_else(|| Failure::new(Code::WrongState, "that process has no terminal"))?, wanted.size);
            }
            "freeze" => cgroup::freeze(true)?,
            "thaw" => cgroup::freeze(false)?,
            "stats" => return Ok(cgroup::stats()),
            "top" => return Ok(json!(table::read())),
            "update" => cgroup::limit(&request.arguments::<Update>()?.limits)?,
            "clock" => configure::step_clock(&request.arguments::<Clock>()?.clock_ns)?,
            "ping" => {}
            verb => return Err(Failure::new(Code::Unsupported, format!("this agent knows no verb {}", quote(verb)))),
        }
        Ok(nothing)
    }

    fn start(&mut self, wanted: Start) -> Result<Value, Failure> {
        let Some(machine) = &self.machine else {
            return Err(Failure::new(Code::WrongState, "the machine is not configured yet"));
        };
        if self.processes.contains_key(&wanted.process) || self.processes.len() >= MOST_PROCESSES {
            return Err(Failure::new(Code::WrongState, "that process number is taken, or there are too many"));
        }
        match (wanted.process, &self.main) {
            (0, Some(_)) => return Err(Failure::new(Code::WrongState, "the main process was started already")),
            (1.., None) if wanted.spec.files.is_none() => return Err(Failure::new(Code::WrongState, "the main process does not run")),
            _ => {}
        }
        let kills_before = cgroup::out_of_memory_kills();
        let launched = match &wanted.spec.files {
            Some(order) if wanted.process != 0 => files::launch(&wanted.spec, order, self.main.as_ref(), machine.inside.has_read_only_root())?,
            _ => launch::launch(&wanted.spec, machine, self.main.as_ref())?,
        };
        if wanted.process == 0 {
            let pidfd = launched.pidfd.try_clone().map_err(|error| Failure::from_io("hold the main process", &error))?;
            self.main = Some(Main { pid: launched.pid, pidfd });
        }
        let pid = launched.pid;
        let mut running = Running::new(launched, kills_before);
        if running.terminal {
            running.outputs[1].ended = true;
            self.port.send(Kind::End, wanted.process, &[Kind::Stderr as u8]);
        }
        self.processes.insert(wanted.process, running);
        Ok(json!({ "pid": pid }))
    }

    /// Something can be moved on a stream of a process. What comes for a process that is gone was on its way: it is dropped.
    fn move_stream(&mut self, number: u32, which: u64) -> Result<(), Failure> {
        if which == 0 {
            let Some(running) = self.processes.get_mut(&number) else { return Ok(()) };
            let Some(input) = &mut running.stdin else { return Ok(()) };
            let done = input.flush();
            if let Some(bytes) = input.take_credit() {
                let [a, b, c, d] = bytes.to_le_bytes();
                self.port.send(Kind::Credit, number, &[Kind::Stdin as u8, a, b, c, d]);
            }
            if done {
                running.stdin = None;
            }
            return Ok(());
        }
        self.read_output(number, which as usize - 1);
        Ok(())
    }

    /// False: the stream could have been read and is silent.
    fn read_output(&mut self, number: u32, stream: usize) -> bool {
        let Some(running) = self.processes.get_mut(&number) else { return true };
        let output = &mut running.outputs[stream];
        if !output.may_read() || !self.port.has_room() {
            return true;
        }
        match output.read(&mut self.buffer) {
            Read::Bytes(count) => {
                self.port.send(kind(stream), number, &self.buffer[..count]);
                if running.exit.is_some() {
                    running.drained_by_ns = Some(monotonic_ns() + DRAIN_NS);
                }
            }
            Read::Nothing => return false,
            Read::End => self.end_stream(number, stream),
        }
        true
    }

    fn end_stream(&mut self, number: u32, stream: usize) {
        let Some(running) = self.processes.get_mut(&number) else { return };
        let output = &mut running.outputs[stream];
        output.fd = None;
        if !output.ended {
            output.ended = true;
            self.port.send(Kind::End, number, &[kind(stream) as u8]);
        }
        self.finish(number);
    }

    fn give_up_silent_streams(&mut self) {
        let now = monotonic_ns();
        let due = |running: &Running| running.drained_by_ns.is_some_and(|by| by <= now);
        let numbers: Vec<u32> = self.processes.iter().filter(|(_, running)| due(running)).map(|(number, _)| *number).collect();
        for number in numbers {
            for stream in 0..2 {
                let Some(output) = self.processes.get(&number).map(|running| &running.outputs[stream]) else { break };
                // One that waits for credit or room is not silent, nor one that spoke while the machine's own processor stood still.
                if output.ended || !self.read_output(number, stream) {
                    self.end_stream(number, stream);
                }
            }
            if let Some(running) = self.processes.get_mut(&number) {
                running.drained_by_ns = Some(now + DRAIN_NS);
            }
        }
    }

    /// Takes every child that has ended: processes of the workload, and orphans that nobody else will.
    fn reap(&mut self) {
        let mut information = [0u8; size_of::<libc::signalfd_siginfo>() * 8];
        while sys::read(self.children.as_raw_fd(), &mut information) != Read::Nothing {}
        loop {
            let mut status = 0;
            let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
            if pid <= 0 {
                return;
            }
            let ended = self.processes.iter_mut().find(|(_, running)| running.pid == pid && running.exit.is_none());
            if let Some((number, running)) = ended {
                let number = *number;
                running.exit = Some(status);
                running.stdin = None;
                running.drained_by_ns = Some(monotonic_ns() + DRAIN_NS);
                self.finish(number);
            }
        }
    }

    /// Says the last word of a process once everything else of it has been said.
    fn finish(&mut self, number: u32) {
        let Some(running) = self.processes.get(&number).filter(|running| running.is_over()) else { return };
        let status = running.exit.unwrap_or(0);
        let code = if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
        // Another's shortage during its life is not its own end.
        let out_of_memory = code == 128 + libc::SIGKILL && cgroup::out_of_memory_kills() > running.kills_before;
        let mut event = json!({ "event": "exited", "process": number, "code": code, "outOfMemory": out_of_memory });
        if libc::WIFSIGNALED(status) {
            event["signal"] = json!(signal::name(libc::WTERMSIG(status)));
        }
        self.port.say(&event);
        self.processes.remove(&number);
    }
}

fn nonsense() -> Failure {
    Failure::new(Code::CorruptData, "the host sent a frame that has no meaning here")
}

#[cfg(test)]
#[path = "agent_test.rs"]
mod tests;
