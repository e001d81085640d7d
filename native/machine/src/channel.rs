//! The monitor's control channel while its machine runs: questions that are answered later, and the events that say how it ends.
//!
//! A monitor may have been taken over by its guest. What it says is bounded; an answer that nobody asked for and an event that is not known
//! mean nothing.

use bulkhead_wire::boundary::Ticket;
use bulkhead_wire::{Code, Failure};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

const LONGEST_LINE: usize = 64 * 1024;
const LONGEST_QUOTE: usize = 200;
/// More than anybody asks at once of a monitor that answers.
const MOST_UNANSWERED: usize = 64;

pub struct Channel {
    socket: UnixStream,
    unread: Vec<u8>,
    asked: Vec<(u64, Option<Ticket>)>,
    next_id: u64,
}

#[derive(Debug, PartialEq)]
pub enum Word {
    Answered(Ticket, Result<(), String>),
    /// The machine ends; whether its guest wanted it to.
    Shutdown { guest: bool },
}

impl Channel {
    /// A channel that was greeted already, with what was read of it and not used.
    pub fn new(socket: UnixStream, unread: Vec<u8>, next_id: u64) -> std::io::Result<Channel> {
        socket.set_nonblocking(true)?;
        Ok(Channel { socket, unread, asked: Vec::new(), next_id })
    }

    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Without a ticket nobody waits for the answer.
    pub fn ask(&mut self, execute: &str, ticket: Option<Ticket>) -> Result<(), Failure> {
        let busy = || Failure::new(Code::Unavailable, "the machine's monitor does not answer").remedy("kill the workload");
        if self.asked.len() >= MOST_UNANSWERED {
            return Err(busy());
        }
        let text = format!("{}\n", json!({ "execute": execute, "id": self.next_id }));
        // Far shorter than the socket's buffer: it is taken whole, or the monitor has stopped reading.
        match self.socket.write(text.as_bytes()) {
            Ok(count) if count == text.len() => {
                self.asked.push((self.next_id, ticket));
                self.next_id += 1;
                Ok(())
            }
            _ => Err(busy()),
        }
    }

    /// What it said since. None: it will say no more.
    pub fn hear(&mut self) -> Option<Vec<Word>> {
        let mut buffer = [0u8; 4096];
        let mut open = true;
        // A monitor that says without end gets its turns, not all of them.
        for _ in 0..16 {
            match self.socket.read(&mut buffer) {
                Ok(count) if count > 0 && self.unread.len() + count <= LONGEST_LINE => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                _ => {
                    open = false;
                    break;
                }
            }
        }
        let mut words = Vec::new();
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            words.extend(self.read_word(&line));
        }
        if open || !words.is_empty() { Some(words) } else { None }
    }

    /// Tickets that will never be answered.
    pub fn abandon(&mut self) -> Vec<Ticket> {
        self.asked.drain(..).filter_map(|(_, ticket)| ticket).collect()
    }

    fn read_word(&mut self, line: &[u8]) -> Option<Word> {
        let message: Value = serde_json::from_slice(line).ok()?;
        if message.get("event").and_then(Value::as_str) == Some("SHUTDOWN") {
            return Some(Word::Shutdown { guest: message.pointer("/data/guest").and_then(Value::as_bool).unwrap_or(false) });
        }
        let id = message.get("id").and_then(Value::as_u64)?;
        let at = self.asked.iter().position(|(asked, _)| *asked == id)?;
        let ticket = self.asked.swap_remove(at).1?;
        let answer = message.get("error").map_or(Ok(()), |error| Err(quoted(error)));
        Some(Word::Answered(ticket, answer))
    }
}

fn quoted(error: &Value) -> String {
    let what = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
    what.chars().filter(|letter| !letter.is_control()).take(LONGEST_QUOTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Channel, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Channel::new(ours, Vec::new(), 7).unwrap(), theirs)
    }

    #[test]
    fn answers_find_their_tickets_and_ends_say_whose_wish_they_were() {
        let (mut channel, mut monitor) = pair();
        channel.ask("cont", Some(Ticket(1))).unwrap();
        channel.ask("stop", Some(Ticket(2))).unwrap();
        channel.ask("system_powerdown", None).unwrap();
        monitor.write_all(b"{\"event\":\"RESUME\"}\n{\"return\":{},\"id\":9}\n{\"error\":{\"desc\":\"no\\nway\"},\"id\":8}\n{\"return\":{},\"id\":7}\n").unwrap();
        monitor.write_all(b"{\"return\":{},\"id\":7}\nnonsense\n{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true}}\n").unwrap();
        let expected = [Word::Answered(Ticket(2), Err("noway".into())), Word::Answered(Ticket(1), Ok(())), Word::Shutdown { guest: true }];
        assert_eq!(channel.hear().unwrap(), expected);
        channel.ask("cont", Some(Ticket(3))).unwrap();
        drop(monitor);
        assert_eq!(channel.hear(), None);
        assert_eq!(channel.abandon(), [Ticket(3)]);
    }

    #[test]
    fn a_line_without_end_and_a_monitor_that_never_answers_are_not_waited_for() {
        let (mut channel, mut monitor) = pair();
        let writer = std::thread::spawn(move || {
            let _ = monitor.write_all(&vec![b'x'; 4 * LONGEST_LINE]);
        });
        while channel.hear().is_some() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        drop(channel);
        let _ = writer.join();
        let (mut silent, _monitor) = pair();
        let asked = (0..1000).take_while(|_| silent.ask("cont", None).is_ok()).count();
        assert_eq!(asked, MOST_UNANSWERED);
    }
}
