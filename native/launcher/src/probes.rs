//! Trying mechanisms out, each in a forked child, so that nothing of it outlives the answer.

use crate::launch::Place;
use crate::mounts::mount;
use crate::{idmap, orphans, users};
use bulkhead_cgroup::Group;
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::plan::LimitsSpec;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the ranges of workloads lie; nobody lives in this one while it is tried.
const IDS: u32 = 0x7000_0000;

/// What was done and what was seen.
type Finding = Result<String, String>;

pub fn probe(what: &str, place: &Place) -> Result<Value, Failure> {
    let network = |probe: bulkhead_network::Probe| if probe.works { Ok(probe.detail) } else { Err(probe.detail) };
    let finding = match what {
        "namespaces" => namespaces(),
        "user-namespaces" => user_namespaces(),
        "overlay" => in_scratch(place, overlay),
        "idmapped-mounts" => in_scratch(place, idmapped),
        "cgroup" => cgroup(place),
        "memory-limit" => memory_limit(place),
        "bridge" => network(bulkhead_network::probe_bridge()),
        "nftables" => network(bulkhead_network::probe_nftables()),
        "tun" => network(bulkhead_network::probe_tun()),
        "orphans" => orphans(),
        "loop-free-erofs" => in_scratch(place, erofs),
        other => return Err(Failure::new(Code::InvalidSpec, format!("{} is not a probe", quote(other)))),
    };
    let (works, detail) = match finding {
        Ok(detail) => (true, detail),
        Err(detail) => (false, detail),
    };
    Ok(json!({ "works": works, "detail": detail }))
}

fn system(what: &str) -> String {
    format!("{what}: {}", io::Error::last_os_error())
}

fn failed(what: &str) -> impl Fn(io::Error) -> String + '_ {
    move |error| format!("{what}: {error}")
}

fn orphans() -> Finding {
    let found = orphans::find()?;
    orphans::describe(&found).map_or_else(|| Ok("nothing of roots that are no more stands on this host".into()), Err)
}

fn namespaces() -> Finding {
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWNET | libc::CLONE_NEWCGROUP;
    if unsafe { libc::unshare(flags) } != 0 {
        return Err(system("mount, pid, ipc, uts, network and cgroup namespaces cannot be made"));
    }
    Ok("mount, pid, ipc, uts, network and cgroup namespaces were made".into())
}

/// In a child of its own: the kernel must also take the mapping.
fn user_namespaces() -> Finding {
    if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
        return Err(system("a user namespace cannot be made"));
    }
    let pid = unsafe { libc::getpid() };
    fs::write("/proc/self/setgroups", "deny").map_err(failed("setgroups cannot be denied"))?;
    fs::write(format!("/proc/{pid}/uid_map"), "0 0 1").map_err(failed("a uid cannot be mapped"))?;
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(system("a user namespace was made, but gives no capabilities (AppArmor restricts it)"));
    }
    Ok("a user namespace was made, and a network namespace in it".into())
}

/// A directory of the root's own filesystem in a mount namespace that ends with this child.
fn in_scratch(place: &Place, work: impl FnOnce(&Path) -> Finding) -> Finding {
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(system("a mount namespace cannot be made"));
    }
    let scratch = place.below.path().join(format!("probe-{}", std::process::id()));
    fs::create_dir(&scratch).map_err(failed("the root cannot be written"))?;
    let finding = work(&scratch);
    let target = std::ffi::CString::new(scratch.join("merged").as_os_str().as_encoded_bytes()).unwrap_or_default();
    unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    let _ = fs::remove_dir_all(&scratch);
    finding
}

fn make(scratch: &Path, names: &[&str]) -> Result<Vec<PathBuf>, String> {
    let paths: Vec<PathBuf> = names.iter().map(|name| scratch.join(name)).collect();
    for path in &paths {
        fs::create_dir(path).map_err(failed("a directory cannot be made"))?;
    }
    Ok(paths)
}

fn overlay(scratch: &Path) -> Finding {
    let paths = make(scratch, &["lower", "upper", "work", "merged"])?;
    fs::write(paths[0].join("file"), "below").map_err(failed("the root cannot be written"))?;
    let options = format!("lowerdir={},upperdir={},workdir={}", paths[0].display(), paths[1].display(), paths[2].display());
    let target = paths[3].to_str().unwrap_or_default();
    mount(Some("overlay"), target, Some("overlay"), 0, Some(&options)).map_err(failed("an overlay on the root's filesystem cannot be mounted"))?;
    fs::remove_file(paths[3].join("file")).map_err(failed("a file of the lower layer cannot be covered"))?;
    let still = paths[0].join("file").exists();
    if still { Ok("an overlay on the root's filesystem was mounted and written".into()) } else { Err("the overlay wrote into its lower layer".into()) }
}

fn idmapped(scratch: &Path) -> Finding {
    let tree = idmap::clone_path(scratch.to_str().unwrap_or_default(), 0).map_err(failed("the root's mount cannot be cloned"))?;
    let made = idmap::make_namespaces(IDS, users::RANGE, 0).map_err(failed("a user namespace cannot be made"))?;
    idmap::map(&tree, &made.users, 0).map_err(failed("the root's filesystem takes no id mapping"))?;
    Ok("the root's filesystem was mounted with mapped ids".into())
}

fn erofs(scratch: &Path) -> Finding {
    let paths = make(scratch, &["tree", "merged"])?;
    fs::write(paths[0].join("file"), "inside").map_err(failed("the root cannot be written"))?;
    let image = scratch.join("image");
    let made = std::process::Command::new("mkfs.erofs").arg(&image).arg(&paths[0]).output().map_err(failed("mkfs.erofs cannot be run"))?;
    if !made.status.success() {
        return Err(format!("mkfs.erofs failed: {}", String::from_utf8_lossy(&made.stderr).trim()));
    }
    let target = paths[1].to_str().unwrap_or_default();
    mount(image.to_str(), target, Some("erofs"), libc::MS_RDONLY, None).map_err(failed("an erofs file cannot be mounted without a loop device"))?;
    fs::read(paths[1].join("file")).map_err(failed("the mounted erofs cannot be read"))?;
    Ok("an erofs file was mounted without a loop device".into())
}

fn cgroup(place: &Place) -> Finding {
    with_group(place, &LimitsSpec { pids: Some(7), cpus: Some(0.5), ..LimitsSpec::default() }, |group| {
        let used = group.stats();
        if used.pids_limit != 7 {
            return Err("the limit of processes was set and is not there".into());
        }
        Ok(format!("a control group ({:?}) was made with limits of processes and processors", place.layout.version))
    })
}

/// The kernel must really end a process that takes more than its group may have.
fn memory_limit(place: &Place) -> Finding {
    const LIMIT: u64 = 16 << 20;
    let limits = LimitsSpec { memory_bytes: Some(LIMIT), memory_swap_bytes: Some(LIMIT as i64), ..LimitsSpec::default() };
    with_group(place, &limits, |group| {
        let attach = group.attach().map_err(failed("the control group cannot be opened"))?;
        let child = crate::oci::fork_into(&attach).map_err(failed("a process cannot be started in the control group"))?;
        if child == 0 {
            let mut hoard = vec![0u8; 4 * LIMIT as usize];
            hoard.chunks_mut(4096).for_each(|page| page[0] = 1);
            std::hint::black_box(&hoard);
            unsafe { libc::_exit(0) }
        }
        let mut status = 0;
        unsafe { libc::waitpid(child, &mut status, 0) };
        let kills = group.out_of_memory_kills();
        if libc::WIFSIGNALED(status) && kills > 0 {
            return Ok("a process that took four times its group's memory was ended, and counted".into());
        }
        Err(format!("a process took four times its group's memory and was not ended (status {status}, {kills} kills counted)"))
    })
}

fn with_group(place: &Place, limits: &LimitsSpec, work: impl FnOnce(&Group) -> Finding) -> Finding {
    let name = format!("probe-{}", std::process::id());
    let group = Group::make(place.layout.clone(), &name, limits, &[], false).map_err(|failure| failure.what)?;
    let finding = work(&group);
    for _ in 0..1000 {
        group.kill();
        if group.remove() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    finding
}
