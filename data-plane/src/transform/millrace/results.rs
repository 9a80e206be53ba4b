//! What expressions came to, put into the record.

use std::sync::Arc;

use millrace_sdk::{Datum, Header, Record, Result, Schema, Text, Type, Value};
use rhai::{Dynamic, Map};

use super::super::Site;
use super::super::data::{Side, schema_of};
use super::document::Document;
use super::{Millrace, Variables, schemas, values};

/// What the options of that name came to; `others` those of `set.` and then `header.`.
#[derive(Default)]
pub(super) struct Results {
    pub(super) topic: Option<Dynamic>,
    pub(super) key: Option<Dynamic>,
    pub(super) value: Option<Dynamic>,
    pub(super) others: Vec<Dynamic>,
}

impl Millrace {
    pub(super) fn put(&mut self, record: &mut Record, variables: &mut Variables<'_>, results: Results) -> Result<()> {
        let mut set = results.others;
        let named = set.split_off(self.set.len());
        self.put_value(record, variables, results.value, set)?;
        let script_key = self.script.as_ref().is_some_and(|script| script.uses.key);
        if let Some(key) = results.key.or_else(|| script_key.then(|| variables.take("key"))) {
            self.replace(record, Side::Key, key, variables.site)?;
        }
        self.put_headers(record, variables, &named)?;
        self.put_place(record, variables, results.topic)
    }

    fn put_value(
        &mut self,
        record: &mut Record,
        variables: &mut Variables<'_>,
        whole: Option<Dynamic>,
        set: Vec<Dynamic>,
    ) -> Result<()> {
        let mut value = match whole {
            Some(whole) => whole,
            None if variables.uses.value => variables.take("value"),
            None => return Ok(()),
        };
        // A tombstone stays one: there is nothing to set fields in.
        let changes = !self.set.is_empty() || !self.drop.is_empty();
        if changes && !value.is_unit() {
            let found = value.type_name();
            let Some(mut document) = document(value) else {
                let option = self.set.first().map_or("drop", |(_, one)| &one.option);
                return Err(self.error(option, &format!("the value is no map but {found}"), record, variables.site));
            };
            for ((path, one), result) in self.set.iter().zip(set) {
                if let Err(why) = document.set_path(path, result)? {
                    return Err(self.error(&one.option, &why, record, variables.site));
                }
            }
            for path in &self.drop {
                document.remove_path(path)?;
            }
            value = Dynamic::from(document);
        }
        self.replace(record, Side::Value, value, variables.site)
    }

    /// Puts a result where the key or the value was, unless it is what was there.
    fn replace(&mut self, record: &mut Record, side: Side, result: Dynamic, site: &Site<'_>) -> Result<()> {
        let old = side.datum(record);
        if result.is_unit() {
            if !old.is_null() {
                *side.datum_mut(record) = Datum::Null;
            }
            return Ok(());
        }
        let schema = schema_of(old).cloned();
        // What is new gets a schema where the record has any.
        let typed = schema.is_some() || (old.is_null() && schema_of(&record.value).is_some());
        let before = old.value().open()?;
        let value = match result.try_cast_result::<Document>() {
            Ok(document) if document.is_still(side) => return Ok(()),
            Ok(document) => document.into_value(),
            Err(other) => match values::from_dynamic(&other, Some(&before)) {
                Ok(value) if value == before => return Ok(()),
                made => made,
            },
        };
        match value.and_then(|value| self.datum(side, value, schema, typed)) {
            Ok(datum) => *side.datum_mut(record) = datum,
            Err(why) => {
                let option = if side == Side::Key { "key" } else { "value" };
                return Err(self.error(option, &why, record, site));
            }
        }
        Ok(())
    }

    fn datum(&mut self, side: Side, value: Value, schema: Option<Arc<Schema>>, typed: bool) -> Result<Datum, String> {
        if !typed {
            return Ok(Datum::schemaless(value));
        }
        let (schema, value) = match (schema, value) {
            (Some(old), Value::Map(fields)) if old.kind == Type::Struct => schemas::structure(fields, &old)?,
            (old, value) => schemas::fitted(value, old.as_ref())?,
        };
        let last = &mut self.last[usize::from(side == Side::Value)];
        let schema = match last {
            Some(last) if *last == schema => Arc::clone(last),
            _ => {
                *last = Some(Arc::clone(&schema));
                schema
            }
        };
        Ok(Datum::Decoded { schema: Some(schema), value })
    }

    fn put_headers(&self, record: &mut Record, variables: &mut Variables<'_>, named: &[Dynamic]) -> Result<()> {
        if self.script.as_ref().is_some_and(|script| script.uses.headers) {
            let result = variables.take("headers");
            let Some(map) = result.read_lock::<Map>() else {
                let why = format!("headers must stay a map, found {}", result.type_name());
                return Err(self.error("script", &why, record, variables.site));
            };
            record.headers.retain(|header| map.contains_key(&*header.key));
            for (name, value) in &*map {
                self.put_header(record, &Text::from(name.as_str()), value, "script", variables.site)?;
            }
        }
        for ((name, one), value) in self.headers.iter().zip(named) {
            if value.is_unit() {
                record.headers.retain(|header| header.key != *name);
            } else {
                self.put_header(record, name, value, &one.option, variables.site)?;
            }
        }
        Ok(())
    }

    /// One header of this name; headers that have this value already stay as they are.
    fn put_header(
        &self,
        record: &mut Record,
        name: &Text,
        value: &Dynamic,
        option: &str,
        site: &Site<'_>,
    ) -> Result<()> {
        let last = record.headers.iter().rev().find(|header| header.key == *name);
        let before = last.map(|header| header.value.value().open()).transpose()?;
        let made = match values::from_dynamic(value, before.as_ref()) {
            Ok(value) if before.as_ref() == Some(&value) => return Ok(()),
            made => made.and_then(|value| schemas::fitted(value, None)),
        };
        let (schema, value) = made.map_err(|why| self.error(option, &why, record, site))?;
        record.headers.retain(|header| header.key != *name);
        record.headers.push(Header { key: name.clone(), value: Datum::Decoded { schema: Some(schema), value } });
        Ok(())
    }

    /// Topic and timestamp.
    fn put_place(&self, record: &mut Record, variables: &mut Variables<'_>, topic: Option<Dynamic>) -> Result<()> {
        let site = variables.site;
        let option = if topic.is_some() { "topic" } else { "script" };
        let (mut topic, mut timestamp) = (topic.unwrap_or(Dynamic::UNIT), None);
        if self.script.is_some() {
            timestamp = Some(variables.take("timestamp"));
            if topic.is_unit() {
                topic = variables.take("topic");
            }
        }
        if !topic.is_unit() {
            let Ok(name) = topic.as_immutable_string_ref() else {
                let why = format!("a topic is a text, found {}", topic.type_name());
                return Err(self.error(option, &why, record, site));
            };
            if name.is_empty() {
                return Err(self.error(option, "an empty text names no topic", record, site));
            }
            if **site.topic(record) != **name {
                record.renamed_topic = Some(Arc::from(name.as_str()));
            }
        }
        if let Some(timestamp) = timestamp {
            record.timestamp_ms = match timestamp.as_int() {
                Ok(millis) => Some(millis),
                Err(_) if timestamp.is_unit() => None,
                Err(found) => {
                    let why = format!("timestamp is milliseconds since 1970, found {found}");
                    return Err(self.error("script", &why, record, site));
                }
            };
        }
        Ok(())
    }
}

/// A map, wherever it comes from.
fn document(value: Dynamic) -> Option<Document> {
    match value.try_cast_result::<Map>() {
        Ok(map) => Some(Document::made(map)),
        Err(other) => other.try_cast::<Document>(),
    }
}
