//! A real launcher with a root of its own and a busybox layer, and a client that speaks its protocol. Needs root, crun and
//! Debian's busybox-static.
#![allow(dead_code)]

use bulkhead_wire::frame::{Decoder, Kind, append};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static COUNT: AtomicU32 = AtomicU32::new(0);
const CAPABILITIES: [&str; 5] = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE"];

/// What the host's launchers claim users in.
const USERS: &str = "/run/bulkhead-users";

pub struct Bed {
    pub base: PathBuf,
    child: Option<Child>,
    pub launcher: Client,
    mounted: bool,
}

pub struct Workload {
    pub plan: Value,
    pub client: Client,
    pub supervisor: i32,
    pub main: i32,
}

impl Bed {
    pub fn new() -> Bed {
        Bed::on(None)
    }

    /// Everything on a disk of its own, so small that it can be filled.
    pub fn on_small_disk(megabytes: u32) -> Bed {
        Bed::on(Some(megabytes))
    }

    /// The launcher sees a list of users that is the test's alone: what is claimed in it is kept from nobody else of this host.
    pub fn with_own_users() -> Bed {
        // It is covered, and so must be there.
        fs::OpenOptions::new().create(true).append(true).open(USERS).unwrap();
        Bed::made(None, true)
    }

    fn on(megabytes: Option<u32>) -> Bed {
        Bed::made(megabytes, false)
    }

    fn made(megabytes: Option<u32>, own_users: bool) -> Bed {
        let base = PathBuf::from(format!("/tmp/bhl-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        if let Some(megabytes) = megabytes {
            fs::create_dir_all(&base).unwrap();
            let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(&base).status().unwrap();
            assert!(mounted.success());
        }
        let layer = base.join("root/layer");
        for directory in ["bin", "dev", "proc", "sys", "tmp", "etc"] {
            fs::create_dir_all(layer.join(directory)).unwrap();
        }
        fs::create_dir_all(base.join("root/w")).unwrap();
        fs::copy("/bin/busybox", layer.join("bin/busybox")).unwrap();
        for applet in ["sh", "echo", "cat", "sleep", "wc", "true", "yes", "head", "id", "stty", "ls", "seq", "dd"] {
            symlink("busybox", layer.join("bin").join(applet)).unwrap();
        }
        fs::write(layer.join("bin/not-a-program"), "hello").unwrap();
        fs::set_permissions(layer.join("bin/not-a-program"), fs::Permissions::from_mode(0o755)).unwrap();
        if own_users {
            fs::write(base.join("users"), "").unwrap();
        }
        let (child, launcher) = start(&base);
        Bed { base, child: Some(child), launcher, mounted: megabytes.is_some() }
    }

    pub fn kill_launcher(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// For one that was told to end.
    pub fn await_launcher(&mut self) {
        self.child.take().unwrap().wait().unwrap();
    }

    pub fn restart_launcher(&mut self) {
        let (child, launcher) = start(&self.base);
        self.child = Some(child);
        self.launcher = launcher;
    }

    pub fn path(&self, name: &str) -> String {
        self.base.join(name).to_str().unwrap().to_string()
    }

    /// A plan for a command; `change` may alter it, and the runtime's configuration.
    pub fn plan(&self, command: &[&str], change: impl FnOnce(&mut Value, &mut Value)) -> Value {
        let id = format!("{:064x}", COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = self.path(&format!("root/w/{id}"));
        fs::create_dir_all(format!("{directory}/bundle")).unwrap();
        let mut config = json!({
            "ociVersion": "1.0.2", "process": process(command), "root": {"path": "rootfs"}, "hostname": "h",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]}],
            "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "cgroup"}]}
        });
        let mut plan = json!({
            "version": 1, "workload": id, "directory": directory, "socket": self.path(&format!("run/{}", &id[50..])),
            "exitRecord": format!("{directory}/exit.json"), "log": {"kind": "json-file", "path": format!("{directory}/log"), "maxFiles": 1},
            "limits": {}, "devices": [], "allDevices": false, "network": {"kind": "none"},
            "main": {"terminal": false, "stdin": false, "stdinOnce": false},
            "engine": {"kind": "oci", "runtime": {"name": "crun", "path": "/usr/bin/crun", "arguments": []}, "bundle": format!("{directory}/bundle"),
                "root": {"lower": [self.path("root/layer")], "upper": format!("{directory}/upper"), "work": format!("{directory}/work"), "readOnly": false},
                "execProcess": process(&["sh"])}
        });
        change(&mut plan, &mut config);
        fs::write(format!("{directory}/bundle/config.json"), config.to_string()).unwrap();
        plan
    }

    /// Launched and held.
    pub fn launch(&mut self, plan: &Value) -> Workload {
        let ok = self.launcher.call("launch", json!({ "plan": plan })).expect("the launch succeeds");
        let mut client = Client::connect(plan["socket"].as_str().unwrap());
        client.call("hello", json!({"version": 1})).unwrap();
        Workload { plan: plan.clone(), client, supervisor: ok["supervisorPid"].as_i64().unwrap() as i32, main: ok["mainPid"].as_i64().unwrap() as i32 }
    }

    /// Launched, attached and started.
    pub fn run(&mut self, command: &[&str], change: impl FnOnce(&mut Value, &mut Value)) -> Workload {
        let plan = self.plan(command, change);
        let mut workload = self.launch(&plan);
        workload.client.call("attach", json!({"process": 0, "stdin": true, "stdout": true, "stderr": true})).unwrap();
        workload.client.call("start", json!({})).unwrap();
        workload
    }

    pub fn remove(&mut self, plan: &Value) {
        self.launcher.call("remove", json!({"workload": plan["workload"], "directory": plan["directory"], "keepDirectory": false})).unwrap();
        assert!(!PathBuf::from(plan["directory"].as_str().unwrap()).exists());
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = self.launcher.call("sweep", json!({"keep": []}));
            let _ = self.launcher.call("shutdown", json!({}));
            let _ = child.wait();
        }
        if self.mounted {
            // Supervisors that have just ended may still hold it for a moment.
            let _ = Command::new("umount").arg("--lazy").arg(&self.base).status();
        }
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// In the launcher to be: shows `own` at `place`, in a mount namespace of its own.
fn cover(own: &CStr, place: &CStr) -> std::io::Result<()> {
    let none = std::ptr::null();
    let covered = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) == 0
            && libc::mount(own.as_ptr(), place.as_ptr(), none, libc::MS_BIND, none.cast()) == 0
    };
    if covered { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn start(base: &std::path::Path) -> (Child, Client) {
    let at = |name: &str| base.join(name).to_str().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead-launcher"));
    command.args(["--root", &at("root"), "--run", &at("run"), "--socket", &at("run/l")]);
    if base.join("users").exists() {
        let (own, place) = (CString::new(at("users")).unwrap(), CString::new(USERS).unwrap());
        unsafe { command.pre_exec(move || cover(&own, &place)) };
    }
    let child = command.spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(5);
    while UnixStream::connect(at("run/l")).is_err() {
        assert!(Instant::now() < patience, "the launcher listens within five seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
    (child, Client::connect(&at("run/l")))
}

fn process(command: &[&str]) -> Value {
    json!({"terminal": false, "user": {"uid": 0, "gid": 0}, "args": command, "env": ["PATH=/bin"], "cwd": "/", "noNewPrivileges": true,
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES}})
}

/// An exec's specification.
pub fn guest(command: &[&str]) -> Value {
    json!({"command": command, "environment": ["PATH=/bin"], "workingDirectory": "/", "user": "0:0", "additionalGroups": [], "terminal": false,
        "stdin": false, "capabilities": CAPABILITIES, "noNewPrivileges": true, "rlimits": [], "init": false})
}

pub const EVERYTHING: fn() -> Value = || json!({"stdin": true, "stdout": true, "stderr": true});

pub type Frame = (Kind, u32, Vec<u8>);

pub struct Client {
    pub stream: UnixStream,
    decoder: Decoder,
    early: VecDeque<Frame>,
    id: u64,
}

impl Client {
    pub fn connect(path: &str) -> Client {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { stream, decoder: Decoder::new(), early: VecDeque::new(), id: 0 }
    }

    pub fn send(&mut self, kind: Kind, process: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        append(&mut bytes, kind, process, payload);
        self.stream.write_all(&bytes).unwrap();
    }

    fn read(&mut self) -> Option<Frame> {
        let mut chunk = [0u8; 65536];
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("the other end keeps to the frame") {
                return Some((frame.kind, frame.process, frame.payload.to_vec()));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.decoder.push(&chunk[..count]),
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    pub fn call(&mut self, verb: &str, arguments: Value) -> Result<Value, Value> {
        self.id += 1;
        let mut message = arguments;
        message["id"] = json!(self.id);
        message["verb"] = json!(verb);
        self.send(Kind::Message, 0, message.to_string().as_bytes());
        loop {
            let (kind, process, payload) = self.read().expect("an answer comes before the connection ends");
            let value: Value = if kind == Kind::Message { serde_json::from_slice(&payload).unwrap() } else { Value::Null };
            if value["id"] != json!(self.id) {
                self.early.push_back((kind, process, payload));
            } else if value.get("ok").is_some() {
                return Ok(value["ok"].clone());
            } else if value.get("failure").is_some() {
                return Err(value["failure"].clone());
            }
        }
    }

    pub fn frame(&mut self) -> Option<Frame> {
        self.early.pop_front().or_else(|| self.read())
    }

    /// Everything up to the end of both streams of a process.
    pub fn output(&mut self, process: u32) -> String {
        let mut text = Vec::new();
        let mut ends = 0;
        let mut others = VecDeque::new();
        while ends < 2 {
            let frame = self.frame().expect("both streams end before the connection does");
            match frame {
                (Kind::Stdout | Kind::Stderr, number, bytes) if number == process => text.extend(bytes),
                (Kind::End, number, _) if number == process => ends += 1,
                other => others.push_back(other),
            }
        }
        others.append(&mut self.early);
        self.early = others;
        String::from_utf8_lossy(&text).into_owned()
    }

    pub fn event(&mut self, name: &str) -> Value {
        loop {
            let (kind, _, payload) = self.frame().unwrap_or_else(|| panic!("{name} comes before the connection ends"));
            if kind != Kind::Message {
                continue;
            }
            let value: Value = serde_json::from_slice(&payload).unwrap();
            if value["event"] == name {
                return value;
            }
        }
    }
}

/// The texts of a log's entries.
pub fn log_of(plan: &Value) -> Vec<String> {
    let text = fs::read_to_string(plan["log"]["path"].as_str().unwrap()).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["log"].as_str().unwrap().to_string()).collect()
}

/// The exit record, once it is there.
pub fn record_of(plan: &Value) -> Value {
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        if let Ok(text) = fs::read_to_string(plan["exitRecord"].as_str().unwrap()) {
            return serde_json::from_str(&text).expect("a record appears whole");
        }
        assert!(Instant::now() < patience, "the exit record appears within five seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs: a zombie does not.
pub fn runs(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
}
