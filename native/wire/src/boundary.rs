//! How the supervisor's core drives the code behind one boundary.
//!
//! The core is single-threaded around one epoll. It owns the socket, the connections, the log, the exit record and every
//! decision about order; the boundary owns its children, pipes, channels, cgroups, mounts and network. The same trait carries a
//! process tree in namespaces (pipes, pids) and a machine (one channel with credit, numbers from a hostile guest).
//!
//! ```text
//! raise ─▶ ask(Start) ─▶ … output, streamEnded, exited(0) … ─▶ release ─▶ tear_down
//! ```
//!
//! Promises of the boundary:
//! * After `raise` nothing blocks. What takes time is answered later, through the sink, with the ticket of its question;
//!   each ticket is answered exactly once, also when the boundary is lost.
//! * For every process: its output, then `stream_ended` for stdout and stderr (both, with a terminal too), and `exited` once,
//!   in any order against the ends of streams. The core waits for all three before it tells anybody.
//! * After `exited` of process 0, or `lost`, everything else inside is being killed; remaining processes' ends follow.
//! * `set_reading(false)` stops output of that stream within one more chunk, by leaving bytes where they are: in the pipe, or
//!   unsent behind credit. Nothing is buffered without bound.
//! * Numbers, lengths and states from inside are checked here; the core trusts what the sink is told.

use crate::failure::Failure;
use crate::plan::{GuestProcess, LimitsSpec};
use crate::poller::Ready;
use crate::process::{ExitStatus, ProcessTable, ResourceUse, TerminalSize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Names a question until it is answered. Chosen by the core, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// What may be asked of a raised boundary. The core has checked states: `Exec` only while the main process runs, `Resize`
/// only for a process with a terminal, nothing for a process that has exited.
#[derive(Debug)]
pub enum Ask {
    /// Lets the main process go. `Done` once its program runs; COMMAND_NOT_FOUND and COMMAND_NOT_EXECUTABLE where it cannot,
    /// and `exited` of process 0 then follows with 127 or 126.
    Start,
    /// Starts a further process under a number that the core chose. `Begun` once its program runs, before any event of it. On
    /// failure no event of it ever comes.
    Exec { process: u32, spec: Box<GuestProcess> },
    /// `Delivered(false)` where it has ended.
    Signal { process: u32, signal: i32 },
    Resize { process: u32, size: TerminalSize },
    Pause,
    Resume,
    Stats,
    Top,
    Update(LimitsSpec),
}

#[derive(Debug)]
pub enum Reply {
    Done,
    Begun { host_pid: Option<i32> },
    Delivered(bool),
    Stats(Box<ResourceUse>),
    Top(ProcessTable),
}

/// Where a boundary puts what happened. Calls never re-enter the boundary.
pub trait Sink {
    fn answered(&mut self, ticket: Ticket, answer: Result<Reply, Failure>);
    fn output(&mut self, process: u32, stream: Stream, bytes: &[u8]);
    fn stream_ended(&mut self, process: u32, stream: Stream);
    /// There is room for stdin again, after `write_stdin` took less than it was given.
    fn stdin_room(&mut self, process: u32);
    fn exited(&mut self, process: u32, status: ExitStatus);
    fn out_of_memory(&mut self);
    /// The wall itself went. `what` is one sentence that says what was seen.
    fn lost(&mut self, what: String);
}

#[derive(Debug, PartialEq, Eq)]
pub enum StdinWrite {
    /// So many bytes were taken; fewer than given means: keep the rest until `stdin_room`.
    Taken(usize),
    /// Nobody will ever read them (closed, or the process is gone): drop the rest.
    Closed,
}

pub trait Boundary {
    /// Raises everything, with the main process created and held; may block. `reached` marks phases (`cgroups-made`,
    /// `kernel-up`). Gives the main process's pid on the host, where there is one. After a failure `tear_down` is called.
    fn raise(&mut self, reached: &mut dyn FnMut(&str)) -> Result<Option<i32>, Failure>;

    fn ask(&mut self, ticket: Ticket, ask: Ask, sink: &mut dyn Sink);

    fn write_stdin(&mut self, process: u32, bytes: &[u8]) -> StdinWrite;
    /// After the bytes taken so far the process reads end-of-file. Repeatable.
    fn close_stdin(&mut self, process: u32);
    /// Streams begin as reading.
    fn set_reading(&mut self, process: u32, stream: Stream, reading: bool);

    /// A descriptor that the boundary registered (token with `poller::BOUNDARY`) is ready.
    fn ready(&mut self, ready: Ready, sink: &mut dyn Sink);
    /// When `tick` shall be called at the latest, on `clock::monotonic_ns`.
    fn deadline(&self) -> Option<u64>;
    fn tick(&mut self, sink: &mut dyn Sink);

    /// Kills everything inside at once. `exited` of process 0 or `lost` follows within a bounded time. Repeatable.
    fn end(&mut self, sink: &mut dyn Sink);

    /// Tells the firewall of the published ports once more, after another program took its table away. Nothing where none are published.
    fn republish(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Gives back what others may want at once (ports, address); quick. Before waiters are answered.
    fn release(&mut self);
    /// Unmakes everything, whatever stands; may block. After this the supervisor exits.
    fn tear_down(&mut self);
}
