//! The two jobs, in call order.

use std::fs::File;
use std::os::fd::OwnedFd;

use crate::failure::{Code, Failure};

/// What an archive may not exceed. A path's depth and an entry's name have limits of their own, which never change.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of the uncompressed stream.
    pub max_bytes: u64,
    pub max_entries: u64,
}

pub struct UnpackJob {
    /// The archive from its first byte: plain, gzip or zstd.
    pub blob: File,
    /// The directory in which `name` shall appear; on the same filesystem, trusted.
    pub parent: OwnedFd,
    /// One component. It must not exist.
    pub name: String,
    /// Trees of the layers below, uppermost first: asked for what the archive leaves out (see `Unpacked::leans_on_lowers`). May be empty.
    pub lowers: Vec<OwnedFd>,
    /// `sha256:…` of the uncompressed stream; another one is CORRUPT_DATA and nothing appears.
    pub diff_id: Option<String>,
    pub limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// `sha256:…` of the uncompressed stream.
    pub diff_id: String,
    /// Bytes of file contents.
    pub bytes: u64,
    pub entries: u64,
    /// The tree took something from the lowers (a hard link's target, the attributes of a directory that the archive names only
    /// inside a path): it must not be shared with an image whose lower layers are others.
    pub leans_on_lowers: bool,
}

/// Confines this process, then unpacks. `progress` gets the bytes of the blob read so far, not more than every 100 ms. Nothing is left after a failure.
pub fn unpack(_job: UnpackJob, _progress: &mut dyn FnMut(u64)) -> Result<Unpacked, Failure> {
    Err(Failure::new(Code::Unsupported, "not written yet"))
}

pub struct ImageJob {
    /// An unpacked layer's tree.
    pub layer: OwnedFd,
    /// The directory in which `name` shall appear.
    pub parent: OwnedFd,
    /// One component. It must not exist.
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageMade {
    /// A multiple of 4096.
    pub bytes: u64,
}

/// Confines this process, then runs mkfs.erofs. Whiteouts and opaque directories are kept. Nothing is left after a failure.
pub fn layer_image(_job: ImageJob) -> Result<ImageMade, Failure> {
    Err(Failure::new(Code::Unsupported, "not written yet"))
}
