//! Single messages of a guest, read with suspicion.

use crate::agent::Broken;
use bulkhead_wire::greeting::speaks;
use bulkhead_wire::process::ResourceUse;
use bulkhead_wire::{Code, Failure};
use serde_json::{Map, Value};

pub const LONGEST_SENTENCE: usize = 500;

pub fn lied(what: &str) -> Broken {
    Broken::Lied(what.to_owned())
}

pub fn nonsense() -> Failure {
    Failure::new(Code::CorruptData, "the agent in the machine gave an answer without meaning")
}

pub fn read_object(payload: &[u8]) -> Result<Map<String, Value>, Broken> {
    // serde_json refuses nesting beyond 128, and a frame's length bounds the rest.
    match serde_json::from_slice(payload) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(lied("a message that is no JSON object")),
    }
}

/// A guest's failure, with its sentence cut: it may be shown to people.
pub fn read_failure(value: Value) -> Failure {
    let mut failure: Failure = serde_json::from_value(value).unwrap_or_else(|_| nonsense());
    let cut = |text: String| text.chars().filter(|letter| !letter.is_control()).take(LONGEST_SENTENCE).collect::<String>();
    failure.what = cut(failure.what);
    failure.remedy = failure.remedy.map(cut);
    failure.workload = None;
    failure.boundary = None;
    failure
}

/// What only the guest can count: its processes, and the memory that runs against the workload's limit (never more than the host sees; what the
/// machine costs beyond it is the benchmark's to tell). Processor time, disk and network stay the host's numbers.
pub fn with_guest(mut host: Box<ResourceUse>, guest: &Value) -> Box<ResourceUse> {
    let number = |name: &str| guest.get(name).and_then(Value::as_u64).unwrap_or(0);
    host.memory_bytes = number("memoryBytes").min(host.memory_bytes);
    host.memory_inactive_file_bytes = number("memoryInactiveFileBytes").min(host.memory_bytes);
    host.pids = number("pids");
    host.out_of_memory_kills = number("outOfMemoryKills");
    host
}

/// The agent's first word, or what is wrong with it.
pub fn check_hello(message: &Value) -> Result<(), Broken> {
    if message.get("event").and_then(Value::as_str) != Some("hello") {
        return Err(lied("a first word that is not hello"));
    }
    if !speaks(message.get("version").and_then(Value::as_u64)) {
        return Err(lied("another version of the protocol; the initrd is of another release"));
    }
    Ok(())
}
