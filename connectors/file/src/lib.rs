//! Connect's file connectors: [`Source`] reads a file line by line and follows it, [`Sink`] appends each record's value as a
//! line. They are for trying things out, as they are in Kafka Connect: one task, at least once.

mod config;
mod lines;
mod sink;
mod source;

pub use config::{SinkConfig, SourceConfig};
pub use sink::{FileSink, Sink};
pub use source::{FileSource, Source};
