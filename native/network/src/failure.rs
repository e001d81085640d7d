//! What can go wrong, in the form that crosses every wire.

use crate::netlink::Refusal;

/// The fields of a `FailureDocument`; `code` is one of `contract/failure.ts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub what: String,
    pub remedy: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: &'static str, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), remedy: None }
    }

    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// A system call's refusal: the code follows from what the caller should do about it.
    pub(crate) fn system(what: impl std::fmt::Display, errno: i32) -> Self {
        let text = std::io::Error::from_raw_os_error(errno);
        let failure = Self::new(code_of(errno), format!("{what}: {text}"));
        match errno {
            libc::EPERM | libc::EACCES => failure.with_remedy("run the launcher as root with CAP_NET_ADMIN and CAP_SYS_ADMIN"),
            libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT => {
                failure.with_remedy("load the kernel modules bridge, veth, tun, nf_tables and nft_fib_ipv4")
            }
            _ => failure,
        }
    }

    pub(crate) fn last_system(what: impl std::fmt::Display) -> Self {
        Self::system(what, std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }

    pub(crate) fn refused(what: impl std::fmt::Display, refusal: &Refusal) -> Self {
        match &refusal.message {
            Some(message) => Self::system(format!("{what} ({message})"), refusal.errno),
            None => Self::system(what, refusal.errno),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.code, self.what)
    }
}

impl std::error::Error for Failure {}

fn code_of(errno: i32) -> &'static str {
    match errno {
        libc::EPERM | libc::EACCES | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT | libc::ENODEV => "UNAVAILABLE",
        libc::ENOMEM | libc::ENOBUFS | libc::ENOSPC | libc::EXFULL | libc::EMFILE | libc::ENFILE => "EXHAUSTED",
        libc::EADDRINUSE | libc::EEXIST => "ALREADY_EXISTS",
        _ => "INTERNAL",
    }
}
