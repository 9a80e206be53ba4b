//! The data plane: a worker hosts connector tasks and holds no state that matters.

pub mod admin;
pub mod catalog;
pub mod convert;
pub mod framework;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod kafka;
pub mod lease;
pub mod metrics;
pub mod model;
mod native;
pub mod session;
pub mod task;
mod transform;
mod wire;
pub mod worker;
