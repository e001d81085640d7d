//! Turns an image layer, an archive that nobody has checked, into a directory; such a directory into an erofs image;
//! and what directories hold at one place into a volume.
//!
//! The caller forks a child for each job. In it, in this order: drop every descriptor that the job does not need, then call
//! `unpack`, `layer_image` or `fill`. Each confines the calling process for good before they read the first byte of the archive (see
//! `confine`), so none must ever be called in a process that has anything else to do. Afterwards the child reports and exits.
//!
//!     blob ─▶ decompress (gzip, zstd, plain) ─▶ sha256 in a thread of its own
//!                                           └▶ tar ─▶ tree, by descriptors, inside `parent/.name.partial` ─▶ rename to `parent/name`

use bulkhead_archive::{archive, at, failure, listing, pax};

mod apply;
mod confine;
mod erofs;
mod fill;
mod filter;
mod job;
mod lowers;
mod merged;
mod path;
mod room;
mod stream;
mod tree;
mod usage;

pub use failure::{Code, Failure};
pub use fill::{FillJob, fill, leftovers};
pub use job::{ImageJob, ImageMade, Limits, UnpackJob, Unpacked, layer_image, remove, sync, unpack};
pub use usage::disk_use;
