//! The launcher's command line.

use std::path::PathBuf;

pub const USAGE: &str = "usage: bulkhead-launcher --root DIR --run DIR --socket PATH [--owner UID]
       bulkhead-launcher --teardown --root DIR [--run DIR] [--socket PATH]";

#[derive(Debug)]
pub struct Options {
    /// Where everything lasting lies.
    pub root: PathBuf,
    /// Where everything that a reboot may take lies.
    pub run: PathBuf,
    pub socket: PathBuf,
    /// Who may speak to the launcher beside root.
    pub owner: u32,
    /// Not to serve, but to end whoever serves and take away all that the root has on this host; its files stay.
    pub teardown: bool,
}

pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let (mut root, mut run, mut socket, mut owner, mut teardown) = (None, None, None, unsafe { libc::geteuid() }, false);
    let mut arguments = arguments.skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--root" => root = Some(absolute(value()?)?),
            "--run" => run = Some(absolute(value()?)?),
            "--socket" => socket = Some(absolute(value()?)?),
            "--owner" => owner = value()?.parse().map_err(|_| "--owner takes a user's number".to_string())?,
            "--teardown" => teardown = true,
            _ => return Err(format!("{name:?} is not an option")),
        }
    }
    if let (true, Some(root)) = (teardown, &root) {
        let run = run.get_or_insert_with(|| root.join("run"));
        socket.get_or_insert_with(|| run.join("launcher.sock"));
    }
    match (root, run, socket) {
        (Some(root), Some(run), Some(socket)) => Ok(Options { root, run, socket, owner, teardown }),
        _ => Err("--root, --run and --socket are needed".into()),
    }
}

fn absolute(path: String) -> Result<PathBuf, String> {
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(format!("{path:?} is not an absolute path without .."));
    }
    Ok(PathBuf::from(path.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn a_teardown_needs_no_more_than_the_root() {
        let options = read("launcher --teardown --root /r/").unwrap();
        assert_eq!((options.run, options.socket, options.teardown), (PathBuf::from("/r/run"), PathBuf::from("/r/run/launcher.sock"), true));
        assert_eq!(read("launcher --root /r --teardown --run /elsewhere").unwrap().socket, PathBuf::from("/elsewhere/launcher.sock"));
        for bad in ["launcher --teardown", "launcher --root /r", "launcher --teardown --root relative", "launcher --teardown --root /a/../b"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
