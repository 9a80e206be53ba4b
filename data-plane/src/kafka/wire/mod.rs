//! The part of Kafka's protocol that reads and writes records: a connection (`connection`, with TLS and a login: `security`, `sasl`) that asks where partitions are and what is in
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
mod packing;
mod produce;
mod reach;
mod records;
mod sasl;
mod security;

pub use codec::Malformed;
pub use compression::Codec;
pub use connection::{Connection, Endpoint, Fault, Purpose};
pub use fetch::{Answer, FetchRequest, Receive, Wanted};
pub use messages::{Cluster, ListOffsets, LogEnd, Metadata, Place, Start};
pub use packing::{ClosedBatch, OpenBatch, Outline};
pub use produce::{NewProducer, ProduceRequest, Produced};
pub use reach::{BackOff, Reach, TELL_AFTER, Trial, backoff};
pub use records::{Aborted, Apart, Found, Isolation, take_apart};
pub use security::Security;

/// Error codes of Kafka's protocol that reading and writing meet.
pub mod code {
    /// All is well
    pub const NONE: i16 = 0;
    /// The offset is before the log's start or behind its end
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    /// A record does not pass the broker's checks
    pub const CORRUPT_MESSAGE: i16 = 2;
    /// The topic, or the partition, is not there (yet)
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    /// The broker does not lead the partition (any more)
    pub const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    /// A batch is larger than the topic takes
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    /// No topic can have such a name
    pub const INVALID_TOPIC: i16 = 17;
    /// A batch is larger than a segment of the log
    pub const RECORD_LIST_TOO_LARGE: i16 = 18;
    /// No READ or WRITE on the topic
    pub const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    /// Not allowed on the cluster
    pub const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
    /// A timestamp is too far from the broker's clock
    pub const INVALID_TIMESTAMP: i16 = 32;
    /// The broker does not know this version of a request
    pub const UNSUPPORTED_VERSION: i16 = 35;
    /// The topic's format of messages cannot hold the batch
    pub const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
    /// A policy of the operator forbids it
    pub const POLICY_VIOLATION: i16 = 44;
    /// A batch before this one is missing
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    /// The batch is there already
    pub const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
    /// Another producer has taken the name over
    pub const INVALID_PRODUCER_EPOCH: i16 = 47;
    /// The broker has forgotten the producer's name
    pub const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
    /// No idempotent writing
    pub const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
    /// The broker has forgotten the producer
    pub const UNKNOWN_PRODUCER_ID: i16 = 59;
    /// The topic's format cannot hold the codec
    pub const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
    /// The broker refuses some of the records
    pub const INVALID_RECORD: i16 = 87;

    /// The name of those that readers and producers meet, as Kafka's documentation lists them.
    #[must_use]
    pub fn name(code: i16) -> &'static str {
        match code {
            CORRUPT_MESSAGE => "CORRUPT_MESSAGE",
            UNKNOWN_TOPIC_OR_PARTITION => "UNKNOWN_TOPIC_OR_PARTITION",
            5 => "LEADER_NOT_AVAILABLE",
            NOT_LEADER_OR_FOLLOWER => "NOT_LEADER_OR_FOLLOWER",
            7 => "REQUEST_TIMED_OUT",
            14 => "COORDINATOR_LOAD_IN_PROGRESS",
            15 => "COORDINATOR_NOT_AVAILABLE",
            MESSAGE_TOO_LARGE => "MESSAGE_TOO_LARGE",
            INVALID_TOPIC => "INVALID_TOPIC_EXCEPTION",
            RECORD_LIST_TOO_LARGE => "RECORD_LIST_TOO_LARGE",
            19 => "NOT_ENOUGH_REPLICAS",
            20 => "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
            TOPIC_AUTHORIZATION_FAILED => "TOPIC_AUTHORIZATION_FAILED",
            CLUSTER_AUTHORIZATION_FAILED => "CLUSTER_AUTHORIZATION_FAILED",
            INVALID_TIMESTAMP => "INVALID_TIMESTAMP",
            UNSUPPORTED_VERSION => "UNSUPPORTED_VERSION",
            UNSUPPORTED_FOR_MESSAGE_FORMAT => "UNSUPPORTED_FOR_MESSAGE_FORMAT",
            POLICY_VIOLATION => "POLICY_VIOLATION",
            OUT_OF_ORDER_SEQUENCE_NUMBER => "OUT_OF_ORDER_SEQUENCE_NUMBER",
            INVALID_PRODUCER_EPOCH => "INVALID_PRODUCER_EPOCH",
            56 => "KAFKA_STORAGE_ERROR",
            UNKNOWN_PRODUCER_ID => "UNKNOWN_PRODUCER_ID",
            UNSUPPORTED_COMPRESSION_TYPE => "UNSUPPORTED_COMPRESSION_TYPE",
            INVALID_RECORD => "INVALID_RECORD",
            89 => "THROTTLING_QUOTA_EXCEEDED",
            _ => "with an error code",
        }
    }
}
