//! The kernel's words for what goes wrong with files, as failures that say what the asker can do.

use bulkhead_archive::failure::{self as archive, quoted};
use bulkhead_wire::{Code, Failure};
use std::io::Error;

/// `doing` is a verb: "read", "write".
pub fn fault(doing: &str, path: &[u8], error: &Error) -> Failure {
    let path = quoted(path);
    let (code, why) = match error.raw_os_error() {
        Some(libc::ENOENT) => (Code::NotFound, "it does not exist".into()),
        Some(libc::ENOTDIR) => (Code::InvalidSpec, "it is no directory, or leads through what is none".into()),
        Some(libc::EROFS) => (Code::InvalidSpec, "its file system is read-only".into()),
        Some(libc::ELOOP) => (Code::InvalidSpec, "it leads through links without end, or out of the workload".into()),
        Some(libc::ENOSPC | libc::EDQUOT) => (Code::Exhausted, "the disk is full".into()),
        Some(libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::EFBIG) => (Code::Exhausted, error.to_string()),
        Some(libc::EACCES | libc::EPERM | libc::EXDEV | libc::EINVAL | libc::ENAMETOOLONG | libc::EBUSY | libc::ETXTBSY | libc::EISDIR) => (Code::InvalidSpec, error.to_string()),
        _ => (Code::Internal, error.to_string()),
    };
    Failure::new(code, format!("could not {doing} {path}: {why}"))
}

pub fn of_archive(failure: archive::Failure) -> Failure {
    let code = match failure.code {
        archive::Code::InvalidSpec => Code::InvalidSpec,
        archive::Code::AlreadyExists => Code::AlreadyExists,
        archive::Code::Unsupported => Code::Unsupported,
        archive::Code::Unavailable => Code::Unavailable,
        archive::Code::CorruptData => Code::CorruptData,
        archive::Code::Exhausted => Code::Exhausted,
        archive::Code::Internal => Code::Internal,
    };
    Failure::new(code, failure.what)
}
