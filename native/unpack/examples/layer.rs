//! The crate's two jobs by hand, for tests and measurements without a launcher:
//!
//!     layer unpack BLOB PARENT NAME [diff-id sha256:…] [blob-bytes N] [max-bytes N] [max-entries N] [lower DIRECTORY]…
//!     layer image DIRECTORY PARENT NAME
//!     layer remove PARENT NAME
//!     layer sync DIRECTORY
//!
//! Prints one JSON object; exits 1 where it is a failure.

use std::fs::File;
use std::os::fd::OwnedFd;

use bulkhead_unpack::{Code, Failure, ImageJob, Limits, UnpackJob, layer_image, remove, sync, unpack};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match work(&words) {
        Ok(answer) => println!("{answer}"),
        Err(failure) => {
            println!("{{\"code\":\"{}\",\"what\":{:?}}}", failure.code.as_str(), failure.what);
            std::process::exit(1);
        }
    }
}

fn open(path: &str) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::new(Code::InvalidSpec, format!("{path}: {error}")))
}

fn work(words: &[&str]) -> Result<String, Failure> {
    match words {
        ["unpack", blob, parent, name, options @ ..] => {
            let mut limits = Limits { max_bytes: 64 << 30, max_entries: 4_000_000, reserve_bytes: 0 };
            let (mut diff_id, mut grows_to, mut lowers) = (None, None, Vec::<OwnedFd>::new());
            let count = |value: &str| value.parse().map_err(|_| Failure::new(Code::InvalidSpec, "not a number"));
            for option in options.chunks(2) {
                match option {
                    ["diff-id", value] => diff_id = Some((*value).to_owned()),
                    ["blob-bytes", value] => grows_to = Some(count(value)?),
                    ["max-bytes", value] => limits.max_bytes = count(value)?,
                    ["max-entries", value] => limits.max_entries = count(value)?,
                    ["reserve-bytes", value] => limits.reserve_bytes = count(value)?,
                    ["lower", value] => lowers.push(open(value)?.into()),
                    _ => return Err(Failure::new(Code::InvalidSpec, "unknown option")),
                }
            }
            let job = UnpackJob { blob: open(blob)?, grows_to, parent: open(parent)?.into(), name: (*name).to_owned(), lowers, diff_id, limits };
            let made = unpack(job, &mut |_| {})?;
            Ok(format!(
                "{{\"diffId\":\"{}\",\"bytes\":{},\"entries\":{},\"leansOnLowers\":{},\"askedLowers\":{}}}",
                made.diff_id, made.bytes, made.entries, made.leans_on_lowers, made.asked_lowers
            ))
        }
        ["image", layer, parent, name] => {
            let made = layer_image(ImageJob { layer: open(layer)?.into(), parent: open(parent)?.into(), name: (*name).to_owned() })?;
            Ok(format!("{{\"bytes\":{}}}", made.bytes))
        }
        ["remove", parent, name] => remove(&open(parent)?.into(), name).map(|()| "{}".to_owned()),
        ["sync", directory] => sync(&open(directory)?.into()).map(|()| "{}".to_owned()),
        _ => Err(Failure::new(Code::InvalidSpec, "usage: layer unpack|image|remove|sync …")),
    }
}
