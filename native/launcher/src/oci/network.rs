//! The plan's network, raised around this process.

use bulkhead_network::{Network, NetworkSpec, raise_within};
use bulkhead_wire::{Failure, plan};
use std::os::fd::OwnedFd;

/// Moves this process into the workload's network: what it starts from now on inherits it.
pub fn enter(spec: &plan::NetworkSpec, root_id: &str, workload: &str, namespace: Option<OwnedFd>) -> Result<Network, Failure> {
    Ok(raise_within(&NetworkSpec::try_from(spec)?, root_id, workload, namespace)?)
}
