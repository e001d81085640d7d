//! Tar archives that nobody has checked, read an entry at a time with bounded memory; archives written; and the system calls by which what they
//! hold gets into directories and out of them, each relative to a descriptor.

pub mod archive;
pub mod at;
pub mod failure;
pub mod header;
pub mod listing;
pub mod path;
pub mod pax;
pub mod removal;
pub mod sparse;
pub mod writer;
