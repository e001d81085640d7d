//! The supervisor's core: one per workload, behind every boundary the same. It outlives the daemon.
//!
//! ```text
//! raised, main process held ─▶ serve: clients ⇄ boundary, output ─▶ log ─▶ … main process ended, pipes drained
//!     ─▶ exit record written ─▶ ports released ─▶ everybody told ─▶ everything unmade ─▶ last bytes to slow clients ─▶ exit
//! ```

mod client;
mod hub;
mod linger;
mod log;
mod process;
pub mod record;
mod requests;
mod thrift;

use bulkhead_wire::connection::Connection;
use bulkhead_wire::boundary::Boundary;
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::door::Door;
use bulkhead_wire::frame::Kind;
use bulkhead_wire::message::Request;
use bulkhead_wire::plan::{LogSpec, MainStdio};
use bulkhead_wire::poller::{BOUNDARY, Interest, Poller, Ready};
use client::Client;
use hub::{Hub, State};
use process::{Process, STREAMS};
use serde_json::json;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::rc::Rc;

const LISTENER: u64 = 0;
const SIGNALS: u64 = 1;
const FIRST_CLIENT: u64 = 2;
/// More than any daemon needs; a bound against a runaway one.
const MOST_CLIENTS: usize = 1000;
/// Read at once from a client. Lent only while something moves, so that an idle supervisor keeps no page for it.
const SCRATCH_BYTES: usize = 64 * 1024;
const IDLE_MS: u64 = 500;

pub struct Supervisor {
    workload: String,
    exit_record: String,
    poller: Rc<Poller>,
    boundary: Box<dyn Boundary>,
    hub: Hub,
    door: Option<Door>,
    socket: String,
    terminations: OwnedFd,
    start_mark: PathBuf,
    unmade: Option<Box<dyn FnOnce()>>,
    next_token: u64,
    next_ticket: u64,
    next_process: u32,
    scratch: Vec<u8>,
    tidy: bool,
}

/// What the core needs of the plan.
pub struct Setting<'a> {
    pub workload: &'a str,
    pub exit_record: &'a str,
    pub socket: &'a str,
    pub log: &'a LogSpec,
    pub main: &'a MainStdio,
    /// Readable when the workload shall end: a signalfd of SIGTERM, or an eventfd where many share a process.
    pub terminations: OwnedFd,
    /// Made once `start` is asked for, for whoever has to tell the end in this supervisor's place.
    pub start_mark: PathBuf,
    /// Called once nothing of the workload stands any more, before slow readers are waited for.
    pub unmade: Box<dyn FnOnce()>,
}

impl Supervisor {
    /// Opens log and socket. Nothing of the boundary is touched.
    pub fn new(setting: Setting, listener: UnixListener, boundary: Box<dyn Boundary>, poller: Rc<Poller>) -> std::io::Result<Supervisor> {
        let main = Process::new(0, setting.main.terminal, setting.main.stdin, setting.main.stdin_once);
        let log = log::Log::open(setting.log)?;
        let door = Door::open(listener, LISTENER, &poller)?;
        poller.add(setting.terminations.as_raw_fd(), SIGNALS, Interest::READ)?;
        Ok(Supervisor {
            workload: setting.workload.to_string(),
            exit_record: setting.exit_record.to_string(),
            socket: setting.socket.to_string(),
            poller,
            boundary,
            hub: Hub::new(log, main),
            door: Some(door),
            terminations: setting.terminations,
            start_mark: setting.start_mark,
            unmade: Some(setting.unmade),
            next_token: FIRST_CLIENT,
            next_ticket: 0,
            next_process: 1,
            scratch: Vec::new(),
            tidy: false,
        })
    }

    pub fn boundary(&mut self) -> &mut dyn Boundary {
        self.boundary.as_mut()
    }

    /// Serves until the workload has ended, and then unmakes everything.
    pub fn serve(&mut self, main_pid: Option<i32>) {
        self.hub.processes[0].host_pid = main_pid;
        self.hub.processes[0].starting = false;
        while !self.over() {
            self.turn();
        }
        self.conclude();
    }

    fn over(&self) -> bool {
        self.hub.processes.iter().all(|process| process.told || process.starting || process.over())
            && self.hub.processes.first().is_some_and(Process::over)
    }

    /// One wait, and everything that it brought.
    fn turn(&mut self) {
        let mut ready = [Ready::EMPTY; 16];
        let Ok(count) = self.poller.wait(&mut ready, self.patience_ms()) else { return };
        if count == 0 {
            self.rest();
        } else {
            self.tidy = false;
        }
        for event in &ready[..count] {
            match event.token {
                token if token & BOUNDARY != 0 => self.boundary.ready(*event, &mut self.hub),
                LISTENER => self.welcome(),
                SIGNALS => self.terminate(),
                token => self.read_client(token, event),
            }
        }
        if self.boundary.deadline().is_some_and(|at| at <= monotonic_ns()) {
            self.boundary.tick(&mut self.hub);
        }
        self.door.iter_mut().for_each(|door| door.look(&self.poller));
        self.settle();
    }

    fn patience_ms(&self) -> Option<u64> {
        let now = monotonic_ns();
        let clients = self.hub.clients.iter().filter_map(Client::deadline).min();
        let deadline = [self.boundary.deadline(), clients, self.door.as_ref().and_then(Door::deadline)].into_iter().flatten().min();
        let until = deadline.map(|at| at.saturating_sub(now).div_ceil(1_000_000));
        if self.tidy { until } else { Some(until.unwrap_or(IDLE_MS).min(IDLE_MS)) }
    }

    /// Nothing has moved for a while: give memory back.
    fn rest(&mut self) {
        if !self.tidy {
            self.scratch = Vec::new();
            self.tidy = true;
            thrift::shrink();
        }
    }

    fn welcome(&mut self) {
        while let Some(stream) = self.door.as_mut().and_then(|door| door.welcome(&self.poller)) {
            if self.hub.clients.len() >= MOST_CLIENTS {
                continue;
            }
            let token = self.next_token;
            self.next_token += 1;
            if let Ok(connection) = Connection::new(stream, token, &self.poller) {
                self.hub.clients.push(Client::new(connection, token));
            }
        }
    }

    fn terminate(&mut self) {
        let mut information = [0u8; 128];
        unsafe { libc::read(self.terminations.as_raw_fd(), information.as_mut_ptr().cast(), information.len()) };
        self.end();
    }

    /// Kills everything behind the boundary; its ends arrive as events.
    fn end(&mut self) {
        self.hub.end_asked |= self.hub.processes[0].status.is_none();
        self.hub.state = State::Ending;
        if self.door.is_some() {
            self.boundary.end(&mut self.hub);
        }
    }

    fn read_client(&mut self, token: u64, event: &Ready) {
        let Some(at) = self.hub.clients.iter().position(|client| client.token == token) else { return };
        if event.read || event.hangup {
            self.tidy = false;
            if self.scratch.is_empty() {
                self.scratch = vec![0; SCRATCH_BYTES];
            }
            self.hub.clients[at].connection.fill(&mut self.scratch);
        }
        self.serve_client(token);
    }

    /// Takes whole frames from a client until there are none or its input must wait.
    fn serve_client(&mut self, token: u64) {
        loop {
            let Some(client) = self.hub.clients.iter_mut().find(|client| client.token == token) else { return };
            if client.waits_for.is_some() {
                return;
            }
            let under_way = self.hub.questions.iter().filter(|question| question.client == token).count();
            client.held = client.sated(under_way);
            if client.held {
                return;
            }
            let incoming = match client.connection.decoder.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => match frame.kind {
                    Kind::Message => Request::read(frame.payload).map(Incoming::Request).unwrap_or(Incoming::Nonsense),
                    Kind::Stdin => Incoming::Stdin(frame.process, frame.payload.to_vec()),
                    Kind::End if frame.ended_stream() == Some(Kind::Stdin) => Incoming::EndOfStdin(frame.process),
                    _ => Incoming::Nonsense,
                },
                Err(_) => Incoming::Nonsense,
            };
            match incoming {
                Incoming::Request(request) => self.request(token, request),
                Incoming::Stdin(number, bytes) => self.feed(token, number, &bytes),
                Incoming::EndOfStdin(number) => self.end_input(token, number),
                Incoming::Nonsense => {
                    client.connection.broken = true;
                    return;
                }
            }
        }
    }

    fn feed(&mut self, token: u64, number: u32, bytes: &[u8]) {
        let Some(client) = self.hub.clients.iter_mut().find(|client| client.token == token) else { return };
        if !client.feeds(number) {
            return;
        }
        let Some(process) = self.hub.processes.iter_mut().find(|process| process.number == number) else { return };
        process.write_stdin(bytes, self.boundary.as_mut());
        if !process.stdin_has_room() {
            client.waits_for = Some(number);
        }
    }

    fn end_input(&mut self, token: u64, number: u32) {
        let feeds = self.hub.clients.iter().any(|client| client.token == token && client.feeds(number));
        if let Some(process) = self.hub.processes.iter_mut().find(|process| process.number == number)
            && feeds
            && process.stdin_once
        {
            process.end_stdin(self.boundary.as_mut());
        }
    }

    /// After events: queues move, ends are told, streams rest or flow, bytes go out, broken clients leave.
    fn settle(&mut self) {
        for number in std::mem::take(&mut self.hub.stdin_room) {
            if let Some(process) = self.hub.processes.iter_mut().find(|process| process.number == number) {
                process.push_stdin(self.boundary.as_mut());
            }
        }
        self.hub.tell_ended_execs();
        self.wake_feeders();
        self.flush();
        let held: Vec<u64> = self.hub.clients.iter().filter(|client| client.held).map(|client| client.token).collect();
        if !held.is_empty() {
            held.into_iter().for_each(|token| self.serve_client(token));
            self.flush();
        }
        self.drop_broken();
        for at in 0..self.hub.processes.len() {
            for stream in STREAMS {
                let number = self.hub.processes[at].number;
                let wanted = self.hub.wanted_reading(number, stream);
                if wanted != self.hub.processes[at].reading[stream as usize] {
                    self.hub.processes[at].reading[stream as usize] = wanted;
                    self.boundary.set_reading(number, stream, wanted);
                }
            }
        }
    }

    fn flush(&mut self) {
        let now = monotonic_ns();
        let mut dropped = Vec::new();
        for client in &mut self.hub.clients {
            client.flush(&self.poller);
        }
        self.hub.note_who_waits();
        for client in &mut self.hub.clients {
            if client.overflows() || client.deadline().is_some_and(|at| at <= now) {
                dropped.push(client.connection.queued());
                client.connection.broken = true;
            }
        }
        for bytes in dropped {
            self.hub.tell(&json!({ "event": "client-dropped", "queuedBytes": bytes }));
        }
    }

    /// Clients whose input waited for a process that reads again (or is gone) go on with what they had sent.
    fn wake_feeders(&mut self) {
        let tokens: Vec<u64> = self.hub.clients.iter().filter(|client| client.waits_for.is_some()).map(|client| client.token).collect();
        for token in tokens {
            let Some(client) = self.hub.clients.iter().find(|client| client.token == token) else { continue };
            let Some(number) = client.waits_for else { continue };
            let waiting = self.hub.processes.iter().any(|process| process.number == number && !process.stdin_has_room() && process.status.is_none());
            if !waiting {
                self.hub.clients.iter_mut().filter(|client| client.token == token).for_each(|client| client.waits_for = None);
                self.serve_client(token);
            }
        }
    }

    fn drop_broken(&mut self) {
        while let Some(at) = self.hub.clients.iter().position(|client| client.connection.broken) {
            let client = self.hub.clients.swap_remove(at);
            self.poller.remove(client.connection.descriptor());
            for number in client.fed() {
                // Nobody is left to end the input of a process that one client's input feeds.
                if let Some(process) = self.hub.processes.iter_mut().find(|process| process.number == number && process.stdin_once) {
                    process.end_stdin(self.boundary.as_mut());
                }
            }
        }
    }

    /// The end, in the order that the contract promises.
    fn conclude(&mut self) {
        let record = record::of_end(&self.workload, &self.hub);
        let written = record::write(&self.exit_record, &record);
        self.boundary.release();
        self.hub.tell_ended_execs();
        self.hub.tell_end(0);
        self.hub.tell(&json!({ "event": "ended", "reason": record }));
        for question in std::mem::take(&mut self.hub.questions) {
            self.hub.answer::<()>(question.client, question.id, Err(&hub::has_ended()));
        }
        for (client, id) in std::mem::take(&mut self.hub.end_waiters) {
            match &written {
                Ok(()) => self.hub.answer(client, id, Ok(json!({}))),
                Err(failure) => self.hub.answer::<()>(client, id, Err(failure)),
            }
        }
        for client in &mut self.hub.clients {
            client.flush(&self.poller);
        }
        self.boundary.tear_down();
        self.door = None;
        self.answer_late();
        let _ = std::fs::remove_file(&self.socket);
        // Nothing stands any more: whoever removes the workload need not wait for slow readers.
        if let Some(unmade) = self.unmade.take() {
            unmade();
        }
        linger::linger(std::mem::take(&mut self.hub.clients), &self.poller);
    }

    /// What was asked while everything was unmade is answered too; a socket closed over unread bytes would look broken to its peer.
    fn answer_late(&mut self) {
        self.scratch.resize(SCRATCH_BYTES, 0);
        let tokens: Vec<u64> = self.hub.clients.iter().map(|client| client.token).collect();
        for token in tokens {
            let Some(client) = self.hub.clients.iter_mut().find(|client| client.token == token) else { continue };
            client.connection.fill(&mut self.scratch);
            self.serve_client(token);
        }
        for (client, id) in std::mem::take(&mut self.hub.end_waiters) {
            self.hub.answer(client, id, Ok(json!({})));
        }
    }
}

enum Incoming {
    Request(Request),
    Stdin(u32, Vec<u8>),
    EndOfStdin(u32),
    Nonsense,
}
