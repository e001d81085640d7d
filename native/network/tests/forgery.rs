//! Frames that lie about who sent them. Needs root; every frame stays in namespaces of the tests' own.

mod bed;

use bed::*;
use bulkhead_network::raise_tap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

const EVERYBODY: [u8; 6] = [0xff; 6];
const VICTIM: u8 = 3;
const ATTACKER: u8 = 2;
const IP: [u8; 2] = [8, 0];
const ARP: [u8; 2] = [8, 6];

fn mac(number: u8) -> [u8; 6] {
    [2, 0x42, 172, 31, 0, number]
}

fn frame(from: [u8; 6], kind: &[u8], payload: &[u8], mark: u8) -> Vec<u8> {
    // The mark is what it is known by at the other end: padding, for every protocol.
    [&EVERYBODY[..], &from, kind, payload, &[0xb0, mark, 0xb1, mark, 0xb2, mark]].concat()
}

fn arp(hardware: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, 2][..], &hardware, &address.octets(), &EVERYBODY, &address.octets()].concat()
}

/// A header that says that the mark belongs to it, with its sum: the kernel drops what is wrong there.
fn ip(from: Ipv4Addr) -> Vec<u8> {
    let mut header = [&[0x45, 0, 0, 26, 0, 0, 0, 0, 64, 253, 0, 0][..], &from.octets(), &[255; 4]].concat();
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!(((folded & 0xffff) + (folded >> 16)) as u16)).to_be_bytes());
    header
}

/// Name, frame, and whether it is honest.
fn frames() -> Vec<(&'static str, Vec<u8>, bool)> {
    let (own, neighbour, gateway) = (address(ATTACKER), address(VICTIM), GATEWAY);
    let [a, b, c, d] = gateway.octets();
    let tagged = [&[0x81, 0, 0, 1][..], &IP].concat();
    let mut mark = 0;
    let mut next = |from: [u8; 6], kind: &[u8], payload: Vec<u8>| {
        mark += 1;
        frame(from, kind, &payload, mark)
    };
    vec![
        ("its own address by ARP", next(mac(ATTACKER), &ARP, arp(mac(ATTACKER), own)), true),
        ("its own packet", next(mac(ATTACKER), &IP, ip(own)), true),
        ("a neighbour's address by ARP", next(mac(ATTACKER), &ARP, arp(mac(ATTACKER), neighbour)), false),
        ("the gateway's address by ARP", next(mac(ATTACKER), &ARP, arp(mac(ATTACKER), gateway)), false),
        ("ARP for another's hardware address", next(mac(ATTACKER), &ARP, arp(mac(VICTIM), own)), false),
        ("ARP in a frame of another's", next(mac(VICTIM), &ARP, arp(mac(ATTACKER), own)), false),
        ("the gateway's hardware address", next([2, 0x42, a, b, c, d], &IP, ip(own)), false),
        ("a neighbour as a whole", next(mac(VICTIM), &IP, ip(neighbour)), false),
        ("a neighbour's packet", next(mac(ATTACKER), &IP, ip(neighbour)), false),
        ("the gateway's packet", next(mac(ATTACKER), &IP, ip(gateway)), false),
        ("a packet in a virtual network", next(mac(ATTACKER), &tagged, ip(neighbour)), false),
        ("IPv6", next(mac(ATTACKER), &[0x86, 0xdd], vec![0x60; 40]), false),
        ("a protocol of no name", next(mac(ATTACKER), &[0x88, 0xb5], vec![0; 46]), false),
    ]
}

/// A socket that sees and sends whole frames on `eth0` of the calling thread's namespace.
fn raw_socket() -> OwnedFd {
    let every = (libc::ETH_P_ALL as u16).to_be();
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, i32::from(every));
        assert!(fd >= 0);
        let mut to: libc::sockaddr_ll = std::mem::zeroed();
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_protocol = every;
        to.sll_ifindex = libc::if_nametoindex(c"eth0".as_ptr()) as i32;
        assert_eq!(libc::bind(fd, (&raw const to).cast(), size_of_val(&to) as u32), 0);
        OwnedFd::from_raw_fd(fd)
    }
}

/// Whether a frame with this mark comes in within the time.
fn sees(socket: &OwnedFd, mark: u8, within: Duration) -> bool {
    let sign = [0xb0, mark, 0xb1, mark, 0xb2, mark];
    let deadline = Instant::now() + within;
    let mut buffer = [0u8; 2048];
    while Instant::now() < deadline {
        let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        if got > 0 && buffer[..got as usize].windows(6).any(|some| some == sign) {
            return true;
        }
        if got <= 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    false
}

/// Sends every frame, and says which of those arrived that should not, or did not and should.
fn try_all(send: impl Fn(&[u8]), victim: &Namespace, guarded: bool) {
    for (mark, (name, bytes, honest)) in (1u8..).zip(frames()) {
        let expected = honest || !guarded;
        let socket = victim.run(raw_socket);
        send(&bytes);
        let within = Duration::from_millis(if expected { 2000 } else { 100 });
        assert_eq!(victim.run(move || sees(&socket, mark, within)), expected, "{name}, guarded: {guarded}");
    }
}

/// A bridge on which the host's routing does not see the frames: else it drops some of the forged ones by itself.
fn plain_bridge() -> Bed {
    let bed = Bed::with_bridge();
    for which in ["iptables", "ip6tables"] {
        bed.host.run(move || std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{which}"), "0").ok());
    }
    bed
}

fn without_guard(bed: &Bed) {
    bed.host.run(|| shell("nft flush chain bridge bulkhead-a1b2c3 member"));
}

#[test]
fn a_containers_forged_frames_reach_nobody() {
    let bed = plain_bridge();
    let (attacker, victim) = (bed.workload(ATTACKER, vec![]), bed.workload(VICTIM, vec![]));
    let send = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        attacker.run(move || assert_eq!(unsafe { libc::send(raw_socket().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) }, bytes.len() as isize));
    };
    try_all(send, &victim, true);
    without_guard(&bed);
    try_all(send, &victim, false);
}

#[test]
fn a_machines_forged_frames_reach_nobody() {
    let bed = plain_bridge();
    let victim = bed.workload(VICTIM, vec![]);
    let (tap, network) = bed.host.run(|| raise_tap(&member(ATTACKER, vec![]), ROOT, &id(ATTACKER), 65534).expect("a tap"));
    let tap = std::fs::File::from(tap);
    // Before each frame virtio's header, empty.
    let send = |bytes: &[u8]| (&tap).write_all(&[&[0u8; 10][..], bytes].concat()).expect("sent");
    try_all(send, &victim, true);
    without_guard(&bed);
    try_all(send, &victim, false);
    drop(network);
}

#[test]
fn a_neighbours_memory_of_the_gateway_cannot_be_poisoned() {
    let bed = Bed::with_bridge();
    let (attacker, victim) = (bed.workload(ATTACKER, vec![]), bed.workload(VICTIM, vec![]));
    bed.host.run(|| serve_tcp(7000));
    let poison = || {
        let bytes = frame(mac(ATTACKER), &ARP, &arp(mac(ATTACKER), GATEWAY), 99);
        attacker.run(move || unsafe { libc::send(raw_socket().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) });
        std::thread::sleep(Duration::from_millis(100));
        victim.run(|| shell("ip neighbour show 172.31.0.1")).contains("02:42:ac:1f:00:02")
    };
    assert!(victim.run(|| ask_tcp(GATEWAY, 7000)).is_some());
    victim.run(|| shell("echo 0 > /proc/sys/net/ipv4/neigh/eth0/locktime; echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_accept"));
    assert!(!poison());
    assert!(victim.run(|| ask_tcp(GATEWAY, 7000)).is_some());
    without_guard(&bed);
    assert!(poison(), "the control: without the guard it can");
}

/// Frames to link-local destinations are for the bridge itself: it takes them in before the guard is asked.
#[test]
fn a_neighbours_place_on_the_bridge_cannot_be_taken_by_link_local_frames() {
    let bed = plain_bridge();
    let (attacker, victim) = (bed.workload(ATTACKER, vec![]), bed.workload(VICTIM, vec![]));
    bed.host.run(|| serve_tcp(7001));
    assert!(victim.run(|| ask_tcp(GATEWAY, 7001)).is_some());
    let port_of = |station: [u8; 6]| {
        let name = station.map(|byte| format!("{byte:02x}")).join(":");
        bed.host.run(move || shell("bridge fdb show")).lines().find(|line| line.starts_with(&name) && line.contains("master")).map(str::to_owned)
    };
    let before = port_of(mac(VICTIM)).expect("the victim is known by its port");
    let attack = || {
        for last in [0x00, 0x02, 0x03, 0x0e] {
            let bytes = [&[0x01, 0x80, 0xc2, 0, 0, last][..], &mac(VICTIM), &[0x88, 0xcc], &[0; 46]].concat();
            attacker.run(move || unsafe { libc::send(raw_socket().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) });
        }
        std::thread::sleep(Duration::from_millis(50));
        port_of(mac(VICTIM)).unwrap_or_default().split_whitespace().nth(2).map(str::to_owned)
    };
    let own = before.split_whitespace().nth(2).map(str::to_owned);
    assert_eq!(attack(), own);
    bed.host.run(|| shell(&format!("ip link set {BRIDGE} type bridge no_linklocal_learn 0")));
    assert_ne!(attack(), own, "the control: a bridge that learns from them moves the victim");
}

#[test]
fn what_a_member_may_send_with_is_forgotten_with_it_and_told_anew_after_a_flush() {
    let bed = Bed::with_bridge();
    let stations = || bed.host.run(|| shell("nft list set bridge bulkhead-a1b2c3 stations"));
    let one = bed.workload(2, vec![]);
    assert!(stations().contains("172.31.0.2"));
    drop(one);
    assert!(!stations().contains("172.31.0.2"));
    // As a killed supervisor leaves it.
    let spec = member(4, vec![]);
    bed.host.run(move || Namespace::new(|| ()).run(move || std::mem::forget(raise(4, &spec))));
    assert!(stations().contains("172.31.0.4"));
    let removed = bed.host.run(|| bulkhead_network::sweep(ROOT, &[]).expect("swept"));
    assert!(removed.contains(&id(4)) && !stations().contains("172.31.0.4"), "{removed:?}");
    bed.host.run(|| {
        shell("nft flush ruleset");
        assert!(!bulkhead_network::table_stands(ROOT).expect("asked"));
    });
    bed.ensure(wish(BRIDGE, GATEWAY));
    bed.host.run(|| serve_tcp(7000));
    let again = bed.workload(5, vec![]);
    assert!(again.run(|| ask_tcp(GATEWAY, 7000)).is_some());
    bed.host.run(|| bulkhead_network::bridge_remove(ROOT, BRIDGE).expect("removed"));
    assert!(!bed.host.run(|| shell("nft list ruleset")).contains("a1b2c3"));
}

#[test]
fn who_was_there_before_the_guard_keeps_its_network_and_is_guarded_once_it_was_told_of() {
    let bed = plain_bridge();
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let member = bed.host.run(move || {
        Namespace::new(move || {
            let mut network = raise(ATTACKER, &member(ATTACKER, vec![]));
            std::thread::spawn(move || {
                let () = asked.recv().expect("asked");
                network.republish().expect("told");
                tell.send(()).expect("heard");
                std::mem::forget(network);
            });
        })
    });
    let victim = bed.workload(VICTIM, vec![]);
    bed.host.run(|| {
        serve_tcp(7000);
        // As after an upgrade from a build that knew of no such table.
        shell("nft delete table bridge bulkhead-a1b2c3");
    });
    bed.ensure(wish(BRIDGE, GATEWAY));
    assert!(member.run(|| ask_tcp(GATEWAY, 7000)).is_some());
    ask.send(()).expect("it waits");
    told.recv().expect("told");
    assert!(member.run(|| ask_tcp(GATEWAY, 7000)).is_some());
    let send = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        member.run(move || assert_eq!(unsafe { libc::send(raw_socket().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) }, bytes.len() as isize));
    };
    try_all(send, &victim, true);
}
