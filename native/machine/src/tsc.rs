//! The host's time-stamp counter in kHz, for an emulated guest's command line: its own calibration fails under load, and every clock of
//! it is then ten milliseconds coarse.
//!
//! The kernel knows the figure exactly and tells it in the shared page of any perf event (`time_mult`, `time_shift`: perf_event.h).
//! Where perf is closed, the counter is measured against the monotonic clock.

const TYPE_SOFTWARE: u32 = 1;
const COUNT_DUMMY: u64 = 9;
const CAP_USER_TIME: u64 = 1 << 3;
const PAGE_BYTES: usize = 4096;
/// `struct perf_event_mmap_page`: where its fields lie.
const CAPABILITIES_AT: usize = 40;
const TIME_SHIFT_AT: usize = 50;
const TIME_MULT_AT: usize = 52;

/// Undefined on processors without such a counter.
pub fn khz() -> Option<u64> {
    let said = from_kernel().or_else(measured)?;
    (100_000..20_000_000).contains(&said).then_some(said)
}

fn from_kernel() -> Option<u64> {
    let mut attributes = [0u8; 128];
    attributes[..4].copy_from_slice(&TYPE_SOFTWARE.to_ne_bytes());
    attributes[4..8].copy_from_slice(&128u32.to_ne_bytes());
    attributes[8..16].copy_from_slice(&COUNT_DUMMY.to_ne_bytes());
    unsafe {
        let fd = libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 8) as i32;
        if fd < 0 {
            return None;
        }
        let page = libc::mmap(std::ptr::null_mut(), PAGE_BYTES, libc::PROT_READ, libc::MAP_SHARED, fd, 0);
        libc::close(fd);
        if page == libc::MAP_FAILED {
            return None;
        }
        let at = page.cast::<u8>();
        let capabilities = at.add(CAPABILITIES_AT).cast::<u64>().read_unaligned();
        let shift = at.add(TIME_SHIFT_AT).cast::<u16>().read_unaligned();
        let multiplier = at.add(TIME_MULT_AT).cast::<u32>().read_unaligned();
        libc::munmap(page, PAGE_BYTES);
        (capabilities & CAP_USER_TIME != 0).then(|| frequency(multiplier, shift)).flatten()
    }
}

/// Nanoseconds are `counter * multiplier >> shift`.
fn frequency(multiplier: u32, shift: u16) -> Option<u64> {
    if multiplier == 0 || shift > 40 {
        return None;
    }
    let scaled = (1_000_000u128 << shift) + u128::from(multiplier / 2);
    u64::try_from(scaled / u128::from(multiplier)).ok()
}

#[cfg(target_arch = "x86_64")]
fn measured() -> Option<u64> {
    use bulkhead_wire::clock::monotonic_ns;
    let counter = || unsafe { core::arch::x86_64::_rdtsc() };
    let (from_ns, from) = (monotonic_ns(), counter());
    std::thread::sleep(std::time::Duration::from_millis(20));
    let (to_ns, to) = (monotonic_ns(), counter());
    to.checked_sub(from)?.checked_mul(1_000_000)?.checked_div(to_ns - from_ns)
}

#[cfg(not(target_arch = "x86_64"))]
fn measured() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_multiplier_gives_its_frequency() {
        // 2.3 GHz as Linux writes it: (1e6 << 31) / 2_300_000.
        assert_eq!(frequency(933_688_542, 31), Some(2_300_000));
        assert_eq!(frequency(0, 31), None);
        assert_eq!(frequency(1, 60), None);
    }

    #[test]
    fn what_the_kernel_says_is_what_can_be_measured() {
        if let (Some(said), Some(measured)) = (from_kernel(), measured()) {
            assert!(said.abs_diff(measured) * 50 < said, "{said} kHz said, {measured} kHz measured");
        }
    }
}
