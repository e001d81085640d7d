//! The core's state: processes, clients, log. It is the sink that the boundary talks to, and never calls the boundary itself.

use super::client::Client;
use super::log::Log;
use super::process::{Process, STREAMS};
use bulkhead_wire::connection::Connection;
use bulkhead_wire::boundary::{Reply, Sink, Stream, Ticket};
use bulkhead_wire::frame::Kind;
use bulkhead_wire::message::{append_answer, append_message};
use bulkhead_wire::process::ExitStatus;
use bulkhead_wire::{Code, Failure};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Held,
    Starting,
    Running,
    Paused,
    Ending,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Held | State::Starting => "held",
            State::Running => "running",
            State::Paused => "paused",
            State::Ending => "ending",
        }
    }
}

/// What a ticket was for, besides answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Start,
    Exec(u32),
    Pause,
    Resume,
    Other,
}

pub struct Question {
    pub ticket: Ticket,
    pub client: u64,
    pub id: u64,
    pub asked: Asked,
}

/// Ended execs that are remembered for those who ask later.
const REMEMBERED: usize = 64;

pub struct Hub {
    pub processes: Vec<Process>,
    pub clients: Vec<Client>,
    pub log: Log,
    pub state: State,
    pub started: bool,
    /// Somebody asked for the end before it came.
    pub end_asked: bool,
    pub lost: Option<String>,
    pub out_of_memory: bool,
    pub questions: Vec<Question>,
    /// Those who wait for the exit record: client and request.
    pub end_waiters: Vec<(u64, u64)>,
    /// Processes whose stdin has room again.
    pub stdin_room: Vec<u32>,
}

impl Hub {
    pub fn new(log: Log, main: Process) -> Hub {
        Hub {
            processes: vec![main],
            clients: Vec::new(),
            log,
            state: State::Held,
            started: false,
            end_asked: false,
            lost: None,
            out_of_memory: false,
            questions: Vec::new(),
            end_waiters: Vec::new(),
            stdin_room: Vec::new(),
        }
    }

    pub fn process(&mut self, number: u32) -> Option<&mut Process> {
        self.processes.iter_mut().find(|process| process.number == number)
    }

    pub fn main_pid(&self) -> Option<i32> {
        self.processes.first().and_then(|main| main.host_pid)
    }

    fn connection(&mut self, client: u64) -> Option<&mut Connection> {
        self.clients.iter_mut().find(|known| known.token == client).map(|client| &mut client.connection)
    }

    pub fn answer<T: Serialize>(&mut self, client: u64, id: u64, answer: Result<T, &Failure>) {
        if let Some(connection) = self.connection(client) {
            append_answer(connection.outgoing(), id, answer);
        }
    }

    /// An event for everybody who said hello.
    pub fn tell(&mut self, event: &Value) {
        for client in self.clients.iter_mut().filter(|client| client.greeted) {
            append_message(client.connection.outgoing(), event);
        }
    }

    /// Tells of every exec whose output is out and whose end is known. The main process's end is told by the core, after the record.
    pub fn tell_ended_execs(&mut self) {
        for at in 0..self.processes.len() {
            let process = &self.processes[at];
            if process.number != 0 && process.over() && !process.told && !process.starting {
                self.tell_end(at);
            }
        }
        while self.processes.iter().filter(|process| process.told).count() > REMEMBERED {
            let Some(oldest) = self.processes.iter().position(|process| process.told) else { break };
            self.processes.remove(oldest);
        }
    }

    pub fn tell_end(&mut self, at: usize) {
        let process = &mut self.processes[at];
        process.told = true;
        process.stdin_open = false;
        let (number, status) = (process.number, process.status.clone());
        for client in &mut self.clients {
            client.end_streams(number);
        }
        self.tell(&json!({ "event": "exited", "process": number, "status": status }));
    }

    /// Which streams must rest because a client does not read; everything else flows.
    pub fn wanted_reading(&self, process: u32, stream: Stream) -> bool {
        !self.clients.iter().any(|client| client.joined(process, stream) && client.full())
    }

    /// Who reads what nobody else wants may take as long as he likes, as with a pipe. The main process, others who joined the same one, and the
    /// workload's end wait for him so long only.
    pub fn note_who_waits(&mut self) {
        if !self.clients.iter().any(Client::full) {
            return;
        }
        let ending = self.state == State::Ending;
        let shared = |number: u32| number == 0 || self.clients.iter().filter(|client| client.processes().any(|joined| joined == number)).count() > 1;
        let waits = |client: &Client| client.full() && (ending || client.processes().next().is_none() || client.processes().any(shared));
        let waited: Vec<bool> = self.clients.iter().map(waits).collect();
        for (client, waited) in self.clients.iter_mut().zip(waited) {
            client.holds_up = waited;
        }
    }

    /// The wall is gone: nothing more will come from behind it.
    pub fn close_everything(&mut self) {
        for process in &mut self.processes {
            process.open = [false, false];
            process.status.get_or_insert_with(|| ExitStatus::signalled(libc::SIGKILL));
        }
    }

    fn exec_begun(&mut self, question: &Question, number: u32, host_pid: Option<i32>) {
        if let Some(process) = self.process(number) {
            process.host_pid = host_pid;
            process.starting = false;
        }
        self.answer(question.client, question.id, Ok(json!({ "process": number, "hostPid": host_pid })));
    }

    fn exec_failed(&mut self, number: u32) {
        self.processes.retain(|process| process.number != number);
        for client in &mut self.clients {
            client.leave(number);
        }
    }
}

impl Sink for Hub {
    fn answered(&mut self, ticket: Ticket, answer: Result<Reply, Failure>) {
        let Some(at) = self.questions.iter().position(|question| question.ticket == ticket) else { return };
        let question = self.questions.swap_remove(at);
        match (&answer, question.asked) {
            (Ok(Reply::Begun { host_pid }), Asked::Exec(number)) => return self.exec_begun(&question, number, *host_pid),
            (Err(_), Asked::Exec(number)) => self.exec_failed(number),
            (Ok(_), Asked::Start) => {
                if self.state == State::Starting {
                    self.state = State::Running;
                }
                let pid = self.main_pid();
                self.tell(&json!({ "event": "started", "hostPid": pid }));
            }
            (Err(_), Asked::Start) => self.state = State::Ending,
            (Ok(_), Asked::Pause) => {
                self.state = State::Paused;
                self.tell(&json!({ "event": "paused" }));
            }
            (Ok(_), Asked::Resume) => {
                self.state = State::Running;
                self.tell(&json!({ "event": "resumed" }));
            }
            _ => {}
        }
        let document = answer.as_ref().map(|reply| match reply {
            Reply::Done | Reply::Begun { .. } => json!({}),
            Reply::Delivered(delivered) => json!({ "delivered": delivered }),
            Reply::Stats(used) => json!(used),
            Reply::Top(table) => json!(table),
        });
        self.answer(question.client, question.id, document);
    }

    fn output(&mut self, process: u32, stream: Stream, bytes: &[u8]) {
        if process == 0 {
            self.log.write(stream, bytes);
        }
        let kind = if stream == Stream::Stdout { Kind::Stdout } else { Kind::Stderr };
        for client in self.clients.iter_mut().filter(|client| client.joined(process, stream)) {
            client.connection.send(kind, process, bytes);
        }
    }

    fn stream_ended(&mut self, process: u32, stream: Stream) {
        if process == 0 {
            self.log.end(stream);
        }
        if let Some(process) = self.process(process) {
            process.open[stream as usize] = false;
        }
    }

    fn stdin_room(&mut self, process: u32) {
        self.stdin_room.push(process);
    }

    fn exited(&mut self, process: u32, mut status: ExitStatus) {
        if process == 0 {
            self.state = State::Ending;
            status.out_of_memory |= self.out_of_memory;
        }
        if let Some(process) = self.process(process) {
            process.status.get_or_insert(status);
        }
    }

    fn out_of_memory(&mut self) {
        if !self.out_of_memory {
            self.out_of_memory = true;
            self.tell(&json!({ "event": "out-of-memory" }));
        }
    }

    fn lost(&mut self, what: String) {
        self.state = State::Ending;
        self.lost.get_or_insert(what);
        self.close_everything();
        for stream in STREAMS {
            self.log.end(stream);
        }
    }
}

/// For a question that finds the workload ended.
pub fn has_ended() -> Failure {
    Failure::new(Code::WrongState, "the workload has ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_wire::plan::LogSpec;
    use bulkhead_wire::poller::Poller;
    use bulkhead_wire::process::AttachOptions;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_client_that_reads_nothing_is_dropped_for_others_sake_and_never_for_its_own() {
        let poller = Poller::new().unwrap();
        let mut hub = Hub::new(Log::open(&LogSpec::None).unwrap(), Process::new(0, false, false, false));
        let join = |hub: &mut Hub, number: u32| {
            let (ours, _theirs) = UnixStream::pair().unwrap();
            let mut client = Client::new(Connection::new(ours, 1, &poller).unwrap(), 1);
            client.join(number, AttachOptions { stdin: false, stdout: true, stderr: false });
            hub.clients.push(client);
        };
        (0..4).for_each(|number| join(&mut hub, number));
        join(&mut hub, 3);
        let full = vec![0; 2 << 20];
        for number in 0..3 {
            hub.output(number, Stream::Stdout, &full);
        }
        hub.clients[3].connection.send(Kind::Stdout, 3, &full);
        let has_deadline = |hub: &Hub| hub.clients.iter().map(|client| client.deadline().is_some()).collect::<Vec<_>>();
        hub.note_who_waits();
        assert_eq!(has_deadline(&hub), [true, false, false, true, false], "the main process waits, and who joined the same exec and reads");
        hub.state = State::Ending;
        hub.note_who_waits();
        assert_eq!(has_deadline(&hub), [true, true, true, true, false], "the end waits for everybody");
    }
}
