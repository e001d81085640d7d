//! What the poller woke this boundary for: output, room for input, ends of processes, memory, time.

use super::report;
use super::stdio::Chunk;
use super::{MainStart, Oci, Runtime, Wake};
use bulkhead_wire::boundary::{Reply, Sink, Stream};
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::poller::Ready;
use bulkhead_wire::process::ExitStatus;
use bulkhead_wire::{Code, Failure};
use std::os::fd::AsRawFd;

/// How long a stream may stay open in other hands after its process has ended (a background child of an exec).
const STREAMS_AFTER_EXIT_NS: u64 = 200_000_000;
/// Between the kernel's count of a kill and the end of the process that was killed.
const MEMORY_KILL_NS: u64 = 1_000_000_000;
const KILL_AGAIN_NS: u64 = 2_000_000;
const PAUSE_LOOK_NS: u64 = 1_000_000;
const START_LOOK_NS: u64 = 500_000;

impl Oci {
    pub fn take(&mut self, ready: Ready, sink: &mut dyn Sink) {
        let number = ready.token as u32;
        match (ready.token >> 32 & 0xff) as u8 {
            kind if kind == Wake::Stdout as u8 => self.read(number, Stream::Stdout, sink),
            kind if kind == Wake::Stderr as u8 => self.read(number, Stream::Stderr, sink),
            kind if kind == Wake::Stdin as u8 => {
                let poller = self.poller.clone();
                if let Some(child) = self.child(number) {
                    child.stdio.input_has_room(&poller);
                    sink.stdin_room(number);
                }
            }
            kind if kind == Wake::Children as u8 => self.reap(sink),
            kind if kind == Wake::Memory as u8 => self.look_at_memory(sink),
            _ if self.order.runtime == Runtime::Runsc => self.inner_exec_told(number, sink),
            _ if number == 0 => self.main_started_closed(sink),
            _ => self.exec_started_closed(number, sink),
        }
    }

    fn read(&mut self, number: u32, stream: Stream, sink: &mut dyn Sink) {
        let Some(child) = self.child(number) else { return };
        match child.stdio.read(stream) {
            Chunk::Bytes(bytes) => sink.output(number, stream, &bytes),
            Chunk::Nothing => {}
            Chunk::End => self.end_stream(number, stream, sink),
        }
    }

    fn end_stream(&mut self, number: u32, stream: Stream, sink: &mut dyn Sink) {
        let poller = self.poller.clone();
        let Some(child) = self.child(number) else { return };
        let terminal = child.stdio.terminal;
        if child.stdio.close_output(stream, &poller) {
            sink.stream_ended(number, stream);
            if terminal {
                sink.stream_ended(number, Stream::Stderr);
            }
        }
        self.forget_if_over(number);
    }

    /// An ended child with no open stream has nothing more to say.
    fn forget_if_over(&mut self, number: u32) {
        let over = |child: &super::Child| child.number == number && number != 0 && child.exited && !child.stdio.is_open(Stream::Stdout) && !child.stdio.is_open(Stream::Stderr);
        let poller = self.poller.clone();
        if let Some(child) = self.children.iter_mut().find(|child| over(child)) {
            child.stdio.close_input(&poller);
        }
        self.children.retain(|child| !over(child));
    }

    /// Takes every ended child. The main process's name is looked at before it is reaped, while it still has one.
    pub fn reap(&mut self, sink: &mut dyn Sink) {
        if let Some(signals) = &self.signals {
            let mut information = [0u8; 128];
            while unsafe { libc::read(signals.as_raw_fd(), information.as_mut_ptr().cast(), information.len()) } > 0 {}
        }
        loop {
            let mut information: libc::siginfo_t = unsafe { std::mem::zeroed() };
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            if unsafe { libc::waitid(libc::P_ALL, 0, &mut information, flags) } != 0 {
                return;
            }
            let pid = unsafe { information.si_pid() };
            if pid == 0 {
                return;
            }
            let is_main = self.children.first().is_some_and(|main| main.pid == pid && !main.exited);
            if is_main && self.main_start.is_some() {
                self.judge_start(true, sink);
            }
            let mut status = 0;
            if unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } != pid {
                return;
            }
            self.process_ended(pid, status, sink);
        }
    }

    fn process_ended(&mut self, pid: i32, status: i32, sink: &mut dyn Sink) {
        if self.exec_runtime_ended(pid, status, sink) || self.client_ended(pid, status, sink) {
            return;
        }
        match self.children.iter().find(|child| child.pid == pid && !child.exited).map(|child| child.number) {
            Some(number) => self.child_ended(number, status, sink),
            None if !self.execs.is_empty() => self.strangers.push((pid, status)),
            None => {}
        }
    }

    pub fn child_ended(&mut self, number: u32, status: i32, sink: &mut dyn Sink) {
        if let Some(what) = self.sandbox_lost(number, status, sink) {
            return self.lose(what, sink);
        }
        if number == 0 {
            self.settle_start(sink);
        }
        let mut status = ExitStatus::from_wait(status);
        if status.code == 128 + libc::SIGKILL {
            self.look_at_memory(sink);
            status.out_of_memory = if number == 0 { self.memory_kills > 0 } else { self.claim_memory_kill() };
        }
        if let Some(code) = self.start_failure.filter(|_| number == 0) {
            status.code = code;
        }
        if let Some(child) = self.child(number) {
            child.exited = true;
            child.streams_until = Some(monotonic_ns() + STREAMS_AFTER_EXIT_NS);
        }
        sink.exited(number, status);
        if number == 0 {
            // Already watched where it had started.
            self.watch_main();
            self.killing = true;
            self.kill_round();
            self.fail_execs(sink);
            self.fail_clients(sink);
        } else {
            self.end_beside(number);
            self.forget_if_over(number);
        }
    }

    pub fn look_at_memory(&mut self, sink: &mut dyn Sink) {
        if let Some(watch) = &self.memory_watch {
            let mut events = [0u8; 512];
            while unsafe { libc::read(watch.as_raw_fd(), events.as_mut_ptr().cast(), events.len()) } > 0 {}
        }
        let kills = self.group.as_ref().map_or(0, bulkhead_cgroup::Group::out_of_memory_kills);
        if kills > self.memory_kills {
            self.memory_kills = kills;
            self.memory_killed_ns = monotonic_ns();
            sink.out_of_memory();
        }
    }

    /// Whether the kernel has just killed for memory, and no other exec was it: one that is killed by hand long after is not out of memory.
    fn claim_memory_kill(&mut self) -> bool {
        let recent = self.memory_killed_ns != 0 && monotonic_ns() - self.memory_killed_ns < MEMORY_KILL_NS;
        let claimed = recent && self.memory_kills > self.memory_claimed;
        self.memory_claimed = if claimed { self.memory_claimed + 1 } else { self.memory_claimed };
        claimed
    }

    fn main_started_closed(&mut self, sink: &mut dyn Sink) {
        if let Some(started) = self.started_pipe.take() {
            self.poller.remove(started.as_raw_fd());
        }
        self.judge_start(false, sink);
    }

    /// The inherited pipe is closed or the process has ended: does the workload's program run, or did it, or could it not?
    /// A process keeps the runtime's name until it executes another program, and a dead one keeps its last name until it is reaped.
    fn judge_start(&mut self, ended: bool, sink: &mut dyn Sink) {
        let Some(start) = self.main_start.take() else { return };
        let now = self.children.first().map(|main| Program::of(main.pid)).unwrap_or_default();
        if now.differs(&start.before) {
            self.watch_main();
            return sink.answered(start.ticket, Ok(Reply::Done));
        }
        if !ended {
            // It is on its way out, and its end brings the judgement; or the runtime closed the pipe early (runc).
            self.main_start = Some(MainStart { look_at: Some(monotonic_ns() + START_LOOK_NS), ..start });
            return;
        }
        let words = self.children.first_mut().and_then(|main| {
            let stream = if main.stdio.terminal { Stream::Stdout } else { Stream::Stderr };
            if let Chunk::Bytes(bytes) = main.stdio.read(stream) { report::read_words(&bytes) } else { None }
        });
        let failure = report::failure(self.runtime_name(), "run the command", words);
        let failure = if failure.code == Code::Internal { Failure::new(Code::CommandNotExecutable, failure.what) } else { failure };
        self.start_failure = Some(if failure.code == Code::CommandNotFound { 127 } else { 126 });
        sink.answered(start.ticket, Err(failure));
    }

    /// Until the main process's program runs, its pipes carry only what the runtime may have to say.
    pub fn watch_main(&mut self) {
        let poller = self.poller.clone();
        if let Some(main) = self.children.first() {
            let _ = main.stdio.watch(&poller);
        }
    }

    pub fn kill_round(&mut self) {
        let left = self.group.as_ref().map_or(0, bulkhead_cgroup::Group::kill);
        self.next_kill = monotonic_ns() + KILL_AGAIN_NS;
        if left == 0 && self.children.iter().all(|child| child.exited) {
            self.killing = false;
        }
    }

    pub fn on_time(&mut self, now: u64, sink: &mut dyn Sink) {
        if self.killing && self.next_kill <= now {
            self.kill_round();
        }
        self.end_besides(now);
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.killing = true;
            self.kill_round();
        }
        if self.main_start.as_ref().and_then(|start| start.look_at).is_some_and(|at| at <= now) {
            self.judge_start(false, sink);
        }
        if let Some((ticket, _)) = self.pause {
            if self.group.as_ref().is_none_or(bulkhead_cgroup::Group::frozen) {
                self.pause = None;
                sink.answered(ticket, Ok(Reply::Done));
            } else {
                // v1 gives up on a task that would not stop in time; asking again makes it try again.
                let _ = self.group.as_ref().map(|group| group.freeze(true));
                self.pause = Some((ticket, now + PAUSE_LOOK_NS));
            }
        }
        let late: Vec<u32> = self.children.iter().filter(|child| child.streams_until.is_some_and(|at| at <= now)).map(|child| child.number).collect();
        for number in late {
            self.close_late_streams(number, now, sink);
        }
    }

    /// What lies in the pipes of an ended process is still its output; what others write there later is not.
    fn close_late_streams(&mut self, number: u32, now: u64, sink: &mut dyn Sink) {
        // A pipe's rest is little, and the workload's end waits for nobody who does not read it.
        let ended = self.main_pid().is_none();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let Some(child) = self.child(number) else { return };
            child.streams_until = None;
            if !child.stdio.is_open(stream) {
                continue;
            }
            if !child.stdio.is_reading(stream) && !ended {
                child.streams_until = Some(now + STREAMS_AFTER_EXIT_NS);
                return;
            }
            match child.stdio.read(stream) {
                Chunk::Bytes(bytes) => {
                    child.streams_until = Some(now + STREAMS_AFTER_EXIT_NS);
                    sink.output(number, stream, &bytes);
                    return;
                }
                _ => self.end_stream(number, stream, sink),
            }
        }
    }
}

/// Which program a process executes, as far as the kernel tells.
#[derive(Default)]
pub struct Program {
    /// A dead process keeps it until it is reaped.
    name: String,
    file: Option<std::path::PathBuf>,
}

impl Program {
    pub fn of(pid: i32) -> Program {
        Program { name: std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default(), file: std::fs::read_link(format!("/proc/{pid}/exe")).ok() }
    }

    fn differs(&self, before: &Program) -> bool {
        self.name != before.name || (self.file.is_some() && self.file != before.file)
    }
}

impl Oci {
    /// The byte, or the reader, that the held main process waits for.
    pub fn open_gate(&self) -> std::io::Result<()> {
        let fifo = self.state_directory().join("state").join(super::raise::CONTAINER).join("exec.fifo");
        let path = std::ffi::CString::new(fifo.as_os_str().as_encoded_bytes())?;
        let crun = self.order.runtime == Runtime::Crun;
        let flags = if crun { libc::O_WRONLY } else { libc::O_RDONLY };
        let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_NONBLOCK | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let mut byte = [0u8; 1];
        let moved = unsafe {
            if crun {
                libc::write(fd, byte.as_ptr().cast(), 1)
            } else {
                let mut set = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
                libc::poll(&mut set, 1, 1000);
                libc::read(fd, byte.as_mut_ptr().cast(), 1)
            }
        };
        let error = std::io::Error::last_os_error();
        unsafe { libc::close(fd) };
        if moved != 1 {
            return Err(error);
        }
        let _ = std::fs::remove_file(fifo);
        Ok(())
    }
}
