//! `hello`, and the version of the protocol that both ends then speak: `src/contract/protocol-version.ts`.

use crate::{Code, Failure};
use serde::Deserialize;

/// The versions of the launcher's, the supervisor's and the agent's wire, all three together, that this build speaks.
pub const OLDEST: u32 = 1;
pub const NEWEST: u32 = 1;

/// What the asking end says it speaks.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Greeting {
    /// The oldest.
    version: u32,
    /// Absent: no other than `version`.
    newest: Option<u32>,
}

impl Greeting {
    /// The newest version that both ends speak; UNSUPPORTED, naming both ranges, where there is none.
    pub fn agree(&self, who: &str, remedy: &str) -> Result<u32, Failure> {
        self.agree_on(OLDEST..=NEWEST, who, remedy)
    }

    fn agree_on(&self, own: std::ops::RangeInclusive<u32>, who: &str, remedy: &str) -> Result<u32, Failure> {
        let newest = self.newest.unwrap_or(self.version);
        let both = newest.min(*own.end());
        if both >= self.version && both >= *own.start() {
            return Ok(both);
        }
        let what = format!("{who} speaks versions {} to {} of the protocol, and was asked for {} to {newest}", own.start(), own.end(), self.version);
        Err(Failure::new(Code::Unsupported, what).remedy(remedy))
    }
}

/// Whether an end that speaks one version only, as an agent does, can be spoken to.
pub fn speaks(version: Option<u64>) -> bool {
    version.is_some_and(|version| (u64::from(OLDEST)..=u64::from(NEWEST)).contains(&version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn greeting(version: u32, newest: Option<u32>) -> Greeting {
        Greeting { version, newest }
    }

    #[test]
    fn the_newest_version_that_both_speak_is_taken() {
        let agree = |asked: Greeting, own| asked.agree_on(own, "it", "").ok();
        assert_eq!(agree(greeting(1, None), 1..=1), Some(1));
        assert_eq!(agree(greeting(1, Some(2)), 1..=1), Some(1), "a newer daemon, an older supervisor");
        assert_eq!(agree(greeting(1, Some(2)), 2..=3), Some(2), "an older daemon, a newer supervisor");
        assert_eq!(agree(greeting(4, Some(6)), 3..=5), Some(5));
        assert_eq!(agree(greeting(2, Some(3)), 1..=1), None);
        assert_eq!(agree(greeting(1, None), 2..=3), None);
        assert_eq!(agree(greeting(3, Some(2)), 1..=9), None, "a range that is none");
    }

    /// Recorded when version 1 was the only one, and kept for ever: what these bytes ask for is either spoken or refused by version.
    #[test]
    fn the_greetings_of_every_release_are_understood() {
        let recorded: Value = serde_json::from_str(include_str!("../../../test/fixtures/protocol/hello-1.json")).unwrap();
        for end in ["launcher", "supervisor"] {
            let request = crate::message::Request::read(recorded[end]["ask"].to_string().as_bytes()).unwrap();
            assert_eq!(request.verb, "hello");
            assert_eq!(request.arguments::<Greeting>().unwrap().agree(end, "").unwrap(), 1);
        }
        assert!(speaks(recorded["agent"]["version"].as_u64()));
        assert!(!speaks(None) && !speaks(Some(0)) && !speaks(Some(u64::MAX)));
    }
}
