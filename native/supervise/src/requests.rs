//! The supervisor's verbs: states are checked here, the work is asked of the boundary.

use super::Supervisor;
use super::hub::{Asked, Question, State, has_ended};
use super::process::Process;
use bulkhead_wire::boundary::{Ask, Ticket};
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::greeting::Greeting;
use bulkhead_wire::message::Request;
use bulkhead_wire::plan::{GuestProcess, LimitsSpec};
use bulkhead_wire::process::{AttachOptions, TerminalSize};
use bulkhead_wire::signal;
use serde::Deserialize;
use serde_json::{Value, json};

/// An identifier in hexadecimal digits, with room to spare.
const LONGEST_NAME: usize = 128;

#[derive(Deserialize)]
struct Attach {
    process: u32,
    #[serde(flatten)]
    options: AttachOptions,
}

#[derive(Deserialize)]
struct Exec {
    spec: GuestProcess,
    attach: AttachOptions,
    name: Option<String>,
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

impl Supervisor {
    pub fn request(&mut self, client: u64, request: Request) {
        let id = request.id;
        let answer = match request.verb.as_str() {
            "ping" => Ok(Some(json!({}))),
            "hello" => self.hello(client, request),
            "start" => self.start(client, id),
            "attach" => self.attach(client, request),
            "exec" => self.exec(client, request),
            "signal" => self.signal(client, request),
            "resize" => self.resize(client, request),
            "pause" => self.pause(client, id, true),
            "resume" => self.pause(client, id, false),
            "stats" => self.ask(client, id, Asked::Other, Ask::Stats),
            "top" => self.ask(client, id, Asked::Other, Ask::Top),
            "update" => request.arguments::<Update>().and_then(|update| self.ask(client, id, Asked::Other, Ask::Update(update.limits))),
            "republish" => self.boundary.republish().map(|()| Some(json!({}))),
            "end" => {
                self.hub.end_waiters.push((client, id));
                self.end();
                Ok(None)
            }
            other => Err(Failure::new(Code::Unsupported, format!("the supervisor has no verb {}", quote(other)))),
        };
        match answer {
            Ok(Some(ok)) => self.hub.answer(client, id, Ok(ok)),
            Ok(None) => {}
            Err(failure) => self.hub.answer::<()>(client, id, Err(&failure)),
        }
    }

    fn hello(&mut self, client: u64, request: Request) -> Result<Option<Value>, Failure> {
        let version = request.arguments::<Greeting>()?.agree("the supervisor", "end the workload, or run the daemon that started it")?;
        if let Some(client) = self.hub.clients.iter_mut().find(|known| known.token == client) {
            client.greeted = true;
        }
        let processes = self.hub.processes.iter().filter(|process| process.number != 0 && !process.starting).map(|process| {
            let status = process.status.as_ref().filter(|_| process.told);
            json!({ "process": process.number, "hostPid": process.host_pid, "status": status, "name": process.name })
        });
        let processes: Vec<Value> = processes.collect();
        Ok(Some(json!({
            "version": version,
            "workload": self.workload,
            "state": self.hub.state.name(),
            "mainPid": self.hub.main_pid(),
            "terminal": self.hub.processes[0].terminal,
            "processes": processes,
        })))
    }

    /// Puts a question to the boundary; the sink answers the client.
    fn ask(&mut self, client: u64, id: u64, asked: Asked, ask: Ask) -> Result<Option<Value>, Failure> {
        if self.hub.state == State::Ending {
            return Err(has_ended());
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.hub.questions.push(Question { ticket, client, id, asked });
        self.boundary.ask(ticket, ask, &mut self.hub);
        Ok(None)
    }

    fn start(&mut self, client: u64, id: u64) -> Result<Option<Value>, Failure> {
        match self.hub.state {
            State::Held => {
                self.hub.started = true;
                let _ = std::fs::File::create(&self.start_mark);
                self.hub.state = State::Starting;
                self.ask(client, id, Asked::Start, Ask::Start)
            }
            State::Ending => Err(has_ended()),
            _ => Err(Failure::new(Code::Unchanged, "the workload has been started already")),
        }
    }

    fn attach(&mut self, client: u64, request: Request) -> Result<Option<Value>, Failure> {
        let id = request.id;
        let attach: Attach = request.arguments()?;
        let Some(process) = self.hub.process(attach.process) else {
            return Err(Failure::new(Code::NotFound, format!("the workload has no process {}", attach.process)));
        };
        let told = process.told;
        if let Some(client) = self.hub.clients.iter_mut().find(|known| known.token == client) {
            client.join(attach.process, attach.options);
        }
        self.hub.answer(client, id, Ok(json!({})));
        if told && let Some(client) = self.hub.clients.iter_mut().find(|known| known.token == client) {
            client.end_streams(attach.process);
        }
        Ok(None)
    }

    fn exec(&mut self, client: u64, request: Request) -> Result<Option<Value>, Failure> {
        let id = request.id;
        let Exec { spec, attach, name } = request.arguments()?;
        match self.hub.state {
            State::Running => {}
            // Files are there as soon as the main process is held, and what does it runs nothing of the workload's.
            State::Held if spec.files.is_some() => {}
            State::Paused => return Err(Failure::new(Code::WrongState, "the workload is paused").remedy("unpause it first")),
            State::Held | State::Starting => return Err(Failure::new(Code::WrongState, "the workload does not run yet").remedy("start it first")),
            State::Ending => return Err(has_ended()),
        }
        if name.as_ref().is_some_and(|name| name.len() > LONGEST_NAME) {
            return Err(Failure::new(Code::InvalidSpec, format!("the name of an exec has at most {LONGEST_NAME} bytes")));
        }
        let asked = [!spec.command.is_empty(), spec.files.is_some(), spec.tools.is_some()];
        if asked.into_iter().filter(|asked| *asked).count() != 1 {
            return Err(Failure::new(Code::InvalidSpec, "a command needs at least the name of a program"));
        }
        let number = self.next_process;
        self.next_process += 1;
        let mut process = Process::new(number, spec.terminal, spec.stdin, true);
        process.name = name;
        self.hub.processes.push(process);
        if let Some(client) = self.hub.clients.iter_mut().find(|known| known.token == client) {
            client.join(number, attach);
        }
        self.ask(client, id, Asked::Exec(number), Ask::Exec { process: number, spec: Box::new(spec) })
    }

    fn signal(&mut self, client: u64, request: Request) -> Result<Option<Value>, Failure> {
        let id = request.id;
        let Signal { process: number, signal: name } = request.arguments()?;
        let signal = signal::number(&name).ok_or_else(|| Failure::new(Code::InvalidSpec, format!("{} is not a signal", quote(&name))))?;
        let Some(process) = self.hub.process(number).filter(|process| !process.starting) else {
            return Err(Failure::new(Code::NotFound, format!("the workload has no process {number}")));
        };
        if process.status.is_some() {
            return Ok(Some(json!({ "delivered": false })));
        }
        self.ask(client, id, Asked::Other, Ask::Signal { process: number, signal })
    }

    fn resize(&mut self, client: u64, request: Request) -> Result<Option<Value>, Failure> {
        let id = request.id;
        let Resize { process: number, size } = request.arguments()?;
        let Some(process) = self.hub.process(number) else {
            return Err(Failure::new(Code::NotFound, format!("the workload has no process {number}")));
        };
        if !process.terminal {
            return Err(Failure::new(Code::Unsupported, format!("process {number} has no terminal")));
        }
        if process.status.is_some() {
            return Err(Failure::new(Code::WrongState, format!("process {number} has ended")));
        }
        self.ask(client, id, Asked::Other, Ask::Resize { process: number, size })
    }

    fn pause(&mut self, client: u64, id: u64, pause: bool) -> Result<Option<Value>, Failure> {
        match (self.hub.state, pause) {
            (State::Running, true) => self.ask(client, id, Asked::Pause, Ask::Pause),
            (State::Paused, false) => self.ask(client, id, Asked::Resume, Ask::Resume),
            (State::Paused, true) => Err(Failure::new(Code::Unchanged, "the workload is paused already")),
            (State::Running, false) => Err(Failure::new(Code::Unchanged, "the workload is not paused")),
            (State::Ending, _) => Err(has_ended()),
            _ => Err(Failure::new(Code::WrongState, "the workload does not run yet").remedy("start it first")),
        }
    }
}
