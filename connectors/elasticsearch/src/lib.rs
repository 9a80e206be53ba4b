//! The Elasticsearch sink.
//!
//! A record becomes one operation of a bulk request: `document` makes its JSON line (untouched JSON goes as the bytes that
//! came), `bulk` encodes operations and reads the answers, `client` talks HTTP through Elastic's transport and creates
//! indices on first use, `sink` decides what is written when, and `error` what an answer means. Keys and defaults are those
//! of Confluent's sink (`config`).
//!
//! Not here: data streams, mappings from Connect schemas (Elasticsearch's dynamic mapping does it), the source.

mod bulk;
mod client;
pub mod config;
mod document;
mod error;
mod sink;

pub use config::SinkConfig;
pub use sink::{Sink, Task};
