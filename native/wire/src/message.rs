//! Requests, answers and events: JSON objects in `message` frames.

use crate::failure::{Code, Failure, quote};
use crate::frame::{Kind, MAX_PAYLOAD_BYTES, append};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// `{"id", "verb", …arguments}`.
#[derive(Debug)]
pub struct Request {
    pub id: u64,
    pub verb: String,
    pub arguments: Map<String, Value>,
}

impl Request {
    /// Reads a request; without a usable id there is nobody to answer, and the connection is to be closed.
    pub fn read(payload: &[u8]) -> Result<Request, Failure> {
        let broken = |what: &str| Failure::new(Code::CorruptData, format!("a message {what}"));
        let value: Value = serde_json::from_slice(payload).map_err(|error| broken(&format!("is not JSON: {error}")))?;
        let Value::Object(mut arguments) = value else { return Err(broken("is not an object")) };
        let id = arguments.remove("id").and_then(|id| id.as_u64()).ok_or_else(|| broken("has no id"))?;
        let Some(Value::String(verb)) = arguments.remove("verb") else { return Err(broken("has no verb")) };
        Ok(Request { id, verb, arguments })
    }

    /// The arguments in their own form; INVALID_SPEC says which field is wrong.
    pub fn arguments<T: DeserializeOwned>(self) -> Result<T, Failure> {
        serde_json::from_value(Value::Object(self.arguments))
            .map_err(|error| Failure::new(Code::InvalidSpec, format!("the arguments of {} are wrong: {error}", quote(&self.verb))))
    }
}

/// `{"id", "ok" | "failure"}` of an answer that arrived.
pub fn read_answer(payload: &[u8]) -> Result<(u64, Result<Value, Failure>), Failure> {
    let mut value: Value = serde_json::from_slice(payload)
        .map_err(|error| Failure::new(Code::CorruptData, format!("an answer is not JSON: {error}")))?;
    let id = value.get("id").and_then(Value::as_u64);
    let id = id.ok_or_else(|| Failure::new(Code::CorruptData, "an answer has no id"))?;
    if let Some(failure) = value.get_mut("failure") {
        let failure = serde_json::from_value(failure.take())
            .unwrap_or_else(|_| Failure::new(Code::Internal, "the other end failed without saying why"));
        return Ok((id, Err(failure)));
    }
    Ok((id, Ok(value.get_mut("ok").map(Value::take).unwrap_or(Value::Null))))
}

/// Appends a message frame. A message longer than a frame may be is replaced by one that says so.
pub fn append_message(out: &mut Vec<u8>, message: &Value) {
    let bytes = serde_json::to_vec(message).unwrap_or_default();
    if bytes.len() <= MAX_PAYLOAD_BYTES {
        return append(out, Kind::Message, 0, &bytes);
    }
    let failure = Failure::new(Code::Exhausted, format!("an answer of {} bytes does not fit into a frame", bytes.len()));
    append_answer::<()>(out, message.get("id").and_then(Value::as_u64).unwrap_or(0), Err(&failure));
}

/// Appends an answer frame.
pub fn append_answer<T: Serialize>(out: &mut Vec<u8>, id: u64, answer: Result<T, &Failure>) {
    let message = match answer {
        Ok(ok) => json!({ "id": id, "ok": ok }),
        Err(failure) => json!({ "id": id, "failure": failure }),
    };
    append_message(out, &message);
}

/// Appends `{"id", "progress"}`.
pub fn append_progress(out: &mut Vec<u8>, id: u64, progress: &Value) {
    append_message(out, &json!({ "id": id, "progress": progress }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_an_id_or_verb_is_corrupt() {
        for text in ["", "[]", "7", "{}", r#"{"id":-1,"verb":"x"}"#, r#"{"id":1}"#, r#"{"id":1,"verb":2}"#, "\u{0}"] {
            assert_eq!(Request::read(text.as_bytes()).unwrap_err().code, Code::CorruptData, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let text = format!("{{\"id\":1,\"verb\":\"x\",\"a\":{}", "[".repeat(500_000));
        assert!(Request::read(text.as_bytes()).is_err());
    }

    #[test]
    fn an_answer_is_read_back_as_it_was_written() {
        let mut out = Vec::new();
        append_answer(&mut out, 7, Ok(json!({"a": 1})));
        assert_eq!(read_answer(&out[9..]).unwrap(), (7, Ok(json!({"a": 1}))));
        out.clear();
        append_answer::<()>(&mut out, 8, Err(&Failure::new(Code::NotFound, "gone")));
        assert_eq!(read_answer(&out[9..]).unwrap().1.unwrap_err().code, Code::NotFound);
    }
}
