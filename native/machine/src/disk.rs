//! The scratch disk: a sparse file with an empty ext4, made while the machine already boots. A workload's disk outlives its
//! machine (a restart goes on with it), so it is never made twice, and one that was cut in the making is made anew.
//!
//! The host only ever writes an empty filesystem here. What the guest has written is never mounted or read on the host.

use bulkhead_wire::{Code, Failure};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};

const SMALLEST_BYTES: u64 = 4 << 20;
/// Below this a journal would take more than it is worth.
const JOURNAL_FROM_BYTES: u64 = 64 << 20;
/// What a guest need not set up at its first mount, which is a fifth of an emulated run beyond its boot: nothing grows here, and checksums of
/// metadata guard against a disk that is the host's to guard. `uninit_bg` stays, or the whole inode table would be written.
const FEATURES: &str = "^resize_inode,^metadata_csum,uninit_bg,^64bit,^flex_bg";
const MAKERS: [&str; 3] = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"];

pub struct Disk {
    /// Where the file lies now: under another name until it is whole.
    pub path: String,
    wanted: String,
    maker: Option<Child>,
}

/// Opens the disk or begins to make it; QEMU may open `path` at once, but the guest must not read it before `finish`.
pub fn begin(wanted: &str, bytes: u64, uid: u32, gid: u32) -> Result<Disk, Failure> {
    if let Ok(file) = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(wanted) {
        own(&file, uid, gid)?;
        return Ok(Disk { path: wanted.to_owned(), wanted: wanted.to_owned(), maker: None });
    }
    if bytes < SMALLEST_BYTES {
        let what = format!("a machine's disk needs {SMALLEST_BYTES} bytes at least, and {bytes} were asked for");
        return Err(Failure::new(Code::InvalidSpec, what).remedy("ask for a larger disk"));
    }
    let program = MAKERS.into_iter().find(|path| std::path::Path::new(path).exists());
    let program = program.ok_or_else(|| Failure::new(Code::Unavailable, "mkfs.ext4 is not on this host").remedy("apt-get install e2fsprogs"))?;
    let path = format!("{wanted}.new");
    let failed = |error: std::io::Error| Failure::from_io("make the machine's disk", &error);
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
    command.arg(&path).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let maker = command.spawn().map_err(failed)?;
    Ok(Disk { path, wanted: wanted.to_owned(), maker: Some(maker) })
}

fn own(file: &File, uid: u32, gid: u32) -> Result<(), Failure> {
    std::os::unix::fs::fchown(file, Some(uid), Some(gid)).map_err(|error| Failure::from_io("give the machine its disk", &error))
}

impl Disk {
    /// Waits until the disk is whole and gives it its name.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let Some(mut maker) = self.maker.take() else { return Ok(()) };
        let failed = |error: std::io::Error| Failure::from_io("make the machine's disk", &error);
        if !maker.wait().map_err(failed)?.success() {
            return Err(Failure::new(Code::Internal, "mkfs.ext4 could not make the machine's disk").remedy("look for room on the disk that holds Bulkhead's root"));
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

    #[test]
    fn a_disk_appears_under_its_name_only_when_whole_and_is_kept_ever_after() {
        let directory = std::env::temp_dir().join(format!("bulkhead-machine-disk-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let wanted = directory.join("scratch").to_str().unwrap().to_owned();
        let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
        drop(begin(&wanted, 64 << 20, uid, gid).unwrap());
        assert!(!std::path::Path::new(&wanted).exists(), "one that was cut in the making has no name");
        begin(&wanted, 64 << 20, uid, gid).unwrap().finish().unwrap();
        let made = std::fs::metadata(&wanted).unwrap();
        assert_eq!(made.len(), 64 << 20);
        std::fs::write(format!("{wanted}.mark"), "").unwrap();
        let again = begin(&wanted, 64 << 20, uid, gid).unwrap();
        assert_eq!(again.path, wanted);
        assert!(begin(&directory.join("small").to_string_lossy(), 1000, uid, gid).is_err());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
