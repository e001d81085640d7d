//! A host directory (or one file) shared into a machine: a FUSE server on a byte stream. `contract/share-protocol.ts` describes the wire.
//!
//! ```text
//! guest's kernel ─ /dev/fuse ─ pump in the guest's agent ─ virtio port ─ VMM ─ unix socket ─ serve() ─ the directory
//! ```
//!
//! The guest is hostile: it may send any bytes. What holds against it, from the outside in:
//! - the process has no capabilities beyond those over other users' files, no network, Landlock where the kernel has it;
//! - its root is a mount of its own, without a parent, read-only where the share is (the kernel refuses writing, not only we), without devices;
//! - nodes are descriptors, a name is one component and follows no link, only files and directories are ever opened;
//! - every length is checked, and nodes, handles and buffers are bounded: 131,072 nodes, 8,192 open files, 2 MiB.
//!
//! Not there: locks between the machine and the host (they hold inside the machine), inotify for the host's changes, access lists, devices,
//! `O_TMPFILE`. Names and attributes are asked for anew each time, because the host's programs write too.

mod confine;
mod directories;
mod extended;
mod files;
mod message;
mod names;
mod nodes;
mod session;
mod tree;

use nodes::Bounds;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Result;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Serves `source` on `stream` until the guest lets go of it, and returns.
///
/// Call it in a process of its own, of one thread, as root, with `/proc` mounted and no other descriptor open that a guest must not
/// have: it gives up everything else for good. An error before the first request is the host's (no such source, a kernel before 5.12); one
/// after it is the guest's fault or a broken stream. Where `source` is a file, the guest sees a directory that holds it alone, under its own name.
pub fn serve(stream: OwnedFd, source: &Path, read_only: bool) -> Result<()> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(source)?;
    serve_opened(stream, opened.into(), source.file_name().unwrap_or_default(), read_only)
}

/// As `serve`, of a source that is open. `name` is what a single file is called.
pub fn serve_opened(stream: OwnedFd, source: OwnedFd, name: &OsStr, read_only: bool) -> Result<()> {
    let root = confine::detach(source, read_only)?;
    let is_file = !File::from(root.try_clone()?).metadata()?.is_dir();
    let only = is_file.then(|| name.as_bytes().to_vec());
    tree::remember_parent_death_signal();
    let bounds = Bounds::within(confine::confine(&root, Bounds::WANTED)?);
    let mut session = session::Session::new(root, bounds, read_only, only)?;
    session.run(&mut File::from(stream))
}
