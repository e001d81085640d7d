//! Trying mechanisms out, each in a forked child, so that nothing of it outlives the answer.

use crate::launch::Place;
use bulkhead_wire::failure::{Code, Failure, quote};
use serde_json::{Value, json};

pub fn probe(what: &str, _place: &Place) -> Result<Value, Failure> {
    Err(Failure::new(Code::InvalidSpec, format!("{} is not a probe", quote(what)))).map(|()| json!({}))
}
