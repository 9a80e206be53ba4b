//! From a raw batch to the batch a connector sees. What cannot be decoded or transformed is named record by record.

use millrace_sdk::{Batch, Bytes, Datum, Error, Header, Record, Result, Value};

use super::batch::RawBatch;
use super::dead_letter::DeadLetter;
use super::failure::Stage;
use crate::convert::{Converter, Preparation};
use crate::kafka::{Envelope, RawHeader, Span};
use crate::transform::{Chain, Edited, Side};

/// The converters of a task.
pub(super) struct Converters {
    pub(super) key: Box<dyn Converter>,
    pub(super) value: Box<dyn Converter>,
    pub(super) header: Box<dyn Converter>,
    /// Whether the transforms change the text of values, which is JSON
    edits: bool,
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
    pub(super) fn new(key: Box<dyn Converter>, value: Box<dyn Converter>, header: Box<dyn Converter>) -> Self {
        Self { key, value, header, edits: false }
    }

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
        self.edits = chain.edits() == Some(Side::Value) && self.value.is_plain_json();
        for (side, converter) in [(Side::Key, &mut self.key), (Side::Value, &mut self.value)] {
            if chain.opens(side) && !(self.edits && side == Side::Value) {
                converter.open_at_once();
            }
        }
    }

    /// Decodes and transforms a batch. Its records are those for which that went well, in order.
    pub(super) fn decode(&self, raw: &RawBatch, mut chain: Option<&mut Chain>) -> Decoded {
        let mut headers = self.headers(raw).into_iter();
        let records = Vec::with_capacity(raw.records().len());
        let mut decoded = Decoded { batch: Batch { origin: raw.origin.clone(), records }, undecodable: Vec::new() };
        // A part at a time, so that each step finds in the processor's cache what the one before has made.
        let mut part = Batch { origin: raw.origin.clone(), records: Vec::new() };
        for start in (0..raw.records().len()).step_by(PART) {
            match &mut chain {
                None => {
                    let records = &mut decoded.batch.records;
                    self.decode_part(raw, start, &mut headers, records, &mut decoded.undecodable);
                }
                Some(chain) if self.edits => self.edit_part(raw, start, &mut headers, chain, &mut decoded),
                Some(chain) => {
                    self.decode_part(raw, start, &mut headers, &mut part.records, &mut decoded.undecodable);
                    decoded.transform(raw, chain, &mut part);
                }
            }
        }
        decoded.undecodable.sort_by_key(|one| one.index);
        decoded
    }

    fn decode_part(
        &self,
        raw: &RawBatch,
        start: usize,
        headers: &mut impl Iterator<Item = Result<Datum>>,
        records: &mut Vec<Record>,
        undecodable: &mut Vec<Undecodable>,
    ) {
        let envelopes = part(raw, start);
        let topic = &raw.origin.topic;
        let keys = self.key.decode(topic, &payloads(raw, envelopes, |envelope| envelope.key));
        let values = self.value.decode(topic, &payloads(raw, envelopes, |envelope| envelope.value));
        for (index, (envelope, (key, value))) in envelopes.iter().zip(keys.into_iter().zip(values)).enumerate() {
            match self.record(envelope, key, value, named(envelope.headers(), headers)) {
                Ok(record) => records.push(record),
                Err((stage, class, error)) => {
                    undecodable.push(Undecodable { index: start + index, stage, class, error });
                }
            }
        }
    }

    /// As `decode_part` and the transforms after it, where they change the text of the values. What is not simple enough for
    /// that goes the long way alone.
    fn edit_part(
        &self,
        raw: &RawBatch,
        start: usize,
        headers: &mut impl Iterator<Item = Result<Datum>>,
        chain: &mut Chain,
        decoded: &mut Decoded,
    ) {
        let envelopes = part(raw, start);
        let topic = &raw.origin.topic;
        let keys = self.key.decode(topic, &payloads(raw, envelopes, |envelope| envelope.key));
        let size: usize = envelopes.iter().map(|envelope| envelope.value.len()).sum();
        let mut text = Vec::with_capacity(size + size / 4);
        let mut places = Vec::with_capacity(envelopes.len());
        for (index, (envelope, key)) in envelopes.iter().zip(keys).enumerate() {
            let headers = named(envelope.headers(), headers);
            let payload = raw.slice(envelope.value);
            let bare = bare(envelope);
            let edited = payload.as_ref().and_then(|json| chain.edit(json, &bare, &raw.origin, &mut text));
            let place = decoded.batch.records.len();
            let value = match edited {
                Some(Edited::Text(range)) => {
                    places.push((place, range));
                    Ok(Datum::Null)
                }
                Some(Edited::Value(value)) => Ok(Datum::schemaless(value)),
                None => {
                    let value = self.value.decode(topic, &[payload]).pop().unwrap_or(Ok(Datum::Null));
                    match self.record(envelope, key, value, headers) {
                        Ok(record) => {
                            let mut one = Batch { origin: raw.origin.clone(), records: vec![record] };
                            decoded.transform(raw, chain, &mut one);
                        }
                        Err((stage, class, error)) => {
                            decoded.undecodable.push(Undecodable { index: start + index, stage, class, error });
                        }
                    }
                    continue;
                }
            };
            match self.record(envelope, key, value, headers) {
                Ok(record) => decoded.batch.records.push(record),
                Err((stage, class, error)) => {
                    places.pop_if(|(last, _)| *last == place);
                    decoded.undecodable.push(Undecodable { index: start + index, stage, class, error });
                }
            }
        }
        let text = Bytes::from(text);
        for (place, range) in places {
            decoded.batch.records[place].value = Datum::schemaless(Value::Json(text.slice(range)));
        }
    }

    /// A record, or what of it could not be decoded.
    fn record(
        &self,
        envelope: &Envelope,
        key: Result<Datum>,
        value: Result<Datum>,
        headers: Result<Vec<Header>>,
    ) -> Result<Record, (Stage, &'static str, Error)> {
        let key = key.map_err(|error| (Stage::DecodeKey, self.key.class(), error))?;
        let value = value.map_err(|error| (Stage::DecodeValue, self.value.class(), error))?;
        let headers = headers.map_err(|error| (Stage::DecodeHeader, self.header.class(), error))?;
        Ok(Record { key, value, headers, ..bare(envelope) })
    }

    /// The values of all headers of the batch, in order; most batches have none, which costs nothing.
    fn headers(&self, raw: &RawBatch) -> Vec<Result<Datum>> {
        let values: Vec<_> =
            raw.records().iter().flat_map(|record| record.headers()).map(|(_, span)| raw.slice(*span)).collect();
        if values.is_empty() { Vec::new() } else { self.header.decode(&raw.origin.topic, &values) }
    }
}

impl Decoded {
    /// Where nothing is tolerated: the first record that did not make it, after which nothing is left.
    pub(super) fn cut(&mut self, raw: &RawBatch) -> Option<Undecodable> {
        let mut undecodable = std::mem::take(&mut self.undecodable);
        let first = (!undecodable.is_empty()).then(|| undecodable.swap_remove(0))?;
        let offset = raw.records()[first.index].offset;
        self.batch.records.retain(|record| record.offset < offset);
        Some(first)
    }

    /// Transforms records that are decoded and takes those over for which that went well.
    fn transform(&mut self, raw: &RawBatch, chain: &mut Chain, part: &mut Batch) {
        for rejected in chain.apply(part) {
            // Every record of the batch came from the raw one.
            let Some(index) = raw.index_of(rejected.offset) else { continue };
            let (class, error) = (rejected.class, rejected.error);
            self.undecodable.push(Undecodable { index, stage: Stage::Transform, class, error });
        }
        self.batch.records.append(&mut part.records);
    }
}

/// The part of a batch that begins at a record.
fn part(raw: &RawBatch, start: usize) -> &[Envelope] {
    &raw.records()[start..raw.records().len().min(start + PART)]
}

fn payloads(raw: &RawBatch, envelopes: &[Envelope], span: fn(&Envelope) -> Span) -> Vec<Option<Bytes>> {
    envelopes.iter().map(|envelope| raw.slice(span(envelope))).collect()
}

/// A record of which nothing is decoded.
#[inline]
fn bare(envelope: &Envelope) -> Record {
    Record {
        offset: envelope.offset,
        timestamp_ms: envelope.timestamp_ms,
        timestamp_kind: envelope.timestamp_kind,
        renamed_topic: None,
        key: Datum::Null,
        value: Datum::Null,
        headers: Vec::new(),
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
