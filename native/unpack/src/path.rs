//! Names in a layer that mean something else than a file.

use crate::failure::{Failure, quoted};

#[derive(Debug, PartialEq, Eq)]
pub enum Whiteout<'a> {
    /// Everything that lower layers have in this directory is gone.
    Opaque,
    /// This name of the lower layers is gone.
    Of(&'a [u8]),
    /// Bookkeeping of aufs, which meant something only to it.
    Ignored,
}

/// OCI image specification, "Layer filesystem changeset", whiteouts.
pub fn whiteout(name: &[u8]) -> Result<Option<Whiteout<'_>>, Failure> {
    if name == b".wh..wh..opq" {
        return Ok(Some(Whiteout::Opaque));
    }
    if name.starts_with(b".wh..wh.") {
        return Ok(Some(Whiteout::Ignored));
    }
    match name.strip_prefix(b".wh.") {
        None => Ok(None),
        Some(b"" | b"." | b"..") => Err(Failure::corrupt(format!("the archive has the impossible whiteout {}", quoted(name)))),
        Some(rest) => Ok(Some(Whiteout::Of(rest))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whiteouts_are_told_apart() {
        assert_eq!(whiteout(b"x").unwrap(), None);
        assert_eq!(whiteout(b".wh.x").unwrap(), Some(Whiteout::Of(b"x")));
        assert_eq!(whiteout(b".wh..wh..opq").unwrap(), Some(Whiteout::Opaque));
        assert_eq!(whiteout(b".wh..wh.plnk").unwrap(), Some(Whiteout::Ignored));
        for name in [&b".wh."[..], b".wh..", b".wh..."] {
            assert!(whiteout(name).is_err());
        }
    }
}
