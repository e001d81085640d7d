//! Interfaces, addresses and routes over rtnetlink.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::netlink::{ACKNOWLEDGE, Answer, Body, CREATE, DUMP, EXCLUSIVE, Messages, Refusal, Socket, attributes, find, find_text};

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_STATS64: u16 = 23;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_PROTINFO: u16 = 12;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_EXT_MASK: u16 = 29;
/// Counters are most of a link's description, and summed over processors.
const SKIP_STATISTICS: u32 = 1 << 3;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_STP_STATE: u16 = 5;
/// `struct br_boolopt_multi`: values, then which of them are meant.
const IFLA_BR_MULTI_BOOLOPT: u16 = 46;
/// `BR_BOOLOPT_NO_LL_LEARN`: from frames to link-local destinations no address is learnt. They go to the host itself, past the guard of who
/// may send with which address, and would move a neighbour's address to their sender's port.
const NO_LINK_LOCAL_LEARNING: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const UP: u32 = libc::IFF_UP as u32;

/// A link as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) master: Option<u32>,
    pub(crate) up: bool,
    pub(crate) mtu: u32,
    /// What somebody wrote beside it for other people to read: on our bridges the root's directory.
    pub(crate) alias: Option<String>,
}

pub(crate) struct Veth<'a> {
    pub(crate) name: &'a str,
    pub(crate) bridge_index: u32,
    pub(crate) peer_name: &'a str,
    pub(crate) peer_mac: [u8; 6],
    pub(crate) peer_namespace: BorrowedFd<'a>,
    pub(crate) mtu: u32,
}

/// The whole pair in one message: one end up and on the bridge, the other named and in its namespace. That one cannot come up in the
/// same message: the kernel opens it before it knows its other end.
pub(crate) fn add_veth(host: &Socket, veth: &Veth<'_>) -> Result<(), Refusal> {
    let messages = Messages::one(libc::RTM_NEWLINK, ACKNOWLEDGE | CREATE | EXCLUSIVE, |body| {
        link_header(body, 0, UP);
        body.put_text(IFLA_IFNAME, veth.name);
        body.put_u32(IFLA_MTU, veth.mtu);
        body.put_u32(IFLA_MASTER, veth.bridge_index);
        body.nest(IFLA_LINKINFO, |info| {
            info.put_text(IFLA_INFO_KIND, "veth");
            info.nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    link_header(peer, 0, 0);
                    peer.put_text(IFLA_IFNAME, veth.peer_name);
                    peer.put(IFLA_ADDRESS, &veth.peer_mac);
                    peer.put_u32(IFLA_MTU, veth.mtu);
                    peer.put_u32(IFLA_NET_NS_FD, veth.peer_namespace.as_raw_fd() as u32);
                });
            });
        });
    });
    host.transact(&messages).map(drop)
}

/// A bridge without spanning tree, so that its ports forward at once, and with an address of its own: else it would change with its ports.
pub(crate) fn add_bridge(host: &Socket, name: &str, mac: [u8; 6], mtu: u32) -> Result<(), Refusal> {
    let messages = Messages::one(libc::RTM_NEWLINK, ACKNOWLEDGE | CREATE | EXCLUSIVE, |body| {
        link_header(body, 0, 0);
        body.put_text(IFLA_IFNAME, name);
        body.put(IFLA_ADDRESS, &mac);
        body.put_u32(IFLA_MTU, mtu);
        body.nest(IFLA_LINKINFO, |info| {
            info.put_text(IFLA_INFO_KIND, "bridge");
            info.nest(IFLA_INFO_DATA, |data| {
                data.put_u32(IFLA_BR_FORWARD_DELAY, 0);
                data.put_u32(IFLA_BR_STP_STATE, 0);
                data.put(IFLA_BR_MULTI_BOOLOPT, &boolean_options(NO_LINK_LOCAL_LEARNING));
            });
        });
    });
    host.transact(&messages).map(drop)
}

fn boolean_options(on: u32) -> [u8; 8] {
    let [a, b, c, d] = on.to_ne_bytes();
    [a, b, c, d, a, b, c, d]
}

/// For a bridge that stands since before it was made so. Linux 5.0; an earlier one does not know the option, and passes it over.
pub(crate) fn stop_link_local_learning(host: &Socket, index: u32) -> Result<(), Refusal> {
    let messages = Messages::one(libc::RTM_NEWLINK, ACKNOWLEDGE, |body| {
        link_header(body, index, 0);
        body.nest(IFLA_LINKINFO, |info| {
            info.put_text(IFLA_INFO_KIND, "bridge");
            info.nest(IFLA_INFO_DATA, |data| data.put(IFLA_BR_MULTI_BOOLOPT, &boolean_options(NO_LINK_LOCAL_LEARNING)));
        });
    });
    host.transact(&messages).map(drop)
}

pub(crate) fn set_up(messages: &mut Messages, index: u32) {
    messages.add(libc::RTM_NEWLINK, ACKNOWLEDGE, |body| link_header(body, index, UP));
}

/// Up, with its size, and on a bridge, in one message.
pub(crate) fn enslave(host: &Socket, index: u32, bridge_index: u32, mtu: u32) -> Result<(), Refusal> {
    let messages = Messages::one(libc::RTM_NEWLINK, ACKNOWLEDGE, |body| {
        link_header(body, index, UP);
        body.put_u32(IFLA_MTU, mtu);
        body.put_u32(IFLA_MASTER, bridge_index);
    });
    host.transact(&messages).map(drop)
}

/// Waits until an interface's carrier is believed everywhere. The kernel tells itself of a new carrier by a work of its own, before which packets
/// to the interface are lost and its bridge keeps the port closed: the first packet lost costs a workload a whole second. To ask for the
/// link makes the kernel do that work at once (Linux 6.8, 6.6.7, 6.1.68; earlier ones do it when they come to it).
pub(crate) fn settle(host: &Socket, name: &str) -> Result<(), Refusal> {
    find_by_name(host, name).map(drop)
}

/// Lets a bridge send a frame back to where it came from. A workload that calls its own published port needs it where br_netfilter makes the
/// firewall see bridged frames: the call is then turned round below the host's routing.
pub(crate) fn set_hairpin(host: &Socket, name: &str) -> Result<(), Refusal> {
    let Some(link) = find_by_name(host, name)? else { return Err(Refusal::from_errno(libc::ENODEV)) };
    let messages = Messages::one(libc::RTM_SETLINK, ACKNOWLEDGE, |body| {
        let mut header = [0_u8; 16];
        header[0] = libc::AF_BRIDGE as u8;
        header[4..8].copy_from_slice(&link.index.to_ne_bytes());
        body.raw(&header);
        body.nest(IFLA_PROTINFO, |port| port.put(IFLA_BRPORT_MODE, &[1]));
    });
    host.transact(&messages).map(drop)
}

pub(crate) fn set_mtu(messages: &mut Messages, index: u32, mtu: u32) {
    messages.add(libc::RTM_NEWLINK, ACKNOWLEDGE, |body| {
        link_header(body, index, 0);
        body.put_u32(IFLA_MTU, mtu);
    });
}

pub(crate) fn set_alias(messages: &mut Messages, index: u32, alias: &str) {
    messages.add(libc::RTM_NEWLINK, ACKNOWLEDGE, |body| {
        link_header(body, index, 0);
        body.put(IFLA_IFALIAS, alias.as_bytes());
    });
}

pub(crate) fn delete(host: &Socket, index: u32) -> Result<(), Refusal> {
    host.transact(&Messages::one(libc::RTM_DELLINK, ACKNOWLEDGE, |body| link_header(body, index, 0))).map(drop)
}

pub(crate) fn add_address(messages: &mut Messages, index: u32, address: Ipv4Addr, prefix_length: u8) {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix_length)).unwrap_or(0);
    let broadcast = Ipv4Addr::from(u32::from(address) | !mask);
    messages.add(libc::RTM_NEWADDR, ACKNOWLEDGE | CREATE | EXCLUSIVE, |body| {
        address_header(body, index, prefix_length);
        body.put(IFA_LOCAL, &address.octets());
        body.put(IFA_ADDRESS, &address.octets());
        body.put(IFA_BROADCAST, &broadcast.octets());
    });
}

pub(crate) fn delete_address(messages: &mut Messages, index: u32, address: Ipv4Addr, prefix_length: u8) {
    messages.add(libc::RTM_DELADDR, ACKNOWLEDGE, |body| {
        address_header(body, index, prefix_length);
        body.put(IFA_LOCAL, &address.octets());
    });
}

pub(crate) fn add_default_route(messages: &mut Messages, index: u32, gateway: Ipv4Addr) {
    messages.add(libc::RTM_NEWROUTE, ACKNOWLEDGE | CREATE | EXCLUSIVE, |body| {
        // Family, destination and source lengths 0, tos, main table, protocol boot, scope universe, unicast, no flags.
        body.raw(&[libc::AF_INET as u8, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]);
        body.put(RTA_GATEWAY, &gateway.octets());
        body.put_u32(RTA_OIF, index);
    });
}

/// Every link of the socket's namespace.
pub(crate) fn list(socket: &Socket) -> Result<Vec<Link>, Refusal> {
    let answers = socket.dump(&Messages::one(libc::RTM_GETLINK, DUMP, |body| link_header(body, 0, 0)))?;
    Ok(answers.iter().filter_map(read_link).collect())
}

pub(crate) fn find_by_name(socket: &Socket, name: &str) -> Result<Option<Link>, Refusal> {
    match socket.transact(&by_name(name, SKIP_STATISTICS)) {
        Ok(answers) => Ok(answers.iter().find_map(read_link)),
        Err(refusal) if refusal.errno == libc::ENODEV => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Packets and bytes: received, sent, as the interface's own side counts.
pub(crate) fn read_counters(socket: &Socket, name: &str) -> Result<Option<[u64; 4]>, Refusal> {
    let answers = match socket.transact(&by_name(name, 0)) {
        Err(refusal) if refusal.errno == libc::ENODEV => return Ok(None),
        other => other?,
    };
    let counters = answers.iter().find_map(|answer| find(answer.payload.get(16..)?, IFLA_STATS64)).filter(|bytes| bytes.len() >= 32);
    let number = |bytes: &[u8], at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
    Ok(counters.map(|bytes| [number(bytes, 0), number(bytes, 8), number(bytes, 16), number(bytes, 24)]))
}

/// IPv4 addresses of an interface with their prefix lengths.
pub(crate) fn addresses(socket: &Socket, index: u32) -> Result<Vec<(Ipv4Addr, u8)>, Refusal> {
    let answers = socket.dump(&Messages::one(libc::RTM_GETADDR, DUMP, |body| address_header(body, 0, 0)))?;
    let read = |answer: &Answer| {
        let header = answer.payload.get(..8)?;
        let ours = u32::from_ne_bytes(header[4..8].try_into().ok()?) == index && i32::from(header[0]) == libc::AF_INET;
        let octets: [u8; 4] = find(&answer.payload[8..], IFA_LOCAL)?.try_into().ok()?;
        ours.then_some((Ipv4Addr::from(octets), header[1]))
    };
    Ok(answers.iter().filter_map(read).collect())
}

fn by_name(name: &str, filter: u32) -> Messages {
    Messages::one(libc::RTM_GETLINK, 0, |body| {
        link_header(body, 0, 0);
        body.put_text(IFLA_IFNAME, name);
        body.put_u32(IFLA_EXT_MASK, filter);
    })
}

fn read_link(answer: &Answer) -> Option<Link> {
    let (header, rest) = (answer.payload.get(..16)?, &answer.payload[16..]);
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_ne_bytes);
    Some(Link {
        index: number(&header[4..8])?,
        up: number(&header[8..12])? & UP != 0,
        name: find_text(rest, IFLA_IFNAME)?,
        master: attributes(rest).find(|(kind, _)| *kind == IFLA_MASTER).and_then(|(_, value)| number(value)),
        mtu: find(rest, IFLA_MTU).and_then(number).unwrap_or(0),
        alias: find_text(rest, IFLA_IFALIAS),
    })
}

/// `struct ifinfomsg`: of the flags, only those named change.
fn link_header(body: &mut Body<'_>, index: u32, flags: u32) {
    let mut header = [0_u8; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    body.raw(&header);
}

/// `struct ifaddrmsg`.
fn address_header(body: &mut Body<'_>, index: u32, prefix_length: u8) {
    let mut header = [libc::AF_INET as u8, prefix_length, 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    body.raw(&header);
}
