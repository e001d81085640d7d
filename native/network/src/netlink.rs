//! Netlink by hand: messages with nested attributes, and a socket that sends them and reads every answer.
//!
//! The kernel carries out rtnetlink and nfnetlink requests within `send`, so that all acknowledgements lie in the socket's queue
//! when it returns: reading them never blocks, and a missing one is an error.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub(crate) const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
pub(crate) const ACKNOWLEDGE: u16 = libc::NLM_F_ACK as u16;
pub(crate) const CREATE: u16 = libc::NLM_F_CREATE as u16;
pub(crate) const EXCLUSIVE: u16 = libc::NLM_F_EXCL as u16;
pub(crate) const APPEND: u16 = libc::NLM_F_APPEND as u16;
pub(crate) const DUMP: u16 = libc::NLM_F_DUMP as u16;
const NESTED: u16 = 0x8000;
const HEADER_BYTES: usize = 16;

/// One or more messages, numbered from 1 in the order in which they were put in.
#[derive(Default)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
    count: u32,
    expected: u32,
}

impl Messages {
    pub(crate) fn add(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Body<'_>)) {
        let start = self.bytes.len();
        self.count += 1;
        self.expected += u32::from(flags & ACKNOWLEDGE != 0);
        self.bytes.extend_from_slice(&0_u32.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&self.count.to_ne_bytes());
        self.bytes.extend_from_slice(&0_u32.to_ne_bytes());
        body(&mut Body { bytes: &mut self.bytes });
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        pad(&mut self.bytes);
    }

    pub(crate) fn one(kind: u16, flags: u16, body: impl FnOnce(&mut Body<'_>)) -> Self {
        let mut messages = Self::default();
        messages.add(kind, flags, body);
        messages
    }
}

/// The part of a message after its header.
pub(crate) struct Body<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Body<'_> {
    /// A fixed header of the message's family.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        pad(self.bytes);
    }

    pub(crate) fn put(&mut self, kind: u16, payload: &[u8]) {
        self.bytes.extend_from_slice(&((payload.len() + 4) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        pad(self.bytes);
    }

    /// Host byte order, as rtnetlink wants numbers.
    pub(crate) fn put_u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Network byte order, as nfnetlink wants numbers.
    pub(crate) fn put_be32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    pub(crate) fn put_text(&mut self, kind: u16, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes);
    }

    pub(crate) fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Body<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&0_u16.to_ne_bytes());
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        inside(&mut Body { bytes: self.bytes });
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// The kernel's no, and which of the messages (from 1; 0 where it does not say) it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errno: i32,
    pub(crate) message: Option<String>,
    pub(crate) number: u32,
}

impl Refusal {
    fn last() -> Self {
        Self::from_errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }

    pub(crate) fn from_errno(errno: i32) -> Self {
        Self { errno, message: None, number: 0 }
    }
}

/// An answer that carries data: what follows the header.
pub(crate) struct Answer {
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Socket {
    descriptor: OwnedFd,
}

impl Socket {
    /// Belongs to the calling thread's network namespace for ever, wherever the thread goes later.
    pub(crate) fn open(protocol: i32) -> Result<Self, Refusal> {
        // SAFETY: no pointers; the descriptor is owned from here on.
        let descriptor = unsafe {
            let raw = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol);
            if raw < 0 {
                return Err(Refusal::last());
            }
            OwnedFd::from_raw_fd(raw)
        };
        let on: i32 = 1;
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
            // SAFETY: `on` outlives the call. Kernels without these options only say less.
            unsafe {
                libc::setsockopt(descriptor.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), 4);
            }
        }
        Ok(Self { descriptor })
    }

    pub(crate) fn route() -> Result<Self, Refusal> {
        Self::open(libc::NETLINK_ROUTE)
    }

    pub(crate) fn netfilter() -> Result<Self, Refusal> {
        Self::open(libc::NETLINK_NETFILTER)
    }

    /// Sends and returns the answers with data. The first refusal in the kernel's order is the result.
    pub(crate) fn transact(&self, messages: &Messages) -> Result<Vec<Answer>, Refusal> {
        self.send(messages)?;
        let (mut answers, mut acknowledged, mut refusal) = (Vec::new(), 0, None);
        let mut buffer = vec![0_u8; 32 * 1024];
        while let Some(length) = self.receive(&mut buffer, libc::MSG_DONTWAIT)? {
            for_each(&buffer[..length], |kind, number, payload| {
                if i32::from(kind) != libc::NLMSG_ERROR {
                    answers.push(Answer { payload: payload.to_vec() });
                    return;
                }
                match read_error(number, payload) {
                    None => acknowledged += 1,
                    Some(said) => refusal = refusal.take().or(Some(said)),
                }
            });
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None if acknowledged < messages.expected => Err(Refusal::from_errno(libc::EPROTO)),
            None => Ok(answers),
        }
    }

    /// Sends one dump request and returns all that comes.
    pub(crate) fn dump(&self, messages: &Messages) -> Result<Vec<Answer>, Refusal> {
        self.send(messages)?;
        let (mut answers, mut done, mut refusal) = (Vec::new(), false, None);
        let mut buffer = vec![0_u8; 64 * 1024];
        while !done {
            let Some(length) = self.receive(&mut buffer, 0)? else { continue };
            for_each(&buffer[..length], |kind, number, payload| match i32::from(kind) {
                libc::NLMSG_DONE => done = true,
                libc::NLMSG_ERROR => {
                    refusal = read_error(number, payload);
                    done = true;
                }
                _ => answers.push(Answer { payload: payload.to_vec() }),
            });
        }
        refusal.map_or(Ok(answers), Err)
    }

    fn send(&self, messages: &Messages) -> Result<(), Refusal> {
        // SAFETY: the buffer outlives the call.
        let sent = unsafe { libc::send(self.descriptor.as_raw_fd(), messages.bytes.as_ptr().cast(), messages.bytes.len(), 0) };
        if sent < 0 { Err(Refusal::last()) } else { Ok(()) }
    }

    fn receive(&self, buffer: &mut [u8], flags: i32) -> Result<Option<usize>, Refusal> {
        // SAFETY: the buffer outlives the call and its length is given.
        let length = unsafe { libc::recv(self.descriptor.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
        if length >= 0 {
            return Ok(Some(length as usize));
        }
        let refusal = Refusal::last();
        match refusal.errno {
            libc::EAGAIN => Ok(None),
            libc::EINTR => self.receive(buffer, flags),
            _ => Err(refusal),
        }
    }
}

/// Calls back with kind, number and payload of each whole message; what is cut is left out.
fn for_each(mut bytes: &[u8], mut each: impl FnMut(u16, u32, &[u8])) {
    while bytes.len() >= HEADER_BYTES {
        let length = read_u32(bytes, 0) as usize;
        if length < HEADER_BYTES || length > bytes.len() {
            return;
        }
        each(read_u16(bytes, 4), read_u32(bytes, 8), &bytes[HEADER_BYTES..length]);
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
}

fn read_error(number: u32, payload: &[u8]) -> Option<Refusal> {
    let code = payload.get(..4).map_or(-libc::EPROTO, |bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    if code == 0 {
        return None;
    }
    // After the code comes the header of the message it is about (its body is capped away), then attributes.
    let message = payload.get(20..).and_then(|rest| find(rest, 1)).map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
    Some(Refusal { errno: code.checked_neg().unwrap_or(libc::EPROTO), message, number })
}

/// The attributes in a run of bytes; ends at the first that does not fit.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.len() < 4 {
            return None;
        }
        let length = usize::from(read_u16(rest, 0));
        if length < 4 || length > rest.len() {
            return None;
        }
        let found = (read_u16(rest, 2) & 0x3fff, &rest[4..length]);
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        Some(found)
    })
}

pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, payload)| payload)
}

/// A text attribute without its closing zero.
pub(crate) fn find_text(bytes: &[u8], kind: u16) -> Option<String> {
    find(bytes, kind).map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_attributes_are_read_back() {
        let messages = Messages::one(7, ACKNOWLEDGE, |body| {
            body.raw(&[1, 2, 3, 4]);
            body.nest(9, |inside| {
                inside.put_text(1, "veth");
                inside.put_u32(2, 5);
            });
        });
        let mut seen = Vec::new();
        for_each(&messages.bytes, |kind, number, payload| seen.push((kind, number, payload.to_vec())));
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].0, seen[0].1), (7, 1));
        let inside = find(&seen[0].2[4..], 9).expect("nested");
        assert_eq!(find_text(inside, 1).as_deref(), Some("veth"));
        assert_eq!(find(inside, 2), Some(&5_u32.to_ne_bytes()[..]));
    }

    #[test]
    fn cut_and_lying_lengths_end_the_reading() {
        for bytes in [&[0_u8, 0][..], &[3, 0, 1, 0], &[200, 0, 1, 0, 9], &[4, 0, 1]] {
            assert_eq!(attributes(bytes).count(), 0);
        }
        let mut messages = 0;
        for_each(&[255; 40], |_, _, _| messages += 1);
        assert_eq!(messages, 0);
        assert_eq!(read_error(1, &[]).map(|refusal| refusal.errno), Some(libc::EPROTO));
    }
}
