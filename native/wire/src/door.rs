//! A listening socket in a poller. A process that has no descriptor left cannot accept, and the poller would tell of whoever waits without
//! end: the door then stays shut for a moment.

use crate::clock::monotonic_ns;
use crate::poller::{Interest, Poller};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};

const REST_NS: u64 = 100_000_000;

pub struct Door {
    listener: UnixListener,
    token: u64,
    shut_until: Option<u64>,
}

impl Door {
    pub fn open(listener: UnixListener, token: u64, poller: &Poller) -> io::Result<Door> {
        listener.set_nonblocking(true)?;
        poller.add(listener.as_raw_fd(), token, Interest::READ)?;
        Ok(Door { listener, token, shut_until: None })
    }

    /// Who waits, one after the other. None for the moment: nobody, or nobody can be let in.
    pub fn welcome(&mut self, poller: &Poller) -> Option<UnixStream> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Some(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
                Err(_) => {
                    poller.remove(self.listener.as_raw_fd());
                    self.shut_until = Some(monotonic_ns() + REST_NS);
                    return None;
                }
            }
        }
    }

    /// When `look` wants to be called; monotonic nanoseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.shut_until
    }

    /// Opens again what has been shut for long enough.
    pub fn look(&mut self, poller: &Poller) {
        if self.shut_until.is_some_and(|until| until <= monotonic_ns()) {
            let opened = poller.add(self.listener.as_raw_fd(), self.token, Interest::READ).is_ok();
            self.shut_until = if opened { None } else { Some(monotonic_ns() + REST_NS) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poller::Ready;

    fn limit_descriptors(most: u64) {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: 1024 };
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    }

    fn let_in_after_a_rest(path: &str) {
        let poller = Poller::new().unwrap();
        let mut door = Door::open(UnixListener::bind(path).unwrap(), 7, &poller).unwrap();
        let _client = UnixStream::connect(path).unwrap();
        let mut ready = [Ready::EMPTY; 4];
        limit_descriptors(3);
        assert_eq!(poller.wait(&mut ready, Some(0)).unwrap(), 1);
        assert!(door.welcome(&poller).is_none());
        assert_eq!(poller.wait(&mut ready, Some(0)).unwrap(), 0, "told again of somebody who cannot be let in");
        door.look(&poller);
        assert_eq!(poller.wait(&mut ready, Some(0)).unwrap(), 0, "opened before its time");
        door.shut_until = Some(0);
        door.look(&poller);
        assert_eq!((poller.wait(&mut ready, Some(0)).unwrap(), door.deadline()), (1, None));
        limit_descriptors(1024);
        assert!(door.welcome(&poller).is_some());
        assert!(door.welcome(&poller).is_none());
        assert_eq!(door.deadline(), None);
    }

    /// In a process of its own: the limit is the process's.
    #[test]
    fn whoever_cannot_be_let_in_for_want_of_descriptors_is_let_in_later_and_nothing_spins_meanwhile() {
        let path = format!("/tmp/bulkhead-door-{}", std::process::id());
        let child = unsafe { libc::fork() };
        if child == 0 {
            let passed = std::panic::catch_unwind(|| let_in_after_a_rest(&path)).is_ok();
            unsafe { libc::_exit(i32::from(!passed)) };
        }
        let mut status = -1;
        unsafe { libc::waitpid(child, &mut status, 0) };
        let _ = std::fs::remove_file(&path);
        assert_eq!(status, 0);
    }
}
