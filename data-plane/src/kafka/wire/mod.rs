//! The part of Kafka's protocol that reads records: a connection (`connection`, with TLS and a login: `security`, `sasl`) that asks where partitions are and what is in
//! them (`messages`, `fetch`), and record batches taken apart where they lie in the answer (`records`, `compression`). Groups,
//! commits and producing are librdkafka's.
//!
//! Everything a broker sends is checked before it is believed: lengths against what is there, counts against what could fit.

mod codec;
mod compression;
mod connection;
mod fetch;
mod messages;
mod messages_v1;
mod records;
mod sasl;
mod security;

pub use codec::Malformed;
pub use connection::{Connection, Endpoint, Fault};
pub use fetch::{Answer, FetchRequest, Receive, Wanted};
pub use messages::{Cluster, ListOffsets, LogEnd, Metadata, Place, Start};
pub use records::{Aborted, Apart, Found, Isolation, take_apart};
pub use security::Security;

/// Error codes of Kafka's protocol that reading meets.
pub mod code {
    /// All is well
    pub const NONE: i16 = 0;
    /// The offset is before the log's start or behind its end
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    /// The broker does not lead the partition (any more)
    pub const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    /// No READ on the topic
    pub const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    /// The broker does not know this version of a request
    pub const UNSUPPORTED_VERSION: i16 = 35;
}
