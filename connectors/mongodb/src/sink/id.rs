//! Document ids. An id is an encoded `_id` element, equal as bytes when the ids are equal.
//!
//! Ids that the strategies make up (object ids, UUIDs) are derived from the connector's name and the record's coordinates,
//! never random: a record that comes again gets the same id and becomes the same document.

use millrace_sdk::{Batch, Datum, Error, Record, Result, TaskContext, Value};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Uuid, oid::ObjectId};

use super::document::Documents;
use super::settings::{IdStrategy, Side, TopicSettings};
use crate::bson::{self, Writer, kind};

/// An encoded `_id` element.
pub(crate) type Id = Vec<u8>;

/// Makes ids for one task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    seed: u64,
}

/// What a record's `_id` will be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The value has it and keeps it
    Existing(Id),
    /// It is added
    Added(Id),
}

impl Chosen {
    /// The id either way.
    pub(crate) fn id(&self) -> &[u8] {
        match self {
            Self::Existing(id) | Self::Added(id) => id,
        }
    }
}

impl Ids {
    /// Ids of a connector; another connector makes others of the same records.
    pub(crate) fn of(context: &TaskContext) -> Self {
        Self { seed: fnv(fnv(fnv(FNV_START, context.tenant.as_bytes()), &[0]), context.connector.as_bytes()) }
    }

    /// The `_id` of a record's document.
    ///
    /// # Errors
    /// `BadRecord` when key or value do not give one.
    pub(crate) fn choose(self, settings: &TopicSettings, batch: &Batch, record: &Record) -> Result<Chosen> {
        if record.value.is_null() {
            return self.make(settings, batch, record).map(Chosen::Added);
        }
        let same = settings.id == IdStrategy::Provided { side: Side::Value, uuid: false };
        let keeps = !settings.overwrite_existing_id || same;
        if keeps && let Some(id) = bson::id_of(&record.value)? {
            return Ok(Chosen::Existing(id));
        }
        self.make(settings, batch, record).map(Chosen::Added)
    }

    fn make(self, settings: &TopicSettings, batch: &Batch, record: &Record) -> Result<Id> {
        let mut writer = Writer::with_capacity(64);
        let at = writer.known("_id");
        match &settings.id {
            IdStrategy::BsonOid => writer.set(at, kind::OBJECT_ID, &self.object_id(batch, record)),
            IdStrategy::Uuid { binary: true } => writer.binary(at, 4, &self.uuid(batch, record)),
            IdStrategy::Uuid { binary: false } => {
                writer.text(at, &Uuid::from_bytes(self.uuid(batch, record)).to_string());
            }
            IdStrategy::KafkaMetaData => writer.text(at, &coordinates(batch, record)),
            IdStrategy::FullKey => full_key(&mut writer, at, &record.key)?,
            IdStrategy::Provided { side, uuid: false } => return provided(record, *side),
            IdStrategy::Partial(side, projection) => {
                let picked = match projection.names() {
                    Some(names) => writer.scalars_of(at, side.of(record), names)?,
                    None => false,
                };
                if !picked {
                    return self.by_tree(settings, batch, record);
                }
            }
            IdStrategy::Provided { .. } => return self.by_tree(settings, batch, record),
        }
        Ok(writer.into_bytes())
    }

    /// For what is rare.
    fn by_tree(self, settings: &TopicSettings, batch: &Batch, record: &Record) -> Result<Id> {
        let id = self.generate(&settings.id, batch, &mut Documents::of(record))?;
        Ok(bson::encoded("_id", &id))
    }

    /// The id that a strategy makes of a record's documents as they are now.
    ///
    /// # Errors
    /// `BadRecord` when key or value do not give one.
    pub(crate) fn generate(self, strategy: &IdStrategy, batch: &Batch, documents: &mut Documents<'_>) -> Result<Bson> {
        let record = documents.record();
        Ok(match strategy {
            IdStrategy::BsonOid => Bson::ObjectId(ObjectId::from_bytes(self.object_id(batch, record))),
            IdStrategy::Uuid { binary: true } => {
                Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: self.uuid(batch, record).to_vec() })
            }
            IdStrategy::Uuid { binary: false } => Bson::String(Uuid::from_bytes(self.uuid(batch, record)).to_string()),
            IdStrategy::KafkaMetaData => Bson::String(coordinates(batch, record)),
            IdStrategy::FullKey => Bson::Document(documents.key()?.cloned().ok_or_else(|| no_key("FullKeyStrategy"))?),
            IdStrategy::Partial(side, projection) => {
                let whole = documents.side(*side)?.cloned();
                let mut part = whole.ok_or_else(|| no_key("PartialKeyStrategy"))?;
                projection.apply(&mut part);
                Bson::Document(part)
            }
            IdStrategy::Provided { side, uuid } => {
                let found = documents.side(*side)?.and_then(|document| document.get("_id")).cloned();
                let id = found.filter(|id| *id != Bson::Null).ok_or_else(|| not_provided(*side))?;
                if *uuid { as_uuid(id)? } else { id }
            }
        })
    }

    /// A number that no other record of this connector has, but for one chance in 2^64 per pair of partitions.
    fn coordinates(self, batch: &Batch, record: &Record) -> u64 {
        let partition = fnv(fnv(self.seed, batch.origin.topic.as_bytes()), &batch.origin.partition.to_be_bytes());
        mix(partition).wrapping_add_signed(record.offset)
    }

    fn object_id(self, batch: &Batch, record: &Record) -> [u8; 12] {
        let seconds = u32::try_from(record.timestamp_ms.unwrap_or(0) / 1000).unwrap_or(0);
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..].copy_from_slice(&self.coordinates(batch, record).to_be_bytes());
        bytes
    }

    /// A UUID of version 8: 64 bits say the record, the others are drawn from them and the timestamp.
    fn uuid(self, batch: &Batch, record: &Record) -> [u8; 16] {
        let low = self.coordinates(batch, record);
        let high = mix(low ^ record.timestamp_ms.unwrap_or(0).cast_unsigned() ^ self.seed);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&low.to_be_bytes());
        bytes[8..].copy_from_slice(&high.to_be_bytes());
        // Six bits are the format's; what they displace is kept in bits that say nothing.
        bytes[15] = (bytes[6] >> 4) | (bytes[15] & 0xF0);
        bytes[6] = (bytes[6] & 0x0F) | 0x80;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        bytes
    }
}

fn coordinates(batch: &Batch, record: &Record) -> String {
    format!("{}#{}#{}", batch.topic(record), batch.origin.partition, record.offset)
}

fn no_key(strategy: &str) -> Error {
    Error::bad_record(format!(
        "the record has no key, and {strategy} makes the _id of the key: give the records keys, or use another \
         document.id.strategy"
    ))
}

fn full_key(writer: &mut Writer, at: usize, key: &Datum) -> Result<()> {
    if key.is_null() {
        return Err(no_key("FullKeyStrategy"));
    }
    let mut document = Writer::default();
    document.document(key, None).map_err(|error| {
        Error::bad_record(format!("FullKeyStrategy needs a document as key: {}", error.chain())).because(error)
    })?;
    let bytes = document.into_bytes();
    writer.set(at, kind::DOCUMENT, &bytes);
    Ok(())
}

fn not_provided(side: Side) -> Error {
    let what = if side == Side::Key { "key" } else { "value" };
    Error::bad_record(format!("the {what} has no field \"_id\", or it is null; document.id.strategy asks for one"))
}

fn provided(record: &Record, side: Side) -> Result<Id> {
    let found = bson::id_of(side.of(record))?;
    found.filter(|id| id.first() != Some(&kind::NULL)).ok_or_else(|| not_provided(side))
}

/// A UUID as binary: it may be one already, or a text with or without dashes.
fn as_uuid(id: Bson) -> Result<Bson> {
    let wrong = |id: &Bson| Error::bad_record(format!("the _id is no UUID: {id}"));
    match &id {
        Bson::Binary(binary) if matches!(binary.subtype, BinarySubtype::Uuid | BinarySubtype::UuidOld) => Ok(id),
        Bson::String(text) => match Uuid::parse_str(text) {
            Ok(uuid) => Ok(Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: uuid.bytes().to_vec() })),
            Err(_) => Err(wrong(&id)),
        },
        _ => Err(wrong(&id)),
    }
}

/// Whether no value of these records can have an `_id` of its own; cheap, and false when in doubt.
pub(crate) fn values_have_no_id(records: &[Record]) -> bool {
    records.iter().all(|record| match &record.value {
        Datum::Decoded { value: Value::Json(_) | Value::Map(_), .. } => {
            matches!(bson::id_of(&record.value), Ok(None))
        }
        datum => datum.is_null(),
    })
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: stable for ever, as ids must be.
fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// Spreads a hash over all its bits (splitmix64's last steps).
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests;
