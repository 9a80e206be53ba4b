//! Equality with MongoDB's Kafka connector as a source, by running it: the same configurations, posted to a real Kafka Connect
//! and to Millrace, on the same databases, produce the same records to the same topics, byte by byte; resume tokens and times
//! included, since both read the same oplog. What is meant to differ stands in `docs/connectors/mongodb-source.md`.
//!
//! `make test` runs a selection, `make differential` (`DIFFERENTIAL=all`) every case; a text in `DIFFERENTIAL_CASES` chooses the
//! cases whose names begin with it.

// A helper that cannot go on fails its test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod databases;
mod matrix;
mod sources;
mod topics;
