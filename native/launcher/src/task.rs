//! Work in a forked child, and the pipe by which it tells the launcher how it goes: JSON lines, `progress` any number of times,
//! then `ok` or `failure` once.

use crate::detached::{close_others, set_name, unblock_signals};
use bulkhead_wire::Failure;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

/// The child's end.
pub struct Teller {
    pipe: Option<File>,
}

impl Teller {
    pub fn new(pipe: File) -> Teller {
        Teller { pipe: Some(pipe) }
    }

    pub fn progress(&mut self, progress: &Value) {
        self.line(&json!({ "progress": progress }));
    }

    pub fn ok(&mut self, ok: Value) {
        self.line(&json!({ "ok": ok }));
    }

    pub fn failure(&mut self, failure: &Failure) {
        self.line(&json!({ "failure": failure }));
    }

    fn line(&mut self, value: &Value) {
        if let Some(pipe) = &mut self.pipe {
            let mut text = value.to_string();
            text.push('\n');
            // The launcher may be gone: the work goes on all the same.
            let _ = pipe.write_all(text.as_bytes());
        }
    }

    pub fn close(&mut self) {
        self.pipe = None;
    }

    pub fn descriptor(&self) -> RawFd {
        self.pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

/// The launcher's end.
pub struct Offspring {
    pub pid: i32,
    pipe: Option<File>,
    text: Vec<u8>,
}

/// Longest line that a child may write; unpacked answers are far shorter.
const LONGEST_LINE: usize = 1024 * 1024;

pub enum Word {
    Progress(Value),
    Answer(Result<Value, Failure>),
}

impl Offspring {
    /// Of whatever process `bear` starts and names; it gets the child's end.
    pub fn born(bear: impl FnOnce(File) -> io::Result<i32>) -> io::Result<Offspring> {
        let mut ends = [0; 2];
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let (ours, theirs) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
        let pid = bear(theirs)?;
        unsafe { libc::fcntl(ours.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        Ok(Offspring { pid, pipe: Some(ours), text: Vec::new() })
    }

    /// A child for one verb: confined to its own descriptors, answers, and is gone.
    pub fn task(keep: &[RawFd], work: impl FnOnce(&mut Teller) -> Result<Value, Failure>) -> io::Result<Offspring> {
        Offspring::born(|pipe| match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let mut teller = Teller::new(pipe);
                let mut kept = keep.to_vec();
                kept.push(teller.descriptor());
                close_others(&kept);
                unblock_signals();
                set_name(c"bulkhead-task");
                match work(&mut teller) {
                    Ok(ok) => teller.ok(ok),
                    Err(failure) => teller.failure(&failure),
                }
                unsafe { libc::_exit(0) }
            }
            pid => Ok(pid),
        })
    }

    pub fn descriptor(&self) -> Option<RawFd> {
        self.pipe.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// What the child has said since. The pipe is closed at its end; see `descriptor`.
    pub fn listen(&mut self) -> Vec<Word> {
        let mut chunk = [0u8; 4096];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(count) if self.text.len() + count <= LONGEST_LINE => self.text.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => self.pipe = None,
            }
        }
        let mut words = Vec::new();
        while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.text.drain(..=end).collect();
            words.extend(read_word(&line));
        }
        if self.text.is_empty() {
            // Kept as long as the child lives, which for a supervisor may be for ever.
            self.text = Vec::new();
        }
        words
    }
}

fn read_word(line: &[u8]) -> Option<Word> {
    let mut value: Value = serde_json::from_slice(line).ok()?;
    if let Some(progress) = value.get_mut("progress") {
        return Some(Word::Progress(progress.take()));
    }
    if let Some(ok) = value.get_mut("ok") {
        return Some(Word::Answer(Ok(ok.take())));
    }
    let failure = serde_json::from_value(value.get_mut("failure")?.take()).ok()?;
    Some(Word::Answer(Err(failure)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The launcher takes SIGTERM by a descriptor, so that it is blocked where a task is forked.
    #[test]
    fn a_task_that_is_asked_to_end_ends() {
        let _blocked = crate::detached::signal_descriptor(libc::SIGTERM).unwrap();
        let mut task = Offspring::task(&[], |teller| {
            teller.progress(&json!({}));
            std::thread::sleep(std::time::Duration::from_secs(20));
            Ok(json!({}))
        })
        .unwrap();
        while task.listen().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut status = 0;
        unsafe {
            libc::kill(task.pid, libc::SIGTERM);
            libc::waitpid(task.pid, &mut status, 0);
        }
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGTERM, "status {status}");
    }
}
