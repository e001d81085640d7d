//! Compiled seccomp filters: libseccomp needs ten milliseconds for Docker's profile, so each profile is compiled once (by crun
//! itself), arranged for the kernel, and handed over ready made from then on.

mod arrange;
mod filter;

use std::fs;
use std::path::{Path, PathBuf};

/// The file that holds a profile's compiled form. The key is checked: it becomes part of a path.
pub fn place(run: &Path, key: Option<&str>, runtime_stamp: &str) -> Option<PathBuf> {
    let key = key.filter(|key| !key.is_empty() && key.len() <= 128)?;
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    plain.then(|| run.join("seccomp").join(format!("{key}-{runtime_stamp}-arranged")))
}

pub fn load(place: &Path) -> Option<String> {
    fs::read_to_string(place).ok().filter(|text| !text.is_empty())
}

/// Keeps what crun compiled. Whoever comes first wins; a failure only costs time.
pub fn keep(place: &Path, compiled: &Path) {
    let Ok(bytes) = fs::read(compiled) else { return };
    let Some(program) = filter::parse(&bytes) else { return };
    let bytes = arrange::arrange(&program).map_or(bytes, |arranged| filter::bytes(&arranged));
    let Some(directory) = place.parent() else { return };
    let _ = fs::create_dir(directory);
    let temporary = place.with_extension(format!("{}", std::process::id()));
    if fs::write(&temporary, base64(&bytes)).is_ok() {
        let _ = fs::rename(&temporary, place);
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = u32::from(group[0]) << 16 | u32::from(*group.get(1).unwrap_or(&0)) << 8 | u32::from(*group.get(2).unwrap_or(&0));
        for place in 0..4 {
            if place <= group.len() {
                text.push(LETTERS[(word >> (18 - 6 * place)) as usize & 63] as char);
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_key_cannot_leave_the_cache() {
        for key in ["../x", "", "a/b", "a.b"] {
            assert_eq!(place(Path::new("/run"), Some(key), "1"), None, "{key}");
        }
        assert_eq!(place(Path::new("/run"), Some("default-1"), "2"), Some(PathBuf::from("/run/seccomp/default-1-2-arranged")));
    }
}
