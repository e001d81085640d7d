//! nfnetlink for nftables: transactions, and reading back what stands. Numbers are `linux/netfilter/nf_tables.h`'s.

use crate::netlink::{Body, Messages, Refusal, Socket, attributes, find};

pub(crate) const FAMILY_INET: u8 = 1;
pub(crate) const FAMILY_IP: u8 = 2;
pub(crate) const FAMILY_BRIDGE: u8 = 7;
const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const BATCH_GENERATION: u16 = 1;
pub(crate) const GET_TABLE: u16 = 1;
pub(crate) const GET_CHAIN: u16 = 4;
pub(crate) const NEW_RULE: u16 = 6;
pub(crate) const GET_RULE: u16 = 7;
pub(crate) const DELETE_RULE: u16 = 8;
pub(crate) const NEW_ELEMENT: u16 = 12;
pub(crate) const GET_ELEMENT: u16 = 13;
pub(crate) const DELETE_ELEMENT: u16 = 14;
const GET_GENERATION: u16 = 16;
pub(crate) const ELEMENT_LIST_TABLE: u16 = 1;
pub(crate) const ELEMENT_LIST_SET: u16 = 2;
pub(crate) const ELEMENT_LIST_ELEMENTS: u16 = 3;
pub(crate) const LIST_ELEMENT: u16 = 1;
pub(crate) const DATA_VALUE: u16 = 1;
pub(crate) const ELEMENT_KEY: u16 = 1;
pub(crate) const ELEMENT_DATA: u16 = 2;
pub(crate) const ELEMENT_USERDATA: u16 = 6;

/// A transaction: everything in it happens, or nothing.
pub(crate) struct Batch {
    messages: Messages,
}

impl Batch {
    /// With a generation, the kernel refuses (ERESTART) when anything changed since that was read.
    pub(crate) fn begin(generation: Option<u32>) -> Self {
        let mut messages = Messages::default();
        messages.add(BATCH_BEGIN, 0, |body| {
            header(body, 0, SUBSYSTEM >> 8);
            if let Some(generation) = generation {
                body.put_be32(BATCH_GENERATION, generation);
            }
        });
        Self { messages }
    }

    pub(crate) fn add(&mut self, kind: u16, family: u8, flags: u16, fill: impl FnOnce(&mut Body<'_>)) {
        self.messages.add(SUBSYSTEM | kind, flags | crate::netlink::ACKNOWLEDGE, |body| {
            header(body, family, 0);
            fill(body);
        });
    }

    pub(crate) fn commit(mut self, socket: &Socket) -> Result<(), Refusal> {
        self.messages.add(BATCH_END, 0, |body| header(body, 0, SUBSYSTEM >> 8));
        socket.transact(&self.messages).map(drop)
    }
}

/// One request outside a transaction, for reading: the answers without their `nfgenmsg`, with the family that it named.
pub(crate) fn read(socket: &Socket, kind: u16, flags: u16, family: u8, fill: impl FnOnce(&mut Body<'_>)) -> Result<Vec<(u8, Vec<u8>)>, Refusal> {
    let request = Messages::one(SUBSYSTEM | kind, flags, |body| {
        header(body, family, 0);
        fill(body);
    });
    let answers = if flags & crate::netlink::DUMP == 0 { socket.transact(&request)? } else { socket.dump(&request)? };
    let strip = |payload: Vec<u8>| Some((*payload.first()?, payload.get(4..)?.to_vec()));
    Ok(answers.into_iter().filter_map(|answer| strip(answer.payload)).collect())
}

pub(crate) fn read_generation(socket: &Socket) -> Result<u32, Refusal> {
    let answers = read(socket, GET_GENERATION, 0, 0, |_| {})?;
    let number = answers.iter().find_map(|(_, attributes)| find(attributes, 1)).and_then(read_be32);
    number.ok_or(Refusal { errno: libc::EPROTO, message: None, number: 0 })
}

pub(crate) fn table_exists(socket: &Socket, family: u8, table: &str) -> Result<bool, Refusal> {
    match read(socket, GET_TABLE, 0, family, |body| body.put_text(1, table)) {
        Ok(answers) => Ok(!answers.is_empty()),
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// A set or a map.
#[derive(Clone, Copy)]
pub(crate) struct Set<'a> {
    pub(crate) family: u8,
    pub(crate) table: &'a str,
    pub(crate) name: &'a str,
}

impl Set<'_> {
    pub(crate) fn put_name(self, body: &mut Body<'_>) {
        body.put_text(ELEMENT_LIST_TABLE, self.table);
        body.put_text(ELEMENT_LIST_SET, self.name);
    }

    /// Keys of the elements and their comments, which name the workloads that they belong to.
    pub(crate) fn list(self, socket: &Socket) -> Result<Vec<(Vec<u8>, String)>, Refusal> {
        let answers = read(socket, GET_ELEMENT, crate::netlink::DUMP, self.family, |body| self.put_name(body))?;
        let mut found = Vec::new();
        for (_, answer) in &answers {
            for (_, element) in find(answer, ELEMENT_LIST_ELEMENTS).into_iter().flat_map(attributes) {
                let key = find(element, ELEMENT_KEY).and_then(|data| find(data, DATA_VALUE));
                let workload = find(element, ELEMENT_USERDATA).and_then(|data| data.get(2..)).map(String::from_utf8_lossy);
                if let (Some(key), Some(workload)) = (key, workload) {
                    found.push((key.to_vec(), workload.trim_end_matches('\0').to_owned()));
                }
            }
        }
        Ok(found)
    }
}

pub(crate) fn read_be32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// A comment as `nft list` shows it: type 0, length, text with its closing zero.
pub(crate) fn comment(text: &str) -> Vec<u8> {
    let mut bytes = vec![0, (text.len() + 1) as u8];
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes
}

/// `struct nfgenmsg`; the last field is in network order.
pub(crate) fn header(body: &mut Body<'_>, family: u8, resource: u16) {
    let [high, low] = resource.to_be_bytes();
    body.raw(&[family, 0, high, low]);
}
