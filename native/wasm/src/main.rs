//! The wasm runner: one confined process for each trust domain, and the supervisor of every instance in it.
//!
//! ```text
//! main ─▶ version   what it is, for the cache's key
//!      ├▶ compile   module ─▶ checked, compiled ─▶ a file; confined, alone, once per module
//!      └▶ serve     control (launcher) ─▶ instance: a thread of `bulkhead_supervise` around `boundary`, and a task that runs it
//! ```
//!
//! It is started without privilege, in namespaces of its own, with a root that holds nothing; what an instance may touch arrives as
//! descriptors with its launch. The engine keeps instances apart from each other, the process keeps domains apart.

mod boundary;
mod compile;
mod control;
mod engine;
mod files;
mod instance;
mod launch;
mod limits;
mod meter;
mod module;
mod sandbox;
mod stdio;
mod ticker;

const USAGE: &str = "usage: bulkhead-wasm version | compile | serve";

fn main() {
    let asked = std::env::args().nth(1).unwrap_or_default();
    let code = match asked.as_str() {
        "version" => {
            println!("{}", engine::describe());
            0
        }
        "compile" => compile::run(),
        "serve" => control::serve(),
        _ => {
            eprintln!("{USAGE}");
            2
        }
    };
    std::process::exit(code);
}
