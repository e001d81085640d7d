//! Templates: a machine saved at the point where its agent waits, and machines that begin there.
//!
//! ```text
//! save    memory file made ─▶ monitor confined and started, with placeholders for all devices ─▶ agent's hello
//!         ─▶ stop ─▶ devices' state into its file ─▶ monitor gone ─▶ both files on disk
//! resume  (raise, with the template's memory mapped privately) ─▶ state read ─▶ cont ─▶ configure
//! ```
//!
//! Nothing of any run is in a template: whoever saves one gives it no image, no disk and no network. What its clones share is the state
//! that the kernel booted into; random numbers come anew with `configure`.

use bulkhead_confine::Seen;
use crate::control::Control;
use crate::kept::Kept;
use crate::housing::{Monitor, Setting, pipe};
use crate::raise::{await_hello, explain};
use crate::agent::{Agent, Broken};
use crate::{Machine, Reach, memory};
use bulkhead_network as network;
use bulkhead_wire::plan::{MachineEngine, MachineTemplate, TemplateMode};
use bulkhead_wire::{Code, Failure};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::os::unix::net::UnixStream;
use std::path::Path;

const QUIT_PATIENCE_MS: u64 = 5_000;

/// What a resumed machine needs beside everything else: the control channel's end that is ours, and where the monitor finds its state.
pub struct Resume {
    control: UnixStream,
    state: RawFd,
}

/// The template that a machine begins from, where it does.
pub fn wanted(engine: &MachineEngine, mode: TemplateMode) -> Option<&MachineTemplate> {
    engine.template.as_ref().filter(|template| template.mode == mode)
}

/// Adds what the monitor needs to begin from a template.
pub fn prepare_resume(machine: &Machine, kept: &mut Kept) -> Result<Option<Resume>, Failure> {
    let Some(template) = wanted(&machine.engine, TemplateMode::Resume) else { return Ok(None) };
    let lost = || Failure::new(Code::Internal, "the launcher keeps no memory for this template");
    let pages = machine.memory.as_ref().ok_or_else(lost)?;
    memory::fill(pages, Path::new(&template.memory))?;
    let failed = |error: std::io::Error| Failure::from_io("open the template", &error);
    let state = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&template.state).map_err(failed)?;
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    kept.add("memory", pages.try_clone().map_err(failed)?);
    kept.add("control", theirs);
    let state = kept.add("state", state);
    Ok(Some(Resume { control: ours, state }))
}

/// The monitor's own descriptors, as paths: how it is given the memory.
pub fn descriptors_by_path() -> Seen {
    Seen::own_descriptors(crate::kept::BY_PATH)
}

/// Brings a machine to the point at which its template was saved, and lets it run.
pub fn resume(machine: &mut Machine, given: Resume) -> Result<(), Failure> {
    let mut control = Control::new(given.control, machine.housing.setting.monitor.boot_deadline_ms);
    let resumed = control
        .begin()
        .and_then(|()| control.ask("migrate-incoming", json!({ "uri": format!("fd:{}", given.state) })))
        .and_then(|()| control.await_transfer())
        .and_then(|()| control.ask("cont", json!({})));
    resumed.map_err(|failure| with_last_words(machine, failure))
}

/// Boots placeholders up to the agent's first word and saves them. When it succeeds, nothing stands but the two files.
pub fn save(machine: &mut Machine, template: &MachineTemplate, reached: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let attach = machine.housing.make_group()?;
    let setting = &machine.housing.setting;
    let engine = &setting.monitor;
    let failed = |error: std::io::Error| Failure::from_io("make the template", &error);
    let pages = make_file(&template.memory)?;
    pages.set_len(template.memory_bytes).and_then(|()| fchown(&pages, Some(engine.uid), Some(engine.gid))).map_err(failed)?;
    let state = make_file(&template.state)?;
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let (control, their_control) = UnixStream::pair().map_err(failed)?;
    let mut kept = Kept::default();
    kept.add("agent", theirs);
    kept.add("control", their_control);
    let _idle = add_placeholders(setting, &mut kept)?;
    let shown = Seen::of((setting.open)(Reach::Own(&template.memory))?, &template.memory, true);
    let mut files = machine.housing.files(&machine.engine.scratch.path)?;
    files.push(shown);
    let console = pipe()?;
    let words = engine.arguments.iter().map(|word| word.replace("{memory}", &template.memory)).collect::<Vec<_>>();
    machine.housing.start_monitor(Monitor { words: &words, kept, files, console, attach: &attach })?;
    reached("vmm-started");
    machine.agent = Some(Agent::new(ours).map_err(failed)?);
    await_hello(machine)?;
    reached("kernel-up");
    let mut control = Control::new(control, machine.housing.setting.monitor.boot_deadline_ms);
    let saved = control
        .begin()
        .and_then(|()| control.ask("stop", json!({})))
        .and_then(|()| control.give("state", state.as_raw_fd()))
        .and_then(|()| control.ask("migrate", json!({ "uri": "fd:state" })))
        .and_then(|()| control.await_transfer());
    saved.map_err(|failure| with_last_words(machine, failure))?;
    end_monitor(machine, &mut control)?;
    for file in [&pages, &state] {
        fchown(file, Some(0), Some(0)).and_then(|()| file.sync_all()).map_err(failed)?;
    }
    reached("template-saved");
    Ok(())
}

/// In order, so that what it wrote is whole.
fn end_monitor(machine: &mut Machine, control: &mut Control) -> Result<(), Failure> {
    // Its answer may be lost with it.
    let _ = control.ask("quit", json!({}));
    let Some(vmm) = &mut machine.housing.vmm else { return Ok(()) };
    if vmm.wait(QUIT_PATIENCE_MS).is_none() {
        return Err(Failure::new(Code::TimedOut, "the machine's monitor did not end after it had saved its machine"));
    }
    Ok(())
}

/// A card that leads nowhere, and shares that nobody serves, wherever the arguments name them. Given back: what must stay open meanwhile.
fn add_placeholders(setting: &Setting, kept: &mut Kept) -> Result<Vec<OwnedFd>, Failure> {
    let named = |placeholder: &str| setting.monitor.arguments.iter().any(|word| word.contains(placeholder));
    if named("{tap}") {
        kept.add("tap", network::spare_tap(&setting.root_id, &setting.workload, setting.monitor.uid)?);
    }
    let mut idle = Vec::new();
    for share in (0..).take_while(|share| named(&format!("{{share:{share}}}"))) {
        let (ours, theirs) = UnixStream::pair().map_err(|error| Failure::from_io("make a share's channel", &error))?;
        kept.add(format!("share:{share}"), theirs);
        idle.push(ours.into());
    }
    Ok(idle)
}

/// Never one that is there: it would keep what it holds.
fn make_file(path: &str) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path).map_err(|error| Failure::from_io("make the template", &error))
}

fn with_last_words(machine: &mut Machine, failure: Failure) -> Failure {
    let explained = explain(machine, Broken::Closed);
    Failure::new(failure.code, format!("{}; {}", failure.what, explained.what))
}
