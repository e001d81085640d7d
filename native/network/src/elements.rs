//! Published ports as elements of two maps: key, where the packet goes to; value, the workload. Added and removed in one transaction
//! of about 0.1 ms where the `nft` program costs 5.

use std::net::Ipv4Addr;

use crate::failure::Failure;
use crate::names;
use crate::netlink::{CREATE, EXCLUSIVE, Refusal, Socket};
use crate::nftables::{
    Batch, DATA_VALUE, DELETE_ELEMENT, ELEMENT_DATA, ELEMENT_KEY, ELEMENT_LIST_ELEMENTS, ELEMENT_USERDATA, FAMILY_IP, LIST_ELEMENT, NEW_ELEMENT, Set,
    comment, read_generation, table_exists,
};
use crate::spec::PortSpec;

/// For ports on every address, and for ports on one.
pub(crate) const MAP_ANY: &str = "ports-any";
pub(crate) const MAP_AT: &str = "ports-at";
/// A message's attribute holds 64 KiB; an element takes less than 128 bytes.
const PER_TRANSACTION: usize = 256;

/// Adds a workload's ports. The caller holds them on the host, so an element that stands there already is a dead workload's.
pub(crate) fn add(socket: &Socket, root_id: &str, workload: &str, address: Ipv4Addr, ports: &[PortSpec]) -> Result<(), Failure> {
    for some in ports.chunks(PER_TRANSACTION) {
        let added = match insert(socket, root_id, workload, address, some) {
            Err(refusal) if refusal.errno == libc::EEXIST => {
                remove(socket, root_id, some)?;
                insert(socket, root_id, workload, address, some)
            }
            other => other,
        };
        added.map_err(|refusal| explain(root_id, &refusal))?;
    }
    Ok(())
}

/// Removes ports; those that are gone are no failure.
pub(crate) fn remove(socket: &Socket, root_id: &str, ports: &[PortSpec]) -> Result<(), Failure> {
    for some in ports.chunks(PER_TRANSACTION) {
        let all = delete(socket, root_id, some.iter().map(|port| (map_of(port), key_of(port))), None);
        if all.as_ref().is_err_and(|refusal| refusal.errno == libc::ENOENT) {
            for port in some {
                forgive(delete(socket, root_id, std::iter::once((map_of(port), key_of(port))), None)).map_err(|refusal| explain(root_id, &refusal))?;
            }
        } else {
            all.map_err(|refusal| explain(root_id, &refusal))?;
        }
    }
    Ok(())
}

/// Removes the elements of every workload that `gone` says yes to, and tells which those were.
pub(crate) fn remove_where(socket: &Socket, root_id: &str, gone: impl Fn(&str) -> bool) -> Result<Vec<String>, Failure> {
    // Elements may change between reading and removing: the kernel then refuses, and the next round looks again.
    for _ in 0..20 {
        match remove_generation(socket, root_id, &gone) {
            Err(refusal) if matches!(refusal.errno, libc::EINTR | libc::ERESTART | libc::ENOENT) => {}
            other => return other.map_err(|refusal| explain(root_id, &refusal)),
        }
    }
    Err(Failure::new("UNAVAILABLE", format!("the rules of table {} change too fast to be read", names::table(root_id))))
}

fn remove_generation(socket: &Socket, root_id: &str, gone: &impl Fn(&str) -> bool) -> Result<Vec<String>, Refusal> {
    let generation = read_generation(socket)?;
    let table = names::table(root_id);
    if !table_exists(socket, FAMILY_IP, &table)? {
        return Ok(Vec::new());
    }
    let (mut removed, mut keys) = (Vec::new(), Vec::new());
    for map in [MAP_ANY, MAP_AT] {
        for (key, workload) in (Set { family: FAMILY_IP, table: &table, name: map }).list(socket)? {
            if gone(&workload) {
                keys.push((map, key));
                removed.push(workload);
            }
        }
    }
    for some in keys.chunks(PER_TRANSACTION) {
        let single = keys.len() <= PER_TRANSACTION;
        delete(socket, root_id, some.iter().cloned(), single.then_some(generation))?;
    }
    removed.sort_unstable();
    removed.dedup();
    Ok(removed)
}

fn insert(socket: &Socket, root_id: &str, workload: &str, address: Ipv4Addr, ports: &[PortSpec]) -> Result<(), Refusal> {
    let mut batch = Batch::begin(None);
    for map in [MAP_ANY, MAP_AT] {
        let mine: Vec<_> = ports.iter().filter(|port| map_of(port) == map).collect();
        if mine.is_empty() {
            continue;
        }
        batch.add(NEW_ELEMENT, FAMILY_IP, CREATE | EXCLUSIVE, |body| {
            Set { family: FAMILY_IP, table: &names::table(root_id), name: map }.put_name(body);
            body.nest(ELEMENT_LIST_ELEMENTS, |elements| {
                for port in mine {
                    elements.nest(LIST_ELEMENT, |element| {
                        element.nest(ELEMENT_KEY, |key| key.put(DATA_VALUE, &key_of(port)));
                        element.nest(ELEMENT_DATA, |data| data.put(DATA_VALUE, &value_of(address, port.workload_port)));
                        element.put(ELEMENT_USERDATA, &comment(workload));
                    });
                }
            });
        });
    }
    batch.commit(socket)
}

fn delete(socket: &Socket, root_id: &str, keys: impl Iterator<Item = (&'static str, Vec<u8>)>, generation: Option<u32>) -> Result<(), Refusal> {
    let keys: Vec<_> = keys.collect();
    let mut batch = Batch::begin(generation);
    for map in [MAP_ANY, MAP_AT] {
        let mine: Vec<_> = keys.iter().filter(|(of, _)| *of == map).collect();
        if mine.is_empty() {
            continue;
        }
        batch.add(DELETE_ELEMENT, FAMILY_IP, 0, |body| {
            Set { family: FAMILY_IP, table: &names::table(root_id), name: map }.put_name(body);
            body.nest(ELEMENT_LIST_ELEMENTS, |elements| {
                for (_, key) in mine {
                    elements.nest(LIST_ELEMENT, |element| element.nest(ELEMENT_KEY, |data| data.put(DATA_VALUE, key)));
                }
            });
        });
    }
    batch.commit(socket)
}

fn forgive(result: Result<(), Refusal>) -> Result<(), Refusal> {
    if result.as_ref().is_err_and(|refusal| refusal.errno == libc::ENOENT) { Ok(()) } else { result }
}

pub(crate) fn explain(root_id: &str, refusal: &Refusal) -> Failure {
    if refusal.errno == libc::ENOENT {
        return Failure::new("UNAVAILABLE", format!("the firewall's table {} is gone", names::table(root_id)))
            .with_remedy("restart the daemon, which makes it anew; `nft flush ruleset` takes it away, so reload only your own tables");
    }
    Failure::refused("the firewall did not take the workload's address or ports", refusal)
}

fn map_of(port: &PortSpec) -> &'static str {
    if port.host_address.is_unspecified() { MAP_ANY } else { MAP_AT }
}

/// Concatenated, each part padded to four bytes, numbers in network order.
fn key_of(port: &PortSpec) -> Vec<u8> {
    let mut key = Vec::with_capacity(12);
    if !port.host_address.is_unspecified() {
        key.extend_from_slice(&port.host_address.octets());
    }
    key.extend_from_slice(&[port.protocol.number(), 0, 0, 0]);
    key.extend_from_slice(&port.host_port.to_be_bytes());
    key.extend_from_slice(&[0, 0]);
    key
}

fn value_of(address: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut value = address.octets().to_vec();
    value.extend_from_slice(&port.to_be_bytes());
    value.extend_from_slice(&[0, 0]);
    value
}
