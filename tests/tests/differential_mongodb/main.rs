//! Equality with MongoDB's Kafka connector, by running it: the same configurations, posted to a real Kafka Connect and to
//! Millrace on the same topics, leave equal collections, type by type. What is meant to differ stands in
//! `docs/connectors/mongodb-sink.md`.
//!
//! `make test` runs a selection, `make differential` (`DIFFERENTIAL=all`) every case; a text in `DIFFERENTIAL_CASES` chooses the
//! cases whose names begin with it.

// A helper that cannot go on fails its test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod matrix;
mod records;
mod sinks;
