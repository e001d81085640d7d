//! What a workload writes, limited in size: on a filesystem of its own, in a file below its directory. The limit holds for files as for bytes, inside it
//! reads as a full disk, and it is the same on every host that has loop devices, whatever its root lies on.

use super::raise::doing;
use crate::beneath::Below;
use crate::mounts::STAGE;
use crate::{idmap, loop_device};
use bulkhead_cgroup::Attach;
use bulkhead_wire::plan::WrittenDisk;
use bulkhead_wire::{Code, Failure};
use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;
use std::time::{Duration, Instant};

/// Who writes the empty filesystem: nobody else of the host.
const MAKER: u32 = 0x6e00_0002;

/// How long the last run's writes may take to reach the disk.
const WRITE_OUT_PATIENCE: Duration = Duration::from_secs(60);

/// `linux/mount.h`.
const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const CLOSE_ON_EXEC: libc::c_uint = 1;

/// Where the supervisor's own mount namespace shows it.
pub fn place() -> String {
    format!("{STAGE}/written")
}

/// Makes the disk where it is not there, and mounts it at `place`; its owners are `users`'s where that is given.
pub fn mount(below: &Below, disk: &WrittenDisk, attach: &Attach, users: Option<&OwnedFd>) -> Result<(), Failure> {
    let file = open_or_make(below, disk, attach)?;
    let (device, kept) = loop_device::attach(&file).map_err(|error| {
        Failure::new(Code::Unsupported, format!("the writable layer cannot be limited in size: this host gives no loop device ({error})"))
            .remedy("modprobe loop, leave the limit out, or run it with --isolation microvm, whose disk has it")
    })?;
    let tree = filesystem(&device).map_err(doing("mount the workload's disk"))?;
    drop(kept);
    if let Some(users) = users {
        idmap::map(&tree, users, 0).map_err(doing("give the workload's disk its owners"))?;
    }
    let place = place();
    fs::create_dir(&place).or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }).map_err(doing("make a place for the workload's disk"))?;
    let target = super::raise::open_directory(Path::new(&place)).map_err(doing("open the stage"))?;
    idmap::move_mount(&tree, &target).map_err(doing("show the workload's disk"))
}

/// The host's root alone may open it, once it is made.
fn open_or_make(below: &Below, disk: &WrittenDisk, attach: &Attach) -> Result<File, Failure> {
    let (parent, name) = below.parent(&disk.path)?;
    let wanted = format!("/proc/self/fd/{}/{name}", parent.as_raw_fd());
    let open = || OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(&wanted);
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bulkhead_disk::begin(&wanted, disk.bytes, (MAKER, MAKER), attach)?.finish()?;
            open()
        }
        other => other,
    };
    let file = file.map_err(doing("open the workload's disk"))?;
    claim(&file)?;
    fchown(&file, Some(0), Some(0)).map_err(doing("keep the workload's disk"))?;
    Ok(file)
}

/// Two mounts of one disk would destroy it, and the last run's goes some time after its end, whoever was killed. A lock belongs to the open file, which
/// the loop device holds until its mount is gone and everything is written.
fn claim(file: &File) -> Result<(), Failure> {
    let patience = Instant::now() + WRITE_OUT_PATIENCE;
    while unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(doing("claim the workload's disk")(error));
        }
        if Instant::now() > patience {
            return Err(Failure::new(Code::Unavailable, "what the workload wrote last is still being written to its disk").remedy("start it again in a moment"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Takes away the mounts of a workload that has ended, so that the next start need not wait for this process, which may have slow readers. `root`: where
/// its root is mounted.
pub fn let_go(root: &str) {
    for place in [root, &place()] {
        if let Ok(place) = std::ffi::CString::new(place) {
            unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) };
        }
    }
}

/// A mount of ext4 that has no place yet.
fn filesystem(device: &CStr) -> io::Result<OwnedFd> {
    let taken = |result: libc::c_long| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(result as i32) }) };
    let done = |result: libc::c_long| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    unsafe {
        let context = taken(libc::syscall(libc::SYS_fsopen, c"ext4".as_ptr(), CLOSE_ON_EXEC))?;
        let set = |command: libc::c_uint, key: *const libc::c_char, value: *const libc::c_char| done(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key, value, 0));
        set(FSCONFIG_SET_STRING, c"source".as_ptr(), device.as_ptr())?;
        // Nobody writes its whole inode table in the background: a workload's disk is small or short-lived.
        set(FSCONFIG_SET_FLAG, c"noinit_itable".as_ptr(), std::ptr::null())?;
        set(FSCONFIG_CMD_CREATE, std::ptr::null(), std::ptr::null())?;
        taken(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOSE_ON_EXEC, 0))
    }
}
