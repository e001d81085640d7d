//! What the host believes of one process inside a machine, and how much may flow.

use bulkhead_wire::boundary::Stream;
use bulkhead_wire::frame::INITIAL_CREDIT_BYTES;

/// Room is given back in steps of this, not byte by byte.
const CREDIT_STEP: u32 = 64 * 1024;

#[derive(Debug)]
pub struct Process {
    pub ended: [bool; 2],
    /// What the agent may still send.
    window: [u32; 2],
    /// What was received and not yet given back.
    owed: [u32; 2],
    reading: [bool; 2],
    /// What we may still send of stdin.
    pub stdin_credit: u32,
    pub stdin_closed: bool,
    pub stdin_short: bool,
}

impl Process {
    pub fn new() -> Process {
        Process {
            ended: [false; 2],
            window: [INITIAL_CREDIT_BYTES; 2],
            owed: [0; 2],
            reading: [true; 2],
            stdin_credit: INITIAL_CREDIT_BYTES,
            stdin_closed: false,
            stdin_short: false,
        }
    }

    /// False: more than was allowed, or after the stream's end.
    pub fn take(&mut self, stream: Stream, length: usize) -> bool {
        let at = stream as usize;
        let Some(left) = u32::try_from(length).ok().and_then(|length| self.window[at].checked_sub(length)) else { return false };
        self.window[at] = left;
        self.owed[at] += length as u32;
        !self.ended[at]
    }

    pub fn set_reading(&mut self, stream: Stream, reading: bool) {
        self.reading[stream as usize] = reading;
    }

    /// Credit to give back now.
    pub fn grant(&mut self, stream: Stream) -> Option<u32> {
        let at = stream as usize;
        if !self.reading[at] || self.ended[at] || self.owed[at] < CREDIT_STEP {
            return None;
        }
        let bytes = std::mem::take(&mut self.owed[at]);
        self.window[at] += bytes;
        Some(bytes)
    }

    /// False: more than could ever have been taken from it.
    pub fn credit_stdin(&mut self, bytes: u32) -> bool {
        match self.stdin_credit.checked_add(bytes) {
            Some(credit) if credit <= INITIAL_CREDIT_BYTES => {
                self.stdin_credit = credit;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_beyond_its_credit_is_a_lie() {
        let mut process = Process::new();
        assert!(process.take(Stream::Stdout, INITIAL_CREDIT_BYTES as usize));
        assert!(!process.take(Stream::Stdout, 1));
        assert!(process.take(Stream::Stderr, 1), "each stream has its own");
        assert_eq!(process.grant(Stream::Stdout), Some(INITIAL_CREDIT_BYTES));
        assert!(process.take(Stream::Stdout, 1));
    }

    #[test]
    fn a_stream_that_is_not_read_gives_no_credit_until_it_is() {
        let mut process = Process::new();
        process.set_reading(Stream::Stdout, false);
        assert!(process.take(Stream::Stdout, 100_000));
        assert_eq!(process.grant(Stream::Stdout), None);
        process.set_reading(Stream::Stdout, true);
        assert_eq!(process.grant(Stream::Stdout), Some(100_000));
    }

    #[test]
    fn stdin_credit_never_grows_beyond_what_was_sent() {
        let mut process = Process::new();
        assert!(!process.credit_stdin(1));
        process.stdin_credit -= 10;
        assert!(process.credit_stdin(10) && !process.credit_stdin(u32::MAX));
    }
}
