//! Entries of a tar archive, in order, with names, numbers and attributes put together from headers, PAX and GNU extensions.

use crate::failure::{Failure, quoted};
use crate::header::{BLOCK, Block, Format, Header};
use crate::pax::{Extended, Time};
use crate::sparse::{self, Segment};

/// Of one PAX header or long name.
const MAX_EXTENSION_BYTES: u64 = 1024 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    HardLink,
    Symlink,
    Directory,
    Fifo,
    Character(u32, u32),
    Block(u32, u32),
}

pub struct Entry {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Of the file as it shall be; holes count.
    pub size: u64,
    /// Present for a sparse file: which parts the data that follows are.
    pub segments: Option<Vec<Segment>>,
}

/// Where an archive comes from.
pub trait Source {
    /// The next bytes, at most `most`; empty only at the end.
    fn next(&mut self, most: usize) -> Result<&[u8], Failure>;
}

pub struct Archive<S> {
    stream: S,
    /// Data and padding of the current entry that are not yet read.
    data: u64,
    padding: u64,
    /// Whether the two blocks of zeros that end an archive were seen.
    pub ended: bool,
}

impl<S: Source> Archive<S> {
    pub fn new(stream: S) -> Self {
        Archive { stream, data: 0, padding: 0, ended: false }
    }

    pub fn source(&self) -> &S {
        &self.stream
    }

    pub fn into_source(self) -> S {
        self.stream
    }

    /// The next entry; what is left of the data before it is skipped.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Failure> {
        let mut extended = Extended::default();
        let (mut long_name, mut long_link) = (None, None);
        let mut began = false;
        loop {
            self.skip_data()?;
            let Some(block) = self.block(!began)? else { return Ok(None) };
            let Some(header) = Header::parse(&block)? else {
                return if began { Err(Failure::corrupt("the archive ends after an extension, before the entry it belongs to")) } else { self.end() };
            };
            match header.kind() {
                b'x' | b'X' => {
                    let records = self.extension(&header)?;
                    extended.read(&records)?;
                }
                b'g' => {
                    // Global records are comments in practice (git archive). Checked, then forgotten.
                    let records = self.extension(&header)?;
                    Extended::default().read(&records)?;
                    continue;
                }
                b'L' => long_name = Some(until_nul(self.extension(&header)?)),
                b'K' => long_link = Some(until_nul(self.extension(&header)?)),
                // A volume's label.
                b'V' => {
                    self.expect(header.size()?);
                    continue;
                }
                _ => return self.entry(&header, extended, long_name, long_link).map(Some),
            }
            began = true;
        }
    }

    /// A piece of the current entry's data; empty when all was read.
    pub fn data(&mut self) -> Result<&[u8], Failure> {
        self.data_at_most(u64::MAX)
    }

    pub fn data_at_most(&mut self, most: u64) -> Result<&[u8], Failure> {
        if self.data == 0 {
            return Ok(&[]);
        }
        let most = usize::try_from(self.data.min(most)).unwrap_or(usize::MAX);
        let piece = self.stream.next(most)?;
        if piece.is_empty() {
            return Err(Failure::corrupt("the archive ends in the middle of a file"));
        }
        self.data -= piece.len() as u64;
        Ok(piece)
    }

    fn entry(&mut self, header: &Header<'_>, extended: Extended, long_name: Option<Vec<u8>>, long_link: Option<Vec<u8>>) -> Result<Entry, Failure> {
        let path = extended.path.or(long_name).unwrap_or_else(|| header.name());
        let link = extended.link.or(long_link).unwrap_or_else(|| header.link());
        let kind = kind(header, &path)?;
        let mtime = match extended.mtime {
            Some(time) => time,
            None => Time { seconds: header.mtime()?, nanoseconds: 0 },
        };
        let stored = extended.size.map_or_else(|| header.size(), Ok)?;
        if kind == Kind::File {
            self.expect(stored);
        }
        let mut entry = Entry {
            path,
            link,
            kind,
            mode: header.mode()?,
            uid: extended.uid.map_or_else(|| header.uid(), Ok)?,
            gid: extended.gid.map_or_else(|| header.gid(), Ok)?,
            mtime,
            xattrs: extended.xattrs,
            size: stored,
            segments: None,
        };
        if entry.kind == Kind::File {
            if header.kind() == b'S' {
                let (size, segments) = sparse::read_old_gnu(self, header)?;
                entry.size = size;
                entry.segments = Some(segments);
            } else if let Some(real_size) = extended.sparse.real_size {
                if let Some(name) = extended.sparse.name {
                    entry.path = name;
                }
                let segments = if extended.sparse.major == Some(1) { sparse::read_map(self)? } else { sparse::pairs(&extended.sparse.map)? };
                entry.size = real_size;
                entry.segments = Some(segments);
            }
            if let Some(segments) = &entry.segments {
                sparse::check(segments, entry.size, self.data)?;
            }
        }
        Ok(entry)
    }

    fn end(&mut self) -> Result<Option<Entry>, Failure> {
        match self.block(true)? {
            Some(block) if block.iter().any(|b| *b != 0) => Err(Failure::corrupt("the archive goes on after an empty block")),
            second => {
                self.ended = second.is_some();
                Ok(None)
            }
        }
    }

    fn expect(&mut self, size: u64) {
        self.data = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn extension(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Failure> {
        let size = header.size()?;
        if size > MAX_EXTENSION_BYTES {
            return Err(Failure::corrupt(format!("the archive has an extension of {size} bytes")));
        }
        self.expect(size);
        let mut bytes = Vec::with_capacity(size as usize);
        while self.data > 0 {
            bytes.extend_from_slice(self.data()?);
        }
        Ok(bytes)
    }

    fn skip_data(&mut self) -> Result<(), Failure> {
        while self.data > 0 {
            self.data()?;
        }
        self.data = std::mem::take(&mut self.padding);
        while self.data > 0 {
            self.data()?;
        }
        Ok(())
    }

    /// One block of the entry's data, where the data begin with a map.
    pub fn data_block(&mut self) -> Result<Block, Failure> {
        if self.data < BLOCK as u64 {
            return Err(Failure::corrupt("a sparse file's map is cut off"));
        }
        self.data -= BLOCK as u64;
        self.extra_block()
    }

    /// One block that counts to no entry's data.
    pub fn extra_block(&mut self) -> Result<Block, Failure> {
        self.block(false)?.ok_or_else(|| Failure::corrupt("the archive ends in the middle of a header"))
    }

    fn block(&mut self, end_allowed: bool) -> Result<Option<Block>, Failure> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let piece = self.stream.next(BLOCK - filled)?;
            if piece.is_empty() {
                if filled == 0 && end_allowed {
                    return Ok(None);
                }
                return Err(Failure::corrupt("the archive ends in the middle of a header"));
            }
            block[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        }
        Ok(Some(block))
    }
}

fn until_nul(bytes: Vec<u8>) -> Vec<u8> {
    crate::header::text(&bytes).to_vec()
}

fn kind(header: &Header<'_>, path: &[u8]) -> Result<Kind, Failure> {
    Ok(match header.kind() {
        // Before POSIX a directory was a file whose name ends with a slash.
        0 | b'0' | b'7' if path.ends_with(b"/") && header.format != Format::Gnu => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => header.device().map(|(major, minor)| Kind::Character(major, minor))?,
        b'4' => header.device().map(|(major, minor)| Kind::Block(major, minor))?,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(Failure::corrupt(format!("entry {} has the unknown type {}", quoted(path), quoted(&[other])))),
    })
}
