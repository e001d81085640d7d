//! What a launch plan may have opened outside of its workload's directory. The daemon decides what is mounted where; what the launcher lends its
//! privilege to is decided here: programs of the closed table where distributions put them, the system's own files for a monitor to read, and
//! of the root only what is meant to be shown. The operator adds to it with `--allow`. Everything is given as a descriptor of the very thing.

use crate::beneath::Below;
use crate::launch::Place;
use crate::programs;
use bulkhead_machine::Reach;
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::plan::MonitorPlan;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where distributions keep libraries and firmware, and `scripts/kernel` the guests' kernels.
const SYSTEM: [&str; 4] = ["/usr", "/lib", "/lib64", "/var/cache/bulkhead"];
const MONITORS: [&str; 2] = ["qemu-system-x86_64", "qemu-system-aarch64"];
/// Below the root: what is made to be shown to workloads.
const SHOWN: [&str; 1] = ["volumes"];
/// What a runtime may be told beside what the launcher itself says. Nothing of it names a path or loosens a guard of the workload's.
const RUNTIME_ARGUMENTS: [(&str, &[&str]); 3] =
    [("crun", &["--debug"]), ("runc", &["--debug"]), ("runsc", &["--platform=systrap", "--platform=ptrace", "--platform=kvm", "--net-raw", "--overlay2=none"])];

fn denied(what: String) -> Failure {
    Failure::new(Code::DeniedByPolicy, what)
}

/// A program by one of these names where distributions put it, or one that the operator allowed.
pub fn check_program(path: &str, names: &[&str], allowed: &[PathBuf]) -> Result<(), Failure> {
    let known = names.iter().any(|name| programs::places(name).any(|place| place == path));
    if known || allowed.iter().any(|one| one == Path::new(path)) {
        return Ok(());
    }
    let what = format!("{} is not where {} is installed by a distribution", quote(path), names.join(" or "));
    Err(denied(what).remedy("install it by the distribution's package, or start the launcher with --allow PATH"))
}

pub fn check_runtime_arguments(runtime: &str, arguments: &[String]) -> Result<(), Failure> {
    let known = RUNTIME_ARGUMENTS.iter().find(|(name, _)| *name == runtime).map_or(&[][..], |(_, known)| known);
    match arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        Some(other) => Err(denied(format!("the launcher hands no {} to {}", quote(other), quote(runtime)))),
        None => Ok(()),
    }
}

/// The monitor's own filter is part of its wall: a plan cannot leave it out.
pub fn check_monitor(engine: &MonitorPlan, allowed: &[PathBuf]) -> Result<(), Failure> {
    check_program(&engine.program, &MONITORS, allowed)?;
    let filters: Vec<&str> = engine.arguments.windows(2).filter(|pair| pair[0] == "-sandbox").map(|pair| pair[1].as_str()).collect();
    let sealed = |filter: &&str| ["on", "elevateprivileges=deny", "spawn=deny"].iter().all(|word| filter.split(',').any(|part| part == *word));
    if filters.len() == 1 && filters.iter().all(sealed) { Ok(()) } else { Err(denied("a machine monitor must run with its -sandbox on".into())) }
}

/// For the supervisor: opens below its own root descriptor, in its own mount namespace.
pub fn open(place: &Place, directory: &str, reach: Reach) -> Result<OwnedFd, Failure> {
    match reach {
        Reach::Own(path) => place.below.open(path, libc::O_PATH, 0),
        Reach::ReadOnly(path) => read_only(&place.below, path, &place.allowed),
        Reach::Share(path) => share(place, path, directory),
    }
}

/// A file below the root, or one of the system's that only root can change.
fn read_only(below: &Below, path: &str, allowed: &[PathBuf]) -> Result<OwnedFd, Failure> {
    if Path::new(path).starts_with(below.path()) {
        return below.open(path, libc::O_PATH, 0);
    }
    let (opened, real) = open_real(path)?;
    let places = SYSTEM.iter().map(Path::new).chain(allowed.iter().map(PathBuf::as_path));
    if !places.into_iter().any(|place| real.starts_with(place)) {
        let what = format!("{} is no file of the system that a machine monitor needs", quote(path));
        return Err(denied(what).remedy("start the launcher with --allow PATH, if it is"));
    }
    let meta = opened.metadata().map_err(|error| Failure::from_io(&format!("look at {}", quote(path)), &error))?;
    if meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        return Err(denied(format!("others than root can change {}", quote(path))));
    }
    Ok(opened.into())
}

/// Any path of the host, as a bind mount's source is; but of the root only volumes and the workload's own, never what the daemon keeps there.
fn share(place: &Place, path: &str, directory: &str) -> Result<OwnedFd, Failure> {
    let (opened, real) = open_real(path)?;
    let inside = |base: &Path| real.starts_with(base);
    let root = place.below.path();
    let shown = SHOWN.iter().any(|name| inside(&root.join(name)));
    if (inside(root) || inside(&place.run.join("supervisors"))) && !shown && !inside(Path::new(directory)) {
        return Err(denied(format!("{} is Bulkhead's own and is shown to no workload", quote(path))));
    }
    Ok(opened.into())
}

/// Opened, and where it really lies.
fn open_real(path: &str) -> Result<(File, PathBuf), Failure> {
    let fault = |error: std::io::Error| Failure::from_io(&format!("open {}", quote(path)), &error);
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Failure::new(Code::InvalidSpec, format!("{} is no absolute path", quote(path))));
    }
    let opened = File::options().read(true).custom_flags(libc::O_PATH).open(path).map_err(fault)?;
    let real = std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).map_err(fault)?;
    Ok((opened, real))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_name_and_its_place() {
        assert!(check_program("/usr/bin/crun", &["crun"], &[]).is_ok());
        for bad in ["/tmp/crun", "/usr/bin/sh", "/usr/bin/../bin/crun", "crun", "/usr/bin/runc", ""] {
            assert_eq!(check_program(bad, &["crun"], &[]).unwrap_err().code, Code::DeniedByPolicy, "{bad}");
        }
        assert!(check_program("/opt/q/qemu", &MONITORS, &[PathBuf::from("/opt/q/qemu")]).is_ok());
    }

    #[test]
    fn a_runtime_is_told_nothing_that_is_not_in_the_table() {
        assert!(check_runtime_arguments("crun", &["--debug".into()]).is_ok());
        assert!(check_runtime_arguments("runsc", &["--platform=ptrace".into()]).is_ok());
        for bad in ["--root=/x", "--cgroup-manager=systemd", "--log=/etc/passwd", "--platform=ptrace"] {
            assert!(check_runtime_arguments("crun", &[bad.into()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_systems_own_files_are_read_for_a_monitor() {
        let base = std::env::temp_dir().join(format!("reach-{}", std::process::id()));
        std::fs::create_dir_all(base.join("root")).unwrap();
        std::fs::write(base.join("root/drive"), "").unwrap();
        std::fs::write(base.join("secret"), "").unwrap();
        std::os::unix::fs::symlink("/etc/shadow", base.join("root/link")).unwrap();
        let below = Below::new(&base.join("root")).unwrap();
        let at = |name: &str| base.join(name).to_str().unwrap().to_owned();
        let code = |path: &str, allowed: &[PathBuf]| read_only(&below, path, allowed).err().map(|failure| failure.code);
        assert_eq!(code(&at("root/drive"), &[]), None);
        assert_eq!(code("/usr/bin/env", &[]), None);
        assert_eq!(code(&at("root/link"), &[]), Some(Code::InvalidSpec));
        for bad in ["/etc/shadow", "/proc/self/mem", at("secret").as_str()] {
            assert_eq!(code(bad, &[]), Some(Code::DeniedByPolicy), "{bad}");
        }
        assert_eq!(code("/usr/../etc/shadow", &[]), Some(Code::InvalidSpec));
        assert_eq!(code(&at("secret"), &[PathBuf::from(at("secret"))]), None);
        std::fs::remove_dir_all(&base).unwrap();
    }
}
