//! One runner for each domain: found by its control socket, or started, confined, in a control group of its own.

use crate::detached::start_time;
use crate::instance::make_directory;
use crate::launch::Place;
use crate::programs;
use crate::removal;
use crate::supervisors::{self, Standing};
use bulkhead_cgroup::{Attach, Group};
use bulkhead_confine::{self as confine, Confinement, Seen};
use bulkhead_wire::failure::{Code, Failure};
use bulkhead_wire::plan::{LimitsSpec, WasmEngine};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

/// What every runner's name begins with; workloads' names are hexadecimal.
pub const PREFIX: &str = "wasm-";
const PROGRAM: &str = "bulkhead-wasm";
const INSIDE: &str = "/bulkhead-wasm";

pub struct Runner {
    pub name: String,
    pub pid: i32,
    pub control: UnixStream,
}

/// The runner's program, beside the launcher's own.
pub fn program() -> Result<String, Failure> {
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(|folder| folder.join(PROGRAM)));
    let found = beside.filter(|path| path.exists()).map(|path| path.to_string_lossy().into_owned()).or_else(|| programs::locate(PROGRAM));
    found.ok_or_else(|| Failure::new(Code::NotFound, "the wasm runner is not built").remedy("sh scripts/wasm-runner.sh, in the checkout"))
}

pub fn find_or_start(place: &Place, engine: &WasmEngine, number: u32) -> Result<Runner, Failure> {
    let program = program()?;
    let folder = folder(place)?;
    // A runner of another release cannot load what this one's compiler wrote: it is let be, and another stands beside it.
    let name = format!("{PREFIX}{}-{:08x}-{number}", engine.domain, stamp(&program)?);
    let socket = folder.join(format!("{name}.sock"));
    if let Some(runner) = find(place, &name, &socket) {
        return Ok(runner);
    }
    let lock = File::create(folder.join(format!("{name}.lock"))).map_err(|error| Failure::from_io("open a runner's lock", &error))?;
    if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) } != 0 {
        return Err(Failure::system("lock a runner"));
    }
    match find(place, &name, &socket) {
        Some(runner) => Ok(runner),
        None => start(place, engine, Wanted { name, socket, program, folder }),
    }
}

fn folder(place: &Place) -> Result<PathBuf, Failure> {
    let folder = place.run.join("wasm");
    make_directory(&folder, 0o700).map_err(|what| Failure::new(Code::Internal, what))?;
    Ok(folder)
}

fn stamp(program: &str) -> Result<u32, Failure> {
    let metadata = fs::metadata(program).map_err(|error| Failure::from_io("look at the wasm runner", &error))?;
    let words = [metadata.ino(), metadata.size(), metadata.mtime() as u64, metadata.mtime_nsec() as u64];
    // FNV-1a, over eight bytes at a time.
    let mixed = words.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, word| (hash ^ word).wrapping_mul(0x0100_0000_01b3));
    Ok((mixed ^ (mixed >> 32)) as u32)
}

fn find(place: &Place, name: &str, socket: &PathBuf) -> Option<Runner> {
    let control = UnixStream::connect(socket).ok()?;
    let standing = supervisors::find(&place.run, name)?;
    standing.alive()?;
    Some(Runner { name: name.to_owned(), pid: standing.pid, control })
}

/// A runner that ended while it was asked: its traces go before another is started.
pub fn forget_ended(place: &Place, runner: &Runner) {
    if let Some(standing) = supervisors::find(&place.run, &runner.name).filter(|standing| standing.alive().is_none()) {
        let _ = removal::settle_loss(place, &standing);
    }
}

struct Wanted {
    name: String,
    socket: PathBuf,
    program: String,
    folder: PathBuf,
}

fn start(place: &Place, engine: &WasmEngine, wanted: Wanted) -> Result<Runner, Failure> {
    let group = make_group(place, &wanted.name)?;
    let started = confined(engine, &wanted, &group);
    let (pid, _listener) = match started {
        Ok(started) => started,
        Err(failure) => {
            group.kill();
            group.remove();
            let _ = fs::remove_file(&wanted.socket);
            return Err(failure);
        }
    };
    let standing = Standing {
        version: 1,
        workload: wanted.name.clone(),
        pid,
        start_time: start_time(pid).unwrap_or(0),
        exit_record: String::new(),
        socket: wanted.socket.to_string_lossy().into_owned(),
        shared: None,
    };
    supervisors::enter(&place.run, &standing).map_err(|error| Failure::from_io("note the wasm runner", &error))?;
    let control = UnixStream::connect(&wanted.socket).map_err(|error| Failure::from_io("reach the wasm runner", &error))?;
    Ok(Runner { name: wanted.name, pid, control })
}

fn make_group(place: &Place, name: &str) -> Result<Group, Failure> {
    let left = Group::of(place.layout.clone(), name);
    for _ in 0..500 {
        if left.kill() == 0 && left.remove() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let make = |limits: LimitsSpec| Group::make(place.layout.clone(), name, &limits, &[], false);
    let unless_lacking = |failure: Failure, less: LimitsSpec| if failure.code == Code::Unsupported { make(less) } else { Err(failure) };
    // A host that lacks a controller bounds nobody by it.
    let (all, tasks) = (bounds(), LimitsSpec { pids: Some(MOST_TASKS), ..LimitsSpec::default() });
    make(all).or_else(|failure| unless_lacking(failure, tasks)).or_else(|failure| unless_lacking(failure, LimitsSpec::default()))
}

/// The threads of as many instances as a runner carries (8,000), and its own.
const MOST_TASKS: u64 = 8_192;

/// What one domain may take of the host, whatever its instances have as limits of their own: a runner that reaches it is ended with them.
fn bounds() -> LimitsSpec {
    LimitsSpec { pids: Some(MOST_TASKS), memory_bytes: total_memory().map(|bytes| bytes / 4 * 3), ..LimitsSpec::default() }
}

fn total_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes: u64 = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn confined(engine: &WasmEngine, wanted: &Wanted, group: &Group) -> Result<(i32, UnixListener), Failure> {
    let fault = |doing: &'static str| move |error: std::io::Error| Failure::from_io(doing, &error);
    let _ = fs::remove_file(&wanted.socket);
    let listener = UnixListener::bind(&wanted.socket).map_err(fault("listen for the wasm runner"))?;
    let _ = fs::set_permissions(&wanted.socket, fs::Permissions::from_mode(0o600));
    let stage = wanted.folder.join(format!("{}.stage", wanted.name));
    let _ = fs::create_dir(&stage);
    let stage = stage.to_string_lossy().into_owned();
    let (hole, console) = nothing()?;
    let attach: Attach = group.attach().map_err(fault("open the wasm runner's control group"))?;
    let confinement = Confinement {
        program: INSIDE,
        arguments: &["serve".to_owned()],
        uid: engine.uid,
        gid: engine.gid,
        groups: &[],
        stage: &stage,
        files: &files(&wanted.program)?,
        // The hole is kept so that writing to the console never breaks; what does not fit is dropped.
        kept: &[listener.as_raw_fd(), hole.as_raw_fd()],
        console: console.as_raw_fd(),
        attach: &attach,
        proc: true,
        mortal: false,
    };
    let started = confine::start(&confinement);
    let _ = fs::remove_dir(&stage);
    started.map(|(pid, _)| (pid, listener))
}

/// Its own program, and the kernel's random numbers, which a statically linked one reads from there.
fn files(program: &str) -> Result<[Seen; 3], Failure> {
    Ok([Seen::open_as(program, INSIDE, false)?, Seen::open("/dev/random", true)?, Seen::open("/dev/urandom", true)?])
}

/// A pipe that nobody reads, for words that nobody waits for.
fn nothing() -> Result<(OwnedFd, OwnedFd), Failure> {
    let mut ends: [RawFd; 2] = [0; 2];
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
        return Err(Failure::system("make a pipe"));
    }
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}
