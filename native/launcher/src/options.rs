//! The launcher's command line.

use std::path::PathBuf;

pub const USAGE: &str = "usage: bulkhead-launcher --root DIR --run DIR --socket PATH [--owner UID] [--allow PATH]...
       bulkhead-launcher --teardown --root DIR [--run DIR] [--socket PATH]
       bulkhead-launcher --orphans [--teardown]";

#[derive(Debug)]
pub enum Order {
    Serve(Options),
    /// Not to serve, but to end whoever serves and take away all that the root has on this host; its files stay.
    TearDown(Options),
    /// To tell what roots that are no more left on this host, or to remove it.
    Orphans { remove: bool },
}

#[derive(Debug)]
pub struct Options {
    /// Where everything lasting lies.
    pub root: PathBuf,
    /// Where everything that a reboot may take lies.
    pub run: PathBuf,
    pub socket: PathBuf,
    /// Who may speak to the launcher beside root.
    pub owner: u32,
    /// Programs and read-only files that launch plans may name beside the usual ones.
    pub allow: Vec<PathBuf>,
}

pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Order, String> {
    let (mut root, mut run, mut socket, mut owner) = (None, None, None, unsafe { libc::geteuid() });
    let (mut teardown, mut orphans) = (false, false);
    let mut allow = Vec::new();
    let mut arguments = arguments.skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--root" => root = Some(absolute(value()?)?),
            "--run" => run = Some(absolute(value()?)?),
            "--socket" => socket = Some(absolute(value()?)?),
            "--owner" => owner = value()?.parse().map_err(|_| "--owner takes a user's number".to_string())?,
            "--allow" => allow.push(absolute(value()?)?),
            "--teardown" => teardown = true,
            "--orphans" => orphans = true,
            _ => return Err(format!("{name:?} is not an option")),
        }
    }
    if orphans && root.is_none() {
        return Ok(Order::Orphans { remove: teardown });
    }
    if let (true, Some(root)) = (teardown, &root) {
        let run = run.get_or_insert_with(|| root.join("run"));
        socket.get_or_insert_with(|| run.join("launcher.sock"));
    }
    match (root, run, socket) {
        (Some(root), Some(run), Some(socket)) if !orphans => {
            let options = Options { root, run, socket, owner, allow };
            Ok(if teardown { Order::TearDown(options) } else { Order::Serve(options) })
        }
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

    fn read(line: &str) -> Result<Order, String> {
        parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn more_may_be_allowed() {
        let Ok(Order::Serve(options)) = read("launcher --root /r --run /r --socket /s --allow /opt/q --allow /k/") else { panic!("a launcher") };
        assert_eq!(options.allow, [PathBuf::from("/opt/q"), PathBuf::from("/k")]);
    }

    #[test]
    fn orphans_are_of_no_root() {
        assert!(matches!(read("launcher --orphans"), Ok(Order::Orphans { remove: false })));
        assert!(matches!(read("launcher --teardown --orphans"), Ok(Order::Orphans { remove: true })));
        assert!(read("launcher --orphans --root /r --run /r/run --socket /r/s").is_err());
    }

    #[test]
    fn a_teardown_needs_no_more_than_the_root() {
        let Ok(Order::TearDown(options)) = read("launcher --teardown --root /r/") else { panic!("a teardown") };
        assert_eq!((options.run, options.socket), (PathBuf::from("/r/run"), PathBuf::from("/r/run/launcher.sock")));
        let Ok(Order::TearDown(options)) = read("launcher --root /r --teardown --run /elsewhere") else { panic!("a teardown") };
        assert_eq!(options.socket, PathBuf::from("/elsewhere/launcher.sock"));
        for bad in ["launcher --teardown", "launcher --root /r", "launcher --teardown --root relative", "launcher --teardown --root /a/../b"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
