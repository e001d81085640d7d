//! Raising a machine, in call order. Nothing of the run is in the boot: it all comes with `configure`, which lies in the channel while the
//! machine boots, so that an agent that waits need not wait.

use crate::agent::{Agent, Asked, Broken};
use crate::housing::{Monitor, pipe};
use crate::kept::Kept;
use crate::words::{check_hello, read_failure};
use crate::{AGENT, CONSOLE, Machine, Reach, share, template};
use bulkhead_confine::Seen;
use bulkhead_disk::Disk;
use bulkhead_wire::clock::{monotonic_ns, now_ns};
use bulkhead_wire::plan::TemplateMode;
use bulkhead_wire::poller::Interest;
use bulkhead_wire::{Code, Failure};
use serde_json::{Value, json};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

/// Configuring mounts what the image and the user ask for; on a busy emulated host that takes seconds, never this long.
const CONFIGURE_DEADLINE_MS: u64 = 60_000;
const ENTROPY_BYTES: usize = 64;

/// Gives the main process's pid on the host: the monitor's. None where the machine was only to be saved, and is gone again.
pub fn raise(machine: &mut Machine, reached: &mut dyn FnMut(&str)) -> Result<Option<i32>, Failure> {
    if let Some(wanted) = template::wanted(&machine.engine, TemplateMode::Save).cloned() {
        return template::save(machine, &wanted, reached).map(|()| None);
    }
    let attach = machine.housing.make_group()?;
    let tap = machine.housing.raise_network()?;
    let (setting, engine) = (&machine.housing.setting, &machine.engine);
    let mut disk = bulkhead_disk::begin(&engine.scratch.path, engine.scratch.bytes, (setting.monitor.uid, setting.monitor.gid), &attach)?;
    reached("resources-made");

    let (ours, theirs) = UnixStream::pair().map_err(|error| Failure::from_io("make the agent's channel", &error))?;
    let console = pipe()?;
    let mut kept = Kept::default();
    kept.add("agent", theirs);
    if let Some(tap) = tap {
        kept.add("tap", tap);
    }
    for (number, wanted) in engine.shares.iter().enumerate() {
        kept.add(format!("share:{number}"), share::start(wanted, (setting.open)(Reach::Share(&wanted.source))?, &attach)?);
    }
    let resume = template::prepare_resume(machine, &mut kept)?;
    let mut files = files(machine, &disk)?;
    files.extend(resume.is_some().then(template::descriptors_by_path));
    let words = setting.monitor.arguments.clone();
    let pid = machine.housing.start_monitor(Monitor { words: &words, kept, files, console, attach: &attach })?;
    reached("vmm-started");
    machine.agent = Some(Agent::new(ours).map_err(|error| Failure::from_io("open the agent's channel", &error))?);

    let configure = if let Some(resume) = resume {
        template::resume(machine, resume)?;
        reached("template-resumed");
        disk.finish()?;
        send_configuration(machine)?
    } else {
        disk.finish()?;
        let configure = send_configuration(machine)?;
        await_hello(machine)?;
        reached("kernel-up");
        configure
    };
    await_configured(machine, configure)?;
    reached("agent-ready");
    watch(machine)?;
    Ok(Some(pid))
}

pub fn await_hello(machine: &mut Machine) -> Result<(), Failure> {
    let deadline_ms = machine.housing.setting.monitor.boot_deadline_ms;
    let hello = await_message(machine, deadline_ms, "its agent's first word")?;
    check_hello(&hello).map_err(|broken| explain(machine, broken))
}

fn files(machine: &Machine, disk: &Disk) -> Result<Vec<Seen>, Failure> {
    let wanted = &machine.engine.scratch.path;
    let mut files = machine.housing.files(wanted)?;
    files.push(Seen::of((machine.housing.setting.open)(Reach::Own(&disk.path))?, wanted, true));
    // The monitor tries its file locks on null; without it two machines could open one disk.
    files.push(Seen::open("/dev/null", true)?);
    Ok(files)
}

/// Waits for the agent's next message, draining the console meanwhile.
fn await_message(machine: &mut Machine, patience_ms: u64, what: &str) -> Result<Value, Failure> {
    let deadline = monotonic_ns() + patience_ms * 1_000_000;
    loop {
        let (Some(agent), Some(vmm)) = (&mut machine.agent, &mut machine.housing.vmm) else { return Err(Failure::new(Code::Internal, "the machine is gone")) };
        match agent.next_message() {
            Ok(Some(message)) => return Ok(message),
            Ok(None) => {}
            Err(broken) => return Err(explain(machine, broken)),
        }
        let left = deadline.saturating_sub(monotonic_ns());
        if left == 0 {
            let said = vmm.last_words();
            let failure = Failure::new(Code::TimedOut, format!("the machine did not say {what} within {patience_ms} ms; its console's last lines: {said}"));
            return Err(failure.remedy("look at 'bulkhead doctor' for what this host's machines need to boot"));
        }
        let interest = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut polls = [interest(agent.descriptor()), interest(vmm.pidfd.as_raw_fd()), interest(vmm.console_descriptor())];
        if agent.has_unsent() {
            polls[0].events |= libc::POLLOUT;
        }
        unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, left.div_ceil(1_000_000) as i32) };
        if polls[2].revents != 0 {
            vmm.read_console();
        }
        if polls[1].revents != 0 && polls[0].revents & libc::POLLIN == 0 {
            return Err(explain(machine, Broken::Closed));
        }
    }
}

/// Why a machine that is being raised is none.
pub fn explain(machine: &mut Machine, broken: Broken) -> Failure {
    if let Broken::Lied(what) = broken {
        return Failure::new(Code::CorruptData, format!("the agent in the machine broke the protocol: {what}"));
    }
    machine.housing.did_not_boot()
}

/// Gives the number of the question.
fn send_configuration(machine: &mut Machine) -> Result<u64, Failure> {
    let mut entropy = [0u8; ENTROPY_BYTES];
    if unsafe { libc::getrandom(entropy.as_mut_ptr().cast(), entropy.len(), 0) } != entropy.len() as isize {
        return Err(Failure::system("get random numbers for the machine"));
    }
    let mut wanted = serde_json::to_value(&machine.engine.guest).unwrap_or(Value::Null);
    wanted["clockNs"] = json!(now_ns().to_string());
    wanted["entropyBase64"] = json!(base64(&entropy));
    let Some(agent) = &mut machine.agent else { return Err(Failure::new(Code::Internal, "the machine is gone")) };
    Ok(agent.ask(Asked::Nobody, "configure", wanted))
}

fn await_configured(machine: &mut Machine, id: u64) -> Result<(), Failure> {
    let answer = await_message(machine, CONFIGURE_DEADLINE_MS, "that it is configured")?;
    if answer.get("id").and_then(Value::as_u64) != Some(id) {
        return Err(explain(machine, Broken::Lied("an answer that nobody asked for".into())));
    }
    if let Some(failure) = answer.get("failure") {
        return Err(read_failure(failure.clone()));
    }
    if let Some(agent) = &mut machine.agent {
        agent.forget(id);
        // The configuration's clock stood still while it lay in the channel. This one goes before anything that could be started.
        agent.ask(Asked::Nobody, "clock", json!({ "clockNs": now_ns().to_string() }));
        return agent.push().map_err(|broken| explain(machine, broken));
    }
    Ok(())
}

/// From here on everything is an event.
fn watch(machine: &Machine) -> Result<(), Failure> {
    let (Some(agent), Some(vmm)) = (&machine.agent, &machine.housing.vmm) else { return Ok(()) };
    let watched = [(agent.descriptor(), AGENT), (vmm.console_descriptor(), CONSOLE), (vmm.pidfd.as_raw_fd(), crate::VMM)];
    for (descriptor, token) in watched {
        machine.housing.setting.poller.add(descriptor, token, Interest::READ).map_err(|error| Failure::from_io("watch the machine", &error))?;
    }
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * at) & 63) as usize] as char;
            text.push(if at <= chunk.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_everybody_writes_it() {
        assert_eq!(base64(b"hello"), "aGVsbG8=");
        assert_eq!(base64(b"hell"), "aGVsbA==");
        assert_eq!(base64(&[0xff, 0xef, 0]), "/+8A");
        assert_eq!(base64(b""), "");
    }
}
