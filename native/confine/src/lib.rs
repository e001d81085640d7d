//! A program without root power (a machine monitor, a wasm runner): own user, own pid, mount, network, ipc and uts namespaces, own control group, a root that
//! holds the files it was given and nothing else, no descriptors but those it was given, no way to gain privileges. Its own
//! seccomp filter comes on top (`-sandbox` in its arguments). It dies with its supervisor.

use bulkhead_cgroup::Attach;
use bulkhead_wire::birth::Birth;
use bulkhead_wire::failure::quote;
use bulkhead_wire::{Code, Failure};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::ptr::null;

/// First number of the kept descriptors in the child.
pub const FIRST_KEPT: RawFd = 3;
/// Temporary numbers, beyond every descriptor of a supervisor.
const ASIDE: RawFd = 400;
/// More arguments, files or descriptors than any machine has.
const MOST: usize = 200;

/// A file or directory of the host, and where it is seen. Read-only unless it is said to be writable.
pub struct Seen {
    source: Source,
    target: String,
    writable: bool,
}

enum Source {
    /// Opened, so that nothing else can be shown than what was looked at.
    Opened(OwnedFd),
    /// The program's own `/proc/self/fd`, which only the program's process can name.
    OwnDescriptors,
}

impl Seen {
    pub fn of(source: OwnedFd, target: &str, writable: bool) -> Seen {
        Seen { source: Source::Opened(source), target: target.into(), writable }
    }

    /// The program's own descriptors, as paths.
    pub fn own_descriptors(target: &str) -> Seen {
        Seen { source: Source::OwnDescriptors, target: target.into(), writable: false }
    }

    /// What lies at a path of the host, for one that needs no further check.
    pub fn open(path: &str, writable: bool) -> Result<Seen, Failure> {
        Seen::open_as(path, path, writable)
    }

    /// The same, seen elsewhere.
    pub fn open_as(path: &str, target: &str, writable: bool) -> Result<Seen, Failure> {
        let opened = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path);
        let source = opened.map_err(|error| Failure::from_io(&format!("give {} to a confined program", quote(path)), &error))?;
        Ok(Seen::of(source.into(), target, writable))
    }
}

pub struct Confinement<'a> {
    pub program: &'a str,
    pub arguments: &'a [String],
    pub uid: u32,
    pub gid: u32,
    /// Groups that it is in beside its own, for a device that the host gives to one.
    pub groups: &'a [u32],
    /// An empty directory to raise the private root on.
    pub stage: &'a str,
    pub files: &'a [Seen],
    /// Descriptors that it keeps, at FIRST_KEPT and on.
    pub kept: &'a [RawFd],
    pub console: RawFd,
    pub attach: &'a Attach,
    /// Shows it its own processes, and no others, at /proc.
    pub proc: bool,
    /// Whether it ends with the process that started it.
    pub mortal: bool,
}

struct Bind {
    /// A mount without a place yet; None for the program's own descriptors.
    tree: Option<OwnedFd>,
    target: CString,
    directory: bool,
}

/// Everything that the child needs, so that it only makes system calls.
struct Plan<'a> {
    stage: CString,
    proc: CString,
    directories: Vec<CString>,
    fixed: Vec<Bind>,
    writable: Vec<Bind>,
    program: CString,
    arguments: Vec<*const libc::c_char>,
    inner: &'a Confinement<'a>,
    status: RawFd,
}

/// Starts it; gives its pid once its program runs.
pub fn start(wanted: &Confinement) -> Result<(i32, OwnedFd), Failure> {
    if wanted.arguments.len() > MOST || wanted.files.len() > MOST || wanted.kept.len() > MOST / 2 {
        return Err(Failure::new(Code::InvalidSpec, "the launch plan gives a program too many arguments, files or descriptors"));
    }
    if wanted.uid == 0 || wanted.gid == 0 || wanted.groups.contains(&0) {
        return Err(Failure::new(Code::InvalidSpec, "a confined program never runs as root's user or group"));
    }
    let texts = wanted.arguments.iter().map(|text| c(text)).collect::<Result<Vec<_>, _>>()?;
    let program = c(wanted.program)?;
    let mut arguments = vec![program.as_ptr()];
    arguments.extend(texts.iter().map(|text| text.as_ptr()));
    arguments.push(null());
    let binds = |writable: bool| wanted.files.iter().filter(|file| file.writable == writable).map(|file| bind(wanted.stage, file)).collect::<Result<Vec<_>, _>>();
    let (status_read, status_write) = pipe()?;
    let plan = Plan {
        stage: c(wanted.stage)?,
        proc: c(&format!("{}/proc", wanted.stage))?,
        directories: directories(wanted.stage, wanted.files, wanted.proc)?,
        fixed: binds(false)?,
        writable: binds(true)?,
        program,
        arguments,
        inner: wanted,
        status: status_write.as_raw_fd(),
    };
    let (pid, pidfd) = clone(&plan)?;
    drop(status_write);
    let mut report = [0u8; 5];
    let count = unsafe { libc::read(status_read.as_raw_fd(), report.as_mut_ptr().cast(), report.len()) };
    if count == 0 {
        return Ok((pid, pidfd));
    }
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    let error = std::io::Error::from_raw_os_error(i32::from_le_bytes([report[1], report[2], report[3], report[4]]));
    let step = STEPS.get(report[0] as usize).copied().unwrap_or("start");
    Err(Failure::from_io(&format!("{step} the program {}", quote(wanted.program)), &error))
}

const STEPS: [&str; 6] = ["put into its control group", "make the root of", "enter the root of", "hand descriptors to", "take privileges from", "execute"];

fn c(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::new(Code::InvalidSpec, "a path or argument of the launch plan contains a NUL byte"))
}

fn bind(stage: &str, file: &Seen) -> Result<Bind, Failure> {
    if !file.target.starts_with('/') || file.target.split('/').any(|part| part == "..") {
        return Err(Failure::new(Code::InvalidSpec, format!("{} is no absolute path", quote(&file.target))));
    }
    let target = c(&format!("{stage}{}", file.target))?;
    let Source::Opened(source) = &file.source else { return Ok(Bind { tree: None, target, directory: true }) };
    let flags = OPEN_TREE_CLONE | libc::AT_EMPTY_PATH as u32 | libc::O_CLOEXEC as u32;
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), c"".as_ptr(), flags) } as RawFd;
    if tree < 0 {
        return Err(Failure::system(&format!("give {} to the confined program", quote(&file.target))));
    }
    let tree = unsafe { OwnedFd::from_raw_fd(tree) };
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    if unsafe { libc::fstat(tree.as_raw_fd(), &mut stat) } != 0 {
        return Err(Failure::system(&format!("look at {}", quote(&file.target))));
    }
    Ok(Bind { tree: Some(tree), target, directory: stat.st_mode & libc::S_IFMT == libc::S_IFDIR })
}

/// Every directory that leads to a target, parents first.
fn directories(stage: &str, files: &[Seen], proc: bool) -> Result<Vec<CString>, Failure> {
    let mut all: BTreeSet<&str> = proc.then_some("/proc").into_iter().collect();
    for file in files {
        all.extend(file.target.match_indices('/').map(|(at, _)| &file.target[..at]).filter(|path| !path.is_empty()));
    }
    all.into_iter().map(|path| c(&format!("{stage}{path}"))).collect()
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let mut ends = [0; 2];
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Failure::system("make a pipe"));
    }
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

fn clone(plan: &Plan) -> Result<(i32, OwnedFd), Failure> {
    let mut pidfd: RawFd = -1;
    let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let pid = Birth { namespaces, group: plan.inner.attach.clone_descriptor(), pidfd: Some(&mut pidfd) }.fork();
    match pid {
        -1 => Err(Failure::system("make namespaces for a confined program")),
        0 => plan.run(),
        pid => Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })),
    }
}

/// `linux/mount.h`: `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}
const READ_ONLY_NOSUID_NODEV: u64 = 0x1 | 0x2 | 0x4;
const AT_RECURSIVE: libc::c_int = 0x8000;
const OPEN_TREE_CLONE: u32 = 1;
const MOVE_MOUNT_EMPTY_PATH: u32 = 4;

impl Plan<'_> {
    fn run(&self) -> ! {
        let early = self.status;
        self.check(self.inner.attach.enter() && expendable(), 0, early);
        self.check(self.make_root(), 1, early);
        self.check(self.enter_root(), 2, early);
        self.check(self.keep_descriptors(), 3, early);
        let status = FIRST_KEPT + self.inner.kept.len() as RawFd;
        self.check(self.drop_privileges() && (!self.inner.mortal || is_awaited(status)), 4, status);
        let environment = [c"HOME=/".as_ptr(), null()];
        unsafe { libc::execve(self.program.as_ptr(), self.arguments.as_ptr(), environment.as_ptr()) };
        self.check(false, 5, status);
        unsafe { libc::_exit(127) }
    }

    fn check(&self, done: bool, step: u8, status: RawFd) {
        if !done {
            let [a, b, c, d] = std::io::Error::last_os_error().raw_os_error().unwrap_or(0).to_le_bytes();
            unsafe {
                libc::write(status, [step, a, b, c, d].as_ptr().cast(), 5);
                libc::_exit(127);
            }
        }
    }

    fn make_root(&self) -> bool {
        let attributes = MountAttributes { set: READ_ONLY_NOSUID_NODEV, clear: 0, propagation: 0, userns: 0 };
        let seal = || unsafe { libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, self.stage.as_ptr(), AT_RECURSIVE, &attributes, size_of::<MountAttributes>()) == 0 };
        unsafe {
            libc::umask(0o022);
            libc::mount(null(), c"/".as_ptr(), null(), libc::MS_REC | libc::MS_PRIVATE, null()) == 0
                && libc::mount(c"tmpfs".as_ptr(), self.stage.as_ptr(), c"tmpfs".as_ptr(), libc::MS_NOSUID, c"mode=0755,size=256k".as_ptr().cast()) == 0
                && self.directories.iter().all(|path| libc::mkdir(path.as_ptr(), 0o755) == 0 || last() == libc::EEXIST)
                && self.fixed.iter().chain(&self.writable).all(Bind::make_place)
                && self.fixed.iter().all(Bind::mount)
                && (!self.inner.proc || self.mount_proc())
                && seal()
                && self.writable.iter().all(Bind::mount)
        }
    }

    fn mount_proc(&self) -> bool {
        let guards = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        unsafe { libc::mount(c"proc".as_ptr(), self.proc.as_ptr(), c"proc".as_ptr(), guards, c"subset=pid".as_ptr().cast()) == 0 }
    }

    fn enter_root(&self) -> bool {
        unsafe {
            libc::chdir(self.stage.as_ptr()) == 0
                && libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) == 0
                && libc::umount2(c".".as_ptr(), libc::MNT_DETACH) == 0
                && libc::chdir(c"/".as_ptr()) == 0
        }
    }

    /// Aside first: a target number may be somebody's source. Then everything else is closed.
    fn keep_descriptors(&self) -> bool {
        unsafe {
            let kept = self.inner.kept;
            let count = kept.len() as RawFd;
            let mut done = kept.iter().zip(ASIDE..).all(|(fd, aside)| libc::dup3(*fd, aside, libc::O_CLOEXEC) >= 0);
            let status = ASIDE + count;
            done = done && libc::dup3(self.status, status, libc::O_CLOEXEC) >= 0 && libc::dup3(self.inner.console, status + 1, libc::O_CLOEXEC) >= 0;
            // There is no /dev here: an empty pipe is the nothing that it may read.
            let mut nothing = [-1; 2];
            done = done && libc::pipe2(nothing.as_mut_ptr(), libc::O_CLOEXEC) == 0;
            done = done && libc::dup2(nothing[0], 0) >= 0 && libc::dup2(status + 1, 1) >= 0 && libc::dup2(status + 1, 2) >= 0;
            for at in 0..count {
                done = done && libc::dup2(ASIDE + at, FIRST_KEPT + at) >= 0;
            }
            // The status pipe, close-on-exec, is all that stays beside them until then.
            let moved = FIRST_KEPT + count;
            done = done && libc::dup3(status, moved, libc::O_CLOEXEC) >= 0;
            done && libc::syscall(libc::SYS_close_range, moved + 1, u32::MAX, 0) == 0
        }
    }

    fn drop_privileges(&self) -> bool {
        let Confinement { uid, gid, groups, .. } = *self.inner;
        let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        unsafe {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            uid != 0 && gid != 0
                // Before the change of user, which takes the right to do so: nothing that it executes can ever gain one.
                && (0..=LAST_CAPABILITY).all(|capability| libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) == 0 || last() == libc::EINVAL)
                && libc::prctl(libc::PR_SET_SECUREBITS, LOCKED_SECUREBITS, 0, 0, 0) == 0
                && libc::setsid() >= 0
                && libc::setrlimit(libc::RLIMIT_CORE, &no_core) == 0
                && libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) == 0
                && libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
                && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
                && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                // Its supervisor is its only reason to be; this must come after the change of user, which clears it.
                && (!self.inner.mortal || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0)
        }
    }
}

/// The kernel knows 64 at most, and refuses those that it does not know.
const LAST_CAPABILITY: libc::c_ulong = 63;
/// `linux/securebits.h`: user 0 means nothing, and no capability rises to ambient; both for ever. A change of user clears capabilities, as it does everywhere.
const LOCKED_SECUREBITS: libc::c_ulong = 0x1 | 0x2 | 0x40 | 0x80;

/// Whether somebody still holds the other end of the status pipe. One that died before the wish to die with it was told sends no signal.
fn is_awaited(status: RawFd) -> bool {
    let mut poll = libc::pollfd { fd: status, events: 0, revents: 0 };
    unsafe { libc::poll(&mut poll, 1, 0) == 0 }
}

/// Its supervisor outlives a shortage of memory; it does not.
fn expendable() -> bool {
    unsafe {
        let fd = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let done = fd >= 0 && libc::write(fd, c"0".as_ptr().cast(), 1) == 1;
        libc::close(fd);
        done
    }
}

impl Bind {
    fn make_place(&self) -> bool {
        unsafe {
            if self.directory {
                return libc::mkdir(self.target.as_ptr(), 0o755) == 0 || last() == libc::EEXIST;
            }
            let fd = libc::open(self.target.as_ptr(), libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC, 0o644);
            libc::close(fd);
            fd >= 0
        }
    }

    fn mount(&self) -> bool {
        let target = self.target.as_ptr();
        match &self.tree {
            Some(tree) => unsafe { libc::syscall(libc::SYS_move_mount, tree.as_raw_fd(), c"".as_ptr(), libc::AT_FDCWD, target, MOVE_MOUNT_EMPTY_PATH) == 0 },
            None => unsafe { libc::mount(c"/proc/self/fd".as_ptr(), target, null(), libc::MS_BIND, null()) == 0 },
        }
    }
}

fn last() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anything() -> OwnedFd {
        std::fs::File::open("/").unwrap().into()
    }

    #[test]
    fn directories_come_before_what_lies_in_them() {
        let seen = |target: &str| Seen::of(anything(), target, false);
        let made = directories("/stage", &[seen("/usr/bin/vmm"), seen("/usr/lib/a.so"), seen("/disk")], false).unwrap();
        let made: Vec<&str> = made.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(made, ["/stage/usr", "/stage/usr/bin", "/stage/usr/lib"]);
    }

    #[test]
    fn nothing_is_started_as_root_s_user_or_group() {
        let attach = Attach::Tasks(Vec::new());
        for (uid, gid, groups) in [(0, 1000, [7]), (1000, 0, [7]), (1000, 1000, [0])] {
            let wanted = Confinement { program: "/bin/true", arguments: &[], uid, gid, groups: &groups, stage: "/nowhere", files: &[], kept: &[], console: 1, attach: &attach, proc: false, mortal: true };
            assert_eq!(start(&wanted).unwrap_err().code, Code::InvalidSpec);
        }
    }

    #[test]
    fn paths_that_climb_are_refused() {
        for bad in ["relative", "/a/../b", ""] {
            assert!(bind("/stage", &Seen::of(anything(), bad, false)).is_err());
        }
    }
}
