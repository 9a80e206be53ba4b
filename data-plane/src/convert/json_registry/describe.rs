//! From a Connect schema to a JSON Schema, as Confluent's converter writes it.

use millrace_sdk::{Error, Result, Schema, Type, Value};
use serde_json::{Map, Value as Json, json};

use super::{ID, NAMESPACE, NULL, Options, is_union, parameter, values};
use crate::convert::json_value::DECIMAL;

/// The text of the JSON Schema; data without a schema may be anything.
pub(super) fn describe(schema: Option<&Schema>, options: Options) -> Result<String> {
    match schema {
        None => Ok("{}".to_owned()),
        Some(schema) => Describer { options }.schema(schema, None, false).map(|json| json.to_string()),
    }
}

struct Describer {
    options: Options,
}

type Object = Map<String, Json>;

fn typed(kind: &str) -> Object {
    Map::from_iter([("type".to_owned(), Json::from(kind))])
}

impl Describer {
    /// A schema; `index` is its place among fields, and a union's branch is not made optional once more.
    fn schema(&self, schema: &Schema, index: Option<usize>, is_branch: bool) -> Result<Json> {
        if schema.is_recursive() {
            // Its name is all that is known of it here.
            return Ok(json!({}));
        }
        if is_union(schema) {
            let mut parts = if schema.optional { vec![json!({ "type": "null" })] } else { Vec::new() };
            for (index, field) in schema.fields.iter().enumerate() {
                parts.push(self.schema(&field.schema, Some(index), true)?);
            }
            return Ok(indexed(Map::from_iter([("oneOf".to_owned(), parts.into())]), index));
        }
        let mut json = self.base(schema)?;
        if let Some(name) = &schema.name {
            json.insert("title".to_owned(), (&**name).into());
        }
        if let Some(version) = schema.version {
            json.insert("connect.version".to_owned(), version.into());
        }
        if let Some(doc) = &schema.doc {
            json.insert("description".to_owned(), (&**doc).into());
        }
        if let Some(id) = parameter(schema, ID) {
            json.insert("$id".to_owned(), id.into());
        }
        let own = schema.parameters.iter().filter(|(name, _)| !name.starts_with(NAMESPACE));
        let parameters: Object = own.map(|(name, value)| (name.to_string(), (&**value).into())).collect();
        if !parameters.is_empty() {
            json.insert("connect.parameters".to_owned(), parameters.into());
        }
        if let Some(default) = schema.default.as_ref().filter(|default| **default != Value::Null) {
            let mut raw = Vec::new();
            values::write(Some(schema), default, self.options, &mut raw)?;
            let default = serde_json::from_slice(&raw)
                .map_err(|error| Error::bad_record("a default that is no JSON").because(error))?;
            json.insert("default".to_owned(), default);
        }
        if schema.optional && !is_branch {
            return Ok(indexed(
                Map::from_iter([("oneOf".to_owned(), json!([{ "type": "null" }, Json::Object(json)]))]),
                index,
            ));
        }
        Ok(indexed(json, index))
    }

    /// The type and what is within it.
    fn base(&self, schema: &Schema) -> Result<Object> {
        let connect = |kind: &str, connect: &str| {
            let mut json = typed(kind);
            json.insert("connect.type".to_owned(), connect.into());
            json
        };
        Ok(match schema.kind {
            Type::Int8 => connect("integer", "int8"),
            Type::Int16 => connect("integer", "int16"),
            Type::Int32 => connect("integer", "int32"),
            Type::Int64 => connect("integer", "int64"),
            Type::Float32 => connect("number", "float32"),
            Type::Float64 => connect("number", "float64"),
            Type::Boolean => typed("boolean"),
            Type::String => self.enumeration(schema).unwrap_or_else(|| typed("string")),
            Type::Bytes if schema.name.as_deref() == Some(DECIMAL) && self.options.numeric_decimals => {
                connect("number", "bytes")
            }
            Type::Bytes => connect("string", "bytes"),
            Type::Array => {
                let mut json = typed("array");
                json.insert("items".to_owned(), self.part(schema.element.as_deref(), None)?);
                json
            }
            Type::Map => self.map(schema, connect)?,
            Type::Struct => {
                let mut json = typed("object");
                let mut properties = Map::new();
                for (index, field) in schema.fields.iter().enumerate() {
                    properties.insert(field.name.to_string(), self.schema(&field.schema, Some(index), false)?);
                }
                json.insert("properties".to_owned(), properties.into());
                if !self.options.additional_properties {
                    json.insert("additionalProperties".to_owned(), false.into());
                }
                json
            }
        })
    }

    fn map(&self, schema: &Schema, connect: impl Fn(&str, &str) -> Object) -> Result<Object> {
        if schema.key.as_deref().is_some_and(|key| key.kind == Type::String && !key.optional) {
            let mut json = connect("object", "map");
            json.insert("additionalProperties".to_owned(), self.part(schema.element.as_deref(), None)?);
            return Ok(json);
        }
        let mut entry = typed("object");
        let key = self.part(schema.key.as_deref(), Some(0))?;
        let value = self.part(schema.element.as_deref(), Some(1))?;
        entry.insert("properties".to_owned(), json!({ "key": key, "value": value }));
        let mut json = connect("array", "map");
        json.insert("items".to_owned(), entry.into());
        Ok(json)
    }

    fn part(&self, schema: Option<&Schema>, index: Option<usize>) -> Result<Json> {
        let schema = schema.ok_or_else(|| Error::bad_record("the schema says nothing of its elements"))?;
        self.schema(schema, index, false)
    }

    fn enumeration(&self, schema: &Schema) -> Option<Object> {
        let name = self.options.enum_parameter();
        parameter(schema, name)?;
        let prefix = format!("{name}.");
        let symbols = schema.parameters.iter().filter_map(|(name, _)| name.strip_prefix(&*prefix));
        let symbols = symbols.map(|symbol| if symbol == NULL { Json::Null } else { symbol.into() });
        Some(Map::from_iter([("enum".to_owned(), Json::Array(symbols.collect()))]))
    }
}

fn indexed(mut json: Object, index: Option<usize>) -> Json {
    if let Some(index) = index {
        json.insert("connect.index".to_owned(), index.into());
    }
    Json::Object(json)
}
