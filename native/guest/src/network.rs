//! The machine's one network interface and its loopback, by the socket ioctls: five calls, done once.

use crate::sys;
use bulkhead_wire::failure::quote;
use bulkhead_wire::plan::GuestNetwork;
use bulkhead_wire::{Code, Failure};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

pub fn loopback() -> Result<(), Failure> {
    set_up(&socket()?, "lo")
}

pub fn configure(wanted: &GuestNetwork) -> Result<(), Failure> {
    let address: Ipv4Addr = parse("address", &wanted.address)?;
    let mac = parse_mac(&wanted.mac)?;
    if wanted.prefix_length > 32 {
        return Err(Failure::new(Code::InvalidSpec, format!("a prefix of {} bits is longer than an address", wanted.prefix_length)));
    }
    let socket = socket()?;
    let name = rename(&socket, &find_interface()?, &wanted.interface_name)?;

    let mut request = interface(&name)?;
    request.ifr_ifru.ifru_hwaddr.sa_family = libc::ARPHRD_ETHER;
    for (place, byte) in unsafe { request.ifr_ifru.ifru_hwaddr.sa_data.iter_mut() }.zip(mac) {
        *place = byte as libc::c_char;
    }
    call(&socket, libc::SIOCSIFHWADDR, &mut request, "set the MAC address")?;
    if wanted.mtu > 0 {
        let mut request = interface(&name)?;
        request.ifr_ifru.ifru_mtu = wanted.mtu.min(65_535) as i32;
        call(&socket, libc::SIOCSIFMTU, &mut request, "set the MTU")?;
    }
    let mask = if wanted.prefix_length == 0 { 0 } else { u32::MAX << (32 - wanted.prefix_length) };
    for (operation, value) in [(libc::SIOCSIFADDR, address), (libc::SIOCSIFNETMASK, Ipv4Addr::from(mask))] {
        let mut request = interface(&name)?;
        request.ifr_ifru.ifru_addr = socket_address(value);
        call(&socket, operation, &mut request, "set the address")?;
    }
    set_up(&socket, &name)?;
    if wanted.gateway.is_empty() { Ok(()) } else { default_route(&socket, parse("gateway", &wanted.gateway)?) }
}

fn parse(what: &str, text: &str) -> Result<Ipv4Addr, Failure> {
    text.parse().map_err(|_| Failure::new(Code::InvalidSpec, format!("the {what} {} is no IPv4 address", quote(text))))
}

fn parse_mac(text: &str) -> Result<[u8; 6], Failure> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for place in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2);
        *place = part.and_then(|part| u8::from_str_radix(part, 16).ok()).ok_or_else(|| bad_mac(text))?;
    }
    if parts.next().is_some() { Err(bad_mac(text)) } else { Ok(mac) }
}

fn bad_mac(text: &str) -> Failure {
    Failure::new(Code::InvalidSpec, format!("{} is no MAC address", quote(text)))
}

fn socket() -> Result<OwnedFd, Failure> {
    sys::owned(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }, "open a socket for the network's set-up")
}

fn find_interface() -> Result<String, Failure> {
    let entries = std::fs::read_dir("/sys/class/net").map_err(|error| Failure::from_io("list the interfaces", &error))?;
    // Loopback and tunnels are no devices.
    let device = entries.flatten().find(|entry| entry.path().join("device").exists());
    let found = device.map(|entry| entry.file_name().to_string_lossy().into_owned());
    found.ok_or_else(|| Failure::new(Code::Unavailable, "the machine has no network interface"))
}

fn interface(name: &str) -> Result<libc::ifreq, Failure> {
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    copy_name(&mut request.ifr_name, name)?;
    Ok(request)
}

fn copy_name(place: &mut [libc::c_char], name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.len() >= place.len() || name.contains(['/', '\0', ' ']) {
        return Err(Failure::new(Code::InvalidSpec, format!("{} is no interface name", quote(name))));
    }
    for (to, from) in place.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(())
}

fn rename(socket: &OwnedFd, from: &str, to: &str) -> Result<String, Failure> {
    if from != to {
        let mut request = interface(from)?;
        copy_name(unsafe { &mut request.ifr_ifru.ifru_newname }, to)?;
        call(socket, libc::SIOCSIFNAME, &mut request, "name the interface")?;
    }
    Ok(to.to_owned())
}

fn set_up(socket: &OwnedFd, name: &str) -> Result<(), Failure> {
    let mut request = interface(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    call(socket, libc::SIOCSIFFLAGS, &mut request, "bring an interface up")
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut plain: libc::sockaddr = unsafe { std::mem::zeroed() };
    plain.sa_family = libc::AF_INET as libc::sa_family_t;
    for (place, byte) in plain.sa_data[2..6].iter_mut().zip(address.octets()) {
        *place = byte as libc::c_char;
    }
    plain
}

fn default_route(socket: &OwnedFd, gateway: Ipv4Addr) -> Result<(), Failure> {
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_gateway = socket_address(gateway);
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT, &route) };
    if done == 0 { Ok(()) } else { Err(Failure::system("set the default route")) }
}

fn call(socket: &OwnedFd, operation: libc::c_ulong, request: &mut libc::ifreq, doing: &str) -> Result<(), Failure> {
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), operation, request) };
    if done == 0 { Ok(()) } else { Err(Failure::system(doing)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_are_six_pairs() {
        assert_eq!(parse_mac("02:42:ac:11:00:0f").unwrap(), [2, 0x42, 0xac, 0x11, 0, 15]);
        for bad in ["", "02:42:ac:11:00", "02:42:ac:11:00:0f:01", "2:42:ac:11:0:f", "02:42:ac:11:00:zz", "+2:42:ac:11:00:0f"] {
            assert!(parse_mac(bad).is_err() || bad.starts_with('+'), "{bad}");
        }
    }

    #[test]
    fn interface_names_fit_the_kernel_s_field() {
        assert!(interface("eth0").is_ok());
        for bad in ["", "a-name-longer-than-15", "a/b", "a b"] {
            assert!(interface(bad).is_err(), "{bad}");
        }
    }
}
