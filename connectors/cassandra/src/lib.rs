//! Apache Cassandra (and ScyllaDB) connectors. [`Sink`] writes records into tables through mappings such as
//! `sku=key.sku, quantity=value.stock.quantity`, with the keys and defaults of the DataStax connector.
//!
//! The way of a record: `mapping` (what goes where) → `codec` (JSON or schema'd value to the column's type) → `row` (insert
//! or delete) → `write_time` (so that replays and ties within a millisecond end with the newest value) → `sink` (bounded
//! concurrent prepared statements).

mod codec;
mod config;
mod error;
mod mapping;
mod plan;
mod row;
mod session;
mod sink;
mod tables;
mod write_time;

pub use config::SinkConfig;
pub use sink::{CassandraSink, Sink};

/// Classes that people post and that are known but not available yet: class, what to say.
pub const NOT_AVAILABLE: &[(&str, &str)] = &[
    (
        "com.datastax.oss.kafka.source.CassandraSourceConnector",
        "the Cassandra source connector is not available yet; this version writes to Cassandra \
         (com.datastax.oss.kafka.sink.CassandraSinkConnector) but does not read from it",
    ),
    (
        "com.datastax.kafkaconnector.source.CassandraSourceConnector",
        "the Cassandra source connector is not available yet; this version writes to Cassandra \
         (com.datastax.oss.kafka.sink.CassandraSinkConnector) but does not read from it",
    ),
    (
        "cassandra-source",
        "the Cassandra source connector is not available yet; this version writes to Cassandra (cassandra-sink) but does \
         not read from it",
    ),
];
