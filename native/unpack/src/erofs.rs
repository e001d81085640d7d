//! mkfs.erofs, run inside the walls of `confine::for_image_making`.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::failure::{Code, Failure, quoted};

pub const BLOCK: u64 = 4096;

/// The image's own time of making, always the same. `-T` would give it to every file (and make Python compile everything anew); by this variable it is
/// only the upper bound of files' times, and lies far enough ahead: the year 2100.
const BUILD_TIME: &str = "4102444800";

/// The image of `/layer` at `/out/NAME`. The same tree gives the same bytes: fixed identity and build time, every file's own time kept.
pub fn make(name: &str) -> Result<(), Failure> {
    let output = Command::new("/usr/bin/mkfs.erofs")
        .args(["-U00000000-0000-4000-8000-000000000000", "-x2", "--quiet"])
        .args([format!("/out/{name}"), "/layer".to_owned()])
        .env_clear()
        .env("SOURCE_DATE_EPOCH", BUILD_TIME)
        .stdin(Stdio::piped())
        .output();
    let output = output.map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let failure = Failure::new(Code::Unavailable, format!("mkfs.erofs cannot be started: {error}"));
        if missing { failure.with_remedy("apt-get install erofs-utils") } else { failure }
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let last = said.split(|b| *b == b'\n').rfind(|line| !line.is_empty()).unwrap_or(&[]);
    let full = said.windows(8).any(|words| words == b"No space");
    let code = if full { Code::Exhausted } else { Code::Internal };
    Err(Failure::new(code, format!("mkfs.erofs failed ({}): {}", output.status, quoted(last))))
}

/// Fills up to a whole block and syncs. The size.
pub fn settle(image: &File) -> Result<u64, Failure> {
    let failed = |error| Failure::system("cannot finish the layer's image", error);
    let bytes = image.metadata().map_err(failed)?.len().next_multiple_of(BLOCK);
    image.set_len(bytes).map_err(failed)?;
    image.sync_all().map_err(failed)?;
    Ok(bytes)
}
