//! Kernel settings below /proc/sys/net, which are the calling thread's network namespace's.

use crate::failure::Failure;

/// What bridges need of the host. Forwarding is one switch for the host, as every container engine sets it; nothing switches it off again, since
/// others may rely on it by then. The rest is about our bridge alone. Tells what it changed.
pub(crate) fn prepare_for_bridge(bridge: &str) -> Result<Vec<String>, Failure> {
    let mut changed = Vec::new();
    set(&mut changed, "ipv4/ip_forward", 1)?;
    // Ports are published on 127.0.0.1 too; the table's `guard` keeps workloads from using it the other way round.
    set(&mut changed, &format!("ipv4/conf/{bridge}/route_localnet"), 1)?;
    // Every member is a neighbour of the host: the kernel's default of 1,024 would be too small from the second bridge of a network on.
    if bridge.contains('-') {
        for (name, least) in [("gc_thresh1", 2048), ("gc_thresh2", 32_768), ("gc_thresh3", 65_536)] {
            // Only in the host's first namespace; elsewhere the file does not exist.
            let path = format!("ipv4/neigh/default/{name}");
            if get(&path).is_some_and(|value| value < least) {
                set(&mut changed, &path, least)?;
            }
        }
    }
    Ok(changed)
}

/// No IPv6 on an interface: it would bring addresses that no rule of ours knows. Kernels without IPv6 have no such file.
pub(crate) fn silence_ipv6(interface: &str) {
    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1");
}

fn get(path: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/net/{path}")).ok()?.trim().parse().ok()
}

fn set(changed: &mut Vec<String>, path: &str, value: u64) -> Result<(), Failure> {
    let before = get(path);
    if before == Some(value) {
        return Ok(());
    }
    let name = format!("net.{}", path.replace('/', "."));
    std::fs::write(format!("/proc/sys/net/{path}"), value.to_string())
        .map_err(|error| Failure::system(format!("cannot set {name} to {value}"), error.raw_os_error().unwrap_or(libc::EIO)))?;
    let before = before.map_or("unset".to_owned(), |number| number.to_string());
    changed.push(format!("{name}: {before} → {value}"));
    Ok(())
}
