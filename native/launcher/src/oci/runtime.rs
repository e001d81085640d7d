//! The runtimes that the launcher knows how to drive, each as a sealed copy in memory: nobody inside a workload can overwrite the
//! program on disk through it (CVE-2019-5736), and crun, finding itself sealed, does not copy itself at every start.

use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::plan::OciRuntime;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    Crun,
    Runc,
    /// gVisor: the main process is a kernel of the workload's own, and is asked by running the program again (`runsc.rs`).
    Runsc,
}

impl Runtime {
    pub fn named(name: &str) -> Result<Runtime, Failure> {
        match name {
            "crun" => Ok(Runtime::Crun),
            "runc" => Ok(Runtime::Runc),
            "runsc" => Ok(Runtime::Runsc),
            other => Err(Failure::new(Code::Unsupported, format!("this launcher cannot drive the runtime {}", quote(other)))),
        }
    }
}

struct Program {
    path: String,
    stamp: String,
    sealed: OwnedFd,
}

/// Sealed copies, made when first asked for and again when the file on disk has changed.
#[derive(Default)]
pub struct Programs {
    known: Vec<Program>,
}

impl Programs {
    /// The runtime, its sealed copy, and a stamp that changes with the file.
    pub fn find(&mut self, runtime: &OciRuntime) -> Result<(Runtime, OwnedFd, String), Failure> {
        let kind = Runtime::named(&runtime.name)?;
        let path = &runtime.path;
        let fault = |error: std::io::Error| {
            let mut failure = Failure::from_io(&format!("read the runtime {}", quote(path)), &error);
            failure.code = Code::Unavailable;
            failure.remedy(format!("install it: apt-get install {}", runtime.name))
        };
        if !path.starts_with('/') {
            return Err(Failure::new(Code::InvalidSpec, format!("the runtime's path {} is not absolute", quote(path))));
        }
        let mut file = File::open(path).map_err(fault)?;
        let meta = file.metadata().map_err(fault)?;
        if !meta.is_file() || meta.uid() != 0 || meta.mode() & 0o022 != 0 {
            return Err(Failure::new(Code::DeniedByPolicy, format!("the runtime {} is not a file that only root can write", quote(path))));
        }
        let stamp = format!("{:x}-{:x}-{:x}-{:x}", meta.dev(), meta.ino(), meta.size(), meta.mtime_nsec() ^ meta.mtime());
        if !self.known.iter().any(|program| program.path == *path && program.stamp == stamp) {
            // Nothing inside a gVisor sandbox can name the host's file, and a copy of it would cost 24 MB.
            let sealed = if kind == Runtime::Runsc { file.into() } else { seal(&mut file).map_err(fault)? };
            self.known.retain(|program| program.path != *path);
            self.known.push(Program { path: path.clone(), stamp: stamp.clone(), sealed });
        }
        let program = self.known.iter().find(|program| program.path == *path);
        let program = program.ok_or_else(|| Failure::new(Code::Internal, "a sealed runtime vanished"))?;
        Ok((kind, program.sealed.try_clone().map_err(fault)?, stamp))
    }
}

fn seal(file: &mut File) -> std::io::Result<OwnedFd> {
    let fd = unsafe { libc::memfd_create(c"runtime".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let mut copy = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    std::io::copy(file, &mut copy)?;
    copy.flush()?;
    unsafe { libc::fchmod(fd, 0o755) };
    // All four: crun takes nothing less for sealed.
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    if unsafe { libc::fcntl(copy.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(copy.into())
}
