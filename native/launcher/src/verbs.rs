//! The closed list of verbs.

use crate::launch::{self, check_workload};
use crate::server::{Asker, Purpose, Server};
use crate::task::{Offspring, Teller};
use crate::{apparmor, disks, layers, peer, probes, programs, removal, teardown, upkeep, wasm};
use bulkhead_cgroup::Version;
use bulkhead_wire::failure::{Code, Failure, quote};
use bulkhead_wire::greeting::Greeting;
use bulkhead_wire::message::Request;
use bulkhead_wire::plan::Engine;
use serde::Deserialize;
use serde_json::{Value, json};
use std::os::fd::AsRawFd;

#[derive(Deserialize)]
struct Launch {
    plan: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remove {
    workload: String,
    directory: String,
    keep_directory: bool,
}

#[derive(Deserialize)]
struct Sweep {
    keep: Vec<String>,
}

#[derive(Deserialize)]
struct Peer {
    fd: i32,
}

#[derive(Deserialize)]
struct Directory {
    directory: String,
}

#[derive(Deserialize)]
struct Directories {
    directories: Vec<String>,
}

#[derive(Deserialize)]
struct Probe {
    what: String,
}

#[derive(Deserialize)]
struct BridgeRemove {
    bridge: String,
}

type Answer = Result<Option<Value>, Failure>;

impl Server {
    /// Answers at once, or keeps a child that will.
    pub fn verb(&mut self, asker: Asker, request: Request) -> Answer {
        if self.ending {
            return Err(Failure::new(Code::Unavailable, "the launcher is shutting down"));
        }
        match request.verb.as_str() {
            "hello" => self.hello(request),
            "launch" => self.launch(asker, request),
            "remove" => self.remove(asker, request),
            "sweep" => {
                let keep = request.arguments::<Sweep>()?.keep;
                let place = self.place.clone();
                self.fork(asker, Purpose::Sweep, move || Ok(removal::sweep(&place, &keep).document()))
            }
            "peer" => {
                let fd = request.arguments::<Peer>()?.fd;
                let pid = self.client(asker.client).map_or(0, |client| client.pid);
                peer::of_other(pid, fd).map(|peer| Some(json!(peer)))
            }
            "unpack" => {
                let (forked, unfinished) = layers::unpack(&self.place.below, request.arguments()?)?;
                self.keep(forked, Purpose::Cancellable(unfinished), Some(asker)).map(|()| None)
            }
            "layerImage" => {
                let (forked, unfinished) = layers::layer_image(&self.place.below, request.arguments()?)?;
                self.keep(forked, Purpose::Cancellable(unfinished), Some(asker)).map(|()| None)
            }
            "syncLayers" => {
                let directory = request.arguments::<Directory>()?.directory;
                let below = self.place.below.clone();
                self.task(asker, move || layers::sync(&below, &directory))
            }
            "bridgeEnsure" => self.bridge_ensure(asker, request),
            "bridgeRemove" => {
                let bridge = request.arguments::<BridgeRemove>()?.bridge;
                let root_id = self.place.layout.root_id.clone();
                self.upkeep.forget(&bridge);
                self.task(asker, move || bulkhead_network::bridge_remove(&root_id, &bridge).map(|()| json!({})).map_err(Failure::from))
            }
            "volumeCreate" => self.volume_create(request),
            "diskUse" => {
                let directories = request.arguments::<Directories>()?.directories;
                let below = self.place.below.clone();
                self.task(asker, move || layers::disk_use(&below, &directories))
            }
            "compileModule" => {
                let order: wasm::compile::Compile = request.arguments()?;
                let place = self.place.clone();
                self.task(asker, move || wasm::compile::compile(&order, &place))
            }
            "diskImage" => {
                let order: disks::DiskImage = request.arguments()?;
                let place = self.place.clone();
                self.task(asker, move || disks::disk_image(&order, &place))
            }
            "volumeFill" => {
                let forked = layers::volume_fill(&self.place.below, request.arguments()?)?;
                self.keep(forked, Purpose::Task, Some(asker)).map(|()| None)
            }
            "volumeRemove" => {
                let directory = request.arguments::<Directory>()?.directory;
                let below = self.place.below.clone();
                self.task(asker, move || layers::volume_remove(&below, &directory))
            }
            "probe" => {
                let what = request.arguments::<Probe>()?.what;
                let place = self.place.clone();
                self.task(asker, move || probes::probe(&what, &place))
            }
            "appArmor" => self.task(asker, apparmor::load),
            "run" => {
                let run: programs::Run = request.arguments()?;
                self.task(asker, move || programs::run(&run))
            }
            "teardown" => {
                // Whatever is asked from now on would make what this takes away.
                self.ending = true;
                let place = self.place.clone();
                self.task(asker, move || teardown::clear(&place))
            }
            "shutdown" => {
                self.ending = true;
                Ok(Some(json!({})))
            }
            other => Err(Failure::new(Code::Unsupported, format!("the launcher has no verb {}", quote(other)))),
        }
    }

    fn task(&mut self, asker: Asker, work: impl FnOnce() -> Result<Value, Failure>) -> Answer {
        self.fork(asker, Purpose::Task, work)
    }

    fn fork(&mut self, asker: Asker, purpose: Purpose, work: impl FnOnce() -> Result<Value, Failure>) -> Answer {
        let keep = [self.place.below.descriptor()];
        let forked = Offspring::task(&keep, |_| work());
        self.keep(forked, purpose, Some(asker)).map(|()| None)
    }

    fn hello(&mut self, request: Request) -> Answer {
        let version = request.arguments::<Greeting>()?.agree("the launcher", "run a daemon and a launcher of the same release")?;
        let cgroup = if self.place.layout.version == Version::V1 { "v1" } else { "v2" };
        Ok(Some(json!({ "version": version, "pid": std::process::id(), "rootId": self.place.layout.root_id, "cgroup": cgroup })))
    }

    fn launch(&mut self, asker: Asker, request: Request) -> Answer {
        // Whoever comes after that daemon may have asked already what stands, and been told that nothing does.
        if self.has_left(asker) {
            return Err(Failure::new(Code::Cancelled, "whoever asked for this launch has gone"));
        }
        let plan = request.arguments::<Launch>()?.plan;
        let text = plan.to_string();
        let mut launch = launch::prepare(plan, &self.place, &mut self.programs, &mut self.memories)?;
        let workload = launch.plan.workload.clone();
        if self.launching(&workload) {
            return Err(Failure::new(Code::AlreadyExists, "the workload is being launched already").remedy("wait for the launch that is under way"));
        }
        // One that died a moment ago may not have been heard of yet.
        self.reap();
        self.mourn(&workload);
        launch.wait_for(self.clearing(&workload));
        if matches!(launch.plan.engine, Engine::Wasm(_)) {
            let place = self.place.clone();
            let forked = Offspring::task(&[], move |_| launch::carry(&launch, &place));
            return self.keep(forked, Purpose::Carried(workload), Some(asker)).map(|()| None);
        }
        self.upkeep.expect_ports(&launch.plan);
        let forked = Offspring::born(|teller| self.zygote.launch(&launch, &text, &teller));
        self.keep(forked, Purpose::Supervisor(workload), Some(asker)).map(|()| None)
    }

    fn remove(&mut self, asker: Asker, request: Request) -> Answer {
        let Remove { workload, directory, keep_directory } = request.arguments()?;
        check_workload(&workload)?;
        self.memories.forget(&directory);
        // Checked before anything is ended: a wrong path must not cost a workload.
        self.place.below.parent(&directory).map(|_| ()).or_else(|failure| if failure.code == Code::NotFound { Ok(()) } else { Err(failure) })?;
        let raising = self.raising(&workload);
        let place = self.place.clone();
        let purpose = Purpose::Removal(workload.clone());
        let mut keep = vec![self.place.below.descriptor()];
        keep.extend(raising.iter().map(|fork| fork.pidfd.as_raw_fd()));
        let work = move |_: &mut Teller| removal::remove(&place, &workload, (!keep_directory).then_some(directory.as_str()), &raising);
        self.keep(Offspring::task(&keep, work), purpose, Some(asker)).map(|()| None)
    }

    fn bridge_ensure(&mut self, asker: Asker, request: Request) -> Answer {
        let wish: upkeep::Wish = request.arguments()?;
        self.upkeep.remember(&wish);
        let place = self.place.clone();
        self.task(asker, move || upkeep::ensure(&place, &wish))
    }

    fn volume_create(&mut self, request: Request) -> Answer {
        let directory = request.arguments::<Directory>()?.directory;
        let (parent, name) = self.place.below.parent(&directory)?;
        let name = std::ffi::CString::new(name).unwrap_or_default();
        if unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), 0o755) } != 0 {
            return Err(Failure::system(&format!("make {}", quote(&directory))));
        }
        Ok(Some(json!({})))
    }
}
