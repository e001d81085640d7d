//! A program that reads a stranger's bytes: own user, own namespaces, own control group, a root that holds what it is given, no capability,
//! no network. It is waited for by a child of the launcher, which has nothing else to do.

use crate::detached::wait_ended;
use crate::launch::Place;
use bulkhead_cgroup::Group;
use bulkhead_confine::{self as confine, Confinement, Seen};
use bulkhead_wire::failure::Failure;
use bulkhead_wire::plan::LimitsSpec;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

const MOST_PIDS: u64 = 64;
const MOST_WORDS: u64 = 64 * 1024;
const LOOK_EVERY_MS: i32 = 100;

pub struct Job<'a> {
    /// Of its control group and its stage, beside this process's number.
    pub name: &'a str,
    /// As it is called inside.
    pub program: &'a str,
    pub arguments: &'a [String],
    /// Whom it runs as: nobody else does.
    pub user: u32,
    pub files: &'a [Seen],
    pub kept: &'a [RawFd],
    pub most_memory_bytes: u64,
    pub deadline: Duration,
    /// Asked while it runs; it is ended when this says so.
    pub enough: &'a dyn Fn() -> bool,
}

pub struct Done {
    pub status: i32,
    /// It was not ended for its deadline, nor by `enough`.
    pub in_time: bool,
    pub out_of_memory: bool,
    pub words: Vec<u8>,
}

impl Done {
    pub fn well(&self) -> bool {
        self.in_time && libc::WIFEXITED(self.status) && libc::WEXITSTATUS(self.status) == 0
    }
}

pub fn run(job: &Job, place: &Place) -> Result<Done, Failure> {
    let name = format!("{}-{}", job.name, std::process::id());
    let limits = LimitsSpec { memory_bytes: Some(job.most_memory_bytes), pids: Some(MOST_PIDS), ..LimitsSpec::default() };
    let group = Group::make(place.layout.clone(), &name, &limits, &[], false)?;
    let done = run_in(job, &name, place, &group);
    while !(group.kill() == 0 && group.remove()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    done
}

fn run_in(job: &Job, name: &str, place: &Place, group: &Group) -> Result<Done, Failure> {
    let attach = group.attach().map_err(|error| Failure::from_io("open a confined program's control group", &error))?;
    let stage = place.run.join(format!("{name}.stage"));
    let _ = fs::create_dir(&stage);
    let (said, console) = pipe()?;
    let started = confine::start(&Confinement {
        program: job.program,
        arguments: job.arguments,
        uid: job.user,
        gid: job.user,
        groups: &[],
        stage: &stage.to_string_lossy(),
        files: job.files,
        kept: job.kept,
        console: console.as_raw_fd(),
        attach: &attach,
        proc: false,
        mortal: true,
    });
    let _ = fs::remove_dir(&stage);
    let (pid, pidfd) = started?;
    drop(console);
    // What it says is short unless it lies; it ends when it is done, and is ended when it is not.
    let reading = std::thread::spawn(move || {
        let mut words = Vec::new();
        let _ = File::from(said).take(MOST_WORDS).read_to_end(&mut words);
        words
    });
    let until = Instant::now() + job.deadline;
    let in_time = loop {
        if wait_ended(&pidfd, LOOK_EVERY_MS) {
            break true;
        }
        if Instant::now() > until || (job.enough)() {
            group.kill();
            break false;
        }
    };
    let mut status = 0;
    unsafe { libc::waitpid(pid, &mut status, 0) };
    let words = reading.join().unwrap_or_default();
    Ok(Done { status, in_time, out_of_memory: group.out_of_memory_kills() > 0, words })
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let mut ends: [RawFd; 2] = [0; 2];
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Failure::system("make a pipe"));
    }
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}
