//! The keys that every connector has, whatever its class: Kafka Connect's names, defaults and messages, and ours under
//! `millrace.`. The connector's own keys come after them in the catalogue.

mod common;
mod sink;
mod source;

pub use common::{DEFAULT_TENANT, Tolerance, group_id, instance_id, offsets_topic};
pub use sink::SinkSettings;
pub(crate) use sink::full_match;
pub use source::SourceSettings;

#[cfg(test)]
mod tests;
