//! From the kernel's first instruction of ours to the open agent port. Nothing of any run is known here.

use crate::{cgroup, devices, network, port, sys};
use bulkhead_wire::{Code, Failure};
use std::os::fd::{AsRawFd, OwnedFd};

const PORT_NAME: &str = "org.bulkhead.agent";
/// Ports announce themselves by messages after the device is there; on a busy host that takes a while.
const PORT_PATIENCE_MS: u64 = 10_000;

pub fn boot() -> Result<port::Port, Failure> {
    load_modules();
    leave_the_initramfs()?;
    for directory in ["/proc", "/sys", "/dev", "/layers", "/scratch", "/root", "/files", "/shares"] {
        sys::mkdir(directory, 0o755)?;
    }
    let guarded = libc::MS_NOSUID | libc::MS_NOEXEC;
    sys::mount("proc", "/proc", "proc", guarded | libc::MS_NODEV, "")?;
    sys::mount("sysfs", "/sys", "sysfs", guarded | libc::MS_NODEV, "")?;
    sys::mount("devtmpfs", "/dev", "devtmpfs", guarded, "mode=0755")?;
    cgroup::mount()?;
    devices::prepare()?;
    network::loopback()?;
    // The agent outlives every shortage of the workload.
    let _ = sys::write_file("/proc/self/oom_score_adj", "-1000");
    port::Port::new(open_port(PORT_NAME, libc::O_NONBLOCK)?)
}

/// `/modules/NN-name.ko`, in the order of their names. Debian's kernel needs them, ours has none.
fn load_modules() {
    let Ok(entries) = std::fs::read_dir("/modules") else { return };
    let _ = sys::mkdir("/proc", 0o755).and_then(|()| sys::mount("proc", "/proc", "proc", 0, ""));
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(file) = std::fs::File::open(&path) else { continue };
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Ok(parameters) = sys::c(&module_parameters(&command_line, name.split_once('-').map_or("", |(_, name)| name))) else { continue };
        if unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), parameters.as_ptr(), 0) } != 0 && sys::errno() != libc::EEXIST {
            eprintln!("bulkhead: module {} was refused: {}", path.display(), std::io::Error::last_os_error());
        }
        let _ = std::fs::remove_file(&path);
    }
}

/// What the kernel's command line says to a module, as whoever loads it must hand over: `virtio_mmio.device=…` names the drives.
fn module_parameters(command_line: &str, module: &str) -> String {
    let own = command_line.split_whitespace().filter_map(|word| word.strip_prefix(module)?.strip_prefix('.'));
    own.collect::<Vec<_>>().join(" ")
}

/// The initramfs itself can never be pivoted away from, so the agent moves to a tmpfs above it first.
fn leave_the_initramfs() -> Result<(), Failure> {
    sys::mkdir("/machine", 0o755)?;
    sys::mount("tmpfs", "/machine", "tmpfs", libc::MS_NOSUID, "mode=0755,size=8m")?;
    std::env::set_current_dir("/machine").map_err(|error| Failure::from_io("enter /machine", &error))?;
    sys::mount(".", "/", "", libc::MS_MOVE, "")?;
    if unsafe { libc::chroot(c".".as_ptr()) } != 0 {
        return Err(Failure::system("make the agent's root"));
    }
    std::env::set_current_dir("/").map_err(|error| Failure::from_io("enter /", &error))
}

/// Opens the virtio-serial port of this name.
pub fn open_port(name: &str, flags: i32) -> Result<OwnedFd, Failure> {
    let deadline = bulkhead_wire::clock::monotonic_ns() + PORT_PATIENCE_MS * 1_000_000;
    loop {
        if let Some(device) = find_port(name) {
            return sys::open(&device, libc::O_RDWR | flags);
        }
        if bulkhead_wire::clock::monotonic_ns() > deadline {
            return Err(Failure::new(Code::Unavailable, format!("the machine has no port {name}")));
        }
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
}

fn find_port(name: &str) -> Option<String> {
    for entry in std::fs::read_dir("/sys/class/virtio-ports").ok()?.flatten() {
        let said = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if said.trim_end() == name {
            return Some(format!("/dev/{}", entry.file_name().to_string_lossy()));
        }
    }
    None
}

/// The machine's end. `reboot=t` and the VMM's `-no-reboot` make of a restart the quickest way out that needs no ACPI.
pub fn power_off(why: &str) -> ! {
    eprintln!("bulkhead: powering off: {why}");
    let _ = cgroup::kill_all();
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_AUTOBOOT);
    }
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_module_gets_its_own_words_of_the_command_line() {
        let line = "quiet virtio_mmio.device=512@0xfeb02e00:12 virtio_blk.x=1 virtio_mmio.device=2@3:4\n";
        assert_eq!(super::module_parameters(line, "virtio_mmio"), "device=512@0xfeb02e00:12 device=2@3:4");
        assert_eq!(super::module_parameters(line, "virtio"), "");
    }
}
