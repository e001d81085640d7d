//! A scripted hostile agent on a socketpair, and a sink that writes down what the core would be told.

use super::*;
use crate::words::{LONGEST_SENTENCE, check_hello};

#[derive(Default)]
struct Told(Vec<String>);

impl Sink for Told {
    fn answered(&mut self, ticket: Ticket, answer: Result<Reply, Failure>) {
        self.0.push(match answer {
            Ok(reply) => format!("answer {} {reply:?}", ticket.0),
            Err(failure) => format!("failure {} {:?} {}", ticket.0, failure.code, failure.what),
        });
    }
    fn output(&mut self, process: u32, stream: Stream, bytes: &[u8]) {
        self.0.push(format!("output {process} {stream:?} {}", bytes.len()));
    }
    fn stream_ended(&mut self, process: u32, stream: Stream) {
        self.0.push(format!("end {process} {stream:?}"));
    }
    fn stdin_room(&mut self, process: u32) {
        self.0.push(format!("room {process}"));
    }
    fn exited(&mut self, process: u32, status: ExitStatus) {
        self.0.push(format!("exited {process} {} {:?}", status.code, status.signal));
    }
    fn out_of_memory(&mut self) {
        self.0.push("out of memory".into());
    }
    fn lost(&mut self, what: String) {
        self.0.push(format!("lost {what}"));
    }
}

struct Scene {
    agent: Agent,
    guest: UnixStream,
    told: Told,
}

fn scene() -> Scene {
    let (ours, guest) = UnixStream::pair().unwrap();
    guest.set_nonblocking(true).unwrap();
    Scene { agent: Agent::new(ours).unwrap(), guest, told: Told::default() }
}

/// A scene in which process 0 was asked for under id 1 and runs.
fn running() -> Scene {
    let mut scene = scene();
    scene.agent.start(Ticket(7), 0, Value::Null);
    scene.say(r#"{"id":1,"ok":{"pid":2}}"#).unwrap();
    scene.told.0.clear();
    scene
}

impl Scene {
    fn send(&mut self, kind: Kind, process: u32, payload: &[u8]) -> Result<(), Broken> {
        let mut bytes = Vec::new();
        frame::append(&mut bytes, kind, process, payload);
        self.raw(&bytes)
    }

    /// Sends bytes as they are and lets the host take them all.
    fn raw(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        for piece in bytes.chunks(32 * 1024) {
            self.guest.write_all(piece).unwrap();
            self.agent.receive(&mut self.told)?;
        }
        Ok(())
    }

    fn say(&mut self, text: &str) -> Result<(), Broken> {
        self.send(Kind::Message, 0, text.as_bytes())
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told.0)
    }
}

#[test]
fn a_process_lives_and_ends_in_the_order_that_the_core_is_promised() {
    let mut scene = scene();
    scene.agent.start(Ticket(7), 0, Value::Null);
    scene.say(r#"{"id":1,"ok":{"pid":2}}"#).unwrap();
    scene.send(Kind::Stdout, 0, b"text").unwrap();
    scene.send(Kind::End, 0, &[2]).unwrap();
    scene.send(Kind::End, 0, &[3]).unwrap();
    scene.say(r#"{"event":"exited","process":0,"code":137,"signal":"SIGKILL","outOfMemory":true}"#).unwrap();
    assert_eq!(
        scene.told(),
        ["answer 7 Done", "output 0 Stdout 4", "end 0 Stdout", "end 0 Stderr", "out of memory", "exited 0 137 Some(\"SIGKILL\")"]
    );
    assert!(scene.agent.main_has_ended());
}

#[test]
fn a_command_that_is_not_there_ends_the_main_process_with_127_and_an_exec_without_a_trace() {
    let mut scene = scene();
    scene.agent.start(Ticket(1), 0, Value::Null);
    scene.say(r#"{"id":1,"failure":{"code":"COMMAND_NOT_FOUND","what":"no"}}"#).unwrap();
    assert_eq!(scene.told(), ["failure 1 CommandNotFound no", "end 0 Stdout", "end 0 Stderr", "exited 0 127 None"]);
    let mut scene = running();
    scene.agent.start(Ticket(2), 5, Value::Null);
    scene.say(r#"{"id":2,"failure":{"code":"COMMAND_NOT_EXECUTABLE","what":"no"}}"#).unwrap();
    assert_eq!(scene.told(), ["failure 2 CommandNotExecutable no"]);
}

#[test]
fn every_word_that_cannot_be_true_ends_the_machine() {
    let lies: [(&str, Vec<u8>); 19] = [
        ("output of no process", framed(Kind::Stdout, 9, b"x")),
        ("output beyond its credit", framed(Kind::Stdout, 0, &vec![0; 256 * 1024 + 1])),
        ("input for the host", framed(Kind::Stdin, 0, b"x")),
        ("end of an unknown stream", framed(Kind::End, 0, &[9])),
        ("end of stdin", framed(Kind::End, 0, &[1])),
        ("end of a stream of no process", framed(Kind::End, 3, &[2])),
        ("credit for no process", framed(Kind::Credit, 3, &[1, 1, 0, 0, 0])),
        ("credit for output", framed(Kind::Credit, 0, &[2, 1, 0, 0, 0])),
        ("more credit than was used", framed(Kind::Credit, 0, &[1, 1, 0, 0, 0])),
        ("no JSON", framed(Kind::Message, 0, b"\xff{")),
        ("an array", framed(Kind::Message, 0, b"[]")),
        ("depth", framed(Kind::Message, 0, "[".repeat(100_000).as_bytes())),
        ("an answer to nobody", framed(Kind::Message, 0, br#"{"id":99,"ok":{}}"#)),
        ("a second hello", framed(Kind::Message, 0, br#"{"event":"hello","version":1}"#)),
        ("exit of an unknown process", framed(Kind::Message, 0, br#"{"event":"exited","process":4,"code":0}"#)),
        ("exit of a huge process number", framed(Kind::Message, 0, br#"{"event":"exited","process":4294967296,"code":0}"#)),
        ("an impossible code", framed(Kind::Message, 0, br#"{"event":"exited","process":0,"code":256}"#)),
        ("an unknown kind", vec![0, 0, 0, 0, 6, 0, 0, 0, 0]),
        ("a long frame", vec![0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0]),
    ];
    for (what, bytes) in lies {
        let mut scene = running();
        assert!(matches!(scene.raw(&bytes), Err(Broken::Lied(_))), "{what}");
    }
}

fn framed(kind: Kind, process: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, kind, process, payload);
    bytes
}

#[test]
fn a_stream_does_not_end_twice_and_says_nothing_after_its_end() {
    let mut scene = running();
    scene.send(Kind::End, 0, &[2]).unwrap();
    assert!(scene.send(Kind::End, 0, &[2]).is_err());
    let mut scene = running();
    scene.send(Kind::End, 0, &[3]).unwrap();
    assert!(scene.send(Kind::Stderr, 0, b"x").is_err());
}

#[test]
fn a_process_cannot_end_before_its_start_was_answered() {
    let mut scene = running();
    scene.agent.start(Ticket(2), 5, Value::Null);
    assert!(scene.say(r#"{"event":"exited","process":5,"code":0}"#).is_err());
}

#[test]
fn random_words_never_panic_and_never_grow_without_bound() {
    // BULKHEAD_FUZZ_ROUNDS and BULKHEAD_FUZZ_SEED: more, and others, in the long run.
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (rounds, mut state) = (number("BULKHEAD_FUZZ_ROUNDS", 3000), number("BULKHEAD_FUZZ_SEED", 0x2545_F491_4F6C_DD1D));
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..rounds {
        let mut scene = running();
        for _ in 0..4 {
            let mut bytes: Vec<u8> = (0..random() % 40).map(|_| random() as u8).collect();
            if bytes.len() >= 9 && !random().is_multiple_of(3) {
                let payload = bytes.len() as u32 - 9;
                bytes[..4].copy_from_slice(&payload.to_le_bytes());
                bytes[4] %= 7;
                bytes[5..9].copy_from_slice(&((random() % 3) as u32).to_le_bytes());
            }
            if scene.raw(&bytes).is_err() {
                break;
            }
        }
        assert!(scene.agent.decoder.pending() < 200 && scene.agent.processes.len() <= 1);
    }
}

#[test]
fn stdin_flows_within_credit_and_says_when_there_is_room() {
    let mut scene = running();
    assert_eq!(scene.agent.write_stdin(0, &vec![1; 300_000]), StdinWrite::Taken(256 * 1024));
    assert_eq!(scene.agent.write_stdin(0, b"more"), StdinWrite::Taken(0));
    scene.send(Kind::Credit, 0, &[1, 0, 0, 1, 0]).unwrap();
    assert_eq!(scene.told(), ["room 0"]);
    assert_eq!(scene.agent.write_stdin(0, b"more"), StdinWrite::Taken(4));
    scene.agent.close_stdin(0);
    assert_eq!(scene.agent.write_stdin(0, b"late"), StdinWrite::Closed);
    assert_eq!(scene.agent.write_stdin(8, b"nobody"), StdinWrite::Closed);
}

#[test]
fn output_that_is_not_read_stops_at_its_credit() {
    let mut scene = running();
    scene.agent.set_reading(0, Stream::Stdout, false);
    for _ in 0..4 {
        scene.send(Kind::Stdout, 0, &vec![0; 64 * 1024]).unwrap();
    }
    assert!(!has_credit(&scene.agent.unsent), "no credit was given back");
    scene.agent.set_reading(0, Stream::Stdout, true);
    assert!(has_credit(&scene.agent.unsent));
    scene.send(Kind::Stdout, 0, &vec![0; 64 * 1024]).unwrap();
}

fn has_credit(bytes: &[u8]) -> bool {
    let mut decoder = Decoder::new();
    decoder.push(bytes);
    let mut found = false;
    while let Ok(Some(frame)) = decoder.next_frame() {
        found |= frame.kind == Kind::Credit;
    }
    found
}

#[test]
fn losing_the_machine_answers_every_question_once_and_ends_every_process() {
    let mut scene = running();
    scene.agent.start(Ticket(2), 5, Value::Null);
    scene.agent.ask(Asked::Signal(Ticket(3)), "signal", Value::Null);
    scene.agent.fail_all(&Failure::new(Code::ConnectionLost, "gone"), &mut scene.told);
    scene.agent.fail_all(&Failure::new(Code::ConnectionLost, "gone"), &mut scene.told);
    scene.agent.end_everything(ExitStatus::signalled(libc::SIGKILL), &mut scene.told);
    assert_eq!(
        scene.told(),
        ["failure 2 ConnectionLost gone", "failure 3 ConnectionLost gone", "end 0 Stdout", "end 0 Stderr", "exited 0 137 Some(\"SIGKILL\")"]
    );
}

#[test]
fn a_guest_s_sentence_is_cut_and_cleaned() {
    let failure = read_failure(serde_json::json!({ "code": "INTERNAL", "what": "a\u{1b}[2J".repeat(1000), "workload": "x" }));
    assert!(failure.what.len() <= LONGEST_SENTENCE && !failure.what.contains('\u{1b}') && failure.workload.is_none());
    assert_eq!(read_failure(Value::Null).code, Code::CorruptData);
}

#[test]
fn the_first_word_is_hello_in_our_version() {
    assert!(check_hello(&serde_json::json!({ "event": "hello", "version": 1, "kernel": "x" })).is_ok());
    for bad in [r#"{}"#, r#"{"event":"hello"}"#, r#"{"event":"hello","version":2}"#, r#"{"event":"exited","version":1}"#] {
        assert!(check_hello(&serde_json::from_str(bad).unwrap()).is_err(), "{bad}");
    }
}

#[test]
fn a_guest_that_sends_and_never_reads_is_not_given_memory_for_ever() {
    let mut scene = running();
    scene.agent.unsent = vec![0; MOST_UNSENT_BYTES];
    scene.send(Kind::Stdout, 0, b"still within its bound").unwrap();
    let lied = (0..8).any(|_| scene.send(Kind::Stdout, 0, &[0; 32 * 1024]).is_err());
    assert!(lied, "the credit for 64 KiB goes beyond the bound");
}
