//! `configure`: everything of the run but its processes, in the order of the calls below. Nothing of it was in the boot.

use crate::inside::Inside;
use crate::root::Root;
use crate::sys::{self, c};
use crate::drive::{self, Drives};
use crate::{cgroup, devices, network, share};
use bulkhead_wire::message::Request;
use bulkhead_wire::plan::{GuestConfiguration, GuestMount};
use bulkhead_wire::failure::quote;
use bulkhead_wire::{Code, Failure};
use serde_json::Value;
use std::os::fd::AsRawFd;

/// A configured machine: what starting processes needs to know.
pub struct Machine {
    pub inside: Inside,
}

const DEFAULT_SCRATCH_BYTES: u64 = 64 << 20;
pub fn configure(mut request: Request, drives: &Drives) -> Result<Machine, Failure> {
    let mut text = |name: &str| match request.arguments.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Failure::new(Code::InvalidSpec, format!("the configuration has no {name}"))),
    };
    step_clock(&text("clockNs")?)?;
    add_entropy(&text("entropyBase64")?)?;
    let guest: &GuestConfiguration = &request.arguments()?;
    let layers = drives.mount_layers(&guest.layers)?;
    drives.mount_scratch(guest.limits.disk_bytes.unwrap_or(DEFAULT_SCRATCH_BYTES))?;
    drive::mount_overlay(&layers)?;
    let root = Root::open("/root")?;
    mount_system(&root, guest)?;
    name_machine(&root, guest)?;
    if let Some(wanted) = &guest.network {
        network::configure(wanted)?;
    }
    let mut mounts: Vec<&GuestMount> = guest.mounts.iter().collect();
    mounts.sort_by_key(|mount| target(mount).split('/').filter(|part| !part.is_empty()).count());
    for mount in mounts {
        add_mount(&root, mount)?;
    }
    cgroup::limit(&guest.limits)?;
    Ok(Machine { inside: Inside::new(guest)? })
}

pub fn step_clock(text: &str) -> Result<(), Failure> {
    let ns: i64 = text.parse().map_err(|_| Failure::new(Code::InvalidSpec, "the clock is no number of nanoseconds"))?;
    let time = libc::timespec { tv_sec: ns.div_euclid(1_000_000_000), tv_nsec: ns.rem_euclid(1_000_000_000) };
    if unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &time) } == 0 { Ok(()) } else { Err(Failure::system("step the clock")) }
}

/// Fresh from the host, counted as entropy, and taken into use before any process runs: clones of one template must differ.
fn add_entropy(text: &str) -> Result<(), Failure> {
    const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
    const RNDRESEEDCRNG: libc::c_ulong = 0x5207;
    let bytes = decode_base64(text).filter(|bytes| (16..=512).contains(&bytes.len()));
    let bytes = bytes.ok_or_else(|| Failure::new(Code::InvalidSpec, "the entropy is not 16 to 512 bytes of base64"))?;
    let pool = sys::open("/dev/urandom", libc::O_RDWR)?;
    let mut request = Vec::with_capacity(8 + bytes.len());
    request.extend_from_slice(&(bytes.len() as i32 * 8).to_ne_bytes());
    request.extend_from_slice(&(bytes.len() as i32).to_ne_bytes());
    request.extend_from_slice(&bytes);
    let done = unsafe { libc::ioctl(pool.as_raw_fd(), RNDADDENTROPY, request.as_ptr()) == 0 && libc::ioctl(pool.as_raw_fd(), RNDRESEEDCRNG) == 0 };
    if done { Ok(()) } else { Err(Failure::system("seed the random numbers")) }
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    Some(bytes)
}

/// /dev, and the places of what only the main process's namespaces can mount.
fn mount_system(root: &Root, guest: &GuestConfiguration) -> Result<(), Failure> {
    for path in ["/proc", "/sys"] {
        root.directory(path)?;
    }
    devices::move_into(root, guest.shm_bytes)
}

/// Name and name files. The files lie outside of the root, as everywhere: they are no change to the image.
fn name_machine(root: &Root, guest: &GuestConfiguration) -> Result<(), Failure> {
    let set = |name: &str, call: unsafe extern "C" fn(*const libc::c_char, usize) -> i32, doing: &str| {
        let text = c(name)?;
        if unsafe { call(text.as_ptr(), name.len()) } == 0 { Ok(()) } else { Err(Failure::system(doing)) }
    };
    set(&guest.hostname, libc::sethostname, "set the host name")?;
    if let Some(domain) = &guest.domain_name {
        set(domain, libc::setdomainname, "set the domain name")?;
    }
    let hostname = format!("{}\n", guest.hostname);
    for (name, text) in [("hostname", &hostname), ("hosts", &guest.hosts), ("resolv.conf", &guest.resolv_conf)] {
        let file = format!("/files/{name}");
        sys::write_file(&file, text)?;
        root.file(&format!("/etc/{name}"))?.bind(&file, false)?;
    }
    Ok(())
}

fn target(mount: &GuestMount) -> &str {
    match mount {
        GuestMount::Tmpfs { target, .. } | GuestMount::Share { target, .. } => target,
    }
}

fn add_mount(root: &Root, mount: &GuestMount) -> Result<(), Failure> {
    match mount {
        GuestMount::Tmpfs { target, read_only, size_bytes, mode, options } => {
            let (mut flags, mut data) = tmpfs_options(options);
            if *read_only {
                flags |= libc::MS_RDONLY;
            }
            data.extend(size_bytes.map(|bytes| format!("size={bytes}")));
            data.extend(mode.map(|mode| format!("mode={:o}", mode & 0o7777)));
            let mounted = || sys::mount("tmpfs", &root.directory(target)?.path(), "tmpfs", flags, &data.join(","));
            mounted().map_err(|failure| misplaced(target, failure))
        }
        GuestMount::Share { share: number, target, read_only, file } => {
            let place = format!("/shares/{number}");
            sys::mkdir(&place, 0o755)?;
            share::mount(*number, &place, *read_only)?;
            match file {
                None => root.directory(target).and_then(|at| at.bind(&place, false)).map_err(|failure| misplaced(target, failure)),
                Some(name) => {
                    share::check_file_name(name)?;
                    let found = Root::open(&place)?.place(name)?;
                    root.file(target).and_then(|at| at.bind(&found.path(), false)).map_err(|failure| misplaced(target, failure))
                }
            }
        }
    }
}

/// A file over a directory, a directory below a file: the caller's to mend, but for want of memory.
fn misplaced(target: &str, failure: Failure) -> Failure {
    if failure.code == Code::Exhausted {
        return failure;
    }
    Failure::new(Code::InvalidSpec, format!("nothing can be mounted at {}: {}", quote(target), failure.what)).remedy("mount a directory on a directory and a file on a file")
}

/// Mount options as Docker takes them for `--tmpfs`, split into the kernel's flags and the filesystem's own words.
fn tmpfs_options(options: &[String]) -> (libc::c_ulong, Vec<String>) {
    const FLAGS: [(&str, libc::c_ulong); 6] = [
        ("nosuid", libc::MS_NOSUID), ("nodev", libc::MS_NODEV), ("noexec", libc::MS_NOEXEC),
        ("noatime", libc::MS_NOATIME), ("ro", libc::MS_RDONLY), ("sync", libc::MS_SYNCHRONOUS),
    ];
    const OPPOSITES: [(&str, libc::c_ulong); 4] = [("suid", libc::MS_NOSUID), ("dev", libc::MS_NODEV), ("exec", libc::MS_NOEXEC), ("rw", libc::MS_RDONLY)];
    const OWN: [&str; 6] = ["size=", "mode=", "uid=", "gid=", "nr_inodes=", "nr_blocks="];
    let mut flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let mut own = Vec::new();
    for option in options {
        if let Some((_, flag)) = FLAGS.iter().find(|(name, _)| name == option) {
            flags |= flag;
        } else if let Some((_, flag)) = OPPOSITES.iter().find(|(name, _)| name == option) {
            flags &= !flag;
        } else if OWN.iter().any(|prefix| option.starts_with(prefix)) && !option.contains(',') {
            own.push(option.clone());
        }
    }
    (flags, own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_or_refused() {
        assert_eq!(decode_base64("aGVsbG8=").unwrap(), b"hello");
        assert_eq!(decode_base64("/+8A").unwrap(), [0xff, 0xef, 0]);
        assert_eq!(decode_base64("").unwrap(), b"");
        assert!(decode_base64("a b").is_none() && decode_base64("a-_b").is_none());
    }

    #[test]
    fn tmpfs_options_are_flags_or_words_of_tmpfs_and_nothing_else() {
        let (flags, own) = tmpfs_options(&["exec", "size=1m", "uid=7", "gid=1,suid", "context=x"].map(str::to_owned));
        assert_eq!(flags, libc::MS_NOSUID | libc::MS_NODEV);
        assert_eq!(own, ["size=1m", "uid=7"]);
    }
}
