//! The engine's configuration: the same for the compiler and for the runner, or nothing compiled would load.

use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use wasmtime::{Config, Engine, OptLevel};

/// As locked in `Cargo.toml`.
pub const VERSION: &str = "48.0.8";
/// The most that a module's own calls may take of the stack.
const MOST_STACK_BYTES: usize = 512 * 1024;
/// Host functions run on the same stack above it.
const STACK_BYTES: usize = 1024 * 1024;

pub fn open() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    // Endless loops give way at every tick: that is how they are shared, paused, counted and killed.
    config.epoch_interruption(true);
    config.max_wasm_stack(MOST_STACK_BYTES);
    config.async_stack_size(STACK_BYTES);
    config.cranelift_opt_level(OptLevel::Speed);
    config.wasm_backtrace_max_frames(None);
    Engine::new(&config)
}

/// `{"engine", "version", "key"}`: the key changes with whatever makes compiled modules unreadable, the processor's features included.
pub fn describe() -> Value {
    let key = open().map(|engine| {
        let mut hasher = DefaultHasher::new();
        VERSION.hash(&mut hasher);
        engine.precompile_compatibility_hash().hash(&mut hasher);
        format!("{VERSION}-{:016x}", hasher.finish())
    });
    match key {
        Ok(key) => json!({ "engine": "wasmtime", "version": VERSION, "key": key }),
        Err(error) => json!({ "engine": "wasmtime", "version": VERSION, "failure": error.to_string() }),
    }
}
