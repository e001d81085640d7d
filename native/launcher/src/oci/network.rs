//! The plan's network in the network crate's own words, raised and given back.

use bulkhead_network as network;
use bulkhead_wire::plan::{NetworkSpec, PortSpec};
use bulkhead_wire::{Code, Failure};

/// Moves this process into the workload's network: what it starts from now on inherits it.
pub fn enter(spec: &NetworkSpec, root_id: &str, workload: &str) -> Result<network::Network, Failure> {
    network::raise_for_process(&translate(spec)?, root_id, workload).map_err(crate::foreign::of_network)
}

fn translate(spec: &NetworkSpec) -> Result<network::NetworkSpec, Failure> {
    let NetworkSpec::Bridge { bridge, interface_name, address, prefix_length, gateway, mac, mtu, ports } = spec else {
        return Ok(if matches!(spec, NetworkSpec::Host) { network::NetworkSpec::Host } else { network::NetworkSpec::None });
    };
    Ok(network::NetworkSpec::Bridge(network::BridgeSpec {
        bridge: bridge.clone(),
        interface_name: interface_name.clone(),
        address: address.parse().map_err(|_| wrong("address"))?,
        prefix_length: *prefix_length,
        gateway: gateway.parse().map_err(|_| wrong("gateway"))?,
        mac: read_mac(mac).ok_or_else(|| wrong("mac"))?,
        mtu: *mtu,
        ports: ports.iter().map(translate_port).collect::<Result<_, Failure>>()?,
    }))
}

fn translate_port(port: &PortSpec) -> Result<network::PortSpec, Failure> {
    let protocol = match port.protocol.as_str() {
        "tcp" => network::Protocol::Tcp,
        "udp" => network::Protocol::Udp,
        _ => return Err(wrong("protocol")),
    };
    let host_address = port.host_address.parse().map_err(|_| wrong("host address"))?;
    Ok(network::PortSpec { protocol, host_address, host_port: port.host_port, workload_port: port.workload_port })
}

fn read_mac(text: &str) -> Option<[u8; 6]> {
    let parts: Vec<u8> = text.split(':').map(|part| u8::from_str_radix(part, 16)).collect::<Result<_, _>>().ok()?;
    parts.try_into().ok()
}

fn wrong(what: &str) -> Failure {
    Failure::new(Code::InvalidSpec, format!("the network's {what} is wrong"))
}
