//! The machine monitor as a process: its console in a bounded ring, its end, and what it said last.

use bulkhead_wire::clock::monotonic_ns;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

const RING_BYTES: usize = 16 * 1024;
const LAST_LINES: usize = 6;
const LONGEST_LINE: usize = 160;

pub struct Vmm {
    pub pid: i32,
    pub pidfd: OwnedFd,
    console: OwnedFd,
    ring: VecDeque<u8>,
    status: Option<i32>,
}

impl Vmm {
    /// `console` is read without waiting; it carries the guest's console and the monitor's own complaints.
    pub fn new(pid: i32, pidfd: OwnedFd, console: OwnedFd) -> Vmm {
        unsafe {
            let flags = libc::fcntl(console.as_raw_fd(), libc::F_GETFL);
            libc::fcntl(console.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK);
        }
        Vmm { pid, pidfd, console, ring: VecDeque::new(), status: None }
    }

    pub fn console_descriptor(&self) -> RawFd {
        self.console.as_raw_fd()
    }

    /// Drains what is there, keeping the last of it. False: nothing will come any more.
    pub fn read_console(&mut self) -> bool {
        let mut buffer = [0u8; 4096];
        // A guest that floods its console gets its turns, not all of them.
        for _ in 0..16 {
            let count = unsafe { libc::read(self.console.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            if count == 0 {
                return false;
            }
            if count < 0 {
                return matches!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EAGAIN | libc::EINTR));
            }
            self.ring.extend(&buffer[..count as usize]);
            let excess = self.ring.len().saturating_sub(RING_BYTES);
            self.ring.drain(..excess);
        }
        true
    }

    /// The last lines, fit for a sentence: printable, short. They are a guest's words.
    pub fn last_words(&self) -> String {
        let bytes: Vec<u8> = self.ring.iter().copied().collect();
        last_lines(&String::from_utf8_lossy(&bytes))
    }

    pub fn kill(&mut self) {
        if self.status.is_none() {
            let nothing = std::ptr::null::<libc::siginfo_t>();
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), libc::SIGKILL, nothing, 0) };
        }
    }

    /// Its wait status once it has ended, waiting so long at most.
    pub fn wait(&mut self, patience_ms: u64) -> Option<i32> {
        let deadline = monotonic_ns() + patience_ms * 1_000_000;
        while self.status.is_none() {
            let mut status = 0;
            if unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) } == self.pid {
                self.status = Some(status);
                break;
            }
            let left = deadline.saturating_sub(monotonic_ns());
            if left == 0 {
                break;
            }
            let mut poll = libc::pollfd { fd: self.pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            unsafe { libc::poll(&mut poll, 1, left.div_ceil(1_000_000) as i32) };
        }
        self.status
    }
}

pub fn describe(status: i32) -> String {
    if libc::WIFSIGNALED(status) {
        format!("was ended by {}", bulkhead_wire::signal::name(libc::WTERMSIG(status)))
    } else {
        format!("exited with {}", libc::WEXITSTATUS(status))
    }
}

fn last_lines(text: &str) -> String {
    let printable = |line: &str| line.chars().filter(|letter| !letter.is_control()).take(LONGEST_LINE).collect::<String>();
    let lines: Vec<String> = text.lines().map(printable).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flooded_console_keeps_its_end_and_nothing_unprintable() {
        let mut ends = [0; 2];
        unsafe { libc::pipe(ends.as_mut_ptr()) };
        let [read, write] = ends.map(|fd| unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) });
        let pidfd = read.try_clone().unwrap();
        let mut vmm = Vmm::new(0, pidfd, read);
        for number in 0..3000 {
            let line = format!("\x1b[2Jline {number}\r\n");
            unsafe { libc::write(write.as_raw_fd(), line.as_ptr().cast(), line.len()) };
            vmm.read_console();
        }
        assert!(vmm.ring.len() <= RING_BYTES);
        assert!(vmm.last_words().ends_with("[2Jline 2998 | [2Jline 2999"));
        drop(write);
        assert!(!vmm.read_console());
    }

    #[test]
    fn ends_are_described_in_words() {
        assert_eq!(describe(libc::SIGKILL), "was ended by SIGKILL");
        assert_eq!(describe(1 << 8), "exited with 1");
    }
}
