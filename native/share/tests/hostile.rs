//! A guest that sends what it likes, straight to the server.

mod bed;

use bed::*;
use std::io::Write;
use std::os::unix::fs::symlink;

const LOOKUP: u32 = 1;
const SETATTR: u32 = 4;
const READLINK: u32 = 5;
const MKNOD: u32 = 8;
const MKDIR: u32 = 9;
const UNLINK: u32 = 10;
const RENAME: u32 = 12;
const OPEN: u32 = 14;
const WRITE: u32 = 16;
const SETXATTR: u32 = 21;
const OPENDIR: u32 = 27;
const CREATE: u32 = 35;

fn greeted(scratch: &Scratch, read_only: bool) -> Server {
    let mut server = Server::start(&scratch.shared(), read_only);
    server.greet();
    server
}

#[test]
fn nothing_outside_the_share_can_be_named() {
    let scratch = Scratch::new();
    std::fs::write(scratch.0.join("secret"), "x").expect("made");
    symlink("..", scratch.shared().join("up")).expect("made");
    symlink("/etc", scratch.shared().join("etc")).expect("made");
    let mut server = greeted(&scratch, false);
    for name in ["..", ".", "", "../secret", "/etc/passwd", "up/secret"] {
        assert_eq!(server.lookup(1, name), Err(libc::EINVAL), "{name:?}");
        assert_eq!(server.ask(MKDIR, 1, &[numbers(&[0o755, 0]), text(name)].concat()).0, libc::EINVAL, "{name:?}");
        assert_eq!(server.ask(UNLINK, 1, &text(name)).0, libc::EINVAL, "{name:?}");
        let rename = [1_u64.to_le_bytes().to_vec(), text("up"), text(name)].concat();
        assert_eq!(server.ask(RENAME, 1, &rename).0, libc::EINVAL, "{name:?}");
    }
    // A link is text for the guest to follow in its own tree, and no way for the server.
    for (name, target) in [("up", ".."), ("etc", "/etc")] {
        let link = server.lookup(1, name).expect("the link itself");
        assert_eq!(server.ask(READLINK, link, &[]), (0, target.as_bytes().to_vec()));
        for beneath in ["secret", "passwd"] {
            assert_eq!(server.lookup(link, beneath), Err(libc::ENOTDIR));
        }
        assert_eq!(server.ask(OPENDIR, link, &numbers(&[0, 0])).0, libc::ENOTDIR);
        assert_eq!(server.ask(OPEN, link, &numbers(&[0, 0])).0, libc::EPERM);
    }
    let create = [numbers(&[libc::O_WRONLY as u32 | libc::O_CREAT as u32, 0o644, 0, 0]), text("etc")].concat();
    assert_eq!(server.ask(CREATE, 1, &create).0, libc::EPERM, "to create through a link is to open the link");
    assert_eq!(server.lookup(99, "a"), Err(libc::ESTALE));
    assert_eq!(server.end(), 0);
}

#[test]
fn pipes_sockets_and_devices_are_never_opened_and_devices_never_made() {
    let scratch = Scratch::new();
    shell(&format!("cd {}; mkfifo pipe; mknod zero c 1 5", scratch.shared().display()));
    let mut server = greeted(&scratch, false);
    for name in ["pipe", "zero"] {
        let node = server.lookup(1, name).expect("there");
        assert_eq!(server.ask(OPEN, node, &numbers(&[0, 0])).0, libc::EPERM);
        let create = [numbers(&[(libc::O_RDWR | libc::O_CREAT) as u32, 0o644, 0, 0]), text(name)].concat();
        assert_eq!(server.ask(CREATE, 1, &create).0, libc::EPERM);
    }
    for kind in [libc::S_IFCHR, libc::S_IFBLK] {
        assert_eq!(server.ask(MKNOD, 1, &[numbers(&[kind | 0o666, 0x103, 0, 0]), text("device")].concat()).0, libc::EPERM);
    }
}

#[test]
fn a_read_only_share_refuses_every_change_by_itself() {
    let scratch = Scratch::new();
    std::fs::write(scratch.shared().join("a"), "x").expect("made");
    let mut server = greeted(&scratch, true);
    let file = server.lookup(1, "a").expect("there");
    assert_eq!(server.ask(MKDIR, 1, &[numbers(&[0o755, 0]), text("d")].concat()).0, libc::EROFS);
    assert_eq!(server.ask(SETATTR, file, &[0; 88]).0, libc::EROFS);
    assert_eq!(server.ask(WRITE, file, &[0; 40]).0, libc::EROFS);
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_TRUNC, 3] {
        assert_eq!(server.ask(OPEN, file, &numbers(&[flags as u32, 0])).0, libc::EROFS, "{flags:o}");
    }
    assert_eq!(server.ask(OPEN, file, &numbers(&[0, 0])).0, 0);
}

#[test]
fn attributes_that_mean_something_to_the_host_are_out_of_reach() {
    let scratch = Scratch::new();
    std::fs::write(scratch.shared().join("a"), "x").expect("made");
    let mut server = greeted(&scratch, false);
    let file = server.lookup(1, "a").expect("there");
    for name in ["security.capability", "trusted.overlay.opaque", "system.posix_acl_access"] {
        assert_eq!(server.ask(SETXATTR, file, &[numbers(&[1, 0]), text(name), vec![1]].concat()).0, libc::EOPNOTSUPP, "{name}");
    }
}

#[test]
fn lengths_that_lie_end_the_session_or_the_request() {
    let scratch = Scratch::new();
    for length in [0_u32, 39, (1 << 20) + (1 << 16) + 1, u32::MAX] {
        let mut server = greeted(&scratch, false);
        let message = [&length.to_le_bytes()[..], &[0; 36]].concat();
        server.stream.as_mut().expect("open").write_all(&message).expect("sent");
        assert_eq!(server.receive(), None);
        assert_eq!(server.end(), 3, "{length}");
    }
    let mut server = greeted(&scratch, false);
    for body in [&[][..], &[0; 3], b"no-end"] {
        for opcode in [LOOKUP, SETATTR, MKNOD, MKDIR, UNLINK, RENAME, OPEN, WRITE, SETXATTR, CREATE, 13, 15, 18, 22, 28, 44, 45, 46] {
            assert_ne!(server.ask(opcode, 1, body).0, 0, "{opcode}");
        }
    }
    let lying_write = [1_u64.to_le_bytes().to_vec(), vec![0; 8], numbers(&[u32::MAX, 0]), vec![0; 16], vec![7; 4]].concat();
    assert_ne!(server.ask(WRITE, 1, &lying_write).0, 0);
    server.send(42, 1, &numbers(&[u32::MAX, 0])); // forget four thousand million nodes, and name none
    assert_eq!(server.lookup(1, "nothing"), Err(libc::ENOENT), "it goes on");
    assert_eq!(server.end(), 0);
}

#[test]
fn a_guest_that_does_not_greet_is_turned_away() {
    let scratch = Scratch::new();
    let mut server = Server::start(&scratch.shared(), false);
    server.send(LOOKUP, 1, &text("a"));
    assert_eq!(server.receive(), None);
    assert_eq!(server.end(), 3);
}

#[test]
fn random_requests_never_bring_it_down() {
    let scratch = Scratch::new();
    std::fs::write(scratch.shared().join("a"), "x").expect("made");
    let mut server = greeted(&scratch, false);
    // BULKHEAD_FUZZ_ROUNDS and BULKHEAD_FUZZ_SEED: more, and others, in the long run.
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (rounds, mut state) = (number("BULKHEAD_FUZZ_ROUNDS", 20_000), number("BULKHEAD_FUZZ_SEED", 0x9e37_79b9_7f4a_7c15));
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..rounds {
        // Not FORGET, INTERRUPT, INIT, DESTROY, BATCH_FORGET: those have no reply, or end it.
        let opcode = loop {
            let opcode = (random() % 50) as u32;
            if ![2, 26, 36, 38, 42].contains(&opcode) {
                break opcode;
            }
        };
        let mut body: Vec<u8> = (0..random() % 100).map(|_| if random() % 3 == 0 { random() as u8 } else { 0 }).collect();
        if random() % 4 == 0 {
            body.extend_from_slice(b"a\0b\0");
        }
        let node = random() % 4;
        server.send(opcode, node, &body);
        server.receive().unwrap_or_else(|| panic!("opcode {opcode} node {node} body {body:?}"));
    }
    assert_eq!(server.end(), 0);
}

#[test]
fn the_server_has_given_up_what_it_does_not_need() {
    let scratch = Scratch::new();
    let server = greeted(&scratch, false);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid)).expect("status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default().to_owned();
    assert_eq!((field("CapEff:"), field("CapBnd:"), field("NoNewPrivs:")), ("00000000000000db".into(), "00000000000000db".into(), "1".into()));
    let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("namespace");
    assert_ne!(network(&server.pid.to_string()), network("self"));
}

#[test]
fn the_server_still_ends_with_its_parent_after_it_made_something_for_another_user() {
    let scratch = Scratch::new();
    let (mut report, told) = std::io::pipe().expect("pipe");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("pair");
    let parent = unsafe { libc::fork() };
    if parent == 0 {
        drop(ours);
        let child = serve_in_child(theirs, &scratch.shared(), false);
        let _ = (&told).write_all(&child.to_le_bytes());
        loop {
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    }
    drop((told, theirs));
    let mut pid = [0; 4];
    std::io::Read::read_exact(&mut report, &mut pid).expect("a pid");
    let mut server = Server { pid: 0, stream: Some(ours) };
    server.greet();
    assert_eq!(server.ask_as(1000, MKDIR, 1, &[numbers(&[0o755, 0]), text("d")].concat()).0, 0);
    unsafe {
        libc::kill(parent, libc::SIGKILL);
        libc::waitpid(parent, std::ptr::null_mut(), 0);
    }
    let ended = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let pid = i32::from_le_bytes(pid);
        let ended = unsafe { libc::kill(pid, 0) } != 0 || zombie(pid);
        ended
    });
    drop(server);
    assert!(ended, "our end of the stream was open all the time");
}

fn zombie(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}
