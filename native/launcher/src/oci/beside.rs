//! A process beside the workload's: in its namespaces, ids, limits and guards, with a root of its own.
//!
//! ```text
//! a group within the workload's ─▶ a fork with mounts of its own ─▶ there: tmpfs, overlay over the tools' layers ─▶ runtime `run`, detached
//! ```
//!
//! It is the runtime's second container, and to everybody else an exec. The namespaces are named by descriptors of this supervisor, opened while
//! the main process is its unreaped child: no number is looked up later, when it may be another's. What is mounted goes with the last process that sees
//! it, and what was started goes with the process that was asked for.

use super::configuration::{Changes, Owner, compose, lift_own_limits};
use super::exec::{Beginning, over};
use super::ids::root_place;
use super::raise::{doing, open_directory};
use super::spawn::{FIRST_KEPT, memory_file};
use super::{Oci, Runtime, overlay, report, seccomp};
use crate::beneath::Below;
use crate::mounts::mount;
use bulkhead_cgroup::Nest;
use bulkhead_wire::boundary::Ticket;
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::plan::{GuestProcess, NetworkSpec, OverlayRoot, Tools};
use bulkhead_wire::{Code, Failure};
use serde_json::Value;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;

/// What such a process may write into its root. The pages are the workload's memory.
const WRITTEN: &str = "size=256m";
const END_AGAIN_NS: u64 = 2_000_000;
const NOBODY: libc::gid_t = 65_534;

/// One that runs, or is being begun.
pub struct Beside {
    number: u32,
    nest: Nest,
    /// When to look again whether everything of it has ended.
    pub ending: Option<u64>,
}

/// The runtime is seen in the workload's pid namespace while it still has the host's files before it. A program that is executed with another real
/// group than its effective one cannot be looked into from then on, nor can its forks, but by who may trace on the host: not even in the instant in
/// which it is in the workload's user namespace and still the host's root.
fn become_opaque() -> Result<(), Failure> {
    let unchanged = libc::gid_t::MAX;
    if unsafe { libc::setresgid(NOBODY, unchanged, unchanged) } == 0 { Ok(()) } else { Err(Failure::system("hide the runtime from the workload")) }
}

fn name_of(number: u32) -> String {
    format!("beside{number}")
}

impl Oci {
    pub fn begin_beside(&mut self, ticket: Ticket, number: u32, spec: &GuestProcess) -> Result<(), Failure> {
        let Some(tools) = &spec.tools else { return Err(Failure::new(Code::Internal, "the tools are missing")) };
        let group = self.group.as_ref().filter(|_| self.order.runtime == Runtime::Crun);
        let Some(group) = group else { return Err(Failure::new(Code::Unsupported, "this runtime lets nothing stand beside a workload")) };
        let spaces = self.open_spaces(&tools.config)?;
        let owner = |kind: &str| tools.config.pointer(&format!("/process/user/{kind}")).and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
        let owner = Owner { uid: owner("uid"), gid: owner("gid") };
        let config = memory_file(c"config.json", b"").map_err(doing("hold the runtime's configuration"))?;
        let name = name_of(number);
        let nest = group.nest(&name).map_err(doing("make a group within the workload's"))?;
        let attach = group.attach_to(&nest).map_err(doing("open the control groups"));
        let kinds: Vec<&str> = spaces.iter().map(|(kind, _)| *kind).collect();
        let prepare = |log: &OwnedFd| {
            let written = self.compose_beside(tools, &kinds).and_then(|text| fs::write(format!("/proc/self/fd/{}", config.as_raw_fd()), text).map_err(doing("hold the runtime's configuration")));
            written.and_then(|()| become_opaque()).inspect_err(|failure| report::leave_failure(log, failure)).is_ok()
        };
        let verb = vec!["run".into(), "--detach".into(), format!("--bundle={}", self.order.engine.bundle), format!("--config=/proc/self/fd/{}", FIRST_KEPT + 1)];
        let (_, more): (Vec<&str>, Vec<OwnedFd>) = spaces.into_iter().unzip();
        let begun = attach.and_then(|attach| {
            let order = Beginning { verb, name: &name, document: &config, more: &more, owner, attach: Some(&attach), prepare: &prepare };
            self.begin(ticket, number, spec, &order)
        });
        self.besides.push(Beside { number, nest, ending: None });
        match begun {
            Ok(begun) => self.execs.push(begun),
            Err(failure) => {
                self.end_beside(number);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// The namespaces that the configuration wants joined, in its order; those of mounts and users are another matter.
    fn open_spaces(&self, config: &Value) -> Result<Vec<(&'static str, OwnedFd)>, Failure> {
        let main = self.main_pid().ok_or_else(over)?;
        let wanted = config.pointer("/linux/namespaces").and_then(Value::as_array);
        let wants = |kind: &str| wanted.is_some_and(|list| list.iter().any(|entry| entry["type"] == kind));
        let mut spaces: Vec<(&'static str, String)> = ["pid", "ipc", "uts", "cgroup"].into_iter().filter(|kind| wants(kind)).map(|kind| (kind, format!("/proc/{main}/ns/{kind}"))).collect();
        if !matches!(self.order.network, NetworkSpec::Host) {
            // This process is in it, as long as the workload stands.
            spaces.push(("network", "/proc/self/ns/net".into()));
        }
        spaces.into_iter().map(|(kind, path)| fs::File::open(path).map(|file| (kind, file.into())).map_err(|_| over())).collect()
    }

    /// In the child: its mounts, and the configuration that names them.
    fn compose_beside(&self, tools: &Tools, kinds: &[&str]) -> Result<Vec<u8>, Failure> {
        let root = self.mount_beside(tools)?;
        let filter = seccomp::place(&self.order.run, self.order.engine.seccomp_key.as_deref(), &self.order.program_stamp).as_deref().and_then(seccomp::load);
        let text = serde_json::to_vec(&tools.config).unwrap_or_default();
        let place = |at: usize| format!("/proc/self/fd/{}", FIRST_KEPT + 4 + at as i32);
        let network = kinds.iter().position(|kind| *kind == "network").map(place);
        let changes = Changes { runtime: self.order.runtime, seccomp: filter.as_deref(), network: network.as_deref(), cgroups_path: "", devices: None };
        let mut config = compose(&text, &self.order.engine.bundle, &changes)?;
        if let Some(ids) = &self.ids {
            ids.put_into(&mut config, self.order.runtime, &self.order.directory)?;
            config.pointer("/process/rlimits").and_then(Value::as_array).into_iter().for_each(|limits| lift_own_limits(limits));
        }
        for entry in config.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(at) = kinds.iter().position(|kind| entry["type"] == *kind) {
                entry["path"] = Value::from(place(at));
            }
        }
        config["root"]["path"] = Value::from(root);
        serde_json::to_vec(&config).map_err(|error| Failure::new(Code::Internal, format!("could not write the runtime's configuration: {error}")))
    }

    /// In the child, in a mount namespace that it makes: the workload sees nothing of this, and nothing of it has to be taken away.
    fn mount_beside(&self, tools: &Tools) -> Result<String, Failure> {
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return Err(Failure::system("make a mount namespace"));
        }
        let fault = doing("mount the root of the tools");
        mount(None, "/", None, libc::MS_REC | libc::MS_SLAVE, None).map_err(&fault)?;
        let first = self.ids.as_ref().map_or(0, super::ids::Ids::first);
        let place = if self.ids.is_some() { root_place() } else { format!("{}/rootfs", self.order.engine.bundle) };
        mount(Some("tmpfs"), &place, Some("tmpfs"), libc::MS_NOSUID | libc::MS_NODEV, Some(&format!("mode=711,uid={first},gid={first},{WRITTEN}"))).map_err(&fault)?;
        let root = format!("{place}/root");
        fs::DirBuilder::new().mode(0o755).create(&root).and_then(|()| chown(&root, Some(first), Some(first))).map_err(&fault)?;
        let written = Below::new(Path::new(&place)).map_err(&fault)?;
        let target = open_directory(Path::new(&root)).map_err(&fault)?;
        let layers = OverlayRoot { lower: tools.lower.clone(), upper: format!("{place}/upper"), work: format!("{place}/work"), read_only: false };
        let own = self.order.below.path();
        let Some(ids) = &self.ids else {
            let store = Below::new(own).map_err(doing("open the store"))?;
            overlay::mount_at((&store, &written), &layers, &target)?;
            return Ok(root);
        };
        let shown = ids.place_store(own)?;
        let layers = layers.moved(own.to_str().unwrap_or_default(), shown.to_str().unwrap_or_default());
        let store = Below::new(&shown).map_err(doing("open the store"))?;
        ids.as_root_inside(|| overlay::mount_at((&store, &written), &layers, &target))?;
        Ok(root)
    }

    /// Whatever it started ends with it.
    pub fn end_beside(&mut self, number: u32) {
        for beside in self.besides.iter_mut().filter(|beside| beside.number == number) {
            beside.ending = Some(monotonic_ns());
        }
        self.end_besides(monotonic_ns());
    }

    pub fn end_besides(&mut self, now: u64) {
        let places = self.state_directory().join("state");
        self.besides.retain_mut(|beside| {
            if beside.ending.is_none_or(|at| at > now) {
                return true;
            }
            if beside.nest.end() {
                let _ = fs::remove_dir_all(places.join(name_of(beside.number)));
                return false;
            }
            beside.ending = Some(now + END_AGAIN_NS);
            true
        });
    }
}
