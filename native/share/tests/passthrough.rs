//! A share as programs see it: mounted by this machine's kernel through the same pump that a guest uses. Needs root and /dev/fuse.

mod bed;

use bed::*;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

#[test]
fn files_are_written_read_and_changed_through_the_share() {
    let scratch = Scratch::new();
    let shared = scratch.shared();
    mounted(&scratch, &shared.clone(), false, move |place| {
        let (at, host) = (place.display(), shared.display());
        shell(&format!(
            "cd {at}; echo one > a; echo two >> a; mkdir -p d/e; mv a d/e/b; ln d/e/b hard; ln -s d/e/b soft; [ \"$(cat soft)\" = \"$(printf 'one\\ntwo')\" ]
             chown 1000:2000 d/e/b; truncate -s 5 hard; chmod 4750 d/e/b; touch -d '2001-02-03 04:05:06.789' d; mkfifo pipe
             [ \"$(stat -c '%a %u:%g %h %s' d/e/b)\" = '4750 1000:2000 2 5' ] || {{ stat d/e/b; exit 1; }}
             [ \"$(stat -c %y d)\" = \"$(stat -c %y {host}/d)\" ]
             rm hard; mv -T d/e d/f; rmdir d/f 2>/dev/null && exit 1; mkdir x; mv x d/; [ \"$(ls d)\" = \"$(printf 'f\\nx')\" ]"
        ));
        assert_eq!(fs::read(shared.join("d/f/b")).expect("on the host"), b"one\nt");
        assert_eq!(fs::metadata(shared.join("d/f/b")).expect("there").uid(), 1000);
        assert_eq!(fs::read_link(shared.join("soft")).expect("a link").to_str(), Some("d/e/b"));
    });
}

#[test]
fn large_files_come_back_as_they_went_in_holes_included() {
    let scratch = Scratch::new();
    let shared = scratch.shared();
    mounted(&scratch, &shared.clone(), false, move |place| {
        let bytes: Vec<u8> = (0..9_000_001_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(place.join("large"), &bytes).expect("written");
        assert_eq!(fs::read(shared.join("large")).expect("on the host"), bytes);
        assert_eq!(fs::read(place.join("large")).expect("read"), bytes);
        let file = fs::File::create_new(place.join("sparse")).expect("created");
        file.write_all_at(b"end", 50_000_000).expect("written");
        file.sync_all().expect("synced");
        assert!(fs::metadata(shared.join("sparse")).expect("there").blocks() * 512 < 1_000_000);
        shell(&format!("fallocate -l 1M {0}/full; [ $(stat -c %b {0}/full) -ge 2048 ]", place.display()));
    });
}

#[test]
fn large_directories_are_listed_whole() {
    let scratch = Scratch::new();
    let shared = scratch.shared();
    for number in 0..3000 {
        fs::write(shared.join(format!("file-with-a-rather-long-name-{number}")), number.to_string()).expect("made");
    }
    mounted(&scratch, &shared.clone(), false, move |place| {
        let names: std::collections::BTreeSet<_> = fs::read_dir(place).expect("open").map(|entry| entry.expect("entry").file_name()).collect();
        assert_eq!(names.len(), 3000);
        let total: u64 = fs::read_dir(place).expect("open").map(|entry| entry.expect("entry").metadata().expect("attributes").len()).sum();
        assert_eq!(total, (0..3000_u32).map(|number| number.to_string().len() as u64).sum());
        shell(&format!("rm -r {}/*", place.display()));
        assert_eq!(fs::read_dir(&shared).expect("open").count(), 0);
    });
}

#[test]
fn what_the_host_changes_is_seen_at_once() {
    let scratch = Scratch::new();
    let shared = scratch.shared();
    fs::write(shared.join("settings"), "old").expect("made");
    mounted(&scratch, &shared.clone(), false, move |place| {
        let read = || fs::read_to_string(place.join("settings")).expect("read");
        assert_eq!(read(), "old");
        fs::write(shared.join("settings"), "in place").expect("changed");
        assert_eq!(read(), "in place");
        fs::write(shared.join("new"), "by rename").expect("made");
        fs::rename(shared.join("new"), shared.join("settings")).expect("renamed");
        assert_eq!(read(), "by rename");
        fs::remove_file(shared.join("settings")).expect("removed");
        assert!(!place.join("settings").exists());
    });
}

#[test]
fn what_is_made_belongs_to_who_made_it() {
    let scratch = Scratch::new();
    let shared = scratch.shared();
    shell(&format!("chmod 777 {0}; umask 077; echo secret > {0}/of-root", shared.display()));
    mounted(&scratch, &shared.clone(), false, move |place| {
        let at = place.display();
        let user = "setpriv --reuid 1234 --regid 4321 --clear-groups";
        shell(&format!("{user} sh -c 'echo x > {at}/mine; mkdir {at}/also; ln -s y {at}/link; mkfifo {at}/pipe'; ! {user} cat {at}/of-root 2>/dev/null"));
        for name in ["mine", "also", "link", "pipe"] {
            let made = fs::symlink_metadata(shared.join(name)).expect("there");
            assert_eq!((made.uid(), made.gid()), (1234, 4321), "{name}");
        }
    });
}

#[test]
fn a_read_only_share_can_be_read_and_nothing_else() {
    let scratch = Scratch::new();
    let shared = scratch.shared();
    fs::write(shared.join("a"), "content").expect("made");
    mounted(&scratch, &shared.clone(), true, move |place| {
        assert_eq!(fs::read(place.join("a")).expect("read"), b"content");
        for script in ["echo x > a", "echo x >> a", "rm a", "touch a", "chmod 600 a", "mkdir d", "mv a b", "ln a b", "ln -s a b", "truncate -s 0 a", "mkfifo p"] {
            let status = std::process::Command::new("sh").args(["-c", script]).current_dir(place).stderr(std::process::Stdio::null()).status().expect("sh");
            assert!(!status.success(), "{script}");
        }
        assert_eq!(fs::read(shared.join("a")).expect("read"), b"content");
        assert_eq!(fs::read_dir(&shared).expect("open").count(), 1);
    });
}

#[test]
fn a_single_file_is_shared_without_its_neighbours() {
    let scratch = Scratch::new();
    let shared = scratch.shared();
    fs::write(shared.join("settings"), "x").expect("made");
    fs::write(shared.join("secret"), "y").expect("made");
    mounted(&scratch, &shared.join("settings"), false, move |place| {
        let names: Vec<_> = fs::read_dir(place).expect("open").map(|entry| entry.expect("entry").file_name()).collect();
        assert_eq!(names, ["settings"]);
        fs::write(place.join("settings"), "changed").expect("written");
        assert_eq!(fs::read(shared.join("settings")).expect("read"), b"changed");
        assert!(fs::read(place.join("secret")).is_err());
        assert!(fs::write(place.join("new"), "").is_err());
        assert!(fs::remove_file(place.join("settings")).is_err());
        assert!(fs::rename(place.join("settings"), place.join("other")).is_err());
    });
}

#[test]
fn what_is_mounted_below_the_source_is_shared_with_it() {
    let scratch = Scratch::new();
    let shared = scratch.shared();
    fs::create_dir(shared.join("below")).expect("made");
    let inside = Scratch::new();
    std::thread::spawn(move || {
        // A mount in a namespace of this thread's own, before the server starts.
        unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_FS), 0);
            assert_eq!(libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null()), 0);
        }
        shell(&format!("mount -t tmpfs none {0}/below; echo deep > {0}/below/file", shared.display()));
        mounted(&inside, &shared.clone(), false, |place| assert_eq!(fs::read(place.join("below/file")).expect("read"), b"deep\n"));
    })
    .join()
    .expect("see above");
}
