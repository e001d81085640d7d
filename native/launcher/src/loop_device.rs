//! A file as a block device (loop(4)), for as long as somebody has it mounted.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

const CONTROL: &str = "/dev/loop-control";
/// `linux/loop.h`.
const LOOP_CTL_GET_FREE: u64 = 0x4c82;
const LOOP_CONFIGURE: u64 = 0x4c0a;
const LOOP_SET_DIRECT_IO: u64 = 0x4c08;
const AUTOCLEAR: u32 = 4;
/// `LO_NAME_SIZE`, `LO_KEY_SIZE`.
const NAME_BYTES: usize = 64;
const KEY_BYTES: usize = 32;
/// How often another may take the free one first.
const MOST_TRIES: usize = 64;

/// `struct loop_info64`.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; NAME_BYTES],
    crypt_name: [u8; NAME_BYTES],
    encrypt_key: [u8; KEY_BYTES],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct Configuration {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// The device's path, and the descriptor that keeps it until it is mounted: it is the kernel's again when the last user lets go.
pub fn attach(file: &File) -> io::Result<(CString, File)> {
    let control = OpenOptions::new().read(true).write(true).open(CONTROL)?;
    for _ in 0..MOST_TRIES {
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let path = format!("/dev/loop{number}");
        let device = OpenOptions::new().read(true).write(true).open(&path)?;
        // SAFETY: plain numbers, of which all zeros are a value.
        let mut wanted: Configuration = unsafe { std::mem::zeroed() };
        wanted.fd = file.as_raw_fd() as u32;
        wanted.info.flags = AUTOCLEAR;
        if unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, &raw const wanted) } == 0 {
            // Its pages are cached once, above; where the filesystem below cannot do that, twice.
            unsafe { libc::ioctl(device.as_raw_fd(), LOOP_SET_DIRECT_IO as _, 1 as libc::c_ulong) };
            return Ok((CString::new(path)?, device));
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EBUSY) {
            return Err(error);
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}
