//! Maps of sparse files: GNU tar's old format and its PAX formats 0.0, 0.1 and 1.0 (GNU tar's manual, "Storing Sparse Files").

use crate::archive::{Archive, Source};
use crate::failure::Failure;
use crate::header::{Header, number};
use crate::pax::decimal;

const MAX_SEGMENTS: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub offset: u64,
    pub length: u64,
}

/// In order, within the file, and together exactly the data that follow.
pub fn check(segments: &[Segment], size: u64, data: u64) -> Result<(), Failure> {
    let (mut end, mut total) = (0u64, 0u64);
    for segment in segments {
        let next = segment.offset.checked_add(segment.length).filter(|next| segment.offset >= end && *next <= size);
        end = next.ok_or_else(wrong)?;
        total += segment.length;
    }
    if total == data && i64::try_from(size).is_ok() { Ok(()) } else { Err(wrong()) }
}

fn wrong() -> Failure {
    Failure::corrupt("a sparse file's map contradicts itself")
}

pub fn pairs(numbers: &[u64]) -> Result<Vec<Segment>, Failure> {
    if !numbers.len().is_multiple_of(2) || numbers.len() / 2 > MAX_SEGMENTS {
        return Err(wrong());
    }
    Ok(numbers.chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).collect())
}

/// Format 1.0: decimal numbers, one a line, before the data, filled up to a block.
pub fn read_map<S: Source>(archive: &mut Archive<S>) -> Result<Vec<Segment>, Failure> {
    let (mut numbers, mut digits) = (Vec::new(), Vec::new());
    let mut wanted = None;
    loop {
        for byte in archive.data_block()? {
            if byte != b'\n' {
                digits.push(byte);
                if digits.len() > 20 {
                    return Err(wrong());
                }
                continue;
            }
            let value = decimal(&digits).ok_or_else(wrong)?;
            digits.clear();
            match wanted {
                None => wanted = Some(usize::try_from(value).ok().filter(|n| *n <= MAX_SEGMENTS).ok_or_else(wrong)? * 2),
                Some(_) => numbers.push(value),
            }
            if wanted == Some(numbers.len()) {
                return pairs(&numbers);
            }
        }
    }
}

/// The old format: four pairs in the header, further ones in blocks of 21 right after it.
pub fn read_old_gnu<S: Source>(archive: &mut Archive<S>, header: &Header<'_>) -> Result<(u64, Vec<Segment>), Failure> {
    let field = |bytes: &[u8]| number(bytes).and_then(|n| u64::try_from(n).ok()).ok_or_else(wrong);
    let mut segments = Vec::new();
    let mut take = |bytes: &[u8], most: usize| -> Result<(), Failure> {
        for pair in bytes.chunks_exact(24).take(most) {
            if pair[0] != 0 {
                segments.push(Segment { offset: field(&pair[..12])?, length: field(&pair[12..])? });
            }
        }
        if segments.len() > MAX_SEGMENTS { Err(wrong()) } else { Ok(()) }
    };
    let block = header.bytes();
    take(&block[386..482], 4)?;
    let mut more = block[482] != 0;
    while more {
        let block = archive.extra_block()?;
        take(&block[..504], 21)?;
        more = block[504] != 0;
    }
    Ok((field(&block[483..495])?, segments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_overlap_or_leave_the_file_are_refused() {
        let map = |pairs: &[(u64, u64)]| pairs.iter().map(|(offset, length)| Segment { offset: *offset, length: *length }).collect::<Vec<_>>();
        assert!(check(&map(&[(0, 10), (20, 5), (100, 0)]), 100, 15).is_ok());
        assert!(check(&map(&[(0, 10), (5, 5)]), 100, 15).is_err());
        assert!(check(&map(&[(90, 11)]), 100, 11).is_err());
        assert!(check(&map(&[(u64::MAX, 2)]), 100, 2).is_err());
        assert!(check(&map(&[(0, 10)]), 100, 11).is_err());
        assert!(check(&[], u64::MAX, 0).is_err());
        assert!(pairs(&[1, 2, 3]).is_err());
    }
}
