//! The default AppArmor profile of containers: loaded into the kernel by the system's own parser, from this program's text.

use crate::programs;
use bulkhead_wire::failure::{Code, Failure};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

const PROFILE: &str = include_str!("../data/apparmor-default.profile");
const NAME: &str = "bulkhead-default";
const ENABLED: &str = "/sys/module/apparmor/parameters/enabled";

/// Loads the profile, in the place of one that another release loaded, and names it; null where this kernel enforces none.
pub fn load() -> Result<Value, Failure> {
    if !std::fs::read_to_string(ENABLED).is_ok_and(|text| text.trim() == "Y") {
        return Ok(json!({ "profile": null }));
    }
    let unavailable = |what: String| Failure::new(Code::Unavailable, what).remedy("apt-get install --no-install-recommends apparmor, then systemctl restart bulkhead");
    let Some(parser) = programs::locate("apparmor_parser") else {
        return Err(unavailable("AppArmor is enabled, but apparmor_parser is not installed".into()));
    };
    // Without the cache: it belongs to the profiles in /etc, and this one has no file there.
    let mut command = Command::new(parser);
    command.args(["--skip-cache", "--replace"]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Failure::from_io("run apparmor_parser", &error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read says why on its way out.
        let _ = stdin.write_all(PROFILE.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| Failure::from_io("wait for apparmor_parser", &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(400).collect();
        return Err(unavailable(format!("AppArmor's default profile for containers could not be loaded: {said}")));
    }
    Ok(json!({ "profile": NAME }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_has_the_name_that_is_told() {
        assert!(PROFILE.contains(&format!("\nprofile {NAME} ")));
        assert!(PROFILE.contains(&format!("peer={NAME},")));
    }
}
