//! PAX extended headers (POSIX.1-2017, pax): records of `LENGTH KEY=VALUE\n`, which override the fields of the header that follows.

use crate::failure::{Failure, quoted};
use crate::header::owner;

const MAX_XATTRS: usize = 128;
const MAX_XATTR_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// What a PAX header says of the entry after it. Absent: the entry's own header decides.
#[derive(Default, Debug)]
pub struct Extended {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mtime: Option<Time>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: SparseRecords,
}

/// GNU tar's `GNU.sparse.*`, formats 0.0, 0.1 and 1.0.
#[derive(Default, Debug)]
pub struct SparseRecords {
    pub major: Option<u64>,
    pub name: Option<Vec<u8>>,
    pub real_size: Option<u64>,
    /// Offsets and lengths in turn, as 0.0 and 0.1 give them.
    pub map: Vec<u64>,
}

impl Extended {
    pub fn read(&mut self, mut records: &[u8]) -> Result<(), Failure> {
        while !records.is_empty() {
            // Some writers fill the last block with NULs and count them.
            if records.iter().all(|b| *b == 0) {
                break;
            }
            let (key, value, rest) = record(records).ok_or_else(|| Failure::corrupt("a PAX header is damaged"))?;
            self.take(key, value)?;
            records = rest;
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let wrong = || Failure::corrupt(format!("a PAX header has an impossible value for {}", quoted(key)));
        let count = || decimal(value).ok_or_else(wrong);
        let name = || if value.contains(&0) { Err(wrong()) } else { Ok(Some(value.to_vec()).filter(|v| !v.is_empty())) };
        match key {
            b"path" => self.path = name()?,
            b"linkpath" => self.link = name()?,
            b"size" => self.size = Some(count()?),
            b"uid" => self.uid = Some(owner(i64::try_from(count()?).map_err(|_| wrong())?)?),
            b"gid" => self.gid = Some(owner(i64::try_from(count()?).map_err(|_| wrong())?)?),
            b"mtime" => self.mtime = Some(time(value).ok_or_else(wrong)?),
            b"GNU.sparse.major" => self.sparse.major = Some(count()?),
            b"GNU.sparse.name" => self.sparse.name = name()?,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.real_size = Some(count()?),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.sparse.map.push(count()?),
            b"GNU.sparse.map" => {
                self.sparse.map = value.split(|b| *b == b',').map(|part| decimal(part).ok_or_else(wrong)).collect::<Result<_, _>>()?;
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattr(name, value)?;
                }
            }
        }
        Ok(())
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        if self.xattrs.len() >= MAX_XATTRS || value.len() > MAX_XATTR_BYTES || name.is_empty() || name.len() > 255 || name.contains(&0) {
            return Err(Failure::corrupt(format!("an entry has impossible extended attributes, {} among them", quoted(name))));
        }
        self.xattrs.retain(|(known, _)| known != name);
        self.xattrs.push((name.to_vec(), value.to_vec()));
        Ok(())
    }
}

fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().take(20).position(|b| *b == b' ')?;
    let length = usize::try_from(decimal(&records[..space])?).ok()?;
    if length > records.len() || length < space + 4 || records[length - 1] != b'\n' {
        return None;
    }
    let body = &records[space + 1..length - 1];
    let equals = body.iter().position(|b| *b == b'=')?;
    (equals > 0).then(|| (&body[..equals], &body[equals + 1..], &records[length..]))
}

pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Seconds with a fraction, possibly negative: `-1.5` is one and a half seconds before the epoch.
fn time(value: &[u8]) -> Option<Time> {
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut parts = value.splitn(2, |b| *b == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let mut nanoseconds: u32 = 0;
    let fraction = parts.next().unwrap_or(&[]);
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    for place in 0..9 {
        nanoseconds = nanoseconds * 10 + fraction.get(place).map_or(0, |d| u32::from(d - b'0'));
    }
    Some(match (negative, nanoseconds) {
        (false, _) => Time { seconds, nanoseconds },
        (true, 0) => Time { seconds: -seconds, nanoseconds: 0 },
        (true, _) => Time { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_override_fields_and_the_last_one_wins() {
        let mut extended = Extended::default();
        extended.read(b"9 path=a\n9 path=b\n21 mtime=1700000.250\n19 size=8589934592\n27 SCHILY.xattr.user.k=a\n=\n").unwrap();
        assert_eq!(extended.path.as_deref(), Some(&b"b"[..]));
        assert_eq!(extended.mtime, Some(Time { seconds: 1_700_000, nanoseconds: 250_000_000 }));
        assert_eq!(extended.size, Some(8_589_934_592));
        assert_eq!(extended.xattrs, vec![(b"user.k".to_vec(), b"a\n=".to_vec())]);
    }

    #[test]
    fn times_before_the_epoch_are_kept() {
        assert_eq!(time(b"-1.5"), Some(Time { seconds: -2, nanoseconds: 500_000_000 }));
        assert_eq!(time(b"1.2.3"), None);
        assert_eq!(time(b"x"), None);
    }

    #[test]
    fn damaged_records_are_refused() {
        for records in [&b"99999 path=a\n"[..], b"0 path=a\n", b"9 path=aX", b"path=a\n", b"5 =a\n", b"18446744073709551616 a=b\n", b"13 path=a\0bc\n"] {
            assert!(Extended::default().read(records).is_err(), "{}", String::from_utf8_lossy(records));
        }
    }
}
