//! An archive into a directory. What lies in the way is replaced, never written through; what was written before a fault stays.

use crate::fault::{fault, of_archive};
use crate::input::Input;
use bulkhead_archive::archive::{Archive, Entry, Kind, Source};
use bulkhead_archive::failure::quoted;
use bulkhead_archive::path::components;
use bulkhead_archive::pax::Time;
use bulkhead_archive::{at, removal};
use bulkhead_wire::{Code, Failure};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{Error, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

const DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY;
/// Directories whose times wait for what is written into them.
const MOST_TIMES: usize = 16 * 1024;
/// How often somebody else may put something where an entry goes, once what was in its way is gone.
const MOST_TRIES: usize = 100;

#[derive(Clone, Copy)]
pub struct Manner {
    pub keep_kinds: bool,
    pub keep_owners: bool,
}

/// Only these travel, in both directions.
pub fn is_carried(name: &[u8]) -> bool {
    name == b"security.capability" || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

pub fn write(root: &OwnedFd, directory: &str, manner: Manner, input: File) -> Result<(), Failure> {
    let base = directory.as_bytes();
    at::open_inside(root.as_fd(), base, DIRECTORY, at::IN_ROOT).map_err(|error| fault("write into", base, &error))?;
    let mut writing = Writing { root, base, manner, parent: None, times: HashMap::new() };
    let mut archive = Archive::new(Input::new(input));
    while let Some(entry) = archive.next_entry().map_err(of_archive)? {
        writing.entry(&entry, &mut archive)?;
    }
    if !archive.ended {
        return Err(Failure::new(Code::CorruptData, "the archive ends without its end mark: it was cut off"));
    }
    // Archivers fill their last record; who sends shall not find the pipe closed.
    let mut rest = archive.into_source();
    while !rest.next(usize::MAX).map_err(of_archive)?.is_empty() {}
    writing.set_times()
}

struct Writing<'a> {
    root: &'a OwnedFd,
    base: &'a [u8],
    manner: Manner,
    /// The directory that was written into last, by its name in the archive: most entries follow others of theirs.
    parent: Option<(Vec<u8>, Rc<OwnedFd>)>,
    times: HashMap<Vec<u8>, Time>,
}

/// What stands where an entry goes, once what was in its way is gone.
#[derive(PartialEq, Eq)]
enum Room {
    Free,
    /// A directory, where one is wanted.
    Directory,
    /// A file that something is mounted on, and that cannot be taken away: it gets new contents.
    MountedFile,
}

/// Where an entry goes.
struct Place<'a> {
    entry: &'a Entry,
    parent: Rc<OwnedFd>,
    name: CString,
}

impl Place<'_> {
    fn parent(&self) -> BorrowedFd<'_> {
        self.parent.as_fd()
    }

    fn failed(&self, error: &Error) -> Failure {
        fault("write", &self.entry.path, error)
    }
}

impl Writing<'_> {
    fn entry(&mut self, entry: &Entry, archive: &mut Archive<Input>) -> Result<(), Failure> {
        let parts = components(&entry.path).map_err(of_archive)?;
        let Some((name, above)) = parts.split_last() else {
            // The directory itself, which is as whoever owns it wants it.
            return if entry.kind == Kind::Directory { Ok(()) } else { Err(Failure::new(Code::InvalidSpec, format!("{} would replace the directory itself", quoted(&entry.path)))) };
        };
        let parent = self.directory(above)?;
        let name = at::c(name).map_err(|error| fault("write", &entry.path, &error))?;
        let place = Place { entry, parent, name };
        match &entry.kind {
            Kind::Directory => self.make_directory(&place, &parts),
            Kind::File => self.make_file(&place, archive),
            Kind::HardLink => self.make_link(&place),
            Kind::Symlink => {
                let target = at::c(&entry.link).map_err(|error| place.failed(&error))?;
                self.make(&place, false, |_| at::symlink(&target, place.parent(), &place.name)).map_err(|fault| fault.at(&place))?;
                self.name_attributes(&place)
            }
            Kind::Fifo => self.make_node(&place, libc::S_IFIFO, 0),
            Kind::Character(major, minor) => self.make_node(&place, libc::S_IFCHR, libc::makedev(*major, *minor)),
            Kind::Block(major, minor) => self.make_node(&place, libc::S_IFBLK, libc::makedev(*major, *minor)),
        }
    }

    /// A directory below the one that is written into, made with all that lead to it. Links on the way lead to other places inside.
    fn directory(&mut self, parts: &[&[u8]]) -> Result<Rc<OwnedFd>, Failure> {
        let name = parts.join(&b'/');
        if let Some((known, directory)) = &self.parent
            && *known == name
        {
            return Ok(directory.clone());
        }
        let directory = match self.open(&name) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.make_all(parts)?,
            other => other.map_err(|error| fault("write into", &name, &error))?,
        };
        let directory = Rc::new(directory);
        self.parent = Some((name, directory.clone()));
        Ok(directory)
    }

    fn open(&self, name: &[u8]) -> Result<OwnedFd, Error> {
        at::open_inside(self.root.as_fd(), &[self.base, b"/", name].concat(), DIRECTORY, at::IN_ROOT)
    }

    fn make_all(&self, parts: &[&[u8]]) -> Result<OwnedFd, Failure> {
        let mut directory = self.open(b"").map_err(|error| fault("write into", self.base, &error))?;
        for end in 1..=parts.len() {
            let path = parts[..end].join(&b'/');
            let failed = |error: Error| fault("write into", &path, &error);
            directory = match self.open(&path) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    match at::make_directory(directory.as_fd(), &at::c(parts[end - 1]).map_err(failed)?, 0o755) {
                        // Somebody else was first.
                        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
                        other => other.map_err(failed)?,
                    }
                    self.open(&path).map_err(failed)?
                }
                other => other.map_err(failed)?,
            };
        }
        Ok(directory)
    }

    /// Takes away what stands there, but a directory where one is wanted.
    fn make_room(&mut self, place: &Place<'_>, directory: bool) -> Result<Room, Failure> {
        let status = match at::status(place.parent(), &place.name) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(Room::Free),
            other => other.map_err(|error| place.failed(&error))?,
        };
        let kind = status.st_mode & libc::S_IFMT;
        let there = kind == libc::S_IFDIR;
        if there && directory {
            return Ok(Room::Directory);
        }
        if self.manner.keep_kinds && there != directory {
            let (old, new) = if there { ("directory", "what is none") } else { ("file", "a directory") };
            return Err(Failure::new(Code::InvalidSpec, format!("the {old} {} would be replaced by {new}", quoted(&place.entry.path))));
        }
        self.parent = None;
        match removal::remove(place.parent(), &place.name) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && kind == libc::S_IFREG && place.entry.kind == Kind::File => Ok(Room::MountedFile),
            other => other.map(|()| Room::Free).map_err(|error| place.failed(&error)),
        }
    }

    /// Makes what `make` makes, in the place of what stands there. Others may write to the same name meanwhile.
    fn make<T>(&mut self, place: &Place<'_>, directory: bool, make: impl Fn(Room) -> Result<T, Error>) -> Result<T, MakeFault> {
        for _ in 1..MOST_TRIES {
            match make(self.make_room(place, directory).map_err(MakeFault::Room)?) {
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
                other => return other.map_err(MakeFault::Made),
            }
        }
        Err(MakeFault::Made(Error::from_raw_os_error(libc::EEXIST)))
    }

    fn make_directory(&mut self, place: &Place<'_>, parts: &[&[u8]]) -> Result<(), Failure> {
        let failed = |error: Error| place.failed(&error);
        let make = |room| if room == Room::Free { at::make_directory(place.parent(), &place.name, 0o700) } else { Ok(()) };
        self.make(place, true, make).map_err(|fault| fault.at(place))?;
        let made = at::open_directory(place.parent(), &place.name).map_err(failed)?;
        self.attributes(place, made.as_fd())?;
        if self.times.len() >= MOST_TIMES {
            self.set_times()?;
        }
        self.times.insert(parts.join(&b'/'), place.entry.mtime);
        Ok(())
    }

    fn make_file(&mut self, place: &Place<'_>, archive: &mut Archive<Input>) -> Result<(), Failure> {
        let failed = |error: Error| place.failed(&error);
        let make = |room| match room {
            Room::MountedFile => at::empty_file(place.parent(), &place.name),
            _ => at::create_file(place.parent(), &place.name, 0o600),
        };
        let mut file = File::from(self.make(place, false, make).map_err(|fault| fault.at(place))?);
        match &place.entry.segments {
            None => copy(archive, &mut file, u64::MAX).map_err(|fault| fault.at(place))?,
            Some(segments) => {
                for segment in segments {
                    file.seek(SeekFrom::Start(segment.offset)).map_err(failed)?;
                    copy(archive, &mut file, segment.length).map_err(|fault| fault.at(place))?;
                }
                file.set_len(place.entry.size).map_err(failed)?;
            }
        }
        self.attributes(place, file.as_fd())?;
        at::time_file(file.as_fd(), place.entry.mtime).map_err(failed)
    }

    fn make_link(&mut self, place: &Place<'_>) -> Result<(), Failure> {
        let entry = place.entry;
        let failed = |error: Error| fault("link", &entry.link, &error);
        let target = components(&entry.link).map_err(of_archive)?;
        let Some((name, above)) = target.split_last() else {
            return Err(Failure::new(Code::InvalidSpec, format!("the hard link {} points at a directory", quoted(&entry.path))));
        };
        let (from, name) = (self.open(&above.join(&b'/')).map_err(failed)?, at::c(name).map_err(failed)?);
        let target = at::status(from.as_fd(), &name).map_err(failed)?;
        // A link to itself: replacing it would take away its only name.
        if at::status(place.parent(), &place.name).is_ok_and(|there| (there.st_dev, there.st_ino) == (target.st_dev, target.st_ino)) {
            return Ok(());
        }
        self.make(place, false, |_| at::hard_link(from.as_fd(), &name, place.parent(), &place.name)).map_err(|fault| fault.at(place))
    }

    fn make_node(&mut self, place: &Place<'_>, kind: u32, device: libc::dev_t) -> Result<(), Failure> {
        // With its permissions from the first: once it lies there whoever owns the directory may put a link in its place, which a change would follow.
        let make = |_| at::make_node(place.parent(), &place.name, kind | place.entry.mode, device);
        self.make(place, false, make).map_err(|fault| match fault {
            MakeFault::Made(error) if kind != libc::S_IFIFO && matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)) => {
                Failure::new(Code::Unsupported, format!("could not make the device {}: nobody may make one behind this boundary", quoted(&place.entry.path)))
            }
            other => other.at(place),
        })?;
        self.name_attributes(place)
    }

    fn owner(&self, entry: &Entry) -> (u32, u32) {
        if self.manner.keep_owners { (entry.uid, entry.gid) } else { (0, 0) }
    }

    /// In this order: a change of owner clears set-uid bits and capabilities, and so does writing.
    fn attributes(&self, place: &Place<'_>, made: BorrowedFd<'_>) -> Result<(), Failure> {
        let failed = |error: Error| place.failed(&error);
        let status = at::status(made, c"").map_err(failed)?;
        let (uid, gid) = self.owner(place.entry);
        if (status.st_uid, status.st_gid) != (uid, gid) {
            at::own_file(made, uid, gid).map_err(|error| not_owned(place, (uid, gid), &error))?;
        }
        at::mode_file(made, place.entry.mode).map_err(failed)?;
        for (name, value) in place.entry.xattrs.iter().filter(|(name, _)| is_carried(name)) {
            match at::set_xattr(made, &at::c(name).map_err(failed)?, value) {
                // A file system without them has lost nothing that it could keep.
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
                other => other.map_err(failed)?,
            }
        }
        Ok(())
    }

    /// For what is not opened: links, fifos, devices. What was replaced meanwhile has attributes of its own.
    fn name_attributes(&self, place: &Place<'_>) -> Result<(), Failure> {
        match self.set_name_attributes(place) {
            Err(failure) if failure.code == Code::NotFound => Ok(()),
            other => other,
        }
    }

    fn set_name_attributes(&self, place: &Place<'_>) -> Result<(), Failure> {
        let failed = |error: Error| place.failed(&error);
        let (uid, gid) = self.owner(place.entry);
        let status = at::status(place.parent(), &place.name).map_err(failed)?;
        if (status.st_uid, status.st_gid) != (uid, gid) {
            at::own_name(place.parent(), &place.name, uid, gid).map_err(|error| not_owned(place, (uid, gid), &error))?;
        }
        at::time_name(place.parent(), &place.name, place.entry.mtime).map_err(failed)
    }

    fn set_times(&mut self) -> Result<(), Failure> {
        for (name, time) in std::mem::take(&mut self.times) {
            // What was replaced meanwhile has a time of its own.
            let Ok(directory) = self.open(&name) else { continue };
            at::time_file(directory.as_fd(), time).map_err(|error| fault("write", &name, &error))?;
        }
        Ok(())
    }
}

fn not_owned(place: &Place<'_>, (uid, gid): (u32, u32), error: &Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::EINVAL) => Failure::new(Code::InvalidSpec, format!("could not give {} to {uid}:{gid}: beyond the ids of the workload", quoted(&place.entry.path))),
        _ => place.failed(error),
    }
}

enum MakeFault {
    /// What is there cannot be taken away.
    Room(Failure),
    Made(Error),
}

impl MakeFault {
    fn at(self, place: &Place<'_>) -> Failure {
        match self {
            MakeFault::Room(failure) => failure,
            MakeFault::Made(error) => place.failed(&error),
        }
    }
}

/// Either end of a copy may be at fault.
enum CopyFault {
    Archive(bulkhead_archive::failure::Failure),
    File(Error),
}

impl CopyFault {
    fn at(self, place: &Place<'_>) -> Failure {
        match self {
            CopyFault::Archive(failure) => of_archive(failure),
            CopyFault::File(error) => place.failed(&error),
        }
    }
}

fn copy(archive: &mut Archive<Input>, file: &mut File, mut most: u64) -> Result<(), CopyFault> {
    while most > 0 {
        let piece = archive.data_at_most(most).map_err(CopyFault::Archive)?;
        if piece.is_empty() {
            break;
        }
        file.write_all(piece).map_err(CopyFault::File)?;
        most -= piece.len() as u64;
    }
    Ok(())
}
