//! What a process of ours does with files inside a workload: tells of one, reads a tree as an archive, writes an archive into a directory.
//!
//! It is called in a process that has entered the workload's root and has given up everything but root's powers over files there, and every system
//! call that this does not take (`confine`, `filter`):
//!
//!     stat    stdout: one line of JSON, `{"ok": …}` or `{"failure": {"code", "message"}}`
//!     read    stdout: that line, then a tar; a failure after the line is an exit code that is not 0, with such a line on stderr
//!     write   stdin: a tar; stdout: the line, once all is written
//!
//! Every path is resolved below the root by `openat2`, links with it, and never through what `/proc` shows of other processes. Both the workload,
//! which changes its files meanwhile, and the archive are strangers: no panic, no thread, and memory that does not grow with either.

pub mod confine;
mod fault;
mod filter;
mod input;
mod place;
mod read;
mod stat;
mod write;

use bulkhead_wire::Failure;
use bulkhead_wire::plan::FilesOrder;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

/// The three streams of such a process.
pub struct Streams {
    pub input: File,
    pub output: File,
    pub error: File,
}

/// Carries out the order below `root`; gives the process's exit code.
pub fn carry_out(order: &FilesOrder, root: &OwnedFd, mut streams: Streams) -> i32 {
    let answer = match order {
        FilesOrder::Stat { path } => place::find(root, path).map(|found| stat::describe(&found)),
        FilesOrder::Write { path, keep_kinds, keep_owners } => {
            write::write(root, path, write::Manner { keep_kinds: *keep_kinds, keep_owners: *keep_owners }, streams.input).map(|()| Value::Null)
        }
        FilesOrder::Read { path } => match place::find(root, path) {
            Err(failure) => Err(failure),
            Ok(found) => {
                if !say(&mut streams.output, &json!({ "ok": stat::describe(&found) })) {
                    return 1;
                }
                return match read::read(&found, streams.output) {
                    Ok(()) => 0,
                    Err(failure) => {
                        say(&mut streams.error, &refusal(&failure));
                        1
                    }
                };
            }
        },
    };
    let (line, code) = match answer {
        Ok(ok) => (json!({ "ok": ok }), 0),
        Err(failure) => (refusal(&failure), 1),
    };
    if say(&mut streams.output, &line) { code } else { 1 }
}

/// A failure before anything could be carried out, said where its asker looks for it.
pub fn refuse(mut output: File, failure: &Failure) -> i32 {
    say(&mut output, &refusal(failure));
    1
}

fn refusal(failure: &Failure) -> Value {
    json!({ "failure": { "code": failure.code, "message": failure.what } })
}

fn say(to: &mut File, line: &Value) -> bool {
    to.write_all(format!("{line}\n").as_bytes()).is_ok()
}
