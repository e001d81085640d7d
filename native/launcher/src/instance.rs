//! What makes a launcher the one of its root: the lock, the root's identity, and a mount namespace in which engines run.

use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes a directory that only its owner lists, and everything on the way to it.
pub fn make_directory(path: &Path, mode: u32) -> Result<(), String> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|error| format!("cannot make {}: {error}", path.display()))
}

/// Takes the root's lock for the life of this process. The file stays; only the lock counts.
pub fn lock(root: &Path) -> Result<fs::File, String> {
    let path = root.join("launcher.lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).read(true).mode(0o600).open(&path);
    let mut file = file.map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        let holder = fs::read_to_string(&path).unwrap_or_default();
        return Err(format!("another launcher (pid {}) already serves {}; stop it, or choose another --root", holder.trim(), root.display()));
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(file)
}

/// Six hexadecimal digits that every name on the host carries; made once per root, from the kernel's random numbers.
pub fn identity(root: &Path) -> Result<String, String> {
    let path = root.join("identity.json");
    match fs::read_to_string(&path) {
        Ok(text) => read_identity(&text).ok_or_else(|| format!("{} is damaged; restore it, since names on the host carry its rootId", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut random = [0u8; 3];
            if unsafe { libc::getrandom(random.as_mut_ptr().cast(), 3, 0) } != 3 {
                return Err("the kernel gives no random numbers".into());
            }
            let id = format!("{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
            let text = format!("{}\n", json!({ "version": 1, "rootId": id }));
            write_synced(&path, text.as_bytes()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            Ok(id)
        }
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Of the text of `identity.json`.
pub fn read_identity(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let id = value.get("rootId")?.as_str()?;
    (id.len() == 6 && id.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())).then(|| id.to_string())
}

/// The file appears whole or not at all, and stays after a power cut.
pub fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_six_small_hexadecimal_digits() {
        assert_eq!(read_identity(r#"{"version":1,"rootId":"0a1b2c"}"#).as_deref(), Some("0a1b2c"));
        for bad in ["", "{}", r#"{"rootId":"0A1B2C"}"#, r#"{"rootId":"../../"}"#, r#"{"rootId":7}"#] {
            assert_eq!(read_identity(bad), None, "{bad}");
        }
    }
}
