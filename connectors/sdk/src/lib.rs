//! What the author of a connector sees: the record model, the two task traits, errors, and configuration.
//!
//! A *sink connector* implements [`SinkConnector`] (name, configuration, `check`, `open`) and a [`SinkTask`] (`order_keys`,
//! `write`). A *source connector* implements [`SourceConnector`] and a [`SourceTask`] (`poll`). Everything else — fetching,
//! converting, batching, lanes, retries, back-off, dead letters, offsets, metrics — belongs to the framework in the
//! `data-plane` crate, which finds connectors through its `catalog.rs`.
//!
//! The rule for speed: dynamic dispatch and allocation per *batch* are fine, per *record* never.
//!
//! There is no async runtime, no Kafka and no driver in this crate.

pub mod config;
mod decimal;
mod erased;
mod error;
pub mod java;
pub mod json;
mod record;
mod reports;
mod schema;
mod sink;
mod source;
pub mod testing;
mod text;
mod value;
mod versions;

pub use async_trait::async_trait;
pub use bytes::Bytes;
pub use config::{Config, ConfigDef, Findings, Flat, Problem, Secret};
pub use erased::{ConnectorKind, PluginInfo, SinkPlugin, SourcePlugin, erase_sink, erase_source};
pub use error::{Error, ErrorKind, Result};
pub use record::{Batch, Datum, Header, Record, TimestampKind, TopicPartition};
pub use reports::{Figure, Listener, Reports};
pub use schema::{Field, Schema, Type};
pub use sink::{OrderKeys, RecordFailure, SinkConnector, SinkTask, TaskContext, WriteReport, hash_key};
pub use source::{
    Boundary, ExactlyOnce, Position, Positions, SourceBatch, SourceConnector, SourceFailure, SourceRecord, SourceTask,
};
pub use text::Text;
pub use value::{Decimal, Value};
pub use versions::{VersionRule, Versions};
