//! Who reaches a cloud's metadata service, which gives away the host's own credentials to whoever asks from its address. Needs root; every packet stays in
//! namespaces of the tests' own, one of which plays the cloud.

mod bed;

use bed::*;
use bulkhead_network::BridgeWish;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

const METADATA: [Ipv4Addr; 3] = [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(169, 254, 170, 2), Ipv4Addr::new(100, 100, 100, 200)];

fn serve_metadata(place: &Namespace) {
    place.run(|| {
        for address in METADATA {
            shell(&format!("ip address add {address}/32 dev lo"));
        }
        serve_tcp(80);
        serve_tcp(53);
        resolve();
    });
}

/// Answers by the address that it was asked at, as TCP does by itself.
fn resolve() {
    let socket = UdpSocket::bind((METADATA[0], 53)).expect("bind");
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(b"resolved", peer);
        }
    });
}

fn permissive() -> BridgeWish {
    BridgeWish { metadata: true, ..wish(BRIDGE, GATEWAY) }
}

/// What a workload gets from each of the addresses by HTTP's port.
fn reached(workload: &Namespace) -> Vec<bool> {
    METADATA.map(|address| workload.run(move || ask_tcp(address, 80)).is_some()).to_vec()
}

#[test]
fn a_workload_reaches_it_only_where_its_bridge_was_told_so() {
    let bed = Bed::with_bridge();
    serve_metadata(&bed.outside);
    let workload = bed.workload(2, vec![]);
    assert_eq!(reached(&workload), [false; 3]);
    assert!(METADATA.iter().all(|address| bed.host.run(|| ask_tcp(*address, 80)).is_some()), "the host itself does");
    assert!(workload.run(|| ask_tcp(OUTSIDE, 80)).is_some(), "and all else is reached");
    let changed = bed.ensure(permissive());
    assert!(changed.iter().any(|line| line.contains("metadata")), "{changed:?}");
    assert_eq!(reached(&workload), [true; 3], "the control");
    assert!(bed.ensure(permissive()).is_empty(), "asked again it changes nothing");
    bed.ensure(wish(BRIDGE, GATEWAY));
    assert_eq!(reached(&workload), [false; 3], "and a daemon that is told otherwise closes it again");
}

#[test]
fn nor_does_it_where_the_host_itself_answers_for_the_cloud() {
    let bed = Bed::with_bridge();
    serve_metadata(&bed.host);
    let workload = bed.workload(2, vec![]);
    assert_eq!(reached(&workload), [false; 3]);
    bed.ensure(permissive());
    assert_eq!(reached(&workload), [true; 3], "the control");
}

#[test]
fn names_are_resolved_there_all_the_same() {
    let bed = Bed::with_bridge();
    serve_metadata(&bed.outside);
    let workload = bed.workload(2, vec![]);
    assert_eq!(workload.run(|| ask_udp(METADATA[0], 53)).as_deref(), Some("resolved"));
    assert!(workload.run(|| ask_tcp(METADATA[0], 53)).is_some());
}

#[test]
fn whoever_asks_is_refused_at_once_and_does_not_wait() {
    let bed = Bed::with_bridge();
    serve_metadata(&bed.outside);
    let refused = bed.workload(2, vec![]).run(|| {
        let begun = Instant::now();
        let answer = std::net::TcpStream::connect_timeout(&(METADATA[0], 80).into(), Duration::from_secs(60));
        (answer.map(drop).map_err(|error| error.raw_os_error()), begun.elapsed() < Duration::from_secs(30))
    });
    assert_eq!(refused, (Err(Some(libc::EHOSTUNREACH)), true));
}

#[test]
fn a_network_of_link_local_addresses_is_a_network_like_others() {
    let bed = Bed::new();
    let gateway = Ipv4Addr::new(169, 254, 7, 1);
    bed.ensure(wish(BRIDGE, gateway));
    bed.host.run(|| serve_tcp(7000));
    let mut spec = member_spec(2, vec![]);
    (spec.address, spec.gateway) = (Ipv4Addr::new(169, 254, 7, 2), gateway);
    let workload = bed.join(2, bulkhead_network::NetworkSpec::Bridge(spec));
    assert!(workload.run(move || ask_tcp(gateway, 7000)).is_some());
}
