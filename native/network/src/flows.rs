//! UDP flows that the kernel remembers. A flow that began before a port was published, or while another workload had it, would go on as it began
//! for as long as its packets come; so publishing a UDP port, and giving it back, makes the kernel forget the flows to it.

use crate::netlink::{ACKNOWLEDGE, Body, DUMP, Messages, Socket, find};
use crate::nftables::{FAMILY_IP, header};
use crate::spec::{PortSpec, Protocol};

const CONNTRACK_GET: u16 = 1 << 8 | 1;
const CONNTRACK_DELETE: u16 = 1 << 8 | 2;
const TUPLE_ORIGINAL: u16 = 1;
const IDENTITY: u16 = 12;
const FILTER: u16 = 25;
const TUPLE_PROTO: u16 = 2;
const PROTO_NUMBER: u16 = 1;
const PROTO_DESTINATION_PORT: u16 = 3;
/// Protocol number and destination port, of `CTA_FILTER_FLAG`.
const FILTER_FLAGS: u32 = 1 << 3 | 1 << 5;

/// Makes the kernel forget the UDP flows to these ports of the host. For whoever has published some: called off the hot path, by the launcher.
pub fn forget_flows(ports: &[u16]) {
    if let Ok(socket) = Socket::netfilter() {
        forget_ports(&socket, ports.iter().copied());
    }
}

pub(crate) fn forget(socket: &Socket, ports: &[PortSpec]) {
    forget_ports(socket, ports.iter().filter(|port| port.protocol == Protocol::Udp).map(|port| port.host_port));
}

/// As far as it can: a host without conntrack's netlink has only the kernel's time limits. Walking the kernel's table costs about 4 ms on a
/// host with 262,144 buckets, however few flows there are.
fn forget_ports(socket: &Socket, ports: impl Iterator<Item = u16>) {
    for port in ports {
        // The kernel filters (from 5.8 on; earlier ones give every flow), and what it gives is checked again here.
        let request = Messages::one(CONNTRACK_GET, DUMP, |body| {
            header(body, FAMILY_IP, 0);
            body.nest(TUPLE_ORIGINAL, |tuple| put_protocol(tuple, port));
            body.nest(FILTER, |filter| filter.put_u32(1, FILTER_FLAGS));
        });
        for answer in socket.dump(&request).unwrap_or_default() {
            let Some(attributes) = answer.payload.get(4..) else { continue };
            let (Some(tuple), Some(identity)) = (find(attributes, TUPLE_ORIGINAL), find(attributes, IDENTITY)) else { continue };
            if goes_to(tuple, port) {
                let _ = socket.transact(&Messages::one(CONNTRACK_DELETE, ACKNOWLEDGE, |body| {
                    header(body, FAMILY_IP, 0);
                    body.nest(TUPLE_ORIGINAL, |inside| inside.raw(tuple));
                    body.put(IDENTITY, identity);
                }));
            }
        }
    }
}

fn put_protocol(tuple: &mut Body<'_>, port: u16) {
    tuple.nest(TUPLE_PROTO, |protocol| {
        protocol.put(PROTO_NUMBER, &[libc::IPPROTO_UDP as u8]);
        protocol.put(PROTO_DESTINATION_PORT, &port.to_be_bytes());
    });
}

fn goes_to(tuple: &[u8], port: u16) -> bool {
    let protocol = find(tuple, TUPLE_PROTO).unwrap_or(&[]);
    find(protocol, PROTO_NUMBER) == Some(&[libc::IPPROTO_UDP as u8]) && find(protocol, PROTO_DESTINATION_PORT) == Some(&port.to_be_bytes())
}
