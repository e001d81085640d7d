//! The boundary made by a command-line OCI runtime: crun, runc where crun cannot run, and runsc, whose own ways are in `runsc.rs`.
//!
//! ```text
//! raise   network namespace ─▶ control groups ─▶ overlay ─▶ runtime create, held at exec.fifo
//! start   one byte (crun) or one read (runc) at exec.fifo; the inherited `started` pipe closes when the program really runs
//! end     the group is killed until it is empty; the main process's true status comes from wait, since this is the subreaper
//! ```

mod beside;
mod configuration;
mod console;
mod events;
mod exec;
mod files;
mod ids;
mod network;
pub mod overlay;
mod raise;
mod report;
mod runsc;
mod runsc_exec;
mod runtime;
mod seccomp;
mod spawn;
mod stdio;
mod verbs;
mod written;

use crate::beneath::Below;
use bulkhead_cgroup::{Group, Layout};
use bulkhead_wire::boundary::{Ask, Boundary, Sink, StdinWrite, Stream, Ticket};
use bulkhead_wire::plan::{DeviceSpec, LimitsSpec, MainStdio, NetworkSpec, OciEngine};
use bulkhead_wire::poller::{BOUNDARY, Poller, Ready};
use bulkhead_wire::{Failure, clock};
use exec::ExecStart;
pub use raise::root_place;
pub use runtime::{Programs, Runtime};
pub use spawn::{fork_into, pipe};
pub use written::let_go;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use stdio::Stdio;

/// What a token of this boundary means: the kind in bits 32–39, the process's number below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Wake {
    Stdout = 0,
    Stderr = 1,
    Stdin = 2,
    Children = 3,
    Memory = 4,
    Started = 5,
}

fn token(wake: Wake, process: u32) -> u64 {
    BOUNDARY | (wake as u64) << 32 | u64::from(process)
}

/// Everything of the plan and the launcher that this boundary needs.
pub struct Order {
    pub workload: String,
    pub directory: String,
    pub engine: OciEngine,
    pub limits: LimitsSpec,
    pub devices: Vec<DeviceSpec>,
    pub all_devices: bool,
    pub network: NetworkSpec,
    pub main: MainStdio,
    pub runtime: Runtime,
    /// The runtime's sealed copy, and what names its build.
    pub program: OwnedFd,
    pub program_stamp: String,
    pub run: PathBuf,
    pub below: Rc<Below>,
    pub layout: Rc<Layout>,
}

/// A process behind the boundary: main, or an exec that has begun.
struct Child {
    number: u32,
    pid: i32,
    exited: bool,
    stdio: Stdio,
    /// After its end: until when its streams may stay open in other hands.
    streams_until: Option<u64>,
}

/// The main process between the word to start and the proof that its program runs.
struct MainStart {
    ticket: Ticket,
    /// What it was while it was held.
    before: events::Program,
    /// The pipe is closed already: when to look at the process again.
    look_at: Option<u64>,
}

pub struct Oci {
    order: Order,
    poller: Rc<Poller>,
    group: Option<Group>,
    network: Option<bulkhead_network::Network>,
    /// None: the host's.
    ids: Option<ids::Ids>,
    /// The launcher's own network namespace, to leave the workload's.
    network_host: Option<OwnedFd>,
    children: Vec<Child>,
    execs: Vec<ExecStart>,
    besides: Vec<beside::Beside>,
    /// What is being asked of runsc by running it.
    clients: Vec<runsc::Client>,
    inner_execs: Vec<runsc_exec::InnerExec>,
    /// Ends of processes that belonged to no known child yet, kept while an exec is being started.
    strangers: Vec<(i32, i32)>,
    main_start: Option<MainStart>,
    started_pipe: Option<OwnedFd>,
    /// 126 or 127 where the main process's program could not be executed: the runtime itself exits with 1.
    start_failure: Option<i32>,
    /// runsc: whether the workload's program was loaded, and when a kernel that was told of SIGKILL and does not end is killed itself.
    started: bool,
    kill_at: Option<u64>,
    signals: Option<OwnedFd>,
    memory_watch: Option<OwnedFd>,
    memory_kills: u64,
    /// When the last of them was seen, and how many have been taken for the end of an exec.
    memory_killed_ns: u64,
    memory_claimed: u64,
    pause: Option<(Ticket, u64)>,
    killing: bool,
    next_kill: u64,
}

impl Oci {
    pub fn new(order: Order, poller: Rc<Poller>) -> Oci {
        Oci {
            order,
            poller,
            group: None,
            network: None,
            ids: None,
            network_host: None,
            children: Vec::new(),
            execs: Vec::new(),
            besides: Vec::new(),
            clients: Vec::new(),
            inner_execs: Vec::new(),
            strangers: Vec::new(),
            main_start: None,
            started_pipe: None,
            start_failure: None,
            started: false,
            kill_at: None,
            signals: None,
            memory_watch: None,
            memory_kills: 0,
            memory_killed_ns: 0,
            memory_claimed: 0,
            pause: None,
            killing: false,
            next_kill: 0,
        }
    }

    /// The workload's own directory for what does not outlive a reboot.
    fn state_directory(&self) -> PathBuf {
        crate::supervisors::state_directory(&self.order.run).join(&self.order.workload)
    }

    fn child(&mut self, number: u32) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.number == number)
    }

    fn main_pid(&self) -> Option<i32> {
        self.children.first().filter(|main| !main.exited).map(|main| main.pid)
    }
}

impl Boundary for Oci {
    fn raise(&mut self, reached: &mut dyn FnMut(&str)) -> Result<Option<i32>, Failure> {
        self.raise_all(reached)
    }

    fn ask(&mut self, ticket: Ticket, ask: Ask, sink: &mut dyn Sink) {
        if let Some(answer) = self.carry_out(ticket, ask) {
            sink.answered(ticket, answer);
        }
    }

    fn write_stdin(&mut self, process: u32, bytes: &[u8]) -> StdinWrite {
        let poller = self.poller.clone();
        self.child(process).map_or(StdinWrite::Closed, |child| child.stdio.write(bytes, &poller))
    }

    fn close_stdin(&mut self, process: u32) {
        let poller = self.poller.clone();
        if let Some(child) = self.child(process) {
            child.stdio.close_input(&poller);
        }
    }

    fn set_reading(&mut self, process: u32, stream: Stream, reading: bool) {
        let poller = self.poller.clone();
        if let Some(child) = self.child(process) {
            child.stdio.set_reading(stream, reading, &poller);
        }
    }

    fn ready(&mut self, ready: Ready, sink: &mut dyn Sink) {
        self.take(ready, sink);
    }

    fn deadline(&self) -> Option<u64> {
        let streams = self.children.iter().filter_map(|child| child.streams_until);
        let kill = self.killing.then_some(self.next_kill);
        let pause = self.pause.as_ref().map(|(_, at)| *at);
        let start = self.main_start.as_ref().and_then(|start| start.look_at);
        let besides = self.besides.iter().filter_map(|beside| beside.ending);
        streams.chain(besides).chain(kill).chain(pause).chain(start).chain(self.kill_at).min()
    }

    fn tick(&mut self, sink: &mut dyn Sink) {
        self.on_time(clock::monotonic_ns(), sink);
    }

    fn end(&mut self, _sink: &mut dyn Sink) {
        self.killing = true;
        self.kill_round();
    }

    fn republish(&mut self) -> Result<(), Failure> {
        self.network.as_mut().map_or(Ok(()), |network| network.republish().map_err(Failure::from))
    }

    fn release(&mut self) {
        if let Some(network) = &mut self.network {
            // What fails here is done again by dropping it, and by the sweep.
            let _ = network.close();
        }
        self.leave_network();
    }

    fn tear_down(&mut self) {
        self.unmake();
    }
}
