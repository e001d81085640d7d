//! The one error, as `src/contract/failure.ts` lays it down.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    InvalidSpec,
    NotFound,
    AlreadyExists,
    WrongState,
    Unchanged,
    Unsupported,
    Unavailable,
    DeniedByPolicy,
    Unauthenticated,
    CorruptData,
    Exhausted,
    CommandNotFound,
    CommandNotExecutable,
    TimedOut,
    Cancelled,
    ConnectionLost,
    #[serde(other)]
    Internal,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: Code,
    pub what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Failure {
    pub fn new(code: Code, what: impl Into<String>) -> Failure {
        Failure { code, what: what.into(), workload: None, boundary: None, remedy: None }
    }

    pub fn remedy(mut self, remedy: impl Into<String>) -> Failure {
        self.remedy = Some(remedy.into());
        self
    }

    /// Nothing more can be begun in a workload that has all the processes that it may have.
    pub fn at_process_limit(limit: u64) -> Failure {
        Failure::new(Code::Exhausted, format!("the workload is at its limit of {limit} processes and threads: the command found no room beside them"))
            .remedy("end some of them, or give it more room: bulkhead update --pids-limit N WORKLOAD")
    }

    /// What was begun in a workload was killed for memory before its program ran.
    pub fn at_memory_limit(limit_bytes: u64) -> Failure {
        Failure::new(Code::Exhausted, format!("the workload is at its memory limit of {limit_bytes} bytes: the kernel ended the command before its program ran"))
            .remedy("free some of its memory (files in /dev/shm and on tmpfs count), or give it more: bulkhead update --memory SIZE WORKLOAD")
    }

    /// The last system call's error, with the code that tells the caller what to do about it.
    pub fn system(doing: &str) -> Failure {
        Failure::from_io(doing, &std::io::Error::last_os_error())
    }

    pub fn from_io(doing: &str, error: &std::io::Error) -> Failure {
        let code = match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::EAGAIN) => Code::Exhausted,
            Some(libc::ENOENT) => Code::NotFound,
            Some(libc::EEXIST) => Code::AlreadyExists,
            _ => Code::Internal,
        };
        Failure::new(code, format!("could not {doing}: {error}"))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// An outside value for a sentence: quoted, control characters escaped, cut at 120 characters.
pub fn quote(value: &str) -> String {
    if value.chars().count() > 120 {
        let cut: String = value.chars().take(117).collect();
        return format!("{:?}", format!("{cut}..."));
    }
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_crosses_the_wire_in_capitals_and_an_unknown_one_becomes_internal() {
        let text = serde_json::to_string(&Failure::new(Code::CommandNotFound, "no")).unwrap();
        assert_eq!(text, r#"{"code":"COMMAND_NOT_FOUND","what":"no"}"#);
        let read: Failure = serde_json::from_str(r#"{"code":"BRAND_NEW","what":"x"}"#).unwrap();
        assert_eq!(read.code, Code::Internal);
    }
}
