//! The same error as everywhere in Bulkhead: a code, one sentence, a remedy.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidSpec,
    AlreadyExists,
    Unsupported,
    Unavailable,
    CorruptData,
    Exhausted,
    Internal,
}

impl Code {
    /// As in the contract's table of failures.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidSpec => "INVALID_SPEC",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::Unsupported => "UNSUPPORTED",
            Code::Unavailable => "UNAVAILABLE",
            Code::CorruptData => "CORRUPT_DATA",
            Code::Exhausted => "EXHAUSTED",
            Code::Internal => "INTERNAL",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    pub what: String,
    pub remedy: Option<String>,
}

impl Failure {
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Failure { code, what: what.into(), remedy: None }
    }

    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::new(Code::CorruptData, what)
    }

    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// A failed system call. A full disk is told apart, because the reader can mend it.
    pub fn system(doing: impl fmt::Display, error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => {
                Self::new(Code::Exhausted, format!("the disk is full: {doing}")).with_remedy("free space below the root, then ask again")
            }
            _ => Self::new(Code::Internal, format!("{doing}: {error}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.code.as_str(), self.what)
    }
}

impl std::error::Error for Failure {}

/// A name from outside, quoted and cut, for a sentence.
pub fn quoted(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().take(120).flat_map(char::escape_debug).collect();
    format!("\"{text}\"")
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::new(Code::Internal, error.to_string())
    }
}
