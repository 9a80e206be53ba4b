//! The keys that every connector has, whatever its class: Kafka Connect's names, defaults and messages, and ours under
//! `millrace.`. The connector's own keys come after them in the catalogue.

mod common;
mod sink;
mod source;

pub use common::{Tolerance, group_id, instance_id, offsets_topic};
pub use sink::SinkSettings;
pub use source::SourceSettings;

#[cfg(test)]
mod tests;
