//! Who may send what on a bridge: one element per member of a set in a table of the family `bridge`. Key: interface on the host, hardware
//! address, address. A frame from a port of ours that does not carry all three, as IPv4 or as ARP, is dropped, so that no workload can take
//! another's address or the gateway's, nor answer for it. Whatever is neither IPv4 nor ARP is dropped too: our networks have nothing else.

use std::net::Ipv4Addr;

use crate::elements::explain;
use crate::failure::Failure;
use crate::names;
use crate::netlink::{CREATE, Refusal, Socket};
use crate::nftables::{
    Batch, DATA_VALUE, DELETE_ELEMENT, ELEMENT_KEY, ELEMENT_LIST_ELEMENTS, ELEMENT_USERDATA, FAMILY_BRIDGE, LIST_ELEMENT, NEW_ELEMENT, Set, comment, table_exists,
};

const STATIONS: &str = "stations";
/// Ports that stood before the table did, until their supervisors tell what they may send with: those of an earlier build never do.
const UNGUARDED: &str = "unguarded";

/// What one member may send with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Station(Vec<u8>);

impl Station {
    /// Concatenated, each part padded to four bytes.
    pub(crate) fn new(interface: &str, mac: [u8; 6], address: Ipv4Addr) -> Self {
        let mut key = interface.as_bytes().to_vec();
        key.resize(16, 0);
        key.extend_from_slice(&mac);
        key.extend_from_slice(&[0, 0]);
        key.extend_from_slice(&address.octets());
        Self(key)
    }
}

/// The table of frames, without members. `standing`: ports of this root's bridges that are there already. Fails where it stands.
pub(crate) fn text(root_id: &str, standing: &[String]) -> String {
    let table = names::table(root_id);
    let unguarded: String = standing.iter().map(|port| format!("add element bridge {table} {UNGUARDED} {{ \"{port}\" }}\n")).collect();
    format!(
        r#"create table bridge {table}
table bridge {table} {{
  set {STATIONS} {{ type ifname . ether_addr . ipv4_addr; }}
  set {UNGUARDED} {{ type ifname; }}
  chain guard {{
    type filter hook prerouting priority -300; policy accept;
    iifname "bv{root_id}*" goto member
    iifname "bt{root_id}*" goto member
  }}
  chain member {{
    iifname @{UNGUARDED} accept
    ether type ip iifname . ether saddr . ip saddr @{STATIONS} accept
    ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4 iifname . ether saddr . arp saddr ip @{STATIONS} iifname . arp saddr ether . arp saddr ip @{STATIONS} accept
    drop
  }}
}}
{unguarded}"#
    )
}

/// What is told from now on is held to: the port is no longer let through unseen.
pub(crate) fn guard(socket: &Socket, root_id: &str, station: &Station) -> Result<(), Failure> {
    let interface = station.0.get(..16).unwrap_or_default();
    forgive(change(socket, root_id, (DELETE_ELEMENT, UNGUARDED), 0, interface, None)).map_err(|refusal| explain(root_id, &refusal))
}

/// One transaction of about 0.1 ms. A member that is known already is no failure.
pub(crate) fn add(socket: &Socket, root_id: &str, workload: &str, station: &Station) -> Result<(), Failure> {
    change(socket, root_id, (NEW_ELEMENT, STATIONS), CREATE, &station.0, Some(workload)).map_err(|refusal| explain(root_id, &refusal))
}

/// One that is gone is no failure.
pub(crate) fn remove(socket: &Socket, root_id: &str, station: &Station) -> Result<(), Failure> {
    forgive(change(socket, root_id, (DELETE_ELEMENT, STATIONS), 0, &station.0, None)).map_err(|refusal| explain(root_id, &refusal))
}

/// Removes the members of every workload that `gone` says yes to, and tells which those were.
pub(crate) fn remove_where(socket: &Socket, root_id: &str, gone: impl Fn(&str) -> bool) -> Result<Vec<String>, Failure> {
    let explain = |refusal: Refusal| explain(root_id, &refusal);
    let table = names::table(root_id);
    if !table_exists(socket, FAMILY_BRIDGE, &table).map_err(explain)? {
        return Ok(Vec::new());
    }
    let mut removed = Vec::new();
    for (key, workload) in (Set { family: FAMILY_BRIDGE, table: &table, name: STATIONS }).list(socket).map_err(explain)? {
        if gone(&workload) {
            forgive(change(socket, root_id, (DELETE_ELEMENT, STATIONS), 0, &key, None)).map_err(explain)?;
            removed.push(workload);
        }
    }
    Ok(removed)
}

fn change(socket: &Socket, root_id: &str, (kind, set): (u16, &str), flags: u16, key: &[u8], workload: Option<&str>) -> Result<(), Refusal> {
    let mut batch = Batch::begin(None);
    batch.add(kind, FAMILY_BRIDGE, flags, |body| {
        Set { family: FAMILY_BRIDGE, table: &names::table(root_id), name: set }.put_name(body);
        body.nest(ELEMENT_LIST_ELEMENTS, |elements| {
            elements.nest(LIST_ELEMENT, |element| {
                element.nest(ELEMENT_KEY, |data| data.put(DATA_VALUE, key));
                if let Some(workload) = workload {
                    element.put(ELEMENT_USERDATA, &comment(workload));
                }
            });
        });
    });
    batch.commit(socket)
}

fn forgive(result: Result<(), Refusal>) -> Result<(), Refusal> {
    if result.as_ref().is_err_and(|refusal| refusal.errno == libc::ENOENT) { Ok(()) } else { result }
}
