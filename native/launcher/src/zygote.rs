//! Supervisors are not forked from the launcher itself, whose heap grows with every workload and would live on in each of them, page by
//! page, as a copy of its own; but from a process that left the launcher before that had served anyone.
//!
//! ```text
//! launcher ── plan, descriptors ──▶ zygote ── clone(CLONE_PARENT) ──▶ supervisor, a child of the launcher
//!          ◀── its pid ────────────
//! ```

use crate::detached::{close_others, pidfd_open, send_signal, set_name, wait_ended};
use crate::launch::{self, Launch, Place};
use crate::task::Teller;
use bulkhead_wire::{Code, Failure, descriptors};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What goes with every order: one packet.
const LONGEST_ORDER: usize = 4096;
/// A fork takes a millisecond; a zygote that does not answer for so long is replaced.
const PATIENCE_SECONDS: i64 = 5;

/// With these descriptors, in this order: the plan's text, the teller's pipe, the runtime's program, the template's pages, predecessors.
#[derive(Serialize, Deserialize)]
struct Order {
    /// The stamp of the runtime's program, where there is one.
    program: Option<String>,
    memory: bool,
}

pub struct Zygote {
    place: Place,
    process: Option<Process>,
}

struct Process {
    socket: OwnedFd,
    pidfd: OwnedFd,
}

impl Zygote {
    /// To be called before the launcher serves: what lies on its heap now lies in every supervisor.
    pub fn fork(place: &Place) -> io::Result<Zygote> {
        Ok(Zygote { place: place.clone(), process: Some(Process::fork(place)?) })
    }

    /// A supervisor for this launch, by its pid. One zygote that has died or hangs is replaced.
    pub fn launch(&mut self, launch: &Launch, plan: &str, teller: &File) -> io::Result<i32> {
        if let Some(pid) = self.process.as_ref().and_then(|process| process.launch(launch, plan, teller).ok()) {
            return Ok(pid);
        }
        // The old one is gone before the new one is asked: never two supervisors of one order.
        self.process = None;
        self.process.insert(Process::fork(&self.place)?).launch(launch, plan, teller)
    }
}

impl Process {
    fn fork(place: &Place) -> io::Result<Process> {
        let mut ends = [0; 2];
        if unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => serve(theirs, place),
            pid => {
                let patience = libc::timeval { tv_sec: PATIENCE_SECONDS, tv_usec: 0 };
                let size = size_of::<libc::timeval>() as libc::socklen_t;
                unsafe { libc::setsockopt(ours.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const patience).cast(), size) };
                Ok(Process { socket: ours, pidfd: pidfd_open(pid)? })
            }
        }
    }

    fn launch(&self, launch: &Launch, plan: &str, teller: &File) -> io::Result<i32> {
        let plan = in_memory(plan.as_bytes())?;
        let order = Order { program: launch.program().map(|(_, stamp)| stamp.to_owned()), memory: launch.memory().is_some() };
        let mut given = vec![plan.as_raw_fd(), teller.as_raw_fd()];
        given.extend(launch.program().map(|(program, _)| program.as_raw_fd()));
        given.extend(launch.memory().map(AsRawFd::as_raw_fd));
        given.extend(launch.predecessors().iter().map(AsRawFd::as_raw_fd));
        descriptors::send(self.socket.as_raw_fd(), &serde_json::to_vec(&order)?, &given)?;
        let mut answer = [0u8; 4];
        match descriptors::receive(self.socket.as_raw_fd(), &mut answer, &mut Vec::new())? {
            4 => Some(i32::from_le_bytes(answer)).filter(|pid| *pid > 0).ok_or_else(|| io::Error::other("a supervisor could not be forked")),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        send_signal(&self.pidfd, libc::SIGKILL);
        wait_ended(&self.pidfd, 1000);
    }
}

/// A file of which nobody but who gets its descriptor knows.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let fd = unsafe { libc::memfd_create(c"plan".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(bytes)?;
    Ok(file)
}

/// In the zygote, until the launcher's end of the socket is closed. As little as can be is done here: what it writes, all supervisors carry.
fn serve(socket: OwnedFd, place: &Place) -> ! {
    close_others(&[socket.as_raw_fd()]);
    set_name(c"bulkhead-zygote");
    let mut text = [0u8; LONGEST_ORDER];
    loop {
        let mut given = Vec::new();
        let count = match descriptors::receive(socket.as_raw_fd(), &mut text, &mut given) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(count) if count > 0 => count,
            _ => unsafe { libc::_exit(0) },
        };
        // Not by fork(): its child would be this process's.
        match unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) } as i32 {
            0 => become_supervisor(&text[..count], given, place),
            pid => {
                if descriptors::send(socket.as_raw_fd(), &pid.to_le_bytes(), &[]).is_err() {
                    unsafe { libc::_exit(0) };
                }
            }
        }
    }
}

fn become_supervisor(order: &[u8], given: Vec<OwnedFd>, place: &Place) -> ! {
    let mut given = given.into_iter();
    if let (Some(plan), Some(teller)) = (given.next(), given.next()) {
        let mut teller = Teller::new(teller.into());
        match read(order, plan, given) {
            Ok(launch) => launch::supervise(launch, place.clone(), teller),
            Err(failure) => teller.failure(&failure),
        }
    }
    unsafe { libc::_exit(0) }
}

/// The launch as the launcher has checked it.
fn read(order: &[u8], plan: OwnedFd, mut given: impl Iterator<Item = OwnedFd>) -> Result<Launch, Failure> {
    let wrong = |error: serde_json::Error| Failure::new(Code::Internal, format!("a supervisor's order is wrong: {error}"));
    let order: Order = serde_json::from_slice(order).map_err(wrong)?;
    let mut file = File::from(plan);
    let mut text = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut text)).map_err(|error| Failure::from_io("read the plan", &error))?;
    let plan = bulkhead_wire::plan::read_plan(serde_json::from_slice(&text).map_err(wrong)?)?;
    let program = order.program.and_then(|stamp| Some((given.next()?, stamp)));
    let memory = if order.memory { given.next() } else { None };
    Launch::of(plan, program, memory, given.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_comes_out_as_it_went_in_and_nonsense_is_told() {
        let plan = serde_json::json!({
            "version": 1, "workload": "ab", "directory": "/r/w", "socket": "/s", "exitRecord": "/r/w/exit.json", "log": {"kind": "none"}, "limits": {},
            "devices": [], "allDevices": false, "network": {"kind": "none"}, "main": {"terminal": false, "stdin": true, "stdinOnce": true},
            "engine": {"kind": "oci", "runtime": {"name": "crun", "path": "/usr/bin/crun", "arguments": []}, "bundle": "/r/w/b",
                "root": {"lower": ["/r/l/1"], "upper": "/r/w/u", "work": "/r/w/k", "readOnly": false}, "execProcess": {"cwd": "/"}}
        });
        let descriptor = || OwnedFd::from(in_memory(b"").unwrap());
        let order = br#"{"program":"1-2-3","memory":false}"#;
        let launch = read(order, in_memory(plan.to_string().as_bytes()).unwrap().into(), vec![descriptor(), descriptor()].into_iter()).unwrap();
        assert_eq!(launch.plan.workload, "ab");
        assert_eq!(launch.program().map(|(_, stamp)| stamp), Some("1-2-3"));
        assert!(launch.memory().is_none());
        assert_eq!(launch.predecessors().len(), 1);
        assert!(read(b"{", descriptor(), std::iter::empty()).is_err());
        assert!(read(order, in_memory(b"{}").unwrap().into(), std::iter::empty()).is_err());
    }
}
