//! One workload's place in the control groups, on v1 and v2 alike: made with its limits, attached to without waiting for a
//! grace period, measured, frozen, killed and removed. Nobody else on the host writes into it.
//!
//! Groups lie at `bulkhead-ROOTID/WORKLOAD` below each v1 controller or below the one v2 tree.

pub mod devices;
pub mod files;
mod group;
mod layout;
mod limits;
mod nest;
mod stats;

pub use group::{Attach, Group};
pub use layout::{Layout, Version};
pub use nest::Nest;
pub use stats::Refused;
