//! Process 1 of a machine: its init and its agent in one static binary, alone in the initrd.
//!
//! ```text
//! boot      /proc, /sys, /dev, cgroup2 mounted, modules loaded where the kernel has any, the workload's /dev filled, loopback up,
//!           the agent's port found and opened
//! hello     the first word; the machine knows nothing of any run. Templates save it here
//! configure clock, entropy, layers, overlay, names, network, mounts, limits: everything of the run but the process
//! start     the main process: process 1 of its own pid, mount, ipc, uts and cgroup namespaces, pivoted into the root
//! …         execs join those namespaces; the agent stays outside of them
//! powerOff  everything killed, synced, off
//! ```
//!
//! The host is trusted more than the workload, and still nothing that it sends may make process 1 panic: that would be
//! a kernel panic. What cannot be understood ends the machine in good order, with its reason on the console.

mod account;
mod agent;
mod boot;
mod capability;
mod cgroup;
mod child;
mod configure;
mod devices;
mod drive;
mod files;
mod inside;
mod launch;
mod network;
mod port;
mod root;
mod running;
mod share;
mod sys;
mod table;

fn main() {
    let mut arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    if arguments.next().as_deref() == Some(files::NAME) {
        std::process::exit(files::work(arguments));
    }
    if std::process::id() != 1 {
        eprintln!("bulkhead-guest is process 1 of a machine; it does nothing elsewhere");
        std::process::exit(64);
    }
    let what = match boot::boot().and_then(agent::serve) {
        Ok(()) => "asked to".to_owned(),
        Err(failure) => failure.what,
    };
    boot::power_off(&what)
}
