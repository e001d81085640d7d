//! What an idle supervisor gives back: hundreds of them lie on a host for days.

unsafe extern "C" {
    /// The linker's: the program from its first page to the end of its code. None of it is ever written.
    static __executable_start: u8;
    static etext: u8;
}

/// Deepest that a stack has ever been here, with room to spare.
const STACK_BYTES: usize = 256 * 1024;

/// Free memory of the heap, the stack below this call, and the program's own pages, which are all in the page cache and come back sixteen at a
/// time where they are needed. Only in a process that is a supervisor and nothing else: what lies below another thread's stack, and what
/// a shared heap holds, is not this caller's.
#[inline(never)]
pub fn shrink() {
    // Asked of the kernel: a process that was not made by the C library's own fork has its parent's number in memory.
    if unsafe { libc::syscall(libc::SYS_gettid) as i32 != libc::getpid() } {
        return;
    }
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
    /// In a process of its own, whose only thread this is, as a supervisor's is.
    #[test]
    fn everything_works_as_before() {
        let child = unsafe { libc::fork() };
        if child == 0 {
            let kept: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
            super::shrink();
            unsafe { libc::_exit(i32::from(kept.concat().len() != 2890)) };
        }
        let mut status = -1;
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
    }

    #[test]
    fn what_lies_below_the_stack_of_a_thread_among_others_is_let_be() {
        const STACK: usize = 512 * 1024;
        extern "C" fn shrink(_: *mut libc::c_void) -> *mut libc::c_void {
            super::shrink();
            std::ptr::null_mut()
        }
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let memory = libc::mmap(std::ptr::null_mut(), 2 * STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            assert_ne!(memory, libc::MAP_FAILED);
            libc::memset(memory, 7, 2 * STACK);
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            libc::pthread_attr_init(&mut attributes);
            assert_eq!(libc::pthread_attr_setstack(&mut attributes, memory.byte_add(STACK), STACK), 0);
            let mut thread: libc::pthread_t = std::mem::zeroed();
            assert_eq!(libc::pthread_create(&mut thread, &attributes, shrink, std::ptr::null_mut()), 0);
            libc::pthread_join(thread, std::ptr::null_mut());
            let below = std::slice::from_raw_parts(memory.cast::<u8>(), STACK + STACK / 2);
            assert!(below.iter().all(|byte| *byte == 7), "memory of others was given back");
            libc::munmap(memory, 2 * STACK);
        }
    }
}
