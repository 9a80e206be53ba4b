//! MongoDB, both ways.
//!
//! Shared: `client` (the keys of the connection), `error` (what the driver's and the server's answers mean) and `bson` (JSON
//! bytes or Connect values straight into BSON, no tree between).
//!
//! `sink`: a batch becomes documents, each with an `_id` (`id`: the document id strategies) and a write model (`model`:
//! replace, insert, update, delete), grouped by document and sent as bulk `update` / `insert` / `delete` commands (`command`).
//!
//! `source`: change streams and a copy of what exists before them, printed from raw BSON.
//!
//! Keys and defaults of both are those of MongoDB's Kafka connector.

mod bson;
mod client;
mod error;
mod sink;
mod source;

pub use client::Connection;
pub use sink::{Sink, SinkConfig, Task, TopicConfig};
pub use source::{OnLostToken, Source, SourceConfig, SourceReader};
