//! What every native program of Bulkhead speaks: the frame, the failure, the documents of `src/contract/*.ts`, and the
//! trait by which the supervisor's core drives the code behind one boundary.
//!
//! Everything that arrives over a wire is read by this crate, is bounded before it is stored, and never panics.

pub mod birth;
pub mod boundary;
pub mod clock;
pub mod connection;
pub mod descriptors;
pub mod door;
pub mod failure;
pub mod frame;
pub mod greeting;
mod machine_plan;
pub mod message;
pub mod plan;
pub mod poller;
pub mod process;
pub mod signal;

pub use failure::{Code, Failure};
pub use frame::{Decoder, Frame, FrameError, Kind};
