//! The MongoDB sink.

pub mod config;
mod sink;

pub use config::SinkConfig;
pub use sink::Sink;
