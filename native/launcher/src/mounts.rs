//! The launcher's own mount namespace. Mounts of the host still arrive in it (slave propagation), none of its own leave it.
//!
//! On a host with v1 controllers and a `unified` directory beside them, crun refuses to run. In this namespace a tmpfs lies over
//! /sys/fs/cgroup with the v1 controllers bound in and no `unified`. The host's own mounts are never touched: removing a mount
//! point in one namespace would detach it in all.

use bulkhead_wire::Failure;
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

const CGROUPS: &str = "/sys/fs/cgroup";

pub fn enter_private_namespace() -> Result<(), Failure> {
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(Failure::system("make a mount namespace (the launcher must run as root)"));
    }
    mount(None, "/", None, libc::MS_REC | libc::MS_SLAVE, None).map_err(|error| Failure::from_io("keep mounts from spreading", &error))?;
    let hybrid = !Path::new(CGROUPS).join("cgroup.controllers").exists() && Path::new(CGROUPS).join("unified").exists();
    if hybrid { hide_unified().map_err(|error| Failure::from_io("hide the unified control group", &error)) } else { Ok(()) }
}

/// Room for what runtimes keep of some thousand workloads (40 KB each).
const STATE_OPTIONS: &str = "mode=711,size=256m,nr_inodes=128k";

/// What does not outlive its supervisor lies in memory: a full disk must not keep a workload from being started, entered or stopped. In this
/// namespace and those of the supervisors alone, so that it goes with the last of them. A launcher after this one has another.
pub fn mount_state(directory: &Path) -> Result<(), Failure> {
    let target = directory.to_str().unwrap_or_default();
    mount(Some("tmpfs"), target, Some("tmpfs"), libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, Some(STATE_OPTIONS))
        .map_err(|error| Failure::from_io(&format!("mount a tmpfs at {target}"), &error))
}

/// Where a workload with ids of its own finds what it is made of. Everybody may pass through the host's /run, and through nothing that is the daemon's own.
pub const STAGE: &str = "/run/bulkhead-stage";

/// In this namespace and the supervisors' alone. The directories are mount points, each supervisor's own: they are never removed. On the host stays an empty directory.
pub fn mount_stage() -> std::io::Result<()> {
    std::fs::create_dir_all(STAGE)?;
    mount(Some("tmpfs"), STAGE, Some("tmpfs"), libc::MS_NOSUID | libc::MS_NOEXEC, Some("mode=711,size=1m"))?;
    for name in ["store", "root"] {
        std::fs::create_dir(Path::new(STAGE).join(name))?;
    }
    Ok(())
}

fn hide_unified() -> std::io::Result<()> {
    let mut controllers: Vec<(PathBuf, OwnedFd)> = Vec::new();
    let mut links = Vec::new();
    for entry in std::fs::read_dir(CGROUPS)?.flatten() {
        let path = entry.path();
        if let Ok(target) = std::fs::read_link(&path) {
            links.push((path, target));
        } else if path.join("cgroup.procs").exists() && path.join("tasks").exists() {
            let name = CString::new(path.as_os_str().as_encoded_bytes())?;
            let fd = unsafe { libc::open(name.as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) };
            if fd < 0 {
                return Err(std::io::Error::last_os_error());
            }
            controllers.push((path, unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    mount(Some("tmpfs"), CGROUPS, Some("tmpfs"), libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, Some("mode=755,size=64k"))?;
    for (path, descriptor) in controllers {
        std::fs::create_dir(&path)?;
        let source = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        mount(Some(&source), path.to_str().unwrap_or_default(), None, libc::MS_BIND, None)?;
    }
    for (path, target) in links {
        std::os::unix::fs::symlink(target, path)?;
    }
    Ok(())
}

/// mount(2).
pub fn mount(source: Option<&str>, target: &str, kind: Option<&str>, flags: libc::c_ulong, data: Option<&str>) -> std::io::Result<()> {
    let text = |value: Option<&str>| value.map(CString::new).transpose();
    let (source, target, kind, data) = (text(source)?, CString::new(target)?, text(kind)?, text(data)?);
    let pointer = |value: &Option<CString>| value.as_ref().map_or(std::ptr::null(), |value| value.as_ptr());
    match unsafe { libc::mount(pointer(&source), target.as_ptr(), pointer(&kind), flags, pointer(&data).cast()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
