//! The disk of a workload: a sparse file with an empty ext4, for what it writes. A machine's is made while the machine already boots. It outlives
//! the run (a restart goes on with it), so it is never made twice, and one that was cut in the making is made anew.
//!
//! The program that writes the empty filesystem runs as a user without rights, in the workload's control group, without a network. What a
//! guest has written is never mounted or read on the host; what a container writes, the host's kernel has written.

use bulkhead_cgroup::Attach;
use bulkhead_wire::{Code, Failure};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

const SMALLEST_BYTES: u64 = 4 << 20;
/// Below this a journal would take more than it is worth.
const JOURNAL_FROM_BYTES: u64 = 64 << 20;
/// What nobody need set up at the first mount, which is a fifth of an emulated run beyond its boot: nothing grows here, and checksums of
/// metadata guard against a disk that is the host's to guard. `uninit_bg` stays, or the whole inode table would be written.
const FEATURES: &str = "^resize_inode,^metadata_csum,uninit_bg,^64bit,^flex_bg";
const MAKERS: [&str; 3] = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"];

pub struct Disk {
    /// Where the file lies now: under another name until it is whole.
    pub path: String,
    wanted: String,
    maker: Option<Child>,
}

/// Opens the disk or begins to make it; QEMU may open `path` at once, but nobody may read it before `finish`.
pub fn begin(wanted: &str, bytes: u64, (uid, gid): (u32, u32), attach: &Attach) -> Result<Disk, Failure> {
    match OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(wanted) {
        Ok(file) => {
            own(&file, uid, gid)?;
            return Ok(Disk { path: wanted.to_owned(), wanted: wanted.to_owned(), maker: None });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // It may be there, with what the workload has written: nothing is made in its place.
        Err(error) => return Err(Failure::from_io("open the workload's disk", &error)),
    }
    if bytes < SMALLEST_BYTES {
        let what = format!("a workload's disk needs {SMALLEST_BYTES} bytes at least, and {bytes} were asked for");
        return Err(Failure::new(Code::InvalidSpec, what).remedy("ask for a larger disk"));
    }
    let program = MAKERS.into_iter().find(|path| std::path::Path::new(path).exists());
    let program = program.ok_or_else(|| Failure::new(Code::Unavailable, "mkfs.ext4 is not on this host").remedy("apt-get install e2fsprogs"))?;
    let path = format!("{wanted}.new");
    let failed = |error: std::io::Error| Failure::from_io("make the workload's disk", &error);
    let _ = std::fs::remove_file(&path);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    file.set_len(bytes).map_err(failed)?;
    own(&file, uid, gid)?;
    let journal = bytes >= JOURNAL_FROM_BYTES;
    let mut command = Command::new(program);
    command.args(["-q", "-F", "-b", "4096", "-m", "0", "-O", &format!("{FEATURES},{}has_journal", if journal { "" } else { "^" })]);
    command.args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0"]);
    if journal {
        command.args(["-J", "size=4"]);
    }
    // By descriptor: its user need not be able to reach the place.
    let descriptor = file.as_raw_fd();
    command.arg(format!("/proc/self/fd/{descriptor}")).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let supervisor = std::process::id() as i32;
    // SAFETY: between fork and exec only system calls are made; `attach` outlives the call to spawn.
    let attach: &'static Attach = unsafe { std::mem::transmute(attach) };
    unsafe { command.pre_exec(move || if attach.join() && libc::fcntl(descriptor, libc::F_SETFD, 0) == 0 && confine(uid, gid, bytes, supervisor) { Ok(()) } else { Err(std::io::Error::last_os_error()) }) };
    let maker = command.spawn().map_err(failed)?;
    Ok(Disk { path, wanted: wanted.to_owned(), maker: Some(maker) })
}

/// What a maker of file systems needs: one file, of this size, in a while.
fn confine(uid: u32, gid: u32, bytes: u64, supervisor: i32) -> bool {
    let limit = |which, most: u64| unsafe { libc::setrlimit(which, &libc::rlimit { rlim_cur: most, rlim_max: most }) == 0 };
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        let alone = libc::geteuid() != 0
            || (libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS) == 0
                && libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>()) == 0
                && libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
                && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0);
        alone
            && limit(libc::RLIMIT_CORE, 0)
            && limit(libc::RLIMIT_FSIZE, bytes)
            && limit(libc::RLIMIT_CPU, 60)
            && limit(libc::RLIMIT_AS, 1 << 30)
            && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0
            // One that died before that sends no signal.
            && libc::getppid() == supervisor
    }
}

fn own(file: &File, uid: u32, gid: u32) -> Result<(), Failure> {
    std::os::unix::fs::fchown(file, Some(uid), Some(gid)).map_err(|error| Failure::from_io("give the workload its disk", &error))
}

impl Disk {
    /// Waits until the disk is whole and gives it its name.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let Some(mut maker) = self.maker.take() else { return Ok(()) };
        let failed = |error: std::io::Error| Failure::from_io("make the workload's disk", &error);
        if !maker.wait().map_err(failed)?.success() {
            return Err(Failure::new(Code::Internal, "mkfs.ext4 could not make the workload's disk").remedy("look for room on the disk that holds Bulkhead's root"));
        }
        std::fs::rename(&self.path, &self.wanted).map_err(failed)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(mut maker) = self.maker.take() {
            let _ = maker.kill();
            let _ = maker.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No control group.
    fn nowhere() -> Attach {
        Attach::Tasks(Vec::new())
    }

    #[test]
    fn a_disk_appears_under_its_name_only_when_whole_and_is_kept_ever_after() {
        let directory = std::env::temp_dir().join(format!("bulkhead-disk-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let wanted = directory.join("scratch").to_str().unwrap().to_owned();
        let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
        drop(begin(&wanted, 64 << 20, (uid, gid), &nowhere()).unwrap());
        assert!(!std::path::Path::new(&wanted).exists(), "one that was cut in the making has no name");
        begin(&wanted, 64 << 20, (uid, gid), &nowhere()).unwrap().finish().unwrap();
        let made = std::fs::metadata(&wanted).unwrap();
        assert_eq!(made.len(), 64 << 20);
        std::fs::write(format!("{wanted}.mark"), "").unwrap();
        let again = begin(&wanted, 64 << 20, (uid, gid), &nowhere()).unwrap();
        assert_eq!(again.path, wanted);
        let link = directory.join("link");
        std::os::unix::fs::symlink(&wanted, &link).unwrap();
        assert!(begin(&link.to_string_lossy(), 64 << 20, (uid, gid), &nowhere()).is_err(), "only what is not there is made");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert!(begin(&directory.join("small").to_string_lossy(), 1000, (uid, gid), &nowhere()).is_err());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
