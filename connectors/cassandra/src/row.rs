//! From a record to a row: insert or delete, with every bound value. Pure.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use millrace_sdk::{Datum, Error, Record, Result, Value, json};
use scylla::value::{CqlTimestamp, CqlValue, MaybeUnset};

use crate::codec;
use crate::mapping::Field;
use crate::plan::{Column, Layout};

/// A bound value: unset, null or something.
pub(crate) type Cell = MaybeUnset<Option<CqlValue>>;

/// What becomes of the row.
#[derive(Debug)]
pub(crate) enum Change {
    Insert(Vec<Cell>),
    Delete(Vec<Cell>),
}

/// A record on its way into one table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) change: Change,
    /// Equal for rows of one partition
    pub(crate) partition: u64,
}

/// A record's key and value, opened one level at most once.
pub(crate) struct Parts<'a> {
    record: &'a Record,
    key: Option<Value>,
    value: Option<Value>,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(record: &'a Record) -> Self {
        Self { record, key: None, value: None }
    }

    fn get(&mut self, field: &Field) -> Result<Value> {
        match field {
            Field::Key(path) => part(&self.record.key, &mut self.key, path),
            Field::Value(path) => part(&self.record.value, &mut self.value, path),
            Field::Header(name) => {
                let header = self.record.headers.iter().find(|header| header.key == *name);
                Ok(header.map_or(Value::Null, |header| header.value.value()))
            }
            Field::Now => Ok(Value::Null),
        }
    }
}

fn part(datum: &Datum, opened: &mut Option<Value>, path: &[String]) -> Result<Value> {
    if path.is_empty() {
        return Ok(datum.value());
    }
    let opened = match opened {
        Some(opened) => opened,
        None => opened.insert(document(datum.value())?),
    };
    let mut here = opened.field(&path[0])?;
    for name in &path[1..] {
        here = match here {
            Some(value) => value.field(name)?,
            None => break,
        };
    }
    Ok(here.unwrap_or(Value::Null))
}

/// A text or bytes that hold a JSON document count as the document, as the peer has it: keys often come through the String
/// converter.
fn document(value: Value) -> Result<Value> {
    let bytes: Bytes = match &value {
        Value::Str(text) if text.trim_ascii_start().starts_with('{') => text.to_bytes(),
        Value::Str(_) => return Ok(value),
        Value::Bytes(bytes) => bytes.clone(),
        other => return other.open(),
    };
    if bytes.trim_ascii_start().first() != Some(&b'{') || json::validate(&bytes).is_err() {
        return Ok(value);
    }
    json::parse_level(&bytes)
}

impl Layout {
    /// The hash of the primary key: what must stay in order. None when it cannot be said (the write will say why).
    pub(crate) fn order_key(&self, parts: &mut Parts<'_>) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        let _ = write!(HashText(&mut hasher), "{}", self.name());
        for at in &self.key {
            let column = &self.columns[*at];
            let value = parts.get(&column.field).ok()?;
            hash(&mut hasher, &codec::encode(&value, &column.typ).ok()??);
        }
        (!self.key.is_empty()).then(|| hasher.finish())
    }

    /// What a record does to the table. `micros` is its write time, unless the mapping has `__timestamp`.
    ///
    /// # Errors
    /// `BadRecord`, naming the column and never the value.
    pub(crate) fn row(&self, record: &Record, parts: &mut Parts<'_>, micros: i64, deletable: bool) -> Result<Row> {
        let tombstone = record.value.is_null();
        let micros = self.write_time(parts, micros)?;
        let mut cells = Vec::with_capacity(self.columns.len() + 2);
        let (mut any_value, mut any_mapped) = (false, false);
        for column in &self.columns {
            let encoded = self.encode(column, parts)?;
            any_mapped |= !column.in_key;
            any_value |= !column.in_key && encoded.is_some();
            if column.in_key && encoded.is_none() {
                return Err(self.missing_key(column, tombstone && deletable));
            }
            cells.push(match encoded {
                None if self.settings.null_to_unset => MaybeUnset::Unset,
                other => MaybeUnset::Set(other),
            });
        }
        let partition = self.partition_hash(&cells);
        let empty = any_mapped && !any_value && self.covers_table;
        if deletable && (tombstone || empty) {
            let mut bound = Vec::with_capacity(self.key.len() + 1);
            bound.push(MaybeUnset::Set(Some(CqlValue::BigInt(micros))));
            bound.extend(self.key.iter().map(|at| std::mem::take(&mut cells[*at])));
            return Ok(Row { change: Change::Delete(bound), partition });
        }
        cells.push(MaybeUnset::Set(Some(CqlValue::BigInt(micros))));
        if let Some(field) = &self.ttl {
            cells.push(self.time_to_live(field, parts)?);
        }
        Ok(Row { change: Change::Insert(cells), partition })
    }

    fn encode(&self, column: &Column, parts: &mut Parts<'_>) -> Result<Option<CqlValue>> {
        let value = parts.get(&column.field)?;
        codec::encode(&value, &column.typ).map_err(|why| {
            Error::bad_record(format!("column {} of {} (from {}) {why}", column.name, self.name(), column.field))
        })
    }

    fn missing_key(&self, column: &Column, deleting: bool) -> Error {
        let (name, field) = (&column.name, &column.field);
        if deleting && matches!(field, Field::Value(_)) {
            return Error::bad_record(format!(
                "cannot delete from {}: the record has no value, and primary key column {name} is mapped from {field}; \
                 map the primary key from the record's key, or set deletesEnabled=false",
                self.name()
            ));
        }
        Error::bad_record(format!(
            "primary key column {name} of {} is mapped from {field}, which is null or missing in this record",
            self.name()
        ))
    }

    fn number(&self, target: &str, field: &Field, parts: &mut Parts<'_>) -> Result<Option<i64>> {
        let typ = scylla::cluster::metadata::ColumnType::Native(scylla::cluster::metadata::NativeType::BigInt);
        let value = parts.get(field)?;
        let wrong = |why: String| Error::bad_record(format!("{target} of {} (from {field}) {why}", self.name()));
        match codec::encode(&value, &typ).map_err(wrong)? {
            Some(CqlValue::BigInt(number)) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    fn write_time(&self, parts: &mut Parts<'_>, micros: i64) -> Result<i64> {
        let Some(field) = &self.timestamp else { return Ok(micros) };
        let given = self.number("__timestamp", field, parts)?;
        Ok(given.map_or(micros, |amount| self.settings.timestamp_unit.to_micros(amount)))
    }

    /// Unset leaves the table's own default.
    fn time_to_live(&self, field: &Field, parts: &mut Parts<'_>) -> Result<Cell> {
        let Some(amount) = self.number("__ttl", field, parts)? else { return Ok(MaybeUnset::Unset) };
        let seconds = self.settings.ttl_unit.to_seconds(amount);
        match i32::try_from(seconds) {
            Ok(seconds) if seconds >= 0 => Ok(MaybeUnset::Set(Some(CqlValue::Int(seconds)))),
            _ => Err(Error::bad_record(format!("__ttl of {} (from {field}) is out of range", self.name()))),
        }
    }

    fn partition_hash(&self, cells: &[Cell]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for at in self.key.iter().take(self.partition_len) {
            if let MaybeUnset::Set(Some(value)) = &cells[*at] {
                hash(&mut hasher, value);
            }
        }
        hasher.finish()
    }
}

struct HashText<'a>(&'a mut DefaultHasher);

impl Write for HashText<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// The common types of keys by their bytes, the others by their text; nothing is allocated.
fn hash(hasher: &mut DefaultHasher, value: &CqlValue) {
    match value {
        CqlValue::Text(text) | CqlValue::Ascii(text) => hasher.write(text.as_bytes()),
        CqlValue::Int(number) => hasher.write_i32(*number),
        CqlValue::BigInt(number) | CqlValue::Timestamp(CqlTimestamp(number)) => hasher.write_i64(*number),
        CqlValue::Uuid(uuid) => hasher.write(uuid.as_bytes()),
        CqlValue::Blob(bytes) => hasher.write(bytes),
        other => {
            let _ = write!(HashText(hasher), "{other:?}");
        }
    }
    hasher.write_u8(0xff);
}

#[cfg(test)]
mod tests;
