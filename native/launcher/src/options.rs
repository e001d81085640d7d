//! The launcher's command line.

use std::path::PathBuf;

pub const USAGE: &str = "usage: bulkhead-launcher --root DIR --run DIR --socket PATH [--owner UID]";

pub struct Options {
    /// Where everything lasting lies.
    pub root: PathBuf,
    /// Where everything that a reboot may take lies.
    pub run: PathBuf,
    pub socket: PathBuf,
    /// Who may speak to the launcher beside root.
    pub owner: u32,
}

pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let (mut root, mut run, mut socket, mut owner) = (None, None, None, unsafe { libc::geteuid() });
    let mut arguments = arguments.skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--root" => root = Some(absolute(value()?)?),
            "--run" => run = Some(absolute(value()?)?),
            "--socket" => socket = Some(absolute(value()?)?),
            "--owner" => owner = value()?.parse().map_err(|_| "--owner takes a user's number".to_string())?,
            _ => return Err(format!("{name:?} is not an option")),
        }
    }
    match (root, run, socket) {
        (Some(root), Some(run), Some(socket)) => Ok(Options { root, run, socket, owner }),
        _ => Err("--root, --run and --socket are needed".into()),
    }
}

fn absolute(path: String) -> Result<PathBuf, String> {
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(format!("{path:?} is not an absolute path without .."));
    }
    Ok(PathBuf::from(path.trim_end_matches('/')))
}
