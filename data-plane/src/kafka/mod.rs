//! Kafka clients: settings (`client`, `table`), partitions read many records at a time ([`BatchQueue`]), producers that are
//! shared (`producers`) and what becomes of their records (`deliveries`), topics that are created (`topics`).

pub mod client;
mod deliveries;
mod jaas;
mod producers;
mod table;
mod topics;

pub use crate::native::{BatchQueue, Fetched};
pub use client::{ClientKind, ClientSettings};
pub use deliveries::{Counting, Deliveries, Outgoing, Producer};
pub use producers::{Producers, SharedProducer};
pub use topics::{Quiet, TopicOutcome, appeared, ensure_topic, max_batch_bytes, partitions};
