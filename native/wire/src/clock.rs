//! Moments as the wires and logs write them: RFC 3339, UTC, nine digits.

/// Nanoseconds since 1970, UTC.
pub fn now_ns() -> i128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) };
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

/// Nanoseconds of a clock that never steps.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// `2026-01-31T12:00:00.000000000Z`, always 30 bytes for years 0–9999.
pub fn stamp(ns: i128) -> String {
    let mut text = [0u8; 30];
    write_stamp(ns, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

pub fn stamp_now() -> String {
    stamp(now_ns())
}

/// As `stamp`, without touching the heap.
pub fn write_stamp(ns: i128, out: &mut [u8; 30]) {
    let seconds = ns.div_euclid(1_000_000_000) as i64;
    let fraction = ns.rem_euclid(1_000_000_000) as u64;
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400) as u64;
    out.copy_from_slice(b"0000-00-00T00:00:00.000000000Z");
    digits(&mut out[0..4], year.clamp(0, 9999) as u64);
    digits(&mut out[5..7], month);
    digits(&mut out[8..10], day);
    digits(&mut out[11..13], second / 3600);
    digits(&mut out[14..16], second / 60 % 60);
    digits(&mut out[17..19], second % 60);
    digits(&mut out[20..29], fraction);
}

fn digits(out: &mut [u8], mut value: u64) {
    for place in out.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Days since 1970 as a date of the Gregorian calendar (Howard Hinnant's `civil_from_days`).
fn civil_from_days(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u64;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u64;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_right_at_the_calendar_s_corners() {
        assert_eq!(stamp(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(stamp(951_782_400_000_000_001), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(stamp(1_704_067_199_999_999_999), "2023-12-31T23:59:59.999999999Z");
        assert_eq!(stamp(4_107_542_400_000_000_000), "2100-03-01T00:00:00.000000000Z");
    }
}
