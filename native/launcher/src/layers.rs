//! `unpack`, `layerImage` and `volumeFill`: what the launcher opens for the confined child, which then works by descriptors alone.

use crate::beneath::Below;
use crate::{foreign, removal};
use crate::task::{Offspring, Teller};
use bulkhead_unpack as unpacker;
use bulkhead_wire::{Code, Failure};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unpack {
    blob: String,
    blob_bytes: Option<u64>,
    directory: String,
    lowers: Vec<String>,
    diff_id: Option<String>,
    max_bytes: u64,
    max_entries: u64,
    reserve_bytes: u64,
}

#[derive(Deserialize)]
pub struct LayerImage {
    directory: String,
    file: String,
}

#[derive(Deserialize)]
pub struct VolumeFill {
    directory: String,
    lowers: Vec<String>,
    path: String,
}

/// What is to be cleared away when the child was ended before it could: the name under which it worked.
pub struct Unfinished {
    parent: OwnedFd,
    partial: String,
}

impl Unfinished {
    pub fn clear(&self) -> Result<Value, Failure> {
        let path = format!("/proc/self/fd/{}/{}", self.parent.as_raw_fd(), self.partial);
        let removed = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        removed.map(|()| json!({})).map_err(|error| Failure::from_io("clear an unfinished layer away", &error))
    }

    pub fn descriptor(&self) -> RawFd {
        self.parent.as_raw_fd()
    }
}

/// A place that does not exist yet, in an open directory.
fn place(below: &Below, path: &str) -> Result<(OwnedFd, String), Failure> {
    let (parent, name) = below.parent(path)?;
    let again = format!("/proc/self/fd/{}", parent.as_raw_fd());
    // Opened anew: the child reads and writes through it, which an O_PATH descriptor does not allow.
    let parent = File::open(again).map_err(|error| Failure::from_io("open the directory of a layer", &error))?;
    Ok((parent.into(), name))
}

pub fn unpack(below: &Below, order: Unpack) -> Result<(io::Result<Offspring>, Unfinished), Failure> {
    let directory = |path: &String| below.open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0);
    let blob = File::from(below.open(&order.blob, libc::O_RDONLY, 0)?);
    let lowers: Vec<OwnedFd> = order.lowers.iter().map(directory).collect::<Result<_, _>>()?;
    let (parent, name) = place(below, &order.directory)?;
    let unfinished = unfinished(&parent, &name)?;
    let mut keep: Vec<RawFd> = lowers.iter().map(AsRawFd::as_raw_fd).collect();
    keep.extend([blob.as_raw_fd(), parent.as_raw_fd()]);
    let limits = unpacker::Limits { max_bytes: order.max_bytes, max_entries: order.max_entries, reserve_bytes: order.reserve_bytes };
    let job = unpacker::UnpackJob { blob, grows_to: order.blob_bytes, parent, name, lowers, diff_id: order.diff_id, limits };
    let work = move |teller: &mut Teller| {
        let done = unpacker::unpack(job, &mut |bytes| teller.progress(&json!({ "bytes": bytes }))).map_err(foreign::of_unpack)?;
        Ok(json!({ "diffId": done.diff_id, "bytes": done.bytes, "entries": done.entries, "leansOnLowers": done.leans_on_lowers, "askedLowers": done.asked_lowers }))
    };
    Ok((Offspring::task(&keep, work), unfinished))
}

/// Of the filesystem that holds the directory. It may take as long as the disk is slow: a child waits for it.
pub fn sync(below: &Below, directory: &str) -> Result<Value, Failure> {
    let directory = below.open(directory, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    unpacker::sync(&directory).map(|()| json!({})).map_err(foreign::of_unpack)
}

pub fn layer_image(below: &Below, order: LayerImage) -> Result<(io::Result<Offspring>, Unfinished), Failure> {
    let layer = below.open(&order.directory, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let (parent, name) = place(below, &order.file)?;
    let unfinished = unfinished(&parent, &name)?;
    let keep = [layer.as_raw_fd(), parent.as_raw_fd()];
    let job = unpacker::ImageJob { layer, parent, name };
    let work = move |_: &mut Teller| unpacker::layer_image(job).map(|made| json!({ "bytes": made.bytes })).map_err(foreign::of_unpack);
    Ok((Offspring::task(&keep, work), unfinished))
}

/// Carried through once begun: what a crash leaves of it is taken up by the next one.
pub fn volume_fill(below: &Below, order: VolumeFill) -> Result<io::Result<Offspring>, Failure> {
    let layers: Vec<OwnedFd> = order.lowers.iter().map(|path| below.open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0)).collect::<Result<_, _>>()?;
    let (parent, name) = place(below, &order.directory)?;
    let mut keep: Vec<RawFd> = layers.iter().map(AsRawFd::as_raw_fd).collect();
    keep.push(parent.as_raw_fd());
    let job = unpacker::FillJob { parent, name, layers, path: order.path };
    let work = move |_: &mut Teller| unpacker::fill(job).map(|filled| json!({ "filled": filled })).map_err(foreign::of_unpack);
    Ok(Offspring::task(&keep, work))
}

/// With what a fill that was cut off has left beside it.
pub fn volume_remove(below: &Below, directory: &str) -> Result<Value, Failure> {
    let (parent, name) = directory.rsplit_once('/').unwrap_or_default();
    for beside in unpacker::leftovers(name).map_err(foreign::of_unpack)? {
        removal::remove_directory(below, &format!("{parent}/{beside}"))?;
    }
    removal::remove_directory(below, directory).map(|()| json!({}))
}

/// In the order of the question; what is not there takes nothing.
pub fn disk_use(below: &Below, directories: &[String]) -> Result<Value, Failure> {
    let size = |path: &String| match below.open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0) {
        Err(failure) if failure.code == Code::NotFound => Ok(0),
        found => found.map(unpacker::disk_use),
    };
    let bytes: Vec<u64> = directories.iter().map(size).collect::<Result<_, _>>()?;
    Ok(json!({ "bytes": bytes }))
}

fn unfinished(parent: &OwnedFd, name: &str) -> Result<Unfinished, Failure> {
    let parent = parent.try_clone().map_err(|error| Failure::new(Code::Exhausted, format!("no descriptor is free: {error}")))?;
    Ok(Unfinished { parent, partial: format!(".{name}.partial") })
}
