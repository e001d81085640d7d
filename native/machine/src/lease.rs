//! The address of a machine that nobody can tell one from inside: DHCP (RFC 2131, options of RFC 2132), answered beside the machine's own port.
//!
//! One client, one address, for ever. What the guest asks is read where its frames leave its card, before the bridge's guard (which lets nobody
//! send without an address, so that no question reaches another workload or a server of the host's), and answered to that port alone.

use bulkhead_network::BridgeSpec;
use bulkhead_wire::plan::LeaseNames;
use bulkhead_wire::{Code, Failure};
use std::ffi::CString;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;
const BOOTP: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Clients of the old kind take no shorter one.
const LEAST_ANSWER: usize = 300;
const LONGEST_FRAME: usize = 2048;
/// A guest that asks without end gets its turns, not all of them.
const MOST_FRAMES: usize = 16;
const MOST_SERVERS: usize = 8;
const REQUEST_OP: u8 = 1;
const REPLY_OP: u8 = 2;
const FOR_EVER: [u8; 4] = [0xff; 4];

/// `op` option 53.
mod kind {
    pub const DISCOVER: u8 = 1;
    pub const OFFER: u8 = 2;
    pub const REQUEST: u8 = 3;
    pub const ACK: u8 = 5;
    pub const NAK: u8 = 6;
    pub const INFORM: u8 = 8;
}

/// What the one client is told.
pub struct Lease {
    mac: [u8; 6],
    address: Ipv4Addr,
    prefix_length: u8,
    gateway: Ipv4Addr,
    mtu: u16,
    hostname: String,
    servers: Vec<Ipv4Addr>,
}

impl Lease {
    pub fn new(network: &BridgeSpec, names: &LeaseNames) -> Result<Lease, Failure> {
        let wrong = |text: &String| Failure::new(Code::InvalidSpec, format!("{} is no address of a name server", bulkhead_wire::failure::quote(text)));
        let servers = names.servers.iter().take(MOST_SERVERS).map(|text| text.parse().map_err(|_| wrong(text))).collect::<Result<_, _>>()?;
        Ok(Lease {
            mac: network.mac,
            address: network.address,
            prefix_length: network.prefix_length,
            gateway: network.gateway,
            mtu: network.mtu.try_into().unwrap_or(u16::MAX),
            hostname: names.hostname.chars().take(63).collect(),
            servers,
        })
    }

    /// The frame that answers this one; None for what is no question of the client's to us.
    fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let question = Question::read(frame)?;
        if question.mac != self.mac || question.server.is_some_and(|server| server != self.gateway) {
            return None;
        }
        let (kind, address) = match question.kind {
            kind::DISCOVER => (kind::OFFER, self.address),
            kind::REQUEST if question.wanted.or(question.client).is_none_or(|wanted| wanted == self.address) => (kind::ACK, self.address),
            kind::REQUEST => (kind::NAK, Ipv4Addr::UNSPECIFIED),
            kind::INFORM => (kind::ACK, Ipv4Addr::UNSPECIFIED),
            _ => return None,
        };
        let mut options = COOKIE.to_vec();
        let mut put = |code: u8, value: &[u8]| {
            options.extend([code, value.len() as u8]);
            options.extend_from_slice(value);
        };
        put(53, &[kind]);
        put(54, &self.gateway.octets());
        if kind != kind::NAK {
            if question.kind != kind::INFORM {
                put(51, &FOR_EVER);
            }
            put(1, &u32::MAX.checked_shl(32 - u32::from(self.prefix_length)).unwrap_or(0).to_be_bytes());
            put(3, &self.gateway.octets());
            if !self.servers.is_empty() {
                put(6, &self.servers.iter().flat_map(Ipv4Addr::octets).collect::<Vec<_>>());
            }
            if !self.hostname.is_empty() {
                put(12, self.hostname.as_bytes());
            }
            put(26, &self.mtu.to_be_bytes());
        }
        options.push(255);
        Some(self.frame(&question, address, &options))
    }

    fn frame(&self, question: &Question, address: Ipv4Addr, options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; BOOTP];
        message[..4].copy_from_slice(&[REPLY_OP, 1, 6, 0]);
        message[4..8].copy_from_slice(&question.transaction);
        message[10..12].copy_from_slice(&question.flags);
        message[12..16].copy_from_slice(&question.client.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        message[16..20].copy_from_slice(&address.octets());
        message[28..34].copy_from_slice(&self.mac);
        message.extend_from_slice(options);
        message.resize(message.len().max(LEAST_ANSWER), 0);
        // Who says so, and who has no address yet, is told by broadcast.
        let broadcast = question.flags[0] & 0x80 != 0 || address.is_unspecified() && question.client.is_none();
        let to = if broadcast { Ipv4Addr::BROADCAST } else { question.client.unwrap_or(address) };
        let [_, b, c, d] = self.gateway.octets();
        let mut frame = if broadcast { vec![0xff; 6] } else { self.mac.to_vec() };
        frame.extend([0x02, 0x62, 0x68, b, c, d, 0x08, 0x00]);
        frame.extend_from_slice(&ip_header(self.gateway, to, UDP + message.len()));
        frame.extend([67u16, 68, (UDP + message.len()) as u16, 0].into_iter().flat_map(u16::to_be_bytes));
        frame.extend_from_slice(&message);
        frame
    }
}

fn ip_header(from: Ipv4Addr, to: Ipv4Addr, length: usize) -> [u8; IP] {
    let mut header = [0u8; IP];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&((IP + length) as u16).to_be_bytes());
    header[8] = 64;
    header[9] = libc::IPPROTO_UDP as u8;
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!(((folded & 0xffff) + (folded >> 16)) as u16)).to_be_bytes());
    header
}

struct Question {
    kind: u8,
    transaction: [u8; 4],
    flags: [u8; 2],
    mac: [u8; 6],
    /// The address that it says it has.
    client: Option<Ipv4Addr>,
    wanted: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

impl Question {
    /// A guest's bytes: every length is looked at.
    fn read(frame: &[u8]) -> Option<Question> {
        let ip = frame.get(ETHERNET..).filter(|_| frame[12..14] == [0x08, 0x00])?;
        let ip_length = usize::from(ip.first()? & 0x0f) * 4;
        let whole = ip.first()? >> 4 == 4 && ip_length >= IP && *ip.get(9)? == libc::IPPROTO_UDP as u8;
        // Nothing but the first fragment begins with ports, and no question is so long.
        let unbroken = u16::from_be_bytes([*ip.get(6)?, *ip.get(7)?]) & 0x3fff == 0;
        let udp = ip.get(ip_length..).filter(|_| whole && unbroken)?;
        let message = udp.get(UDP..).filter(|_| udp[2..4] == 67u16.to_be_bytes())?;
        let options = message.get(BOOTP..)?.strip_prefix(&COOKIE)?;
        if message[..3] != [REQUEST_OP, 1, 6] {
            return None;
        }
        let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from).filter(|address| !address.is_unspecified());
        Some(Question {
            kind: *option(options, 53)?.first()?,
            transaction: message[4..8].try_into().ok()?,
            flags: message[10..12].try_into().ok()?,
            mac: message[28..34].try_into().ok()?,
            client: address(&message[12..16]),
            wanted: option(options, 50).and_then(address),
            server: option(options, 54).and_then(address),
        })
    }
}

fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match options {
            [255, ..] | [] => return None,
            [0, rest @ ..] => options = rest,
            [code, length, rest @ ..] => {
                let value = rest.get(..usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                options = &rest[value.len()..];
            }
            _ => return None,
        }
    }
}

/// The port of a machine, heard beside the bridge.
pub struct Desk {
    socket: OwnedFd,
    lease: Lease,
}

impl Desk {
    pub fn open(interface: &str, lease: Lease) -> Result<Desk, Failure> {
        let failed = |what: &'static str| move || Failure::system(what);
        let descriptor = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
        if descriptor < 0 {
            return Err(failed("hear the machine's port")());
        }
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let name = CString::new(interface).map_err(|_| Failure::new(Code::Internal, "the machine's port has no name"))?;
        let number = unsafe { libc::if_nametoindex(name.as_ptr()) };
        let mut place: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        place.sll_family = libc::AF_PACKET as u16;
        // All protocols: only those hear a port of a bridge before the bridge takes its frames. Filtered before a frame can come.
        place.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        place.sll_ifindex = number as i32;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        let bound = number != 0 && only_questions(descriptor) && unsafe { libc::bind(descriptor, (&raw const place).cast(), length) } == 0;
        if bound { Ok(Desk { socket, lease }) } else { Err(failed("hear the machine's port")()) }
    }

    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Answers what was asked since.
    pub fn serve(&self) {
        let mut frame = [0u8; LONGEST_FRAME];
        for _ in 0..MOST_FRAMES {
            let count = unsafe { libc::recv(self.descriptor(), frame.as_mut_ptr().cast(), frame.len(), 0) };
            let Ok(count) = usize::try_from(count) else { return };
            if let Some(answer) = self.lease.answer(&frame[..count.min(LONGEST_FRAME)]) {
                // A port that takes nothing now is asked again by its guest.
                unsafe { libc::send(self.descriptor(), answer.as_ptr().cast(), answer.len(), libc::MSG_NOSIGNAL) };
            }
        }
    }
}

/// IPv4 without options or fragments, UDP, to port 67: everything else never reaches this process.
fn only_questions(descriptor: RawFd) -> bool {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const EQUALS: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(LOAD_HALF, 0, 0, 12),
        step(EQUALS, 0, 7, 0x0800),
        step(LOAD_BYTE, 0, 0, 14),
        step(EQUALS, 0, 5, 0x45),
        step(LOAD_BYTE, 0, 0, 23),
        step(EQUALS, 0, 3, libc::IPPROTO_UDP as u32),
        step(LOAD_HALF, 0, 0, 36),
        step(EQUALS, 0, 1, 67),
        step(RETURN, 0, 0, LONGEST_FRAME as u32),
        step(RETURN, 0, 0, 0),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    let length = size_of::<libc::sock_fprog>() as libc::socklen_t;
    unsafe { libc::setsockopt(descriptor, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const program).cast(), length) == 0 }
}

#[cfg(test)]
#[path = "lease_test.rs"]
mod tests;
