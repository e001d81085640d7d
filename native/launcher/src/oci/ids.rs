//! A workload with ids of its own: root inside is nobody outside.
//!
//! ```text
//! claim a range ─▶ user namespace, and the network namespace as its part ─▶ the store cloned and shown with that range's owners
//!   ─▶ overlay over the clone ─▶ sources of binds cloned and shown likewise ─▶ runtime ─▶ the clone of the store taken away
//! ```
//!
//! Nothing is chowned: the disk keeps the image's own ids, so that layers are shared by all ranges and a workload that starts again may have
//! another one. All places are below the stage, a tmpfs of the launcher's mount namespace, since the runtime looks for them as the range's root, whom
//! the daemon's own directories keep out.

use super::Runtime;
use super::raise::doing;
use crate::idmap::{self, RECURSIVE};
use crate::mounts::STAGE;
use crate::users;
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::plan::DeviceSpec;
use serde_json::{Value, json};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// File systems that are views of the kernel: they take no mapping, and need none. Owners in them are nobody of the workload.
const KERNEL_VIEWS: [&str; 19] = [
    "proc", "sysfs", "cgroup", "cgroup2", "devtmpfs", "devpts", "mqueue", "debugfs", "tracefs", "securityfs", "bpf", "pstore", "configfs", "efivarfs", "fusectl",
    "hugetlbfs", "binfmt_misc", "autofs", "nsfs",
];

pub struct Ids {
    pub users: OwnedFd,
    claim: users::Claim,
    store: Option<PathBuf>,
    /// Where the workload wants devices, and their nodes, which have no name once they are bound.
    devices: Vec<(String, String)>,
}

/// Where the overlay is mounted.
pub fn root_place() -> String {
    format!("{STAGE}/root")
}

fn store_place() -> String {
    format!("{STAGE}/store")
}

impl Ids {
    /// Claims a range and makes its namespaces; the second is the network's, where `others` asks for it.
    pub fn make(run: &Path, workload: &str, others: libc::c_int) -> Result<(Ids, Option<OwnedFd>), Failure> {
        if !Path::new(STAGE).join("store").is_dir() {
            return Err(Failure::new(Code::Unavailable, format!("a user namespace needs {STAGE}, which could not be made")).remedy("let the launcher write to /run, or run it with --userns=host"));
        }
        let hash = u32::from_str_radix(workload.get(..8).unwrap_or_default(), 16).unwrap_or_else(|_| std::process::id());
        let claim = users::claim_range(run, hash)?;
        let made = idmap::make_namespaces(claim.id, users::RANGE, others).map_err(|error| explain(&error))?;
        Ok((Ids { users: made.users, claim, store: None, devices: Vec::new() }, made.network))
    }

    /// Root's own number outside.
    pub fn first(&self) -> u32 {
        self.claim.id
    }

    /// The number outside of one inside.
    pub fn outside(&self, id: u32) -> Option<u32> {
        (id < users::RANGE).then(|| self.claim.id + id)
    }

    /// Shows the store with the range's owners, at the place that is given back.
    pub fn show_store(&mut self, store: &Path) -> Result<PathBuf, Failure> {
        let place = self.place_store(store)?;
        self.store = Some(store.to_path_buf());
        Ok(place)
    }

    /// The same for a process whose mounts are its own and go with it: nothing of it is remembered here.
    pub fn place_store(&self, store: &Path) -> Result<PathBuf, Failure> {
        let path = store.to_str().unwrap_or_default();
        let tree = idmap::clone_path(path, 0).map_err(doing("clone the store's mount"))?;
        idmap::map(&tree, &self.users, 0).map_err(|error| {
            Failure::new(Code::Unavailable, format!("the file system of {} maps no owners, which user namespaces need ({error})", store.display()))
                .remedy("keep the root on ext4, xfs or btrfs with a kernel from 5.19 on, or run it with --userns=host")
        })?;
        let place = store_place();
        idmap::move_mount(&tree, &open(&place).map_err(doing("open the stage"))?).map_err(doing("show the store"))?;
        Ok(place.into())
    }

    /// Takes away what only the raising needed. What the workload was given of it stays its own.
    pub fn hide_store(&mut self) {
        if self.store.take().is_some() {
            let place = CString::new(store_place()).unwrap_or_default();
            unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) };
        }
        for (_, node) in self.devices.drain(..) {
            let _ = fs::remove_file(node);
        }
    }

    /// Does what makes files with the range's root as the file system's user: else the overlay cannot make its work directory, and is read-only
    /// without a word. Capabilities stay as they are.
    pub fn as_root_inside<T>(&self, work: impl FnOnce() -> T) -> T {
        const NO_SETUID_FIXUP: libc::c_ulong = 1 << 2;
        unsafe {
            let before = libc::prctl(libc::PR_GET_SECUREBITS);
            libc::prctl(libc::PR_SET_SECUREBITS, before as libc::c_ulong | NO_SETUID_FIXUP);
            libc::setfsuid(self.first());
            libc::setfsgid(self.first());
            let done = work();
            libc::setfsuid(0);
            libc::setfsgid(0);
            libc::prctl(libc::PR_SET_SECUREBITS, before);
            done
        }
    }

    /// Where the runtime finds the source of a bind: what lies in `own`, the workload's directory, in the store; everything else on a clone of its own.
    pub fn show_source(&self, number: usize, source: &str, own: &str) -> Result<String, Failure> {
        let inside = |store: &PathBuf| source.strip_prefix(own).filter(|rest| rest.starts_with('/')).and_then(|_| Path::new(source).strip_prefix(store).ok().map(Path::to_path_buf));
        if let Some(rest) = self.store.as_ref().and_then(inside) {
            return Ok(Path::new(&store_place()).join(rest).to_string_lossy().into_owned());
        }
        let fault = |error: io::Error| Failure::from_io(&format!("show {} to the workload", quote(source)), &error);
        let metadata = fs::metadata(source).map_err(fault)?;
        let tree = self.mapped_tree(source, &metadata)?;
        let kind = if metadata.is_dir() { "directory" } else { "file" };
        let place = format!("{STAGE}/{kind}-{number}");
        let made = if metadata.is_dir() { fs::create_dir(&place) } else { fs::File::create_new(&place).map(drop) };
        // Never removed: to take a mount point's name away takes away the mount, in every namespace.
        made.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }).map_err(fault)?;
        open(&place).and_then(|place| idmap::move_mount(&tree, &place)).map_err(fault)?;
        Ok(place)
    }

    /// With all that is mounted below. There, what maps no owners is shown as it is, all of it nobody's; at the top it is refused.
    fn mapped_tree(&self, source: &str, metadata: &fs::Metadata) -> Result<OwnedFd, Failure> {
        let fault = |error: io::Error| Failure::from_io(&format!("show {} to the workload", quote(source)), &error);
        let tree = idmap::clone_path(source, RECURSIVE).map_err(fault)?;
        if idmap::map(&tree, &self.users, RECURSIVE).is_ok() {
            return Ok(tree);
        }
        let path = fs::canonicalize(source).map_err(fault)?;
        let table = String::from_utf8_lossy(&fs::read("/proc/self/mountinfo").map_err(fault)?).into_owned();
        let mounts: Vec<Mount> = table.lines().filter_map(Mount::read).collect();
        let device = (libc::major(metadata.dev()), libc::minor(metadata.dev()));
        let top = mounts.iter().rfind(|mount| path.starts_with(&mount.point) && mount.device == device);
        let is_view = top.is_some_and(|mount| KERNEL_VIEWS.contains(&mount.kind.as_str()));
        if let (false, Err(error)) = (is_view, idmap::map(&tree, &self.users, 0)) {
            // An overlay's files may say another device than its mount.
            let kind = top.or_else(|| mounts.iter().rfind(|mount| path.starts_with(&mount.point))).map_or("unknown", |mount| mount.kind.as_str());
            let what = format!("{} cannot be shown to a workload with ids of its own: its file system ({kind}) maps no owners ({error})", quote(source));
            return Err(Failure::new(Code::Unsupported, what).remedy("keep it on ext4, xfs, btrfs or a volume, or run the workload with --userns=host"));
        }
        for mount in mounts.iter().filter(|mount| mount.point != path) {
            let Ok(rest) = mount.point.strip_prefix(&path) else { continue };
            let below = format!("/proc/self/fd/{}/{}", tree.as_raw_fd(), rest.display());
            if let Ok(below) = open(&below) {
                let _ = idmap::map(&below, &self.users, 0);
            }
        }
        Ok(tree)
    }

    /// A node of a device that belongs to the range: a node of the host's would be nobody's inside, and open to root there by its mode alone.
    pub fn make_device(&mut self, device: &DeviceSpec) -> Result<(), Failure> {
        let fault = |error: io::Error| Failure::from_io(&format!("give the device {} to the workload", quote(&device.host_path)), &error);
        let metadata = fs::metadata(&device.host_path).map_err(fault)?;
        let place = format!("{STAGE}/device-{}-{}", std::process::id(), self.devices.len());
        let name = CString::new(place.as_str()).unwrap_or_default();
        let _ = fs::remove_file(&place);
        if unsafe { libc::mknod(name.as_ptr(), metadata.mode(), metadata.rdev()) } != 0 {
            return Err(fault(io::Error::last_os_error()));
        }
        self.devices.push((device.path.clone(), place));
        let owner = |id: u32| self.outside(id).unwrap_or_else(|| self.first());
        if unsafe { libc::chown(name.as_ptr(), owner(metadata.uid()), owner(metadata.gid())) } != 0 || unsafe { libc::chmod(name.as_ptr(), metadata.mode() & 0o7777) } != 0 {
            return Err(fault(io::Error::last_os_error()));
        }
        Ok(())
    }

    /// Puts into the runtime's configuration what it says of ids: the namespace, the root, and where sources of binds and devices are shown. To be
    /// called in a process that shares this one's mounts. `own` is the workload's directory.
    pub fn put_into(&self, config: &mut Value, runtime: Runtime, own: &str) -> Result<(), Failure> {
        config["root"]["path"] = Value::from(root_place());
        let path = format!("/proc/{}/fd/{}", unsafe { libc::getppid() }, self.users.as_raw_fd());
        if let Some(namespaces) = config.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut) {
            namespaces.retain(|entry| entry["type"] != "user");
            // runsc has too many threads to enter one: it makes another of the same range.
            namespaces.push(if runtime == Runtime::Runsc { json!({ "type": "user" }) } else { json!({ "type": "user", "path": path }) });
        }
        if runtime == Runtime::Runsc {
            let range = json!([{ "containerID": 0, "hostID": self.first(), "size": users::RANGE }]);
            config["linux"]["uidMappings"] = range.clone();
            config["linux"]["gidMappings"] = range;
        }
        let Some(mounts) = config.get_mut("mounts").and_then(Value::as_array_mut) else { return Ok(()) };
        for (number, mount) in mounts.iter_mut().enumerate().filter(|(_, mount)| mount["type"] == "bind") {
            let source = mount["source"].as_str().unwrap_or_default();
            mount["source"] = Value::from(self.show_source(number, source, own)?);
        }
        mounts.extend(self.devices.iter().map(|(path, node)| json!({ "destination": path, "type": "bind", "source": node, "options": ["bind", "rprivate"] })));
        Ok(())
    }
}

impl Drop for Ids {
    fn drop(&mut self) {
        self.hide_store();
    }
}

fn explain(error: &io::Error) -> Failure {
    let what = format!("a user namespace cannot be made: {error}");
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EUSERS) => Failure::new(Code::Exhausted, what).remedy("sysctl -w user.max_user_namespaces=31422, or run it with --userns=host"),
        _ => Failure::new(Code::Unavailable, what).remedy("boot a kernel with CONFIG_USER_NS, or run it with --userns=host"),
    }
}

fn open(path: &str) -> io::Result<OwnedFd> {
    let path = CString::new(path)?;
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

/// A line of mountinfo.
struct Mount {
    point: PathBuf,
    kind: String,
    device: (u32, u32),
}

impl Mount {
    fn read(line: &str) -> Option<Mount> {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ');
        let (major, minor) = fields.nth(2)?.split_once(':')?;
        let point = unescape(fields.nth(1)?);
        Some(Mount { point: point.into(), kind: right.split(' ').next()?.to_string(), device: (major.parse().ok()?, minor.parse().ok()?) })
    }
}

/// Spaces and the like are written as three octal digits.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"].iter().zip([" ", "\t", "\n", "\\"]).fold(text.to_string(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_mount_table_is_read_with_its_kind() {
        let mount = Mount::read("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw").unwrap();
        assert_eq!((mount.point.to_str(), mount.kind.as_str(), mount.device), (Some("/mnt 2"), "ext3", (98, 0)));
        assert!(Mount::read("").is_none() && Mount::read("36 35 98 / / - ").is_none());
    }
}
