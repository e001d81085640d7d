//! Questions to the boundary, answered at once where that is possible.

use super::events::Program;
use super::raise::doing;
use super::{MainStart, Oci, Runtime, Wake, token};
use bulkhead_cgroup::Group;
use bulkhead_wire::boundary::{Ask, Reply, Ticket};
use bulkhead_wire::plan::LimitsSpec;
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::poller::Interest;
use bulkhead_wire::{Code, Failure};
use std::os::fd::AsRawFd;

pub type Answer = Result<Reply, Failure>;

impl Oci {
    /// The answer, or None where it comes later.
    pub fn carry_out(&mut self, ticket: Ticket, ask: Ask) -> Option<Answer> {
        match ask {
            Ask::Start => self.start(ticket),
            Ask::Exec { process, spec } if spec.files.is_some() => Some(self.begin_files(process, &spec)),
            Ask::Exec { process, spec } if spec.tools.is_some() => self.begin_beside(ticket, process, &spec).err().map(Err),
            Ask::Exec { process, spec } if self.order.runtime == Runtime::Runsc => self.begin_inner_exec(ticket, process, &spec).err().map(Err),
            Ask::Exec { process, spec } => self.begin_exec(ticket, process, &spec).err().map(Err),
            Ask::Signal { process, signal } if self.order.runtime == Runtime::Runsc => self.signal_inside(ticket, process, signal),
            Ask::Signal { process, signal } => Some(self.signal(process, signal)),
            Ask::Resize { process, size } => Some(match self.child(process) {
                Some(child) => child.stdio.resize(size).map(|()| Reply::Done).map_err(doing("resize the terminal")),
                None => Err(gone(process)),
            }),
            Ask::Pause => self.pause(ticket),
            Ask::Resume => Some(self.in_group(|group| group.freeze(false).map(|()| Reply::Done).map_err(doing("thaw the workload")))),
            Ask::Stats => Some(self.stats()),
            Ask::Top if self.order.runtime == Runtime::Runsc => self.top_inside(ticket).err().map(Err),
            Ask::Top => Some(self.in_group(|group| Ok(Reply::Top(crate::processes::table(&group.processes()))))),
            Ask::Update(limits) => Some(self.update(&limits)),
        }
    }

    fn in_group(&self, work: impl FnOnce(&Group) -> Answer) -> Answer {
        self.group.as_ref().map_or_else(|| Err(Failure::new(Code::WrongState, "the workload has ended")), work)
    }

    fn start(&mut self, ticket: Ticket) -> Option<Answer> {
        let Some(pid) = self.main_pid() else { return Some(Err(gone(0))) };
        if self.order.runtime == Runtime::Runsc {
            return self.start_sandbox(ticket).err().map(Err);
        }
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
    /// What the host's control groups are told: a kernel in user space has tasks of its own there.
    pub fn group_limits(&self, limits: &LimitsSpec) -> LimitsSpec {
        if self.order.runtime == Runtime::Runsc { super::runsc::outer_limits(limits, &self.order.engine.runtime.arguments) } else { limits.clone() }
    }

    fn update(&mut self, limits: &LimitsSpec) -> Answer {
        let done = self.in_group(|group| group.update(&self.group_limits(limits)).map(|()| Reply::Done))?;
        self.order.limits.pids = limits.pids.or(self.order.limits.pids);
        Ok(done)
    }

    pub fn signal(&mut self, process: u32, signal: i32) -> Answer {
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
            if self.order.runtime == Runtime::Runsc {
                used.pids_limit = self.order.limits.pids.unwrap_or(0);
            }
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
