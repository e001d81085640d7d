//! The launcher's loop: connections, children, supervisors' ends.

use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::connection::Connection;
use bulkhead_wire::door::Door;
use crate::detached::signal_descriptor;
use crate::launch::Place;
use crate::layers::Unfinished;
use crate::memories::Memories;
use crate::oci::Programs;
use crate::options::Options;
use crate::supervisors;
use crate::task::{Offspring, Word};
use crate::upkeep::Upkeep;
use crate::zygote::Zygote;
use crate::{peer, removal};
use bulkhead_wire::frame::Kind;
use bulkhead_wire::message::{Request, append_answer, append_progress};
use bulkhead_wire::poller::{Interest, Poller, Ready};
use bulkhead_wire::{Code, Failure};
use serde::Serialize;
use serde_json::Value;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

const LISTENER: u64 = 0;
const CHILDREN: u64 = 1;
const TERMINATION: u64 = 2;
const UPKEEP: u64 = 3;
const FIRST_TOKEN: u64 = 16;
const SCRATCH_BYTES: usize = 64 * 1024;
/// Answers that are kept for a client that does not read.
const MOST_QUEUED_BYTES: usize = 8 * 1024 * 1024;

/// Who waits for a child's answer.
#[derive(Clone, Copy)]
pub struct Asker {
    pub client: u64,
    pub id: u64,
}

pub struct Client {
    token: u64,
    pub(crate) connection: Connection,
    /// The daemon's pid, for `peer`.
    pub pid: i32,
}

pub enum Purpose {
    Task,
    /// These two are ended when the connection that asked for them closes: they take away by what that daemon knew, and the next one knows
    /// other things.
    Sweep,
    Removal(String),
    /// Clears up after a supervisor that was killed.
    Settlement(String),
    /// Ended with its asker's connection too; what it leaves unfinished is cleared away.
    Cancellable(Unfinished),
    Supervisor(String),
    /// Has a workload carried by a process that carries others.
    Carried(String),
}

pub(crate) struct Child {
    token: u64,
    pub(crate) offspring: Offspring,
    pub(crate) purpose: Purpose,
    pub(crate) asker: Option<Asker>,
    pub(crate) ended: bool,
}

/// A supervisor that an earlier launcher forked: no child of this one, watched by its pidfd.
struct Foster {
    token: u64,
    pidfd: OwnedFd,
    workload: String,
}

pub struct Server {
    poller: Poller,
    door: Door,
    signals: OwnedFd,
    terminations: OwnedFd,
    owner: u32,
    clients: Vec<Client>,
    pub(crate) children: Vec<Child>,
    fosters: Vec<Foster>,
    next_token: u64,
    pub place: Place,
    pub programs: Programs,
    pub memories: Memories,
    pub upkeep: Upkeep,
    pub zygote: Zygote,
    pub ending: bool,
}

impl Server {
    pub fn open(options: &Options, place: Place) -> io::Result<Server> {
        let poller = Poller::new()?;
        let _ = std::fs::remove_file(&options.socket);
        let listener = UnixListener::bind(&options.socket)?;
        std::fs::set_permissions(&options.socket, std::fs::Permissions::from_mode(0o600))?;
        std::os::unix::fs::chown(&options.socket, Some(options.owner), None)?;
        let signals = signal_descriptor(libc::SIGCHLD)?;
        let terminations = signal_descriptor(libc::SIGTERM)?;
        let door = Door::open(listener, LISTENER, &poller)?;
        poller.add(signals.as_raw_fd(), CHILDREN, Interest::READ)?;
        poller.add(terminations.as_raw_fd(), TERMINATION, Interest::READ)?;
        let zygote = Zygote::fork(&place)?;
        let (clients, children, fosters) = (Vec::new(), Vec::new(), Vec::new());
        let (programs, memories) = (Programs::default(), Memories::default());
        let upkeep = Upkeep::open(&place.run)?;
        poller.add(upkeep.descriptor(), UPKEEP, Interest::READ)?;
        let owner = options.owner;
        Ok(Server { poller, door, signals, terminations, owner, clients, children, fosters, next_token: FIRST_TOKEN, place, programs, memories, upkeep, zygote, ending: false })
    }

    /// Finds the supervisors that an earlier launcher left: the living are watched, for the dead the end is told.
    pub fn take_up(&mut self) {
        for standing in supervisors::all(&self.place.run) {
            match standing.alive() {
                // Its carrier's own note is watched.
                Some(_) if standing.shared.is_some() => {}
                Some(pidfd) => self.foster(pidfd, standing.workload),
                None => self.mourn(&standing.workload),
            }
        }
    }

    fn foster(&mut self, pidfd: OwnedFd, workload: String) {
        let token = self.token();
        if self.poller.add(pidfd.as_raw_fd(), token, Interest::READ).is_ok() {
            self.fosters.push(Foster { token, pidfd, workload });
        }
    }

    /// A carrier that a task has started is watched from the first workload on that it carries.
    fn watch_carrier(&mut self, workload: &str) {
        let Some(carrier) = crate::wasm::runner_of(&self.place.run, workload) else { return };
        if self.fosters.iter().any(|foster| foster.workload == carrier) {
            return;
        }
        if let Some(pidfd) = supervisors::find(&self.place.run, &carrier).and_then(|standing| standing.alive()) {
            self.foster(pidfd, carrier);
        }
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    pub fn serve(&mut self) {
        let mut ready = [Ready::EMPTY; 32];
        while !(self.ending && self.children.iter().all(|child| child.asker.is_none())) {
            let patience = self.door.deadline().map(|at| at.saturating_sub(monotonic_ns()).div_ceil(1_000_000));
            let Ok(count) = self.poller.wait(&mut ready, patience) else { return };
            self.door.look(&self.poller);
            for event in &ready[..count] {
                match event.token {
                    LISTENER => self.welcome(),
                    CHILDREN => self.reap(),
                    UPKEEP => self.look_after_firewall(),
                    TERMINATION => self.terminate(),
                    token if self.clients.iter().any(|client| client.token == token) => self.read_client(token, event),
                    token if self.children.iter().any(|child| child.token == token) => self.hear(token),
                    token => self.foster_ended(token),
                }
            }
            self.settle();
        }
        for client in &mut self.clients {
            client.connection.flush(&self.poller);
        }
    }

    /// Read, or it would wake the loop for ever while answers are still waited for.
    fn terminate(&mut self) {
        let mut information = [0u8; 128];
        unsafe { libc::read(self.terminations.as_raw_fd(), information.as_mut_ptr().cast(), information.len()) };
        self.ending = true;
    }

    fn welcome(&mut self) {
        while let Some(stream) = self.door.welcome(&self.poller) {
            let Some(credentials) = peer::of_socket(stream.as_raw_fd()).ok().filter(|peer| peer.uid == 0 || peer.uid == self.owner) else { continue };
            let token = self.token();
            if let Ok(connection) = Connection::new(stream, token, &self.poller) {
                self.clients.push(Client { token, connection, pid: credentials.pid });
            }
        }
    }

    pub fn client(&self, token: u64) -> Option<&Client> {
        self.clients.iter().find(|client| client.token == token)
    }

    fn read_client(&mut self, token: u64, event: &Ready) {
        let Some(at) = self.clients.iter().position(|client| client.token == token) else { return };
        if !(event.read || event.hangup) {
            return;
        }
        let mut scratch = vec![0; SCRATCH_BYTES];
        self.clients[at].connection.fill(&mut scratch);
        drop(scratch);
        loop {
            let Some(client) = self.clients.iter_mut().find(|client| client.token == token) else { return };
            let request = match client.connection.decoder.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) if frame.kind == Kind::Message => Request::read(frame.payload).ok(),
                _ => None,
            };
            let Some(request) = request else {
                client.connection.broken = true;
                return;
            };
            let asker = Asker { client: token, id: request.id };
            match self.verb(asker, request) {
                Ok(Some(ok)) => self.answer(asker, Ok(ok)),
                Ok(None) => {}
                Err(failure) => self.answer::<Value>(asker, Err(&failure)),
            }
        }
    }

    pub fn answer<T: Serialize>(&mut self, asker: Asker, answer: Result<T, &Failure>) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.token == asker.client) {
            append_answer(client.connection.outgoing(), asker.id, answer);
        }
    }

    /// Keeps a child whose answer somebody waits for.
    pub fn keep(&mut self, forked: io::Result<Offspring>, purpose: Purpose, asker: Option<Asker>) -> Result<(), Failure> {
        let offspring = forked.map_err(|error| Failure::from_io("fork", &error))?;
        let token = self.token();
        if let Some(descriptor) = offspring.descriptor() {
            self.poller.add(descriptor, token, Interest::READ).map_err(|error| Failure::from_io("watch a child", &error))?;
        }
        self.children.push(Child { token, offspring, purpose, asker, ended: false });
        Ok(())
    }

    /// Passes on what a child said.
    fn hear(&mut self, token: u64) {
        let Some(child) = self.children.iter_mut().find(|child| child.token == token) else { return };
        let words = child.offspring.listen();
        let Some(asker) = child.asker else { return self.forget_quiet(token) };
        for word in words {
            match word {
                Word::Progress(progress) => {
                    if let Some(client) = self.clients.iter_mut().find(|client| client.token == asker.client) {
                        append_progress(client.connection.outgoing(), asker.id, &progress);
                    }
                }
                Word::Answer(answer) => {
                    self.children.iter_mut().filter(|child| child.token == token).for_each(|child| child.asker = None);
                    self.answer(asker, answer.as_ref());
                    self.after_launch(token);
                }
            }
        }
        self.forget_quiet(token);
    }

    /// A child is kept until it has been reaped and its pipe is closed; an answer that never came is given here.
    fn forget_quiet(&mut self, token: u64) {
        let Some(at) = self.children.iter().position(|child| child.token == token) else { return };
        if !self.children[at].ended || self.children[at].offspring.descriptor().is_some() {
            return;
        }
        let child = self.children.swap_remove(at);
        let unanswered = child.asker.is_some();
        if let Some(asker) = child.asker {
            let failure = Failure::new(Code::Internal, format!("the launcher's child {} ended without an answer", child.offspring.pid));
            self.answer::<Value>(asker, Err(&failure));
        }
        match child.purpose {
            Purpose::Supervisor(workload) => self.mourn(&workload),
            Purpose::Cancellable(unfinished) if unanswered => {
                let clearing = Offspring::task(&[unfinished.descriptor()], |_| unfinished.clear());
                let _ = self.keep(clearing, Purpose::Task, None);
            }
            _ => {}
        }
    }

    /// What the asker of a launch need not wait for.
    fn after_launch(&mut self, token: u64) {
        let workload = match self.children.iter().find(|child| child.token == token).map(|child| &child.purpose) {
            Some(Purpose::Supervisor(workload)) => workload,
            Some(Purpose::Carried(workload)) => {
                let workload = workload.clone();
                return self.watch_carrier(&workload);
            }
            _ => return,
        };
        let ports = self.upkeep.take_ports(workload);
        if ports.is_empty() {
            return;
        }
        for client in &mut self.clients {
            client.connection.flush(&self.poller);
        }
        let task = Offspring::task(&[], move |_| {
            bulkhead_network::forget_flows(&ports);
            Ok(Value::Null)
        });
        let _ = self.keep(task, Purpose::Task, None);
    }

    /// Every few seconds: makes anew what a program has flushed.
    fn look_after_firewall(&mut self) {
        // Asked first: a tick that is not read would come for ever.
        if let Some(wishes) = self.upkeep.due(&self.place.layout.root_id)
            && !self.ending
        {
            let place = self.place.clone();
            let _ = self.keep(Offspring::task(&[], move |_| crate::upkeep::mend(&place, &wishes)), Purpose::Task, None);
        }
    }

    pub(crate) fn reap(&mut self) {
        let mut information = [0u8; 128];
        while unsafe { libc::read(self.signals.as_raw_fd(), information.as_mut_ptr().cast(), information.len()) } > 0 {}
        loop {
            let pid = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
            if pid <= 0 {
                return;
            }
            if let Some(child) = self.children.iter_mut().find(|child| child.offspring.pid == pid) {
                child.ended = true;
                let token = child.token;
                self.hear(token);
            }
        }
    }

    fn foster_ended(&mut self, token: u64) {
        if let Some(at) = self.fosters.iter().position(|foster| foster.token == token) {
            let foster = self.fosters.swap_remove(at);
            self.poller.remove(foster.pidfd.as_raw_fd());
            self.mourn(&foster.workload);
        }
    }

    /// A supervisor has ended. One that ended well has taken its note away; for another, its workload is killed and the loss recorded.
    pub(crate) fn mourn(&mut self, workload: &str) {
        let Some(standing) = supervisors::find(&self.place.run, workload) else { return };
        let settling = |child: &Child| !child.ended && matches!(&child.purpose, Purpose::Settlement(settled) if settled == workload);
        // A successor that has been forked takes the note over.
        if standing.alive().is_some() || !self.raising(workload).is_empty() || self.children.iter().any(settling) {
            return;
        }
        let place = self.place.clone();
        let carrier = standing.is_carrier();
        let keep = [place.below.descriptor()];
        let task = Offspring::task(&keep, move |_| if carrier { removal::settle_carrier(&place, &standing) } else { removal::settle_loss(&place, &standing) });
        let _ = self.keep(task, Purpose::Settlement(workload.to_string()), None);
    }

    /// Bytes go out; connections that are gone leave, and what only they wanted stops.
    fn settle(&mut self) {
        for client in &mut self.clients {
            client.connection.flush(&self.poller);
            if client.connection.queued() > MOST_QUEUED_BYTES {
                eprintln!("bulkhead-launcher: dropped a client (pid {}) that reads no answers; {} bytes waited for it", client.pid, client.connection.queued());
                client.connection.broken = true;
            }
        }
        while let Some(at) = self.clients.iter().position(|client| client.connection.broken) {
            let client = self.clients.swap_remove(at);
            self.poller.remove(client.connection.descriptor());
            for child in &self.children {
                if matches!(child.purpose, Purpose::Sweep | Purpose::Removal(_) | Purpose::Cancellable(_)) && child.asker.is_some_and(|asker| asker.client == client.token) && !child.ended {
                    unsafe { libc::kill(child.offspring.pid, libc::SIGTERM) };
                }
            }
        }
    }
}

