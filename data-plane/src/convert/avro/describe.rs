//! From a Connect schema to Avro's, as Confluent's converter writes it, property by property in its order, so that both
//! register the same text for the same schema.

use std::collections::HashMap;

use millrace_sdk::{Error, Field, Result, Schema, Type, Value};
use serde_json::{Map, Value as Json, json};

use super::Options;
use super::names::{self, DEFAULT_SIMPLE_NAME, MAP_ENTRY, NAMESPACE, is_union, parameter, scrubbed, scrubbed_full};
use crate::convert::json_value::{DATE, DECIMAL, TIME, TIMESTAMP};

/// Data without a schema.
const ANYTHING: &str = concat!(
    r#"{"type":"record","name":"Anything","namespace":"io.confluent.connect.avro","fields":["#,
    r#"{"name":"boolean","type":["null","boolean"],"default":null},"#,
    r#"{"name":"bytes","type":["null","bytes"],"default":null},"#,
    r#"{"name":"double","type":["null","double"],"default":null},"#,
    r#"{"name":"float","type":["null","float"],"default":null},"#,
    r#"{"name":"int","type":["null","int"],"default":null},"#,
    r#"{"name":"long","type":["null","long"],"default":null},"#,
    r#"{"name":"string","type":["null","string"],"default":null},"#,
    r#"{"name":"array","type":["null",{"type":"array","items":"Anything"}],"default":null},"#,
    r#"{"name":"map","type":["null",{"type":"array","items":{"type":"record","name":"MapEntry","fields":["#,
    r#"{"name":"key","type":"Anything"},{"name":"value","type":"Anything"}]}}],"default":null}]}"#
);

/// The text of the Avro schema.
pub(super) fn describe(schema: Option<&Schema>, options: Options) -> Result<String> {
    let Some(schema) = schema else { return Ok(ANYTHING.to_owned()) };
    let mut writer = Describer { options, defined: HashMap::new(), unnamed: 0 };
    writer.schema(schema, "", false).map(|json| json.to_string())
}

struct Describer {
    options: Options,
    /// Named types so far, without what makes them optional
    defined: HashMap<String, Schema>,
    unnamed: usize,
}

type Object = Map<String, Json>;

fn object(kind: &str) -> Object {
    Map::from_iter([("type".to_owned(), Json::from(kind))])
}

impl Describer {
    /// A schema as it is written within a namespace; a union's branch is not made optional once more.
    fn schema(&mut self, schema: &Schema, namespace: &str, is_branch: bool) -> Result<Json> {
        if schema.is_recursive() {
            let name = self.full_name(schema.name.as_deref().unwrap_or_default());
            return Ok(optional(schema, relative(&name, namespace), is_branch));
        }
        if is_union(schema) {
            let mut branches = if schema.optional { vec![Json::from("null")] } else { Vec::new() };
            for field in &schema.fields {
                branches.push(self.schema(&field.schema, namespace, true)?);
            }
            return Ok(Json::Array(branches));
        }
        if let Some(name) = self.name_of(schema) {
            let bare = Schema { optional: false, default: None, ..schema.clone() };
            match self.defined.get(&name) {
                Some(known) if *known == bare => return Ok(optional(schema, relative(&name, namespace), is_branch)),
                Some(_) => {
                    return Err(Error::bad_record(format!(
                        "Can't redefine: {name}; the schema has two different types of that name"
                    )));
                }
                None => {
                    self.defined.insert(name.clone(), bare);
                }
            }
            let base = self.named(schema, &name, namespace)?;
            return Ok(optional(schema, base, is_branch));
        }
        let base = self.plain(schema, namespace)?;
        Ok(optional(schema, base, is_branch))
    }

    fn full_name(&self, name: &str) -> String {
        scrubbed_full(name, self.options.scrub)
    }

    fn has_enum(&self, schema: &Schema) -> bool {
        (self.options.generalized_sum_types || self.options.enhanced)
            && schema.kind == Type::String
            && (parameter(schema, names::ENUM).is_some() || parameter(schema, names::GENERALIZED_ENUM).is_some())
    }

    /// The full name of what Avro gives a name.
    fn name_of(&mut self, schema: &Schema) -> Option<String> {
        match schema.kind {
            Type::Struct => Some(match schema.name.as_deref() {
                Some(name) => self.full_name(name),
                None => {
                    self.unnamed += 1;
                    let number = if self.unnamed > 1 { self.unnamed.to_string() } else { String::new() };
                    format!("{NAMESPACE}.{DEFAULT_SIMPLE_NAME}{number}")
                }
            }),
            Type::String if self.has_enum(schema) => {
                parameter(schema, self.options.enum_parameter()).map(|name| self.full_name(name))
            }
            Type::Bytes => names::fixed_size(schema).and(schema.name.as_deref()).map(|name| self.full_name(name)),
            _ => None,
        }
    }

    fn named(&mut self, schema: &Schema, name: &str, outer: &str) -> Result<Json> {
        let (namespace, simple) = name.rsplit_once('.').unwrap_or(("", name));
        let kind = match schema.kind {
            Type::Struct => "record",
            Type::Bytes => "fixed",
            _ => "enum",
        };
        let mut json = object(kind);
        json.insert("name".to_owned(), simple.into());
        if namespace != outer {
            json.insert("namespace".to_owned(), namespace.into());
        }
        match schema.kind {
            Type::Struct => {
                let doc =
                    if self.options.discard_type_doc_default { names::CONNECT_RECORD_DOC } else { names::RECORD_DOC };
                if let Some(doc) = parameter(schema, doc) {
                    json.insert("doc".to_owned(), doc.into());
                }
                let mut fields = Vec::with_capacity(schema.fields.len());
                for field in &schema.fields {
                    fields.push(self.field(schema, field, namespace)?);
                }
                json.insert("fields".to_owned(), fields.into());
            }
            Type::Bytes => {
                json.insert("size".to_owned(), names::fixed_size(schema).unwrap_or(0).into());
            }
            _ => self.enumeration(schema, simple, &mut json),
        }
        self.properties(schema, &mut json);
        Ok(Json::Object(json))
    }

    fn enumeration(&self, schema: &Schema, simple: &str, json: &mut Object) {
        let name = schema.name.as_deref().map_or(simple, |name| name.rsplit('.').next().unwrap_or(name));
        let discard = self.options.discard_type_doc_default;
        let doc = if discard { names::CONNECT_ENUM_DOC.to_owned() } else { format!("{}{name}", names::ENUM_DOC) };
        if let Some(doc) = parameter(schema, &doc) {
            json.insert("doc".to_owned(), doc.into());
        }
        let prefix = format!("{}.", self.options.enum_parameter());
        let symbols = schema.parameters.iter().filter_map(|(name, _)| name.strip_prefix(&*prefix));
        json.insert("symbols".to_owned(), symbols.collect::<Vec<_>>().into());
        if let Some(default) = parameter(schema, &format!("{}{name}", names::ENUM_DEFAULT)).filter(|_| !discard) {
            json.insert("default".to_owned(), default.into());
        }
    }

    fn field(&mut self, parent: &Schema, field: &Field, namespace: &str) -> Result<Json> {
        let mut json = Map::new();
        json.insert("name".to_owned(), Json::from(&*scrubbed(&field.name, self.options.scrub)));
        json.insert("type".to_owned(), self.schema(&field.schema, namespace, false)?);
        let doc = if self.options.discard_type_doc_default {
            field.schema.doc.as_deref()
        } else {
            parameter(parent, &format!("{}{}", names::FIELD_DOC, field.name))
        };
        if let Some(doc) = doc {
            json.insert("doc".to_owned(), doc.into());
        }
        match &field.schema.default {
            Some(default) if *default != Value::Null => {
                json.insert("default".to_owned(), default_json(&field.schema, default, self.options)?);
            }
            _ if field.schema.optional => {
                json.insert("default".to_owned(), Json::Null);
            }
            _ => {}
        }
        Ok(Json::Object(json))
    }

    fn plain(&mut self, schema: &Schema, namespace: &str) -> Result<Json> {
        let mut json = match schema.kind {
            Type::Int8 | Type::Int16 | Type::Int32 => object("int"),
            Type::Int64 => object("long"),
            Type::Float32 => object("float"),
            Type::Float64 => object("double"),
            Type::Boolean => object("boolean"),
            Type::String => object("string"),
            Type::Bytes => object("bytes"),
            Type::Array => {
                let mut json = object("array");
                json.insert("items".to_owned(), self.element(schema.element.as_deref(), namespace)?);
                json
            }
            Type::Map => self.map(schema, namespace)?,
            Type::Struct => object("record"),
        };
        self.properties(schema, &mut json);
        // A primitive without properties is written as its name alone.
        if json.len() == 1
            && let Some(kind) = json.remove("type")
        {
            return Ok(kind);
        }
        Ok(Json::Object(json))
    }

    fn element(&mut self, schema: Option<&Schema>, namespace: &str) -> Result<Json> {
        let schema = schema.ok_or_else(|| Error::bad_record("the schema says nothing of its elements"))?;
        self.schema(schema, namespace, false)
    }

    /// A map with text keys is Avro's; another is a list of records with key and value.
    fn map(&mut self, schema: &Schema, namespace: &str) -> Result<Object> {
        if has_text_keys(schema, self.options) {
            let mut json = object("map");
            json.insert("values".to_owned(), self.element(schema.element.as_deref(), namespace)?);
            return Ok(json);
        }
        let name =
            schema.name.as_deref().map_or_else(|| format!("{NAMESPACE}.{MAP_ENTRY}"), |name| self.full_name(name));
        let (own, simple) = name.rsplit_once('.').unwrap_or(("", &name));
        let mut entry = object("record");
        entry.insert("name".to_owned(), simple.into());
        if own != namespace {
            entry.insert("namespace".to_owned(), own.into());
        }
        let mut fields = Vec::new();
        for (name, part) in [("key", schema.key.as_deref()), ("value", schema.element.as_deref())] {
            let mut field =
                Map::from_iter([("name".to_owned(), Json::from(name)), ("type".to_owned(), self.element(part, own)?)]);
            if part.is_some_and(|part| part.optional) {
                field.insert("default".to_owned(), Json::Null);
            }
            fields.push(Json::Object(field));
        }
        entry.insert("fields".to_owned(), fields.into());
        if schema.name.is_some() {
            entry.insert("connect.internal.type".to_owned(), MAP_ENTRY.into());
        }
        let mut json = object("array");
        json.insert("items".to_owned(), Json::Object(entry));
        Ok(json)
    }

    /// What Avro itself does not know.
    fn properties(&self, schema: &Schema, json: &mut Object) {
        let name = schema.name.as_deref();
        let precision = parameter(schema, names::PRECISION).and_then(|precision| precision.parse().ok());
        let (scale, precision) = (i64::from(names::scale(schema)), precision.unwrap_or(names::DEFAULT_PRECISION));
        let is_decimal = schema.kind == Type::Bytes && name == Some(DECIMAL);
        if is_decimal {
            json.insert("scale".to_owned(), scale.into());
            json.insert("precision".to_owned(), precision.into());
        }
        if self.options.connect_meta_data {
            self.meta_data(schema, json);
        }
        let logical = match (name, schema.kind) {
            (Some(DECIMAL), Type::Bytes) => Some("decimal"),
            (Some(TIME), Type::Int32) => Some("time-millis"),
            (Some(TIMESTAMP), Type::Int64) => Some("timestamp-millis"),
            (Some(DATE), Type::Int32) => Some("date"),
            _ => None,
        };
        if let Some(logical) = logical {
            json.insert("logicalType".to_owned(), logical.into());
        }
        for (name, value) in schema.parameters.iter().filter(|(name, _)| name.starts_with("avro")) {
            json.insert(name.to_string(), (&**value).into());
        }
    }

    fn meta_data(&self, schema: &Schema, json: &mut Object) {
        if let Some(doc) = &schema.doc {
            json.insert("connect.doc".to_owned(), (&**doc).into());
        }
        if let Some(version) = schema.version {
            json.insert("connect.version".to_owned(), version.into());
        }
        let discard = self.options.discard_type_doc_default;
        let own = schema.parameters.iter().filter(|(name, _)| discard || name != names::FIELD_DEFAULT);
        let parameters: Object = own.map(|(name, value)| (name.to_string(), (&**value).into())).collect();
        if !parameters.is_empty() {
            json.insert("connect.parameters".to_owned(), parameters.into());
        }
        if let Some(default) = schema.default.as_ref().filter(|default| **default != Value::Null)
            && (discard || parameter(schema, names::FIELD_DEFAULT).is_none())
            && let Ok(default) = default_json(schema, default, self.options)
        {
            json.insert("connect.default".to_owned(), default);
        }
        if let Some(name) = &schema.name {
            json.insert("connect.name".to_owned(), (&**name).into());
        }
        match schema.kind {
            Type::Int8 => json.insert("connect.type".to_owned(), "int8".into()),
            Type::Int16 => json.insert("connect.type".to_owned(), "int16".into()),
            _ => None,
        };
    }
}

/// Whether a map is written as Avro's.
pub(super) fn has_text_keys(schema: &Schema, options: Options) -> bool {
    let key = schema.key.as_deref();
    key.is_some_and(|key| key.kind == Type::String && (!key.optional || options.allow_optional_map_keys))
}

/// A type's name as it is written within a namespace.
fn relative(name: &str, namespace: &str) -> Json {
    match name.rsplit_once('.') {
        Some((own, simple)) if own == namespace => simple.into(),
        _ => name.into(),
    }
}

/// A union with null, which comes last where there is a default, since a default is of the first branch.
fn optional(schema: &Schema, base: Json, is_branch: bool) -> Json {
    match &schema.default {
        _ if is_branch || !schema.optional => base,
        Some(default) if *default != Value::Null => json!([base, "null"]),
        _ => json!(["null", base]),
    }
}

/// A default in Avro's JSON.
fn default_json(schema: &Schema, value: &Value, options: Options) -> Result<Json> {
    let latin = |bytes: &[u8]| Json::String(bytes.iter().map(|byte| char::from(*byte)).collect());
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Date(number) | Value::Time(number) => (*number).into(),
        Value::Timestamp(number) => (*number).into(),
        Value::Str(text) => (&**text).into(),
        Value::Bytes(bytes) => latin(bytes),
        Value::Decimal(decimal) => latin(&decimal.unscaled),
        Value::List(items) => {
            let element = schema.element.as_deref().unwrap_or(schema);
            let items = items.iter().map(|item| default_json(element, item, options));
            Json::Array(items.collect::<Result<_>>()?)
        }
        Value::Map(fields) if schema.kind == Type::Struct => {
            let mut json = Map::new();
            for field in &schema.fields {
                let value =
                    fields.iter().find(|(name, _)| *name == field.name).map_or(&Value::Null, |(_, value)| value);
                let value = default_json(&field.schema, value, options)?;
                if is_union(schema) {
                    // A default is of the first branch.
                    return Ok(value);
                }
                json.insert(scrubbed(&field.name, options.scrub).into_owned(), value);
            }
            Json::Object(json)
        }
        Value::Map(entries) => {
            let element = schema.element.as_deref().unwrap_or(schema);
            let entries =
                entries.iter().map(|(name, value)| Ok((name.to_string(), default_json(element, value, options)?)));
            Json::Object(entries.collect::<Result<_>>()?)
        }
        Value::Json(raw) => serde_json::from_slice(raw)
            .map_err(|error| Error::bad_record("a default that is no JSON").because(error))?,
    })
}
