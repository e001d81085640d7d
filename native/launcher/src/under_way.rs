//! What is under way for a workload, and whether anybody still waits for it.

use crate::detached::pidfd_open;
use crate::removal::Raising;
use crate::server::{Asker, Child, Purpose, Server};
use std::os::fd::OwnedFd;

impl Server {
    /// The forks that were made to supervise this workload and live, in that order: one may still wait for the end of the one before.
    pub(crate) fn raising(&self, workload: &str) -> Vec<Raising> {
        let of = |child: &&Child| !child.ended && matches!(&child.purpose, Purpose::Supervisor(raised) if raised == workload);
        let pids = self.children.iter().filter(of).map(|child| child.offspring.pid);
        pids.filter_map(|pid| pidfd_open(pid).ok().map(|pidfd| Raising { pid, pidfd })).collect()
    }

    /// Whether nobody is at the other end of the connection any more.
    pub(crate) fn has_left(&self, asker: Asker) -> bool {
        self.client(asker.client).is_none_or(|client| {
            let mut set = libc::pollfd { fd: client.connection.descriptor(), events: libc::POLLRDHUP, revents: 0 };
            unsafe { libc::poll(&mut set, 1, 0) == 1 }
        })
    }

    /// Whether a launch of this workload is still to be answered.
    pub(crate) fn launching(&self, workload: &str) -> bool {
        self.children.iter().any(|child| child.asker.is_some() && matches!(&child.purpose, Purpose::Supervisor(launched) if launched == workload))
    }

    /// Tasks under way that kill and remove by this workload's name.
    pub(crate) fn clearing(&self, workload: &str) -> Vec<OwnedFd> {
        let of = |child: &&Child| !child.ended && matches!(&child.purpose, Purpose::Removal(named) | Purpose::Settlement(named) if named == workload);
        self.children.iter().filter(of).filter_map(|child| pidfd_open(child.offspring.pid).ok()).collect()
    }
}
