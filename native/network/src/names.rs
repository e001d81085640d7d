//! Every name on the host carries the root's identity, and every outside name is checked before it reaches the kernel.

use crate::failure::Failure;

/// Six lower-case hexadecimal digits.
pub(crate) fn check_root(root_id: &str) -> Result<(), Failure> {
    if root_id.len() == 6 && is_hexadecimal(root_id) {
        return Ok(());
    }
    Err(Failure::new("INVALID_SPEC", "the root's identity is not six lower-case hexadecimal digits"))
}

/// Sixty-four lower-case hexadecimal digits.
pub(crate) fn check_workload(workload: &str) -> Result<(), Failure> {
    if workload.len() == 64 && is_hexadecimal(workload) {
        return Ok(());
    }
    Err(Failure::new("INVALID_SPEC", "the workload's id is not 64 lower-case hexadecimal digits"))
}

/// A bridge of this root: `bhROOT` and a network's number, for further bridges of that network `-` and their number.
pub(crate) fn check_bridge(root_id: &str, bridge: &str) -> Result<(), Failure> {
    check_root(root_id)?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let rest = bridge.strip_prefix(&bridge_prefix(root_id)).filter(|_| bridge.len() <= 15);
    let sound = match rest.map(|rest| rest.split_once('-')) {
        Some(Some((network, slice))) => number(network) && number(slice),
        Some(None) => rest.is_some_and(number),
        None => false,
    };
    if sound {
        return Ok(());
    }
    Err(Failure::new("INVALID_SPEC", format!("{bridge:?} is not the name of a bridge of root {root_id}")))
}

/// The name of an interface inside a workload: what the kernel takes, without anything that a shell or a path would mind.
pub(crate) fn check_interface(name: &str) -> Result<(), Failure> {
    let sound = (1..=15).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if sound && name != "lo" {
        return Ok(());
    }
    Err(Failure::new("INVALID_SPEC", format!("{name:?} is not a name for an interface")))
}

pub(crate) fn bridge_prefix(root_id: &str) -> String {
    format!("bh{root_id}")
}

/// Bridges of one network are neighbours: `bh1234560` and `bh1234560-1`.
pub(crate) fn same_network(one: &str, other: &str) -> bool {
    let stem = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    stem(one) == stem(other)
}

pub(crate) fn table(root_id: &str) -> String {
    format!("bulkhead-{root_id}")
}

/// Names to try for a workload's interface, in order: seven digits from nine places of the id. Two workloads seldom share the
/// first (28 bits), and then the kernel says so.
pub(crate) fn interface_names(kind: &'static str, root_id: &str, workload: &str) -> impl Iterator<Item = String> {
    (0..9).filter_map(move |place| workload.get(place * 7..place * 7 + 7).map(|digits| format!("{kind}{root_id}{digits}")))
}

/// An interface of a workload of this root.
pub(crate) fn is_member(root_id: &str, name: &str) -> bool {
    name.len() == 15 && ["bv", "bt"].iter().any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(root_id)))
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_interfaces_fit_the_kernel() {
        let workload = "0123456789abcdef".repeat(4);
        let names: Vec<_> = interface_names("bv", "abc123", &workload).collect();
        assert_eq!(names.len(), 9);
        assert_eq!(names[0], "bvabc1230123456");
        assert!(names.iter().all(|name| name.len() == 15));
    }

    #[test]
    fn a_bridge_of_another_root_is_refused() {
        assert!(check_bridge("abc123", "bhabc1230").is_ok());
        assert!(check_bridge("abc123", "bhabc12312-3").is_ok());
        for name in ["bhabc124", "bhabc1240", "docker0", "bhabc123", "bhabc1230-", "bhabc123-1", "bhabc1230-1-1", "bhabc12300000000"] {
            assert!(check_bridge("abc123", name).is_err(), "{name}");
        }
    }

    #[test]
    fn bridges_of_one_network_are_neighbours() {
        assert!(same_network("bhabc1230", "bhabc1230-4"));
        assert!(!same_network("bhabc1230", "bhabc1231"));
    }
}
