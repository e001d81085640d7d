//! A host of the tests' own: network namespaces held by threads. Nothing here touches the machine's own network.
#![allow(dead_code)] // each test program uses a part of it

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use bulkhead_network::{BridgeSpec, BridgeWish, Network, NetworkSpec, PortSpec, Protocol, bridge_ensure, raise_for_process};

pub const ROOT: &str = "a1b2c3";
pub const BRIDGE: &str = "bha1b2c30";
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 1);
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

type Job = Box<dyn FnOnce() + Send>;

/// A thread in a network namespace, which does what it is told there. The namespace is gone with it.
pub struct Namespace {
    jobs: Option<Sender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
    pub thread_id: i32,
}

impl Namespace {
    /// `enter` runs first in the new thread, which begins in its maker's namespace; what it returns is kept until the end.
    pub fn new<T: 'static>(enter: impl FnOnce() -> T + Send + 'static) -> Self {
        let (jobs, inbox) = channel::<Job>();
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || {
            let kept = enter();
            ready.send(unsafe { libc::gettid() }).expect("somebody waits");
            for job in inbox {
                job();
            }
            drop(kept);
        });
        let thread_id = is_ready.recv().expect("the namespace could not be made");
        Self { jobs: Some(jobs), thread: Some(thread), thread_id }
    }

    pub fn fresh() -> Self {
        Self::new(|| {
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "these tests need root");
            shell("ip link set lo up");
        })
    }

    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, answered) = channel();
        let job: Job = Box::new(move || drop(answer.send(work())));
        self.jobs.as_ref().expect("not ended").send(job).expect("the thread lives");
        answered.recv().expect("the work panicked: see above")
    }

    pub fn path(&self) -> String {
        format!("/proc/{}/task/{}/ns/net", std::process::id(), self.thread_id)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let _ = self.thread.take().map(|thread| thread.join());
    }
}

/// A host with an uplink, and somebody outside on the other end of it.
pub struct Bed {
    pub host: Namespace,
    pub outside: Namespace,
}

impl Bed {
    pub fn new() -> Self {
        let (host, outside) = (Namespace::fresh(), Namespace::fresh());
        let path = outside.path();
        host.run(move || {
            shell(&format!("ip link add up0 type veth peer name up1 netns {path}"));
            shell(&format!("ip address add {HOST}/24 dev up0; ip link set up0 up"));
            shell(&format!("ip route add default via {OUTSIDE}"));
        });
        outside.run(|| {
            shell(&format!("ip address add {OUTSIDE}/24 dev up1; ip link set up1 up"));
            shell(&format!("ip route add 172.16.0.0/12 via {HOST}"));
        });
        Self { host, outside }
    }

    pub fn with_bridge() -> Self {
        let bed = Self::new();
        bed.ensure(wish(BRIDGE, GATEWAY));
        bed
    }

    pub fn ensure(&self, wish: BridgeWish) -> Vec<String> {
        self.host.run(move || bridge_ensure(ROOT, &wish).unwrap_or_else(|failure| panic!("{failure}")))
    }

    /// A workload's namespace, joined by the code under test.
    pub fn workload(&self, number: u8, ports: Vec<PortSpec>) -> Namespace {
        self.join(number, member(number, ports))
    }

    pub fn join(&self, number: u8, spec: NetworkSpec) -> Namespace {
        self.host.run(move || Namespace::new(move || raise(number, &spec)))
    }
}

pub fn raise(number: u8, spec: &NetworkSpec) -> Network {
    raise_for_process(spec, ROOT, &id(number)).unwrap_or_else(|failure| panic!("{failure}"))
}

pub fn wish(bridge: &str, address: Ipv4Addr) -> BridgeWish {
    BridgeWish { bridge: bridge.to_owned(), address, prefix_length: 24, mtu: 1500, masquerade: true, metadata: false, owner: "/no/such/root".to_owned() }
}

pub fn id(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

pub fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 31, 0, number)
}

pub fn member_spec(number: u8, ports: Vec<PortSpec>) -> BridgeSpec {
    BridgeSpec {
        bridge: BRIDGE.to_owned(),
        interface_name: "eth0".to_owned(),
        address: address(number),
        prefix_length: 24,
        gateway: GATEWAY,
        mac: [2, 0x42, 172, 31, 0, number],
        mtu: 1500,
        ports,
    }
}

pub fn member(number: u8, ports: Vec<PortSpec>) -> NetworkSpec {
    NetworkSpec::Bridge(member_spec(number, ports))
}

pub fn tcp(host_port: u16, workload_port: u16) -> PortSpec {
    PortSpec { protocol: Protocol::Tcp, host_address: Ipv4Addr::UNSPECIFIED, host_port, workload_port }
}

pub fn udp(host_port: u16, workload_port: u16) -> PortSpec {
    PortSpec { protocol: Protocol::Udp, ..tcp(host_port, workload_port) }
}

/// Serves TCP on a port of the calling thread's namespace: each caller is told by which address it is seen.
pub fn serve_tcp(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("listen");
    std::thread::spawn(move || {
        use std::io::Write;
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let peer = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
            let _ = stream.write_all(peer.as_bytes());
        }
    });
}

pub fn serve_udp(port: u16, answer: &'static str) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("bind");
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(answer.as_bytes(), peer);
        }
    });
}

/// The address by which the server at the other end sees the calling thread; none where nobody answers in two seconds.
pub fn ask_tcp(address: Ipv4Addr, port: u16) -> Option<IpAddr> {
    use std::io::Read;
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, port)), Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    said.parse().ok()
}

pub fn ask_udp(address: Ipv4Addr, port: u16) -> Option<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    ask_udp_by(&socket, address, port)
}

pub fn ask_udp_by(socket: &UdpSocket, address: Ipv4Addr, port: u16) -> Option<String> {
    socket.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    socket.send_to(b"?", (address, port)).ok()?;
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

pub fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().expect("sh");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "not within five seconds: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
