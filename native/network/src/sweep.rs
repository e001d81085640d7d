//! What is left of workloads whose supervisor is gone.

use crate::elements;
use crate::failure::Failure;
use crate::link;
use crate::names;
use crate::netlink::{Refusal, Socket};
use crate::stations;

/// Removes the firewall's elements of a workload whose supervisor is gone. Idempotent.
pub fn ports_remove_for(root_id: &str, workload: &str) -> Result<(), Failure> {
    names::check_root(root_id)?;
    names::check_workload(workload)?;
    let netfilter = netfilter()?;
    stations::remove_where(&netfilter, root_id, |of| of == workload)?;
    elements::remove_where(&netfilter, root_id, |of| of == workload).map(drop)
}

/// Removes veths, taps and elements of the firewall of this root that belong to none of the workloads named, and tells their names.
/// A veth that is still there after its workload is one whose namespace something holds: this is the one place that deletes it.
pub fn sweep(root_id: &str, keep: &[&str]) -> Result<Vec<String>, Failure> {
    names::check_root(root_id)?;
    let netfilter = netfilter()?;
    let mut removed = elements::remove_where(&netfilter, root_id, |of| !keep.contains(&of))?;
    removed.extend(stations::remove_where(&netfilter, root_id, |of| !keep.contains(&of))?);
    removed.sort_unstable();
    removed.dedup();
    let explain = |refusal: Refusal| Failure::refused("cannot sweep the interfaces", &refusal);
    let route = Socket::route().map_err(explain)?;
    let kept: Vec<String> = keep.iter().flat_map(|workload| ["bv", "bt"].into_iter().flat_map(|kind| names::interface_names(kind, root_id, workload))).collect();
    for left in link::list(&route).map_err(explain)? {
        if !names::is_member(root_id, &left.name) || kept.contains(&left.name) {
            continue;
        }
        match link::delete(&route, left.index) {
            Err(refusal) if refusal.errno != libc::ENODEV => return Err(explain(refusal)),
            _ => removed.push(left.name),
        }
    }
    Ok(removed)
}

fn netfilter() -> Result<Socket, Failure> {
    Socket::netfilter().map_err(|refusal| Failure::refused("no netfilter socket", &refusal))
}
