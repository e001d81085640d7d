//! One guest's session: requests in, replies out, one after another.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::fd::OwnedFd;

use crate::message::{Errno, HEADER_BYTES, Header, MAX_DATA_BYTES, MAX_REQUEST_BYTES, REPLY_HEADER_BYTES, Reader, Reply, opcode};
use crate::nodes::{Bounds, Handles, Nodes};

/// Of the kernel's offers: asynchronous reads, large writes, caches dropped when a file changed, parallel directory operations, O_TRUNC within
/// open, directories read with their entries' attributes, and messages of 256 pages. Not offered: locks (they stay within the machine),
/// writeback (slower, and torn by the host's writers), access control lists.
const INIT_FLAGS: u32 = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 18 | 1 << 22;
const MAJOR: u32 = 7;
const MINOR: u32 = 31;
const OLDEST_MINOR: u32 = 28;

/// What an operation answers: a body, an error, or nothing at all.
pub(crate) type Outcome = std::result::Result<Vec<u8>, Errno>;

pub(crate) struct Session {
    pub(crate) nodes: Nodes,
    pub(crate) files: Handles,
    pub(crate) directories: Handles,
    pub(crate) read_only: bool,
    /// The single file's name, where the share is one file: its directory is made up.
    pub(crate) only: Option<Vec<u8>>,
}

impl Session {
    pub(crate) fn new(root: OwnedFd, bounds: Bounds, read_only: bool, only: Option<Vec<u8>>) -> Result<Self> {
        let nodes = Nodes::new(root, bounds.nodes).map_err(Error::from_raw_os_error)?;
        Ok(Self { nodes, files: Handles::new(bounds.handles), directories: Handles::new(bounds.handles), read_only, only })
    }

    /// Until the guest unmounts or its end of the stream is closed. An error is a guest that broke the protocol, or a stream that broke otherwise.
    pub(crate) fn run(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        let mut body = Vec::new();
        let mut greeted = false;
        while let Some(header) = read_request(stream, &mut body).or_else(|error| has_gone(error).map(|()| None))? {
            let outcome = match header.opcode {
                opcode::INIT => {
                    let outcome = self.greet(&mut Reader::new(&body));
                    greeted = outcome.is_ok();
                    outcome
                }
                _ if !greeted => return Err(Error::new(ErrorKind::InvalidData, "the first request is not INIT")),
                opcode::FORGET | opcode::BATCH_FORGET => {
                    // These have no reply, not even an error.
                    let _ = self.forget(&header, &mut Reader::new(&body));
                    continue;
                }
                opcode::INTERRUPT => continue, // every request is answered before the next is read: there is nothing to interrupt
                opcode::DESTROY => {
                    reply(stream, header.unique, Ok(Vec::new())).or_else(has_gone)?;
                    return Ok(());
                }
                _ => self.dispatch(&header, &mut Reader::new(&body)),
            };
            if let Err(error) = reply(stream, header.unique, outcome) {
                return has_gone(error);
            }
        }
        Ok(())
    }

    fn greet(&self, body: &mut Reader<'_>) -> Outcome {
        let (major, minor, readahead, flags) = (body.number()?, body.number()?, body.number()?, body.number()?);
        if major != MAJOR || minor < OLDEST_MINOR {
            return Err(libc::EPROTO);
        }
        let mut reply = Vec::with_capacity(64);
        reply.number(MAJOR);
        reply.number(minor.min(MINOR));
        reply.number(readahead.min(MAX_DATA_BYTES as u32));
        reply.number(flags & INIT_FLAGS);
        reply.number(16 | 12 << 16); // requests in the background, and where they become congested
        reply.number(MAX_DATA_BYTES as u32);
        reply.number(1);
        reply.number((MAX_DATA_BYTES / 4096) as u32);
        reply.resize(64, 0);
        Ok(reply)
    }

    fn forget(&mut self, header: &Header, body: &mut Reader<'_>) -> std::result::Result<(), Errno> {
        if header.opcode == opcode::FORGET {
            self.nodes.forget(header.node, body.long()?);
            return Ok(());
        }
        let count = body.number()?;
        body.number()?;
        for _ in 0..count {
            let (node, lookups) = (body.long()?, body.long()?);
            self.nodes.forget(node, lookups);
        }
        Ok(())
    }

    fn dispatch(&mut self, header: &Header, body: &mut Reader<'_>) -> Outcome {
        if self.read_only && writes(header.opcode) {
            return Err(libc::EROFS);
        }
        match header.opcode {
            opcode::LOOKUP => self.lookup(header, body),
            opcode::GETATTR => self.get_attributes(header, body),
            opcode::SETATTR => self.set_attributes(header, body),
            opcode::READLINK => self.read_link(header),
            opcode::SYMLINK => self.make_link(header, body),
            opcode::MKNOD => self.make_node(header, body),
            opcode::MKDIR => self.make_directory(header, body),
            opcode::UNLINK => self.unlink(header, body, 0),
            opcode::RMDIR => self.unlink(header, body, libc::AT_REMOVEDIR),
            opcode::RENAME | opcode::RENAME2 => self.rename(header, body),
            opcode::LINK => self.link(header, body),
            opcode::OPEN => self.open(header, body),
            opcode::CREATE => self.create(header, body),
            opcode::READ => self.read(body),
            opcode::WRITE => self.write(body),
            opcode::STATFS => self.statfs(header),
            opcode::RELEASE => self.release(body),
            opcode::FLUSH => self.flush(body),
            opcode::FSYNC => self.sync(body, false),
            opcode::FSYNCDIR => self.sync(body, true),
            opcode::FALLOCATE => self.allocate(body),
            opcode::LSEEK => self.seek(body),
            opcode::OPENDIR => self.open_directory(header),
            opcode::READDIR => self.read_directory(header, body, false),
            opcode::READDIRPLUS => self.read_directory(header, body, true),
            opcode::RELEASEDIR => self.release_directory(body),
            opcode::GETXATTR => self.get_extended(header, body),
            opcode::LISTXATTR => self.list_extended(header, body),
            opcode::SETXATTR => self.set_extended(header, body),
            opcode::REMOVEXATTR => self.remove_extended(header, body),
            _ => Err(libc::ENOSYS),
        }
    }
}

/// Operations that change something by themselves. Opening for writing is checked where flags are read; and a read-only share is a read-only
/// mount of the server's besides, so that this is the first wall, not the only one.
fn writes(code: u32) -> bool {
    use opcode::*;
    matches!(code, SETATTR | SYMLINK | MKNOD | MKDIR | UNLINK | RMDIR | RENAME | RENAME2 | LINK | CREATE | WRITE | FALLOCATE | SETXATTR | REMOVEXATTR)
}

/// None at the end of the stream.
fn read_request(stream: &mut impl Read, body: &mut Vec<u8>) -> Result<Option<Header>> {
    let mut header = [0; HEADER_BYTES];
    match stream.read_exact(&mut header) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
    if !(HEADER_BYTES..=MAX_REQUEST_BYTES).contains(&length) {
        return Err(Error::new(ErrorKind::InvalidData, format!("a request claims {length} bytes")));
    }
    if length > 64 * 1024 && body.capacity() < length {
        body.reserve_exact(MAX_REQUEST_BYTES); // once, at the first large write
    }
    body.clear();
    body.resize(length - HEADER_BYTES, 0);
    stream.read_exact(body)?;
    Ok(Some(Header::read(&header)))
}

/// A guest that unmounts or dies does not wait for its last answers.
fn has_gone(error: Error) -> Result<()> {
    if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) { Ok(()) } else { Err(error) }
}

fn reply(stream: &mut impl Write, unique: u64, outcome: Outcome) -> Result<()> {
    let (error, body) = match outcome {
        Ok(body) => (0, body),
        Err(errno) => (-errno, Vec::new()),
    };
    let mut head = [0; REPLY_HEADER_BYTES];
    head[..4].copy_from_slice(&((REPLY_HEADER_BYTES + body.len()) as u32).to_le_bytes());
    head[4..8].copy_from_slice(&error.to_le_bytes());
    head[8..].copy_from_slice(&unique.to_le_bytes());
    if body.is_empty() {
        return stream.write_all(&head);
    }
    let mut whole = Vec::new();
    if body.len() <= 16 * 1024 {
        whole.extend_from_slice(&head);
        whole.extend_from_slice(&body);
        return stream.write_all(&whole);
    }
    stream.write_all(&head)?;
    stream.write_all(&body)
}
