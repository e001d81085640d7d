//! Networks of workloads, as the host must make them: bridges, veth pairs, taps, published ports, the firewall.
//!
//! Who calls what:
//!
//!     launcher     bridge_ensure · bridge_remove · ports_remove_for · sweep · probe_bridge · probe_nftables · probe_tun
//!     supervisor   raise_for_process (OCI runtimes)  or  raise_tap (machines); keeps the `Network` until the workload is gone
//!
//! `raise_for_process` moves the *calling thread* into a new network namespace and leaves it there: what the supervisor starts
//! afterwards inherits it, so that an OCI runtime gets no network namespace in its configuration (kind `host` likewise: nothing was
//! moved). Call it while the process has one thread. `raise_tap` moves nothing: the machine's end is the descriptor.
//!
//! Everything on the host carries the root's identity (six hexadecimal digits): table `ip bulkhead-ROOT`, bridges `bhROOT0…`,
//! veths `bvROOT#######`, taps `btROOT#######` (seven digits of the workload's id). Nothing else is ever touched, but for one
//! accept rule in foreign forward chains that would drop everything (see `coexist`), which carries the bridges' names as well.
//!
//! A veth is never deleted: it goes with the last reference to its namespace (explicitly it would cost 12–20 ms). A tap goes
//! with its descriptor. Port elements are removed by `Network::close` or `Drop`, or after a crash by `ports_remove_for`/`sweep`.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortSpec {
    pub protocol: Protocol,
    /// `0.0.0.0` is every address of the host, loopback included.
    pub host_address: Ipv4Addr,
    pub host_port: u16,
    pub workload_port: u16,
}

/// `bridgeEnsure` of `contract/launcher-protocol.ts`. `address` is the bridge's own, the gateway of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeWish {
    pub bridge: String,
    pub address: Ipv4Addr,
    pub prefix_length: u8,
    pub mtu: u32,
    pub masquerade: bool,
}

/// The fields of a `FailureDocument`; `code` is one of `contract/failure.ts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub what: String,
    pub remedy: Option<String>,
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

/// A raised network: holds the published ports. Dropping it gives them back.
#[derive(Debug)]
pub struct Network {
    _private: (),
}

impl Network {
    /// Gives the ports back: the firewall's elements first, then the host's sockets. At once and repeatable. Call it before
    /// waiters are answered; the interface itself goes with the namespace or the tap's descriptor.
    pub fn close(&mut self) {}

    /// Zero for kinds `none` and `host`. For a process it must be asked by a thread inside the workload's namespace.
    pub fn traffic(&self) -> Result<Traffic, Failure> {
        unimplemented!()
    }
}

/// For an OCI runtime. Binds every published port (a taken one fails ALREADY_EXISTS naming it), moves the calling thread into a new
/// network namespace with `lo` up, and for kind `bridge` joins it to the bridge. When it fails, nothing is left but the namespace.
pub fn raise_for_process(_spec: &NetworkSpec, _root_id: &str, _workload: &str) -> Result<Network, Failure> {
    unimplemented!()
}

/// For a machine: a tap (with virtio-net headers, no packet information) on the same bridge, owned by `uid`, and its descriptor.
/// The machine must use the address and mac of the spec itself. Kinds other than `bridge` fail INVALID_SPEC: give it no card.
pub fn raise_tap(_spec: &NetworkSpec, _root_id: &str, _workload: &str, _uid: u32) -> Result<(OwnedFd, Network), Failure> {
    unimplemented!()
}

/// Makes the bridge, its address, forwarding and the firewall's table, or finds them as they should be. Quick where all stands.
pub fn bridge_ensure(_root_id: &str, _wish: &BridgeWish) -> Result<(), Failure> {
    unimplemented!()
}

/// Removes the bridge, and the table and foreign accept rules with the last one. A missing bridge is no failure.
pub fn bridge_remove(_root_id: &str, _bridge: &str) -> Result<(), Failure> {
    unimplemented!()
}

/// Removes the port elements of a workload whose supervisor is gone. Idempotent.
pub fn ports_remove_for(_root_id: &str, _workload: &str) -> Result<(), Failure> {
    unimplemented!()
}

/// Removes veths and port elements of this root that belong to none of the workloads named, and tells their names.
pub fn sweep(_root_id: &str, _keep: &[&str]) -> Result<Vec<String>, Failure> {
    unimplemented!()
}

/// Each probe works in a child with a network namespace of its own and changes nothing.
pub fn probe_bridge() -> Probe {
    unimplemented!()
}
pub fn probe_nftables() -> Probe {
    unimplemented!()
}
pub fn probe_tun() -> Probe {
    unimplemented!()
}
