//! `launch`: checks the plan, forks, and in the fork becomes the workload's supervisor.

use crate::beneath::Below;
use crate::detached::{close_others, set_name, signal_descriptor, silence, start_time, wait_ended};
use crate::memories::Memories;
use crate::oci::{Oci, Order, Programs, Runtime};
use crate::options::Options;
use crate::reach;
use bulkhead_supervise::{Setting, Supervisor, record};
use crate::supervisors::{self, Standing};
use crate::task::Teller;
use crate::users;
use bulkhead_cgroup::Layout;
use bulkhead_machine::{DiskMachine, Machine};
use bulkhead_wire::boundary::Boundary;
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::plan::{Engine, LaunchPlan, LogSpec, TemplateMode};
use bulkhead_wire::poller::Poller;
use serde_json::{Value, json};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What every fork needs to know of the launcher.
#[derive(Clone)]
pub struct Place {
    pub run: PathBuf,
    pub below: Rc<Below>,
    pub layout: Rc<Layout>,
    /// What the operator lets plans name: see `reach`.
    pub allowed: Rc<Vec<PathBuf>>,
}

impl Place {
    /// Looks for the control groups, and makes the root's own.
    pub fn open(options: &Options, root_id: &str) -> Result<Place, String> {
        let layout = Layout::find(root_id).map_err(|failure| failure.what)?;
        let below = Below::new(&options.root).map_err(|error| format!("cannot open {}: {error}", options.root.display()))?;
        Ok(Place { run: options.run.clone(), below: Rc::new(below), layout: Rc::new(layout), allowed: Rc::new(options.allow.clone()) })
    }
}

/// A plan whose paths and names have been checked, with what the launcher adds.
pub struct Launch {
    pub plan: LaunchPlan,
    runtime: Option<(Runtime, OwnedFd, String)>,
    /// The pages of the template that a machine begins from.
    memory: Option<OwnedFd>,
    /// The workload's earlier supervisor, where it still lives, and whoever takes away what an earlier one left.
    predecessors: Vec<OwnedFd>,
}

/// A supervisor that has told the end of its workload may still be unmaking it: a machine that powers off takes tens of milliseconds.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_SOCKET: usize = 100;

pub fn check_workload(workload: &str) -> Result<(), Failure> {
    let plain = !workload.is_empty() && workload.len() <= 64 && workload.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if plain { Ok(()) } else { Err(Failure::new(Code::InvalidSpec, format!("{} is not the id of a workload", quote(workload)))) }
}

pub fn prepare(value: Value, place: &Place, programs: &mut Programs, memories: &mut Memories) -> Result<Launch, Failure> {
    let plan = bulkhead_wire::plan::read_plan(value)?;
    check_workload(&plan.workload)?;
    place.below.open(&plan.directory, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let within = |path: &str, what: &str| {
        let inside = path.strip_prefix(plan.directory.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if inside { place.below.parent(path).map(|_| ()) } else { Err(Failure::new(Code::InvalidSpec, format!("{what} {} lies outside the workload's directory", quote(path)))) }
    };
    within(&plan.exit_record, "the exit record")?;
    if let LogSpec::JsonFile { path, .. } = &plan.log {
        within(path, "the log")?;
    }
    let in_run = Below::new(&place.run).ok().is_some_and(|run| run.parent(&plan.socket).is_ok());
    if plan.socket.len() > LONGEST_SOCKET || !(in_run || place.below.parent(&plan.socket).is_ok()) {
        let what = format!("the supervisor's socket {} is longer than {LONGEST_SOCKET} bytes, or lies neither below the run directory nor below the root", quote(&plan.socket));
        return Err(Failure::new(Code::InvalidSpec, what));
    }
    let predecessor = supervisors::find(&place.run, &plan.workload).filter(|standing| standing.shared.is_none()).and_then(|standing| standing.alive());
    let predecessors = predecessor.into_iter().collect();
    let mut memory = None;
    let runtime = match &plan.engine {
        Engine::Oci(oci) => {
            within(&oci.bundle, "the bundle")?;
            within(&oci.root.upper, "the writable layer")?;
            within(&oci.root.work, "the work directory")?;
            if let Some(disk) = &oci.disk {
                within(&disk.path, "the workload's disk")?;
            }
            reach::check_program(&oci.runtime.path, &[&oci.runtime.name], &place.allowed)?;
            reach::check_runtime_arguments(&oci.runtime.name, &oci.runtime.arguments)?;
            Some(programs.find(&oci.runtime)?)
        }
        Engine::Machine(machine) => {
            reach::check_monitor(&machine.monitor, &place.allowed)?;
            within(&machine.scratch.path, "the machine's disk")?;
            for file in machine.monitor.files.iter().filter(|file| file.writable) {
                within(&file.path, "a file that the machine may write")?;
            }
            match &machine.template {
                Some(template) if template.mode == TemplateMode::Save => {
                    within(&template.memory, "the template's memory")?;
                    within(&template.state, "the template's state")?;
                }
                Some(template) => {
                    place.below.parent(&template.state)?;
                    memory = Some(memories.get(&place.below, &template.memory)?);
                }
                None => {}
            }
            None
        }
        Engine::DiskMachine(machine) => {
            reach::check_monitor(&machine.monitor, &place.allowed)?;
            within(&machine.disk.path, "the machine's disk")?;
            for file in machine.monitor.files.iter().filter(|file| file.writable) {
                within(&file.path, "a file that the machine may write")?;
            }
            None
        }
        Engine::Wasm(wasm) => {
            place.below.parent(&wasm.module)?;
            if let Some(root) = &wasm.root {
                within(&root.upper, "the writable layer")?;
                within(&root.work, "the work directory")?;
            }
            None
        }
    };
    Ok(Launch { plan, runtime, memory, predecessors })
}

impl Launch {
    /// From a plan that has been checked, and what was found for it.
    pub fn of(plan: LaunchPlan, program: Option<(OwnedFd, String)>, memory: Option<OwnedFd>, predecessors: Vec<OwnedFd>) -> Result<Launch, Failure> {
        let runtime = match (&plan.engine, program) {
            (Engine::Oci(oci), Some((program, stamp))) => Some((Runtime::named(&oci.runtime.name)?, program, stamp)),
            _ => None,
        };
        Ok(Launch { plan, runtime, memory, predecessors })
    }

    /// The runtime's program and its stamp.
    pub fn program(&self) -> Option<(&OwnedFd, &str)> {
        self.runtime.as_ref().map(|(_, program, stamp)| (program, stamp.as_str()))
    }

    pub fn memory(&self) -> Option<&OwnedFd> {
        self.memory.as_ref()
    }

    pub fn predecessors(&self) -> &[OwnedFd] {
        &self.predecessors
    }

    /// Nothing is made before these have ended: they kill and remove by the workload's name.
    pub fn wait_for(&mut self, tasks: Vec<OwnedFd>) {
        self.predecessors.extend(tasks);
    }
}

/// In a task: has a process that carries others carry this workload too.
pub fn carry(launch: &Launch, place: &Place) -> Result<Value, Failure> {
    match &launch.plan.engine {
        Engine::Wasm(engine) => crate::wasm::launch(&launch.plan, engine, place),
        _ => Err(Failure::new(Code::Internal, "this engine has a supervisor of its own")),
    }
}

/// In the fork: raises the workload, answers, and serves until it has ended. Never returns.
pub fn supervise(launch: Launch, place: Place, teller: Teller) -> ! {
    let mut teller = teller;
    let code = match become_supervisor(launch, place, &mut teller) {
        Ok(()) => 0,
        Err(failure) => {
            teller.failure(&failure);
            0
        }
    };
    unsafe { libc::_exit(code) }
}

fn become_supervisor(launch: Launch, place: Place, teller: &mut Teller) -> Result<(), Failure> {
    detach(&launch, teller)?;
    let patience = Instant::now() + PREDECESSOR_PATIENCE;
    await_predecessors(&launch, patience)?;
    // Opened again: overlayfs takes no directory from another mount namespace than the caller's.
    let below = Below::new(place.below.path()).map_err(|error| Failure::from_io("open the root", &error))?;
    let place = Place { below: Rc::new(below), ..place };
    let claim = supervisors::claim(&place.below, &launch.plan.directory, patience)?;
    let workload = launch.plan.workload.clone();
    let run = place.run.clone();
    let pid = std::process::id() as i32;
    let standing = Standing {
        version: 1,
        workload: workload.clone(),
        pid,
        start_time: start_time(pid).unwrap_or(0),
        exit_record: launch.plan.exit_record.clone(),
        socket: launch.plan.socket.clone(),
        shared: None,
    };
    supervisors::leave(&run, &workload);
    supervisors::enter(&run, &standing).map_err(|error| Failure::from_io("note the supervisor", &error))?;
    raise_and_serve(launch, place, claim, teller).inspect_err(|_| supervisors::leave(&run, &workload))
}

fn await_predecessors(launch: &Launch, until: Instant) -> Result<(), Failure> {
    let lives = |predecessor: &OwnedFd| !wait_ended(predecessor, until.saturating_duration_since(Instant::now()).as_millis() as i32);
    match launch.predecessors.iter().any(lives) {
        true => Err(supervisors::taken()),
        false => Ok(()),
    }
}

fn raise_and_serve(launch: Launch, place: Place, claim: OwnedFd, teller: &mut Teller) -> Result<(), Failure> {
    let fault = |what: &'static str| move |error: std::io::Error| Failure::from_io(what, &error);
    let Launch { mut plan, runtime, memory, .. } = launch;
    let saves = matches!(&plan.engine, Engine::Machine(machine) if machine.template.as_ref().is_some_and(|template| template.mode == TemplateMode::Save));
    hold_places(&mut plan, &place)?;
    let _ = std::fs::remove_file(&plan.exit_record);
    record::reserve(&plan.exit_record);
    let terminations = signal_descriptor(libc::SIGTERM).map_err(fault("watch for the end"))?;
    let poller = Rc::new(Poller::new().map_err(fault("make a poller"))?);
    let listener = listen(&plan.socket)?;
    let run = place.run.clone();
    let socket = plan.socket.clone();
    let (setting, _user) = match machine_setting(&mut plan, &place, &poller)? {
        // The claim is held until the workload's end.
        Some((setting, user)) => (Some(setting), Some(user)),
        None => (None, None),
    };
    let limited = match &plan.engine {
        Engine::Oci(engine) if engine.disk.is_some() => Some(crate::oci::root_place(engine)),
        _ => None,
    };
    let boundary: Box<dyn Boundary> = match (plan.engine, setting) {
        (Engine::Oci(engine), _) => {
            let Some((runtime, program, program_stamp)) = runtime else { return Err(Failure::new(Code::Internal, "the plan lost its runtime")) };
            let order = Order {
                workload: plan.workload.clone(),
                directory: plan.directory.clone(),
                engine: *engine,
                limits: plan.limits,
                devices: plan.devices,
                all_devices: plan.all_devices,
                network: plan.network,
                main: plan.main.clone(),
                runtime,
                program,
                program_stamp,
                run: place.run,
                below: place.below,
                layout: place.layout,
            };
            Box::new(Oci::new(order, poller.clone()))
        }
        (Engine::Machine(engine), Some(setting)) => Box::new(Machine::new(setting, *engine, memory)),
        (Engine::DiskMachine(engine), Some(setting)) => Box::new(DiskMachine::new(setting, *engine)),
        _ => return Err(Failure::new(Code::Internal, "a wasm instance was given a supervisor of its own")),
    };
    let start_mark = supervisors::start_mark(&run, &plan.workload);
    let unmade = {
        let (run, workload) = (run.clone(), plan.workload.clone());
        Box::new(move || {
            supervisors::leave(&run, &workload);
            drop(claim);
            // Waits for the disk, as this process's own end does, and nobody waits for either but the next start on it.
            limited.iter().for_each(|root| crate::oci::let_go(root));
        })
    };
    let setting = Setting { workload: &plan.workload, exit_record: &plan.exit_record, socket: &socket, log: &plan.log, main: &plan.main, terminations, start_mark, unmade };
    let mut supervisor = Supervisor::new(setting, listener, boundary, poller).map_err(fault("open the workload's log"))?;
    let raised = supervisor.boundary().raise(&mut |phase| teller.progress(&json!({ "phase": phase })));
    match raised {
        Ok(_) if saves => {
            // Nothing of it stays but the template's files.
            supervisor.boundary().tear_down();
            let _ = std::fs::remove_file(&socket);
            supervisors::leave(&run, &plan.workload);
            teller.ok(json!({ "supervisorPid": std::process::id(), "mainPid": null }));
            Ok(())
        }
        Ok(main_pid) => {
            teller.ok(json!({ "supervisorPid": std::process::id(), "mainPid": main_pid }));
            teller.close();
            unsafe { libc::malloc_trim(0) };
            supervisor.serve(main_pid);
            Ok(())
        }
        Err(failure) => {
            supervisor.boundary().release();
            supervisor.boundary().tear_down();
            let _ = std::fs::remove_file(&socket);
            Err(failure)
        }
    }
}

/// What a machine's boundary is told of the host, for a user that is this machine's alone; nothing for what is no machine.
fn machine_setting(plan: &mut LaunchPlan, place: &Place, poller: &Rc<Poller>) -> Result<Option<(bulkhead_machine::Setting, users::Claim)>, Failure> {
    let mut monitor = match &mut plan.engine {
        Engine::Machine(engine) => std::mem::take(&mut engine.monitor),
        Engine::DiskMachine(engine) => std::mem::take(&mut engine.monitor),
        _ => return Ok(None),
    };
    let user = users::claim(&place.run, monitor.uid)?;
    (monitor.uid, monitor.gid) = (user.id, user.id);
    let (reached, directory) = (place.clone(), plan.directory.clone());
    let setting = bulkhead_machine::Setting {
        workload: plan.workload.clone(),
        directory: plan.directory.clone(),
        root_id: place.layout.root_id.clone(),
        layout: place.layout.clone(),
        open: Box::new(move |wanted| reach::open(&reached, &directory, wanted)),
        poller: poller.clone(),
        limits: plan.limits.clone(),
        network: plan.network.clone(),
        monitor,
    };
    Ok(Some((setting, user)))
}

/// From here on what lies in the workload's directory is named by a descriptor of that directory, so that nothing can be exchanged on the way to it.
/// The descriptors live as long as this process.
fn hold_places(plan: &mut LaunchPlan, place: &Place) -> Result<(), Failure> {
    let held = |path: &str| place.below.parent(path).map(|(parent, name)| format!("/proc/self/fd/{}/{name}", parent.into_raw_fd()));
    plan.exit_record = held(&plan.exit_record)?;
    if let LogSpec::JsonFile { path, .. } = &mut plan.log {
        *path = held(path)?;
    }
    Ok(())
}

/// A session of its own, nothing inherited but what is named, orphans of the workload as its own children, a mount namespace.
fn detach(launch: &Launch, teller: &Teller) -> Result<(), Failure> {
    let mut keep = vec![teller.descriptor()];
    if let Some((_, program, _)) = &launch.runtime {
        keep.push(program.as_raw_fd());
    }
    keep.extend(launch.memory.as_ref().map(AsRawFd::as_raw_fd));
    keep.extend(launch.predecessors.iter().map(AsRawFd::as_raw_fd));
    close_others(&keep);
    silence();
    set_name(c"bulkhead-super");
    unsafe {
        libc::setsid();
        libc::umask(0o022);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    // It outlives its workload when memory runs out; children get their own score from the runtime.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-999");
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(Failure::system("make a mount namespace"));
    }
    Ok(())
}

fn listen(socket: &str) -> Result<UnixListener, Failure> {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).map_err(|error| Failure::from_io(&format!("listen at {}", quote(socket)), &error))?;
    let _ = std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600));
    Ok(listener)
}
