//! The boundary as the supervisor's core drives it: questions become changes of the gate, news from the task becomes events.

use crate::instance::{self, Grant, Shared, unsupported};
use crate::module::Loaded;
use bulkhead_wire::boundary::{Ask, Boundary, Reply, Sink, StdinWrite, Stream, Ticket};
use bulkhead_wire::clock::stamp_now;
use bulkhead_wire::plan::LimitsSpec;
use bulkhead_wire::poller::{BOUNDARY, Interest, Poller, Ready};
use bulkhead_wire::process::{ExitStatus, ResourceUse};
use bulkhead_wire::{Code, Failure};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use wasmtime::Engine;

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

pub struct Instance {
    pub engine: Engine,
    pub runtime: tokio::runtime::Handle,
    pub poller: Rc<Poller>,
    pub loaded: Option<Arc<Loaded>>,
    pub grant: Option<Grant>,
    pub shared: Arc<Shared>,
    pub pids_limit: u64,
    pub reading: [bool; 2],
    pub open: [bool; 2],
    pub started: Option<Ticket>,
    pub ended: Option<ExitStatus>,
    pub told: bool,
}

impl Instance {
    fn start(&mut self, ticket: Ticket) {
        let (Some(loaded), Some(grant)) = (self.loaded.take(), self.grant.take()) else { return };
        self.started = Some(ticket);
        self.runtime.spawn(instance::run(self.engine.clone(), loaded, grant, Arc::clone(&self.shared)));
    }

    /// Signals have no handlers here: what would end a program that has none ends this one.
    fn signal(&mut self, signal: i32) -> bool {
        match signal {
            libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH => {}
            libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => self.shared.gate.pause(true),
            libc::SIGCONT => self.shared.gate.pause(false),
            other => self.shared.gate.kill(other),
        }
        self.ended.is_none()
    }

    fn measure(&self) -> ResourceUse {
        let cpu = self.shared.gate.cpu_ns();
        ResourceUse {
            at: stamp_now(),
            cpu_total_ns: cpu,
            cpu_user_ns: cpu,
            memory_bytes: self.shared.memory.used(),
            memory_limit_bytes: self.shared.memory.limit(),
            pids: 1,
            pids_limit: self.pids_limit,
            out_of_memory_kills: u64::from(self.shared.memory.exceeded()),
            ..ResourceUse::default()
        }
    }

    fn update(&mut self, limits: &LimitsSpec) -> Result<Reply, Failure> {
        if let Some(bytes) = limits.memory_bytes {
            if bytes != 0 && bytes < self.shared.memory.used() {
                return Err(Failure::new(Code::WrongState, "the instance has more memory than the new limit, and memory cannot be taken back"));
            }
            self.shared.memory.set_limit(bytes);
        }
        if limits.cpus.is_some() {
            self.shared.gate.set_cpus(limits.cpus.filter(|cpus| *cpus > 0.0));
        }
        self.pids_limit = limits.pids.unwrap_or(self.pids_limit);
        Ok(Reply::Done)
    }

    fn hand_over(&mut self, sink: &mut dyn Sink) {
        for stream in STREAMS {
            if self.reading[stream as usize] {
                let bytes = self.shared.stdio.take_output(stream);
                if !bytes.is_empty() {
                    sink.output(0, stream, &bytes);
                }
            }
        }
        if self.shared.stdio.input_has_room() {
            sink.stdin_room(0);
        }
    }

    /// The end is told once everything that came before it was handed over.
    fn tell_end(&mut self, sink: &mut dyn Sink) {
        let Some(status) = self.ended.clone() else { return };
        for stream in STREAMS {
            if self.open[stream as usize] && !self.shared.stdio.holds_output(stream) {
                self.open[stream as usize] = false;
                sink.stream_ended(0, stream);
            }
        }
        if !self.told {
            self.told = true;
            if status.out_of_memory {
                sink.out_of_memory();
            }
            sink.exited(0, status);
        }
    }
}

impl Boundary for Instance {
    fn raise(&mut self, _reached: &mut dyn FnMut(&str)) -> Result<Option<i32>, Failure> {
        let event = self.shared.stdio.descriptor().as_raw_fd();
        self.poller.add(event, BOUNDARY | 1, Interest::READ).map_err(|error| Failure::from_io("watch an instance", &error))?;
        Ok(None)
    }

    fn ask(&mut self, ticket: Ticket, ask: Ask, sink: &mut dyn Sink) {
        let answer = match ask {
            Ask::Start => return self.start(ticket),
            Ask::Signal { signal, .. } => Ok(Reply::Delivered(self.signal(signal))),
            Ask::Pause => {
                self.shared.gate.pause(true);
                Ok(Reply::Done)
            }
            Ask::Resume => {
                self.shared.gate.pause(false);
                Ok(Reply::Done)
            }
            Ask::Stats => Ok(Reply::Stats(Box::new(self.measure()))),
            Ask::Update(limits) => self.update(&limits),
            Ask::Exec { .. } => Err(unsupported("a wasm instance runs one program and no other", "run another workload")),
            Ask::Resize { .. } => Err(unsupported("a wasm instance has no terminal", "run it without --tty")),
            Ask::Top => Err(unsupported("a wasm instance has no processes", "ask for its stats")),
        };
        sink.answered(ticket, answer);
    }

    fn write_stdin(&mut self, _process: u32, bytes: &[u8]) -> StdinWrite {
        if self.ended.is_some() { StdinWrite::Closed } else { StdinWrite::Taken(self.shared.stdio.write_input(bytes)) }
    }

    fn close_stdin(&mut self, _process: u32) {
        self.shared.stdio.close_input();
    }

    fn set_reading(&mut self, _process: u32, stream: Stream, reading: bool) {
        self.reading[stream as usize] = reading;
        if reading {
            self.shared.stdio.ring();
        }
    }

    fn ready(&mut self, _ready: Ready, sink: &mut dyn Sink) {
        self.shared.stdio.quiet();
        let news = self.shared.news();
        if news.begun && let Some(ticket) = self.started.take() {
            sink.answered(ticket, Ok(Reply::Done));
        }
        self.ended = self.ended.take().or(news.ended);
        self.hand_over(sink);
        self.tell_end(sink);
    }

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn tick(&mut self, _sink: &mut dyn Sink) {}

    fn end(&mut self, _sink: &mut dyn Sink) {
        if self.loaded.take().is_some() {
            // Nothing of it ever ran.
            self.ended = Some(ExitStatus::signalled(libc::SIGKILL));
            self.shared.stdio.ring();
        }
        self.shared.gate.kill(libc::SIGKILL);
    }

    fn release(&mut self) {}

    fn tear_down(&mut self) {
        self.shared.gate.kill(libc::SIGKILL);
        self.grant = None;
        self.loaded = None;
    }
}
