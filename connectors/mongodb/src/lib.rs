//! The MongoDB sink.
//!
//! A batch becomes documents (`bson`: JSON bytes or Connect values straight into BSON, no tree between), each with an
//! `_id` (`id`: the document id strategies) and a write model (`model`: replace, insert, update, delete). `sink` groups
//! them by document, `command` sends them as bulk `update` / `insert` / `delete` commands and reads the replies, and `error`
//! decides what an answer means. Keys and defaults are those of MongoDB's Kafka connector (`config`, `settings`).
//!
//! Not here: the source, change data capture handlers, post processors other than the document id adder, time series.

mod bson;
mod command;
pub mod config;
mod error;
mod id;
mod model;
mod settings;
mod sink;

pub use config::SinkConfig;
pub use sink::{Sink, Task};
