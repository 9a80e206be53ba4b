//! From a raw batch to the batch a connector sees. What cannot be decoded or transformed is named record by record.

use millrace_sdk::{Batch, Datum, Error, Header, Record, Result};

use super::batch::{RawBatch, RawHeader};
use super::dead_letter::DeadLetter;
use super::failure::Stage;
use crate::convert::{Converter, Preparation};
use crate::transform::Chain;

/// The converters of a task.
pub(super) struct Converters {
    pub(super) key: Box<dyn Converter>,
    pub(super) value: Box<dyn Converter>,
    pub(super) header: Box<dyn Converter>,
}

/// Records that are decoded at once.
const PART: usize = 256;

/// A record that cannot be decoded or transformed.
#[derive(Debug)]
pub(super) struct Undecodable {
    /// Index into the raw batch
    pub(super) index: usize,
    pub(super) stage: Stage,
    /// The Java class of the converter or transform
    pub(super) class: &'static str,
    pub(super) error: Error,
}

/// A decoded batch and what did not make it.
pub(super) struct Decoded {
    pub(super) batch: Batch,
    pub(super) undecodable: Vec<Undecodable>,
}

impl Converters {
    /// What the converters must ask somebody before they can decode a batch; mostly nothing.
    pub(super) fn prepare(&self, raw: &RawBatch) -> Option<Preparation> {
        let topic = &raw.origin.topic;
        let key = self.key.prepare_decode(topic, &mut raw.keys.iter().flatten());
        let value = self.value.prepare_decode(topic, &mut raw.values.iter().flatten());
        match (key, value) {
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => Some(one),
            (Some(key), Some(value)) => Some(Box::pin(async { futures::try_join!(key, value).map(|_| ()) })),
        }
    }

    /// Decodes a batch. Its records are those that could be decoded, in order.
    pub(super) fn decode(&self, raw: &RawBatch) -> Decoded {
        let topic = &raw.origin.topic;
        let mut headers = self.headers(raw).into_iter();
        let mut records = Vec::with_capacity(raw.records.len());
        let mut undecodable = Vec::new();
        // A part at a time: what the converters answer is then still in the processor's cache when records are made of it.
        let parts = raw.records.chunks(PART).zip(raw.keys.chunks(PART)).zip(raw.values.chunks(PART));
        for (part, ((envelopes, keys), values)) in parts.enumerate() {
            let decoded = self.key.decode(topic, keys).into_iter().zip(self.value.decode(topic, values));
            for (place, (envelope, (key, value))) in envelopes.iter().zip(decoded).enumerate() {
                let headers = named(&envelope.headers, &mut headers);
                let (stage, class, error) = match (key, value, headers) {
                    (Ok(key), Ok(value), Ok(headers)) => {
                        records.push(Record {
                            offset: envelope.offset,
                            timestamp_ms: envelope.timestamp_ms,
                            timestamp_kind: envelope.timestamp_kind,
                            renamed_topic: None,
                            key,
                            value,
                            headers,
                        });
                        continue;
                    }
                    (Err(error), ..) => (Stage::DecodeKey, self.key.class(), error),
                    (_, Err(error), _) => (Stage::DecodeValue, self.value.class(), error),
                    (.., Err(error)) => (Stage::DecodeHeader, self.header.class(), error),
                };
                undecodable.push(Undecodable { index: part * PART + place, stage, class, error });
            }
        }
        Decoded { batch: Batch { origin: raw.origin.clone(), records }, undecodable }
    }

    /// The values of all headers of the batch, in order; most batches have none, which costs nothing.
    fn headers(&self, raw: &RawBatch) -> Vec<Result<Datum>> {
        let values: Vec<_> =
            raw.records.iter().flat_map(|record| &record.headers).map(|(_, value)| value.clone()).collect();
        if values.is_empty() { Vec::new() } else { self.header.decode(&raw.origin.topic, &values) }
    }
}

impl Decoded {
    /// Transforms the records; those that fail join the undecodable ones, in the batch's order.
    pub(super) fn transform(&mut self, raw: &RawBatch, chain: &mut Chain) {
        let rejected = chain.apply(&mut self.batch);
        if rejected.is_empty() {
            return;
        }
        for one in rejected {
            // Every record of the batch came from the raw one.
            let Some(index) = raw.index_of(one.offset) else { continue };
            self.undecodable.push(Undecodable { index, stage: Stage::Transform, class: one.class, error: one.error });
        }
        self.undecodable.sort_by_key(|one| one.index);
    }
}

/// The dead letter of a record that cannot be decoded or transformed.
pub(super) fn letter(raw: &RawBatch, record: Undecodable) -> DeadLetter<'_> {
    let Undecodable { index, stage, class, error } = record;
    DeadLetter::of_sink(&raw.origin, raw.record(index), stage, class, error)
}

/// A record's headers with their decoded values, which are taken from `values`; the first that could not be decoded is named.
fn named(names: &[RawHeader], values: &mut impl Iterator<Item = Result<Datum>>) -> Result<Vec<Header>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // All are taken even if one is bad: the next record's follow.
    let decoded: Vec<_> = names.iter().zip(values).collect();
    let headers = decoded.into_iter().map(|((name, _), value)| match value {
        Ok(value) => Ok(Header { key: name.clone(), value }),
        Err(error) => Err(Error::bad_record(format!("the header \"{name}\" cannot be decoded")).because(error)),
    });
    headers.collect()
}

#[cfg(test)]
mod tests;
