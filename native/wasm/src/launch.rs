//! Raising an instance: its descriptors become its world, and a thread of its own supervises it from then on.

use crate::boundary::Instance;
use crate::control::Reply;
use crate::instance::{Grant, Shared, unsupported};
use crate::limits::Memory;
use crate::meter::Gate;
use crate::module::{Library, Loaded};
use crate::stdio::{Stdio, event_descriptor};
use bulkhead_supervise::{Setting, Supervisor};
use bulkhead_wire::descriptors::path_of;
use bulkhead_wire::plan::{LimitsSpec, LogSpec, MainStdio};
use bulkhead_wire::poller::Poller;
use bulkhead_wire::{Code, Failure};
use serde::Deserialize;
use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::Engine;

/// What the launcher asks for. Names of files are plain names in the workload's directory.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub workload: String,
    pub exit_record: String,
    pub start_mark: String,
    pub log: LogSpec,
    pub limits: LimitsSpec,
    pub main: MainStdio,
    pub arguments: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    pub working_directory: String,
    /// Whether a root came with it.
    pub root: bool,
    /// Processor time in all, in seconds; 0 is none.
    pub cpu_seconds: u64,
}

/// What all instances share.
pub struct House {
    library: Library,
    engine: Engine,
    runtime: tokio::runtime::Handle,
    standing: Mutex<HashSet<String>>,
    most: usize,
    /// That one instance may hold open.
    most_files: usize,
}

impl House {
    pub fn new(library: Library, engine: Engine, runtime: tokio::runtime::Handle, most: usize, most_files: usize) -> House {
        House { library, engine, runtime, standing: Mutex::default(), most, most_files }
    }

    pub fn standing(&self) -> usize {
        self.names().len()
    }

    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The supervisor's loop and its documents need little; an untouched page costs nothing.
const STACK_BYTES: usize = 256 * 1024;

/// Answers by `reply` once the instance stands, from its own thread.
pub fn begin(house: &Arc<House>, order: Order, given: Vec<OwnedFd>, reply: Reply) -> Result<(), Failure> {
    check(&order)?;
    if house.standing() >= house.most {
        let what = format!("the wasm runner of this user carries {} instances and no more", house.most);
        return Err(Failure::new(Code::Exhausted, what).remedy("end some, or give the others a tenant of their own (label bulkhead.tenant)"));
    }
    let given = Given::take(given, order.root)?;
    let loaded = house.library.load(given.module)?;
    let raised = Raised { house: Arc::clone(house), directory: given.directory, listener: given.listener, root: given.root, loaded, reply };
    if !house.names().insert(order.workload.clone()) {
        return Err(Failure::new(Code::AlreadyExists, "the workload already has an instance").remedy("end it first"));
    }
    let name = order.workload.clone();
    let spawned = std::thread::Builder::new().name("supervise".into()).stack_size(STACK_BYTES).spawn(move || raised.live(order));
    spawned.map(|_| ()).map_err(|error| {
        house.names().remove(&name);
        Failure::from_io("start the instance's supervisor", &error)
    })
}

fn check(order: &Order) -> Result<(), Failure> {
    let plain = |name: &str| !name.is_empty() && !name.contains('/') && name != "." && name != "..";
    let log_plain = match &order.log {
        LogSpec::None => true,
        LogSpec::JsonFile { path, .. } => plain(path),
    };
    if !(plain(&order.exit_record) && plain(&order.start_mark) && log_plain) {
        return Err(Failure::new(Code::InvalidSpec, "a file of the workload has no plain name"));
    }
    if order.main.terminal {
        return Err(unsupported("a wasm instance has no terminal", "run it without --tty"));
    }
    Ok(())
}

struct Given {
    module: OwnedFd,
    directory: OwnedFd,
    listener: OwnedFd,
    root: Option<OwnedFd>,
}

impl Given {
    fn take(given: Vec<OwnedFd>, with_root: bool) -> Result<Given, Failure> {
        let mut given = given.into_iter();
        match (given.next(), given.next(), given.next(), given.next(), given.next()) {
            (Some(module), Some(directory), Some(listener), root, None) if root.is_some() == with_root => Ok(Given { module, directory, listener, root }),
            _ => Err(Failure::new(Code::InvalidSpec, "a launch came without the descriptors that it names")),
        }
    }
}

struct Raised {
    house: Arc<House>,
    directory: OwnedFd,
    listener: OwnedFd,
    root: Option<OwnedFd>,
    loaded: Arc<Loaded>,
    reply: Reply,
}

impl Raised {
    fn live(self, order: Order) {
        let Raised { house, directory, listener, root, loaded, reply } = self;
        let place = |name: &str| format!("{}/{name}", path_of(&directory));
        let raised = open(&house, &order, UnixListener::from(listener), root, loaded, &place);
        match raised {
            Ok(mut supervisor) => {
                reply.send(Ok(()));
                supervisor.serve(None);
            }
            Err(failure) => {
                house.names().remove(&order.workload);
                reply.send(Err(&failure));
            }
        }
    }
}

fn open(
    house: &Arc<House>,
    order: &Order,
    listener: UnixListener,
    root: Option<OwnedFd>,
    loaded: Arc<Loaded>,
    place: &dyn Fn(&str) -> String,
) -> Result<Supervisor, Failure> {
    let fault = |doing: &'static str| move |error: std::io::Error| Failure::from_io(doing, &error);
    let poller = Rc::new(Poller::new().map_err(fault("make a poller"))?);
    let stdio = Stdio::new(order.main.stdin).map_err(fault("make an instance's streams"))?;
    let gate = Gate::new(order.cpu_seconds.saturating_mul(1_000_000_000), order.limits.cpus.filter(|cpus| *cpus > 0.0));
    let shared = Shared::new(stdio, gate, Memory::new(order.limits.memory_bytes));
    let grant = Grant {
        arguments: order.arguments.clone(),
        environment: order.environment.iter().map(|entry| entry.split_once('=').map_or((entry.clone(), String::new()), |(name, value)| (name.into(), value.into()))).collect(),
        working_directory: order.working_directory.clone(),
        root,
        most_files: house.most_files,
    };
    let instance = Instance {
        engine: house.engine.clone(),
        runtime: house.runtime.clone(),
        poller: Rc::clone(&poller),
        loaded: Some(loaded),
        grant: Some(grant),
        shared,
        pids_limit: order.limits.pids.unwrap_or(0),
        reading: [true; 2],
        open: [true; 2],
        started: None,
        ended: None,
        told: false,
    };
    let log = match &order.log {
        LogSpec::None => LogSpec::None,
        LogSpec::JsonFile { path, max_bytes, max_files } => LogSpec::JsonFile { path: place(path), max_bytes: *max_bytes, max_files: *max_files },
    };
    let setting = Setting {
        workload: &order.workload,
        exit_record: &place(&order.exit_record),
        // The launcher's to remove: its directory cannot be seen from here.
        socket: "",
        log: &log,
        main: &order.main,
        terminations: event_descriptor().map_err(fault("make an instance's bell"))?,
        start_mark: PathBuf::from(place(&order.start_mark)),
        unmade: {
            let (house, workload) = (Arc::clone(house), order.workload.clone());
            Box::new(move || {
                house.names().remove(&workload);
            })
        },
    };
    let mut supervisor = Supervisor::new(setting, listener, Box::new(instance), poller).map_err(fault("open the workload's log"))?;
    supervisor.boundary().raise(&mut |_| ())?;
    Ok(supervisor)
}
