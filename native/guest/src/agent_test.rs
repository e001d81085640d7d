use super::*;
use crate::launch::Launched;
use bulkhead_wire::frame::Decoder;
use std::os::unix::net::UnixStream;

fn agent() -> (Agent, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let (children, _) = sys::pipe().unwrap();
    let agent = Agent {
        poller: Poller::new().unwrap(),
        port: Port::new(ours.into()).unwrap(),
        port_away: false,
        children,
        drives: Drives::find(),
        machine: None,
        main: None,
        processes: BTreeMap::new(),
        buffer: vec![0; 1024].into_boxed_slice(),
    };
    (agent, theirs)
}

/// A process that has ended long ago with `said` still in its pipe, whose other end a child of its own holds.
fn ended(said: &[u8]) -> (Running, Vec<OwnedFd>) {
    let pipes = [sys::pipe().unwrap(), sys::pipe().unwrap()];
    let pidfd = pipes[0].0.try_clone().unwrap();
    sys::write(pipes[0].1.as_raw_fd(), said);
    let [(stdout, first), (stderr, second)] = pipes;
    sys::set_nonblocking(&stdout);
    sys::set_nonblocking(&stderr);
    let mut running = Running::new(Launched { pid: 7, pidfd, stdin: None, outputs: [Some(stdout), Some(stderr)], terminal: false }, 0);
    running.exit = Some(0);
    running.drained_by_ns = Some(0);
    (running, vec![first, second])
}

fn heard(agent: &mut Agent, host: &UnixStream) -> Vec<(Kind, Vec<u8>)> {
    agent.port.flush().unwrap();
    let (mut decoder, mut buffer) = (Decoder::new(), [0; 4096]);
    if let Read::Bytes(count) = sys::read(host.as_raw_fd(), &mut buffer) {
        decoder.push(&buffer[..count]);
    }
    std::iter::from_fn(|| decoder.next_frame().unwrap().map(|frame| (frame.kind, frame.payload.to_vec()))).collect()
}

/// A machine that was not given its processor between a process's end and this moment has not looked into the pipe yet.
#[test]
fn what_was_said_before_the_patience_ran_out_is_told_however_late_it_is_read() {
    let (mut agent, host) = agent();
    let (running, _others) = ended(b"last words");
    agent.processes.insert(3, running);
    agent.give_up_silent_streams();
    let first = heard(&mut agent, &host);
    assert_eq!(first[0], (Kind::Stdout, b"last words".to_vec()));
    assert!(first.iter().all(|(kind, _)| *kind != Kind::Message), "it may say more");
    agent.processes.get_mut(&3).unwrap().drained_by_ns = Some(0);
    agent.give_up_silent_streams();
    let kinds: Vec<Kind> = heard(&mut agent, &host).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::End, Kind::Message], "silent now: its stdout, and its own end");
    assert!(agent.processes.is_empty());
}
