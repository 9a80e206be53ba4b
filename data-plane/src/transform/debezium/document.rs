//! From a document to a struct: its schema as far as the document shows it, and its values.

use std::sync::Arc;

use millrace_sdk::{Error, Field, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::data::{Fields, TIMESTAMP, field, logical, plain};
use super::extended_json::{Bson, Document};
use super::names::Adjustment;

const REGEX: Text = Text::from_static("io.debezium.mongodb.regex");

/// How lists are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Arrays {
    /// As lists; all elements must be of one type
    #[default]
    Array,
    /// As structs with the fields `_0`, `_1`…
    Document,
}

/// Makes structs of documents.
pub(super) struct Converter {
    pub(super) arrays: Arrays,
    pub(super) names: Adjustment,
}

impl Converter {
    /// The fields of a document, in order. `parent` is the name of the struct that gets them.
    pub(super) fn fields(&self, document: &Document, parent: &str) -> Result<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::with_capacity(document.len());
        for (name, value) in document {
            if matches!(value, Bson::Undefined) {
                continue;
            }
            let name = self.name(name);
            let schema = self.schema(value, &format!("{parent}.{name}"))?;
            match fields.iter_mut().find(|field| field.name == name) {
                Some(known) => known.schema = schema,
                None => fields.push(Field { name, schema }),
            }
        }
        Ok(fields)
    }

    fn name(&self, name: &Text) -> Text {
        match self.names {
            Adjustment::None => name.clone(),
            mode => Text::from(mode.field(name)),
        }
    }

    fn schema(&self, value: &Bson, name: &str) -> Result<Arc<Schema>> {
        Ok(match value {
            Bson::Null | Bson::Undefined | Bson::Text(_) => plain(Type::String, true),
            Bson::Bool(_) => plain(Type::Boolean, true),
            Bson::Int32(_) => plain(Type::Int32, true),
            Bson::Int64(_) => plain(Type::Int64, true),
            Bson::Double(_) => plain(Type::Float64, true),
            Bson::Binary(_) => plain(Type::Bytes, true),
            Bson::Date(_) => logical(Type::Int64, TIMESTAMP, true),
            Bson::Regex(..) => {
                let fields = ["regex", "options"].map(|name| (Text::from_static(name), plain(Type::String, true)));
                structure(Some(REGEX), fields.map(|(name, schema)| Field { name, schema }).to_vec())
            }
            Bson::Code(_, scope) => {
                let scope =
                    structure(Some(format!("{name}.scope").into()), self.fields(scope, &format!("{name}.scope"))?);
                let fields = vec![
                    Field { name: Text::from_static("code"), schema: plain(Type::String, true) },
                    Field { name: Text::from_static("scope"), schema: scope },
                ];
                structure(Some(name.to_owned().into()), fields)
            }
            Bson::Document(document) if document.is_empty() => structure(None, Vec::new()),
            Bson::Document(document) => structure(Some(name.to_owned().into()), self.fields(document, name)?),
            Bson::Array(items) if self.arrays == Arrays::Document => {
                let element = |(index, item): (usize, &Bson)| {
                    let schema = self.schema(item, &format!("{name}._{index}"))?;
                    Ok(Field { name: Text::from(format!("_{index}")), schema })
                };
                structure(Some(name.to_owned().into()), items.iter().enumerate().map(element).collect::<Result<_>>()?)
            }
            Bson::Array(items) => {
                let mut element: Option<Arc<Schema>> = None;
                let mut first_text = false;
                for item in items {
                    let schema = self.schema(item, name)?;
                    let is_null = matches!(item, Bson::Null | Bson::Undefined);
                    element = Some(match element {
                        None => schema,
                        Some(known) if is_null => known,
                        Some(_) if !first_text => schema,
                        Some(known) => merged(&known, &schema, name)?,
                    });
                    first_text = first_text || !is_null;
                }
                let element = Some(element.unwrap_or_else(|| plain(Type::String, true)));
                Arc::new(Schema { optional: true, element, ..Schema::of(Type::Array) })
            }
            Bson::Other(kind) => {
                return Err(Error::bad_record(format!("{name} is a {kind}, which has no place in a Connect record")));
            }
        })
    }

    /// A document's values, as the fields of its schema.
    pub(super) fn values(&self, document: &Document, fields: &[Field]) -> Fields {
        let mut values: Fields = fields.iter().map(|field| (field.name.clone(), Value::Null)).collect();
        let mut guess = 0;
        for (name, value) in document {
            let name = self.name(name);
            if let Some(index) = super::super::data::position_at(&values, &name, guess) {
                let is_empty_list = matches!(value, Bson::Array(items) if items.is_empty());
                // With adjusted names Debezium leaves empty lists out.
                if !(is_empty_list && self.names != Adjustment::None) {
                    values[index].1 = self.value(value, &fields[index].schema);
                }
                guess = index + 1;
            }
        }
        values
    }

    fn value(&self, value: &Bson, schema: &Schema) -> Value {
        match value {
            Bson::Null | Bson::Undefined | Bson::Other(_) => Value::Null,
            Bson::Bool(flag) => Value::Bool(*flag),
            Bson::Int32(number) => Value::Int(i64::from(*number)),
            Bson::Int64(number) => Value::Int(*number),
            Bson::Double(number) => Value::Float(*number),
            Bson::Text(text) => Value::Str(text.clone()),
            Bson::Binary(bytes) => Value::Bytes(bytes.clone()),
            Bson::Date(millis) => Value::Timestamp(*millis),
            Bson::Regex(pattern, options) => Value::Map(vec![
                (Text::from_static("regex"), Value::Str(pattern.clone())),
                (Text::from_static("options"), Value::Str(options.clone())),
            ]),
            Bson::Code(code, scope) => {
                let fields = field(schema, "scope").map_or(&[][..], |scope| &scope.schema.fields);
                Value::Map(vec![
                    (Text::from_static("code"), Value::Str(code.clone())),
                    (Text::from_static("scope"), Value::Map(self.values(scope, fields))),
                ])
            }
            Bson::Document(document) => Value::Map(self.values(document, &schema.fields)),
            Bson::Array(items) => match &schema.element {
                Some(element) => Value::List(items.iter().map(|item| self.value(item, element)).collect()),
                None => {
                    let values = items.iter().zip(&schema.fields);
                    Value::Map(
                        values.map(|(item, field)| (field.name.clone(), self.value(item, &field.schema))).collect(),
                    )
                }
            },
        }
    }
}

fn structure(name: Option<Text>, fields: Vec<Field>) -> Arc<Schema> {
    Arc::new(Schema { optional: true, name, fields, ..Schema::of(Type::Struct) })
}

/// The schema of elements of both kinds: structs have the fields of both.
fn merged(known: &Arc<Schema>, other: &Arc<Schema>, name: &str) -> Result<Arc<Schema>> {
    if known == other {
        return Ok(Arc::clone(known));
    }
    match (known.kind, other.kind) {
        (Type::Struct, Type::Struct) => {
            let mut both = Schema::clone(known);
            both.name = both.name.or_else(|| other.name.clone());
            for field in &other.fields {
                match both.fields.iter_mut().find(|known| known.name == field.name) {
                    Some(known) => {
                        let path = format!("{name}.{}", field.name);
                        known.schema = merged(&known.schema, &field.schema, &path)?;
                    }
                    None => both.fields.push(field.clone()),
                }
            }
            Ok(Arc::new(both))
        }
        (Type::Array, Type::Array) => match (&known.element, &other.element) {
            (Some(one), Some(two)) => {
                let element = Some(merged(one, two, name)?);
                Ok(Arc::new(Schema { element, ..Schema::clone(known) }))
            }
            _ => Ok(Arc::clone(known)),
        },
        (one, two) => Err(Error::bad_record(format!(
            "{name}: array elements with different types are not supported: {one:?} and {two:?}; array.encoding=document \
             carries them"
        ))),
    }
}
