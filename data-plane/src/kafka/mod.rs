//! Kafka clients: settings (`client`, `table`), partitions read many records at a time ([`BatchQueue`]), producers that are
//! shared (`producers`) and what becomes of their records (`deliveries`), topics that are created (`topics`), the protocol as
//! far as records are read and written without librdkafka (`wire`), and the producer that does so (`direct`).

pub mod client;
mod deliveries;
mod direct;
mod envelope;
mod jaas;
mod producers;
mod table;
mod topics;
pub mod wire;

pub use crate::native::{BatchQueue, Fetched};
pub use client::{ClientKind, ClientSettings};
pub use deliveries::{Counting, Deliveries, OfLibrary, Outgoing, Producer};
pub use direct::{Adding, DirectProducer, Refusal, Refused};
pub use envelope::{Envelope, RawHeader, Span};
pub use producers::{Producers, SharedProducer};
pub use topics::{Quiet, TopicOutcome, appeared, ensure_topic, max_batch_bytes, partitions};

/// The tenant may not write to a topic.
#[must_use]
pub fn not_allowed(topic: &str) -> millrace_sdk::Error {
    millrace_sdk::Error::bad_config(format!(
        "not allowed to write to the topic {topic}: grant WRITE to the tenant's Kafka user"
    ))
}
