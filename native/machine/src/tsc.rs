//! The host's time-stamp counter in kHz, for an emulated guest's command line: its own calibration fails under load, and every clock of
//! it is then ten milliseconds coarse.
//!
//! The counter is set beside the kernel's raw clock, which is that counter with the kernel's own figure: once when the launcher starts, and
//! again when a machine is raised, so that nobody waits for time to pass between the two.

use std::sync::OnceLock;

/// Reading both takes some hundred nanoseconds: after this long they are ten millionths of the span.
const LEAST_SPAN_NS: u64 = 20_000_000;
/// A host that has slept so long meanwhile may have lost its counter.
const MOST_ASLEEP_NS: u64 = 1_000_000;

#[derive(Clone, Copy)]
struct Moment {
    ns: u64,
    counter: u64,
    /// What this host has slept since it was booted.
    asleep_ns: u64,
}

static FIRST: OnceLock<Moment> = OnceLock::new();

/// Notes the first of the two moments.
pub fn begin() {
    FIRST.get_or_init(read);
}

/// Undefined on processors without such a counter. Waits only where `begin` was called a moment ago, or never, or the host slept since.
pub fn khz() -> Option<u64> {
    let (begun, now) = (*FIRST.get_or_init(read), read());
    let first = if now.asleep_ns.abs_diff(begun.asleep_ns) > MOST_ASLEEP_NS { now } else { begun };
    let waited = now.ns.saturating_sub(first.ns);
    std::thread::sleep(std::time::Duration::from_nanos(LEAST_SPAN_NS.saturating_sub(waited)));
    frequency(first, read())
}

fn read() -> Moment {
    let asleep_ns = clock(libc::CLOCK_BOOTTIME).saturating_sub(clock(libc::CLOCK_MONOTONIC));
    Moment { ns: clock(libc::CLOCK_MONOTONIC_RAW), counter: counter(), asleep_ns }
}

fn clock(which: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(which, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(target_arch = "x86_64")]
fn counter() -> u64 {
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

fn frequency(first: Moment, second: Moment) -> Option<u64> {
    let ticks = u128::from(second.counter.checked_sub(first.counter)?);
    let ns = u128::from(second.ns.checked_sub(first.ns)?);
    let khz = u64::try_from((ticks * 1_000_000).checked_div(ns)?).ok()?;
    (100_000..20_000_000).contains(&khz).then_some(khz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_over_a_span_are_a_frequency_even_after_years() {
        let at = |ns, counter| Moment { ns, counter, asleep_ns: 0 };
        let of = |ns: u64, counter: u64| frequency(at(1_000, 500), at(1_000 + ns, 500 + counter));
        assert_eq!(of(20_000_000, 46_000_000), Some(2_300_000));
        assert_eq!(of(100_000_000_000_000_000, 230_000_000_000_000_000), Some(2_300_000));
        assert_eq!(of(0, 5), None);
        assert_eq!(of(20_000_000, 0), None, "a processor without a counter");
        assert_eq!(frequency(at(9, 9), at(1, 1)), None, "a counter that was set back");
    }

    #[test]
    fn two_readings_agree_and_the_second_does_not_wait() {
        begin();
        let (first, then) = (khz(), read().ns);
        let again = khz();
        assert!(read().ns - then < LEAST_SPAN_NS, "it waited again");
        if let (Some(first), Some(again)) = (first, again) {
            assert!(first.abs_diff(again) * 1000 < first, "{first} kHz, then {again} kHz");
        }
    }
}
