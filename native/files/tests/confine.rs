//! What is left to a process that has withdrawn: its work, and none of the calls that lead elsewhere. As root, as the launcher is.

use bulkhead_archive::pax::Time;
use bulkhead_archive::writer::{END, Item};
use bulkhead_files::{Streams, carry_out, confine};
use bulkhead_wire::plan::FilesOrder;
use std::fs::{self, File};
use std::io::Error;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};

/// Processes, programs, sockets, other processes, mounts, handles, keys, rings: each with arguments by which it would do nothing or fail otherwise.
const ELSEWHERE: [(libc::c_long, [libc::c_long; 3]); 14] = [
    (libc::SYS_clone, [libc::CLONE_SIGHAND as i64, 0, 0]),
    (libc::SYS_clone3, [0, 0, 0]),
    (libc::SYS_execve, [0, 0, 0]),
    (libc::SYS_execveat, [-1, 0, 0]),
    (libc::SYS_socket, [libc::AF_UNIX as i64, libc::SOCK_STREAM as i64, 0]),
    (libc::SYS_ptrace, [libc::PTRACE_TRACEME as i64, 0, 0]),
    (libc::SYS_kill, [0, 0, 0]),
    (libc::SYS_process_vm_readv, [0, 0, 0]),
    (libc::SYS_pidfd_open, [1, 0, 0]),
    (libc::SYS_memfd_create, [0, 0, 0]),
    (libc::SYS_name_to_handle_at, [-1, 0, 0]),
    (libc::SYS_unshare, [0, 0, 0]),
    (libc::SYS_keyctl, [0, -3, 0]),
    (libc::SYS_prctl, [libc::PR_GET_DUMPABLE as i64, 0, 0]),
];

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("bulkhead-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("root/at")).unwrap();
        Scratch(path)
    }

    /// In a child with these streams whose root is the scratch's: what it exits with, or minus the signal that ended it.
    fn inside(&self, input: &Path, work: impl FnOnce() -> i32) -> i32 {
        let streams = [File::open(input).unwrap(), self.file("out"), self.file("err")];
        let root = std::ffi::CString::new(self.0.join("root").to_str().unwrap()).unwrap();
        let child = unsafe { libc::fork() };
        if child == 0 {
            unsafe {
                let placed = (0..).zip(&streams).all(|(number, stream)| libc::dup2(stream.as_raw_fd(), number) >= 0);
                let entered = placed && libc::chroot(root.as_ptr()) == 0 && libc::chdir(c"/".as_ptr()) == 0;
                libc::_exit(if entered { work() } else { 99 })
            }
        }
        let mut status = 0;
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
    }

    fn file(&self, name: &str) -> File {
        File::create(self.0.join(name)).unwrap()
    }

    fn said(&self) -> String {
        ["out", "err"].map(|name| String::from_utf8_lossy(&fs::read(self.0.join(name)).unwrap()).into_owned()).concat()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// So many of these calls were answered by EPERM.
fn refused() -> i32 {
    let answers = ELSEWHERE.map(|(number, [first, second, third])| {
        let result = unsafe { libc::syscall(number, first, second, third, 0, 0, 0) };
        result < 0 && Error::last_os_error().raw_os_error() == Some(libc::EPERM)
    });
    answers.into_iter().filter(|refused| *refused).count() as i32
}

#[test]
fn calls_that_lead_elsewhere_are_refused_and_only_after_it_has_withdrawn() {
    let scratch = Scratch::new("calls");
    assert_eq!(scratch.inside(Path::new("/dev/null"), refused), 0, "the control");
    assert_eq!(scratch.inside(Path::new("/dev/null"), || confine::withdraw().map_or(98, |_| refused())), ELSEWHERE.len() as i32);
}

#[test]
fn the_root_is_all_that_it_holds_beside_its_stdio() {
    let scratch = Scratch::new("held");
    let look = || {
        let Ok(root) = confine::withdraw() else { return 98 };
        let others = (3..1024).filter(|fd| *fd != root.as_raw_fd() && unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).count();
        i32::from(others > 0)
    };
    assert_eq!(scratch.inside(Path::new("/dev/null"), look), 0);
}

#[test]
fn a_tree_of_every_kind_is_written_replaced_read_and_told_of_with_the_calls_that_are_left() {
    let scratch = Scratch::new("work");
    let xattrs = [(b"user.k".to_vec(), b"v".to_vec())];
    let plain = Item { path: b"f", link: b"", kind: b'0', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: Time { seconds: 1_000_000_000, nanoseconds: 5 }, device: (0, 0), xattrs: &[] };
    let items = [
        (Item { kind: b'5', mode: 0o750, uid: 7, gid: 8, path: b"d/", ..plain }, &b""[..]),
        (Item { mode: 0o4755, uid: 1000, xattrs: &xattrs, path: b"d/f", ..plain }, b"contents"),
        (Item { kind: b'1', link: b"d/f", path: b"d/hard", ..plain }, b""),
        (Item { kind: b'2', link: b"f", uid: 5, path: b"d/soft", ..plain }, b""),
        (Item { kind: b'6', mode: 0o600, path: b"d/fifo", ..plain }, b""),
        (Item { kind: b'3', device: (1, 3), path: b"d/null", ..plain }, b""),
        (Item { path: b"made/on/the/way", ..plain }, b"w"),
    ];
    let mut bytes = Vec::new();
    for (item, data) in items {
        bytes.extend_from_slice(&Item { size: data.len() as u64, ..item }.header());
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend_from_slice(&END);
    fs::write(scratch.0.join("in"), bytes).unwrap();
    fs::create_dir_all(scratch.0.join("root/at/d/f/stands/in/the/way")).unwrap();
    let write = FilesOrder::Write { path: "/at".into(), keep_kinds: false, keep_owners: true };
    for order in [write.clone(), write, FilesOrder::Read { path: "/at".into() }, FilesOrder::Stat { path: "/at/d/soft".into() }, FilesOrder::Stat { path: "/".into() }] {
        let work = || match confine::withdraw() {
            Ok(root) => unsafe { carry_out(&order, &root, Streams { input: File::from_raw_fd(0), output: File::from_raw_fd(1), error: File::from_raw_fd(2) }) },
            Err(_) => 98,
        };
        assert_eq!(scratch.inside(&scratch.0.join("in"), work), 0, "{order:?}: {}", scratch.said());
        assert!(scratch.said().starts_with("{\"ok\":"), "{order:?}: {}", scratch.said());
    }
}
