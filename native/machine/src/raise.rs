//! Raising a machine, in call order. Nothing of the run is in the boot: it all comes with `configure`, once the agent waits.

use crate::agent::{Agent, Asked, Broken};
use bulkhead_confine::{self as confine, Confinement, FIRST_KEPT, Seen};
use crate::disk::{self, Disk};
use crate::vmm::{self, Vmm};
use crate::words::{check_hello, read_failure};
use crate::{AGENT, CONSOLE, Machine, Setting, share};
use bulkhead_cgroup::Group;
use bulkhead_network as network;
use bulkhead_wire::clock::{monotonic_ns, now_ns};
use bulkhead_wire::plan::{DeviceSpec, NetworkSpec};
use bulkhead_wire::poller::Interest;
use bulkhead_wire::{Code, Failure};
use serde_json::{Value, json};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// Configuring mounts what the image and the user ask for; on a busy emulated host that takes seconds, never this long.
const CONFIGURE_DEADLINE_MS: u64 = 60_000;
const ENTROPY_BYTES: usize = 64;

/// Where the monitor's private root is raised: an empty directory, in namespaces of its own.
pub fn stage(directory: &str) -> String {
    format!("{directory}/vmm")
}

pub fn raise(machine: &mut Machine, reached: &mut dyn FnMut(&str)) -> Result<i32, Failure> {
    let Setting { engine, workload, layout, limits, directory, .. } = &machine.setting;
    let group = Group::make(Rc::clone(layout), workload, limits, &devices(engine.kvm), false)?;
    let attach = group.attach().map_err(|error| Failure::from_io("open the machine's control group", &error))?;
    machine.group = Some(group);
    let tap = raise_network(&machine.setting).map(|(tap, network)| {
        machine.network = network;
        tap
    })?;
    let mut disk = disk::begin(&engine.scratch.path, engine.scratch.bytes, engine.uid, engine.gid)?;
    let stage = stage(directory);
    match std::fs::create_dir(&stage) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(Failure::from_io("make the machine's stage", &error)),
        _ => reached("resources-made"),
    }

    let (ours, theirs) = UnixStream::pair().map_err(|error| Failure::from_io("make the agent's channel", &error))?;
    let console = pipe()?;
    let shares = engine.shares.iter().map(|wanted| share::start(wanted, &attach)).collect::<Result<Vec<_>, _>>()?;
    let descriptors = Descriptors { tap: tap.is_some(), shares: shares.len() };
    let mut kept: Vec<RawFd> = vec![theirs.as_raw_fd()];
    kept.extend(tap.iter().chain(&shares).map(AsRawFd::as_raw_fd));
    let confinement = Confinement {
        program: &engine.program,
        arguments: &arguments(&engine.arguments, &descriptors)?,
        uid: engine.uid,
        gid: engine.gid,
        stage: &stage,
        files: &files(&machine.setting, &disk),
        kept: &kept,
        console: console.1.as_raw_fd(),
        attach: &attach,
    };
    let (pid, pidfd) = confine::start(&confinement)?;
    machine.vmm = Some(Vmm::new(pid, pidfd, console.0));
    drop((console.1, theirs, tap, shares));
    reached("vmm-started");
    machine.agent = Some(Agent::new(ours).map_err(|error| Failure::from_io("open the agent's channel", &error))?);

    let deadline_ms = machine.setting.engine.boot_deadline_ms;
    let hello = await_message(machine, deadline_ms, "its agent's first word")?;
    check_hello(&hello).map_err(|broken| explain(machine, broken))?;
    reached("kernel-up");
    disk.finish()?;
    configure(machine)?;
    reached("agent-ready");
    watch(machine)?;
    Ok(pid)
}

fn devices(kvm: bool) -> Vec<DeviceSpec> {
    let kvm = kvm.then(|| DeviceSpec { host_path: "/dev/kvm".into(), path: "/dev/kvm".into(), access: "rw".into() });
    kvm.into_iter().collect()
}

fn raise_network(setting: &Setting) -> Result<(Option<OwnedFd>, Option<network::Network>), Failure> {
    let NetworkSpec::Bridge { .. } = &setting.network else { return Ok((None, None)) };
    let wanted = network::NetworkSpec::try_from(&setting.network)?;
    let (tap, network) = network::raise_tap(&wanted, &setting.root_id, &setting.workload, setting.engine.uid)?;
    Ok((Some(tap), Some(network)))
}

/// What the monitor is handed beside the agent's channel, in this order.
struct Descriptors {
    tap: bool,
    shares: usize,
}

/// Placeholders become the numbers that the descriptors have in the monitor.
fn arguments(wanted: &[String], given: &Descriptors) -> Result<Vec<String>, Failure> {
    let first_share = FIRST_KEPT + 1 + RawFd::from(given.tap);
    wanted.iter().map(|text| {
        let mut done = text.replace("{agent}", &FIRST_KEPT.to_string());
        if given.tap {
            done = done.replace("{tap}", &(FIRST_KEPT + 1).to_string());
        }
        for share in 0..given.shares {
            done = done.replace(&format!("{{share:{share}}}"), &(first_share + share as RawFd).to_string());
        }
        if done.contains("{tap}") || done.contains("{share:") {
            return Err(Failure::new(Code::InvalidSpec, "the launch plan's arguments name a descriptor that the machine does not have"));
        }
        Ok(clock_words(&done))
    }).collect()
}

/// Words of the guest's command line that name the host's counter; where that is not known they go.
fn clock_words(text: &str) -> String {
    if !text.contains("{tscKhz}") {
        return text.to_owned();
    }
    match crate::tsc::khz() {
        Some(khz) => text.replace("{tscKhz}", &khz.to_string()),
        None => text.split(' ').filter(|word| !word.contains("{tscKhz}")).collect::<Vec<_>>().join(" "),
    }
}

fn files(setting: &Setting, disk: &Disk) -> Vec<Seen> {
    let engine = &setting.engine;
    let given = engine.files.iter().filter(|file| file.path != engine.scratch.path);
    let mut files: Vec<Seen> = given.map(|file| Seen { source: file.path.clone(), target: file.path.clone(), writable: file.writable }).collect();
    files.push(Seen { source: disk.path.clone(), target: engine.scratch.path.clone(), writable: true });
    // The monitor tries its file locks on it; without it two machines could open one disk.
    files.push(Seen { source: "/dev/null".into(), target: "/dev/null".into(), writable: true });
    if engine.kvm {
        files.push(Seen { source: "/dev/kvm".into(), target: "/dev/kvm".into(), writable: true });
    }
    files
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let mut ends = [0; 2];
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Failure::system("make the machine's console"));
    }
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Waits for the agent's next message, draining the console meanwhile.
fn await_message(machine: &mut Machine, patience_ms: u64, what: &str) -> Result<Value, Failure> {
    let deadline = monotonic_ns() + patience_ms * 1_000_000;
    loop {
        let (Some(agent), Some(vmm)) = (&mut machine.agent, &mut machine.vmm) else { return Err(Failure::new(Code::Internal, "the machine is gone")) };
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
fn explain(machine: &mut Machine, broken: Broken) -> Failure {
    if let Broken::Lied(what) = broken {
        return Failure::new(Code::CorruptData, format!("the agent in the machine broke the protocol: {what}"));
    }
    let Some(vmm) = &mut machine.vmm else { return Failure::new(Code::Internal, "the machine is gone") };
    vmm.kill();
    let how = vmm.wait(1000).map_or("stopped".to_owned(), vmm::describe);
    vmm.read_console();
    Failure::new(Code::Unavailable, format!("the machine did not boot: its monitor {how}; last lines: {}", vmm.last_words()))
        .remedy("look at 'bulkhead doctor' for what this host's machines need to boot")
}

fn configure(machine: &mut Machine) -> Result<(), Failure> {
    let mut entropy = [0u8; ENTROPY_BYTES];
    if unsafe { libc::getrandom(entropy.as_mut_ptr().cast(), entropy.len(), 0) } != entropy.len() as isize {
        return Err(Failure::system("get random numbers for the machine"));
    }
    let mut wanted = serde_json::to_value(&machine.setting.engine.guest).unwrap_or(Value::Null);
    wanted["clockNs"] = json!(now_ns().to_string());
    wanted["entropyBase64"] = json!(base64(&entropy));
    let Some(agent) = &mut machine.agent else { return Err(Failure::new(Code::Internal, "the machine is gone")) };
    let id = agent.ask(Asked::Nobody, "configure", wanted);
    let answer = await_message(machine, CONFIGURE_DEADLINE_MS, "that it is configured")?;
    if answer.get("id").and_then(Value::as_u64) != Some(id) {
        return Err(explain(machine, Broken::Lied("an answer that nobody asked for".into())));
    }
    if let Some(agent) = &mut machine.agent {
        agent.forget(id);
    }
    match answer.get("failure") {
        Some(failure) => Err(read_failure(failure.clone())),
        None => Ok(()),
    }
}

/// From here on everything is an event.
fn watch(machine: &Machine) -> Result<(), Failure> {
    let (Some(agent), Some(vmm)) = (&machine.agent, &machine.vmm) else { return Ok(()) };
    let watched = [(agent.descriptor(), AGENT), (vmm.console_descriptor(), CONSOLE), (vmm.pidfd.as_raw_fd(), crate::VMM)];
    for (descriptor, token) in watched {
        machine.setting.poller.add(descriptor, token, Interest::READ).map_err(|error| Failure::from_io("watch the machine", &error))?;
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

    #[test]
    fn placeholders_become_descriptor_numbers() {
        let wanted = ["socket,fd={agent}", "tap,fd={tap}", "fd={share:0}", "fd={share:1}"].map(str::to_owned);
        let given = |tap, shares| Descriptors { tap, shares };
        assert_eq!(arguments(&wanted, &given(true, 2)).unwrap(), ["socket,fd=3", "tap,fd=4", "fd=5", "fd=6"]);
        assert!(arguments(&wanted, &given(false, 2)).is_err() && arguments(&wanted, &given(true, 1)).is_err());
    }
}
