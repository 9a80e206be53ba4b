//! What the n-th record holds. It depends on the seed and on `n` alone, so that a generator that is started again, or moved,
//! goes on as if nothing had happened.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use millrace_sdk::{Datum, Field, Schema, Text, Type, Value};

/// 2020-01-01T00:00:00Z; each record is a millisecond younger than the one before.
const FIRST_MS: i64 = 1_577_836_800_000;

const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// A record before it is written down.
struct Row {
    id: i64,
    user: i64,
    /// In hundredths
    amount: i64,
    active: bool,
    at: i64,
    /// What the letters of the text follow from
    letters: u64,
}

/// Makes records.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) size: usize,
    pub(crate) keys: i64,
    pub(crate) seed: u64,
    /// None for schemaless JSON
    pub(crate) schema: Option<Arc<Schema>>,
}

/// Steele, Lea and Flood's SplitMix64: a fixed mixing of 64 bits.
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The fewest bytes that every record fits in.
pub(crate) fn smallest() -> usize {
    let mut out = BytesMut::new();
    let row = Row { id: i64::MAX, user: i64::MAX, amount: 99_999, active: false, at: i64::MAX, letters: 0 };
    write(&row, 0, &mut out);
    out.len()
}

/// A value between 0 and `limit`, which is above 0.
fn below(random: u64, limit: i64) -> i64 {
    i64::try_from(random % limit.unsigned_abs().max(1)).unwrap_or(0)
}

/// Appends a row as JSON of `size` bytes, more only if it does not fit.
fn write(row: &Row, size: usize, out: &mut BytesMut) {
    use std::fmt::Write as _;
    let start = out.len();
    let (whole, part) = (row.amount / 100, row.amount % 100);
    // Writing into a buffer cannot fail.
    let _ = write!(
        out,
        "{{\"id\":{},\"user\":{},\"amount\":{whole}.{part:02},\"active\":{},\"at\":{},\"text\":\"",
        row.id, row.user, row.active, row.at
    );
    let room = size.saturating_sub(out.len() - start + 2);
    letters(row.letters, room, out);
    out.put_slice(b"\"}");
}

fn letters(mut random: u64, length: usize, out: &mut BytesMut) {
    let mut left = length;
    while left > 0 {
        let mut bits = random;
        let chunk = left.min(12);
        for _ in 0..chunk {
            out.put_u8(b"abcdefghijklmnopqrstuvwxyz     ."[usize::try_from(bits & 31).unwrap_or(0)]);
            bits >>= 5;
        }
        left -= chunk;
        random = mixed(random);
    }
}

impl Content {
    /// The schema of the records that have one.
    pub(crate) fn schema() -> Arc<Schema> {
        let field =
            |name: &'static str, kind| Field { name: Text::from_static(name), schema: Arc::new(Schema::of(kind)) };
        let mut at = Schema::of(Type::Int64);
        at.name = Some(Text::from_static(TIMESTAMP));
        at.version = Some(1);
        let mut schema = Schema::of(Type::Struct);
        schema.name = Some(Text::from_static("millrace.generator.Record"));
        schema.fields = vec![
            field("id", Type::Int64),
            field("user", Type::Int64),
            field("amount", Type::Float64),
            field("active", Type::Boolean),
            Field { name: Text::from_static("at"), schema: Arc::new(at) },
            field("text", Type::String),
        ];
        Arc::new(schema)
    }

    fn row(&self, id: i64) -> Row {
        let random = mixed(self.seed ^ id.unsigned_abs());
        let more = mixed(random);
        Row {
            id,
            user: below(random, self.keys.max(1)),
            amount: below(more >> 8, 100_000),
            active: more & 1 == 1,
            at: FIRST_MS.saturating_add(id),
            letters: mixed(more),
        }
    }

    /// Keys and values of `count` records from the one numbered `first`; their bytes share one buffer.
    pub(crate) fn records(&self, first: i64, count: usize) -> Vec<(Datum, Datum)> {
        let rows: Vec<Row> = (first..).take(count).map(|id| self.row(id)).collect();
        let mut buffer = BytesMut::with_capacity(count * (self.size + 24));
        let mut ends = Vec::with_capacity(count);
        for row in &rows {
            if self.keys > 0 {
                buffer.put_slice(format!("user-{}", row.user).as_bytes());
            }
            let key = buffer.len();
            match self.schema {
                None => write(row, self.size, &mut buffer),
                Some(_) => {
                    // As long a text as in JSON, so that `size` means the same.
                    let mut json = BytesMut::new();
                    write(row, 0, &mut json);
                    letters(row.letters, self.size.saturating_sub(json.len()), &mut buffer);
                }
            }
            ends.push((key, buffer.len()));
        }
        let buffer = buffer.freeze();
        let starts = std::iter::once(0).chain(ends.iter().map(|(_, end)| *end));
        let parts = starts.zip(&ends).map(|(start, (key, end))| (buffer.slice(start..*key), buffer.slice(*key..*end)));
        parts.zip(&rows).map(|((key, value), row)| (self.key(key), self.value(row, value))).collect()
    }

    fn key(&self, text: Bytes) -> Datum {
        if self.keys == 0 { Datum::Null } else { Datum::schemaless(text_value(text)) }
    }

    fn value(&self, row: &Row, bytes: Bytes) -> Datum {
        let Some(schema) = &self.schema else { return Datum::schemaless(Value::Json(bytes)) };
        #[allow(clippy::cast_precision_loss)] // at most five digits
        let amount = row.amount as f64 / 100.0;
        let values = [
            Value::Int(row.id),
            Value::Int(row.user),
            Value::Float(amount),
            Value::Bool(row.active),
            Value::Timestamp(row.at),
            text_value(bytes),
        ];
        let fields = schema.fields.iter().map(|field| field.name.clone()).zip(values).collect();
        Datum::Decoded { schema: Some(Arc::clone(schema)), value: Value::Map(fields) }
    }
}

/// The generator's own bytes, which are ASCII.
fn text_value(bytes: Bytes) -> Value {
    Value::Str(Text::try_from(bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(size: usize, keys: i64, seed: u64, schema: bool) -> Content {
        Content { size, keys, seed, schema: schema.then(Content::schema) }
    }

    #[test]
    fn values_are_json_of_the_size_asked_for() {
        for size in [smallest(), 242, 5000] {
            for (_, value) in content(size, 10, 7, false).records(0, 50) {
                let Datum::Decoded { schema: None, value: Value::Json(bytes) } = value else { panic!("no JSON") };
                assert_eq!(bytes.len(), size);
                millrace_sdk::json::validate(&bytes).unwrap();
            }
        }
    }

    #[test]
    fn a_schema_gives_the_same_fields_typed() {
        let plain = content(242, 10, 7, false).records(3, 5);
        let typed = content(242, 10, 7, true).records(3, 5);
        for ((key, json), (typed_key, value)) in plain.into_iter().zip(typed) {
            assert_eq!(key, typed_key);
            let names = ["id", "user", "active", "amount", "text"];
            for name in names {
                assert_eq!(json.value().field(name).unwrap(), value.value().field(name).unwrap(), "{name}");
            }
            assert!(matches!(value.value().field("at").unwrap(), Some(Value::Timestamp(at)) if at >= FIRST_MS));
        }
        assert_eq!(content(242, 0, 7, false).records(0, 1)[0].0, Datum::Null);
    }

    #[test]
    fn seeds_and_numbers_make_different_records() {
        let one = content(242, 1000, 1, false).records(0, 100);
        let other = content(242, 1000, 2, false).records(0, 100);
        assert!(one.iter().zip(&other).all(|(a, b)| a.1 != b.1));
        let keys: std::collections::HashSet<String> = one.iter().map(|(key, _)| format!("{key:?}")).collect();
        assert!(keys.len() > 80, "{}", keys.len());
    }

    proptest! {
        #[test]
        fn however_batches_are_cut_the_records_are_the_same(first in 0_i64..1_000_000, cut in 1_usize..30, schema: bool) {
            let content = content(200, 50, 3, schema);
            let mut parts = content.records(first, cut);
            parts.extend(content.records(first + i64::try_from(cut).unwrap(), 30 - cut));
            prop_assert_eq!(content.records(first, 30), parts);
        }
    }
}
