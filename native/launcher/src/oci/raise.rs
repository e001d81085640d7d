//! Raising, in the order of the contract, and unmaking, in the opposite one.

use super::configuration::{Changes, compose, lift_own_limits};
use super::ids::{self, Ids};
use super::spawn::{FIRST_KEPT, Spawn, memory_file, pipe};
use super::stdio::Stdio;
use super::{Child, Oci, Order, Runtime, Wake, console, network, overlay, report, seccomp, token, written};
use crate::beneath::Below;
use bulkhead_cgroup::Group;
use bulkhead_cgroup::devices::rules_for;
use bulkhead_wire::plan::{NetworkSpec, OciEngine};
use bulkhead_wire::poller::Interest;
use bulkhead_wire::{Code, Failure};
use serde_json::Value;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// The runtime's own name for the one container in a workload's private state directory.
pub const CONTAINER: &str = "w";

/// Turns an I/O fault into a failure that says what was being done.
pub fn doing(what: &str) -> impl Fn(std::io::Error) -> Failure + '_ {
    move |error| Failure::from_io(what, &error)
}

/// Where the overlay is mounted.
pub fn root_place(engine: &OciEngine) -> String {
    if engine.own_ids { ids::root_place() } else { format!("{}/rootfs", engine.bundle) }
}

impl Oci {
    pub fn raise_all(&mut self, reached: &mut dyn FnMut(&str)) -> Result<Option<i32>, Failure> {
        let state = self.state_directory();
        fs::create_dir_all(state.join("state")).map_err(doing("make the workload's state directory"))?;
        self.watch_children()?;
        let network = self.make_ids()?;
        self.enter_network(network)?;
        reached("network-made");
        let order = &self.order;
        let group = Group::make(order.layout.clone(), &order.workload, &self.group_limits(&order.limits), &order.devices, order.all_devices)?;
        self.memory_watch = group.out_of_memory_watch();
        if let Some(watch) = &self.memory_watch {
            let _ = self.poller.add(watch.as_raw_fd(), token(Wake::Memory, 0), Interest::READ);
        }
        self.group = Some(group);
        reached("cgroups-made");
        self.mount_root()?;
        reached("root-mounted");
        let pid = if self.order.runtime == Runtime::Runsc { self.create_sandbox(&state)? } else { self.create(&state)? };
        if let Some(ids) = &mut self.ids {
            ids.hide_store();
        }
        reached("main-held");
        Ok(Some(pid))
    }

    /// Gives the network's namespace where one was made with the ids.
    fn make_ids(&mut self) -> Result<Option<OwnedFd>, Failure> {
        if !self.order.engine.own_ids {
            return Ok(None);
        }
        if self.order.runtime == Runtime::Runc || self.order.all_devices || matches!(self.order.network, NetworkSpec::Host) {
            return Err(Failure::new(Code::InvalidSpec, "a user namespace does not go with this runtime, every device or the host's network"));
        }
        // runsc's kernel has a network stack of its own, and nothing inside rules over the host's namespace.
        let others = if self.order.runtime == Runtime::Crun { libc::CLONE_NEWNET } else { 0 };
        let (ids, network) = Ids::make(&self.order.run, &self.order.workload, others)?;
        let ids = self.ids.insert(ids);
        self.order.devices.iter().try_for_each(|device| ids.make_device(device))?;
        Ok(network)
    }

    fn mount_root(&mut self) -> Result<(), Failure> {
        let disk = self.mount_disk()?;
        let Order { below, engine, .. } = &self.order;
        let root = if disk.is_some() { engine.root.writing_to(&written::place()) } else { engine.root.clone() };
        let Some(ids) = &mut self.ids else { return overlay::mount_root((below, disk.as_ref().unwrap_or(below)), &root, &root_place(engine)) };
        let place = ids.show_store(below.path())?;
        let root = root.moved(below.path().to_str().unwrap_or_default(), place.to_str().unwrap_or_default());
        let store = Below::new(&place).map_err(doing("open the store"))?;
        let target = open_directory(Path::new(&root_place(engine))).map_err(doing("open the stage"))?;
        ids.as_root_inside(|| overlay::mount_at((&store, disk.as_ref().unwrap_or(&store)), &root, &target))
    }

    /// Gives the place of what is written, where that is limited in size.
    fn mount_disk(&self) -> Result<Option<Below>, Failure> {
        let Some(disk) = &self.order.engine.disk else { return Ok(None) };
        let group = self.group.as_ref().ok_or_else(|| Failure::new(Code::Internal, "the control groups are missing"))?;
        let attach = group.attach().map_err(doing("open the control groups"))?;
        written::mount(&self.order.below, disk, &attach, self.ids.as_ref().map(|ids| &ids.users))?;
        Below::new(Path::new(&written::place())).map(Some).map_err(doing("open the workload's disk"))
    }

    /// An owner inside as the host numbers it.
    pub fn outside(&self, uid: u32, gid: u32) -> Result<(u32, u32), Failure> {
        let Some(ids) = &self.ids else { return Ok((uid, gid)) };
        let known = |id: u32| ids.outside(id).ok_or_else(|| Failure::new(Code::InvalidSpec, format!("{id} is beyond the 65,536 ids of the workload")).remedy("run it with --userns=host"));
        Ok((known(uid)?, known(gid)?))
    }

    /// Below 0 only the host's root lowers it: what the workload is given then is inherited.
    pub fn own_score(&self, wanted: Option<i32>) -> i32 {
        if self.ids.is_some() { wanted.unwrap_or(0).min(0) } else { 0 }
    }

    /// Ends of children arrive as a descriptor's readiness, like everything else.
    fn watch_children(&mut self) -> Result<(), Failure> {
        let signals = crate::detached::signal_descriptor(libc::SIGCHLD).map_err(doing("watch for ends of processes"))?;
        self.poller.add(signals.as_raw_fd(), token(Wake::Children, 0), Interest::READ).map_err(doing("watch for ends of processes"))?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Moves this process into the workload's network namespace, for the runtime to inherit.
    fn enter_network(&mut self, namespace: Option<OwnedFd>) -> Result<(), Failure> {
        if matches!(self.order.network, NetworkSpec::Host) {
            return Ok(());
        }
        let host = unsafe { libc::open(c"/proc/self/ns/net".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        if host < 0 {
            return Err(Failure::system("hold the host's network namespace"));
        }
        self.network_host = Some(unsafe { OwnedFd::from_raw_fd(host) });
        self.network = Some(network::enter(&self.order.network, &self.order.layout.root_id, &self.order.workload, namespace)?);
        Ok(())
    }

    /// Runs the runtime's `create`, and holds its main process before the workload's program.
    fn create(&mut self, state: &Path) -> Result<i32, Failure> {
        let bundle = self.order.engine.bundle.clone();
        let cache = seccomp::place(&self.order.run, self.order.engine.seccomp_key.as_deref(), &self.order.program_stamp);
        let filter = cache.as_deref().and_then(seccomp::load);
        let config = memory_file(c"config.json", b"").map_err(doing("hold the runtime's configuration"))?;
        let log = memory_file(c"log", b"").map_err(doing("make a log for the runtime"))?;
        let directory = open_directory(state).map_err(doing("open the workload's state directory"))?;
        let (started, started_inner) = pipe().map_err(doing("make a pipe"))?;
        let listener = if self.order.main.terminal { Some(console::listen(&directory, "c").map_err(doing("listen for the terminal"))?) } else { None };
        let place = listener.as_ref().map(|_| console::place(&directory, "c")).transpose().map_err(doing("find the terminal's socket"))?;
        let (stdio, inner) = Stdio::pipes(0, self.order.main.stdin && !self.order.main.terminal).map_err(doing("make pipes"))?;
        if let Some(ids) = &self.ids {
            // The runtime gives them on to the workload's user.
            inner.give_to(ids.first(), ids.first());
        }
        let attach = self.group.as_ref().map(Group::attach).transpose().map_err(doing("open the control groups"))?;
        let attach = attach.filter(|_| self.order.runtime == Runtime::Crun);

        let mut arguments = self.global_arguments();
        arguments.push("create".into());
        match self.order.runtime {
            Runtime::Crun => arguments.extend([format!("--bundle={bundle}"), format!("--config=/proc/self/fd/{}", FIRST_KEPT + 1)]),
            _ => arguments.extend(["--bundle".into(), state.display().to_string()]),
        }
        let pid_file = state.join("pid").display().to_string();
        // crun writes it last of all. By a pipe it is known a millisecond before the runtime's process has come apart.
        let (told, told_inner) = pipe().map_err(doing("make a pipe"))?;
        let tells = self.order.runtime == Runtime::Crun;
        arguments.extend(["--pid-file".into(), if tells { format!("/proc/self/fd/{}", FIRST_KEPT + 4) } else { pid_file.clone() }]);
        if listener.is_some() {
            arguments.extend(["--console-socket".into(), format!("/proc/self/fd/{FIRST_KEPT}")]);
        }
        arguments.push(CONTAINER.into());
        let network = format!("/proc/{}/ns/net", std::process::id());
        let network = (!matches!(self.order.network, NetworkSpec::Host)).then_some(network.as_str());
        let prepare = || self.write_config(&bundle, (filter.as_deref(), network), &config, &log);
        let kept = [place.as_ref().unwrap_or(&log).as_raw_fd(), config.as_raw_fd(), log.as_raw_fd(), started_inner.as_raw_fd(), told_inner.as_raw_fd()];
        let kept = if tells { &kept[..] } else { &kept[..4] };
        let spawn = Spawn { program: self.order.program.as_raw_fd(), arguments: terminated(arguments)?, stdio: inner.numbers(), kept, attach: attach.as_ref(), score: self.own_score(self.order.limits.oom_score_adjust), prepare: &prepare };
        let runtime = spawn.start().map_err(doing("start the runtime"))?;
        drop((inner, started_inner, told_inner));
        let pid = match read_told(told, runtime) {
            // Its end comes as a child's like any other.
            Some(pid) => pid,
            None => {
                let status = wait_for(runtime);
                if status != 0 {
                    if let Some(failure) = report::read_failure(&log) {
                        return Err(failure);
                    }
                    return Err(report::failure(self.runtime_name(), "create the container", report::read_log(&log).or_else(|| exit_text(status))));
                }
                read_pid(Path::new(&pid_file))?
            }
        };
        let stdio = match listener {
            Some(listener) => self.main_terminal(&listener)?,
            None => stdio,
        };
        self.started_pipe = Some(started);
        self.children.push(Child { number: 0, pid, exited: false, stdio, streams_until: None });
        if let (Some(cache), None) = (&cache, &filter) {
            seccomp::keep(cache, &state.join("state").join(CONTAINER).join("seccomp.bpf"));
        }
        Ok(pid)
    }

    /// In the runtime's process, before it is the runtime. What goes wrong is left in the log.
    pub fn write_config(&self, bundle: &str, given: (Option<&str>, Option<&str>), place: &OwnedFd, log: &OwnedFd) -> bool {
        let written = self.compose_config(bundle, given.0, given.1).and_then(|config| match self.order.runtime {
            Runtime::Crun => fs::write(format!("/proc/self/fd/{}", place.as_raw_fd()), config).map_err(doing("hold the runtime's configuration")),
            _ => fs::write(self.state_directory().join("config.json"), config).map_err(doing("write the runtime's configuration")),
        });
        if let Err(failure) = &written {
            report::leave_failure(log, failure);
        }
        written.is_ok() && self.step_outside()
    }

    /// runc takes the network namespace that it is started in for the host's, and then refuses the workload's sysctls.
    pub fn step_outside(&self) -> bool {
        match &self.network_host {
            Some(host) if self.order.runtime == Runtime::Runc => unsafe { libc::setns(host.as_raw_fd(), libc::CLONE_NEWNET) == 0 },
            _ => true,
        }
    }

    fn compose_config(&self, bundle: &str, seccomp: Option<&str>, network: Option<&str>) -> Result<Vec<u8>, Failure> {
        let file = self.order.below.open(&format!("{bundle}/config.json"), libc::O_RDONLY, 0)?;
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut fs::File::from(file), &mut text).map_err(doing("read the bundle's config.json"))?;
        let cgroups = format!("/bulkhead-{}/{}", self.order.layout.root_id, self.order.workload);
        let rules = if self.order.all_devices { None } else { Some(rules_for(&self.order.devices)?) };
        let changes = Changes { runtime: self.order.runtime, seccomp, network, cgroups_path: &cgroups, devices: rules.as_deref() };
        let mut config = compose(&text, bundle, &changes)?;
        if let Some(ids) = &self.ids {
            ids.put_into(&mut config, self.order.runtime, &self.order.directory)?;
            config.pointer("/process/rlimits").and_then(Value::as_array).into_iter().for_each(|limits| lift_own_limits(limits));
        }
        serde_json::to_vec(&config).map_err(|error| Failure::new(Code::Internal, format!("could not write the runtime's configuration: {error}")))
    }

    pub fn main_terminal(&self, listener: &std::os::unix::net::UnixListener) -> Result<Stdio, Failure> {
        let master = console::receive(listener).map_err(doing("take the workload's terminal"))?;
        if let Some(size) = self.order.main.terminal_size {
            console::resize(&master, size).map_err(doing("size the workload's terminal"))?;
        }
        Stdio::of_terminal(0, master, self.order.main.stdin).map_err(doing("use the workload's terminal"))
    }

    /// What comes before the runtime's verb.
    pub fn global_arguments(&self) -> Vec<String> {
        let state = self.state_directory();
        let mut arguments = vec![self.runtime_name().to_string()];
        arguments.extend(self.order.engine.runtime.arguments.iter().cloned());
        arguments.push(format!("--root={}", state.join("state").display()));
        let log = format!("/proc/self/fd/{}", FIRST_KEPT + 2);
        match self.order.runtime {
            Runtime::Crun => arguments.extend(["--cgroup-manager=disabled".into(), format!("--log=file:{log}")]),
            _ => arguments.extend(["--log".into(), log]),
        }
        arguments.push("--log-format=json".into());
        arguments
    }

    pub fn runtime_name(&self) -> &'static str {
        match self.order.runtime {
            Runtime::Crun => "crun",
            Runtime::Runc => "runc",
            Runtime::Runsc => "runsc",
        }
    }

    /// The veth goes with the last reference to its namespace: this one.
    pub fn leave_network(&mut self) {
        if let Some(host) = self.network_host.take() {
            unsafe { libc::setns(host.as_raw_fd(), libc::CLONE_NEWNET) };
        }
    }

    /// Whatever stands goes; each step is tried, whatever became of the one before it. The root is left to the end of this process,
    /// whose mount namespace goes with it: taking an overlay away waits for the disk, and nobody has to wait for that.
    pub fn unmake(&mut self) {
        self.leave_network();
        self.network = None;
        self.children.clear();
        self.execs.clear();
        self.besides.clear();
        self.end_clients();
        let patience = Instant::now() + Duration::from_secs(10);
        if let Some(group) = self.group.take() {
            while group.kill() > 0 && Instant::now() < patience {
                reap_all();
                std::thread::sleep(Duration::from_micros(500));
            }
            reap_all();
            let _ = fs::remove_dir_all(self.state_directory());
            // A dying process holds its group a little longer than its parent's wait.
            while !group.remove() && Instant::now() < patience {
                group.kill();
                reap_all();
                std::thread::sleep(Duration::from_millis(1));
            }
        } else {
            let _ = fs::remove_dir_all(self.state_directory());
        }
        // Last: nobody has the range before the last process of this workload is gone.
        self.ids = None;
    }
}

pub fn reap_all() {
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

pub fn wait_for(pid: i32) -> i32 {
    let mut status = 0;
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return -1;
        }
    }
    status
}

pub fn exit_text(status: i32) -> Option<String> {
    if libc::WIFSIGNALED(status) {
        return Some(format!("it was ended by {}", bulkhead_wire::signal::name(libc::WTERMSIG(status))));
    }
    Some(match libc::WEXITSTATUS(status) {
        126 => "it could not enter its control groups".into(),
        127 => "it could not be executed".into(),
        code => format!("it exited with {code}"),
    })
}

pub fn read_pid(path: &Path) -> Result<i32, Failure> {
    let text = fs::read_to_string(path).map_err(doing("read the main process's pid"))?;
    text.trim().parse().ok().filter(|pid| *pid > 1).ok_or_else(|| Failure::new(Code::Internal, "the runtime wrote no pid"))
}

/// The pid that the runtime wrote into the pipe; None where it ended without a word.
fn read_told(told: OwnedFd, runtime: i32) -> Option<i32> {
    let end = unsafe { libc::syscall(libc::SYS_pidfd_open, runtime, 0) } as i32;
    let end = (end >= 0).then(|| unsafe { OwnedFd::from_raw_fd(end) });
    let watch = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut polls = [watch(told.as_raw_fd()), watch(end.as_ref()?.as_raw_fd())];
    while unsafe { libc::poll(polls.as_mut_ptr(), 2, -1) } < 0 {
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return None;
        }
    }
    let mut bytes = [0u8; 32];
    let count = if polls[0].revents & libc::POLLIN != 0 { std::io::Read::read(&mut fs::File::from(told), &mut bytes).ok()? } else { 0 };
    std::str::from_utf8(&bytes[..count]).ok()?.trim().parse().ok().filter(|pid| *pid > 1)
}

pub fn terminated(arguments: Vec<String>) -> Result<Vec<CString>, Failure> {
    arguments.into_iter().map(|argument| CString::new(argument).map_err(|_| Failure::new(Code::InvalidSpec, "an argument contains a zero byte"))).collect()
}

pub fn open_directory(path: &Path) -> std::io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) };
    if fd < 0 { Err(std::io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}
