//! The firewall may be flushed by others (`nft flush ruleset`, a firewall's reload) while workloads run. The launcher remembers the bridges
//! that it made, looks every few seconds whether its table still stands, and where it does not makes it anew and has every supervisor publish its ports again.

use crate::instance::write_synced;
use crate::launch::Place;
use crate::supervisors;
use bulkhead_network::{BridgeWish, bridge_ensure, table_stands};
use bulkhead_wire::Failure;
use bulkhead_wire::frame::{Kind, append};
use bulkhead_wire::plan::{LaunchPlan, NetworkSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Long enough to cost nothing, short enough that a reload is felt as a hiccup.
const LOOK_SECONDS: i64 = 3;
const SUPERVISOR_PATIENCE: Duration = Duration::from_secs(2);

/// What `bridgeEnsure` was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wish {
    bridge: String,
    address: Ipv4Addr,
    prefix_length: u8,
    mtu: u32,
    masquerade: bool,
    #[serde(default)]
    metadata: bool,
}

pub struct Upkeep {
    timer: OwnedFd,
    /// Where the wishes are kept for the next launcher.
    file: PathBuf,
    wishes: Vec<Wish>,
    /// UDP ports of workloads that are being launched.
    launching: HashMap<String, Vec<u16>>,
}

pub fn file(run: &Path) -> PathBuf {
    run.join("bridges.json")
}

impl Upkeep {
    pub fn open(run: &Path) -> io::Result<Upkeep> {
        let timer = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
        if timer < 0 {
            return Err(io::Error::last_os_error());
        }
        let timer = unsafe { OwnedFd::from_raw_fd(timer) };
        let file = file(run);
        let wishes = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let upkeep = Upkeep { timer, file, wishes, launching: HashMap::new() };
        upkeep.arm();
        Ok(upkeep)
    }

    pub fn descriptor(&self) -> RawFd {
        self.timer.as_raw_fd()
    }

    /// Ticks while there is something to look after.
    fn arm(&self) {
        let period = libc::timespec { tv_sec: if self.wishes.is_empty() { 0 } else { LOOK_SECONDS }, tv_nsec: 0 };
        let every = libc::itimerspec { it_interval: period, it_value: period };
        unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &every, std::ptr::null_mut()) };
    }

    pub fn remember(&mut self, wish: &Wish) {
        if !self.wishes.contains(wish) {
            self.wishes.retain(|known| known.bridge != wish.bridge);
            self.wishes.push(wish.clone());
            self.keep();
        }
    }

    pub fn forget(&mut self, bridge: &str) {
        self.wishes.retain(|known| known.bridge != bridge);
        self.keep();
    }

    fn keep(&self) {
        // Lost with a full disk: the daemon asks for its bridges again.
        let _ = serde_json::to_vec(&self.wishes).map(|bytes| write_synced(&self.file, &bytes));
        self.arm();
    }

    pub fn expect_ports(&mut self, plan: &LaunchPlan) {
        let NetworkSpec::Bridge { ports, .. } = &plan.network else { return };
        let udp: Vec<u16> = ports.iter().filter(|port| port.protocol == "udp").map(|port| port.host_port).collect();
        if !udp.is_empty() {
            self.launching.insert(plan.workload.clone(), udp);
        }
    }

    /// The UDP ports of a workload whose launch has been answered.
    pub fn take_ports(&mut self, workload: &str) -> Vec<u16> {
        self.launching.remove(workload).unwrap_or_default()
    }

    /// After a tick: what must be made anew, where the table has gone.
    pub fn due(&mut self, root_id: &str) -> Option<Vec<Wish>> {
        let mut ticks = [0u8; 8];
        unsafe { libc::read(self.timer.as_raw_fd(), ticks.as_mut_ptr().cast(), ticks.len()) };
        let gone = !self.wishes.is_empty() && table_stands(root_id).is_ok_and(|stands| !stands);
        gone.then(|| self.wishes.clone())
    }
}

/// `bridgeEnsure`: what it changed on the host goes to the launcher's log.
pub fn ensure(place: &Place, wish: &Wish) -> Result<Value, Failure> {
    if raise(place, wish)? {
        republish(place);
    }
    Ok(json!({}))
}

/// Makes everything anew after a flush.
pub fn mend(place: &Place, wishes: &[Wish]) -> Result<Value, Failure> {
    eprintln!("bulkhead-launcher: the firewall was flushed by another program; bridges and published ports are made anew");
    let raised: Vec<_> = wishes.iter().map(|wish| raise(place, wish)).collect();
    republish(place);
    raised.into_iter().collect::<Result<Vec<_>, _>>().map(|_| json!({}))
}

/// True where the table did not know the bridge.
fn raise(place: &Place, wish: &Wish) -> Result<bool, Failure> {
    let Wish { bridge, address, prefix_length, mtu, masquerade, metadata } = wish.clone();
    let owner = place.below.path().to_string_lossy().into_owned();
    let wish = BridgeWish { bridge, address, prefix_length, mtu, masquerade, metadata, owner };
    let changed = bridge_ensure(&place.layout.root_id, &wish)?;
    for change in &changed {
        eprintln!("bulkhead-launcher: changed on the host: {change}");
    }
    Ok(changed.iter().any(|change| change.starts_with("nftables")))
}

/// Has every supervisor tell the firewall its ports. One that cannot is in the middle of its end, or says why to its next client.
fn republish(place: &Place) {
    for standing in supervisors::all(&place.run) {
        let _ = ask_republish(&standing.socket);
    }
}

fn ask_republish(socket: &str) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(SUPERVISOR_PATIENCE))?;
    let mut bytes = Vec::new();
    append(&mut bytes, Kind::Message, 0, json!({ "id": 1, "verb": "republish" }).to_string().as_bytes());
    stream.write_all(&bytes)?;
    // Its answer, whatever it says: then it is done.
    stream.read(&mut [0u8; 4096]).map(drop)
}
