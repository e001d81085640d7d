//! Bridges: made with their address, forwarding and firewall, found as they should be, and removed.

use std::net::Ipv4Addr;

use crate::coexist;
use crate::failure::Failure;
use crate::link::{self, Link};
use crate::names;
use crate::netlink::{Messages, Refusal, Socket};
use crate::nftables::{ELEMENT_LIST_ELEMENTS, FAMILY_BRIDGE, FAMILY_IP, GET_ELEMENT, LIST_ELEMENT, Set, read, table_exists};
use crate::spec::BridgeWish;
use crate::stations;
use crate::sysctl;
use crate::table;

/// Makes the bridge, its address, forwarding and the firewall's table, or finds them as they should be, and tells what it changed on the host
/// (for the log). Where all stands it costs a few netlink questions: repeat it to mend what another program flushed.
pub fn bridge_ensure(root_id: &str, wish: &BridgeWish) -> Result<Vec<String>, Failure> {
    check(root_id, wish)?;
    let route = Socket::route().map_err(|refusal| Failure::refused("no netlink socket", &refusal))?;
    let netfilter = Socket::netfilter().map_err(|refusal| Failure::refused("no netfilter socket", &refusal))?;
    let mut changed = Vec::new();
    ensure_table(&route, &netfilter, root_id, wish, &mut changed)?;
    ensure_metadata(&netfilter, root_id, wish, &mut changed)?;
    ensure_link(&route, wish, &mut changed)?;
    changed.extend(sysctl::prepare_for_bridge(&wish.bridge)?);
    changed.extend(coexist::admit(&netfilter, root_id, &wish.bridge)?);
    Ok(changed)
}

/// Removes the bridge; with the last one of this root the table and our rules in others' chains. A missing bridge is no failure.
pub fn bridge_remove(root_id: &str, bridge: &str) -> Result<(), Failure> {
    names::check_bridge(root_id, bridge)?;
    let explain = |refusal: Refusal| Failure::refused(format!("cannot remove the bridge {bridge}"), &refusal);
    let route = Socket::route().map_err(explain)?;
    let netfilter = Socket::netfilter().map_err(explain)?;
    let links = link::list(&route).map_err(explain)?;
    let subnets = match links.iter().find(|link| link.name == bridge) {
        Some(found) => {
            let subnets = link::addresses(&route, found.index).map_err(explain)?;
            link::delete(&route, found.index).or_else(|refusal| if refusal.errno == libc::ENODEV { Ok(()) } else { Err(explain(refusal)) })?;
            subnets
        }
        None => Vec::new(),
    };
    let others = siblings(&links, root_id, |name| name != bridge);
    let table = names::table(root_id);
    if others.is_empty() && table_exists(&netfilter, FAMILY_BRIDGE, &table).map_err(explain)? {
        table::run_nft(&format!("delete table bridge {table}\n"))?;
    }
    if !table_exists(&netfilter, FAMILY_IP, &table).map_err(explain)? {
        return if others.is_empty() { coexist::withdraw(&netfilter, root_id, bridge) } else { Ok(()) };
    }
    if others.is_empty() {
        coexist::withdraw(&netfilter, root_id, bridge)?;
        return table::run_nft(&format!("delete table ip {table}\n"));
    }
    for line in removal(root_id, bridge, &subnets, &others) {
        // Each alone: an element that is not there must not keep the others.
        let _ = table::run_nft(&line);
    }
    Ok(())
}

/// Whether the firewall still has this root's tables: `nft flush ruleset` takes them away. Two questions to the kernel.
pub fn table_stands(root_id: &str) -> Result<bool, Failure> {
    let table = names::table(root_id);
    let asked = Socket::netfilter()
        .and_then(|netfilter| Ok(table_exists(&netfilter, FAMILY_IP, &table)? && table_exists(&netfilter, FAMILY_BRIDGE, &table)?));
    asked.map_err(|refusal| Failure::refused("the firewall cannot be read", &refusal))
}

/// Removes every bridge of this root, the table, and our rules in others' chains, and tells the bridges' names. Idempotent.
pub fn remove_all(root_id: &str) -> Result<Vec<String>, Failure> {
    names::check_root(root_id)?;
    let explain = |refusal: Refusal| Failure::refused("cannot look for bridges", &refusal);
    let links = Socket::route().and_then(|route| link::list(&route)).map_err(explain)?;
    let bridges = siblings(&links, root_id, |_| true);
    for bridge in &bridges {
        bridge_remove(root_id, bridge)?;
    }
    if bridges.is_empty() {
        // A table may stand without them; what removes the last bridge removes it too.
        bridge_remove(root_id, &format!("{}0", names::bridge_prefix(root_id)))?;
    }
    Ok(bridges)
}

/// The index of a bridge that stands.
pub(crate) fn find_index(route: &Socket, bridge: &str) -> Result<u32, Failure> {
    let found = link::find_by_name(route, bridge).map_err(|refusal| Failure::refused(format!("cannot look for the bridge {bridge}"), &refusal))?;
    found.map(|link| link.index).ok_or_else(|| {
        Failure::new("UNAVAILABLE", format!("the bridge {bridge} is not there")).with_remedy("restart the daemon, which makes its bridges anew")
    })
}

fn check(root_id: &str, wish: &BridgeWish) -> Result<(), Failure> {
    names::check_bridge(root_id, &wish.bridge)?;
    let sound = (8..=30).contains(&wish.prefix_length) && (576..=65535).contains(&wish.mtu) && !wish.address.is_unspecified() && !wish.address.is_loopback();
    if sound { Ok(()) } else { Err(Failure::new("INVALID_SPEC", format!("{} cannot have address {}/{}, mtu {}", wish.bridge, wish.address, wish.prefix_length, wish.mtu))) }
}

fn ensure_table(route: &Socket, netfilter: &Socket, root_id: &str, wish: &BridgeWish, changed: &mut Vec<String>) -> Result<(), Failure> {
    let explain = |refusal: Refusal| Failure::refused("the firewall cannot be read", &refusal);
    let name = names::table(root_id);
    ensure_guard(route, netfilter, root_id, changed)?;
    let stands = table_exists(netfilter, FAMILY_IP, &name).map_err(explain)?;
    if stands && knows_bridge(netfilter, Set { family: FAMILY_IP, table: &name, name: "bridges" }, &wish.bridge).map_err(explain)? {
        return Ok(());
    }
    let links = link::list(route).map_err(explain)?;
    let others = siblings(&links, root_id, |other| other != wish.bridge && names::same_network(other, &wish.bridge));
    let elements = table::bridge_elements(root_id, wish, &others);
    let made = if stands { table::run_nft(&elements) } else { table::run_nft(&(table::text(root_id) + &elements)) };
    if made.is_err() && !stands && table_exists(netfilter, FAMILY_IP, &name).map_err(explain)? {
        table::run_nft(&elements)?; // another bridge of ours was quicker
    } else {
        made?;
    }
    changed.push(format!("nftables: table ip {name} knows {}", wish.bridge));
    Ok(())
}

/// The table of frames. Made before a bridge is: no frame passes unguarded.
fn ensure_guard(route: &Socket, netfilter: &Socket, root_id: &str, changed: &mut Vec<String>) -> Result<(), Failure> {
    let name = names::table(root_id);
    let stands = || table_exists(netfilter, FAMILY_BRIDGE, &name).map_err(|refusal| Failure::refused("the firewall cannot be read", &refusal));
    if stands()? {
        return Ok(());
    }
    let links = link::list(route).map_err(|refusal| Failure::refused("the bridges cannot be listed", &refusal))?;
    let made = table::run_nft(&stations::text(root_id, &ports_of(&links, root_id)));
    if made.is_err() && !stands()? {
        return made.map_err(|failure| failure.with_remedy("load the kernel modules nf_tables and bridge; the kernel must filter bridged frames (CONFIG_NF_TABLES_BRIDGE)"));
    }
    changed.push(format!("nftables: table bridge {name} made"));
    Ok(())
}

/// What its members may ask for changes with the wish: a daemon may have been told otherwise since the bridge was made.
fn ensure_metadata(netfilter: &Socket, root_id: &str, wish: &BridgeWish, changed: &mut Vec<String>) -> Result<(), Failure> {
    let (table, bridge) = (names::table(root_id), &wish.bridge);
    let told = Set { family: FAMILY_IP, table: &table, name: table::TOLD };
    if knows_bridge(netfilter, told, bridge).map_err(|refusal| Failure::refused("the firewall cannot be read", &refusal))? == wish.metadata {
        return Ok(());
    }
    let verb = if wish.metadata { "add" } else { "delete" };
    table::run_nft(&format!("{verb} element ip {table} {} {{ \"{bridge}\" }}\n", table::TOLD))?;
    changed.push(format!("metadata services: members of {bridge} {} them", if wish.metadata { "reach" } else { "no longer reach" }));
    Ok(())
}

fn knows_bridge(netfilter: &Socket, set: Set<'_>, bridge: &str) -> Result<bool, Refusal> {
    let mut name = bridge.as_bytes().to_vec();
    name.resize(16, 0);
    let asked = read(netfilter, GET_ELEMENT, 0, FAMILY_IP, |body| {
        set.put_name(body);
        body.nest(ELEMENT_LIST_ELEMENTS, |elements| elements.nest(LIST_ELEMENT, |element| element.nest(1, |key| key.put(1, &name))));
    });
    match asked {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

fn ensure_link(route: &Socket, wish: &BridgeWish, changed: &mut Vec<String>) -> Result<(), Failure> {
    let explain = |refusal: Refusal| Failure::refused(format!("cannot make the bridge {}", wish.bridge), &refusal);
    let found = match link::find_by_name(route, &wish.bridge).map_err(explain)? {
        Some(found) => {
            link::stop_link_local_learning(route, found.index).map_err(explain)?;
            found
        }
        None => {
            match link::add_bridge(route, &wish.bridge, mac_of(wish.address), wish.mtu) {
                Err(refusal) if refusal.errno == libc::EEXIST => {}
                other => other.map_err(explain)?,
            }
            changed.push(format!("interface {} made", wish.bridge));
            link::find_by_name(route, &wish.bridge).map_err(explain)?.ok_or_else(|| Failure::new("INTERNAL", "a bridge vanished while it was made"))?
        }
    };
    let mut messages = Messages::default();
    let addresses = link::addresses(route, found.index).map_err(explain)?;
    let wanted = (wish.address, wish.prefix_length);
    let mut pending = 0;
    for (address, prefix_length) in addresses.iter().filter(|address| **address != wanted) {
        link::delete_address(&mut messages, found.index, *address, *prefix_length);
        pending += 1;
    }
    if !addresses.contains(&wanted) {
        link::add_address(&mut messages, found.index, wish.address, wish.prefix_length);
        pending += 1;
    }
    if found.mtu != wish.mtu {
        link::set_mtu(&mut messages, found.index, wish.mtu);
        pending += 1;
    }
    if found.alias.as_deref() != Some(&wish.owner) && (1..256).contains(&wish.owner.len()) {
        link::set_alias(&mut messages, found.index, &wish.owner);
        pending += 1;
    }
    if !found.up {
        sysctl::silence_ipv6(&wish.bridge);
        link::set_up(&mut messages, found.index);
        pending += 1;
    }
    if pending > 0 {
        route.transact(&messages).map_err(explain)?;
        changed.push(format!("interface {} has address {}/{} and is up", wish.bridge, wish.address, wish.prefix_length));
    }
    Ok(())
}

/// Interfaces of workloads on this root's bridges.
fn ports_of(links: &[Link], root_id: &str) -> Vec<String> {
    let bridges: Vec<u32> = links.iter().filter(|link| names::check_bridge(root_id, &link.name).is_ok()).map(|link| link.index).collect();
    let ours = |link: &&Link| names::is_member(root_id, &link.name) && link.master.is_some_and(|master| bridges.contains(&master));
    links.iter().filter(ours).map(|link| link.name.clone()).collect()
}

fn siblings(links: &[Link], root_id: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let names = links.iter().map(|link| link.name.clone());
    names.filter(|name| names::check_bridge(root_id, name).is_ok() && wanted(name)).collect()
}

fn removal(root_id: &str, bridge: &str, subnets: &[(Ipv4Addr, u8)], others: &[String]) -> Vec<String> {
    let table = names::table(root_id);
    let mut lines = vec![
        format!("delete element ip {table} bridges {{ \"{bridge}\" }}\n"),
        format!("delete element ip {table} neighbours {{ \"{bridge}\" . \"{bridge}\" }}\n"),
        format!("delete element ip {table} {} {{ \"{bridge}\" }}\n", table::TOLD),
    ];
    for (address, prefix_length) in subnets {
        let subnet = table::subnet(*address, *prefix_length);
        lines.push(format!("delete element ip {table} subnets {{ {subnet} }}\n"));
        lines.push(format!("delete element ip {table} masqueraded {{ {subnet} }}\n"));
    }
    for other in others {
        lines.push(format!("delete element ip {table} neighbours {{ \"{bridge}\" . \"{other}\", \"{other}\" . \"{bridge}\" }}\n"));
    }
    lines
}

/// Locally administered, and the same each time: workloads may remember it across a restart of the host.
fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}
