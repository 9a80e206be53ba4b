//! From a raw batch to the batch a connector sees. What cannot be decoded is named record by record, by key or value.

use millrace_sdk::{Batch, Datum, Error, Header, Record};

use super::batch::RawBatch;
use super::dead_letter::DeadLetter;
use super::failure::Stage;
use crate::convert::Converter;

/// The converters of a task.
pub(super) struct Converters {
    pub(super) key: Box<dyn Converter>,
    pub(super) value: Box<dyn Converter>,
}

/// A record that cannot be decoded.
#[derive(Debug)]
pub(super) struct Undecodable {
    /// Index into the raw batch
    pub(super) index: usize,
    pub(super) stage: Stage,
    pub(super) error: Error,
}

/// A decoded batch and what did not make it.
pub(super) struct Decoded {
    pub(super) batch: Batch,
    pub(super) undecodable: Vec<Undecodable>,
}

impl Converters {
    /// Decodes a batch. Its records are those that could be decoded, in order.
    pub(super) fn decode(&self, raw: &RawBatch) -> Decoded {
        let keys: Vec<_> = raw.records.iter().map(|record| record.key.clone()).collect();
        let values: Vec<_> = raw.records.iter().map(|record| record.value.clone()).collect();
        let keys = self.key.decode(&keys);
        let values = self.value.decode(&values);
        let mut records = Vec::with_capacity(raw.records.len());
        let mut undecodable = Vec::new();
        for (index, ((raw, key), value)) in raw.records.iter().zip(keys).zip(values).enumerate() {
            let (key, value) = match (key, value) {
                (Ok(key), Ok(value)) => (key, value),
                (Err(error), _) => {
                    undecodable.push(Undecodable { index, stage: Stage::DecodeKey, error });
                    continue;
                }
                (_, Err(error)) => {
                    undecodable.push(Undecodable { index, stage: Stage::DecodeValue, error });
                    continue;
                }
            };
            let headers = raw.headers.iter().map(|(name, value)| Header {
                key: name.clone(),
                value: value.clone().map_or(Datum::Null, Datum::Encoded),
            });
            records.push(Record {
                offset: raw.offset,
                timestamp_ms: raw.timestamp_ms,
                timestamp_kind: raw.timestamp_kind,
                renamed_topic: None,
                key,
                value,
                headers: headers.collect(),
            });
        }
        Decoded { batch: Batch { origin: raw.origin.clone(), records }, undecodable }
    }

    /// The dead letter of a record that cannot be decoded.
    pub(super) fn letter<'a>(&'a self, raw: &'a RawBatch, record: Undecodable) -> DeadLetter<'a> {
        let class = if record.stage == Stage::DecodeKey { self.key.class() } else { self.value.class() };
        let Undecodable { index, stage, error } = record;
        DeadLetter { origin: &raw.origin, record: &raw.records[index], stage, class, error }
    }
}
