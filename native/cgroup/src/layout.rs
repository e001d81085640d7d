//! Where this host keeps its control groups: found out by looking, once.

use crate::files;
use bulkhead_wire::{Code, Failure};
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// Controllers that a workload is put into on v1, those that exist of them. `name=systemd` is not among them: nobody limits by it.
const V1_CONTROLLERS: [&str; 8] = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"];
const V2_CONTROLLERS: [&str; 5] = ["cpuset", "cpu", "io", "memory", "pids"];
const MOUNT: &str = "/sys/fs/cgroup";

#[derive(Clone, Debug)]
pub struct Layout {
    pub version: Version,
    pub root_id: String,
    /// v1: the base of each controller, `(controller, …/bulkhead-ID)`; joined controllers (`cpu,cpuacct`) appear once, under the
    /// first's name, with the others in `aliases`. v2: one, under the name `unified`.
    bases: Vec<(String, PathBuf)>,
    aliases: Vec<(String, String)>,
}

impl Layout {
    /// Looks and makes the root's own bases. A hybrid host counts as v1.
    pub fn find(root_id: &str) -> Result<Layout, Failure> {
        let name = format!("bulkhead-{root_id}");
        if Path::new(MOUNT).join("cgroup.controllers").exists() {
            let base = Path::new(MOUNT).join(&name);
            prepare_v2(&base)?;
            return Ok(Layout { version: Version::V2, root_id: root_id.into(), bases: vec![("unified".into(), base)], aliases: Vec::new() });
        }
        let mut bases: Vec<(String, PathBuf)> = Vec::new();
        let mut aliases = Vec::new();
        for controller in V1_CONTROLLERS {
            let Some(mount) = v1_mount(controller) else { continue };
            let base = mount.join(&name);
            match bases.iter().find(|(_, known)| *known == base) {
                Some((first, _)) => aliases.push((controller.to_string(), first.clone())),
                None => bases.push((controller.to_string(), base)),
            }
        }
        if !["memory", "devices", "freezer", "pids"].iter().all(|name| v1_mount(name).is_some()) {
            return Err(Failure::new(Code::Unavailable, "this host's control groups carry neither v2 nor the v1 controllers memory, devices, freezer and pids")
                .remedy("boot with systemd.unified_cgroup_hierarchy=1, or mount the controllers below /sys/fs/cgroup"));
        }
        for (controller, base) in &bases {
            make(base)?;
            if controller == "cpuset" {
                // Children then begin with their parent's processors; an empty set would refuse every process.
                copy_cpuset(base);
                let _ = files::write(&base.join("cgroup.clone_children"), "1");
            }
        }
        Ok(Layout { version: Version::V1, root_id: root_id.into(), bases, aliases })
    }

    /// The directories of one workload, controller by controller.
    pub fn directories(&self, workload: &str) -> Vec<PathBuf> {
        self.bases.iter().map(|(_, base)| base.join(workload)).collect()
    }

    /// Directories that a runtime made by itself beside ours: runc enters every v1 hierarchy, also the one without a controller.
    pub fn strays(&self, workload: &str) -> Vec<PathBuf> {
        let base = Path::new(MOUNT).join("systemd").join(format!("bulkhead-{}", self.root_id));
        if self.version == Version::V1 { vec![base.join(workload)] } else { Vec::new() }
    }

    /// The directory that carries a controller, where this host has it.
    pub fn directory(&self, controller: &str, workload: &str) -> Option<PathBuf> {
        let wanted = match self.version {
            Version::V2 => "unified",
            Version::V1 => self.aliases.iter().find(|(name, _)| name == controller).map_or(controller, |(_, first)| first),
        };
        self.bases.iter().find(|(name, _)| name == wanted).map(|(_, base)| base.join(workload))
    }

    /// Names of everything that stands below this root's bases.
    pub fn workloads(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (_, base) in &self.bases {
            for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// Removes the root's own bases, where nothing is left in them.
    pub fn remove_bases(&self) {
        let strays = self.strays("");
        for base in self.bases.iter().map(|(_, base)| base).chain(&strays) {
            let _ = std::fs::remove_dir(base);
        }
    }
}

/// The directory of a v1 controller. Co-mounted ones are usually reached by a link of their own name; follow it.
fn v1_mount(controller: &str) -> Option<PathBuf> {
    let path = std::fs::canonicalize(Path::new(MOUNT).join(controller)).ok()?;
    path.join("tasks").exists().then_some(path)
}

fn make(directory: &Path) -> Result<(), Failure> {
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Failure::from_io(&format!("make the control group {}", directory.display()), &error)
                .remedy("run the launcher as root, outside a container that keeps /sys/fs/cgroup read-only"))
        }
        _ => Ok(()),
    }
}

fn copy_cpuset(base: &Path) {
    let Some(parent) = base.parent() else { return };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if files::read(&base.join(file)).trim().is_empty() {
            let _ = files::write(&base.join(file), files::read(&parent.join(file)).trim());
        }
    }
}

/// Enables what there is of the controllers on the way down to the workloads' parent.
fn prepare_v2(base: &Path) -> Result<(), Failure> {
    make(base)?;
    for directory in [Path::new(MOUNT), base] {
        let available = files::read(&directory.join("cgroup.controllers"));
        let enabled = files::read(&directory.join("cgroup.subtree_control"));
        for controller in V2_CONTROLLERS {
            let has = |list: &str| list.split_whitespace().any(|name| name == controller);
            if has(&available) && !has(&enabled) {
                // One at a time: a refused controller must not take the others with it.
                let _ = files::write(&directory.join("cgroup.subtree_control"), &format!("+{controller}"));
            }
        }
    }
    let enabled = files::read(&base.join("cgroup.subtree_control"));
    for needed in ["memory", "pids", "cpu"] {
        if !enabled.split_whitespace().any(|name| name == needed) {
            return Err(Failure::new(Code::Unavailable, format!("the cgroup v2 controller {needed} cannot be enabled below {MOUNT}"))
                .remedy("add it to cgroup.subtree_control of the parent group (systemd: Delegate=yes)"));
        }
    }
    Ok(())
}
