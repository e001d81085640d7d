//! One 512-byte block of a tar archive. Formats: v7, POSIX ustar, GNU, star. Sources: POSIX.1-2017 pax, GNU tar's manual
//! "Basic Tar Format".

use crate::failure::{Failure, quoted};

pub const BLOCK: usize = 512;
pub type Block = [u8; BLOCK];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

pub struct Header<'a> {
    block: &'a Block,
    pub format: Format,
}

impl<'a> Header<'a> {
    /// Checks the sum. `None` is a block of zeros.
    pub fn parse(block: &'a Block) -> Result<Option<Header<'a>>, Failure> {
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        // Old writers summed signed characters.
        let (mut unsigned, mut signed) = (0i64, 0i64);
        for (at, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { *byte };
            unsigned += i64::from(byte);
            signed += i64::from(byte as i8);
        }
        match number(&block[148..156]) {
            Some(sum) if sum == unsigned || sum == signed => {}
            _ => return Err(Failure::corrupt("this is not a tar archive, or it is damaged: a header's checksum is wrong")),
        }
        let format = match (&block[257..263], &block[263..265], &block[508..512]) {
            (b"ustar\0", _, b"tar\0") => Format::Star,
            (b"ustar\0", _, _) => Format::Ustar,
            (b"ustar ", b" \0", _) => Format::Gnu,
            _ => Format::V7,
        };
        Ok(Some(Header { block, format }))
    }

    pub fn bytes(&self) -> &'a Block {
        self.block
    }

    pub fn kind(&self) -> u8 {
        self.block[156]
    }

    /// Name with the prefix that ustar and star put before it.
    pub fn name(&self) -> Vec<u8> {
        let name = text(&self.block[0..100]);
        let prefix = match self.format {
            Format::Ustar => text(&self.block[345..500]),
            Format::Star => text(&self.block[345..476]),
            Format::V7 | Format::Gnu => &[],
        };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub fn link(&self) -> Vec<u8> {
        text(&self.block[157..257]).to_vec()
    }

    pub fn mode(&self) -> Result<u32, Failure> {
        Ok((self.field(100..108, "mode")? & 0o7777) as u32)
    }

    pub fn uid(&self) -> Result<u32, Failure> {
        owner(self.field(108..116, "owner")?)
    }

    pub fn gid(&self) -> Result<u32, Failure> {
        owner(self.field(116..124, "group")?)
    }

    pub fn size(&self) -> Result<u64, Failure> {
        u64::try_from(self.field(124..136, "size")?).map_err(|_| Failure::corrupt("an entry has a negative size"))
    }

    pub fn mtime(&self) -> Result<i64, Failure> {
        self.field(136..148, "time")
    }

    /// Major and minor number of a device.
    pub fn device(&self) -> Result<(u32, u32), Failure> {
        let part = |range: std::ops::Range<usize>| -> Result<u32, Failure> {
            u32::try_from(self.field(range, "device")?).map_err(|_| Failure::corrupt("an entry has an impossible device number"))
        };
        Ok((part(329..337)?, part(337..345)?))
    }

    fn field(&self, range: std::ops::Range<usize>, what: &str) -> Result<i64, Failure> {
        let field = &self.block[range];
        number(field).ok_or_else(|| Failure::corrupt(format!("an entry's {what} is not a number: {}", quoted(field))))
    }
}

pub fn owner(id: i64) -> Result<u32, Failure> {
    // The largest value means "leave as it is" to chown.
    u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or_else(|| Failure::corrupt(format!("an entry has the impossible owner {id}")))
}

/// Up to the first NUL.
pub fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or(&[])
}

/// Octal in text, or GNU's base-256 (high bit set, two's complement). Empty is 0.
pub fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        let negative = first & 0x40 != 0;
        let mut value: i128 = if negative { -1 } else { 0 };
        for (at, byte) in field.iter().enumerate() {
            let byte = if at == 0 && !negative { byte & 0x7f } else { *byte };
            value = value.checked_mul(256)? | i128::from(byte);
        }
        return i64::try_from(value).ok();
    }
    let digits = text(field).trim_ascii();
    let mut value: i64 = 0;
    for digit in digits {
        if !(b'0'..=b'7').contains(digit) {
            return None;
        }
        value = value.checked_mul(8)? + i64::from(digit - b'0');
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"0008\0"), None);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]), Some(8 << 30));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(&[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(number(b"77777777777777777777777777"), None);
    }

    #[test]
    fn the_owner_that_means_leave_alone_is_refused() {
        assert!(owner(i64::from(u32::MAX)).is_err());
        assert!(owner(-1).is_err());
        assert_eq!(owner(65534).ok(), Some(65534));
    }

    #[test]
    fn a_wrong_checksum_is_refused_and_zeros_are_the_end() {
        assert!(Header::parse(&[0; BLOCK]).unwrap().is_none());
        let mut block = [0; BLOCK];
        block[0] = b'x';
        assert!(Header::parse(&block).is_err());
    }
}
