//! The frame of `src/contract/frame.ts`: u32 LE length, u8 kind, u32 LE process, payload.

pub const HEADER_BYTES: usize = 9;
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;
/// What each side of the agent's wire may send of one stream before it waits for credit.
pub const INITIAL_CREDIT_BYTES: u32 = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    Message = 0,
    Stdin = 1,
    Stdout = 2,
    Stderr = 3,
    /// Payload: one byte, the kind of the stream that has ended.
    End = 4,
    /// Payload: the stream's kind, then u32 LE further bytes allowed.
    Credit = 5,
}

impl Kind {
    pub fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            0 => Kind::Message,
            1 => Kind::Stdin,
            2 => Kind::Stdout,
            3 => Kind::Stderr,
            4 => Kind::End,
            5 => Kind::Credit,
            _ => return None,
        })
    }
}

/// A frame as it lies in the decoder's buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: Kind,
    pub process: u32,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The stream that an `End` frame names, where it names one.
    pub fn ended_stream(&self) -> Option<Kind> {
        match (self.kind, self.payload) {
            (Kind::End, [byte]) => Kind::from_byte(*byte).filter(|kind| is_stream(*kind)),
            _ => None,
        }
    }

    /// Stream and further bytes of a `Credit` frame.
    pub fn credit(&self) -> Option<(Kind, u32)> {
        match (self.kind, self.payload) {
            (Kind::Credit, [byte, a, b, c, d]) => {
                let stream = Kind::from_byte(*byte).filter(|kind| is_stream(*kind))?;
                Some((stream, u32::from_le_bytes([*a, *b, *c, *d])))
            }
            _ => None,
        }
    }
}

fn is_stream(kind: Kind) -> bool {
    matches!(kind, Kind::Stdin | Kind::Stdout | Kind::Stderr)
}

/// Why a connection must be closed: there is no resynchronising.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum FrameError {
    TooLong(u32),
    UnknownKind(u8),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::TooLong(length) => write!(out, "a frame of {length} bytes is longer than {MAX_PAYLOAD_BYTES}"),
            FrameError::UnknownKind(kind) => write!(out, "frame kind {kind} is unknown"),
        }
    }
}

/// The nine bytes before a payload of this length. The caller keeps to MAX_PAYLOAD_BYTES.
pub fn header(kind: Kind, process: u32, length: usize) -> [u8; HEADER_BYTES] {
    let mut bytes = [0u8; HEADER_BYTES];
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    bytes[4] = kind as u8;
    bytes[5..].copy_from_slice(&process.to_le_bytes());
    bytes
}

/// Appends a frame, or several where the payload of a stream is longer than one frame may be.
pub fn append(out: &mut Vec<u8>, kind: Kind, process: u32, payload: &[u8]) {
    if payload.is_empty() {
        out.extend_from_slice(&header(kind, process, 0));
    }
    for piece in payload.chunks(MAX_PAYLOAD_BYTES) {
        out.extend_from_slice(&header(kind, process, piece.len()));
        out.extend_from_slice(piece);
    }
}

/// Takes bytes as they come and gives frames. Holds at most one frame and what arrived after it.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    taken: usize,
    limit: usize,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder::with_limit(MAX_PAYLOAD_BYTES)
    }

    /// A decoder that refuses payloads longer than `limit`, where even MAX_PAYLOAD_BYTES is more than the peer deserves.
    pub fn with_limit(limit: usize) -> Decoder {
        Decoder { buffer: Vec::new(), taken: 0, limit: limit.min(MAX_PAYLOAD_BYTES) }
    }

    /// Adds bytes. Feed at most what one read gave, then take every frame: so the buffer stays near one frame's size.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let rest = &self.buffer[self.taken..];
        if rest.is_empty() {
            self.release();
            return Ok(None);
        }
        let Some(head) = rest.get(..HEADER_BYTES) else { return Ok(None) };
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let process = u32::from_le_bytes([head[5], head[6], head[7], head[8]]);
        if length as usize > self.limit {
            return Err(FrameError::TooLong(length));
        }
        let kind = Kind::from_byte(head[4]).ok_or(FrameError::UnknownKind(head[4]))?;
        let end = HEADER_BYTES + length as usize;
        if rest.len() < end {
            return Ok(None);
        }
        let from = self.taken + HEADER_BYTES;
        self.taken += end;
        Ok(Some(Frame { kind, process, payload: &self.buffer[from..self.taken] }))
    }

    /// Bytes that wait for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// Gives the memory of a large frame back once nothing is left in it.
    fn release(&mut self) {
        self.taken = 0;
        if self.buffer.capacity() > 16 * 1024 { self.buffer = Vec::new() } else { self.buffer.clear() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn frames_survive_any_cut_of_the_stream() {
        let mut state = 0x9E37_79B9_7F4A_7C15;
        for _ in 0..300 {
            let mut wire = Vec::new();
            let mut sent = Vec::new();
            for _ in 0..random(&mut state) % 6 {
                let kind = Kind::from_byte((random(&mut state) % 6) as u8).unwrap();
                let process = random(&mut state) as u32;
                let payload: Vec<u8> = (0..random(&mut state) % 3000).map(|_| random(&mut state) as u8).collect();
                append(&mut wire, kind, process, &payload);
                sent.push((kind, process, payload));
            }
            let mut decoder = Decoder::new();
            let mut got = Vec::new();
            let mut rest = &wire[..];
            while !rest.is_empty() {
                let cut = 1 + (random(&mut state) as usize) % rest.len();
                decoder.push(&rest[..cut]);
                rest = &rest[cut..];
                while let Some(frame) = decoder.next_frame().unwrap() {
                    got.push((frame.kind, frame.process, frame.payload.to_vec()));
                }
            }
            assert_eq!(sent, got);
            assert_eq!(decoder.pending(), 0);
        }
    }

    #[test]
    fn random_bytes_never_panic_and_never_hold_more_than_was_fed() {
        // BULKHEAD_FUZZ_ROUNDS and BULKHEAD_FUZZ_SEED: more, and others, in the long run.
        let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
        let (rounds, mut state) = (number("BULKHEAD_FUZZ_ROUNDS", 2000), number("BULKHEAD_FUZZ_SEED", 42));
        for _ in 0..rounds {
            let mut decoder = Decoder::new();
            let mut fed = 0;
            for _ in 0..5 {
                let bytes: Vec<u8> = (0..random(&mut state) % 64).map(|_| (random(&mut state) % 7) as u8).collect();
                fed += bytes.len();
                decoder.push(&bytes);
                while let Ok(Some(frame)) = decoder.next_frame() {
                    let _ = (frame.ended_stream(), frame.credit());
                }
                assert!(decoder.pending() <= fed);
            }
        }
    }

    #[test]
    fn a_longer_frame_than_allowed_is_refused_before_its_payload_arrives() {
        let mut decoder = Decoder::new();
        decoder.push(&header(Kind::Stdout, 0, MAX_PAYLOAD_BYTES + 1));
        assert_eq!(decoder.next_frame(), Err(FrameError::TooLong(MAX_PAYLOAD_BYTES as u32 + 1)));
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        let mut decoder = Decoder::new();
        decoder.push(&[0, 0, 0, 0, 9, 0, 0, 0, 0]);
        assert_eq!(decoder.next_frame(), Err(FrameError::UnknownKind(9)));
    }
}
