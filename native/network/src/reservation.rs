//! Ports of the host, held by sockets so that a taken one is found at once and nobody takes one of ours.
//!
//! The sockets serve nothing: the firewall sends what arrives to the workload before a socket would see it. So a TCP socket must
//! not be left listening, or a packet that the firewall misses would meet a server that never answers instead of a refusal.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::failure::Failure;
use crate::spec::{PortSpec, Protocol};

pub(crate) fn reserve(ports: &[PortSpec]) -> Result<Vec<OwnedFd>, Failure> {
    ports.iter().map(reserve_one).collect()
}

fn reserve_one(port: &PortSpec) -> Result<OwnedFd, Failure> {
    if port.host_port == 0 || port.workload_port == 0 {
        return Err(Failure::new("INVALID_SPEC", format!("port 0 cannot be published: {port}")));
    }
    let held = match port.protocol {
        Protocol::Tcp => hold_tcp(port),
        Protocol::Udp => hold_udp(port),
    };
    held.map_err(|error| match error.raw_os_error().unwrap_or(libc::EIO) {
        libc::EADDRINUSE => Failure::new("ALREADY_EXISTS", format!("port {port} of the host is already taken"))
            .with_remedy(format!("publish another port, or end what holds it: ss -lntup 'sport = :{}'", port.host_port)),
        libc::EADDRNOTAVAIL => Failure::new("INVALID_SPEC", format!("the host has no address {}", port.host_address)),
        errno => Failure::system(format!("cannot take port {port} of the host"), errno),
    })
}

/// Bound, and out of every other listener's way. SO_REUSEADDR lets it bind beside the remains of closed connections; `listen` is what
/// finds every conflict; without SO_REUSEADDR nobody can listen there afterwards; and `shutdown` ends listening but keeps the port.
fn hold_tcp(port: &PortSpec) -> std::io::Result<OwnedFd> {
    let socket = open(libc::SOCK_STREAM)?;
    set(&socket, libc::SO_REUSEADDR, 1)?;
    bind(&socket, port.host_address, port.host_port)?;
    // SAFETY: plain calls on a descriptor that we own.
    unsafe {
        check(libc::listen(socket.as_raw_fd(), 0))?;
        set(&socket, libc::SO_REUSEADDR, 0)?;
        check(libc::shutdown(socket.as_raw_fd(), libc::SHUT_RD))?;
    }
    Ok(socket)
}

/// Bound and never read: what the firewall misses fills the smallest buffer that the kernel gives, and is dropped.
fn hold_udp(port: &PortSpec) -> std::io::Result<OwnedFd> {
    let socket = open(libc::SOCK_DGRAM)?;
    set(&socket, libc::SO_RCVBUF, 0)?;
    bind(&socket, port.host_address, port.host_port)?;
    Ok(socket)
}

fn open(kind: i32) -> std::io::Result<OwnedFd> {
    // SAFETY: the descriptor is checked and owned at once.
    unsafe {
        let raw = libc::socket(libc::AF_INET, kind | libc::SOCK_CLOEXEC, 0);
        check(raw)?;
        Ok(OwnedFd::from_raw_fd(raw))
    }
}

fn set(socket: &OwnedFd, option: i32, value: i32) -> std::io::Result<()> {
    // SAFETY: `value` outlives the call and its length is given.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const value).cast(), 4) })
}

fn bind(socket: &OwnedFd, address: Ipv4Addr, port: u16) -> std::io::Result<()> {
    let name = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    let length = size_of::<libc::sockaddr_in>() as u32;
    // SAFETY: `name` outlives the call and its length is given.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), length) })
}

fn check(result: i32) -> std::io::Result<()> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    fn port(protocol: Protocol, host_port: u16) -> PortSpec {
        PortSpec { protocol, host_address: Ipv4Addr::LOCALHOST, host_port, workload_port: 80 }
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
    }

    #[test]
    fn a_port_in_use_is_refused_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let taken = listener.local_addr().expect("address").port();
        let failure = reserve(&[port(Protocol::Tcp, taken)]).expect_err("taken");
        assert_eq!(failure.code, "ALREADY_EXISTS");
        assert!(failure.what.contains(&format!("127.0.0.1:{taken}/tcp")), "{}", failure.what);
        assert!(failure.remedy.is_some());
    }

    #[test]
    fn a_reserved_port_is_nobody_elses_and_refuses_connections() {
        let number = free_port();
        let held = reserve(&[port(Protocol::Tcp, number), port(Protocol::Udp, number)]).expect("reserved");
        assert!(reserve(&[port(Protocol::Tcp, number)]).is_err());
        assert!(reserve(&[port(Protocol::Udp, number)]).is_err());
        assert!(TcpListener::bind(("127.0.0.1", number)).is_err(), "std binds with SO_REUSEADDR");
        assert!(TcpListener::bind(("0.0.0.0", number)).is_err());
        assert!(UdpSocket::bind(("127.0.0.1", number)).is_err());
        let refused = TcpStream::connect(("127.0.0.1", number)).expect_err("nobody listens");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        drop(held);
        assert!(TcpListener::bind(("127.0.0.1", number)).is_ok());
    }

    #[test]
    fn remains_of_closed_connections_do_not_stand_in_the_way() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let number = listener.local_addr().expect("address").port();
        let client = TcpStream::connect(("127.0.0.1", number)).expect("connect");
        drop(listener.accept().expect("accept").0); // the server closes first and keeps TIME_WAIT
        drop((client, listener));
        assert!(reserve(&[port(Protocol::Tcp, number)]).is_ok());
    }
}
