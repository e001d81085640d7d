//! A raised network, and how it is raised: for a process by a namespace and a veth, for a machine by a tap.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

use crate::bridge::find_index;
use crate::elements;
use crate::failure::Failure;
use crate::link;
use crate::names;
use crate::netlink::{Messages, Refusal, Socket};
use crate::namespace;
use crate::reservation::reserve;
use crate::spec::{BridgeSpec, NetworkSpec, PortSpec, Traffic};
use crate::stations::{self, Station};
use crate::sysctl;
use crate::tap;
use crate::flows;

/// A raised network: holds the published ports and its place on the bridge. Dropping it gives them back.
#[derive(Debug)]
pub struct Network {
    root_id: String,
    interface: Option<Interface>,
    membership: Option<Membership>,
}

#[derive(Debug)]
struct Interface {
    name: String,
    /// A tap is seen from the host: what it receives is what the machine sent.
    mirrored: bool,
}

#[derive(Debug)]
struct Membership {
    /// Opened in the host's namespace, and so of use wherever the thread is now.
    netfilter: Socket,
    station: Station,
    ports: Vec<PortSpec>,
    /// The workload's id and address.
    workload: String,
    address: Ipv4Addr,
    /// Empty once they are given back.
    held: Vec<OwnedFd>,
}

impl Network {
    fn bare(root_id: &str) -> Self {
        Self { root_id: root_id.to_owned(), interface: None, membership: None }
    }

    /// Its name on the host, or in the workload's namespace; none for kinds `none` and `host`.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_ref().map(|interface| interface.name.as_str())
    }

    /// Gives the ports back: the firewall's elements first, then the host's sockets. At once and repeatable. Call it before
    /// waiters are answered, and drop the network after: what costs milliseconds (forgetting UDP flows, and closing a socket that
    /// has just changed the firewall, which waits for the kernel's RCU) is in the dropping. The interface itself goes with the
    /// namespace or the tap's descriptor.
    pub fn close(&mut self) -> Result<(), Failure> {
        let Some(member) = self.membership.as_mut().filter(|member| !member.held.is_empty()) else { return Ok(()) };
        elements::remove(&member.netfilter, &self.root_id, &member.ports)?;
        member.held.clear();
        Ok(())
    }

    /// Zero for kinds `none` and `host`. For a process it must be asked by a thread inside the workload's namespace.
    pub fn traffic(&self) -> Result<Traffic, Failure> {
        let Some(interface) = &self.interface else { return Ok(Traffic::default()) };
        let explain = |refusal: Refusal| Failure::refused("cannot read the traffic", &refusal);
        let counters = Socket::route().and_then(|socket| link::read_counters(&socket, &interface.name)).map_err(explain)?;
        let Some([received_packets, sent_packets, received_bytes, sent_bytes]) = counters else { return Ok(Traffic::default()) };
        let seen = Traffic { received_bytes, received_packets, sent_bytes, sent_packets };
        Ok(if interface.mirrored {
            Traffic { received_bytes: sent_bytes, received_packets: sent_packets, sent_bytes: received_bytes, sent_packets: received_packets }
        } else {
            seen
        })
    }

    /// Lets the member send, and sends its ports to it: last, when there is somebody to send to.
    fn admit(&mut self, interface: Interface, host_end: &str, spec: &BridgeSpec, workload: &str, (netfilter, held): Reserved) -> Result<(), Failure> {
        self.interface = Some(interface);
        let station = Station::new(host_end, spec.mac, spec.address);
        self.membership = Some(Membership { netfilter, station, ports: spec.ports.clone(), workload: workload.to_owned(), address: spec.address, held });
        self.tell()
    }

    /// Tells the firewall of the member and its ports once more, after another program took its tables away and `bridge_ensure` made them anew.
    pub fn republish(&mut self) -> Result<(), Failure> {
        self.tell()?;
        self.membership.as_ref().map_or(Ok(()), |member| stations::guard(&member.netfilter, &self.root_id, &member.station))
    }

    fn tell(&self) -> Result<(), Failure> {
        let Some(member) = self.membership.as_ref() else { return Ok(()) };
        stations::add(&member.netfilter, &self.root_id, &member.workload, &member.station)?;
        if member.held.is_empty() {
            return Ok(());
        }
        elements::add(&member.netfilter, &self.root_id, &member.workload, member.address, &member.ports)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // What cannot be removed now is removed by `ports_remove_for` or `sweep`.
        let _ = self.close();
        if let Some(member) = &self.membership {
            let _ = stations::remove(&member.netfilter, &self.root_id, &member.station);
            flows::forget(&member.netfilter, &member.ports);
        }
    }
}

/// For an OCI runtime. Binds every published port (a taken one fails ALREADY_EXISTS naming it), moves the calling thread into a new
/// network namespace with `lo` up, and for kind `bridge` joins it to the bridge. When it fails, nothing is left but the namespace.
pub fn raise_for_process(spec: &NetworkSpec, root_id: &str, workload: &str) -> Result<Network, Failure> {
    raise_within(spec, root_id, workload, None)
}

/// The same in a namespace that was made before: as part of a user namespace, whose root rules over it.
pub fn raise_within(spec: &NetworkSpec, root_id: &str, workload: &str, namespace: Option<OwnedFd>) -> Result<Network, Failure> {
    names::check_root(root_id)?;
    names::check_workload(workload)?;
    match spec {
        NetworkSpec::Host => Ok(Network::bare(root_id)),
        NetworkSpec::None => {
            namespace::enter(namespace)?;
            let inside = route_socket()?;
            inside.transact(&loopback_up()).map_err(|refusal| Failure::refused("cannot bring up the loopback", &refusal))?;
            Ok(Network::bare(root_id))
        }
        NetworkSpec::Bridge(spec) => raise_veth(spec, root_id, workload, namespace),
    }
}

/// For a machine: a tap (with virtio-net headers, no packet information) on the same bridge, owned by `uid`, and its descriptor.
/// The machine must use the address and mac of the spec itself. Kinds other than `bridge` fail INVALID_SPEC: give it no card.
pub fn raise_tap(spec: &NetworkSpec, root_id: &str, workload: &str, uid: u32) -> Result<(OwnedFd, Network), Failure> {
    names::check_workload(workload)?;
    let NetworkSpec::Bridge(spec) = spec else {
        return Err(Failure::new("INVALID_SPEC", "a tap is for the network kind bridge alone"));
    };
    names::check_bridge(root_id, &spec.bridge)?;
    let reserved = reserve_ports(spec)?;
    let host = route_socket()?;
    let bridge_index = find_index(&host, &spec.bridge)?;
    let (descriptor, name) = tap::open(names::interface_names("bt", root_id, workload), uid)?;
    sysctl::silence_ipv6(&name);
    let explain = |refusal: Refusal| explain_join(spec, &refusal);
    let index = link::find_by_name(&host, &name).map_err(explain)?.map_or(0, |link| link.index);
    link::enslave(&host, index, bridge_index, spec.mtu).map_err(explain)?;
    settle(spec, &host, &name)?;
    if !spec.ports.is_empty() {
        link::set_hairpin(&host, &name).map_err(explain)?;
    }
    let mut network = Network::bare(root_id);
    network.admit(Interface { name: name.clone(), mirrored: true }, &name, spec, workload, reserved)?;
    Ok((descriptor, network))
}

/// A tap that leads nowhere, with the abilities of `raise_tap`'s: what a machine that is only saved has for its card. Gone with its descriptor.
pub fn spare_tap(root_id: &str, workload: &str, uid: u32) -> Result<OwnedFd, Failure> {
    names::check_root(root_id)?;
    names::check_workload(workload)?;
    tap::open(names::interface_names("bt", root_id, workload), uid).map(|(descriptor, _)| descriptor)
}

fn raise_veth(spec: &BridgeSpec, root_id: &str, workload: &str, namespace: Option<OwnedFd>) -> Result<Network, Failure> {
    names::check_bridge(root_id, &spec.bridge)?;
    names::check_interface(&spec.interface_name)?;
    let reserved = reserve_ports(spec)?;
    let host = route_socket()?;
    let bridge_index = find_index(&host, &spec.bridge)?;
    let namespace = namespace::enter(namespace)?;
    sysctl::silence_ipv6("default");
    let name = add_veth(spec, root_id, workload, &host, bridge_index, &namespace)?;
    configure_inside(spec)?;
    settle(spec, &host, &name)?;
    if !spec.ports.is_empty() {
        link::set_hairpin(&host, &name).map_err(|refusal| explain_join(spec, &refusal))?;
    }
    let mut network = Network::bare(root_id);
    network.admit(Interface { name: spec.interface_name.clone(), mirrored: false }, &name, spec, workload, reserved)?;
    Ok(network)
}

/// The port first, then the bridge: one without an open port has no carrier either.
fn settle(spec: &BridgeSpec, host: &Socket, name: &str) -> Result<(), Failure> {
    let settled = link::settle(host, name).and_then(|()| link::settle(host, &spec.bridge));
    settled.map_err(|refusal| explain_join(spec, &refusal))
}

/// The pair, under the first name that is free; gives the name of the host's end.
fn add_veth(spec: &BridgeSpec, root_id: &str, workload: &str, host: &Socket, bridge_index: u32, namespace: &OwnedFd) -> Result<String, Failure> {
    let mut taken = Refusal::from_errno(libc::EEXIST);
    for name in names::interface_names("bv", root_id, workload) {
        let veth = link::Veth {
            name: &name,
            bridge_index,
            peer_name: &spec.interface_name,
            peer_mac: spec.mac,
            peer_namespace: namespace.as_fd(),
            mtu: spec.mtu,
        };
        match link::add_veth(host, &veth) {
            Ok(()) => return Ok(name),
            Err(refusal) if refusal.errno == libc::EEXIST => taken = refusal,
            Err(refusal) => return Err(explain_join(spec, &refusal)),
        }
    }
    Err(explain_join(spec, &taken))
}

/// Loopback, address and default route, in one message to the kernel.
fn configure_inside(spec: &BridgeSpec) -> Result<(), Failure> {
    let explain = |refusal: Refusal| Failure::refused(format!("cannot give the workload the address {}", spec.address), &refusal);
    let inside = route_socket()?;
    let index = link::find_by_name(&inside, &spec.interface_name).map_err(explain)?.map_or(0, |link| link.index);
    let mut messages = loopback_up();
    link::set_up(&mut messages, index);
    link::add_address(&mut messages, index, spec.address, spec.prefix_length);
    link::add_default_route(&mut messages, index, spec.gateway);
    inside.transact(&messages).map(drop).map_err(explain)
}

fn loopback_up() -> Messages {
    let mut messages = Messages::default();
    link::set_up(&mut messages, 1); // the loopback is the first interface of every namespace
    messages
}

/// The firewall's socket, and the sockets that hold the host's ports.
type Reserved = (Socket, Vec<OwnedFd>);

/// Takes the host's ports first, so that a taken one costs nothing.
fn reserve_ports(spec: &BridgeSpec) -> Result<Reserved, Failure> {
    let held = if spec.ports.is_empty() { Vec::new() } else { reserve(&spec.ports)? };
    let netfilter = Socket::netfilter().map_err(|refusal| Failure::refused("no netfilter socket", &refusal))?;
    Ok((netfilter, held))
}

fn route_socket() -> Result<Socket, Failure> {
    Socket::route().map_err(|refusal| Failure::refused("no netlink socket", &refusal))
}

fn explain_join(spec: &BridgeSpec, refusal: &Refusal) -> Failure {
    if refusal.errno == libc::EXFULL {
        return Failure::new("EXHAUSTED", format!("the bridge {} has its 1,023 members", spec.bridge)).with_remedy("remove a workload, or use another network");
    }
    Failure::refused(format!("cannot join the bridge {}", spec.bridge), refusal)
}
