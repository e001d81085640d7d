//! What this host can do, found by doing it: each probe in a thread with network namespaces of its own, which are gone with it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::bridge::bridge_ensure;
use crate::elements;
use crate::failure::Failure;
use crate::namespace;
use crate::netlink::Socket;
use crate::network::{raise_for_process, raise_tap};
use crate::spec::{BridgeSpec, BridgeWish, NetworkSpec, PortSpec, Probe, Protocol};
use crate::table;

const ROOT: &str = "0b0be0";
const BRIDGE: &str = "bh0b0be00";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const MEMBER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// A bridge with its firewall, a workload's namespace joined to it, and a connection between the two.
pub fn probe_bridge() -> Probe {
    apart(|| {
        make_bridge()?;
        let listener = TcpListener::bind((GATEWAY, 0)).map_err(|error| Failure::new("UNAVAILABLE", format!("cannot listen on a bridge: {error}")))?;
        let address = listener.local_addr().map_err(|error| Failure::new("UNAVAILABLE", error.to_string()))?;
        let _network = raise_for_process(&member(Vec::new()), ROOT, &"0".repeat(64))?;
        TcpStream::connect_timeout(&SocketAddr::from((GATEWAY, address.port())), Duration::from_secs(3))
            .map_err(|error| Failure::new("UNAVAILABLE", format!("a namespace joined to a bridge cannot reach the host: {error}")))?;
        Ok("a namespace was joined to a bridge and reached the host through it".to_owned())
    })
}

/// The table as workloads need it, and a port element added and removed by netlink.
pub fn probe_nftables() -> Probe {
    apart(|| {
        namespace::enter_new()?;
        table::run_nft(&table::text(ROOT))?;
        let socket = Socket::netfilter().map_err(|refusal| Failure::refused("no netfilter socket", &refusal))?;
        let ports = [PortSpec { protocol: Protocol::Tcp, host_address: Ipv4Addr::UNSPECIFIED, host_port: 80, workload_port: 80 }];
        elements::add(&socket, ROOT, &"0".repeat(64), MEMBER, &ports)?;
        elements::remove(&socket, ROOT, &ports)?;
        Ok("the firewall's table was made, and a published port added and removed".to_owned())
    })
}

/// A tap on a bridge.
pub fn probe_tun() -> Probe {
    apart(|| {
        make_bridge()?;
        raise_tap(&member(Vec::new()), ROOT, &"0".repeat(64), 65534)?;
        Ok("a tap was made and joined to a bridge".to_owned())
    })
}

fn make_bridge() -> Result<(), Failure> {
    namespace::enter_new()?;
    bridge_ensure(ROOT, &BridgeWish { bridge: BRIDGE.to_owned(), address: GATEWAY, prefix_length: 24, mtu: 1500, masquerade: true, metadata: false, owner: String::new() }).map(drop)
}

fn member(ports: Vec<PortSpec>) -> NetworkSpec {
    NetworkSpec::Bridge(BridgeSpec {
        bridge: BRIDGE.to_owned(),
        interface_name: "eth0".to_owned(),
        address: MEMBER,
        prefix_length: 24,
        gateway: GATEWAY,
        mac: [2, 0x42, 198, 18, 0, 2],
        mtu: 1500,
        ports,
    })
}

fn apart(work: impl FnOnce() -> Result<String, Failure> + Send + 'static) -> Probe {
    match std::thread::spawn(work).join() {
        Ok(Ok(detail)) => Probe { works: true, detail },
        Ok(Err(failure)) => Probe { works: false, detail: failure.remedy.map_or(failure.what.clone(), |remedy| format!("{}; {remedy}", failure.what)) },
        Err(_) => Probe { works: false, detail: "the probe itself broke".to_owned() },
    }
}
