//! A launch plan's network in this crate's words: parsed and checked. And this crate's failures in the wire's.

use crate::failure::Failure;
use crate::spec::{BridgeSpec, NetworkSpec, PortSpec, Protocol};
use bulkhead_wire::{Code, plan};

impl TryFrom<&plan::NetworkSpec> for NetworkSpec {
    type Error = Failure;

    fn try_from(spec: &plan::NetworkSpec) -> Result<NetworkSpec, Failure> {
        let plan::NetworkSpec::Bridge { bridge, interface_name, address, prefix_length, gateway, mac, mtu, ports } = spec else {
            return Ok(if matches!(spec, plan::NetworkSpec::Host) { NetworkSpec::Host } else { NetworkSpec::None });
        };
        Ok(NetworkSpec::Bridge(BridgeSpec {
            bridge: bridge.clone(),
            interface_name: interface_name.clone(),
            address: address.parse().map_err(|_| wrong("address"))?,
            prefix_length: *prefix_length,
            gateway: gateway.parse().map_err(|_| wrong("gateway"))?,
            mac: read_mac(mac).ok_or_else(|| wrong("mac"))?,
            mtu: *mtu,
            ports: ports.iter().map(read_port).collect::<Result<_, Failure>>()?,
        }))
    }
}

fn read_port(port: &plan::PortSpec) -> Result<PortSpec, Failure> {
    let protocol = match port.protocol.as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return Err(wrong("protocol")),
    };
    let host_address = port.host_address.parse().map_err(|_| wrong("host address"))?;
    Ok(PortSpec { protocol, host_address, host_port: port.host_port, workload_port: port.workload_port })
}

fn read_mac(text: &str) -> Option<[u8; 6]> {
    let parts: Vec<u8> = text.split(':').map(|part| u8::from_str_radix(part, 16)).collect::<Result<_, _>>().ok()?;
    parts.try_into().ok()
}

fn wrong(what: &str) -> Failure {
    Failure::new("INVALID_SPEC", format!("the network's {what} is wrong"))
}

impl From<Failure> for bulkhead_wire::Failure {
    fn from(failure: Failure) -> Self {
        let code = serde_json::from_value(failure.code.into()).unwrap_or(Code::Internal);
        bulkhead_wire::Failure { remedy: failure.remedy, ..bulkhead_wire::Failure::new(code, failure.what) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(change: impl FnOnce(&mut serde_json::Value)) -> Result<NetworkSpec, Failure> {
        let mut spec = json!({"kind": "bridge", "bridge": "bhabc1230", "interfaceName": "eth0", "address": "172.20.0.2", "prefixLength": 16,
            "gateway": "172.20.0.1", "mac": "02:42:ac:14:00:02", "mtu": 1500,
            "ports": [{"protocol": "udp", "hostAddress": "0.0.0.0", "hostPort": 53, "workloadPort": 5353}]});
        change(&mut spec);
        NetworkSpec::try_from(&serde_json::from_value::<plan::NetworkSpec>(spec).expect("a plan's network"))
    }

    #[test]
    fn a_plan_is_read_and_what_makes_no_sense_is_refused() {
        let Ok(NetworkSpec::Bridge(spec)) = read(|_| {}) else { panic!("it is sound") };
        assert_eq!((spec.mac, spec.ports[0].protocol), ([2, 0x42, 0xac, 0x14, 0, 2], Protocol::Udp));
        for (field, bad) in [("address", "172.20.0"), ("gateway", ""), ("mac", "02:42:ac:14:00"), ("mac", "02:42:ac:14:00:0g")] {
            let failure = bulkhead_wire::Failure::from(read(|spec| spec[field] = bad.into()).expect_err(field));
            assert_eq!(failure.code, Code::InvalidSpec);
        }
        assert!(read(|spec| spec["ports"][0]["protocol"] = "sctp".into()).is_err());
    }
}
