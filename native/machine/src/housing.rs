//! What the host keeps around a guest, whatever the guest is: its control group, its network card, its monitor and the monitor's files.

use crate::kept::Kept;
use crate::vmm::{self, Vmm};
use bulkhead_cgroup::{Attach, Group, Layout};
use bulkhead_confine::{self as confine, Confinement, Seen};
use bulkhead_network::{self as network, Network};
use bulkhead_wire::plan::{DeviceSpec, LimitsSpec, MachineFile, MonitorPlan, NetworkSpec};
use bulkhead_wire::poller::Poller;
use bulkhead_wire::process::ResourceUse;
use bulkhead_wire::{Code, Failure};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

/// A path of the plan, and what it is wanted for.
pub enum Reach<'a> {
    /// The workload's own.
    Own(&'a str),
    /// What the monitor needs of the host: libraries, firmware, kernel, drives.
    ReadOnly(&'a str),
    /// What the machine's user mounts.
    Share(&'a str),
}

/// Gives a descriptor of the very thing (`O_PATH`), or says why it may not be reached for.
pub type Opener = Box<dyn Fn(Reach) -> Result<OwnedFd, Failure>>;

/// What the launcher's fork knows of a machine that is to be raised.
pub struct Setting {
    pub workload: String,
    /// Opens what the plan names, where the plan may name it.
    pub open: Opener,
    /// The workload's own directory.
    pub directory: String,
    pub root_id: String,
    pub layout: Rc<Layout>,
    pub poller: Rc<Poller>,
    /// The outer wall, on the host.
    pub limits: LimitsSpec,
    pub network: NetworkSpec,
    pub monitor: MonitorPlan,
}

/// Where the monitor's private root is raised: an empty directory, in namespaces of its own.
pub fn stage(directory: &str) -> String {
    format!("{directory}/vmm")
}

/// What a monitor is started with beside what its plan says.
pub struct Monitor<'a> {
    pub words: &'a [String],
    pub kept: Kept,
    /// The files of the plan that it sees.
    pub files: Vec<Seen>,
    pub console: (OwnedFd, OwnedFd),
    pub attach: &'a Attach,
}

pub struct Housing {
    pub setting: Setting,
    pub group: Option<Group>,
    pub network: Option<Network>,
    pub vmm: Option<Vmm>,
}

impl Housing {
    pub fn new(setting: Setting) -> Housing {
        Housing { setting, group: None, network: None, vmm: None }
    }

    pub fn make_group(&mut self) -> Result<Attach, Failure> {
        let Setting { monitor, workload, layout, limits, .. } = &self.setting;
        let group = Group::make(Rc::clone(layout), workload, limits, &devices(monitor.kvm), false)?;
        let attach = group.attach().map_err(|error| Failure::from_io("open the machine's control group", &error))?;
        self.group = Some(group);
        Ok(attach)
    }

    /// The machine's end of its network card, where it has one.
    pub fn raise_network(&mut self) -> Result<Option<OwnedFd>, Failure> {
        let setting = &self.setting;
        let NetworkSpec::Bridge { .. } = &setting.network else { return Ok(None) };
        let wanted = network::NetworkSpec::try_from(&setting.network)?;
        let (tap, network) = network::raise_tap(&wanted, &setting.root_id, &setting.workload, setting.monitor.uid)?;
        self.network = Some(network);
        Ok(Some(tap))
    }

    /// The plan's files, opened; `but` is one that the caller shows in a way of its own.
    pub fn files(&self, but: &str) -> Result<Vec<Seen>, Failure> {
        let setting = &self.setting;
        let open = |file: &MachineFile| {
            let reach = if file.writable { Reach::Own(&file.path) } else { Reach::ReadOnly(&file.path) };
            Ok(Seen::of((setting.open)(reach)?, &file.path, file.writable))
        };
        let mut files = setting.monitor.files.iter().filter(|file| file.path != but).map(open).collect::<Result<Vec<_>, Failure>>()?;
        if setting.monitor.kvm {
            files.push(Seen::open("/dev/kvm", true)?);
        }
        Ok(files)
    }

    /// Confined and running; what it was handed is its alone from now on.
    pub fn start_monitor(&mut self, given: Monitor) -> Result<i32, Failure> {
        let Setting { monitor, directory, .. } = &self.setting;
        make_stage(directory)?;
        let confinement = Confinement {
            program: &monitor.program,
            arguments: &given.kept.arguments(given.words)?,
            uid: monitor.uid,
            gid: monitor.gid,
            groups: &device_groups("/dev/kvm", monitor.kvm),
            stage: &stage(directory),
            files: &given.files,
            kept: &given.kept.descriptors(),
            console: given.console.1.as_raw_fd(),
            attach: given.attach,
            proc: false,
            mortal: true,
        };
        let (pid, pidfd) = confine::start(&confinement)?;
        self.vmm = Some(Vmm::new(pid, pidfd, given.console.0));
        Ok(pid)
    }

    /// As the host sees it, with the tap's traffic.
    pub fn host_use(&self) -> ResourceUse {
        let mut numbers = self.group.as_ref().map(Group::stats).unwrap_or_default();
        if let Some(Ok(traffic)) = self.network.as_ref().map(Network::traffic) {
            numbers.network_received_bytes = traffic.received_bytes;
            numbers.network_received_packets = traffic.received_packets;
            numbers.network_sent_bytes = traffic.sent_bytes;
            numbers.network_sent_packets = traffic.sent_packets;
        }
        numbers
    }

    /// The monitor's end in words, with what it said last.
    pub fn obituary(&mut self) -> String {
        let Some(vmm) = &mut self.vmm else { return "the machine is gone".into() };
        vmm.read_console();
        let said = vmm.last_words();
        let how = vmm.wait(1000).map_or("stopped answering".to_owned(), vmm::describe);
        if said.is_empty() { format!("the machine monitor {how}") } else { format!("the machine monitor {how}; its last words: {said}") }
    }

    /// Why a machine that is being raised is none: its monitor went away, or is ended now.
    pub fn did_not_boot(&mut self) -> Failure {
        let Some(vmm) = &mut self.vmm else { return Failure::new(Code::Internal, "the machine is gone") };
        vmm.kill();
        let how = vmm.wait(1000).map_or("stopped".to_owned(), vmm::describe);
        vmm.read_console();
        Failure::new(Code::Unavailable, format!("the machine did not boot: its monitor {how}; last lines: {}", vmm.last_words()))
            .remedy("look at 'bulkhead doctor' for what this host's machines need to boot")
    }

    pub fn republish(&mut self) -> Result<(), Failure> {
        self.network.as_mut().map_or(Ok(()), |network| network.republish().map_err(Failure::from))
    }

    pub fn release(&mut self) {
        if let Some(network) = &mut self.network {
            let _ = network.close();
        }
    }

    /// The monitor, where it still runs, and everything around it.
    pub fn tear_down(&mut self) {
        self.release();
        if let Some(vmm) = &mut self.vmm {
            vmm.kill();
            vmm.wait(5_000);
        }
        self.network = None;
        if let Some(group) = self.group.take() {
            for _ in 0..200 {
                if group.kill() == 0 && group.remove() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        let _ = std::fs::remove_dir(stage(&self.setting.directory));
    }
}

fn make_stage(directory: &str) -> Result<(), Failure> {
    match std::fs::create_dir(stage(directory)) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(Failure::from_io("make the machine's stage", &error)),
        _ => Ok(()),
    }
}

/// Distributions give the device to a group of its own, `kvm`: a monitor that is not in it cannot open it.
fn device_groups(device: &str, used: bool) -> Vec<u32> {
    let group = std::fs::metadata(device).map(|meta| meta.gid()).ok().filter(|gid| used && *gid != 0);
    group.into_iter().collect()
}

fn devices(kvm: bool) -> Vec<DeviceSpec> {
    let kvm = kvm.then(|| DeviceSpec { host_path: "/dev/kvm".into(), path: "/dev/kvm".into(), access: "rw".into() });
    kvm.into_iter().collect()
}

/// What the monitor says and what we read of it.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let mut ends = [0; 2];
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Failure::system("make the machine's console"));
    }
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_is_in_the_group_of_the_device_that_it_uses_and_never_in_root_s() {
        let device = std::env::temp_dir().join(format!("bulkhead-device-{}", std::process::id()));
        std::fs::write(&device, "").unwrap();
        let path = device.to_str().unwrap();
        let own = device_groups(path, true);
        let given = std::os::unix::fs::chown(&device, None, Some(4242)).is_ok();
        let groups = (device_groups(path, true), device_groups(path, false));
        std::fs::remove_file(&device).unwrap();
        assert!(!own.contains(&0));
        if given {
            assert_eq!(groups, (vec![4242], vec![]));
        }
        assert!(device_groups("/dev/there-is-none", true).is_empty());
    }
}
