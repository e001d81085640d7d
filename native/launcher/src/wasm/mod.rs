//! Wasm instances. They have no supervisor of the launcher's own: the runner of their domain is confined, and supervises them itself.
//!
//! ```text
//! launch   task: note ─▶ world (directory, root, volumes as detached mounts) ─▶ runner of the domain, started where there is none
//!          ─▶ order with descriptors ─▶ the runner's answer is the launch's
//! remove   `end` to the instance's own socket; where nobody answers, the runner is killed with all that is in it
//! ```

pub mod compile;
mod runner;
mod world;

pub use runner::program;

use crate::beneath::Below;
use crate::detached::start_time;
use crate::launch::Place;
use crate::supervisors::{self, Shared, Standing};
use bulkhead_wire::descriptors;
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::frame::{Decoder, Kind};
use bulkhead_wire::message::{append_message, read_answer};
use bulkhead_wire::plan::{LaunchPlan, LogSpec, WasmEngine};
use serde_json::{Value, json};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// Beside the exit record, by the runner: its instance's start was asked for.
const START_MARK: &str = "started";
/// A runner that is busy loading a large module still answers within this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of one domain. The first carries thousands.
const MOST_RUNNERS: u32 = 16;
const END_PATIENCE: Duration = Duration::from_secs(5);
const UNMAKING_MS: u32 = 2_000;

/// In a task: an instance that stands, held, in its domain's runner.
pub fn launch(plan: &LaunchPlan, engine: &WasmEngine, place: &Place) -> Result<Value, Failure> {
    check(engine)?;
    let below = Below::new(place.below.path()).map_err(|error| Failure::from_io("open the root", &error))?;
    let place = Place { below: Rc::new(below), ..place.clone() };
    let directory = place.below.open(&plan.directory, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let _ = std::fs::remove_file(&plan.exit_record);
    let _ = std::fs::remove_file(format!("{}/{START_MARK}", plan.directory));
    let outcome = raise(plan, engine, &place, &directory);
    if outcome.is_err() {
        let _ = std::fs::remove_file(&plan.socket);
        supervisors::leave(&place.run, &plan.workload);
    }
    outcome
}

fn check(engine: &WasmEngine) -> Result<(), Failure> {
    let plain = (1..=32).contains(&engine.domain.len()) && engine.domain.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !plain || engine.uid == 0 || engine.gid == 0 {
        return Err(Failure::new(Code::InvalidSpec, format!("{} is no domain with a user of its own", quote(&engine.domain))));
    }
    Ok(())
}

fn raise(plan: &LaunchPlan, engine: &WasmEngine, place: &Place, directory: &OwnedFd) -> Result<Value, Failure> {
    let module = place.below.open(&engine.module, libc::O_RDONLY, 0)?;
    let world = world::raise(plan, engine, place, directory)?;
    let listener = listen(&plan.socket)?;
    let mut given = vec![module.as_raw_fd(), world.directory.as_raw_fd(), listener.as_raw_fd()];
    given.extend(world.root.as_ref().map(AsRawFd::as_raw_fd));
    let request = json!({ "id": 1, "verb": "launch", "order": order(plan, engine, world.root.is_some())? });
    // A domain that is larger than one runner carries has several; a domain's runner carries nobody else's.
    for number in 0..MOST_RUNNERS {
        match ask(plan, engine, place, &Launch { number, request: &request, given: &given }) {
            Err(failure) if failure.code == Code::Exhausted && number + 1 < MOST_RUNNERS => {}
            answer => return answer,
        }
    }
    Err(Failure::new(Code::Exhausted, "the wasm runners of this user carry as many instances as they can"))
}

struct Launch<'a> {
    /// Which of the domain's runners is asked.
    number: u32,
    request: &'a Value,
    given: &'a [i32],
}

fn ask(plan: &LaunchPlan, engine: &WasmEngine, place: &Place, launch: &Launch) -> Result<Value, Failure> {
    // Twice: a runner that had nothing to do may end just when it is asked.
    for last in [false, true] {
        let runner = runner::find_or_start(place, engine, launch.number)?;
        note(plan, place, &runner)?;
        match exchange(&runner.control, launch.request, launch.given) {
            Err(failure) if failure.code == Code::ConnectionLost && !last => runner::forget_ended(place, &runner),
            Err(failure) => return Err(failure),
            Ok(()) => return Ok(json!({ "supervisorPid": runner.pid, "mainPid": null })),
        }
    }
    Err(Failure::new(Code::Internal, "the wasm runner could not be asked"))
}

fn order(plan: &LaunchPlan, engine: &WasmEngine, root: bool) -> Result<Value, Failure> {
    // Checked to lie in the workload's directory before this; the runner sees that directory and nothing above it.
    let name = |path: &str| {
        let name = path.strip_prefix(plan.directory.as_str()).and_then(|rest| rest.strip_prefix('/')).filter(|rest| !rest.contains('/'));
        name.map(str::to_owned).ok_or_else(|| Failure::new(Code::InvalidSpec, format!("{} must lie directly in the workload's directory", quote(path))))
    };
    let log = match &plan.log {
        LogSpec::None => json!({ "kind": "none" }),
        LogSpec::JsonFile { path, max_bytes, max_files } => json!({ "kind": "json-file", "path": name(path)?, "maxBytes": max_bytes, "maxFiles": max_files }),
    };
    Ok(json!({
        "workload": plan.workload,
        "exitRecord": name(&plan.exit_record)?,
        "startMark": START_MARK,
        "log": log,
        "limits": plan.limits,
        "main": { "terminal": plan.main.terminal, "stdin": plan.main.stdin, "stdinOnce": plan.main.stdin_once },
        "arguments": engine.arguments,
        "environment": engine.environment,
        "workingDirectory": engine.working_directory,
        "root": root,
        "cpuSeconds": engine.cpu_seconds,
    }))
}

fn listen(socket: &str) -> Result<UnixListener, Failure> {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).map_err(|error| Failure::from_io(&format!("listen at {}", quote(socket)), &error))?;
    let _ = std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600));
    Ok(listener)
}

/// Before the runner knows of it: whoever removes the workload meanwhile finds whom to ask.
fn note(plan: &LaunchPlan, place: &Place, runner: &runner::Runner) -> Result<(), Failure> {
    let standing = Standing {
        version: 1,
        workload: plan.workload.clone(),
        pid: runner.pid,
        start_time: start_time(runner.pid).unwrap_or(0),
        exit_record: plan.exit_record.clone(),
        socket: plan.socket.clone(),
        shared: Some(Shared { runner: runner.name.clone(), start_mark: format!("{}/{START_MARK}", plan.directory) }),
    };
    supervisors::enter(&place.run, &standing).map_err(|error| Failure::from_io("note the instance", &error))
}

fn exchange(control: &UnixStream, request: &Value, given: &[i32]) -> Result<(), Failure> {
    let lost = || Failure::new(Code::ConnectionLost, "the wasm runner ended before it answered");
    let mut bytes = Vec::new();
    append_message(&mut bytes, request);
    descriptors::send(control.as_raw_fd(), &bytes, given).map_err(|_| lost())?;
    match hear(control, PATIENCE) {
        Ok(answer) => answer.map(|_| ()),
        Err(Code::TimedOut) => Err(Failure::new(Code::TimedOut, "the wasm runner did not answer in time")),
        Err(_) => Err(lost()),
    }
}

/// The first answer on a connection; events before it are passed over.
fn hear(stream: &UnixStream, patience: Duration) -> Result<Result<Value, Failure>, Code> {
    let _ = stream.set_read_timeout(Some(patience));
    let (mut decoder, mut chunk, mut stream) = (Decoder::new(), [0u8; 4096], stream);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Err(Code::ConnectionLost),
            Ok(count) => decoder.push(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(Code::TimedOut),
            Err(_) => return Err(Code::ConnectionLost),
        }
        while let Ok(Some(frame)) = decoder.next_frame() {
            if frame.kind == Kind::Message && let Ok((1, answer)) = read_answer(frame.payload) {
                return Ok(answer);
            }
        }
    }
}

/// Has the runner end one instance, and waits until nothing of it stands. False where it does not answer in time.
pub fn end(standing: &Standing) -> bool {
    let Ok(stream) = UnixStream::connect(&standing.socket) else { return true };
    let mut bytes = Vec::new();
    append_message(&mut bytes, &json!({ "id": 1, "verb": "end" }));
    let asked = descriptors::send(stream.as_raw_fd(), &bytes, &[]).is_ok();
    if asked && !matches!(hear(&stream, END_PATIENCE), Ok(_) | Err(Code::ConnectionLost)) {
        return false;
    }
    // It has answered or gone; its socket closes when all is unmade. Slow readers may still be served after that.
    (0..UNMAKING_MS).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        UnixStream::connect(&standing.socket).is_err()
    })
}

/// The runner of a shared note, as the name under which it is noted itself.
pub fn runner_of(run: &Path, workload: &str) -> Option<String> {
    supervisors::find(run, workload)?.shared.map(|shared| shared.runner)
}
