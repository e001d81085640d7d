//! The walls, as the kernel sees them while a job runs: the archive comes through a pipe that is held back until they were looked at.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use bulkhead_unpack::{UnpackJob, unpack};
use support::*;

#[test]
fn a_running_unpacker_has_few_powers_and_sees_only_its_directory() {
    let scratch = Scratch::new("confine");
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    let (from, mut to) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(to);
        let parent: OwnedFd = File::open(scratch.path("layers")).unwrap().into();
        let job = UnpackJob { blob: from, grows_to: None, parent, name: "t".to_owned(), lowers: vec![], diff_id: None, limits: LIMITS };
        unsafe { libc::_exit(i32::from(unpack(job, &mut |_| {}).is_err())) }
    }
    drop(from);
    let status = |key: &str| {
        let text = fs::read_to_string(format!("/proc/{child}/status")).unwrap();
        text.lines().find_map(|line| line.strip_prefix(&format!("{key}:"))).unwrap().trim().to_owned()
    };
    for _ in 0..200 {
        if status("Seccomp") == "2" {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(status("Seccomp"), "2");
    assert_eq!(status("NoNewPrivs"), "1");
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SYS_ADMIN, MKNOD, SETFCAP.
    let kept = [0u32, 1, 3, 4, 21, 27, 31].iter().fold(0u64, |mask, capability| mask | 1 << capability);
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(u64::from_str_radix(&status(set), 16).unwrap(), kept, "{set}");
    }
    for namespace in ["mnt", "net", "ipc", "uts"] {
        let of = |who: &str| fs::read_link(format!("/proc/{who}/ns/{namespace}")).unwrap();
        assert_ne!(of(&child.to_string()), of("self"), "{namespace}");
    }
    let mounts = fs::read_to_string(format!("/proc/{child}/mountinfo")).unwrap();
    assert_eq!(mounts.lines().count(), 1, "{mounts}");
    assert!(mounts.contains("nosuid") && mounts.contains("nodev") && mounts.contains("noexec"), "{mounts}");
    let seen: Vec<_> = fs::read_dir(format!("/proc/{child}/root/")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(seen.iter().all(|name| name == ".t.partial"), "{seen:?}");
    to.write_all(&archive(&[file("f", "x")])).unwrap();
    drop(to);
    let mut ended = 0;
    assert_eq!(unsafe { libc::waitpid(child, &raw mut ended, 0) }, child);
    assert_eq!(ended, 0);
    assert_eq!(fs::read_to_string(scratch.path("layers/t/f")).unwrap(), "x");
}

#[test]
fn a_job_that_is_killed_leaves_nothing_under_its_name_and_can_be_done_again() {
    let scratch = Scratch::new("killed");
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    let (from, mut to) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(to);
        let parent: OwnedFd = File::open(scratch.path("layers")).unwrap().into();
        let job = UnpackJob { blob: from, grows_to: None, parent, name: "t".to_owned(), lowers: vec![], diff_id: None, limits: LIMITS };
        unsafe { libc::_exit(i32::from(unpack(job, &mut |_| {}).is_err())) }
    }
    drop(from);
    let whole = archive(&[file("f", "x"), file("g", &"y".repeat(600_000))]);
    to.write_all(&whole[..300_000]).unwrap();
    for _ in 0..200 {
        if scratch.path("layers/.t.partial/f").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    unsafe { libc::kill(child, libc::SIGKILL) };
    let mut ended = 0;
    assert_eq!(unsafe { libc::waitpid(child, &raw mut ended, 0) }, child);
    assert!(!scratch.path("layers/t").exists() && scratch.path("layers/.t.partial/f").exists());
    unpack_bytes(&scratch, "t", &whole).unwrap();
    assert_eq!(fs::read_dir(scratch.path("layers")).unwrap().count(), 1);
}
