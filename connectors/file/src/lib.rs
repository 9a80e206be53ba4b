//! Connect's file connectors: [`Source`] reads a file line by line and follows it, [`Sink`] appends each record's value as a
//! line. They are for trying things out, as they are in Kafka Connect: one task, at least once. [`Capture`] writes down all
//! of a record, for finding out what converters and transforms make of it.

mod capture;
mod config;
mod lines;
mod output;
mod sink;
mod source;

pub use capture::{Capture, CaptureSink};
pub use config::{CaptureConfig, SinkConfig, SourceConfig};
pub use sink::{FileSink, Sink};
pub use source::{FileSource, Source};
