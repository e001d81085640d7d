//! `compileModule`: foreign bytes become a file that the runner maps, in a confined child that sees those bytes and nothing else.

use super::runner::program;
use crate::beneath::Below;
use crate::confined::{self, Done, Job};
use crate::launch::Place;
use bulkhead_confine::Seen;
use bulkhead_wire::failure::{Code, Failure};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compile {
    module: String,
    file: String,
}

/// Whom the compiler runs as: nobody else does.
const USER: u32 = 0x6e00_0000;
const MOST_BYTES: u64 = 4 << 30;
/// The child's own limit of processor time ends it earlier unless the host is very busy.
const DEADLINE: Duration = Duration::from_secs(600);

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
    let made = run(&program, place, &[module.as_raw_fd(), output.as_raw_fd()]);
    // Whole before it has its name: a runner trusts what lies there.
    let made = made.and_then(|()| output.sync_data().and_then(|()| fs::rename(&partial, format!("{parent}/{name}"))).map_err(fault("place the compiled module")));
    if made.is_err() {
        let _ = fs::remove_file(&partial);
    }
    made.map(|()| json!({ "bytes": output.metadata().map_or(0, |metadata| metadata.len()) }))
}

fn run(program: &str, place: &Place, kept: &[RawFd]) -> Result<(), Failure> {
    let inside = "/bulkhead-wasm";
    let done = confined::run(
        &Job {
            name: "wasm-compile",
            program: inside,
            arguments: &["compile".to_owned()],
            user: USER,
            files: &[Seen::open_as(program, inside, false)?],
            kept,
            most_memory_bytes: MOST_BYTES,
            deadline: DEADLINE,
            enough: &|| false,
        },
        place,
    )?;
    verdict(&done)
}

fn verdict(done: &Done) -> Result<(), Failure> {
    if done.well() {
        return Ok(());
    }
    if let Ok(failure) = serde_json::from_slice::<Failure>(done.words.trim_ascii()) {
        return Err(failure);
    }
    let why = if done.out_of_memory { "it needs more memory than the compiler may take" } else { "the compiler did not get through it in time, or broke" };
    Err(Failure::new(Code::CommandNotExecutable, format!("the module cannot be compiled: {why}")))
}
