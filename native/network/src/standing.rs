//! Whose is what stands on this host: bridges and tables of every root, for whoever looks for those of roots that are no more.

use std::collections::BTreeMap;

use crate::failure::Failure;
use crate::link;
use crate::names;
use crate::netlink::{DUMP, Refusal, Socket, find_text};
use crate::nftables::{GET_TABLE, read};

/// What carries one root's identity.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Interfaces, and tables of the firewall.
    pub names: Vec<String>,
    /// The root's directory, where a bridge tells it: those of early builds do not.
    pub owner: Option<String>,
    /// Something is plugged into a bridge: a workload, as a rule.
    pub has_members: bool,
}

/// By identity. Reads alone.
pub fn standing() -> Result<BTreeMap<String, Standing>, Failure> {
    let explain = |refusal: Refusal| Failure::refused("the host's interfaces and tables cannot be read", &refusal);
    let links = Socket::route().and_then(|route| link::list(&route)).map_err(explain)?;
    let mut found: BTreeMap<String, Standing> = BTreeMap::new();
    for bridge in &links {
        let Some(root_id) = root_of_bridge(&bridge.name) else { continue };
        let standing = found.entry(root_id).or_default();
        standing.names.push(bridge.name.clone());
        standing.owner = standing.owner.take().or_else(|| bridge.alias.clone());
        standing.has_members |= links.iter().any(|link| link.master == Some(bridge.index));
    }
    let tables = Socket::netfilter().and_then(|netfilter| read(&netfilter, GET_TABLE, DUMP, 0, |_| {})).map_err(explain)?;
    for (_, table) in &tables {
        let name = find_text(table, 1).unwrap_or_default();
        if let Some(root_id) = name.strip_prefix("bulkhead-").filter(|id| names::check_root(id).is_ok()) {
            found.entry(root_id.to_owned()).or_default().names.push(format!("table {name}"));
        }
    }
    Ok(found)
}

fn root_of_bridge(name: &str) -> Option<String> {
    let root_id = name.strip_prefix("bh")?.get(..6)?;
    names::check_bridge(root_id, name).ok().map(|()| root_id.to_owned())
}
