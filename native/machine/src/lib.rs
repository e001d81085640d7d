//! Machines: the boundary of `bulkhead_wire::boundary` around a virtual machine monitor with our agent inside.
//!
//! ```text
//! raise     cgroup, tap, scratch disk ─▶ VMM confined and started ─▶ agent's hello ─▶ configure      (main process held)
//! ask       start, exec, signals, … as questions to the agent; answers and output as it sends them
//! end       the main process killed through the agent, and where that brings nothing in time, the VMM
//! tear_down powerOff (so that the scratch disk is whole for a restart), then SIGKILL; cgroup and directory removed
//! ```
//!
//! Everything from the agent is a hostile guest's word. `agent` checks it; the first word that cannot be true ends the machine.

mod agent;
mod channel;
mod control;
mod disk_machine;
mod housing;
mod kept;
mod lease;
mod line;
pub mod memory;
mod process;
mod qcow2;
mod raise;
mod share;
mod template;
mod tsc;
mod vmm;
mod words;

use agent::{Agent, Asked, Broken};
use bulkhead_wire::boundary::{Ask, Boundary, Sink, StdinWrite, Stream, Ticket};
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::plan::{LimitsSpec, MachineEngine};
use bulkhead_wire::poller::{BOUNDARY, Ready};
use bulkhead_wire::process::{ExitStatus, ResourceUse};
use bulkhead_wire::{Code, Failure};
use serde_json::{Value, json};
use housing::Housing;
pub use disk_machine::DiskMachine;
pub use housing::{Opener, Reach, Setting};
use std::os::fd::{AsRawFd, OwnedFd};

const AGENT: u64 = BOUNDARY | 1;
const CONSOLE: u64 = BOUNDARY | 2;
const VMM: u64 = BOUNDARY | 3;
/// An ask that is due this long after the main process was told to die: then the machine itself is ended.
const KILL_PATIENCE_NS: u64 = 2_000_000_000;
/// Ends of execs are waited for this long after the main process's own.
const STRAGGLER_PATIENCE_NS: u64 = 5_000_000_000;
const POWER_OFF_PATIENCE_MS: u64 = 3_000;

/// To be called once, early, by whoever forks the processes that raise machines: what takes time to find out about this host.
pub fn look_at_the_host() {
    tsc::begin();
}

pub struct Machine {
    housing: Housing,
    engine: MachineEngine,
    /// The pages of the template that it begins from: see `memory`.
    memory: Option<OwnedFd>,
    agent: Option<Agent>,
    started: bool,
    main_ended: bool,
    /// The machine is no more, and everybody was told.
    lost: bool,
    ending: bool,
    kill_by_ns: Option<u64>,
    stragglers_by_ns: Option<u64>,
}

impl Machine {
    pub fn new(setting: Setting, engine: MachineEngine, memory: Option<OwnedFd>) -> Machine {
        Machine {
            housing: Housing::new(setting),
            engine,
            memory,
            agent: None,
            started: false,
            main_ended: false,
            lost: false,
            ending: false,
            kill_by_ns: None,
            stragglers_by_ns: None,
        }
    }

    /// As the host sees it; the guest's own numbers are added when they come.
    fn host_use(&self) -> ResourceUse {
        let mut numbers = self.housing.host_use();
        numbers.memory_limit_bytes = self.engine.guest.limits.memory_bytes.unwrap_or(numbers.memory_limit_bytes);
        numbers.pids_limit = self.engine.guest.limits.pids.unwrap_or(0);
        numbers
    }

    /// The wall has gone, or cannot be trusted any more: nothing inside lives on.
    fn lose(&mut self, what: String, sink: &mut dyn Sink) {
        if self.lost {
            return;
        }
        self.lost = true;
        if let Some(vmm) = &mut self.housing.vmm {
            vmm.kill();
        }
        if let Some(agent) = &mut self.agent {
            self.housing.setting.poller.remove(agent.descriptor());
            agent.fail_all(&Failure::new(Code::ConnectionLost, what.clone()), sink);
            if self.ending && !self.main_ended {
                // Asked for: an end, and no loss.
                self.main_ended = true;
                agent.end_everything(ExitStatus::signalled(libc::SIGKILL), sink);
                return;
            }
        }
        if self.main_ended {
            if let Some(agent) = &mut self.agent {
                agent.end_everything(ExitStatus::signalled(libc::SIGKILL), sink);
            }
            return;
        }
        sink.lost(what);
    }

    /// After anything was heard: what changes with the main process's end.
    fn notice_end(&mut self) {
        if !self.main_ended && self.agent.as_ref().is_some_and(Agent::main_has_ended) {
            self.main_ended = true;
            self.stragglers_by_ns = Some(monotonic_ns() + STRAGGLER_PATIENCE_NS);
        }
    }

    fn update(&mut self, ticket: Ticket, limits: LimitsSpec, sink: &mut dyn Sink) {
        let most = self.housing.setting.limits.memory_bytes;
        if let (Some(wanted), Some(most)) = (limits.memory_bytes, most)
            && wanted > most
        {
            let what = format!("a machine cannot grow while it runs: it was made for {most} bytes at most");
            return sink.answered(ticket, Err(Failure::new(Code::Unsupported, what).remedy("run it again with more --memory")));
        }
        // Memory and pids are the guest's to keep; processor time is kept on both sides.
        let outer = LimitsSpec { cpus: limits.cpus, cpu_shares: limits.cpu_shares, cpuset: limits.cpuset.clone(), ..LimitsSpec::default() };
        if let Some(Err(failure)) = self.housing.group.as_ref().map(|group| group.update(&outer)) {
            return sink.answered(ticket, Err(failure));
        }
        let inner = LimitsSpec { cpuset: None, ..limits.clone() };
        let kept = &mut self.engine.guest.limits;
        kept.memory_bytes = limits.memory_bytes.or(kept.memory_bytes);
        kept.pids = limits.pids.or(kept.pids);
        if let Some(agent) = &mut self.agent {
            agent.ask(Asked::Plain(ticket), "update", json!({ "limits": inner }));
        }
        self.flush(sink);
    }
}

impl Boundary for Machine {
    fn raise(&mut self, reached: &mut dyn FnMut(&str)) -> Result<Option<i32>, Failure> {
        raise::raise(self, reached)
    }

    fn ask(&mut self, ticket: Ticket, ask: Ask, sink: &mut dyn Sink) {
        if self.lost || self.agent.is_none() {
            return sink.answered(ticket, Err(Failure::new(Code::ConnectionLost, "the machine is gone")));
        }
        if let Ask::Update(limits) = ask {
            return self.update(ticket, limits, sink);
        }
        let host_use = if matches!(ask, Ask::Stats) { Some(Box::new(self.host_use())) } else { None };
        let main_process = serde_json::to_value(&self.engine.main_process).unwrap_or(Value::Null);
        let Some(agent) = &mut self.agent else { return };
        let (asked, verb, arguments) = match ask {
            Ask::Start => {
                self.started = true;
                agent.start(ticket, 0, main_process);
                return self.flush(sink);
            }
            Ask::Exec { process, spec } => {
                agent.start(ticket, process, serde_json::to_value(&spec).unwrap_or(Value::Null));
                return self.flush(sink);
            }
            Ask::Signal { process, signal } => (Asked::Signal(ticket), "signal", json!({ "process": process, "signal": signal.to_string() })),
            Ask::Resize { process, size } => {
                (Asked::Plain(ticket), "resize", json!({ "process": process, "rows": size.rows, "columns": size.columns }))
            }
            Ask::Pause => (Asked::Plain(ticket), "freeze", json!({})),
            Ask::Resume => (Asked::Plain(ticket), "thaw", json!({})),
            Ask::Stats => (Asked::Stats(ticket, host_use.unwrap_or_default()), "stats", json!({})),
            Ask::Top => (Asked::Top(ticket), "top", json!({})),
            Ask::Update(_) => return,
        };
        agent.ask(asked, verb, arguments);
        self.flush(sink);
    }

    fn write_stdin(&mut self, process: u32, bytes: &[u8]) -> StdinWrite {
        match &mut self.agent {
            Some(agent) if !self.lost => {
                let taken = agent.write_stdin(process, bytes);
                let _ = agent.flush(&self.housing.setting.poller, AGENT);
                taken
            }
            _ => StdinWrite::Closed,
        }
    }

    fn close_stdin(&mut self, process: u32) {
        if let Some(agent) = &mut self.agent {
            agent.close_stdin(process);
            let _ = agent.flush(&self.housing.setting.poller, AGENT);
        }
    }

    fn set_reading(&mut self, process: u32, stream: Stream, reading: bool) {
        if let Some(agent) = &mut self.agent {
            agent.set_reading(process, stream, reading);
            let _ = agent.flush(&self.housing.setting.poller, AGENT);
        }
    }

    fn ready(&mut self, ready: Ready, sink: &mut dyn Sink) {
        match ready.token {
            CONSOLE => {
                if let Some(vmm) = &mut self.housing.vmm
                    && !vmm.read_console()
                {
                    self.housing.setting.poller.remove(vmm.console_descriptor());
                }
            }
            VMM => {
                // What it still said lies in the socket: the end of the workload may be in it.
                self.receive(sink);
                if let Some(vmm) = &self.housing.vmm {
                    self.housing.setting.poller.remove(vmm.pidfd.as_raw_fd());
                }
                let what = self.housing.obituary();
                self.lose(what, sink);
            }
            _ => self.receive(sink),
        }
    }

    fn deadline(&self) -> Option<u64> {
        if self.lost {
            return None;
        }
        if self.agent.as_ref().is_some_and(Agent::has_left_over) {
            return Some(monotonic_ns());
        }
        let heartbeat = self.agent.as_ref().map(Agent::heartbeat_due);
        [heartbeat, self.kill_by_ns, self.stragglers_by_ns].into_iter().flatten().min()
    }

    fn tick(&mut self, sink: &mut dyn Sink) {
        if self.agent.as_ref().is_some_and(Agent::has_left_over) {
            self.receive(sink);
        }
        let now = monotonic_ns();
        if self.kill_by_ns.is_some_and(|by| by <= now) {
            self.kill_by_ns = None;
            return self.lose("the machine did not end its main process in time".into(), sink);
        }
        if self.stragglers_by_ns.is_some_and(|by| by <= now) {
            self.stragglers_by_ns = None;
            if let Some(agent) = &mut self.agent {
                agent.end_everything(ExitStatus::signalled(libc::SIGKILL), sink);
            }
        }
        let alive = self.agent.as_mut().is_none_or(Agent::beat);
        if alive { self.flush(sink) } else { self.lose("the agent in the machine has not answered for a minute".into(), sink) }
    }

    fn end(&mut self, sink: &mut dyn Sink) {
        if self.lost || self.main_ended {
            return;
        }
        self.ending = true;
        if !self.started {
            return self.lose("the machine was ended before its workload was started".into(), sink);
        }
        if let Some(agent) = &mut self.agent {
            agent.ask(Asked::Nobody, "signal", json!({ "process": 0, "signal": "SIGKILL" }));
        }
        self.kill_by_ns.get_or_insert(monotonic_ns() + KILL_PATIENCE_NS);
        self.flush(sink);
    }

    fn republish(&mut self) -> Result<(), Failure> {
        self.housing.republish()
    }

    fn release(&mut self) {
        self.housing.release();
    }

    fn tear_down(&mut self) {
        self.release();
        if let (Some(vmm), Some(agent)) = (&mut self.housing.vmm, &mut self.agent)
            && !self.lost
        {
            agent.ask(Asked::Nobody, "powerOff", json!({}));
            if agent.flush(&self.housing.setting.poller, AGENT).is_ok() {
                vmm.wait(POWER_OFF_PATIENCE_MS);
            }
        }
        self.housing.tear_down();
    }
}

impl Machine {
    fn flush(&mut self, sink: &mut dyn Sink) {
        let flushed = self.agent.as_mut().map_or(Ok(()), |agent| agent.flush(&self.housing.setting.poller, AGENT));
        if flushed.is_err() {
            let what = self.housing.obituary();
            self.lose(what, sink);
        }
    }

    fn receive(&mut self, sink: &mut dyn Sink) {
        if self.lost {
            return;
        }
        let heard = self.agent.as_mut().map_or(Ok(()), |agent| agent.receive(sink));
        self.notice_end();
        match heard {
            Ok(()) => self.flush(sink),
            Err(Broken::Closed) => {
                let what = self.housing.obituary();
                self.lose(what, sink);
            }
            Err(Broken::Lied(what)) => self.lose(format!("the agent in the machine broke the protocol: {what}"), sink),
        }
    }
}
