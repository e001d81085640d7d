//! A served directory: as a raw peer of the server, or mounted by this machine's own kernel as a guest's would.
#![allow(dead_code)] // each test program uses a part of it

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        let path = PathBuf::from(format!("/tmp/bulkhead-share-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(path.join("shared")).expect("scratch");
        std::fs::create_dir_all(path.join("mounted")).expect("scratch");
        Self(path)
    }

    pub fn shared(&self) -> PathBuf {
        self.0.join("shared")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The server in a process of its own, as the supervisor forks it.
pub struct Server {
    pub pid: i32,
    pub stream: Option<UnixStream>,
}

impl Server {
    pub fn start(source: &Path, read_only: bool) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let pid = serve_in_child(theirs, source, read_only);
        Self { pid, stream: Some(ours) }
    }

    /// Closes the stream, and gives the server's exit code.
    pub fn end(&mut self) -> i32 {
        drop(self.stream.take());
        let mut status = 0;
        unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        self.pid = 0;
        libc::WEXITSTATUS(status)
    }

    /// Sends one request and gives its error and body.
    pub fn ask(&mut self, opcode: u32, node: u64, body: &[u8]) -> (i32, Vec<u8>) {
        self.ask_as(0, opcode, node, body)
    }

    pub fn ask_as(&mut self, uid: u32, opcode: u32, node: u64, body: &[u8]) -> (i32, Vec<u8>) {
        self.send_as(uid, opcode, node, body);
        self.receive().expect("a reply")
    }

    pub fn send(&mut self, opcode: u32, node: u64, body: &[u8]) {
        self.send_as(0, opcode, node, body);
    }

    pub fn send_as(&mut self, uid: u32, opcode: u32, node: u64, body: &[u8]) {
        let mut message = ((40 + body.len()) as u32).to_le_bytes().to_vec();
        message.extend_from_slice(&opcode.to_le_bytes());
        message.extend_from_slice(&7_u64.to_le_bytes());
        message.extend_from_slice(&node.to_le_bytes());
        message.extend_from_slice(&uid.to_le_bytes());
        message.resize(40, 0); // gid, pid, padding
        message.extend_from_slice(body);
        self.stream.as_mut().expect("open").write_all(&message).expect("sent");
    }

    pub fn receive(&mut self) -> Option<(i32, Vec<u8>)> {
        let stream = self.stream.as_mut()?;
        let mut head = [0; 16];
        stream.read_exact(&mut head).ok()?;
        assert_eq!(u64::from_le_bytes(head[8..].try_into().ok()?), 7);
        let mut body = vec![0; u32::from_le_bytes(head[..4].try_into().ok()?) as usize - 16];
        stream.read_exact(&mut body).ok()?;
        Some((-i32::from_le_bytes(head[4..8].try_into().ok()?), body))
    }

    pub fn greet(&mut self) {
        let (error, body) = self.ask(26, 1, &numbers(&[7, 38, 131_072, u32::MAX]));
        assert_eq!((error, body.len()), (0, 64));
    }

    pub fn lookup(&mut self, parent: u64, name: &str) -> Result<u64, i32> {
        match self.ask(1, parent, &text(name)) {
            (0, body) => Ok(u64::from_le_bytes(body[..8].try_into().expect("eight"))),
            (error, _) => Err(error),
        }
    }
}

/// A child that serves and exits: 0 where all was well, 3 where the guest broke the protocol, 4 where the host could not.
pub fn serve_in_child(stream: UnixStream, source: &Path, read_only: bool) -> i32 {
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // Other tests' streams are open in this process too: a copy here would keep their servers from seeing the end.
        let kept = stream.as_raw_fd() as u32;
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::syscall(libc::SYS_close_range, 3, kept - 1, 0);
            libc::syscall(libc::SYS_close_range, kept + 1, u32::MAX, 0);
        }
        let code = match bulkhead_share::serve(OwnedFd::from(stream), source, read_only) {
            Ok(()) => 0,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => 3,
            Err(_) => 4,
        };
        unsafe { libc::_exit(code) };
    }
    pid
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.pid != 0 {
            self.end();
        }
    }
}

pub fn numbers(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub fn text(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// Runs `work` in a thread with a mount namespace of its own, in which the served source is mounted at the path that it gets.
pub fn mounted(scratch: &Scratch, source: &Path, read_only: bool, work: impl FnOnce(&Path) + Send + 'static) {
    let mut server = Server::start(source, read_only);
    let stream = server.stream.take().expect("open");
    let place = scratch.0.join("mounted");
    let thread = std::thread::spawn(move || {
        unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_FS), 0, "these tests need root");
            let private = libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null());
            assert_eq!(private, 0);
        }
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions\0", device.as_raw_fd());
        let target = std::ffi::CString::new(place.to_str().expect("text")).expect("text");
        let mounted = unsafe { libc::mount(c"test".as_ptr(), target.as_ptr(), c"fuse.test".as_ptr(), libc::MS_NOSUID | libc::MS_NODEV, options.as_ptr().cast()) };
        assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
        pump(device, stream);
        work(&place);
        // Whoever still holds something of it a moment longer must not leave the server waiting for ever.
        if unsafe { libc::umount2(target.as_ptr(), 0) } != 0 {
            unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
        }
    });
    let ended = thread.join();
    if ended.is_err() {
        unsafe { libc::kill(server.pid, libc::SIGKILL) }; // nobody unmounted
    }
    let code = server.end();
    assert!(ended.is_ok(), "see above");
    assert_eq!(code, 0, "the server ends well when the guest unmounts");
}

/// As the guest's agent does it.
fn pump(device: File, stream: UnixStream) {
    let (mut from, mut to) = (device.try_clone().expect("clone"), stream.try_clone().expect("clone"));
    std::thread::spawn(move || {
        let mut buffer = vec![0; (1 << 20) + 65536];
        loop {
            match from.read(&mut buffer) {
                Ok(length) if length > 0 => {
                    if to.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
                Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::ENOENT | libc::EAGAIN)) => {}
                _ => return drop(to.shutdown(std::net::Shutdown::Both)),
            }
        }
    });
    let (mut from, mut to) = (stream, device);
    std::thread::spawn(move || {
        let mut buffer = vec![0; (1 << 20) + 65536];
        while from.read_exact(&mut buffer[..4]).is_ok() {
            let length = u32::from_le_bytes(buffer[..4].try_into().expect("four")) as usize;
            if from.read_exact(&mut buffer[4..length]).is_err() {
                return;
            }
            let _ = to.write(&buffer[..length]);
        }
    });
}

pub fn shell(script: &str) -> String {
    let output = std::process::Command::new("sh").args(["-ec", script]).output().expect("sh");
    assert!(output.status.success(), "{script}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
