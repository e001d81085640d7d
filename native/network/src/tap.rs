//! Taps: a machine's network card as a descriptor. Not persistent, so that it is gone when the last process lets go of it.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::failure::Failure;

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETOWNER: libc::c_ulong = 0x4004_54cc;
const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
const IFF_TUN_EXCL: u16 = 0x8000;

/// `struct ifreq` as far as TUNSETIFF reads it.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// A tap with the first of the names that is free, and that name.
pub(crate) fn open(names: impl Iterator<Item = String>, uid: u32) -> Result<(OwnedFd, String), Failure> {
    let mut last = libc::EEXIST;
    for name in names {
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK).open("/dev/net/tun").map_err(|error| {
            Failure::system("cannot open /dev/net/tun", error.raw_os_error().unwrap_or(libc::EIO)).with_remedy("modprobe tun")
        })?;
        match attach(&file, &name, uid) {
            Ok(()) => return Ok((file.into(), name)),
            Err(errno) if errno == libc::EBUSY || errno == libc::EEXIST => last = errno,
            Err(errno) => return Err(Failure::system("cannot make a tap", errno)),
        }
    }
    Err(Failure::system("no name for a tap is free", last))
}

fn attach(file: &File, name: &str, uid: u32) -> Result<(), i32> {
    let mut request = Request { name: [0; 16], flags: IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL, rest: [0; 22] };
    for (to, from) in request.name.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: the request outlives the call and is as long as the kernel's; TUNSETOWNER takes a number.
    let failed = unsafe {
        libc::ioctl(file.as_raw_fd(), TUNSETIFF as _, &raw mut request) < 0 || libc::ioctl(file.as_raw_fd(), TUNSETOWNER as _, libc::c_ulong::from(uid)) < 0
    };
    if failed { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)) } else { Ok(()) }
}
