//! Published ports as elements of two maps: key, where the packet goes to; value, the workload. Added and removed in one transaction
//! of about 0.1 ms where the `nft` program costs 5.

use std::net::Ipv4Addr;

use crate::failure::Failure;
use crate::names;
use crate::netlink::{CREATE, DUMP, EXCLUSIVE, Refusal, Socket, attributes, find};
use crate::nftables::{
    Batch, DATA_VALUE, DELETE_ELEMENT, ELEMENT_LIST_ELEMENTS, ELEMENT_LIST_SET, ELEMENT_LIST_TABLE, FAMILY_IP, GET_ELEMENT, LIST_ELEMENT, NEW_ELEMENT,
    comment, read, read_generation,
};
use crate::spec::PortSpec;

/// For ports on every address, and for ports on one.
pub(crate) const MAP_ANY: &str = "ports-any";
pub(crate) const MAP_AT: &str = "ports-at";
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_USERDATA: u16 = 6;
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
    if !crate::nftables::table_exists(socket, &names::table(root_id))? {
        return Ok(Vec::new());
    }
    let (mut removed, mut keys) = (Vec::new(), Vec::new());
    for map in [MAP_ANY, MAP_AT] {
        for (key, workload) in list(socket, root_id, map)? {
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

/// Keys of a map and the workloads that they belong to.
fn list(socket: &Socket, root_id: &str, map: &str) -> Result<Vec<(Vec<u8>, String)>, Refusal> {
    let answers = read(socket, GET_ELEMENT, DUMP, FAMILY_IP, |body| {
        body.put_text(ELEMENT_LIST_TABLE, &names::table(root_id));
        body.put_text(ELEMENT_LIST_SET, map);
    })?;
    let mut found = Vec::new();
    for (_, answer) in &answers {
        for (_, element) in find(answer, ELEMENT_LIST_ELEMENTS).into_iter().flat_map(attributes) {
            let key = find(element, ELEMENT_KEY).and_then(|data| find(data, DATA_VALUE));
            let workload = find(element, ELEMENT_USERDATA).and_then(|data| data.get(2..)).map(String::from_utf8_lossy);
            if let (Some(key), Some(workload)) = (key, workload) {
                found.push((key.to_vec(), workload.trim_end_matches('\0').to_owned()));
            }
        }
    }
    Ok(found)
}

fn insert(socket: &Socket, root_id: &str, workload: &str, address: Ipv4Addr, ports: &[PortSpec]) -> Result<(), Refusal> {
    let mut batch = Batch::begin(None);
    for map in [MAP_ANY, MAP_AT] {
        let mine: Vec<_> = ports.iter().filter(|port| map_of(port) == map).collect();
        if mine.is_empty() {
            continue;
        }
        batch.add(NEW_ELEMENT, FAMILY_IP, CREATE | EXCLUSIVE, |body| {
            body.put_text(ELEMENT_LIST_TABLE, &names::table(root_id));
            body.put_text(ELEMENT_LIST_SET, map);
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
            body.put_text(ELEMENT_LIST_TABLE, &names::table(root_id));
            body.put_text(ELEMENT_LIST_SET, map);
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

fn explain(root_id: &str, refusal: &Refusal) -> Failure {
    if refusal.errno == libc::ENOENT {
        return Failure::new("UNAVAILABLE", format!("the firewall's table {} is gone", names::table(root_id)))
            .with_remedy("restart the daemon, which makes it anew; `nft flush ruleset` takes it away, so reload only your own tables");
    }
    Failure::refused("the firewall did not take the published ports", refusal)
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
