//! What an idle supervisor gives back: hundreds of them lie on a host for days.

unsafe extern "C" {
    /// The linker's: the program from its first page to the end of its code. None of it is ever written.
    static __executable_start: u8;
    static etext: u8;
}

/// Deepest that a stack has ever been here, with room to spare.
const STACK_BYTES: usize = 256 * 1024;

/// Free memory of the heap, the stack below this call, and the program's own pages, which are all in the page cache and come back sixteen at a
/// time where they are needed.
#[inline(never)]
pub fn shrink() {
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let here = 0u8;
    // Two pages on: the frames of this call and of those that it makes.
    let top = (&raw const here as usize & !(page - 1)) - 2 * page;
    unsafe {
        libc::malloc_trim(0);
        libc::madvise((top - STACK_BYTES) as *mut libc::c_void, STACK_BYTES, libc::MADV_DONTNEED);
        let first = (&raw const __executable_start as usize).next_multiple_of(page);
        let end = &raw const etext as usize & !(page - 1);
        if first < end {
            libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_DONTNEED);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_works_as_before() {
        let kept: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        super::shrink();
        assert_eq!(kept.concat().len(), 2890);
    }
}
