//! Living with other firewalls. To accept a packet in our table does not save it from a chain of somebody else's that drops what it
//! does not know: Docker and ufw set the policy of iptables' FORWARD to drop, firewalld ends its own with a rejection.
//!
//! So in each foreign chain on the forward hook that would drop everything, we add two accept rules for our bridges, *behind* the
//! owner's rules and before the end that drops: what the owner forbids by a rule of his own stays forbidden. What may really pass is decided
//! in our own table. The rules are in the form that iptables-nft writes and reads; they carry the bridges' prefix, by which they
//! are found again. firewalld rebuilds its table when it likes, and is asked by its own program; so is iptables-legacy.

use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::names;
use crate::netlink::{APPEND, CREATE, DUMP, Refusal, Socket, attributes, find, find_text};
use crate::nftables::{Batch, DELETE_RULE, FAMILY_INET, FAMILY_IP, GET_CHAIN, GET_RULE, NEW_RULE, comment, read, read_be32};

const HOOK_FORWARD: u32 = 2;
const VERDICT_DROP: u32 = 0;
const VERDICT_ACCEPT: u32 = 1;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;

struct ForeignChain {
    family: u8,
    table: String,
    name: String,
    drops: bool,
}

struct Rule {
    handle: [u8; 8],
    expressions: Vec<u8>,
}

/// Makes our bridges pass everywhere, and tells what it changed. Changes nothing where nothing drops or all is there already.
pub(crate) fn admit(socket: &Socket, root_id: &str, bridge: &str) -> Result<Vec<String>, Failure> {
    let explain = |refusal: Refusal| Failure::refused("other firewalls' forward chains cannot be read or changed", &refusal);
    let mut changed = Vec::new();
    for chain in foreign_chains(socket).map_err(explain)? {
        let rules = rules_of(socket, &chain).map_err(explain)?;
        let closing = rules.last().filter(|rule| drops_all(rule));
        let present = rules.iter().any(|rule| names_ours(rule, root_id));
        if present || (!chain.drops && closing.is_none()) {
            continue;
        }
        let place = format!("table {} chain {}", chain.table, chain.name);
        if chain.table == "firewalld" && firewalld_admit(bridge) {
            changed.push(format!("firewalld: interface {bridge} added to zone trusted"));
            continue;
        }
        insert(socket, root_id, &chain, closing.map(|rule| rule.handle)).map_err(explain)?;
        changed.push(format!("{place}: accept rules for interfaces {}*", names::bridge_prefix(root_id)));
    }
    if legacy_admit(root_id) {
        changed.push(format!("iptables-legacy FORWARD: accept rules for interfaces {}+", names::bridge_prefix(root_id)));
    }
    Ok(changed)
}

/// Takes back what `admit` did for every bridge of this root.
pub(crate) fn withdraw(socket: &Socket, root_id: &str, bridge: &str) -> Result<(), Failure> {
    let explain = |refusal: Refusal| Failure::refused("our accept rules in other firewalls' chains cannot be removed", &refusal);
    for chain in foreign_chains(socket).map_err(explain)? {
        if chain.table == "firewalld" {
            firewall_cmd(&format!("--remove-interface={bridge}"));
        }
        for rule in rules_of(socket, &chain).map_err(explain)?.iter().filter(|rule| is_ours(rule, root_id)) {
            let mut batch = Batch::begin(None);
            batch.add(DELETE_RULE, chain.family, 0, |body| {
                body.put_text(1, &chain.table);
                body.put_text(2, &chain.name);
                body.put(3, &rule.handle);
            });
            // A rule that its owner flushed meanwhile is as good as removed.
            batch.commit(socket).or_else(|refusal| if refusal.errno == libc::ENOENT { Ok(()) } else { Err(explain(refusal)) })?;
        }
    }
    legacy_withdraw(root_id);
    Ok(())
}

fn foreign_chains(socket: &Socket) -> Result<Vec<ForeignChain>, Refusal> {
    let chains = read(socket, GET_CHAIN, DUMP, 0, |_| {})?;
    Ok(chains.iter().filter_map(|(family, chain)| as_foreign(*family, chain)).collect())
}

fn as_foreign(family: u8, chain: &[u8]) -> Option<ForeignChain> {
    let table = find_text(chain, 1)?;
    let hook = find(find(chain, 4)?, 1).and_then(read_be32)?;
    let filters = find_text(chain, 7).as_deref() == Some("filter");
    let ours = table.strip_prefix("bulkhead-").is_some_and(|rest| rest.len() == 6);
    if ours || !filters || hook != HOOK_FORWARD || !matches!(family, FAMILY_IP | FAMILY_INET) {
        return None;
    }
    Some(ForeignChain { family, table, name: find_text(chain, 3)?, drops: find(chain, 5).and_then(read_be32) == Some(VERDICT_DROP) })
}

fn rules_of(socket: &Socket, chain: &ForeignChain) -> Result<Vec<Rule>, Refusal> {
    let rules = read(socket, GET_RULE, DUMP, chain.family, |body| {
        body.put_text(1, &chain.table);
        body.put_text(2, &chain.name);
    })?;
    let in_chain = |rule: &[u8]| find_text(rule, 1).as_deref() == Some(&chain.table) && find_text(rule, 2).as_deref() == Some(&chain.name);
    let as_rule = |rule: &Vec<u8>| Some(Rule { handle: find(rule, 3)?.try_into().ok()?, expressions: find(rule, 4).unwrap_or(&[]).to_vec() });
    Ok(rules.iter().map(|(_, rule)| rule).filter(|rule| in_chain(rule)).filter_map(as_rule).collect())
}

/// Names and data of a rule's expressions, without those that decide nothing.
fn deciding(rule: &Rule) -> Vec<(String, &[u8])> {
    let read = |(_, expression)| Some((find_text(expression, 1)?, find(expression, 2).unwrap_or(&[])));
    let all = attributes(&rule.expressions).filter_map(read);
    all.filter(|(name, data)| name != "counter" && !(name == "match" && find_text(data, 1).as_deref() == Some("comment"))).collect()
}

/// Whether a rule drops or rejects whatever reaches it.
fn drops_all(rule: &Rule) -> bool {
    match deciding(rule).as_slice() {
        [(name, data)] if name == "immediate" => verdict(data) == Some(VERDICT_DROP),
        [(name, data)] if name == "target" => matches!(find_text(data, 1).as_deref(), Some("REJECT" | "DROP")),
        [(name, _)] => name == "reject",
        _ => false,
    }
}

fn verdict(immediate: &[u8]) -> Option<u32> {
    find(immediate, 2).and_then(|data| find(data, 2)).and_then(|verdict| find(verdict, 1)).and_then(read_be32)
}

fn names_ours(rule: &Rule, root_id: &str) -> bool {
    let prefix = names::bridge_prefix(root_id);
    rule.expressions.windows(prefix.len()).any(|window| window == prefix.as_bytes())
}

/// Exactly what `insert` writes: our prefix compared, then accepted. An administrator's own rule about our bridges is not ours.
fn is_ours(rule: &Rule, root_id: &str) -> bool {
    let prefix = names::bridge_prefix(root_id);
    match deciding(rule).as_slice() {
        [(meta, _), (compare, data), (immediate, decision)] => {
            let value = find(data, 3).and_then(|value| find(value, 1));
            meta == "meta" && compare == "cmp" && immediate == "immediate" && value == Some(prefix.as_bytes()) && verdict(decision) == Some(VERDICT_ACCEPT)
        }
        _ => false,
    }
}

/// Both rules in one transaction, before the rule with this handle, or at the end.
fn insert(socket: &Socket, root_id: &str, chain: &ForeignChain, before: Option<[u8; 8]>) -> Result<(), Refusal> {
    let mut batch = Batch::begin(None);
    for key in [META_IIFNAME, META_OIFNAME] {
        let flags = if before.is_some() { CREATE } else { CREATE | APPEND };
        batch.add(NEW_RULE, chain.family, flags, |body| {
            body.put_text(1, &chain.table);
            body.put_text(2, &chain.name);
            body.nest(4, |expressions| {
                let mut expression = |name: &str, fill: &dyn Fn(&mut crate::netlink::Body<'_>)| {
                    expressions.nest(1, |one| {
                        one.put_text(1, name);
                        one.nest(2, |data| fill(data));
                    });
                };
                expression("meta", &|data| {
                    data.put_be32(2, key);
                    data.put_be32(1, 1);
                });
                expression("cmp", &|data| {
                    data.put_be32(1, 1);
                    data.put_be32(2, 0);
                    data.nest(3, |value| value.put(1, names::bridge_prefix(root_id).as_bytes()));
                });
                expression("counter", &|data| {
                    data.put(1, &[0; 8]);
                    data.put(2, &[0; 8]);
                });
                expression("immediate", &|data| {
                    data.put_be32(1, 0);
                    data.nest(2, |value| value.nest(2, |verdict| verdict.put_be32(1, VERDICT_ACCEPT)));
                });
            });
            if let Some(handle) = before {
                body.put(6, &handle);
            }
            body.put(7, &comment(&names::table(root_id)));
        });
    }
    batch.commit(socket)
}

fn firewalld_admit(bridge: &str) -> bool {
    firewall_cmd(&format!("--change-interface={bridge}"))
}

fn firewall_cmd(argument: &str) -> bool {
    run("firewall-cmd", &["--zone=trusted", argument]).is_some()
}

/// The old kernel tables are invisible to nfnetlink; they are there only where this file names them.
fn legacy_stands() -> bool {
    std::fs::read_to_string("/proc/thread-self/net/ip_tables_names").is_ok_and(|names| names.lines().any(|name| name == "filter"))
}

fn legacy_admit(root_id: &str) -> bool {
    if !legacy_stands() {
        return false;
    }
    let Some(rules) = run("iptables-legacy", &["-S", "FORWARD"]) else { return false };
    let (ours, rules) = (format!("{}+", names::bridge_prefix(root_id)), rules.lines().collect::<Vec<_>>());
    let closing = rules.last().is_some_and(|rule| rule.starts_with("-A FORWARD -j DROP") || rule.starts_with("-A FORWARD -j REJECT"));
    if rules.iter().any(|rule| rule.contains(&ours)) || !(closing || rules.contains(&"-P FORWARD DROP")) {
        return false;
    }
    let place = (rules.len() - 1).to_string(); // the first line is the policy
    ["-i", "-o"].iter().all(|direction| {
        let rule = [direction, ours.as_str(), "-j", "ACCEPT"];
        let arguments = if closing { [&["-w", "-I", "FORWARD", place.as_str()][..], &rule].concat() } else { [&["-w", "-A", "FORWARD"][..], &rule].concat() };
        run("iptables-legacy", &arguments).is_some()
    })
}

fn legacy_withdraw(root_id: &str) {
    if legacy_stands() {
        let ours = format!("{}+", names::bridge_prefix(root_id));
        for direction in ["-i", "-o"] {
            run("iptables-legacy", &["-w", "-D", "FORWARD", direction, &ours, "-j", "ACCEPT"]);
        }
    }
}

/// What a program printed, where it could be run and succeeded.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
