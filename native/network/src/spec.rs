//! What a workload's network shall be: `contract/spec.ts` and `bridgeEnsure` of `contract/launcher-protocol.ts` in Rust.

use std::net::Ipv4Addr;

/// `contract/spec.ts`, `NetworkSpec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkSpec {
    None,
    Host,
    Bridge(BridgeSpec),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeSpec {
    pub bridge: String,
    pub interface_name: String,
    pub address: Ipv4Addr,
    pub prefix_length: u8,
    pub gateway: Ipv4Addr,
    pub mac: [u8; 6],
    pub mtu: u32,
    pub ports: Vec<PortSpec>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Tcp => libc::IPPROTO_TCP as u8,
            Self::Udp => libc::IPPROTO_UDP as u8,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortSpec {
    pub protocol: Protocol,
    /// `0.0.0.0` is every address of the host, loopback included.
    pub host_address: Ipv4Addr,
    pub host_port: u16,
    pub workload_port: u16,
}

impl std::fmt::Display for PortSpec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(formatter, "{}:{}/{protocol}", self.host_address, self.host_port)
    }
}

/// `address` is the bridge's own, the gateway of its members. Bridges of one network are called `bhROOTn`, `bhROOTn-1`, `bhROOTn-2`, …
/// and their members reach each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeWish {
    pub bridge: String,
    pub address: Ipv4Addr,
    pub prefix_length: u8,
    pub mtu: u32,
    pub masquerade: bool,
    /// Whether its members reach clouds' metadata services. Names are asked for there in any case: some clouds have their resolver at the same address.
    pub metadata: bool,
    /// The root's directory, which the bridge's alias shows: whose it is can then be told when nobody is left to ask.
    pub owner: String,
}

/// Bytes and packets as the workload sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub received_bytes: u64,
    pub received_packets: u64,
    pub sent_bytes: u64,
    pub sent_packets: u64,
}

/// Answer of a probe: what was done and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub works: bool,
    pub detail: String,
}
