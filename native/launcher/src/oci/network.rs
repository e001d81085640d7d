//! The plan's network, raised around this process.

use bulkhead_network::{Network, NetworkSpec, raise_for_process};
use bulkhead_wire::{Failure, plan};

/// Moves this process into the workload's network: what it starts from now on inherits it.
pub fn enter(spec: &plan::NetworkSpec, root_id: &str, workload: &str) -> Result<Network, Failure> {
    Ok(raise_for_process(&NetworkSpec::try_from(spec)?, root_id, workload)?)
}
