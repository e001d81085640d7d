//! The image's layers and the scratch disk: virtio drives told apart by their serial, never by their order.

use crate::sys::{self, c};
use bulkhead_wire::plan::GuestLayer;
use bulkhead_wire::{Code, Failure};
use std::os::fd::{AsRawFd, OwnedFd};

/// The serials that the driver gives its drives.
const ROOT_SERIAL: &str = "root";
const SCRATCH_SERIAL: &str = "scratch";
const SECTOR: u64 = 512;

const BLKFLSBUF: libc::c_ulong = 0x1261;
const BLKRASET: libc::c_ulong = 0x1262;
/// A machine waits longer for a request than for its bytes: a program's pages come in a few large ones.
const READ_AHEAD_SECTORS: libc::c_ulong = 1024;
const BLKPG: libc::c_ulong = 0x1269;
const BLKPG_ADD_PARTITION: i32 = 1;

/// `linux/blkpg.h`.
#[repr(C)]
struct Partition {
    start: i64,
    length: i64,
    number: i32,
    names: [u8; 128],
}

#[repr(C)]
struct PartitionCall {
    operation: i32,
    flags: i32,
    length: i32,
    data: *mut Partition,
}

/// `/dev/vdX` of the drives, found before the machine says hello: what a clone puts in their place has their serials.
pub struct Drives {
    root: Option<String>,
    scratch: Option<String>,
}

impl Drives {
    pub fn find() -> Drives {
        let mut found = Drives { root: None, scratch: None };
        for entry in std::fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            let device = || Some(format!("/dev/{}", entry.file_name().to_string_lossy()));
            match std::fs::read_to_string(entry.path().join("serial")).unwrap_or_default().trim_end() {
                ROOT_SERIAL => found.root = device(),
                SCRATCH_SERIAL => found.scratch = device(),
                _ => {}
            }
        }
        found
    }

    /// Mounts every layer read-only and gives their places, in the order given: uppermost first. A partition per layer is four times
    /// quicker than a loop device with an offset.
    pub fn mount_layers(&self, layers: &[GuestLayer]) -> Result<Vec<String>, Failure> {
        let device = self.root.as_ref().ok_or_else(|| Failure::new(Code::Unavailable, "the machine has no root drive"))?;
        let drive = sys::open(device, libc::O_RDONLY)?;
        forget(&drive);
        unsafe { libc::ioctl(drive.as_raw_fd(), BLKRASET, READ_AHEAD_SECTORS) };
        let mut places = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            let number = index as i32 + 1;
            add_partition(&drive, number, layer)?;
            let place = format!("/layers/{index}");
            sys::mkdir(&place, 0o755)?;
            sys::mount(&format!("{device}{number}"), &place, "erofs", libc::MS_RDONLY, "")?;
            places.push(place);
        }
        Ok(places)
    }

    /// Mounts the scratch disk, or without one a tmpfs of this size, on `/scratch`. Either holds its limit by itself.
    pub fn mount_scratch(&self, without_disk_bytes: u64) -> Result<(), Failure> {
        let Some(device) = &self.scratch else {
            return sys::mount("tmpfs", "/scratch", "tmpfs", 0, &format!("mode=0755,size={without_disk_bytes}"));
        };
        forget(&sys::open(device, libc::O_RDONLY)?);
        // The host left the inode tables unwritten; they stay so until they are used.
        sys::mount(device, "/scratch", "ext4", libc::MS_NOATIME, "noinit_itable,discard")
    }
}

/// Forgets what was read of a drive before now: at the saved point of a template it was another one.
fn forget(drive: &OwnedFd) {
    unsafe { libc::ioctl(drive.as_raw_fd(), BLKFLSBUF, 0) };
}

fn add_partition(drive: &OwnedFd, number: i32, layer: &GuestLayer) -> Result<(), Failure> {
    let aligned = layer.offset_bytes % SECTOR == 0 && layer.length_bytes % SECTOR == 0 && layer.length_bytes > 0;
    let (Ok(start), Ok(length)) = (i64::try_from(layer.offset_bytes), i64::try_from(layer.length_bytes)) else {
        return Err(Failure::new(Code::InvalidSpec, "a layer lies beyond any drive"));
    };
    if !aligned {
        return Err(Failure::new(Code::InvalidSpec, "a layer does not begin and end on a sector"));
    }
    let mut partition = Partition { start, length, number, names: [0; 128] };
    let size = size_of::<Partition>() as i32;
    let mut call = PartitionCall { operation: BLKPG_ADD_PARTITION, flags: 0, length: size, data: &mut partition };
    if unsafe { libc::ioctl(drive.as_raw_fd(), BLKPG, &mut call) } != 0 {
        return Err(Failure::system(&format!("find layer {number} on the root drive")));
    }
    Ok(())
}

/// The overlay of layers and scratch disk on `/root`.
pub fn mount_overlay(layers: &[String]) -> Result<(), Failure> {
    sys::mkdir("/scratch/upper", 0o755)?;
    sys::mkdir("/scratch/work", 0o755)?;
    let data = format!("lowerdir={},upperdir=/scratch/upper,workdir=/scratch/work", layers.join(":"));
    c(&data)?;
    sys::mount("overlay", "/root", "overlay", 0, &data)
}
