//! `diskImage`: a disk image that came from outside becomes the disk beneath machines. Its header is read here, and says by itself whether
//! anything of this host is named in it; what a program must take apart (qcow2) is taken apart by a confined one that sees the image, an
//! empty file, and the system's own programs.

use crate::beneath::Below;
use crate::confined::{self, Done, Job};
use crate::disk_header;
use crate::launch::Place;
use crate::programs;
use bulkhead_confine::Seen;
use bulkhead_wire::failure::{Code, Failure, quote};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, fchown};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskImage {
    blob: String,
    file: String,
    format: String,
    max_bytes: u64,
    reserve_bytes: u64,
}

const USER: u32 = 0x6e00_0001;
const MOST_MEMORY_BYTES: u64 = 1 << 30;
const DEADLINE: Duration = Duration::from_secs(3600);
/// Where the system keeps programs and libraries; nothing of it is anybody's secret.
const SYSTEM: [&str; 3] = ["/usr", "/lib", "/lib64"];

/// `made` is false where the image is the disk already, byte for byte.
pub fn disk_image(order: &DiskImage, place: &Place) -> Result<Value, Failure> {
    let below = Below::new(place.below.path()).map_err(|error| Failure::from_io("open the root", &error))?;
    let blob = File::from(below.open(&order.blob, libc::O_RDONLY | libc::O_NONBLOCK, 0)?);
    let fault = |doing: &'static str| move |error: std::io::Error| Failure::from_io(doing, &error);
    let known = blob.metadata().map_err(fault("look at the disk image"))?;
    if !known.is_file() {
        return Err(Failure::new(Code::CorruptData, "the disk image is no regular file"));
    }
    let mut start = vec![0; disk_header::HEADER_BYTES.min(known.len() as usize)];
    blob.read_exact_at(&mut start, 0).map_err(fault("read the disk image"))?;
    let bytes = disk_header::read(&order.format, &start, known.len())?;
    if bytes > order.max_bytes {
        let what = format!("the disk has {bytes} bytes, and {} are allowed", order.max_bytes);
        return Err(Failure::new(Code::Exhausted, what).remedy("raise images.maxLayerBytes in the configuration"));
    }
    // Its directory is closed to everybody; who is shown the file itself shall be able to read it.
    blob.set_permissions(fs::Permissions::from_mode(0o644)).map_err(fault("show the disk image"))?;
    if order.format == "raw" {
        return Ok(json!({ "bytes": bytes, "made": false }));
    }
    let (parent, name) = below.parent(&order.file)?;
    let parent = format!("/proc/self/fd/{}", parent.as_raw_fd());
    let partial = format!("{parent}/.{name}.{}", std::process::id());
    let _ = fs::remove_file(&partial);
    let output = File::options().read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(&partial);
    let output = output.map_err(fault("make the disk"))?;
    let made = output.set_len(bytes).and_then(|()| fchown(&output, Some(USER), Some(USER))).map_err(fault("make the disk"));
    let made = made.and_then(|()| convert(&blob, &output, place, order.reserve_bytes));
    // Whole and nobody's to write before it has its name.
    let made = made.and_then(|()| {
        let own = fchown(&output, Some(0), Some(0)).and_then(|()| output.set_permissions(fs::Permissions::from_mode(0o644)));
        own.and_then(|()| output.sync_all()).and_then(|()| fs::rename(&partial, format!("{parent}/{name}"))).map_err(fault("place the disk"))
    });
    if made.is_err() {
        let _ = fs::remove_file(&partial);
    }
    made.map(|()| json!({ "bytes": bytes, "made": true }))
}

fn convert(blob: &File, output: &File, place: &Place, reserve_bytes: u64) -> Result<(), Failure> {
    let missing = || Failure::new(Code::Unavailable, "qemu-img is not installed, which takes qcow2 images apart").remedy("apt-get install --no-install-recommends qemu-utils");
    let program = programs::locate("qemu-img").ok_or_else(missing)?;
    let seen = |file: &File, target: &str, writable: bool| {
        let again: OwnedFd = file.as_fd().try_clone_to_owned().map_err(|error| Failure::from_io("hand over the disk image", &error))?;
        Ok::<Seen, Failure>(Seen::of(again, target, writable))
    };
    let mut files = vec![seen(blob, "/image", false)?, seen(output, "/disk", true)?];
    for path in SYSTEM.iter().filter(|path| fs::metadata(path).is_ok()) {
        files.push(Seen::open(path, false)?);
    }
    // It tries its file locks on null.
    files.push(Seen::open("/dev/null", true)?);
    let arguments = ["convert", "-n", "--target-is-zero", "-f", "qcow2", "-O", "raw", "/image", "/disk"].map(str::to_owned);
    let too_full = || free_bytes(output).is_some_and(|free| free < reserve_bytes);
    let job = Job {
        name: "disk-image",
        program: &program,
        arguments: &arguments,
        user: USER,
        files: &files,
        kept: &[],
        most_memory_bytes: MOST_MEMORY_BYTES,
        deadline: DEADLINE,
        enough: &too_full,
    };
    let done = confined::run(&job, place)?;
    if too_full() || done.words.windows(8).any(|words| words == b"No space") {
        let what = format!("the disk is too full for the image: {} MiB are kept in reserve", reserve_bytes >> 20);
        return Err(Failure::new(Code::Exhausted, what).remedy("free space below the root (`bulkhead image prune`), then ask again"));
    }
    verdict(&done)
}

fn verdict(done: &Done) -> Result<(), Failure> {
    if done.well() {
        return Ok(());
    }
    let last = done.words.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    let why = match (done.in_time, done.out_of_memory) {
        (false, _) => "it is not read within an hour".to_owned(),
        (_, true) => "it needs more memory than its reader may take".to_owned(),
        _ => quote(&String::from_utf8_lossy(last)),
    };
    Err(Failure::new(Code::CorruptData, format!("the disk image cannot be read: {why}")))
}

fn free_bytes(file: &File) -> Option<u64> {
    let mut about: libc::statvfs = unsafe { std::mem::zeroed() };
    (unsafe { libc::fstatvfs(file.as_raw_fd(), &mut about) } == 0).then(|| about.f_bavail * about.f_frsize)
}
