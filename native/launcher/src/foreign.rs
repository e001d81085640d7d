//! Failures of the crates that do not know the wire, in the wire's own form.

use bulkhead_wire::{Code, Failure};
use serde_json::Value;

pub fn of_unpack(failure: bulkhead_unpack::Failure) -> Failure {
    Failure { remedy: failure.remedy, ..Failure::new(code(failure.code.as_str()), failure.what) }
}

fn code(name: &str) -> Code {
    serde_json::from_value(Value::from(name)).unwrap_or(Code::Internal)
}
