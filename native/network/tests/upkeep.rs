//! What stands on the host, what is refused, and what is left afterwards. Needs root; everything is in namespaces of the tests' own.

mod bed;

use bed::*;
use bulkhead_network::*;
use std::os::fd::AsRawFd;

fn rules() -> String {
    shell("nft list ruleset")
}

#[test]
fn a_port_of_the_host_that_is_taken_is_refused_by_name_and_nothing_is_left() {
    let bed = Bed::with_bridge();
    bed.host.run(|| serve_tcp(8080));
    let failure = bed.host.run(|| Namespace::new(|| ()).run(|| raise_for_process(&member(2, vec![tcp(9090, 80), tcp(8080, 80)]), ROOT, &id(2)).expect_err("taken")));
    assert_eq!((failure.code, failure.what.as_str()), ("ALREADY_EXISTS", "port 0.0.0.0:8080/tcp of the host is already taken"));
    assert!(!bed.host.run(rules).contains("9090"));
    assert!(!bed.host.run(|| shell("ip -br link")).contains("bva1b2c3"));
    let _free_again = bed.workload(2, vec![tcp(9090, 80)]);
}

#[test]
fn many_ports_are_published_and_given_back_at_once() {
    let bed = Bed::with_bridge();
    let ports: Vec<_> = (10_000..10_600).map(|port| tcp(port, port)).collect();
    let server = bed.workload(2, ports);
    server.run(|| serve_tcp(10_599));
    assert!(bed.outside.run(|| ask_tcp(HOST, 10_599)).is_some());
    drop(server);
    assert!(!bed.host.run(rules).contains("10599"));
}

#[test]
fn ports_of_a_killed_supervisor_are_swept_or_overwritten_by_the_next() {
    let bed = Bed::with_bridge();
    // As a killed supervisor leaves it: sockets and namespace gone, elements there.
    let kill = |number: u8, port: u16| {
        let spec = member(number, vec![tcp(port, 80), udp(port, 80)]);
        bed.host.run(move || Namespace::new(|| ()).run(move || std::mem::forget(raise(number, &spec))));
    };
    // `forget` keeps the sockets too: close them as the kernel would.
    kill(2, 8081);
    close_sockets_bound_to(8081);
    let again = bed.workload(3, vec![tcp(8081, 80)]);
    again.run(|| serve_tcp(80));
    assert!(bed.outside.run(|| ask_tcp(HOST, 8081)).is_some(), "the dead one's element gave way");
    assert!(bed.host.run(rules).contains(&id(2)), "the dead one's other port is still there");
    bed.host.run(|| ports_remove_for(ROOT, &id(2)).expect("removed"));
    assert!(!bed.host.run(rules).contains(&id(2)));
    kill(4, 8084);
    let removed = bed.host.run(|| sweep(ROOT, &[&id(3)]).expect("swept"));
    assert!(removed.contains(&id(4)) && !removed.contains(&id(3)), "{removed:?}");
    assert!(bed.host.run(rules).contains(&id(3)) && !bed.host.run(rules).contains(&id(4)));
    assert!(bed.outside.run(|| ask_tcp(HOST, 8081)).is_some(), "who is kept is untouched");
}

/// Closes this process's sockets of a local port, whatever namespace they belong to.
fn close_sockets_bound_to(port: u16) {
    for descriptor in 3..1024 {
        let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        let mut length = size_of::<libc::sockaddr_in>() as u32;
        let known = unsafe { libc::getsockname(descriptor, (&raw mut name).cast(), &raw mut length) } == 0;
        if known && i32::from(name.sin_family) == libc::AF_INET && name.sin_port == port.to_be() {
            unsafe { libc::close(descriptor) };
        }
    }
}

#[test]
fn ensuring_a_bridge_twice_changes_nothing_and_mends_what_was_taken() {
    let bed = Bed::new();
    bed.host.run(|| shell("sysctl -qw net.ipv4.ip_forward=0")); // a new namespace takes it from the machine's own
    let first = bed.ensure(wish(BRIDGE, GATEWAY));
    assert!(first.iter().any(|line| line.contains("net.ipv4.ip_forward: 0 → 1")), "it says what it changed: {first:?}");
    assert_eq!(bed.ensure(wish(BRIDGE, GATEWAY)), Vec::<String>::new());
    bed.host.run(|| shell(&format!("nft flush ruleset; ip link set {BRIDGE} down; ip address flush dev {BRIDGE}; ip address add 172.31.9.9/24 dev {BRIDGE}")));
    assert!(!bed.ensure(wish(BRIDGE, GATEWAY)).is_empty());
    assert_eq!(bed.ensure(wish(BRIDGE, GATEWAY)), Vec::<String>::new());
    let (one, addresses) = (bed.workload(2, vec![]), bed.host.run(|| shell(&format!("ip -4 -br address show {BRIDGE}"))));
    assert!(addresses.contains("172.31.0.1/24") && !addresses.contains("172.31.9.9"), "{addresses}");
    bed.outside.run(|| serve_tcp(7000));
    assert!(one.run(|| ask_tcp(OUTSIDE, 7000)).is_some());
}

#[test]
fn bridges_that_are_made_at_once_share_one_table() {
    let bed = Bed::new();
    bed.host.run(|| {
        let making: Vec<_> = (0..6_u8)
            .map(|number| {
                let name = if number == 0 { BRIDGE.to_owned() } else { format!("{BRIDGE}-{number}") };
                std::thread::spawn(move || bridge_ensure(ROOT, &wish(&name, std::net::Ipv4Addr::new(172, 31, number, 1))).map(drop))
            })
            .collect();
        for made in making {
            made.join().expect("see above").expect("made");
        }
        let rules = rules();
        assert_eq!(rules.matches("fib saddr").count(), 1, "{rules}");
        assert!((1..6).all(|number| rules.contains(&format!("{BRIDGE}-{number}"))), "{rules}");
    });
}

#[test]
fn removing_bridges_leaves_the_host_as_it_was() {
    let bed = Bed::new();
    let look = || format!("{}{}", rules(), shell("ip -br link | grep -v ^up0"));
    let before = bed.host.run(look);
    bed.ensure(wish(BRIDGE, GATEWAY));
    let with_one = bed.host.run(look);
    bed.ensure(wish("bha1b2c30-1", std::net::Ipv4Addr::new(172, 31, 1, 1)));
    bed.host.run(|| bridge_remove(ROOT, "bha1b2c30-1").expect("removed"));
    assert_eq!(bed.host.run(look), with_one);
    bed.host.run(|| bridge_remove(ROOT, BRIDGE).expect("removed"));
    bed.host.run(|| bridge_remove(ROOT, BRIDGE).expect("a second time"));
    assert_eq!(bed.host.run(look), before);
}

/// A foreign firewall drops what is forwarded: ours passes once it is known there, the owner's own rules still count, and all is taken back.
fn coexists(forbid: &'static str, own_rule: &'static str) {
    let bed = Bed::with_bridge();
    let server = bed.workload(2, vec![tcp(8080, 80)]);
    server.run(|| serve_tcp(80));
    bed.outside.run(|| serve_tcp(7000));
    bed.host.run(move || shell(forbid));
    let before = bed.host.run(rules);
    assert_eq!(server.run(|| ask_tcp(OUTSIDE, 7000)), None, "the control: it does drop");
    assert_eq!(bed.outside.run(|| ask_tcp(HOST, 8080)), None);
    let changed = bed.ensure(wish(BRIDGE, GATEWAY));
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert!(server.run(|| ask_tcp(OUTSIDE, 7000)).is_some(), "{}", bed.host.run(rules));
    assert!(bed.outside.run(|| ask_tcp(HOST, 8080)).is_some());
    assert_eq!(bed.ensure(wish(BRIDGE, GATEWAY)), Vec::<String>::new());
    bed.host.run(move || shell(own_rule));
    assert_eq!(server.run(|| ask_tcp(OUTSIDE, 7000)), None, "what the owner forbids by a rule stays forbidden");
    bed.host.run(|| bridge_remove(ROOT, BRIDGE).expect("removed"));
    let after = bed.host.run(rules);
    let forward = |rules: &str| rules.lines().filter(|line| line.contains("bha1b2c3")).count();
    assert_eq!((forward(&after), before.contains("drop") || before.contains("reject") || before.contains("DROP")), (0, true), "{after}");
}

#[test]
fn it_passes_an_iptables_forward_policy_of_drop_as_docker_and_ufw_set_it() {
    coexists(
        "iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER-USER; iptables-nft -A FORWARD -j DOCKER-USER; iptables-nft -A DOCKER-USER -j RETURN",
        // iptables must still understand its own table with our rules in it.
        "iptables-nft -S FORWARD | grep -q -- '-A FORWARD -i bha1b2c3+ .*-j ACCEPT'; iptables-nft -I DOCKER-USER -d 10.99.0.2 -j DROP",
    );
}

#[test]
fn it_passes_a_chain_that_ends_in_a_rejection_as_firewalld_has_it() {
    coexists(
        "nft 'table inet guard { chain FORWARD { type filter hook forward priority 10; policy accept; ct state established,related accept; reject with icmpx admin-prohibited; }; }'",
        "nft insert rule inet guard FORWARD ip daddr 10.99.0.2 drop",
    );
}

#[test]
fn it_passes_a_chain_of_the_administrators_own_that_drops() {
    coexists(
        "nft 'table inet filter { chain forward { type filter hook forward priority filter; policy drop; }; }'",
        "nft insert rule inet filter forward ip daddr 10.99.0.2 drop",
    );
}

#[test]
fn it_passes_the_old_iptables_too() {
    let bed = Bed::new();
    if !bed.host.run(|| std::process::Command::new("iptables-legacy").args(["-P", "FORWARD", "DROP"]).output().is_ok_and(|output| output.status.success())) {
        eprintln!("skipped: this kernel has no iptables-legacy filter table");
        return;
    }
    bed.ensure(wish(BRIDGE, GATEWAY));
    let one = bed.workload(2, vec![]);
    bed.outside.run(|| serve_tcp(7000));
    assert!(one.run(|| ask_tcp(OUTSIDE, 7000)).is_some());
    assert!(bed.host.run(|| shell("iptables-legacy -S FORWARD")).contains("bha1b2c3+"));
    assert_eq!(bed.ensure(wish(BRIDGE, GATEWAY)), Vec::<String>::new());
    bed.host.run(|| bridge_remove(ROOT, BRIDGE).expect("removed"));
    assert!(!bed.host.run(|| shell("iptables-legacy -S FORWARD")).contains("bha1b2c3"));
}

#[test]
fn a_workload_without_a_network_has_its_loopback_alone() {
    let bed = Bed::new();
    let alone = bed.join(2, NetworkSpec::None);
    alone.run(|| serve_tcp(80));
    assert!(alone.run(|| ask_tcp(std::net::Ipv4Addr::LOCALHOST, 80)).is_some());
    let links = alone.run(|| shell("ip -o link | grep LOWER_UP"));
    assert!(links.lines().count() == 1 && links.contains("lo:"), "{links}");
}

#[test]
fn traffic_is_counted_as_the_workload_sees_it() {
    let bed = Bed::with_bridge();
    bed.host.run(|| serve_udp(7000, "a longer answer than the question"));
    let traffic = bed.host.run(|| {
        Namespace::new(|| ()).run(|| {
            let network = raise(2, &member(2, vec![]));
            ask_udp(GATEWAY, 7000).expect("an answer");
            network.traffic().expect("counted")
        })
    });
    assert!(traffic.sent_packets >= 2 && traffic.received_packets >= 2 && traffic.received_bytes > 70, "{traffic:?}");
}

#[test]
fn a_machines_tap_joins_the_bridge_and_goes_with_its_descriptor() {
    let bed = Bed::with_bridge();
    bed.host.run(|| {
        let (tap, network) = raise_tap(&member(2, vec![tcp(8080, 80)]), ROOT, &id(2), 65534).expect("a tap");
        assert!(shell("ip -o link show bta1b2c30202020").contains("master bha1b2c30"));
        // Somebody calls the published port: the bridge asks on the tap who has the machine's address.
        std::thread::spawn(|| ask_tcp(HOST, 8080));
        let mut asked = false;
        for _ in 0..200 {
            let mut frame = [0_u8; 2048];
            let length = unsafe { libc::read(tap.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len()) };
            // After ten bytes of virtio-net header: Ethernet, type ARP, the address asked for at the end.
            asked |= length >= 52 && frame[22..24] == [8, 6] && frame[48..52] == address(2).octets();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(asked);
        assert!(network.traffic().expect("counted").received_packets > 0);
        drop((tap, network));
        assert!(!shell("ip -o link").contains("bta1b2c3"));
        assert!(!rules().contains("8080"));
    });
}

#[test]
fn the_thousand_and_twenty_fourth_member_is_refused_by_name() {
    let bed = Bed::with_bridge();
    bed.host.run(|| {
        let lines: String = (0..512)
            .map(|number| {
                let second = if number < 511 { format!("link set e{number} master {BRIDGE}\n") } else { String::new() };
                format!("link add d{number} type veth peer name e{number}\nlink set d{number} master {BRIDGE}\n{second}")
            })
            .collect();
        std::fs::write("/tmp/bulkhead-network-test-batch", lines).expect("written");
        shell("ip -batch /tmp/bulkhead-network-test-batch; rm /tmp/bulkhead-network-test-batch");
    });
    let failure = bed.host.run(|| Namespace::new(|| ()).run(|| raise_for_process(&member(2, vec![]), ROOT, &id(2)).expect_err("full")));
    assert_eq!(failure.code, "EXHAUSTED");
    assert!(failure.what.contains("1,023 members"), "{}", failure.what);
}

#[test]
fn probes_find_what_works_by_doing_it() {
    for probe in [probe_bridge(), probe_nftables(), probe_tun()] {
        assert!(probe.works, "{}", probe.detail);
    }
}
