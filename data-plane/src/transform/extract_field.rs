//! `ExtractField`: one field as the whole key or value.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Type, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data::{SchemaCache, Side, field, field_value, require_map, require_struct, take};
use super::{Kind, PerRecord, Site, Verdict, sided};

const PURPOSE: &str = "field extraction";
const NESTED: &str = "nested field access";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
enum Syntax {
    /// The name of a field
    #[default]
    V1,
    /// A path with dots, and backticks around names with dots
    V2,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Field name to extract.
    field: String,
    /// Defines the version of the syntax to access fields. If set to `V1`, then the field paths are limited to access the
    /// elements at the root level of the struct or map. If set to `V2`, the syntax will support accessing nested elements.
    #[serde(rename = "field.syntax.version", default)]
    syntax: Syntax,
    /// Whether to replace fields that have a default value and that are null to the default value.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

pub(super) struct ExtractField {
    side: Side,
    text: String,
    path: Vec<String>,
    defaults: bool,
    schemas: SchemaCache,
}

impl Kind for ExtractField {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("org.apache.kafka.connect.transforms.ExtractField");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        let path = match options.syntax {
            Syntax::V1 => vec![options.field.clone()],
            Syntax::V2 => steps(&options.field).ok_or_else(|| {
                Problem::new(
                    "field",
                    format!(
                        "Incomplete backtick pair in path: [{}], consider adding a backslash before backtick to escape it",
                        options.field
                    ),
                )
            })?,
        };
        Ok(Self { side, text: options.field, path, defaults: options.defaults, schemas: SchemaCache::default() })
    }
}

/// The steps of a V2 path; None when a backtick is not closed.
pub(super) fn steps(path: &str) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let Some(quoted) = rest.strip_prefix('`') else {
            match rest.split_once('.') {
                Some((step, after)) => {
                    steps.push(step.to_owned());
                    rest = after;
                    continue;
                }
                None => {
                    steps.push(rest.to_owned());
                    return Some(steps);
                }
            }
        };
        // The closing backtick stands before a dot or at the end; a backslash makes it part of the name.
        let mut step = String::new();
        let (mut start, mut from) = (0, 0);
        rest = loop {
            let at = from + quoted[from..].find('`')?;
            let escaped = quoted[..at].ends_with('\\');
            let after = &quoted[at + 1..];
            if after.is_empty() {
                if escaped {
                    return None;
                }
                step.push_str(&quoted[start..at]);
                steps.push(step);
                return Some(steps);
            }
            from = at + 1;
            if !after.starts_with('.') {
                continue;
            }
            if escaped {
                step.push_str(&quoted[start..at - 1]);
                step.push('`');
                start = from;
                continue;
            }
            step.push_str(&quoted[start..at]);
            break &after[1..];
        };
        steps.push(step);
    }
}

impl ExtractField {
    fn schema(&self, schema: &Schema) -> Result<Arc<Schema>> {
        let unknown = || Error::bad_record(format!("Unknown field: {}", self.text));
        let mut found: Option<&Arc<Schema>> = None;
        for step in &self.path {
            let here = found.map_or(schema, |schema| schema);
            if here.kind != Type::Struct {
                return Err(Error::bad_record("Cannot look up fields on non-struct type"));
            }
            found = Some(&field(here, step).ok_or_else(unknown)?.schema);
        }
        found.map(Arc::clone).ok_or_else(unknown)
    }

    fn typed(&self, schema: &Schema, value: Value) -> Result<Value> {
        let (mut here, mut schema, mut purpose) = (value, schema, PURPOSE);
        for (index, step) in self.path.iter().enumerate() {
            if here == Value::Null {
                return Ok(Value::Null);
            }
            let fields = require_struct(schema, here, purpose)?;
            let Some(field) = field(schema, step) else { return Ok(Value::Null) };
            // Structs on the way are taken with their defaults, whatever is asked of the last field.
            here = field_value(&fields, field, self.defaults || index + 1 < self.path.len());
            schema = &field.schema;
            purpose = NESTED;
        }
        Ok(here)
    }

    fn schemaless(&self, value: Value) -> Result<Value> {
        let (mut here, mut purpose) = (value, PURPOSE);
        for step in &self.path {
            if here == Value::Null {
                return Ok(Value::Null);
            }
            let fields = require_map(here, purpose)?;
            here = fields.into_iter().find(|(name, _)| **name == **step).map_or(Value::Null, |(_, value)| value);
            purpose = NESTED;
        }
        Ok(here)
    }
}

impl PerRecord for ExtractField {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let datum = self.side.datum_mut(record);
        let (schema, value) = take(datum);
        *datum = match schema {
            None => match self.schemaless(value)? {
                Value::Null => Datum::Null,
                value => Datum::schemaless(value),
            },
            Some(schema) => {
                let mut cache = std::mem::take(&mut self.schemas);
                let extracted = cache.get(&schema, |schema| self.schema(schema));
                self.schemas = cache;
                Datum::Decoded { schema: Some(extracted?), value: self.typed(&schema, value)? }
            }
        };
        Ok(Verdict::Keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_steps() {
        for (path, expected) in [
            ("a", Some(&["a"][..])),
            ("a.b", Some(&["a", "b"])),
            ("a.", Some(&["a", ""])),
            ("`a.b`.c", Some(&["a.b", "c"])),
            ("a.`b.c`", Some(&["a", "b.c"])),
            ("`a`b`.c", Some(&["a`b", "c"])),
            ("`a\\`.b`.c", Some(&["a`.b", "c"])),
            ("`a", None),
            ("`a\\`", None),
        ] {
            let expected = expected.map(|steps| steps.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>());
            assert_eq!(steps(path), expected, "{path}");
        }
    }
}
