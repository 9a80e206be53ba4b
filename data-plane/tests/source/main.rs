//! The source loops against a real Kafka. Without `KAFKA_BOOTSTRAP` these tests say that they are skipped.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod at_least_once;
mod counting;
mod exact;
mod losses;
#[allow(dead_code)] // the sink's half of it
#[path = "../support/mod.rs"]
mod support;
