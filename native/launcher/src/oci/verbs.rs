//! Questions to the boundary, answered at once where that is possible.

use super::events::Program;
use super::raise::doing;
use super::{MainStart, Oci, Wake, token};
use bulkhead_cgroup::Group;
use bulkhead_wire::boundary::{Ask, Reply, Ticket};
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::poller::Interest;
use bulkhead_wire::{Code, Failure};
use std::os::fd::AsRawFd;

type Answer = Result<Reply, Failure>;

impl Oci {
    /// The answer, or None where it comes later.
    pub fn carry_out(&mut self, ticket: Ticket, ask: Ask) -> Option<Answer> {
        match ask {
            Ask::Start => self.start(ticket),
            Ask::Exec { process, spec } => self.begin_exec(ticket, process, &spec).err().map(Err),
            Ask::Signal { process, signal } => Some(self.signal(process, signal)),
            Ask::Resize { process, size } => Some(match self.child(process) {
                Some(child) => child.stdio.resize(size).map(|()| Reply::Done).map_err(doing("resize the terminal")),
                None => Err(gone(process)),
            }),
            Ask::Pause => self.pause(ticket),
            Ask::Resume => Some(self.in_group(|group| group.freeze(false).map(|()| Reply::Done).map_err(doing("thaw the workload")))),
            Ask::Stats => Some(self.stats()),
            Ask::Top => Some(self.in_group(|group| Ok(Reply::Top(crate::processes::table(&group.processes()))))),
            Ask::Update(limits) => Some(self.in_group(|group| group.update(&limits).map(|()| Reply::Done))),
        }
    }

    fn in_group(&self, work: impl FnOnce(&Group) -> Answer) -> Answer {
        self.group.as_ref().map_or_else(|| Err(Failure::new(Code::WrongState, "the workload has ended")), work)
    }

    fn start(&mut self, ticket: Ticket) -> Option<Answer> {
        let Some(pid) = self.main_pid() else { return Some(Err(gone(0))) };
        let before = Program::of(pid);
        if let Err(error) = self.open_gate() {
            return Some(Err(Failure::from_io("let the main process go", &error)));
        }
        self.main_start = Some(MainStart { ticket, before, look_at: None });
        if let Some(started) = &self.started_pipe
            && let Err(error) = self.poller.add(started.as_raw_fd(), token(Wake::Started, 0), Interest::READ)
        {
            return Some(Err(Failure::from_io("watch the main process", &error)));
        }
        None
    }

    /// By pid, without a race: an ended child keeps its pid until this process has reaped it.
    fn signal(&mut self, process: u32, signal: i32) -> Answer {
        let Some(child) = self.child(process) else { return Ok(Reply::Delivered(false)) };
        if child.exited {
            return Ok(Reply::Delivered(false));
        }
        match unsafe { libc::kill(child.pid, signal) } {
            0 => Ok(Reply::Delivered(true)),
            _ => Err(Failure::system("send the signal")),
        }
    }

    fn pause(&mut self, ticket: Ticket) -> Option<Answer> {
        let frozen = self.in_group(|group| group.freeze(true).map(|()| Reply::Done).map_err(doing("freeze the workload")));
        if frozen.is_err() || self.group.as_ref().is_some_and(Group::frozen) {
            return Some(frozen);
        }
        self.pause = Some((ticket, monotonic_ns() + 1_000_000));
        None
    }

    fn stats(&mut self) -> Answer {
        let pid = self.main_pid();
        let host_network = matches!(self.order.network, bulkhead_wire::plan::NetworkSpec::Host);
        self.in_group(|group| {
            let mut used = group.stats();
            if let Some(pid) = pid.filter(|_| !host_network) {
                crate::processes::add_traffic(pid, &mut used);
            }
            Ok(Reply::Stats(Box::new(used)))
        })
    }
}

fn gone(process: u32) -> Failure {
    Failure::new(Code::WrongState, format!("process {process} has ended"))
}
