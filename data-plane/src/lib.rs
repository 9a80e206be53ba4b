//! The data plane: a worker hosts connector tasks and holds no state that matters.

pub mod catalog;
pub mod convert;
pub mod framework;
pub mod kafka;
pub mod lease;
pub mod metrics;
pub mod model;
pub mod task;
