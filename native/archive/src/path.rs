//! Names from an archive, made harmless: absolute ones start at the root of the tree, `..` never leads above it.

use crate::failure::{Failure, quoted};

const MAX_NAME: usize = 255;
/// Below PATH_MAX, so that the store's own prefix fits before it.
const MAX_PATH: usize = 3072;
const MAX_DEPTH: usize = 256;

/// Components without `.`, `..` and empty ones; an empty list is the root itself.
pub fn components(path: &[u8]) -> Result<Vec<&[u8]>, Failure> {
    let mut parts: Vec<&[u8]> = Vec::new();
    if path.len() > MAX_PATH {
        return Err(Failure::corrupt(format!("the archive has a path of {} bytes", path.len())));
    }
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ if part.len() > MAX_NAME || part.contains(&0) => {
                return Err(Failure::corrupt(format!("the archive has a name that no filesystem can hold: {}", quoted(part))));
            }
            _ => parts.push(part),
        }
    }
    if parts.len() > MAX_DEPTH {
        return Err(Failure::corrupt(format!("the archive has a path {} directories deep", parts.len())));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(path: &[u8]) -> Vec<u8> {
        components(path).unwrap().join(&b'/')
    }

    #[test]
    fn paths_stay_below_the_root() {
        assert_eq!(joined(b"./a//b/."), b"a/b");
        assert_eq!(joined(b"/etc/passwd"), b"etc/passwd");
        assert_eq!(joined(b"../../../etc/passwd"), b"etc/passwd");
        assert_eq!(joined(b"a/../../b"), b"b");
        assert_eq!(joined(b"./"), b"");
        assert!(components(&[b'x'; 256]).is_err());
        assert!(components(&b"a/".repeat(300)).is_err());
        assert!(components(&b"a".repeat(5000)).is_err());
        assert!(components(b"a\0b").is_err());
    }
}
