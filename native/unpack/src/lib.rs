//! Turns an image layer, an archive that nobody has checked, into a directory; and such a directory into an erofs image.
//!
//! The caller forks a child for each job. In it, in this order: drop every descriptor that the job does not need, then call
//! `unpack` or `layer_image`. Both confine the calling process for good before they read the first byte of the archive (see
//! `confine`), so they must never be called in a process that has anything else to do. Afterwards the child reports and exits.
//!
//!     blob ─▶ decompress (gzip, zstd, plain) ─▶ sha256 in a thread of its own
//!                                           └▶ tar ─▶ tree, by descriptors, inside `parent/.name.partial` ─▶ sync ─▶ rename to `parent/name`

mod apply;
mod archive;
mod at;
mod confine;
mod erofs;
mod failure;
mod filter;
mod header;
mod job;
mod listing;
mod lowers;
mod path;
mod pax;
mod sparse;
mod stream;
mod tree;

pub use failure::{Code, Failure};
pub use job::{ImageJob, ImageMade, Limits, UnpackJob, Unpacked, layer_image, remove, unpack};
