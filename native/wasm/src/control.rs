//! The launcher's way in: a listening socket, handed over at birth. One request for each connection, with its descriptors.
//!
//! `{"id", "verb": "launch", "order": Order}` with the descriptors `module`, `directory`, `listener` and, where there is one, `root`.
//! The answer is `{"id", "ok": {}}` or `{"id", "failure"}`; an instance then stands, held, and serves its own socket.

use crate::launch::{self, House, Order};
use crate::module::Library;
use crate::{engine, files, sandbox, ticker};
use bulkhead_wire::descriptors;
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::frame::{Decoder, Kind};
use bulkhead_wire::message::{Request, append_answer};
use serde::Deserialize;
use serde_json::json;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the launcher puts the listening socket.
const LISTENER: i32 = 3;
/// A runner in which nothing has run for so long ends; the next launch starts another.
const IDLE: Duration = Duration::from_secs(120);
const LOOK_MS: i32 = 5_000;
const REST: Duration = Duration::from_millis(100);
/// Longest that the launcher may take to send a request that it has begun.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Launch {
    order: Order,
}

pub fn serve() -> i32 {
    match open() {
        Ok(never) => never,
        Err(what) => {
            eprintln!("bulkhead-wasm: {what}");
            1
        }
    }
}

fn open() -> Result<i32, String> {
    let fault = |doing: &'static str| move |error: std::io::Error| format!("cannot {doing}: {error}");
    // As process 1 of its namespace it would not hear what has no handler.
    unsafe { libc::signal(libc::SIGTERM, stop as *const () as libc::sighandler_t) };
    let descriptors = descriptor_limit();
    let most = most_instances(descriptors);
    let listener = UnixListener::from(unsafe { OwnedFd::from_raw_fd(LISTENER) });
    sandbox::enter(sandbox::Purpose::Serve).map_err(fault("confine itself"))?;
    let engine = engine::open().map_err(|error| format!("the wasm engine does not start: {error}"))?;
    ticker::start(engine.clone());
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(workers).max_blocking_threads(16).thread_name("wasm").enable_time().build().map_err(fault("start its workers"))?;
    let house = Arc::new(House::new(Library::new(engine.clone()), engine, runtime.handle().clone(), most, files::most(descriptors)));
    let mut idle_since = Instant::now();
    loop {
        let mut set = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let ready = unsafe { libc::poll(&mut set, 1, LOOK_MS) };
        if house.standing() > 0 || ready > 0 {
            idle_since = Instant::now();
        }
        if ready > 0 {
            match listener.accept() {
                Ok((stream, _)) => answer(stream, &house),
                // Without a descriptor to spare; whoever waits would be told of without end.
                Err(_) => std::thread::sleep(REST),
            }
        }
        if idle_since.elapsed() > IDLE {
            return Ok(0);
        }
    }
}

extern "C" fn stop(_signal: i32) {
    unsafe { libc::_exit(0) };
}

/// What an instance takes of descriptors at most, with two clients, and of separate pieces of memory.
const EACH: u64 = 10;
/// What the runner itself takes.
const OWN: u64 = 500;

/// Each has a thread, and the launcher lets a runner have a few more: see `runner.rs` there.
const MOST: u64 = 8_000;

/// As many instances as descriptors and pieces of memory are there for. Beyond that the launcher starts another runner of the domain.
fn most_instances(descriptors: u64) -> usize {
    let pieces = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65_530);
    (descriptors.min(pieces).saturating_sub(OWN) / EACH).min(MOST) as usize
}

fn descriptor_limit() -> u64 {
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
        limit.rlim_cur
    }
}

fn answer(stream: UnixStream, house: &Arc<House>) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let Ok((request, given)) = read(&stream) else { return };
    let id = request.id;
    let refused = match request.verb.as_str() {
        "launch" => request.arguments::<Launch>().and_then(|launch| launch::begin(house, launch.order, given, Reply { stream: clone(&stream), id })).err(),
        other => Some(Failure::new(Code::Unsupported, format!("the runner has no verb {}", quote(other)))),
    };
    if let Some(failure) = refused {
        Reply { stream: clone(&stream), id }.send(Err(&failure));
    }
}

fn clone(stream: &UnixStream) -> Option<UnixStream> {
    stream.try_clone().ok()
}

/// The answer that the launcher waits for.
pub struct Reply {
    stream: Option<UnixStream>,
    id: u64,
}

impl Reply {
    pub fn send(self, answer: Result<(), &Failure>) {
        let mut bytes = Vec::new();
        append_answer(&mut bytes, self.id, answer.map(|()| json!({})));
        if let Some(mut stream) = self.stream {
            let _ = stream.write_all(&bytes);
        }
    }
}

fn read(stream: &UnixStream) -> std::io::Result<(Request, Vec<OwnedFd>)> {
    let (mut decoder, mut given, mut chunk) = (Decoder::new(), Vec::new(), vec![0; 64 * 1024]);
    loop {
        let count = descriptors::receive(stream.as_raw_fd(), &mut chunk, &mut given)?;
        if count == 0 || given.len() > descriptors::MOST {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        decoder.push(&chunk[..count]);
        match decoder.next_frame() {
            Ok(None) => {}
            Ok(Some(frame)) if frame.kind == Kind::Message => {
                let request = Request::read(frame.payload).map_err(|failure| std::io::Error::other(failure.what))?;
                return Ok((request, given));
            }
            _ => return Err(std::io::ErrorKind::InvalidData.into()),
        }
    }
}
