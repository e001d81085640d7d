//! Archives that try to write outside their tree. As root, with a canary beside the tree and names of the host's own files; the control is
//! that a plain extraction (`tar -P` and the like) would reach them.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use support::*;

const CANARY: &str = "untouched\n";

/// Each trick with the paths it aims at, relative to the scratch directory.
fn tricks(outside: &str) -> Vec<(&'static str, Vec<u8>)> {
    let canary = format!("{outside}/canary");
    let up = "../".repeat(12);
    let climbing = format!("{up}{}", canary.trim_start_matches('/'));
    let link_up = format!("{up}{}", outside.trim_start_matches('/'));
    let mut through_pax = Vec::new();
    let path = record("path", climbing.as_bytes());
    append(&mut through_pax, &Item { name: b"pax", kind: b'x', data: &path, ..FILE });
    append(&mut through_pax, &file("harmless", "evil"));
    through_pax.resize(through_pax.len() + 1024, 0);
    let mut through_long_name = Vec::new();
    let name = [climbing.as_bytes(), b"\0"].concat();
    append(&mut through_long_name, &Item { name: b"././@LongLink", kind: b'L', data: &name, ..FILE });
    append(&mut through_long_name, &file("harmless", "evil"));
    through_long_name.resize(through_long_name.len() + 1024, 0);
    vec![
        ("an absolute name", archive(&[file(&canary, "evil")])),
        ("a name with ..", archive(&[file(&climbing, "evil")])),
        ("a PAX path with ..", through_pax),
        ("a GNU long name with ..", through_long_name),
        ("a file through an absolute link", archive(&[link(b'2', "l", outside), file("l/canary", "evil")])),
        ("a file through a climbing link", archive(&[link(b'2', "l", &link_up), file("l/canary", "evil")])),
        ("a file over a link to the canary", archive(&[link(b'2', "l", &canary), file("l", "evil")])),
        ("a chain of links", archive(&[link(b'2', "a", ".."), link(b'2', "b", "a/.."), link(b'2', "c", "b/../../../../.."), file(&format!("c{canary}"), "evil")])),
        ("a hard link to the canary, then written", archive(&[link(b'1', "h", &canary), file("h", "evil")])),
        ("a hard link through a link", archive(&[link(b'2', "l", outside), link(b'1', "h", "l/canary"), file("h", "evil")])),
        ("a directory entry over a link changes the target's mode", archive(&[link(b'2', "l", outside), Item { mode: 0o777, ..directory("l/") }])),
        ("a directory replaced by a link under way", archive(&[directory("d/"), file("d/x", "x"), link(b'2', "d", outside), file("d/canary", "evil")])),
        ("a whiteout of what is outside", archive(&[link(b'2', "l", outside), file("l/.wh.canary", "")])),
        ("an opaque mark outside", archive(&[link(b'2', "l", outside), file("l/.wh..wh..opq", "")])),
        ("a whiteout of ..", archive(&[directory("d/"), file("d/.wh...", "")])),
        ("the root replaced by a link", archive(&[link(b'2', ".", outside), file("canary", "evil")])),
        ("links through /proc", archive(&[link(b'2', "p", "/proc/self/root"), file(&format!("p{canary}"), "evil"), link(b'2', "q", "/proc/1/root"), file(&format!("q{canary}"), "evil")])),
        ("a name with a NUL inside", archive(&[file("x\0/../../canary", "evil")])),
    ]
}

#[test]
fn no_trick_reaches_outside() {
    let scratch = Scratch::new("escape");
    let outside = scratch.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), CANARY).unwrap();
    let before = fs::metadata(&outside).unwrap();
    let tricks = tricks(outside.to_str().unwrap());
    assert!(tricks.len() >= 10);
    for (number, (trick, archive)) in tricks.iter().enumerate() {
        let outcome = unpack_bytes(&scratch, &format!("t{number}"), archive);
        let names: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["canary"], "{trick}: {outcome:?}");
        assert_eq!(fs::read_to_string(outside.join("canary")).unwrap(), CANARY, "{trick}: {outcome:?}");
        let canary = fs::symlink_metadata(outside.join("canary")).unwrap();
        assert_eq!((canary.nlink(), canary.mode() & 0o7777), (1, 0o644), "{trick}: {outcome:?}");
        let now = fs::metadata(&outside).unwrap();
        assert_eq!((now.mode(), now.mtime(), now.mtime_nsec()), (before.mode(), before.mtime(), before.mtime_nsec()), "{trick}: {outcome:?}");
        for entry in fs::read_dir(scratch.path("layers")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with('.'), "{trick} left {name}");
        }
    }
}

#[test]
fn the_control_reaches_outside_with_an_unwary_extraction() {
    let scratch = Scratch::new("control");
    let outside = scratch.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), CANARY).unwrap();
    let (_, bytes) = &tricks(outside.to_str().unwrap())[4];
    fs::write(scratch.path("a.tar"), bytes).unwrap();
    let done = std::process::Command::new("tar").args(["-P", "-C"]).arg(scratch.path("layers")).arg("-xf").arg(scratch.path("a.tar")).status().unwrap();
    assert!(done.success());
    assert_eq!(fs::read_to_string(outside.join("canary")).unwrap(), "evil");
}

#[test]
fn a_lower_layer_lends_its_own_files_only() {
    let scratch = Scratch::new("lowers");
    fs::create_dir_all(scratch.path("layers/low/usr")).unwrap();
    fs::write(scratch.path("secret"), "host").unwrap();
    symlink(scratch.path("secret"), scratch.path("layers/low/absolute")).unwrap();
    symlink("../../secret", scratch.path("layers/low/usr/climbing")).unwrap();
    for target in ["absolute", "usr/climbing", "../../secret", "/proc/self/environ"] {
        let outcome = unpack_with(&scratch, "top", &archive(&[link(b'1', "h", target)]), LIMITS, &["low"]);
        assert!(outcome.is_err(), "{target}: {outcome:?}");
        assert!(!scratch.path("layers/top").exists());
    }
}
