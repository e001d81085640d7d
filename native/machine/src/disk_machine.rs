//! A machine that boots from a disk of its own: firmware, an operating system that is not ours, and nothing of ours inside.
//!
//! ```text
//! raise     cgroup, tap, disk ─▶ VMM confined and started, its processors stopped             (main process held)
//! start     the processors go: firmware, boot loader, system; the serial line is the main process's terminal
//! signal    those that ask a process to end press the power button; SIGKILL ends the monitor; there is nobody to take others
//! end       the guest powers off (exit code 0), or the monitor is killed; any other end of the monitor is the boundary's
//! ```

use crate::channel::{Channel, Word};
use crate::control::Control;
use crate::housing::{Housing, Monitor, Setting, pipe};
use crate::kept::Kept;
use crate::lease::{Desk, Lease};
use crate::line::Line;
use crate::qcow2;
use bulkhead_confine::Seen;
use bulkhead_cgroup::Group;
use bulkhead_network::{Network, NetworkSpec};
use bulkhead_wire::boundary::{Ask, Boundary, Reply, Sink, StdinWrite, Stream, Ticket};
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::plan::DiskMachineEngine;
use bulkhead_wire::poller::{BOUNDARY, Interest, Ready};
use bulkhead_wire::process::ExitStatus;
use bulkhead_wire::{Code, Failure, signal};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

const LINE: u64 = BOUNDARY | 1;
const CONSOLE: u64 = BOUNDARY | 2;
const VMM: u64 = BOUNDARY | 3;
const CONTROL: u64 = BOUNDARY | 4;
const LEASE: u64 = BOUNDARY | 5;
/// What asks a process to end. systemd's own way of asking process 1 is the last one.
const ASKS_TO_END: [i32; 6] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGPWR, 37];
/// A system hears its power button only once it is up: it is pressed again until it does, or has been asked often enough.
const PRESS_EVERY_NS: u64 = 2_000_000_000;
const MOST_PRESSES: u32 = 60;

/// How it is known what the monitor's end means.
#[derive(Default)]
struct Wishes {
    /// We ended it.
    killed: bool,
    /// Its guest powered off.
    powered_off: bool,
}

pub struct DiskMachine {
    housing: Housing,
    engine: DiskMachineEngine,
    line: Option<Line>,
    channel: Option<Channel>,
    desk: Option<Desk>,
    wishes: Wishes,
    over: bool,
    presses_left: u32,
    press_at_ns: Option<u64>,
}

impl DiskMachine {
    pub fn new(setting: Setting, engine: DiskMachineEngine) -> DiskMachine {
        let housing = Housing::new(setting);
        DiskMachine { housing, engine, line: None, channel: None, desk: None, wishes: Wishes::default(), over: false, presses_left: 0, press_at_ns: None }
    }

    fn gone() -> Failure {
        Failure::new(Code::ConnectionLost, "the machine is gone")
    }

    /// Hands a question to the monitor; its answer comes as an event.
    fn tell_monitor(&mut self, execute: &str, ticket: Ticket, sink: &mut dyn Sink) {
        let asked = self.channel.as_mut().map_or_else(|| Err(Self::gone()), |channel| channel.ask(execute, Some(ticket)));
        if let Err(failure) = asked {
            sink.answered(ticket, Err(failure));
        }
    }

    fn signal(&mut self, ticket: Ticket, number: i32, sink: &mut dyn Sink) {
        if number == libc::SIGKILL {
            self.kill();
        } else if ASKS_TO_END.contains(&number) {
            self.presses_left = MOST_PRESSES;
            self.press();
        } else {
            let what = format!("there is nobody in a whole machine to take {}", signal::name(number));
            return sink.answered(ticket, Err(Failure::new(Code::Unsupported, what).remedy("use SIGTERM, which presses its power button, or SIGKILL")));
        }
        sink.answered(ticket, Ok(Reply::Delivered(true)));
    }

    fn press(&mut self) {
        self.press_at_ns = None;
        if self.presses_left == 0 {
            return;
        }
        self.presses_left -= 1;
        self.press_at_ns = Some(monotonic_ns() + PRESS_EVERY_NS);
        if let Some(channel) = &mut self.channel {
            let _ = channel.ask("system_powerdown", None);
        }
    }

    fn kill(&mut self) {
        self.wishes.killed = true;
        if let Some(vmm) = &mut self.housing.vmm {
            vmm.kill();
        }
    }

    fn hear(&mut self, sink: &mut dyn Sink) {
        let Some(channel) = &mut self.channel else { return };
        let Some(words) = channel.hear() else {
            self.housing.setting.poller.remove(channel.descriptor());
            for ticket in channel.abandon() {
                sink.answered(ticket, Err(Self::gone()));
            }
            self.channel = None;
            return;
        };
        for word in words {
            match word {
                Word::Shutdown { guest } => self.wishes.powered_off |= guest,
                Word::Answered(ticket, Ok(())) => sink.answered(ticket, Ok(Reply::Done)),
                Word::Answered(ticket, Err(what)) => sink.answered(ticket, Err(Failure::new(Code::Internal, format!("the machine's monitor refused: {what}")))),
            }
        }
    }

    /// The monitor has ended: what was it?
    fn conclude(&mut self, sink: &mut dyn Sink) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        // Its last words, then who wanted it to end.
        while self.channel.is_some() {
            self.hear(sink);
        }
        self.press_at_ns = None;
        let killed_for_memory = self.housing.group.as_ref().is_some_and(|group| Group::stats(group).out_of_memory_kills > 0);
        let status = self.housing.vmm.as_mut().and_then(|vmm| vmm.wait(1000));
        let clean = status.is_some_and(|status| libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        if clean && self.wishes.powered_off {
            return sink.exited(0, ExitStatus::exited(0));
        }
        if self.wishes.killed {
            return sink.exited(0, ExitStatus::signalled(libc::SIGKILL));
        }
        if killed_for_memory {
            sink.out_of_memory();
            return sink.exited(0, ExitStatus { out_of_memory: true, ..ExitStatus::signalled(libc::SIGKILL) });
        }
        // Nothing more is told after a loss.
        if let Some(line) = &mut self.line {
            line.read(sink);
            self.housing.setting.poller.remove(line.descriptor());
        }
        sink.lost(self.housing.obituary());
    }
}

impl Boundary for DiskMachine {
    fn raise(&mut self, reached: &mut dyn FnMut(&str)) -> Result<Option<i32>, Failure> {
        let attach = self.housing.make_group()?;
        let tap = self.housing.raise_network()?;
        let Setting { monitor, network, poller, .. } = &self.housing.setting;
        if let (NetworkSpec::Bridge(wanted), Some(interface)) = (NetworkSpec::try_from(network)?, self.housing.network.as_ref().and_then(Network::interface)) {
            let desk = Desk::open(interface, Lease::new(&wanted, &self.engine.names)?)?;
            poller.add(desk.descriptor(), LEASE, Interest::READ).map_err(|error| Failure::from_io("hear the machine's port", &error))?;
            self.desk = Some(desk);
        }
        qcow2::ensure(&self.engine.disk.path, self.engine.disk.bytes, (monitor.uid, monitor.gid))?;
        reached("resources-made");

        let channel = || UnixStream::pair().map_err(|error| Failure::from_io("make the machine's channels", &error));
        let ((line, their_line), (control, their_control)) = (channel()?, channel()?);
        let mut kept = Kept::default();
        kept.add("line", their_line);
        kept.add("control", their_control);
        if let Some(tap) = tap {
            kept.add("tap", tap);
        }
        let mut files = self.housing.files("")?;
        // The monitor tries its file locks on null; without it two machines could open one disk.
        files.push(Seen::open("/dev/null", true)?);
        let (words, deadline_ms) = (monitor.arguments.clone(), monitor.boot_deadline_ms);
        let pid = self.housing.start_monitor(Monitor { words: &words, kept, files, console: pipe()?, attach: &attach })?;
        reached("vmm-started");
        let mut control = Control::new(control, deadline_ms);
        control.greet().map_err(|failure| {
            let why = self.housing.did_not_boot();
            Failure::new(failure.code, format!("{}; {}", failure.what, why.what))
        })?;
        reached("machine-made");
        let failed = |error: std::io::Error| Failure::from_io("watch the machine", &error);
        let channel = control.into_channel().map_err(failed)?;
        let mut line = Line::new(line, LINE).map_err(failed)?;
        let poller = &self.housing.setting.poller;
        line.watch(poller);
        poller.add(channel.descriptor(), CONTROL, Interest::READ).map_err(failed)?;
        if let Some(vmm) = &self.housing.vmm {
            poller.add(vmm.console_descriptor(), CONSOLE, Interest::READ).map_err(failed)?;
            poller.add(vmm.pidfd.as_raw_fd(), VMM, Interest::READ).map_err(failed)?;
        }
        (self.line, self.channel) = (Some(line), Some(channel));
        Ok(Some(pid))
    }

    fn ask(&mut self, ticket: Ticket, ask: Ask, sink: &mut dyn Sink) {
        let lacks = |what: &str| Err(Failure::new(Code::Unsupported, format!("a whole machine {what}")).remedy("choose another boundary"));
        match ask {
            Ask::Start | Ask::Resume => self.tell_monitor("cont", ticket, sink),
            Ask::Pause => self.tell_monitor("stop", ticket, sink),
            Ask::Signal { signal, .. } => self.signal(ticket, signal, sink),
            Ask::Stats => sink.answered(ticket, Ok(Reply::Stats(Box::new(self.housing.host_use())))),
            // A serial line has no size that anybody could be told.
            Ask::Resize { .. } => sink.answered(ticket, Ok(Reply::Done)),
            Ask::Exec { .. } => sink.answered(ticket, lacks("has no agent that could start a process")),
            Ask::Top => sink.answered(ticket, lacks("has no agent that could list its processes")),
            Ask::Update(_) => sink.answered(ticket, lacks("keeps the size that it was made with")),
        }
    }

    fn write_stdin(&mut self, _: u32, bytes: &[u8]) -> StdinWrite {
        self.line.as_mut().map_or(StdinWrite::Closed, |line| line.write(bytes, &self.housing.setting.poller))
    }

    /// A serial line has no end of input.
    fn close_stdin(&mut self, _: u32) {}

    fn set_reading(&mut self, _: u32, stream: Stream, reading: bool) {
        if let (Stream::Stdout, Some(line)) = (stream, &mut self.line) {
            line.set_reading(reading, &self.housing.setting.poller);
        }
    }

    fn ready(&mut self, ready: Ready, sink: &mut dyn Sink) {
        match ready.token {
            CONSOLE => {
                if let Some(vmm) = &mut self.housing.vmm
                    && !vmm.read_console()
                {
                    self.housing.setting.poller.remove(vmm.console_descriptor());
                }
            }
            VMM => {
                if let Some(vmm) = &self.housing.vmm {
                    self.housing.setting.poller.remove(vmm.pidfd.as_raw_fd());
                }
                self.conclude(sink);
            }
            CONTROL => self.hear(sink),
            LEASE => self.desk.iter().for_each(Desk::serve),
            _ => {
                if let Some(line) = &mut self.line {
                    line.ready(ready.write, &self.housing.setting.poller, sink);
                }
            }
        }
    }

    fn deadline(&self) -> Option<u64> {
        self.press_at_ns
    }

    fn tick(&mut self, _: &mut dyn Sink) {
        if self.press_at_ns.is_some_and(|at| at <= monotonic_ns()) {
            self.press();
        }
    }

    fn end(&mut self, _: &mut dyn Sink) {
        self.kill();
    }

    fn republish(&mut self) -> Result<(), Failure> {
        self.housing.republish()
    }

    fn release(&mut self) {
        self.housing.release();
    }

    fn tear_down(&mut self) {
        self.desk = None;
        self.housing.tear_down();
    }
}
