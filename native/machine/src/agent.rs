//! The agent's channel, seen from the host: `src/contract/agent-protocol.ts`. Nothing is taken from it unchecked, nothing of it
//! is stored without a bound: one frame, one table of processes that we chose the numbers of, and credit for their streams.

use crate::process::Process;
use crate::words::{lied, nonsense, read_failure, read_object, with_guest};
use bulkhead_wire::boundary::{Reply, Sink, StdinWrite, Stream, Ticket};
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::frame::{self, Decoder, Frame, Kind};
use bulkhead_wire::poller::{Interest, Poller};
use bulkhead_wire::process::{ExitStatus, ProcessTable, ResourceUse};
use bulkhead_wire::{Code, Failure, message, signal};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

const HEARTBEAT_NS: u64 = 10_000_000_000;
/// An emulated machine on a busy host may be slow; a minute of silence is no slowness.
const SILENCE_NS: u64 = 60_000_000_000;
const READ_BYTES: usize = 64 * 1024;
/// What waits for a guest that takes nothing: it may send without reading, and each credit that it earns by that would be kept for it.
const MOST_UNSENT_BYTES: usize = 16 * 1024 * 1024;

/// What a question was for.
pub enum Asked {
    Start(Ticket, u32),
    Signal(Ticket),
    Plain(Ticket),
    Stats(Ticket, Box<ResourceUse>),
    Top(Ticket),
    /// Nobody waits for the answer.
    Nobody,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    Closed,
    /// One clause: what it said that cannot be true.
    Lied(String),
}

pub struct Agent {
    socket: UnixStream,
    decoder: Decoder,
    unsent: Vec<u8>,
    next_id: u64,
    asked: BTreeMap<u64, Asked>,
    processes: BTreeMap<u32, Process>,
    main_ended: bool,
    /// `next_message` may have read more than it gave.
    left_over: bool,
    heard_ns: u64,
    beaten_ns: u64,
}

impl Agent {
    pub fn new(socket: UnixStream) -> std::io::Result<Agent> {
        socket.set_nonblocking(true)?;
        let now = monotonic_ns();
        Ok(Agent {
            socket,
            decoder: Decoder::new(),
            unsent: Vec::new(),
            next_id: 1,
            asked: BTreeMap::new(),
            processes: BTreeMap::new(),
            main_ended: false,
            left_over: false,
            heard_ns: now,
            beaten_ns: now,
        })
    }

    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub fn main_has_ended(&self) -> bool {
        self.main_ended
    }

    pub fn ask(&mut self, asked: Asked, verb: &str, arguments: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = match arguments {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        request.insert("id".into(), id.into());
        request.insert("verb".into(), verb.into());
        message::append_message(&mut self.unsent, &Value::Object(request));
        self.asked.insert(id, asked);
        id
    }

    /// A question whose answer was read by `next_message`.
    pub fn forget(&mut self, id: u64) {
        self.asked.remove(&id);
    }

    pub fn start(&mut self, ticket: Ticket, process: u32, spec: Value) {
        self.processes.insert(process, Process::new());
        self.ask(Asked::Start(ticket, process), "start", serde_json::json!({ "process": process, "spec": spec }));
    }

    pub fn write_stdin(&mut self, number: u32, bytes: &[u8]) -> StdinWrite {
        let Some(process) = self.processes.get_mut(&number).filter(|process| !process.stdin_closed) else { return StdinWrite::Closed };
        let taken = bytes.len().min(process.stdin_credit as usize);
        if taken > 0 {
            process.stdin_credit -= taken as u32;
            frame::append(&mut self.unsent, Kind::Stdin, number, &bytes[..taken]);
        }
        process.stdin_short = taken < bytes.len();
        StdinWrite::Taken(taken)
    }

    pub fn close_stdin(&mut self, number: u32) {
        let Some(process) = self.processes.get_mut(&number).filter(|process| !process.stdin_closed) else { return };
        process.stdin_closed = true;
        frame::append(&mut self.unsent, Kind::End, number, &[Kind::Stdin as u8]);
    }

    pub fn set_reading(&mut self, number: u32, stream: Stream, reading: bool) {
        if let Some(process) = self.processes.get_mut(&number) {
            process.set_reading(stream, reading);
            self.give_credit(number, stream);
        }
    }

    fn give_credit(&mut self, number: u32, stream: Stream) {
        if let Some(bytes) = self.processes.get_mut(&number).and_then(|process| process.grant(stream)) {
            let [a, b, c, d] = bytes.to_le_bytes();
            frame::append(&mut self.unsent, Kind::Credit, number, &[kind(stream) as u8, a, b, c, d]);
        }
    }

    /// Sends what can be sent now, and watches for room where something is left.
    pub fn flush(&mut self, poller: &Poller, token: u64) -> Result<(), Broken> {
        self.push()?;
        let interest = Interest { read: true, write: !self.unsent.is_empty() };
        let _ = poller.modify(self.descriptor(), token, interest);
        Ok(())
    }

    /// Whether something that was read waits for `receive`, although nothing more may ever come.
    pub fn has_left_over(&self) -> bool {
        self.left_over
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub fn push(&mut self) -> Result<(), Broken> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Broken::Closed),
            }
        }
        Ok(())
    }

    /// Takes one read's worth of frames.
    pub fn receive(&mut self, sink: &mut dyn Sink) -> Result<(), Broken> {
        if !self.fill()? && !self.left_over {
            return Ok(());
        }
        self.left_over = false;
        // The decoder's frame borrows it; the payload is lent on without a copy by taking the decoder out for the while.
        let mut decoder = std::mem::take(&mut self.decoder);
        let result = loop {
            match decoder.next_frame() {
                Ok(None) => break Ok(()),
                Ok(Some(frame)) => {
                    if let Err(broken) = self.frame(&frame, sink) {
                        break Err(broken);
                    }
                }
                Err(error) => break Err(Broken::Lied(error.to_string())),
            }
        };
        self.decoder = decoder;
        if self.unsent.len() > MOST_UNSENT_BYTES {
            return Err(lied("much, and took in nothing"));
        }
        result
    }

    /// False: nothing was there.
    fn fill(&mut self) -> Result<bool, Broken> {
        let mut buffer = [0u8; READ_BYTES];
        match self.socket.read(&mut buffer) {
            Ok(0) => Err(Broken::Closed),
            Ok(count) => {
                self.heard_ns = monotonic_ns();
                self.decoder.push(&buffer[..count]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(_) => Err(Broken::Closed),
        }
    }

    /// While the machine is raised: the next message, where one has come whole. Nothing but messages may come yet.
    pub fn next_message(&mut self) -> Result<Option<Value>, Broken> {
        self.push()?;
        self.fill()?;
        self.left_over = true;
        match self.decoder.next_frame() {
            Ok(None) => Ok(None),
            Ok(Some(Frame { kind: Kind::Message, payload, .. })) => read_object(payload).map(|fields| Some(Value::Object(fields))),
            Ok(Some(_)) => Err(Broken::Lied("a stream of a process before any was started".into())),
            Err(error) => Err(Broken::Lied(error.to_string())),
        }
    }

    fn frame(&mut self, frame: &Frame, sink: &mut dyn Sink) -> Result<(), Broken> {
        let number = frame.process;
        match frame.kind {
            Kind::Message => return self.message(frame.payload, sink),
            Kind::Stdout => self.output(number, Stream::Stdout, frame.payload, sink)?,
            Kind::Stderr => self.output(number, Stream::Stderr, frame.payload, sink)?,
            Kind::End => {
                let stream = match frame.ended_stream() {
                    Some(Kind::Stdout) => Stream::Stdout,
                    Some(Kind::Stderr) => Stream::Stderr,
                    _ => return Err(lied("the end of no stream")),
                };
                let process = self.processes.get_mut(&number).ok_or_else(|| lied("the end of a stream of no process"))?;
                if std::mem::replace(&mut process.ended[stream as usize], true) {
                    return Err(lied("the end of a stream twice"));
                }
                sink.stream_ended(number, stream);
            }
            Kind::Credit => {
                let Some((Kind::Stdin, bytes)) = frame.credit() else { return Err(lied("credit for what is no input")) };
                let process = self.processes.get_mut(&number).ok_or_else(|| lied("credit for no process"))?;
                if !process.credit_stdin(bytes) {
                    return Err(lied("more credit than was used"));
                }
                if std::mem::take(&mut process.stdin_short) {
                    sink.stdin_room(number);
                }
            }
            Kind::Stdin => return Err(lied("input for the host")),
        }
        Ok(())
    }

    fn output(&mut self, number: u32, stream: Stream, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), Broken> {
        let process = self.processes.get_mut(&number).ok_or_else(|| lied("output of no process"))?;
        if !process.take(stream, bytes.len()) {
            return Err(lied("output beyond its credit or after its end"));
        }
        if !bytes.is_empty() {
            sink.output(number, stream, bytes);
        }
        self.give_credit(number, stream);
        Ok(())
    }

    fn message(&mut self, payload: &[u8], sink: &mut dyn Sink) -> Result<(), Broken> {
        let mut fields = read_object(payload)?;
        match fields.get("event").and_then(Value::as_str) {
            Some("exited") => self.exited(&fields, sink),
            Some(_) => Err(lied("an event that is not due")),
            None => {
                let id = fields.get("id").and_then(Value::as_u64).ok_or_else(|| lied("a message without meaning"))?;
                let asked = self.asked.remove(&id).ok_or_else(|| lied("an answer that nobody asked for"))?;
                let answer = match fields.remove("failure") {
                    Some(failure) => Err(read_failure(failure)),
                    None => Ok(fields.remove("ok").unwrap_or(Value::Null)),
                };
                self.answered(asked, answer, sink)
            }
        }
    }

    fn answered(&mut self, asked: Asked, answer: Result<Value, Failure>, sink: &mut dyn Sink) -> Result<(), Broken> {
        match asked {
            Asked::Nobody => {}
            Asked::Plain(ticket) => sink.answered(ticket, answer.map(|_| Reply::Done)),
            Asked::Signal(ticket) => {
                let delivered = |ok: Value| ok.get("delivered").and_then(Value::as_bool).map(Reply::Delivered);
                sink.answered(ticket, answer.and_then(|ok| delivered(ok).ok_or_else(nonsense)));
            }
            Asked::Stats(ticket, host) => sink.answered(ticket, answer.map(|guest| Reply::Stats(with_guest(host, &guest)))),
            Asked::Top(ticket) => {
                let table = answer.and_then(|ok| serde_json::from_value::<ProcessTable>(ok).map_err(|_| nonsense()));
                sink.answered(ticket, table.map(Reply::Top));
            }
            Asked::Start(ticket, number) => match answer {
                Ok(_) if number == 0 => sink.answered(ticket, Ok(Reply::Done)),
                Ok(_) => sink.answered(ticket, Ok(Reply::Begun { host_pid: None })),
                Err(failure) => {
                    let code = if failure.code == Code::CommandNotFound { 127 } else { 126 };
                    sink.answered(ticket, Err(failure));
                    let Some(process) = self.processes.remove(&number) else { return Ok(()) };
                    if number == 0 {
                        self.main_ended = true;
                        finish(0, &process, ExitStatus::exited(code), sink);
                    }
                }
            },
        }
        Ok(())
    }

    fn exited(&mut self, fields: &Map<String, Value>, sink: &mut dyn Sink) -> Result<(), Broken> {
        let number = fields.get("process").and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or_else(|| lied("the end of what is no process"))?;
        let starting = self.asked.values().any(|asked| matches!(asked, Asked::Start(_, process) if *process == number));
        let process = self.processes.remove(&number).filter(|_| !starting).ok_or_else(|| lied("the end of a process that does not run"))?;
        let code = fields.get("code").and_then(Value::as_u64).filter(|code| *code <= 255).ok_or_else(|| lied("an exit code that is none"))?;
        let killed_by = fields.get("signal").and_then(Value::as_str).and_then(signal::number);
        let mut status = killed_by.map_or_else(|| ExitStatus::exited(code as i32), ExitStatus::signalled);
        status.out_of_memory = fields.get("outOfMemory").and_then(Value::as_bool).unwrap_or(false);
        if status.out_of_memory {
            sink.out_of_memory();
        }
        self.main_ended |= number == 0;
        finish(number, &process, status, sink);
        Ok(())
    }

    /// Answers every open question with this failure.
    pub fn fail_all(&mut self, failure: &Failure, sink: &mut dyn Sink) {
        for asked in std::mem::take(&mut self.asked).into_values() {
            match asked {
                Asked::Nobody => {}
                Asked::Start(ticket, number) => {
                    if number != 0 {
                        self.processes.remove(&number);
                    }
                    sink.answered(ticket, Err(failure.clone()));
                }
                Asked::Signal(ticket) | Asked::Plain(ticket) | Asked::Stats(ticket, _) | Asked::Top(ticket) => sink.answered(ticket, Err(failure.clone())),
            }
        }
    }

    /// Says the end of everything that was not said to have ended: the main process too, where it had not even started.
    pub fn end_everything(&mut self, status: ExitStatus, sink: &mut dyn Sink) {
        if !self.main_ended {
            self.main_ended = true;
            self.processes.entry(0).or_insert_with(|| Process::new());
        }
        for (number, process) in std::mem::take(&mut self.processes) {
            finish(number, &process, status.clone(), sink);
        }
    }

    pub fn heartbeat_due(&self) -> u64 {
        self.beaten_ns + HEARTBEAT_NS
    }

    /// Asks for a sign of life when it is time. False: there was none for too long.
    pub fn beat(&mut self) -> bool {
        let now = monotonic_ns();
        if now < self.heartbeat_due() {
            return true;
        }
        self.beaten_ns = now;
        if now - self.heard_ns > SILENCE_NS {
            return false;
        }
        self.ask(Asked::Nobody, "ping", Value::Null);
        true
    }
}

fn finish(number: u32, process: &Process, status: ExitStatus, sink: &mut dyn Sink) {
    for stream in [Stream::Stdout, Stream::Stderr] {
        if !process.ended[stream as usize] {
            sink.stream_ended(number, stream);
        }
    }
    sink.exited(number, status);
}

fn kind(stream: Stream) -> Kind {
    match stream {
        Stream::Stdout => Kind::Stdout,
        Stream::Stderr => Kind::Stderr,
    }
}

#[cfg(test)]
#[path = "agent_test.rs"]
mod tests;
