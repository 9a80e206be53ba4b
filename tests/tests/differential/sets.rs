//! The records. Each set is a topic of its own; in `plain` and `typed` a record's key has the same bytes as its value, so
//! that what is tried on values is tried on keys too. The last record of a set can be told by both sides: it tells that
//! all before it have been seen.

mod bytes;
mod changes;
mod json;
pub(crate) mod registry;
mod typed;

use millrace_tests::kafka::RawRecord;

/// A record with a name by which the list of intended differences knows it.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) record: RawRecord,
}

/// All records of a topic.
pub(crate) struct Set {
    pub(crate) samples: Vec<Sample>,
}

/// Which records a case reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SetId {
    /// JSON without schemas
    Plain,
    /// JSON with schemas
    Typed,
    /// JSON numbers at their limits, texts, and what a lenient reader might take for JSON
    Json,
    /// One value of each type by schema, and those that do not fit
    Fits,
    /// Envelopes that are none
    Envelopes,
    /// Bytes of all lengths, text in all character sets
    Bytes,
    /// Headers, one per record
    Headers,
    /// Headers in the form of JSON envelopes, one per record
    TypedHeaders,
    /// A good record, then one that is no JSON
    Poison,
    /// Two good records
    Good,
    /// Change events of a table, as Debezium's connectors write them
    Changes,
    /// Change events of a collection of MongoDB
    Documents,
    /// Avro, with the ids of schemas in a registry
    Avro,
    /// Protobuf, likewise
    Protobuf,
    /// JSON with a JSON Schema, likewise
    JsonSchema,
}

pub(crate) const ALL: &[SetId] = &[
    SetId::Plain,
    SetId::Typed,
    SetId::Json,
    SetId::Fits,
    SetId::Envelopes,
    SetId::Bytes,
    SetId::Headers,
    SetId::TypedHeaders,
    SetId::Poison,
    SetId::Good,
    SetId::Changes,
    SetId::Documents,
    SetId::Avro,
    SetId::Protobuf,
    SetId::JsonSchema,
];

/// What no JSON converter takes.
const BROKEN: &[u8] = b"{\"broken";

impl SetId {
    /// The first part of the topic's name.
    pub(crate) fn topic(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Typed => "typed",
            Self::Json => "json",
            Self::Fits => "fits",
            Self::Envelopes => "envelopes",
            Self::Bytes => "bytes",
            Self::Headers => "headers",
            Self::TypedHeaders => "typed-headers",
            Self::Poison => "poison",
            Self::Good => "good",
            Self::Changes => "changes",
            Self::Documents => "documents",
            Self::Avro => "avro",
            Self::Protobuf => "protobuf",
            Self::JsonSchema => "json-schema",
        }
    }

    pub(crate) fn samples(self) -> Set {
        let mut samples = match self {
            Self::Plain => json::plain(),
            Self::Typed => typed::typed(),
            Self::Json => json::syntax(),
            Self::Fits => typed::fits(),
            Self::Envelopes => typed::envelopes(),
            Self::Bytes => bytes::bytes(),
            Self::Headers => bytes::headers(),
            Self::TypedHeaders => typed::headers(),
            Self::Poison => vec![value("good", b"{\"id\":1}"), value("poison", BROKEN), value("after", b"{\"id\":2}")],
            Self::Good => vec![value("one", b"{\"id\":1}"), value("two", b"{\"id\":2}")],
            Self::Changes => changes::rows(),
            Self::Documents => changes::documents(),
            Self::Avro => registry::avro(),
            Self::Protobuf => registry::protobuf(),
            Self::JsonSchema => registry::json(),
        };
        match self {
            Self::Poison | Self::Good => {}
            Self::Bytes => samples.push(both("end", b"the end!")),
            _ => samples.push(both("end", BROKEN)),
        }
        for (offset, sample) in (0_i64..).zip(&mut samples) {
            sample.record.offset = offset;
            // Not on a full second, and different days.
            sample.record.timestamp_ms = Some(1_700_000_000_123 + offset * 3_600_000);
        }
        Set { samples }
    }
}

fn sample(name: &'static str, key: Option<&[u8]>, value: Option<&[u8]>) -> Sample {
    let record = RawRecord {
        offset: 0,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: Vec::new(),
        timestamp_ms: None,
    };
    Sample { name, record }
}

/// Key and value are the same.
fn both(name: &'static str, bytes: &[u8]) -> Sample {
    sample(name, Some(bytes), Some(bytes))
}

/// No key.
fn value(name: &'static str, bytes: &[u8]) -> Sample {
    sample(name, None, Some(bytes))
}

/// A record with headers.
fn with_headers(mut sample: Sample, headers: &[(&str, Option<&[u8]>)]) -> Sample {
    let owned = |(name, value): &(&str, Option<&[u8]>)| ((*name).to_owned(), value.map(<[u8]>::to_vec));
    sample.record.headers = headers.iter().map(owned).collect();
    sample
}
