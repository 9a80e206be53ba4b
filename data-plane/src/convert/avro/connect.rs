//! From an Avro schema to a Connect schema, as Confluent's converter has it: names, versions, documentation, defaults and
//! parameters from the `connect.*` properties, logical types, unions as structs.

use std::sync::Arc;

use millrace_sdk::{Decimal, Error, Field, Result, Schema, Text, Type, Value};
use serde_json::Value as Json;

use super::Options;
use super::names::{self, ANYTHING, DEFAULT_NAME, MAP_ENTRY, NAMESPACE, is_union, simple_name};
use super::schema::{AvroSchema, Kind, NodeId};
use crate::convert::json_value::{DATE, DECIMAL, TIME, TIMESTAMP};

/// The Connect schema of an Avro schema; None for the one that holds data without a schema.
pub(super) fn schema(avro: &AvroSchema, options: Options, version: Option<i32>) -> Result<Option<Arc<Schema>>> {
    if avro.name(avro.root).is_some_and(|name| name.full() == ANYTHING) {
        return Ok(None);
    }
    let mut builder = Builder { avro, options, open: Vec::new(), unions: 0 };
    builder.schema(avro.root, false, Given { version, ..Given::default() }).map(|schema| Some(Arc::new(schema)))
}

/// The Connect schema of a node by itself; of null it is an optional string, since nothing but null comes there.
pub(super) fn node_schema(avro: &AvroSchema, id: NodeId, options: Options) -> Result<Schema> {
    if matches!(avro.kind(id), Kind::Null) {
        return Ok(Schema { optional: true, ..Schema::of(Type::String) });
    }
    Builder { avro, options, open: Vec::new(), unions: 0 }.schema(id, false, Given::default())
}

/// What the place of a schema says of it.
#[derive(Clone, Copy, Default)]
struct Given<'a> {
    default: Option<&'a Json>,
    doc: Option<&'a str>,
    version: Option<i32>,
}

struct Builder<'a> {
    avro: &'a AvroSchema,
    options: Options,
    /// Records that are being built, outermost first
    open: Vec<NodeId>,
    unions: usize,
}

pub(super) fn bad(what: impl Into<String>) -> Error {
    Error::bad_record(what.into())
}

/// Sets a parameter, in the place of one of that name.
fn set(schema: &mut Schema, name: impl Into<Text>, value: impl Into<Text>) {
    let (name, value) = (name.into(), value.into());
    match schema.parameters.iter_mut().find(|(one, _)| *one == name) {
        Some(parameter) => parameter.1 = value,
        None => schema.parameters.push((name, value)),
    }
}

fn logical(kind: Type, name: &'static str) -> Schema {
    let mut schema = Schema::of(kind);
    schema.name = Some(Text::from_static(name));
    schema.version = Some(1);
    schema
}

impl Builder<'_> {
    fn schema(&mut self, id: NodeId, force_optional: bool, given: Given<'_>) -> Result<Schema> {
        if self.open.contains(&id) {
            return Ok(self.recursive(id, force_optional));
        }
        let avro = self.avro;
        let node = avro.node(id);
        let logical_type = node.text("logicalType").unwrap_or("");
        let is = |name: &str| logical_type.eq_ignore_ascii_case(name);
        let mut schema = match &node.kind {
            Kind::Null => return Err(bad("Standalone null schemas are not supported by this converter")),
            Kind::Boolean => Schema::of(Type::Boolean),
            Kind::Bytes | Kind::Fixed { .. } => self.bytes(id)?,
            Kind::Double => Schema::of(Type::Float64),
            Kind::Float => Schema::of(Type::Float32),
            Kind::Int if is("date") => logical(Type::Int32, DATE),
            Kind::Int if is("time-millis") => logical(Type::Int32, TIME),
            Kind::Int => match (node.text("connect.type"), logical_type) {
                (Some("int8"), "") => Schema::of(Type::Int8),
                (Some("int16"), "") => Schema::of(Type::Int16),
                (Some(_), "") => return Err(bad("Connect type annotation for Avro int field is null")),
                _ => Schema::of(Type::Int32),
            },
            Kind::Long if is("timestamp-millis") => logical(Type::Int64, TIMESTAMP),
            Kind::Long => Schema::of(Type::Int64),
            Kind::String => Schema::of(Type::String),
            Kind::Array(items) => self.array(*items)?,
            Kind::Map(values) => {
                let mut schema = Schema::of(Type::Map);
                schema.key = Some(Arc::new(Schema::of(Type::String)));
                schema.element = Some(Arc::new(self.schema(*values, false, Given::default())?));
                schema
            }
            Kind::Record { .. } => self.record(id)?,
            Kind::Enum { .. } => self.enumeration(id),
            Kind::Union(branches) => {
                let present: Vec<_> =
                    branches.iter().copied().filter(|branch| !matches!(avro.kind(*branch), Kind::Null)).collect();
                let doc = Given { doc: given.doc, ..Given::default() };
                match (branches.len(), &present[..]) {
                    (1, [only]) if self.options.flatten_singleton_unions => return self.schema(*only, false, doc),
                    (2, [only]) => return self.schema(*only, true, doc),
                    _ => self.union(branches)?,
                }
            }
        };
        self.finish(id, &mut schema, given)?;
        schema.optional |= force_optional;
        Ok(schema)
    }

    /// The place where a record contains itself: its name stands for it.
    fn recursive(&self, id: NodeId, optional: bool) -> Schema {
        let name = self.avro.name(id).map_or("", |name| name.full());
        let mut schema = Schema::recursive(name);
        schema.optional = optional;
        schema
    }

    fn bytes(&self, id: NodeId) -> Result<Schema> {
        let node = self.avro.node(id);
        let mut schema = if node.text("logicalType").is_some_and(|name| name.eq_ignore_ascii_case("decimal")) {
            let mut schema = logical(Type::Bytes, DECIMAL);
            let scale = node.props.get("scale").and_then(Json::as_i64).unwrap_or(0);
            set(&mut schema, "scale", scale.to_string());
            match node.props.get("precision") {
                None => {}
                Some(precision) => {
                    let precision = precision.as_i64().ok_or_else(|| bad("precision must be a JSON Integer"))?;
                    if precision != names::DEFAULT_PRECISION {
                        set(&mut schema, names::PRECISION, precision.to_string());
                    }
                }
            }
            schema
        } else {
            Schema::of(Type::Bytes)
        };
        if let Kind::Fixed { size, .. } = &node.kind {
            set(&mut schema, names::FIXED_SIZE, size.to_string());
        }
        Ok(schema)
    }

    fn array(&mut self, items: NodeId) -> Result<Schema> {
        if let Some((key, value)) = map_entry(self.avro, items)? {
            let mut schema = Schema::of(Type::Map);
            schema.key = Some(Arc::new(self.schema(key, false, Given::default())?));
            schema.element = Some(Arc::new(self.schema(value, false, Given::default())?));
            return Ok(schema);
        }
        let mut schema = Schema::of(Type::Array);
        schema.element = Some(Arc::new(self.schema(items, false, Given::default())?));
        Ok(schema)
    }

    fn record(&mut self, id: NodeId) -> Result<Schema> {
        let avro = self.avro;
        let Kind::Record { fields, .. } = avro.kind(id) else { return Ok(Schema::of(Type::Struct)) };
        let with_docs = !self.options.discard_type_doc_default && self.options.connect_meta_data;
        let mut schema = Schema::of(Type::Struct);
        self.open.push(id);
        if let Some(doc) = avro.node(id).doc.as_deref().filter(|_| with_docs) {
            set(&mut schema, names::RECORD_DOC, doc);
        }
        for field in fields {
            if let Some(doc) = field.doc.as_deref().filter(|_| with_docs) {
                set(&mut schema, format!("{}{}", names::FIELD_DOC, field.name), doc);
            }
            let given = Given { default: field.default.as_ref(), doc: field.doc.as_deref(), version: None };
            let mut of_field = self.schema(field.node, false, given)?;
            if let (true, Some(Json::Object(parameters))) =
                (self.options.connect_meta_data, field.props.get("connect.parameters"))
            {
                for (name, value) in parameters {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    set(&mut of_field, name.as_str(), value);
                }
            }
            schema.fields.push(Field::new(&field.name, of_field));
        }
        self.open.pop();
        Ok(schema)
    }

    fn enumeration(&self, id: NodeId) -> Schema {
        let mut schema = Schema::of(Type::String);
        let node = self.avro.node(id);
        let Kind::Enum { name, symbols, default } = &node.kind else { return schema };
        if self.options.connect_meta_data {
            if let Some(doc) = &node.doc {
                let parameter = if self.options.discard_type_doc_default {
                    names::CONNECT_ENUM_DOC.to_owned()
                } else {
                    format!("{}{}", names::ENUM_DOC, name.simple())
                };
                set(&mut schema, parameter, doc.as_str());
            }
            if let Some(default) = default.as_deref().filter(|_| !self.options.discard_type_doc_default) {
                set(&mut schema, format!("{}{}", names::ENUM_DEFAULT, name.simple()), default);
            }
        }
        let parameter = self.options.enum_parameter();
        set(&mut schema, parameter, name.full());
        for (index, symbol) in symbols.iter().enumerate() {
            let value = if self.options.generalized_sum_types { index.to_string() } else { symbol.clone() };
            set(&mut schema, format!("{parameter}.{symbol}"), value);
        }
        schema
    }

    fn union(&mut self, branches: &[NodeId]) -> Result<Schema> {
        let mut schema = Schema::of(Type::Struct);
        if self.options.generalized_sum_types {
            let name = Text::from(format!("connect_union_{}", self.unions));
            self.unions += 1;
            set(&mut schema, names::GENERALIZED_UNION, name.clone());
            schema.name = Some(name);
        } else {
            schema.name = Some(Text::from_static(names::UNION));
        }
        for (index, branch) in branches.iter().enumerate() {
            if matches!(self.avro.kind(*branch), Kind::Null) {
                schema.optional = true;
                continue;
            }
            let name = branch_name(self.avro, *branch, index, self.options);
            if schema.fields.iter().any(|field| field.name == name) {
                return Err(bad("Multiple union schemas map to the Connect union field name"));
            }
            let of_branch = self.schema(*branch, true, Given::default())?;
            schema.fields.push(Field::new(&name, of_branch));
        }
        Ok(schema)
    }

    /// Documentation, version, parameters, default and name.
    fn finish(&self, id: NodeId, schema: &mut Schema, given: Given<'_>) -> Result<()> {
        let node = self.avro.node(id);
        let (meta, discard) = (self.options.connect_meta_data, self.options.discard_type_doc_default);
        let doc = node.text("connect.doc");
        if discard {
            schema.doc = given.doc.or(node.doc.as_deref()).or(doc).map(Text::from);
            if let Some(doc) = node.doc.as_deref().filter(|_| meta) {
                set(schema, names::CONNECT_RECORD_DOC, doc);
            }
        } else if meta {
            schema.doc = doc.map(Text::from);
        }
        let version = match node.props.get("connect.version") {
            None => given.version,
            Some(version) => Some(
                version
                    .as_i64()
                    .and_then(|version| i32::try_from(version).ok())
                    .ok_or_else(|| bad(format!("Invalid Connect version found: {version}")))?,
            ),
        };
        if let Some(version) = version.filter(|version| *version >= 0) {
            match schema.version {
                // A registry's version of a logical type at the top is not Connect's version of it.
                Some(own) if own != version && node.props.contains_key("connect.version") => {
                    return Err(bad(format!(
                        "Mismatched versions: {own} by the logical type, {version} by connect.version"
                    )));
                }
                Some(_) => {}
                None => schema.version = Some(version),
            }
        }
        if let Some(parameters) = node.props.get("connect.parameters").filter(|_| meta) {
            let Json::Object(parameters) = parameters else {
                return Err(bad(format!("Expected JSON object for schema parameters but found: {parameters}")));
            };
            for (name, value) in parameters {
                let Json::String(value) = value else {
                    return Err(bad(format!("Expected schema parameter values to be strings but found: {value}")));
                };
                set(schema, name.as_str(), value.as_str());
            }
        }
        for (name, value) in node.props.iter().filter(|(name, _)| name.starts_with("avro")) {
            set(schema, name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        self.default(id, schema, given);
        self.name(id, schema)
    }

    fn default(&self, id: NodeId, schema: &mut Schema, given: Given<'_>) {
        let connect_default = self.avro.node(id).props.get("connect.default");
        let default = match given.default {
            None => connect_default,
            Some(default) => {
                if !self.options.discard_type_doc_default && self.options.connect_meta_data && connect_default.is_none()
                {
                    set(schema, names::FIELD_DEFAULT, "true");
                }
                Some(default)
            }
        };
        // A default that does not fit is passed over, as in Java.
        schema.default = default.and_then(|json| default_value(schema, self.avro, id, json, self.options));
    }

    fn name(&self, id: NodeId, schema: &mut Schema) -> Result<()> {
        let node = self.avro.node(id);
        let name = match node.props.get("connect.name") {
            Some(Json::String(name)) => Some(name.as_str()),
            Some(other) => return Err(bad(format!("Invalid schema name: {other}"))),
            None => match &node.kind {
                Kind::Fixed { .. } if schema.name.is_some() => None,
                _ => self.avro.name(id).map(|name| name.full()),
            },
        };
        let Some(name) = name.filter(|name| !name.starts_with(DEFAULT_NAME)) else { return Ok(()) };
        match &schema.name {
            Some(own) if own != name => Err(bad(format!(
                "Mismatched names: name already added to SchemaBuilder ({own}) differs from name in source schema ({name})"
            ))),
            Some(_) => Ok(()),
            None => {
                schema.name = Some(Text::from(name));
                Ok(())
            }
        }
    }
}

/// Key and value of a map that is written as a list of records.
pub(super) fn map_entry(avro: &AvroSchema, items: NodeId) -> Result<Option<(NodeId, NodeId)>> {
    let Kind::Record { name, fields } = avro.kind(items) else { return Ok(None) };
    let marked = avro.node(items).text("connect.internal.type") == Some(MAP_ENTRY);
    if !marked && name.full() != format!("{NAMESPACE}.{MAP_ENTRY}") {
        return Ok(None);
    }
    match &fields[..] {
        [key, value] if key.name == "key" && value.name == "value" => Ok(Some((key.node, value.node))),
        _ => Err(bad(
            "Found map encoded as array of key-value pairs, but array elements do not match the expected format.",
        )),
    }
}

/// What the field of a union's struct is called.
pub(super) fn branch_name(avro: &AvroSchema, branch: NodeId, index: usize, options: Options) -> String {
    if options.generalized_sum_types {
        return format!("connect_union_field_{index}");
    }
    match avro.kind(branch) {
        Kind::Record { name, .. } | Kind::Enum { name, .. } | Kind::Fixed { name, .. } => {
            if options.enhanced {
                name.full().to_owned()
            } else {
                simple_name(name.full(), options.scrub)
            }
        }
        Kind::Null => "null".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::Int => "int".to_owned(),
        Kind::Long => "long".to_owned(),
        Kind::Float => "float".to_owned(),
        Kind::Double => "double".to_owned(),
        Kind::Bytes => "bytes".to_owned(),
        Kind::String => "string".to_owned(),
        Kind::Array(_) => "array".to_owned(),
        Kind::Map(_) => "map".to_owned(),
        Kind::Union(_) => "union".to_owned(),
    }
}

/// A default from its JSON; None when there is none or it does not fit.
pub(super) fn default_value(
    schema: &Schema,
    avro: &AvroSchema,
    id: NodeId,
    json: &Json,
    options: Options,
) -> Option<Value> {
    let small = || i32::try_from(json.as_i64()?).ok();
    match (avro.kind(id), json) {
        (Kind::Union(branches), json) if is_union(schema) => {
            if json.is_null() {
                return None;
            }
            let first = *branches.first()?;
            let name = branch_name(avro, first, 0, options);
            let field = schema.fields.iter().find(|field| field.name == *name)?;
            let value = default_value(&field.schema, avro, first, json, options)?;
            let one = |field: &Field| {
                let here = field.name == *name;
                (field.name.clone(), if here { value.clone() } else { Value::Null })
            };
            Some(Value::Map(schema.fields.iter().map(one).collect()))
        }
        // A union with null, which became its other branch
        (Kind::Union(branches), json) => {
            if json.is_null() {
                return Some(Value::Null);
            }
            let present = branches.iter().find(|branch| !matches!(avro.kind(**branch), Kind::Null))?;
            default_value(schema, avro, *present, json, options)
        }
        (_, Json::Null) => None,
        (Kind::Boolean, Json::Bool(flag)) => Some(Value::Bool(*flag)),
        (Kind::Int, _) => Some(match schema.name.as_deref() {
            Some(DATE) => Value::Date(small()?),
            Some(TIME) => Value::Time(small()?),
            _ => Value::Int(i64::from(small()?)),
        }),
        (Kind::Long, _) => Some(match schema.name.as_deref() {
            Some(TIMESTAMP) => Value::Timestamp(json.as_i64()?),
            _ => Value::Int(json.as_i64()?),
        }),
        (Kind::Float | Kind::Double, Json::Number(number)) => number.as_f64().map(Value::Float),
        (Kind::String | Kind::Enum { .. }, Json::String(text)) => Some(Value::Str(text.as_str().into())),
        (Kind::Bytes | Kind::Fixed { .. }, Json::String(text)) => {
            let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>()?;
            Some(match schema.name.as_deref() {
                Some(DECIMAL) => Value::Decimal(Decimal { unscaled: bytes.into(), scale: names::scale(schema) }),
                _ => Value::Bytes(bytes.into()),
            })
        }
        _ => nested_default(schema, avro, id, json, options),
    }
}

/// A default that has values in it.
fn nested_default(schema: &Schema, avro: &AvroSchema, id: NodeId, json: &Json, options: Options) -> Option<Value> {
    match (avro.kind(id), json) {
        (Kind::Array(items), Json::Array(list)) if schema.kind == Type::Array => {
            let element = schema.element.as_deref()?;
            let list = list.iter().map(|item| default_value(element, avro, *items, item, options));
            Some(Value::List(list.collect::<Option<_>>()?))
        }
        (Kind::Map(values), Json::Object(object)) => {
            let element = schema.element.as_deref()?;
            let entries = object.iter().map(|(name, value)| {
                Some((Text::from(name.as_str()), default_value(element, avro, *values, value, options)?))
            });
            Some(Value::Map(entries.collect::<Option<_>>()?))
        }
        (Kind::Record { fields, .. }, Json::Object(object)) => {
            let values = schema.fields.iter().zip(fields).map(|(field, of_avro)| {
                let json = object.get(&*of_avro.name).or(of_avro.default.as_ref()).unwrap_or(&Json::Null);
                let value = default_value(&field.schema, avro, of_avro.node, json, options).unwrap_or(Value::Null);
                if matches!(value, Value::Null) && !field.schema.optional {
                    return None;
                }
                Some((field.name.clone(), value))
            });
            Some(Value::Map(values.collect::<Option<_>>()?))
        }
        _ => None,
    }
}
