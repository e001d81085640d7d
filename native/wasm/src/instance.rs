//! One instance: a store with what it was granted and nothing else, run to its end.

use crate::files;
use crate::limits::{Limiter, Memory};
use crate::meter::{Gate, Meter, Metered};
use crate::module::{Loaded, cause};
use crate::stdio::{Input, Output, Stdio};
use crate::ticker::Running;
use bulkhead_wire::boundary::Stream;
use bulkhead_wire::descriptors::path_of;
use bulkhead_wire::process::ExitStatus;
use bulkhead_wire::{Code, Failure};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::{Engine, Store, Trap};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, I32Exit, ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

pub struct ModuleState {
    pub wasi: WasiP1Ctx,
    pub most_files: usize,
    limiter: Limiter,
}

pub struct ComponentState {
    wasi: WasiCtx,
    table: ResourceTable,
    limiter: Limiter,
}

impl WasiView for ComponentState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// What an instance is given.
pub struct Grant {
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub working_directory: String,
    /// A tree of its own, seen as `/`.
    pub root: Option<OwnedFd>,
    /// Open at once.
    pub most_files: usize,
}

/// What the task and the supervisor's thread share.
pub struct Shared {
    pub stdio: Arc<Stdio>,
    pub gate: Arc<Gate>,
    pub memory: Arc<Memory>,
    news: Mutex<News>,
}

#[derive(Default)]
pub struct News {
    /// Its program runs, or has ended before it could.
    pub begun: bool,
    pub ended: Option<ExitStatus>,
}

impl Shared {
    pub fn new(stdio: Arc<Stdio>, gate: Arc<Gate>, memory: Arc<Memory>) -> Arc<Shared> {
        Arc::new(Shared { stdio, gate, memory, news: Mutex::default() })
    }

    pub fn news(&self) -> News {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.stdio.ring();
    }
}

/// Runs it, and tells `shared` how it went.
pub async fn run(engine: Engine, loaded: Arc<Loaded>, grant: Grant, shared: Arc<Shared>) {
    let _running = Running::begin();
    let told = Arc::clone(&shared);
    let begun = move || told.tell(|news| news.begun = true);
    let inner = enter(engine, loaded, grant, Arc::clone(&shared), begun);
    let metered = Meter::new(inner, Arc::clone(&shared.gate)).await;
    let (status, out_of_memory, last_words) = judge(metered, shared.memory.exceeded());
    if let Some(words) = last_words {
        shared.stdio.append_error(&format!("bulkhead: {words}\n"));
    }
    shared.tell(|news| {
        news.begun = true;
        news.ended = Some(ExitStatus { out_of_memory, ..status });
    });
}

/// Until the program's end. What it leaves is dropped with the store.
async fn enter(engine: Engine, loaded: Arc<Loaded>, grant: Grant, shared: Arc<Shared>, begun: impl FnOnce()) -> wasmtime::Result<i32> {
    let limiter = Limiter(Arc::clone(&shared.memory));
    let most_files = grant.most_files;
    let mut builder = authority(grant, &shared.stdio)?;
    match &*loaded {
        Loaded::Module(ready) => {
            let mut store = Store::new(&engine, ModuleState { wasi: builder.build_p1(), most_files, limiter });
            files::bound_module(&mut store.data_mut().wasi, most_files);
            store.limiter(|state| &mut state.limiter);
            store.set_epoch_deadline(1);
            store.epoch_deadline_async_yield_and_update(1);
            let instance = ready.instantiate_async(&mut store).await?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            begun();
            start.call_async(&mut store, ()).await.map(|()| 0)
        }
        Loaded::Component(ready) => {
            let mut table = ResourceTable::new();
            files::bound_component(&mut table, most_files);
            let mut store = Store::new(&engine, ComponentState { wasi: builder.build(), table, limiter });
            store.limiter(|state| &mut state.limiter);
            store.set_epoch_deadline(1);
            store.epoch_deadline_async_yield_and_update(1);
            let command = ready.instantiate_async(&mut store).await?;
            begun();
            let done = command.wasi_cli_run().call_run(&mut store).await?;
            Ok(i32::from(done.is_err()))
        }
    }
}

/// Everything that it may touch. No network: not by WASI, and the process has none either.
fn authority(grant: Grant, stdio: &Arc<Stdio>) -> wasmtime::Result<WasiCtxBuilder> {
    let mut builder = WasiCtxBuilder::new();
    builder.stdin(Input(Arc::clone(stdio)));
    builder.stdout(Output(Arc::clone(stdio), Stream::Stdout)).stderr(Output(Arc::clone(stdio), Stream::Stderr));
    builder.args(&grant.arguments).envs(&grant.environment);
    builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    if let Some(root) = grant.root {
        // What may not be written is mounted so.
        builder.preopened_dir(path_of(&root), "/", FsPerms::ReadWrite)?;
        builder.initial_cwd(&grant.working_directory);
    }
    Ok(builder)
}

/// The end as a status, whether memory was its cause, and one line for whoever reads the log. Traps end as the signal by which a
/// kernel would have ended a native program for the same fault.
fn judge(metered: Metered<wasmtime::Result<i32>>, exceeded: bool) -> (ExitStatus, bool, Option<String>) {
    let error = match metered {
        Metered::Killed(signal) => return (ExitStatus::signalled(signal), false, None),
        Metered::OutOfTime => return (ExitStatus::signalled(libc::SIGXCPU), false, Some("out of time: the limit of processor time is reached".into())),
        Metered::Done(Ok(code)) => return (ExitStatus::exited(code), false, None),
        Metered::Done(Err(error)) => error,
    };
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return (ExitStatus::exited(exit.0), false, None);
    }
    if exceeded {
        return (ExitStatus::signalled(libc::SIGKILL), true, Some("out of memory: the limit of memory is reached".into()));
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => (ExitStatus::signalled(signal_of(*trap)), false, Some(trap.to_string())),
        None => (ExitStatus::signalled(libc::SIGABRT), false, Some(cause(&error))),
    }
}

fn signal_of(trap: Trap) -> i32 {
    match trap {
        Trap::StackOverflow | Trap::MemoryOutOfBounds => libc::SIGSEGV,
        Trap::HeapMisaligned => libc::SIGBUS,
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => libc::SIGFPE,
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature => libc::SIGILL,
        _ => libc::SIGABRT,
    }
}

/// For a launch that asks for what a boundary without a kernel cannot give.
pub fn unsupported(what: &str, remedy: &str) -> Failure {
    Failure::new(Code::Unsupported, what).remedy(remedy)
}
