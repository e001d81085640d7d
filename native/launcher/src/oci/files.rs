//! Files inside: a fork of this supervisor that enters the workload's view of files and nothing else, gives up what it does not need, and carries
//! out one order there by its stdio. It executes nothing of the workload's, so no path and no program inside can turn it.
//!
//! Not the pid namespace: nobody inside sees it, and `/proc` inside has nothing that is its own.

use super::exec::over;
use super::raise::doing;
use super::spawn::fork;
use super::stdio::{Inner, Stdio};
use super::verbs::Answer;
use super::{Child, Oci, Runtime};
use bulkhead_cgroup::{Attach, Group};
use bulkhead_files::{Streams, carry_out, confine, refuse};
use bulkhead_wire::boundary::Reply;
use bulkhead_wire::plan::{FilesOrder, GuestProcess};
use bulkhead_wire::{Code, Failure};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Beyond every number that stdio takes.
const ASIDE: RawFd = 100;

/// Where the child goes, opened before it is born: afterwards it has no `/proc` that it may trust.
struct Ways<'a> {
    mounts: File,
    users: Option<&'a OwnedFd>,
    network: Option<&'a OwnedFd>,
}

impl Oci {
    pub fn begin_files(&mut self, number: u32, spec: &GuestProcess) -> Answer {
        let Some(order) = &spec.files else { return Err(Failure::new(Code::Internal, "an order about files is missing")) };
        if self.order.runtime == Runtime::Runsc {
            return Err(Failure::new(Code::Unsupported, "files behind this boundary are its own kernel's"));
        }
        let pid = self.main_pid().ok_or_else(over)?;
        // Its parent is this process, so that the number is its own until it has been reaped here.
        let mounts = File::open(format!("/proc/{pid}/ns/mnt")).map_err(doing("open the workload's view of files"))?;
        let ways = Ways { mounts, users: self.ids.as_ref().map(|ids| &ids.users), network: self.network_host.as_ref() };
        let (stdio, inner) = Stdio::pipes(number, spec.stdin).map_err(doing("make pipes"))?;
        let attach = self.group.as_ref().map(Group::attach).transpose().map_err(doing("open the control groups"))?;
        let refused = self.refused();
        let born = fork(attach.as_ref()).map_err(|error| self.limit_reached(refused).unwrap_or_else(|| doing("start a process inside")(error)))?;
        if born == 0 {
            work(order, &ways, &inner, attach.as_ref(), self.own_score(spec.oom_score_adjust));
        }
        drop(inner);
        self.children.push(Child { number, pid: born, exited: false, stdio, streams_until: None });
        self.watch_exec(number);
        Ok(Reply::Begun { host_pid: Some(born) })
    }
}

/// In the child. The supervisor has one thread, so that it may allocate.
fn work(order: &FilesOrder, ways: &Ways<'_>, inner: &Inner, attach: Option<&Attach>, score: i32) -> ! {
    let code = match enter(ways, inner, attach, score) {
        Ok(root) => {
            let streams = unsafe { Streams { input: File::from_raw_fd(0), output: File::from_raw_fd(1), error: File::from_raw_fd(2) } };
            carry_out(order, &root, streams)
        }
        Err(failure) => refuse(unsafe { File::from_raw_fd(1) }, &failure),
    };
    unsafe { libc::_exit(code) }
}

fn enter(ways: &Ways<'_>, inner: &Inner, attach: Option<&Attach>, score: i32) -> Result<OwnedFd, Failure> {
    unsafe {
        wire(inner)?;
        if !attach.is_none_or(Attach::enter) {
            return Err(Failure::new(Code::Internal, "a process could not enter the workload's control groups"));
        }
        // The supervisor's own protection from the memory killer is not for what works inside.
        let _ = std::fs::write("/proc/self/oom_score_adj", score.to_string());
        libc::setsid();
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        let join = |fd: RawFd, kind: libc::c_int, what: &str| if libc::setns(fd, kind) == 0 { Ok(()) } else { Err(Failure::system(what)) };
        if let Some(network) = ways.network {
            join(network.as_raw_fd(), libc::CLONE_NEWNET, "leave the workload's network")?;
        }
        if let Some(users) = ways.users {
            join(users.as_raw_fd(), libc::CLONE_NEWUSER, "enter the workload's ids")?;
        }
        join(ways.mounts.as_raw_fd(), libc::CLONE_NEWNS, "enter the workload's view of files")?;
        if libc::chdir(c"/".as_ptr()) != 0 {
            return Err(Failure::system("enter the workload's root"));
        }
        confine::withdraw().map_err(doing("give up privileges"))
    }
}

/// Its own ends become its stdio. Aside first: a target's number may be another's source.
unsafe fn wire(inner: &Inner) -> Result<(), Failure> {
    let aside = inner.numbers().map(|fd| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ASIDE) });
    for (number, copy) in (0..).zip(aside) {
        if copy < 0 || unsafe { libc::dup2(copy, number) } < 0 {
            return Err(Failure::system("take the stdio of a process inside"));
        }
    }
    Ok(())
}
