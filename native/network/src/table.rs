//! The firewall's table: made once by the `nft` program, afterwards only its sets change.
//!
//! What it promises, in the order in which a packet meets it:
//! - `guard`: a workload cannot reach the host's loopback (CVE-2020-8558; `route_localnet` is on for our bridges, because ports are
//!   published on 127.0.0.1 as well), nor send from an address that does not lie behind its bridge. `clouds`: nor ask a cloud's metadata
//!   services, which take the host's word for the asker's, unless its bridge is one whose members may;
//! - `prerouting`, `output`: published ports go to their workloads. Packets from the wire to 127.0.0.0/8 do not;
//! - `forward`: into a bridge of ours comes only what was asked for, what was published, and what its neighbours send;
//! - `postrouting`: what leaves for elsewhere, what comes from the host's loopback, and what comes back to its own bridge through
//!   a published port gets the host's address.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use crate::elements::{MAP_ANY, MAP_AT};
use crate::failure::Failure;
use crate::names;
use crate::spec::BridgeWish;

/// The set of bridges whose members may ask metadata services.
pub(crate) const TOLD: &str = "told";
/// Link-local addresses, 169.254.169.254 among them, which no router is to pass on anyway (RFC 3927, 7), and the one that Alibaba Cloud answers at.
const METADATA: &str = "{ 169.254.0.0/16, 100.100.100.200 }";

/// The whole table without elements. Fails where it stands: to say it again would put every rule in twice.
pub(crate) fn text(root_id: &str) -> String {
    let table = names::table(root_id);
    format!(
        r#"create table ip {table}
table ip {table} {{
  set bridges {{ type ifname; }}
  set neighbours {{ type ifname . ifname; }}
  set subnets {{ type ipv4_addr; flags interval; }}
  set masqueraded {{ type ipv4_addr; flags interval; }}
  set {TOLD} {{ type ifname; }}
  map {MAP_AT} {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
  map {MAP_ANY} {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  chain clouds {{
    meta l4proto {{ tcp, udp }} th dport 53 return
    reject with icmp type admin-prohibited
  }}
  chain guard {{
    type filter hook prerouting priority raw; policy accept;
    iifname != @bridges accept
    ip saddr 127.0.0.0/8 drop
    ip daddr 127.0.0.0/8 drop
    fib saddr . iif oif missing drop
    ip daddr {METADATA} ip daddr != @subnets iifname != @{TOLD} jump clouds
  }}
  chain publish {{
    dnat to ip daddr . meta l4proto . th dport map @{MAP_AT}
    dnat to meta l4proto . th dport map @{MAP_ANY}
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 127.0.0.0/8 return
    fib daddr type local jump publish
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    fib daddr type local jump publish
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname @bridges jump members
    oifname @bridges jump members
  }}
  chain members {{
    ct state invalid drop
    ct state established,related accept
    ct status dnat accept
    iifname . oifname @neighbours accept
    oifname @bridges drop
    accept
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname @bridges ct status dnat ip saddr 127.0.0.0/8 masquerade
    oifname @bridges ct status dnat ip saddr @subnets masquerade
    oifname != @bridges ip saddr @masqueraded masquerade
  }}
}}
"#
    )
}

/// What a bridge adds to the table. `siblings` are the other bridges of its network.
pub(crate) fn bridge_elements(root_id: &str, wish: &BridgeWish, siblings: &[String]) -> String {
    let (table, bridge, subnet) = (names::table(root_id), &wish.bridge, subnet(wish.address, wish.prefix_length));
    let mut pairs = vec![format!("\"{bridge}\" . \"{bridge}\"")];
    for other in siblings {
        pairs.push(format!("\"{bridge}\" . \"{other}\""));
        pairs.push(format!("\"{other}\" . \"{bridge}\""));
    }
    let mut lines = vec![
        format!("add element ip {table} bridges {{ \"{bridge}\" }}"),
        format!("add element ip {table} subnets {{ {subnet} }}"),
        format!("add element ip {table} neighbours {{ {} }}", pairs.join(", ")),
    ];
    if wish.masquerade {
        lines.push(format!("add element ip {table} masqueraded {{ {subnet} }}"));
    }
    lines.join("\n") + "\n"
}

pub(crate) fn subnet(address: Ipv4Addr, prefix_length: u8) -> String {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix_length)).unwrap_or(0);
    format!("{}/{prefix_length}", Ipv4Addr::from(u32::from(address) & mask))
}

/// Runs `nft -f -`: all of the script, or nothing.
pub(crate) fn run_nft(script: &str) -> Result<(), Failure> {
    let missing = |error: std::io::Error| {
        Failure::new("UNAVAILABLE", format!("the program nft cannot be run: {error}")).with_remedy("apt-get install nftables")
    };
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A refusal shows in the exit status; a broken pipe says no more.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(missing)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or("it gave no reason").chars().take(200).collect::<String>();
    Err(Failure::new("UNAVAILABLE", format!("the firewall did not take the rules: {first}"))
        .with_remedy("load the kernel modules nf_tables, nft_fib_ipv4, nft_nat, nft_masq, nft_reject_ipv4 and nft_ct"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_brings_its_subnet_and_its_neighbours() {
        let wish =
            BridgeWish { bridge: "bhabc1230-1".into(), address: Ipv4Addr::new(172, 20, 4, 1), prefix_length: 22, mtu: 1500, masquerade: true, metadata: false, owner: "/r".into() };
        let text = bridge_elements("abc123", &wish, &["bhabc1230".into()]);
        assert!(text.contains("masqueraded { 172.20.4.0/22 }"), "{text}");
        assert!(text.contains(r#""bhabc1230-1" . "bhabc1230""#) && text.contains(r#""bhabc1230" . "bhabc1230-1""#), "{text}");
    }
}
