//! Networks of workloads, as the host must make them: bridges, veth pairs, taps, published ports, the firewall.
//!
//! Who calls what:
//!
//! ```text
//! launcher     bridge_ensure · bridge_remove · remove_all · ports_remove_for · sweep · standing · probe_bridge · probe_nftables · probe_tun
//! supervisor   raise_for_process (OCI runtimes)  or  raise_tap (machines); keeps the `Network` until the workload is gone
//! ```
//!
//! `raise_for_process` moves the *calling thread* into a new network namespace and leaves it there: what the supervisor starts
//! afterwards inherits it, so that an OCI runtime gets no network namespace in its configuration (kind `host` likewise: nothing was
//! moved); `raise_within` moves it into one that was made before. Call it while the process has one thread. `raise_tap` moves nothing: the machine's end is the descriptor.
//!
//! Everything on the host carries the root's identity (six hexadecimal digits): tables `ip` and `bridge` `bulkhead-ROOT`, bridges `bhROOT0…`,
//! veths `bvROOT#######`, taps `btROOT#######` (seven digits of the workload's id). Nothing else is ever touched, but for one
//! accept rule in foreign forward chains that would drop everything (see `coexist`), which carries the bridges' names as well.
//!
//! A veth is never deleted: it goes with the last reference to its namespace (explicitly it would cost 12–20 ms). A tap goes
//! with its descriptor. Port elements are removed by `Network::close` or `Drop`, or after a crash by `ports_remove_for`/`sweep`.

mod bridge;
mod coexist;
mod elements;
mod failure;
mod flows;
mod link;
mod names;
mod namespace;
mod netlink;
mod network;
mod plan;
mod nftables;
mod probe;
mod reservation;
mod spec;
mod standing;
mod stations;
mod sweep;
mod sysctl;
mod table;
mod tap;

pub use bridge::{bridge_ensure, bridge_remove, remove_all, table_stands};
pub use failure::Failure;
pub use flows::forget_flows;
pub use network::{Network, raise_for_process, raise_tap, raise_within, spare_tap};
pub use probe::{probe_bridge, probe_nftables, probe_tun};
pub use spec::{BridgeSpec, BridgeWish, NetworkSpec, PortSpec, Probe, Protocol, Traffic};
pub use standing::{Standing, standing};
pub use sweep::{ports_remove_for, sweep};
