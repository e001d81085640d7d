//! The descriptors that a monitor is handed, each under the name that its arguments call it by.

use bulkhead_confine::FIRST_KEPT;
use bulkhead_wire::{Code, Failure};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Where the monitor finds its own descriptors by number, for what it takes only by a path.
pub const BY_PATH: &str = "/fd";

#[derive(Default)]
pub struct Kept {
    named: Vec<(String, OwnedFd)>,
}

impl Kept {
    /// Gives the number that it has in the monitor.
    pub fn add(&mut self, name: impl Into<String>, descriptor: impl Into<OwnedFd>) -> RawFd {
        self.named.push((name.into(), descriptor.into()));
        FIRST_KEPT + self.named.len() as RawFd - 1
    }

    pub fn descriptors(&self) -> Vec<RawFd> {
        self.named.iter().map(|(_, descriptor)| descriptor.as_raw_fd()).collect()
    }

    /// Placeholders become numbers; `{memory}`, where it is a descriptor, a path.
    pub fn arguments(&self, wanted: &[String]) -> Result<Vec<String>, Failure> {
        wanted.iter().map(|text| self.replace(text)).collect()
    }

    fn replace(&self, text: &str) -> Result<String, Failure> {
        let mut done = text.to_owned();
        for ((name, _), number) in self.named.iter().zip(FIRST_KEPT..) {
            let value = if name == "memory" { format!("{BY_PATH}/{number}") } else { number.to_string() };
            done = done.replace(&format!("{{{name}}}"), &value);
        }
        if ["{agent}", "{line}", "{tap}", "{share:", "{control}", "{memory}"].iter().any(|placeholder| done.contains(placeholder)) {
            return Err(Failure::new(Code::InvalidSpec, "the launch plan's arguments name a descriptor that the machine does not have"));
        }
        Ok(clock_words(&done))
    }
}

/// Words of the guest's command line that name the host's counter; where that is not known they go.
fn clock_words(text: &str) -> String {
    if !text.contains("{tscKhz}") {
        return text.to_owned();
    }
    match crate::tsc::khz() {
        Some(khz) => text.replace("{tscKhz}", &khz.to_string()),
        None => text.split(' ').filter(|word| !word.contains("{tscKhz}")).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_descriptor_numbers() {
        let wanted = ["socket,fd={agent}", "tap,fd={tap}", "fd={share:0}", "mem-path={memory},share=off"].map(str::to_owned);
        let given = |names: &[&str]| {
            let mut kept = Kept::default();
            for name in names {
                kept.add(*name, std::fs::File::open("/dev/null").unwrap());
            }
            kept
        };
        let all = given(&["agent", "tap", "share:0", "memory"]);
        assert_eq!(all.arguments(&wanted).unwrap(), ["socket,fd=3", "tap,fd=4", "fd=5", "mem-path=/fd/6,share=off"]);
        assert!(given(&["agent", "tap", "share:0"]).arguments(&wanted).is_err());
        assert!(given(&["agent", "share:0", "memory"]).arguments(&wanted).is_err());
    }
}
