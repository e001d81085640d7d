//! Who reaches whom through a bridge of ours. Needs root; every packet stays in namespaces of the tests' own.

mod bed;

use bed::*;
use bulkhead_network::forget_flows;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

#[test]
fn a_workload_reaches_its_host_its_neighbour_and_the_outside_by_the_hosts_address() {
    let bed = Bed::with_bridge();
    let (one, two) = (bed.workload(2, vec![]), bed.workload(3, vec![]));
    bed.host.run(|| serve_tcp(7000));
    bed.outside.run(|| serve_tcp(7000));
    two.run(|| serve_tcp(7000));
    assert_eq!(one.run(|| ask_tcp(GATEWAY, 7000)), Some(IpAddr::V4(address(2))));
    assert_eq!(one.run(|| ask_tcp(address(3), 7000)), Some(IpAddr::V4(address(2))));
    assert_eq!(one.run(|| ask_tcp(OUTSIDE, 7000)), Some(IpAddr::V4(HOST)));
}

#[test]
fn a_published_port_answers_from_everywhere() {
    published_from_everywhere("1");
}

#[test]
fn it_does_so_where_bridged_frames_bypass_the_firewall_too() {
    published_from_everywhere("0");
}

fn published_from_everywhere(bridge_netfilter: &'static str) {
    let bed = Bed::with_bridge();
    // Only where br_netfilter is loaded is there anything to choose.
    bed.host.run(move || std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", bridge_netfilter).ok());
    let (server, other) = (bed.workload(2, vec![tcp(8080, 80), udp(5353, 53)]), bed.workload(3, vec![]));
    server.run(|| {
        serve_tcp(80);
        serve_udp(53, "pong");
    });
    assert_eq!(bed.outside.run(|| ask_tcp(HOST, 8080)), Some(IpAddr::V4(OUTSIDE)), "from outside, and seen as it is");
    assert_eq!(bed.host.run(|| ask_tcp(Ipv4Addr::LOCALHOST, 8080)), Some(IpAddr::V4(GATEWAY)), "from the host by loopback");
    assert!(bed.host.run(|| ask_tcp(HOST, 8080)).is_some(), "from the host by its own address");
    assert!(bed.host.run(|| ask_tcp(GATEWAY, 8080)).is_some(), "from the host by the gateway's address");
    assert!(other.run(|| ask_tcp(HOST, 8080)).is_some(), "from a neighbour");
    assert!(other.run(|| ask_tcp(GATEWAY, 8080)).is_some(), "from a neighbour by the gateway's address");
    assert!(server.run(|| ask_tcp(HOST, 8080)).is_some(), "from the workload itself");
    assert_eq!(bed.outside.run(|| ask_udp(HOST, 5353)).as_deref(), Some("pong"));
    assert_eq!(bed.host.run(|| ask_udp(Ipv4Addr::LOCALHOST, 5353)).as_deref(), Some("pong"));
    assert_eq!(other.run(|| ask_udp(HOST, 5353)).as_deref(), Some("pong"));
    drop(server);
    assert_eq!(bed.outside.run(|| ask_tcp(HOST, 8080)), None, "and no longer when the workload is gone");
}

#[test]
fn a_port_published_on_one_address_answers_on_that_alone() {
    let bed = Bed::with_bridge();
    let mut port = tcp(8080, 80);
    port.host_address = Ipv4Addr::LOCALHOST;
    let server = bed.workload(2, vec![port]);
    server.run(|| serve_tcp(80));
    assert!(bed.host.run(|| ask_tcp(Ipv4Addr::LOCALHOST, 8080)).is_some());
    assert_eq!(bed.outside.run(|| ask_tcp(HOST, 8080)), None);
    // A neighbour on the wire may send to 127.0.0.1 through the host: with its own loopback out of the way, the packet goes out.
    bed.outside.run(|| {
        shell("ip address del 127.0.0.1/8 dev lo; sysctl -qw net.ipv4.conf.all.route_localnet=1");
        shell(&format!("ip route add 127.0.0.1 via {HOST} src {OUTSIDE}"));
    });
    assert_eq!(bed.outside.run(|| ask_tcp(Ipv4Addr::LOCALHOST, 8080)), None);
}

#[test]
fn from_outside_only_published_ports_are_reached() {
    let bed = Bed::with_bridge();
    let server = bed.workload(2, vec![tcp(8080, 80)]);
    server.run(|| {
        serve_tcp(80);
        serve_tcp(81);
    });
    assert_eq!(bed.outside.run(|| ask_tcp(address(2), 81)), None);
    assert_eq!(bed.outside.run(|| ask_tcp(address(2), 80)), None, "published on the host, not on the workload's own address");
    bed.host.run(|| shell("nft flush chain ip bulkhead-a1b2c3 members"));
    assert!(bed.outside.run(|| ask_tcp(address(2), 81)).is_some(), "the control: without our rules it would be");
}

#[test]
fn a_workload_cannot_reach_the_hosts_loopback() {
    let bed = Bed::with_bridge();
    let attacker = bed.workload(2, vec![]);
    bed.host.run(|| serve_udp(9000, "secret"));
    attacker.run(|| {
        shell("ip address del 127.0.0.1/8 dev lo; sysctl -qw net.ipv4.conf.all.route_localnet=1");
        shell(&format!("ip route add 127.0.0.1 via {GATEWAY} src 172.31.0.2"));
    });
    assert_eq!(attacker.run(|| ask_udp(Ipv4Addr::LOCALHOST, 9000)), None);
    bed.host.run(|| shell("nft flush chain ip bulkhead-a1b2c3 guard"));
    assert_eq!(attacker.run(|| ask_udp(Ipv4Addr::LOCALHOST, 9000)).as_deref(), Some("secret"), "the control: without the guard it would");
}

#[test]
fn a_forged_source_address_is_dropped() {
    let bed = Bed::with_bridge();
    let attacker = bed.workload(2, vec![]);
    // The table of frames drops it first; here it is about routed packets, which a machine on the bridge may not forge either.
    bed.host.run(|| shell("nft flush chain bridge bulkhead-a1b2c3 member"));
    attacker.run(|| shell("ip address add 10.66.0.6/32 dev eth0"));
    bed.host.run(|| shell("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done"));
    bed.outside.run(|| shell("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done"));
    let forge = || {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::new(10, 66, 0, 6), 0)).expect("bind");
        let _ = socket.send_to(b"?", (OUTSIDE, 9000));
    };
    let arrived = || shell("nft list counter ip watch forged").contains("packets 1");
    bed.outside.run(|| shell("nft 'add table ip watch; add counter ip watch forged; add chain ip watch in { type filter hook prerouting priority raw; }; add rule ip watch in ip saddr 10.66.0.6 counter name forged'"));
    attacker.run(forge);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!bed.outside.run(arrived));
    bed.host.run(|| shell("nft flush chain ip bulkhead-a1b2c3 guard"));
    attacker.run(forge);
    eventually("the control: without the guard the packet arrives", || bed.outside.run(arrived));
}

#[test]
fn bridges_of_one_network_are_neighbours_and_other_networks_are_not() {
    let bed = Bed::with_bridge();
    bed.ensure(wish("bha1b2c30-1", Ipv4Addr::new(172, 31, 1, 1)));
    bed.ensure(wish("bha1b2c31", Ipv4Addr::new(172, 31, 2, 1)));
    let on = |bridge: &str, number: u8, third: u8| {
        let mut spec = member_spec(number, vec![]);
        (spec.bridge, spec.address, spec.gateway) = (bridge.to_owned(), Ipv4Addr::new(172, 31, third, number), Ipv4Addr::new(172, 31, third, 1));
        bed.join(number, bulkhead_network::NetworkSpec::Bridge(spec))
    };
    let (one, beside, stranger) = (bed.workload(2, vec![]), on("bha1b2c30-1", 3, 1), on("bha1b2c31", 4, 2));
    one.run(|| serve_tcp(80));
    assert!(beside.run(|| ask_tcp(address(2), 80)).is_some());
    assert_eq!(stranger.run(|| ask_tcp(address(2), 80)), None);
}

#[test]
fn the_first_connection_does_not_wait_for_the_link() {
    let bed = Bed::with_bridge();
    bed.host.run(|| serve_tcp(7000));
    for number in 2..22 {
        let took = bed.host.run(move || {
            Namespace::new(move || raise(number, &member(number, vec![]))).run(|| {
                let begin = Instant::now();
                assert!(ask_tcp(GATEWAY, 7000).is_some());
                begin.elapsed()
            })
        });
        assert!(took < Duration::from_millis(900), "a first packet that is lost costs a second: {took:?}");
    }
}

#[test]
fn udp_flows_that_began_before_a_port_was_published_are_forgotten() {
    let bed = Bed::with_bridge();
    let socket = bed.outside.run(|| std::net::UdpSocket::bind((OUTSIDE, 4444)).expect("bind"));
    let ask = |socket: &std::net::UdpSocket| {
        let socket = socket.try_clone().expect("clone");
        bed.outside.run(move || ask_udp_by(&socket, HOST, 5353))
    };
    assert_eq!(ask(&socket), None);
    let first = bed.workload(2, vec![udp(5353, 53)]);
    // The launcher's part, once it has answered.
    bed.host.run(|| forget_flows(&[5353]));
    first.run(|| serve_udp(53, "first"));
    assert_eq!(ask(&socket).as_deref(), Some("first"));
    drop(first);
    let second = bed.workload(3, vec![udp(5353, 53)]);
    second.run(|| serve_udp(53, "second"));
    bed.host.run(|| forget_flows(&[5353]));
    assert_eq!(ask(&socket).as_deref(), Some("second"));
}
