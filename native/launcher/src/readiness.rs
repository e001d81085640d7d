//! Tells systemd that the launcher listens (sd_notify(3)), where systemd asked to be told.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends READY=1 once, and forgets the address, so that no supervisor speaks in the launcher's name. Silent where nobody listens.
pub fn announce() {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return };
    // Still one thread: nobody reads the environment meanwhile.
    unsafe { std::env::remove_var("NOTIFY_SOCKET") };
    let bytes = address.as_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&address),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(b"READY=1", &address);
    }
}
