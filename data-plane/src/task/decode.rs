//! From a raw batch to the batch a connector sees. What cannot be decoded or transformed is named record by record.

use millrace_sdk::{Batch, Bytes, Datum, Error, Header, Record, Result};

use super::batch::{Envelope, RawBatch, RawHeader, Span};
use super::dead_letter::DeadLetter;
use super::failure::Stage;
use crate::convert::{Converter, Preparation};
use crate::transform::{Chain, Side};

/// The converters of a task.
pub(super) struct Converters {
    pub(super) key: Box<dyn Converter>,
    pub(super) value: Box<dyn Converter>,
    pub(super) header: Box<dyn Converter>,
}

/// Records that are decoded and transformed at once: opened maps of so many stay in a processor's cache.
pub(super) const PART: usize = 128;

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
        let key = self.key.prepare_decode(topic, &mut raw.records().iter().filter_map(|record| raw.at(record.key)));
        let value =
            self.value.prepare_decode(topic, &mut raw.records().iter().filter_map(|record| raw.at(record.value)));
        match (key, value) {
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => Some(one),
            (Some(key), Some(value)) => Some(Box::pin(async { futures::try_join!(key, value).map(|_| ()) })),
        }
    }

    /// Converters open what the transforms look into.
    pub(super) fn open_for(&mut self, chain: &Chain) {
        for (side, converter) in [(Side::Key, &mut self.key), (Side::Value, &mut self.value)] {
            if chain.opens(side) {
                converter.open_at_once();
            }
        }
    }

    /// Decodes and transforms a batch. Its records are those for which that went well, in order.
    pub(super) fn decode(&self, raw: &RawBatch, mut chain: Option<&mut Chain>) -> Decoded {
        let mut headers = self.headers(raw).into_iter();
        let mut batch = Batch { origin: raw.origin.clone(), records: Vec::with_capacity(raw.records().len()) };
        let mut undecodable = Vec::new();
        // A part at a time, so that each step finds in the processor's cache what the one before has made.
        let mut part = Batch { origin: raw.origin.clone(), records: Vec::new() };
        for start in (0..raw.records().len()).step_by(PART) {
            let Some(chain) = &mut chain else {
                self.decode_part(raw, start, &mut headers, &mut batch.records, &mut undecodable);
                continue;
            };
            self.decode_part(raw, start, &mut headers, &mut part.records, &mut undecodable);
            for rejected in chain.apply(&mut part) {
                // Every record of the batch came from the raw one.
                let Some(index) = raw.index_of(rejected.offset) else { continue };
                let (class, error) = (rejected.class, rejected.error);
                undecodable.push(Undecodable { index, stage: Stage::Transform, class, error });
            }
            batch.records.append(&mut part.records);
        }
        undecodable.sort_by_key(|one| one.index);
        Decoded { batch, undecodable }
    }

    fn decode_part(
        &self,
        raw: &RawBatch,
        start: usize,
        headers: &mut impl Iterator<Item = Result<Datum>>,
        records: &mut Vec<Record>,
        undecodable: &mut Vec<Undecodable>,
    ) {
        let envelopes = &raw.records()[start..raw.records().len().min(start + PART)];
        let payloads = |span: fn(&Envelope) -> Span| -> Vec<Option<Bytes>> {
            envelopes.iter().map(|envelope| raw.slice(span(envelope))).collect()
        };
        let topic = &raw.origin.topic;
        let keys = self.key.decode(topic, &payloads(|envelope| envelope.key));
        let values = self.value.decode(topic, &payloads(|envelope| envelope.value));
        for (index, (envelope, (key, value))) in envelopes.iter().zip(keys.into_iter().zip(values)).enumerate() {
            let headers = named(&envelope.headers, headers);
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
            undecodable.push(Undecodable { index: start + index, stage, class, error });
        }
    }

    /// The values of all headers of the batch, in order; most batches have none, which costs nothing.
    fn headers(&self, raw: &RawBatch) -> Vec<Result<Datum>> {
        let values: Vec<_> =
            raw.records().iter().flat_map(|record| &record.headers).map(|(_, span)| raw.slice(*span)).collect();
        if values.is_empty() { Vec::new() } else { self.header.decode(&raw.origin.topic, &values) }
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
