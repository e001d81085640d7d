//! Compiling: foreign bytes from descriptor 3, a compiled module to descriptor 4, or a failure as JSON on stderr. Nothing else is asked of the system.

use crate::module::{self, cause, refuse};
use crate::{engine, sandbox};
use bulkhead_wire::Failure;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// Larger modules are refused before they are parsed.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

pub fn run() -> i32 {
    match compile() {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("{}", serde_json::to_string(&failure).unwrap_or_default());
            1
        }
    }
}

fn compile() -> Result<(), Failure> {
    sandbox::enter(sandbox::Purpose::Compile).map_err(|error| Failure::from_io("confine the compiler", &error))?;
    let mut bytes = Vec::new();
    unsafe { File::from_raw_fd(3) }.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Failure::from_io("read the module", &error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refuse(format!("the module is larger than {MOST_BYTES} bytes")));
    }
    let engine = engine::open().map_err(|error| refuse(format!("the wasm engine does not start: {}", cause(&error))))?;
    let made = translate(&engine, &bytes)?;
    unsafe { File::from_raw_fd(4) }.write_all(&made).map_err(|error| Failure::from_io("write the compiled module", &error))
}

/// Compiled and linked once, so that what cannot run is refused here and not when it starts.
fn translate(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    // `\0asm`, then a version: 1 for modules, 13 with layer 1 for components.
    let Some(header) = bytes.get(..8).filter(|header| header.starts_with(b"\0asm")) else {
        return Err(refuse("it is no wasm module: it does not begin with the bytes \\0asm"));
    };
    let broken = |error: wasmtime::Error| refuse(format!("the module cannot be compiled: {}", cause(&error)));
    if header[6] == 1 {
        let component = Component::from_binary(engine, bytes).map_err(broken)?;
        module::link_component(engine, &component)?;
        return component.serialize().map_err(broken);
    }
    let module = Module::from_binary(engine, bytes).map_err(broken)?;
    module::link_module(engine, &module)?;
    module.serialize().map_err(broken)
}
