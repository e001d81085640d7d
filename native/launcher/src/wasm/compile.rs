//! `compileModule`: foreign bytes become a file that the runner maps, in a confined child that sees those bytes and nothing else.

use super::runner::program;
use crate::beneath::Below;
use crate::detached::wait_ended;
use crate::launch::Place;
use bulkhead_cgroup::Group;
use bulkhead_confine::{self as confine, Confinement, Seen};
use bulkhead_wire::failure::{Code, Failure};
use bulkhead_wire::plan::LimitsSpec;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compile {
    module: String,
    file: String,
}

/// Whom the compiler runs as: nobody else does.
const USER: u32 = 0x6e00_0000;
const MOST_BYTES: u64 = 4 << 30;
const MOST_PIDS: u64 = 64;
/// The child's own limit of processor time ends it earlier unless the host is very busy.
const DEADLINE_MS: i32 = 600_000;
const MOST_WORDS: u64 = 64 * 1024;

pub fn compile(order: &Compile, place: &Place) -> Result<Value, Failure> {
    let fault = |doing: &'static str| move |error: std::io::Error| Failure::from_io(doing, &error);
    let program = program()?;
    let below = Below::new(place.below.path()).map_err(fault("open the root"))?;
    let module = below.open(&order.module, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
    if !fs::File::from(module.try_clone().map_err(fault("look at the module"))?).metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(Failure::new(Code::CommandNotExecutable, "it is no regular file"));
    }
    let (parent, name) = below.parent(&order.file)?;
    let parent = format!("/proc/self/fd/{}", parent.as_raw_fd());
    let pid = std::process::id();
    let partial = format!("{parent}/.{name}.{pid}");
    let output = File::create(&partial).map_err(fault("make the compiled module's file"))?;
    let group_name = format!("wasm-compile-{pid}");
    let limits = LimitsSpec { memory_bytes: Some(MOST_BYTES), pids: Some(MOST_PIDS), ..LimitsSpec::default() };
    let made = Group::make(place.layout.clone(), &group_name, &limits, &[], false).and_then(|group| {
        let made = run(&program, place, &group, &[module.as_raw_fd(), output.as_raw_fd()]);
        while !(group.kill() == 0 && group.remove()) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        made
    });
    // Whole before it has its name: a runner trusts what lies there.
    let made = made.and_then(|()| output.sync_data().and_then(|()| fs::rename(&partial, format!("{parent}/{name}"))).map_err(fault("place the compiled module")));
    if made.is_err() {
        let _ = fs::remove_file(&partial);
    }
    made.map(|()| json!({ "bytes": output.metadata().map_or(0, |metadata| metadata.len()) }))
}

fn run(program: &str, place: &Place, group: &Group, kept: &[RawFd]) -> Result<(), Failure> {
    let attach = group.attach().map_err(|error| Failure::from_io("open the compiler's control group", &error))?;
    let stage = place.run.join(format!("wasm-compile-{}.stage", std::process::id()));
    let _ = fs::create_dir(&stage);
    let (said, console) = pipe()?;
    let inside = "/bulkhead-wasm";
    let started = confine::start(&Confinement {
        program: inside,
        arguments: &["compile".to_owned()],
        uid: USER,
        gid: USER,
        stage: &stage.to_string_lossy(),
        files: &[Seen::open_as(program, inside, false)?],
        kept,
        console: console.as_raw_fd(),
        attach: &attach,
        proc: false,
        mortal: true,
    });
    let _ = fs::remove_dir(&stage);
    let (pid, pidfd) = started?;
    drop(console);
    // What it says is short unless it lies; it ends when it is done, and is ended when it is not.
    let reading = std::thread::spawn(move || {
        let mut words = Vec::new();
        let _ = File::from(said).take(MOST_WORDS).read_to_end(&mut words);
        words
    });
    let in_time = wait_ended(&pidfd, DEADLINE_MS);
    if !in_time {
        group.kill();
    }
    let mut status = 0;
    unsafe { libc::waitpid(pid, &mut status, 0) };
    let words = reading.join().unwrap_or_default();
    verdict(status, in_time, group.out_of_memory_kills() > 0, &words)
}

fn verdict(status: i32, in_time: bool, out_of_memory: bool, words: &[u8]) -> Result<(), Failure> {
    if in_time && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
        return Ok(());
    }
    if let Ok(failure) = serde_json::from_slice::<Failure>(words.trim_ascii()) {
        return Err(failure);
    }
    let why = if out_of_memory { "it needs more memory than the compiler may take" } else { "the compiler did not get through it in time, or broke" };
    Err(Failure::new(Code::CommandNotExecutable, format!("the module cannot be compiled: {why}")))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let mut ends: [RawFd; 2] = [0; 2];
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Failure::system("make a pipe"));
    }
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}
