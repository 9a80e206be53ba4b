//! Connectors without a store, for measuring and for trying things out: [`Source`] makes records, [`Sink`] drops them.

mod config;
mod content;
mod sink;
mod source;

pub use config::{SinkConfig, SourceConfig};
pub use sink::{NullSink, Sink};
pub use source::{GeneratorSource, Source};
