//! Host directories: FUSE in the guest, its server on the host, and between them two threads that carry whole messages.
//!
//! A FUSE message begins with its own length (u32 LE), so the port needs no other framing. One write to /dev/fuse must carry
//! exactly one reply. Each share has a port `org.bulkhead.share.N`, so that it goes with clones: nothing but the guest's
//! memory and a byte stream holds its state.

use crate::{boot, sys};
use bulkhead_wire::failure::quote;
use bulkhead_wire::{Code, Failure};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;

/// The kernel's largest message: 1 MiB of data with its header, rounded up.
const BUFFER_BYTES: usize = 1024 * 1024 + 64 * 1024;
const SHORTEST_REPLY_BYTES: usize = 16;

/// Mounts share `number` at `place`. The server is asked only when something in it is touched.
pub fn mount(number: u32, place: &str, read_only: bool) -> Result<(), Failure> {
    let port = File::from(boot::open_port(&format!("org.bulkhead.share.{number}"), 0)?);
    let device = File::from(sys::open("/dev/fuse", libc::O_RDWR)?);
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", device.as_raw_fd());
    let flags = libc::MS_NOSUID | libc::MS_NODEV | if read_only { libc::MS_RDONLY } else { 0 };
    sys::mount("bulkhead", place, "fuse.bulkhead", flags, &data)?;
    let connection = std::fs::read("/proc/self/mountinfo").ok().and_then(|text| connection_of(&String::from_utf8_lossy(&text), place));
    let doing = |error: std::io::Error| Failure::from_io("start a share's pump", &error);
    let (port_out, device_in) = (port.try_clone().map_err(doing)?, device.try_clone().map_err(doing)?);
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.into()).stack_size(64 * 1024).spawn(work);
    spawn("share-ask", Box::new(move || carry_requests(device_in, port_out))).map_err(doing)?;
    spawn("share-reply", Box::new(move || carry_replies(port, device, connection))).map_err(doing)?;
    Ok(())
}

/// Kernel to server, until the mount is gone. A request that was interrupted is asked again by the kernel.
fn carry_requests(mut device: File, mut port: File) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match device.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if port.write_all(&buffer[..length]).is_err() {
                    return;
                }
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::ENOENT | libc::EAGAIN)) => {}
            Err(_) => return,
        }
    }
}

/// Server to kernel. When the server is gone the connection is ended, so callers fail instead of hanging.
fn carry_replies(mut port: File, mut device: File, connection: Option<u32>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(length) = read_message(&mut port, &mut buffer) {
        // ENOENT: the asker was interrupted and gone. Anything else the kernel refuses is the server's fault, and costs that one call.
        let _ = device.write(&buffer[..length]);
    }
    eprintln!("bulkhead: a share's server is gone");
    if let Some(connection) = connection {
        abort(connection);
    }
}

fn read_message(port: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Failure> {
    let broken = |error: std::io::Error| Failure::from_io("read a share's reply", &error);
    port.read_exact(&mut buffer[..4]).map_err(broken)?;
    let length = u32::from_le_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]) as usize;
    if length < SHORTEST_REPLY_BYTES || length > buffer.len() {
        return Err(Failure::new(Code::CorruptData, format!("a share's reply claims {length} bytes")));
    }
    port.read_exact(&mut buffer[4..length]).map_err(broken)?;
    Ok(length)
}

/// The thread that reads requests still holds a descriptor; the connection is ended by its control file.
fn abort(connection: u32) {
    let _ = sys::mkdir("/sys/fs/fuse/connections", 0o755);
    let _ = sys::mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, "");
    let _ = std::fs::write(format!("/sys/fs/fuse/connections/{connection}/abort"), "1");
}

/// The number of the connection whose mount lies at this place on top of all others: the minor number of its device. Asked of the list of mounts,
/// for to ask the mount itself would be to ask the server.
fn connection_of(mounts: &str, place: &str) -> Option<u32> {
    let mount = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some(place))?;
    mount.split(' ').nth(2)?.split_once(':')?.1.parse().ok()
}

/// Refuses a file name that would lead out of the share.
pub fn check_file_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Failure::new(Code::InvalidSpec, format!("{} is no file name", quote(name))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_taken_whole_and_lying_lengths_end_the_share() {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut two = Vec::new();
        for fill in [1u8, 2] {
            two.extend_from_slice(&20u32.to_le_bytes());
            two.extend_from_slice(&[fill; 16]);
        }
        let mut port = &two[..];
        assert_eq!(read_message(&mut port, &mut buffer).unwrap(), 20);
        assert_eq!(buffer[4..20], [1; 16]);
        assert_eq!(read_message(&mut port, &mut buffer).unwrap(), 20);
        assert!(read_message(&mut port, &mut buffer).is_err());
        for lie in [0u32, 15, BUFFER_BYTES as u32 + 1, u32::MAX] {
            assert!(read_message(&mut &lie.to_le_bytes()[..], &mut buffer).is_err());
        }
    }

    #[test]
    fn a_connection_is_known_by_the_topmost_mount_at_its_place() {
        let mounts = "20 1 0:18 / /shares/1 rw - tmpfs t rw\n21 1 0:31 / /shares/10 rw - fuse.bulkhead b rw\n22 20 0:32 / /shares/1 rw - fuse.bulkhead b rw\n";
        assert_eq!((connection_of(mounts, "/shares/1"), connection_of(mounts, "/shares/10"), connection_of(mounts, "/shares/2")), (Some(32), Some(31), None));
    }

    #[test]
    fn a_single_file_is_named_and_nothing_more() {
        assert!(check_file_name("app.conf").is_ok());
        for bad in ["", ".", "..", "a/b", "/etc"] {
            assert!(check_file_name(bad).is_err());
        }
    }
}
