//! The two jobs, in call order.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::apply::apply;
use crate::archive::{Archive, Kind};
use crate::failure::{Code, Failure, quoted};
use crate::lowers::Lowers;
use crate::room::Room;
use crate::stream::Stream;
use crate::tree::Tree;
use bulkhead_archive::removal;
use crate::{at, confine, erofs};

const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// What an archive may not exceed. A path's depth and an entry's name have limits of their own, which never change.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of the uncompressed stream.
    pub max_bytes: u64,
    pub max_entries: u64,
    /// What must stay free on the disk.
    pub reserve_bytes: u64,
}

pub struct UnpackJob {
    /// The archive from its first byte: plain, gzip or zstd.
    pub blob: File,
    /// How many bytes it will have, where it is still being written: its end is waited for, until its last name is gone.
    pub grows_to: Option<u64>,
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
    /// The tree would have taken something from the lowers, whether there were any or not.
    pub asked_lowers: bool,
}

/// Confines this process, then unpacks. `progress` gets the bytes of the blob read so far, not more than every 100 ms. Nothing is left after a failure.
/// What was made outlives the death of every process, and not that of the host: that takes `sync`.
pub fn unpack(job: UnpackJob, progress: &mut dyn FnMut(u64)) -> Result<Unpacked, Failure> {
    let names = Names::check(&job.name)?;
    let lowers = confine::for_unpacking(job.parent, job.lowers)?;
    let stream = Stream::open(job.blob, job.grows_to, job.limits.max_bytes)?;
    let parent = here()?;
    let outcome = write_tree(&parent, &names, Lowers::new(lowers), stream, job.limits, job.diff_id.as_deref(), progress);
    names.appear(&parent, outcome)
}

fn write_tree(
    parent: &OwnedFd,
    names: &Names,
    lowers: Lowers,
    stream: Stream,
    limits: Limits,
    diff_id: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<Unpacked, Failure> {
    names.refuse_existing(parent)?;
    let failed = |error| Failure::system("cannot make the layer's directory", error);
    removal::remove(parent.as_fd(), &names.partial).map_err(failed)?;
    at::make_directory(parent.as_fd(), &names.partial, 0o755).map_err(failed)?;
    let root = at::open_directory(parent.as_fd(), &names.partial).map_err(failed)?;
    let mut tree = Tree::new(root, lowers);
    let mut archive = Archive::new(stream);
    let (mut entries, mut bytes) = (0u64, 0u64);
    let mut last = Instant::now();
    let mut room = Room::new(parent.as_fd(), limits.reserve_bytes);
    let mut tick = |read: u64| {
        room.look()?;
        if last.elapsed() >= PROGRESS_EVERY {
            last = Instant::now();
            progress(read);
        }
        Ok(())
    };
    while let Some(entry) = archive.next_entry()? {
        entries += 1;
        bytes = bytes.saturating_add(if entry.kind == Kind::File { entry.size } else { 0 });
        if entries > limits.max_entries || bytes > limits.max_bytes {
            return Err(Failure::new(Code::Exhausted, format!("the layer has more than {} entries or {} bytes", limits.max_entries, limits.max_bytes))
                .with_remedy("raise the limit for layers if you trust this image"));
        }
        apply(&mut tree, &mut archive, &entry, &mut tick)?;
        tick(archive.source().blob_bytes())?;
    }
    let ended = archive.ended;
    let found = format!("sha256:{}", hexadecimal(&archive.into_source().finish()?));
    match diff_id {
        Some(wanted) if wanted != found => {
            return Err(Failure::corrupt(format!("the layer's uncompressed digest is {found}, and the image says {wanted}")));
        }
        // Without a digest to compare, only the archive's own end mark tells a whole one from one that was cut between two files.
        None if !ended => return Err(Failure::corrupt("the archive ends without its end mark: it was cut off")),
        _ => {}
    }
    tree.finish()?;
    Ok(Unpacked { diff_id: found, bytes, entries, leans_on_lowers: tree.lowers.used, asked_lowers: tree.lowers.asked })
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
pub fn layer_image(job: ImageJob) -> Result<ImageMade, Failure> {
    let names = Names::check(&job.name)?;
    names.refuse_existing(&job.parent)?;
    let failed = |error| Failure::system("cannot make the layer's image", error);
    removal::remove(job.parent.as_fd(), &names.partial).map_err(failed)?;
    // Opened before the walls stand: mkfs.erofs may write into `/out` only under this name.
    // Readable for all, below a store that only root may enter: a machine's monitor is shown it alone, and is not root.
    let image = File::from(at::create_file(job.parent.as_fd(), &names.partial, 0o644).map_err(failed)?);
    let parent = job.parent.try_clone().map_err(failed)?;
    let outcome = confine::for_image_making(job.layer, job.parent)
        .and_then(|()| erofs::make(&names.partial.to_string_lossy()))
        .and_then(|()| erofs::settle(&image))
        .map(|bytes| ImageMade { bytes });
    names.settle(&parent, outcome)
}

/// Everything on the filesystem that holds this directory is on the disk when it returns.
pub fn sync(directory: &OwnedFd) -> Result<(), Failure> {
    at::sync_filesystem(directory.as_fd()).map_err(|error| Failure::system("cannot write the layers out", error))
}

/// Removes `name` below `parent`, or what a killed job left of it, following no link and however deep.
pub fn remove(parent: &OwnedFd, name: &str) -> Result<(), Failure> {
    let names = Names::check(name)?;
    for name in [&names.partial, &names.whole] {
        removal::remove(parent.as_fd(), name).map_err(|error| Failure::system("cannot remove a layer", error))?;
    }
    Ok(())
}

/// The name that appears only when all is done, and the one that is worked under.
struct Names {
    whole: CString,
    partial: CString,
}

impl Names {
    fn check(name: &str) -> Result<Names, Failure> {
        let sane = !name.is_empty() && name.len() < 240 && !name.starts_with('.') && !name.contains(['/', '\0']);
        let refused = || Failure::new(Code::InvalidSpec, format!("{} is not a name for a layer", quoted(name.as_bytes())));
        if !sane {
            return Err(refused());
        }
        let c = |text: String| CString::new(text).map_err(|_| refused());
        Ok(Names { whole: c(name.to_owned())?, partial: c(format!(".{name}.partial"))? })
    }

    fn refuse_existing(&self, parent: &OwnedFd) -> Result<(), Failure> {
        match at::status(parent.as_fd(), &self.whole) {
            Ok(_) => Err(Failure::new(Code::AlreadyExists, format!("{} exists already", quoted(self.whole.to_bytes())))),
            Err(_) => Ok(()),
        }
    }

    /// Synced before it is renamed: after a loss of power a name never stands for half of it.
    fn settle<T>(&self, parent: &OwnedFd, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let synced = outcome.and_then(|made| at::sync_filesystem(parent.as_fd()).map(|()| made).map_err(unfinished));
        let made = self.appear(parent, synced)?;
        at::sync(parent.as_fd()).map(|()| made).map_err(unfinished)
    }

    fn appear<T>(&self, parent: &OwnedFd, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let outcome = outcome.and_then(|made| at::rename_new(parent.as_fd(), &self.partial, &self.whole).map(|()| made).map_err(unfinished));
        if outcome.is_err() {
            // The first failure is the one to tell; what cannot be removed now is removed at the next start.
            let _ = removal::remove(parent.as_fd(), &self.partial);
        }
        outcome
    }
}

fn unfinished(error: std::io::Error) -> Failure {
    Failure::system("cannot finish the layer", error)
}

fn here() -> Result<OwnedFd, Failure> {
    Ok(File::open("/").map_err(|error| Failure::system("cannot open the layer's directory", error))?.into())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
