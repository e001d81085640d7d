//! Writes one entry of the archive into the tree.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use crate::archive::{Archive, Entry, Kind};
use crate::at;
use crate::failure::{Code, Failure, quoted};
use crate::path::{Whiteout, whiteout};
use crate::stream::Stream;
use crate::tree::Tree;
use bulkhead_archive::path::components;

pub const OPAQUE: &CStr = c"trusted.overlay.opaque";

/// Where an entry goes: an open directory and a name in it.
struct Place<'a> {
    path: &'a [u8],
    parts: Vec<&'a [u8]>,
    parent: Rc<OwnedFd>,
    name: CString,
}

impl Place<'_> {
    fn failed(&self) -> impl Fn(std::io::Error) -> Failure + use<'_> {
        |error| Failure::system(format!("cannot write {}", quoted(self.path)), error)
    }
}

/// Told of the bytes of the blob read so far, between any two pieces; stops the work by its failure.
pub type Tick<'a> = dyn FnMut(u64) -> Result<(), Failure> + 'a;

/// The entry's data are read from the archive. `tick` is called between pieces.
pub fn apply(tree: &mut Tree, archive: &mut Archive<Stream>, entry: &Entry, tick: &mut Tick<'_>) -> Result<(), Failure> {
    let parts = components(&entry.path)?;
    let Some((name, above)) = parts.split_last() else { return root_itself(tree, entry) };
    let parent = tree.directory(above)?;
    let name = match whiteout(name)? {
        Some(Whiteout::Ignored) => return Ok(()),
        Some(Whiteout::Opaque) => {
            return at::set_xattr(parent.as_fd(), OPAQUE, b"y").map_err(|error| Failure::system("cannot mark a directory opaque", error));
        }
        Some(Whiteout::Of(name)) => return take_away(tree, parent.as_fd(), name, &entry.path),
        None => at::c(name)?,
    };
    let place = Place { path: &entry.path, parts, parent, name };
    match entry.kind {
        Kind::Directory => directory(tree, &place, entry),
        Kind::File => file(tree, &place, archive, entry, tick),
        Kind::HardLink => hard_link(tree, &place, entry),
        Kind::Symlink => {
            if entry.link.is_empty() {
                return Err(Failure::corrupt(format!("the symbolic link {} points at nothing", quoted(&entry.path))));
            }
            let target = at::c(&entry.link)?;
            making(tree, &place, |parent, name| at::symlink(&target, parent, name))?;
            named_attributes(&place, entry, None)
        }
        Kind::Fifo => node(tree, &place, entry, libc::S_IFIFO, 0),
        Kind::Character(major, minor) => node(tree, &place, entry, libc::S_IFCHR, libc::makedev(major, minor)),
        Kind::Block(major, minor) => node(tree, &place, entry, libc::S_IFBLK, libc::makedev(major, minor)),
    }
}

/// Makes a name; what has it already is replaced, as in a layer the later entry wins.
fn making<T>(tree: &mut Tree, place: &Place<'_>, make: impl Fn(BorrowedFd<'_>, &CStr) -> std::io::Result<T>) -> Result<T, Failure> {
    match make(place.parent.as_fd(), &place.name) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            tree.clear(place.parent.as_fd(), &place.name)?;
            make(place.parent.as_fd(), &place.name).map_err(place.failed())
        }
        other => other.map_err(place.failed()),
    }
}

fn file(tree: &mut Tree, place: &Place<'_>, archive: &mut Archive<Stream>, entry: &Entry, tick: &mut Tick<'_>) -> Result<(), Failure> {
    let mut file = File::from(making(tree, place, |parent, name| at::create_file(parent, name, entry.mode & 0o777))?);
    let failed = place.failed();
    match &entry.segments {
        None => {
            while let piece = archive.data()?
                && !piece.is_empty()
            {
                file.write_all(piece).map_err(&failed)?;
                tick(archive.source().blob_bytes())?;
            }
        }
        Some(segments) => {
            for segment in segments {
                file.seek(SeekFrom::Start(segment.offset)).map_err(&failed)?;
                let mut left = segment.length;
                while left > 0 {
                    let piece = archive.data_at_most(left)?;
                    file.write_all(piece).map_err(&failed)?;
                    left -= piece.len() as u64;
                    tick(archive.source().blob_bytes())?;
                }
            }
            file.set_len(entry.size).map_err(&failed)?;
        }
    }
    // In this order: a change of owner clears set-uid bits and capabilities, and so does writing.
    at::own_file(file.as_fd(), entry.uid, entry.gid).map_err(&failed)?;
    if entry.mode & 0o7000 != 0 {
        at::mode_file(file.as_fd(), entry.mode).map_err(&failed)?;
    }
    for (name, value) in &entry.xattrs {
        if let Some(name) = allowed_xattr(name, &entry.path)? {
            at::set_xattr(file.as_fd(), &name, value).map_err(&failed)?;
        }
    }
    at::time_file(file.as_fd(), entry.mtime).map_err(&failed)
}

fn directory(tree: &mut Tree, place: &Place<'_>, entry: &Entry) -> Result<(), Failure> {
    let (parent, name) = (place.parent.as_fd(), place.name.as_c_str());
    let mut opaque = false;
    match at::make_directory(parent, name, 0o700) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let there = at::status(parent, name).map_err(place.failed())?;
            if there.st_mode & libc::S_IFMT != libc::S_IFDIR {
                // A whiteout and then a directory of that name: the lower one is gone, and this one is new.
                opaque = is_whiteout(&there);
                tree.clear(parent, name)?;
                at::make_directory(parent, name, 0o700).map_err(place.failed())?;
            }
        }
        Err(error) => return Err(place.failed()(error)),
    }
    let made = at::open_directory(parent, name).map_err(place.failed())?;
    if opaque {
        at::set_xattr(made.as_fd(), OPAQUE, b"y").map_err(place.failed())?;
    }
    directory_attributes(tree, &place.parts, made.as_fd(), entry)
}

fn root_itself(tree: &mut Tree, entry: &Entry) -> Result<(), Failure> {
    if entry.kind != Kind::Directory {
        return Err(Failure::corrupt(format!("{} would replace the root directory", quoted(&entry.path))));
    }
    let root = tree.root.clone();
    directory_attributes(tree, &[], root.as_fd(), entry)
}

fn directory_attributes(tree: &mut Tree, parts: &[&[u8]], made: BorrowedFd<'_>, entry: &Entry) -> Result<(), Failure> {
    let failed = |error| Failure::system(format!("cannot write {}", quoted(&entry.path)), error);
    at::own_file(made, entry.uid, entry.gid).map_err(failed)?;
    at::mode_file(made, entry.mode).map_err(failed)?;
    for (name, value) in &entry.xattrs {
        if let Some(name) = allowed_xattr(name, &entry.path)? {
            if name.as_c_str() == c"system.posix_acl_default" {
                tree.remember_default_acl(parts, value.clone());
            } else {
                at::set_xattr(made, &name, value).map_err(failed)?;
            }
        }
    }
    tree.remember_time(parts, entry.mtime);
    Ok(())
}

fn node(tree: &mut Tree, place: &Place<'_>, entry: &Entry, kind: u32, device: libc::dev_t) -> Result<(), Failure> {
    making(tree, place, |parent, name| at::make_node(parent, name, kind | (entry.mode & 0o777), device))?;
    named_attributes(place, entry, Some(entry.mode))
}

/// For what is not opened: symlinks, fifos, devices.
fn named_attributes(place: &Place<'_>, entry: &Entry, mode: Option<u32>) -> Result<(), Failure> {
    let (parent, failed) = (place.parent.as_fd(), place.failed());
    at::own_name(parent, &place.name, entry.uid, entry.gid).map_err(&failed)?;
    if let Some(mode) = mode {
        at::mode_name(parent, &place.name, mode).map_err(&failed)?;
    }
    for (name, value) in &entry.xattrs {
        // The kernel knows `user.` only on files and directories.
        if let Some(name) = allowed_xattr(name, &entry.path)?
            && !name.to_bytes().starts_with(b"user.")
        {
            at::set_xattr_name(parent, &place.name, &name, value).map_err(&failed)?;
        }
    }
    at::time_name(parent, &place.name, entry.mtime).map_err(&failed)
}

fn hard_link(tree: &mut Tree, place: &Place<'_>, entry: &Entry) -> Result<(), Failure> {
    let target = components(&entry.link)?;
    let Some((target_name, above)) = target.split_last() else {
        return Err(Failure::corrupt(format!("the hard link {} points at the root directory", quoted(&entry.path))));
    };
    let target_name = at::c(target_name)?;
    let mut from = tree.open_existing(&above.join(&b'/'))?.map(Rc::new);
    let present = from.as_ref().is_some_and(|from| at::status(from.as_fd(), &target_name).is_ok_and(|there| !is_whiteout(&there)));
    if !present {
        let directory = tree.directory(above)?;
        if !tree.lowers.copy_up(&target.join(&b'/'), directory.as_fd(), &target_name)? {
            return Err(Failure::corrupt(format!(
                "the hard link {} points at {}, which neither this layer nor those below have as a file",
                quoted(&entry.path),
                quoted(&entry.link)
            )));
        }
        from = Some(directory);
    }
    let Some(from) = from else { return Err(Failure::new(Code::Internal, "a hard link lost its target")) };
    if same_name(&from, &target_name, place) {
        return Ok(());
    }
    making(tree, place, |parent, name| at::hard_link(from.as_fd(), &target_name, parent, name)).map_err(|failure| {
        if failure.what.contains("(os error 1)") { Failure::corrupt(format!("the hard link {} points at a directory", quoted(&entry.path))) } else { failure }
    })
}

/// A link to itself: replacing it would remove its only name.
fn same_name(from: &OwnedFd, name: &CStr, place: &Place<'_>) -> bool {
    let inode = |directory: BorrowedFd<'_>, name: &CStr| at::status(directory, name).ok().map(|status| (status.st_dev, status.st_ino));
    inode(from.as_fd(), name).is_some_and(|target| inode(place.parent.as_fd(), &place.name) == Some(target))
}

/// Overlayfs's whiteout. A thing of this same layer is not taken away by it (OCI image specification, "Whiteouts"); a directory of
/// this layer is then opaque.
fn take_away(tree: &mut Tree, parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::system(format!("cannot write the whiteout {}", quoted(path)), error);
    let name = at::c(name)?;
    match at::make_node(parent, &name, libc::S_IFCHR, 0) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let there = at::status(parent, &name).map_err(failed)?;
            if there.st_mode & libc::S_IFMT == libc::S_IFDIR {
                let directory = at::open_directory(parent, &name).map_err(failed)?;
                at::set_xattr(directory.as_fd(), OPAQUE, b"y").map_err(failed)?;
            }
            tree.forget_parents();
            Ok(())
        }
        // The time of making must not get into the tree: two unpackings of one layer are equal.
        other => other.and_then(|()| at::time_name(parent, &name, Default::default())).map_err(failed),
    }
}

fn is_whiteout(status: &libc::stat) -> bool {
    status.st_mode & libc::S_IFMT == libc::S_IFCHR && status.st_rdev == 0
}

/// `None` for attributes that mean something only where the archive was made (labels of its security module).
fn allowed_xattr(name: &[u8], path: &[u8]) -> Result<Option<CString>, Failure> {
    // These steer overlayfs: an archive could show files of other layers, or hide them.
    if name.starts_with(b"trusted.") || name.starts_with(b"user.overlay.") {
        return Err(Failure::corrupt(format!("{} has the attribute {}, which only the store itself may set", quoted(path), quoted(name))));
    }
    let allowed = name.starts_with(b"user.") || matches!(name, b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default");
    Ok(if allowed { Some(at::c(name)?) } else { None })
}
