//! Modules as they are loaded: linked against WASI once, instantiated many times.

use crate::files;
use crate::instance::{ComponentState, ModuleState};
use bulkhead_wire::{Code, Failure};
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::Component;
use wasmtime::{Engine, InstancePre, Linker, Module};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{I32Exit, p1, p2};

pub enum Loaded {
    /// A core module of WASI preview 1.
    Module(InstancePre<ModuleState>),
    /// A component of world `wasi:cli/command`.
    Component(CommandPre<ComponentState>),
}

/// Links a core module; NOT_EXECUTABLE says what is wrong with it.
pub fn link_module(engine: &Engine, module: &Module) -> Result<Loaded, Failure> {
    if module.get_export("_start").is_none() {
        let remedy = "build it as a command, with a main function, for wasm32-wasi or wasm32-wasip1";
        return Err(refuse("the module exports no _start: it is a library, and no WASI command").remedy(remedy));
    }
    if let Some(foreign) = module.imports().find(|import| import.module() != "wasi_snapshot_preview1") {
        let what = format!("the module imports {:?} from {:?}, which is no part of WASI preview 1", cut(foreign.name()), cut(foreign.module()));
        return Err(refuse(what).remedy("build it for wasm32-wasi or wasm32-wasip1"));
    }
    let mut linker: Linker<ModuleState> = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |state: &mut ModuleState| &mut state.wasi).map_err(|error| internal(&error))?;
    // The engine's own takes codes from 126 on for faults; a kernel does not.
    linker.allow_shadowing(true);
    let exit = |code: i32| -> wasmtime::Result<()> { Err(I32Exit(code & 0xff).into()) };
    linker.func_wrap("wasi_snapshot_preview1", "proc_exit", exit).map_err(|error| internal(&error))?;
    files::guard(&mut linker).map_err(|error| internal(&error))?;
    linker.instantiate_pre(module).map(Loaded::Module).map_err(|error| refuse(format!("the module does not fit WASI preview 1: {}", cause(&error))))
}

pub fn link_component(engine: &Engine, component: &Component) -> Result<Loaded, Failure> {
    let mut linker = wasmtime::component::Linker::new(engine);
    p2::add_to_linker_async(&mut linker).map_err(|error| internal(&error))?;
    let fit = linker.instantiate_pre(component).and_then(CommandPre::new);
    fit.map(Loaded::Component).map_err(|error| {
        refuse(format!("the component is not of the world wasi:cli/command: {}", cause(&error))).remedy("build it for wasm32-wasip2, as a command")
    })
}

pub fn refuse(what: impl Into<String>) -> Failure {
    Failure::new(Code::CommandNotExecutable, what)
}

fn internal(error: &wasmtime::Error) -> Failure {
    Failure::new(Code::Internal, format!("the wasm engine failed: {}", cause(error)))
}

/// The first cause, which names what is missing, on one line and not without end.
pub fn cause(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    for (at, part) in error.chain().take(3).enumerate() {
        if at > 0 {
            text.push_str(": ");
        }
        text.push_str(&part.to_string());
    }
    cut(&text.replace('\n', " ")).to_owned()
}

fn cut(text: &str) -> &str {
    let end = (0..=300.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// What names a compiled file for as long as it is the same.
type Key = (u64, u64, i64);
/// How many modules stay loaded though nothing runs of them.
const KEPT: usize = 32;

pub struct Library {
    engine: Engine,
    loaded: Mutex<VecDeque<(Key, Arc<Loaded>)>>,
}

impl Library {
    pub fn new(engine: Engine) -> Library {
        Library { engine, loaded: Mutex::new(VecDeque::new()) }
    }

    /// Maps a compiled file, or finds it mapped.
    pub fn load(&self, file: OwnedFd) -> Result<Arc<Loaded>, Failure> {
        let file = File::from(file);
        let metadata = file.metadata().map_err(|error| Failure::from_io("look at the compiled module", &error))?;
        let key = (metadata.dev(), metadata.ino(), metadata.mtime_nsec() ^ metadata.mtime());
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = loaded.iter().position(|(known, _)| *known == key) {
            // Moved to the end: the longest unused goes first.
            if let Some(entry) = loaded.remove(at) {
                let found = Arc::clone(&entry.1);
                loaded.push_back(entry);
                return Ok(found);
            }
        }
        let made = Arc::new(self.map(file)?);
        loaded.push_back((key, Arc::clone(&made)));
        if loaded.len() > KEPT {
            loaded.pop_front();
        }
        Ok(made)
    }

    fn map(&self, file: File) -> Result<Loaded, Failure> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let stale = |error: wasmtime::Error| {
            Failure::new(Code::CorruptData, format!("the compiled module cannot be loaded: {}", cause(&error))).remedy("remove the cache of compiled modules below Bulkhead's root")
        };
        let kind = Engine::detect_precompiled_file(&path).map_err(stale)?;
        // The launcher hands over nothing but what `compile` wrote for this very engine: see docs/boundaries/wasm.md.
        match kind {
            Some(wasmtime::Precompiled::Component) => {
                let component = unsafe { Component::deserialize_file(&self.engine, &path) }.map_err(stale)?;
                link_component(&self.engine, &component)
            }
            Some(wasmtime::Precompiled::Module) => {
                let module = unsafe { Module::deserialize_open_file(&self.engine, file) }.map_err(stale)?;
                link_module(&self.engine, &module)
            }
            None => Err(Failure::new(Code::CorruptData, "what was handed over is no compiled module")),
        }
    }
}
