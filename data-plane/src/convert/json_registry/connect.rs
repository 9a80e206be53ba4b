//! From a JSON Schema to a Connect schema, as Confluent's converter has it: integers are INT64 and numbers FLOAT64 unless
//! `connect.type` says more, `oneOf` with null is optional, any other `oneOf` or `anyOf` a struct with a field for each.

use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Error, Field, Result, Schema, Text, Type, Value, json};
use serde_json::{Map, Value as Json};

use super::{GENERALIZED_UNION, NULL, ONE_OF, Options, values};
use crate::convert::registry::Fetched;

/// More references one after another lead nowhere.
const MAX_HOPS: usize = 64;
/// Deeper nesting is refused.
const MAX_DEPTH: usize = 64;

fn bad(what: impl Into<String>) -> Error {
    Error::bad_record(what.into())
}

/// Parses a schema's text.
pub(super) fn parse(text: &str) -> Result<Json> {
    serde_json::from_str(text).map_err(|error| bad("the JSON Schema is no JSON").because(error))
}

/// The Connect schema of a JSON Schema.
pub(super) fn schema(fetched: &Fetched, options: Options, version: Option<i32>) -> Result<Schema> {
    let root = parse(&fetched.text.schema)?;
    let mut others = Vec::new();
    for (name, text) in &fetched.references {
        others.push((name.as_str(), parse(text)?));
    }
    let mut builder = Builder { root: &root, others: &others, options, open: Vec::new(), unions: 0 };
    builder.schema(Place { json: &root, document: &root }, version, false)
}

/// A schema and the document whose definitions it may name.
#[derive(Clone, Copy)]
struct Place<'a> {
    json: &'a Json,
    document: &'a Json,
}

impl<'a> Place<'a> {
    fn at(self, json: &'a Json) -> Self {
        Self { json, ..self }
    }
}

struct Builder<'a> {
    root: &'a Json,
    others: &'a [(&'a str, Json)],
    options: Options,
    /// Objects that are being built, outermost first
    open: Vec<*const Json>,
    unions: usize,
}

fn set(schema: &mut Schema, name: impl Into<Text>, value: impl Into<Text>) {
    schema.parameters.push((name.into(), value.into()));
}

/// What nothing is known of: data without a schema stand there.
fn anything() -> Schema {
    Schema { optional: true, ..Schema::recursive("") }
}

fn is_null(json: &Json) -> bool {
    json.get("type").is_some_and(|kind| kind == "null")
}

fn text<'a>(object: &'a Map<String, Json>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Json::as_str)
}

impl<'a> Builder<'a> {
    fn schema(&mut self, place: Place<'a>, version: Option<i32>, optional: bool) -> Result<Schema> {
        let place = self.follow(place)?;
        if self.open.len() > MAX_DEPTH {
            return Err(bad(format!("the JSON Schema is nested deeper than {MAX_DEPTH} levels")));
        }
        let Json::Object(object) = place.json else { return Ok(anything()) };
        let here = std::ptr::from_ref(place.json);
        if self.open.contains(&here) {
            let mut schema = Schema::recursive(text(object, "title").unwrap_or_default());
            schema.optional = optional;
            return Ok(schema);
        }
        self.open.push(here);
        let made = self.object(place, object, version, optional);
        self.open.pop();
        made
    }

    fn object(
        &mut self,
        place: Place<'a>,
        object: &'a Map<String, Json>,
        version: Option<i32>,
        optional: bool,
    ) -> Result<Schema> {
        let mut schema = match self.combined(place, object, version, optional)? {
            Combined::Whole(schema) => return Ok(schema),
            Combined::Base(schema) => schema,
            Combined::None => self.plain(place, object)?,
        };
        self.finish(object, &mut schema, version)?;
        schema.optional |= optional;
        Ok(schema)
    }

    /// The schema that a `$ref` names.
    fn follow(&self, mut place: Place<'a>) -> Result<Place<'a>> {
        for _ in 0..MAX_HOPS {
            let Some(reference) = place.json.get("$ref").and_then(Json::as_str) else { return Ok(place) };
            let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
            let document = if file.is_empty() {
                place.document
            } else {
                let named = |(name, json): &&'a (&str, Json)| {
                    *name == file || json.get("$id").and_then(Json::as_str) == Some(file)
                };
                match self.others.iter().find(named) {
                    Some((_, json)) => json,
                    None if self.root.get("$id").and_then(Json::as_str) == Some(file) => self.root,
                    None => {
                        return Err(bad(format!("the JSON Schema refers to {file}, which the registry does not name")));
                    }
                }
            };
            let found = if pointer.is_empty() || pointer.starts_with('/') {
                document.pointer(&pointer.replace("%25", "%").replace("%24", "$"))
            } else {
                anchor(document, pointer, 0)
            };
            let json = found.ok_or_else(|| bad(format!("the JSON Schema has nothing at {reference}")))?;
            place = Place { json, document };
        }
        Err(bad("the references of the JSON Schema go round in circles"))
    }

    /// `oneOf`, `anyOf`, `allOf`, and a list of types, which is another way to write `anyOf`.
    fn combined(
        &mut self,
        place: Place<'a>,
        object: &'a Map<String, Json>,
        version: Option<i32>,
        optional: bool,
    ) -> Result<Combined> {
        let list = |name: &str| object.get(name).and_then(Json::as_array).filter(|list| !list.is_empty());
        if object.contains_key("properties") {
            return Ok(Combined::None);
        }
        if let Some(parts) = list("oneOf").or_else(|| list("anyOf")) {
            let parts: Vec<_> = parts.iter().map(|part| place.at(part)).collect();
            return self.union(&parts, version, optional);
        }
        if let Some(parts) = list("allOf") {
            return self.all_of(place, parts, version, optional).map(Combined::Whole);
        }
        if let Some(Json::Array(types)) = object.get("type") {
            let names: Vec<_> = types.iter().filter_map(Json::as_str).collect();
            let present: Vec<_> = names.iter().filter(|name| **name != "null").collect();
            let has_null = present.len() < names.len();
            if let [only] = &present[..] {
                let mut schema = self.typed(place, object, only)?;
                schema.optional = has_null;
                return Ok(Combined::Base(schema));
            }
            let mut branches = Vec::new();
            for name in present {
                branches.push(self.typed(place, object, name)?);
            }
            return Ok(Combined::Base(self.struct_of(branches, has_null)));
        }
        Ok(Combined::None)
    }

    fn union(&mut self, parts: &[Place<'a>], version: Option<i32>, optional: bool) -> Result<Combined> {
        if let ([only], true) = (parts, self.options.flatten_singleton_unions) {
            return self.schema(*only, None, false).map(Combined::Whole);
        }
        let present: Vec<_> = parts.iter().filter(|part| !is_null(part.json)).collect();
        let has_null = present.len() < parts.len();
        if let ([only], 2) = (&present[..], parts.len()) {
            return self.schema(**only, version, true).map(Combined::Whole);
        }
        let mut branches = Vec::new();
        for part in present {
            branches.push(self.schema(*part, None, true)?);
        }
        let mut schema = self.struct_of(branches, has_null);
        schema.optional |= optional;
        Ok(Combined::Base(schema))
    }

    fn struct_of(&mut self, branches: Vec<Schema>, has_null: bool) -> Schema {
        let mut schema = Schema::of(Type::Struct);
        let generalized = self.options.generalized_sum_types;
        let name = if generalized { format!("connect_union_{}", self.unions) } else { ONE_OF.to_owned() };
        self.unions += 1;
        if generalized {
            set(&mut schema, GENERALIZED_UNION, name.as_str());
        }
        for (index, mut branch) in branches.into_iter().enumerate() {
            branch.optional = true;
            let field =
                if generalized { format!("connect_union_field_{index}") } else { format!("{name}.field.{index}") };
            schema.fields.push(Field::new(&field, branch));
        }
        schema.name = Some(Text::from(name));
        schema.optional = has_null;
        schema
    }

    /// The properties of all parts, or the one part that says what it is.
    fn all_of(&mut self, place: Place<'a>, parts: &'a [Json], version: Option<i32>, optional: bool) -> Result<Schema> {
        let mut properties = Vec::new();
        self.collect(place, parts, &mut properties, 0)?;
        if !properties.is_empty() {
            let mut schema = Schema::of(Type::Struct);
            for (name, place, required) in properties {
                let optional = self.options.optional_for_nonrequired && !required;
                let of_field = self.schema(place, None, optional)?;
                schema.fields.push(Field::new(name, of_field));
            }
            schema.optional = optional;
            return Ok(schema);
        }
        let telling = |part: &&Json| {
            ["oneOf", "anyOf", "allOf", "$ref", "enum", "const", "type"]
                .map(|key| part.get(key))
                .iter()
                .any(Option::is_some)
        };
        let part = parts.iter().find(telling).ok_or_else(|| bad("an allOf of the JSON Schema says nothing"))?;
        self.schema(place.at(part), version, optional)
    }

    fn collect(
        &self,
        place: Place<'a>,
        parts: &'a [Json],
        properties: &mut Vec<(&'a str, Place<'a>, bool)>,
        depth: usize,
    ) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(bad("the references of the JSON Schema go round in circles"));
        }
        for part in parts {
            let place = self.follow(place.at(part))?;
            if let Some(Json::Array(parts)) = place.json.get("allOf") {
                self.collect(place, parts, properties, depth + 1)?;
            }
            let Some(Json::Object(own)) = place.json.get("properties") else { continue };
            for (name, json) in own {
                let required = is_required(place.json, name);
                match properties.iter_mut().find(|(one, ..)| one == name) {
                    Some(known) => *known = (name, place.at(json), required),
                    None => properties.push((name, place.at(json), required)),
                }
            }
        }
        Ok(())
    }

    fn plain(&mut self, place: Place<'a>, object: &'a Map<String, Json>) -> Result<Schema> {
        if let Some(constant) = object.get("const") {
            return Ok(match constant {
                Json::Number(_) => self.number(object, constant.is_f64())?,
                other => self.enumeration(std::slice::from_ref(other)),
            });
        }
        match text(object, "type") {
            Some(kind) => self.typed(place, object, kind),
            None if object.contains_key("properties") => self.typed(place, object, "object"),
            None if object.contains_key("items") => self.typed(place, object, "array"),
            None => match object.get("enum") {
                Some(Json::Array(values)) => Ok(self.enumeration(values)),
                _ => Ok(anything()),
            },
        }
    }

    fn typed(&mut self, place: Place<'a>, object: &'a Map<String, Json>, kind: &str) -> Result<Schema> {
        Ok(match kind {
            "boolean" => Schema::of(Type::Boolean),
            "integer" => self.number(object, false)?,
            "number" => self.number(object, true)?,
            "string" => match object.get("enum") {
                Some(Json::Array(values)) => self.enumeration(values),
                _ if text(object, "connect.type") == Some("bytes") => Schema::of(Type::Bytes),
                _ => Schema::of(Type::String),
            },
            "array" => self.array(place, object)?,
            "object" => self.structure(place, object)?,
            "null" => return Err(bad("Unsupported schema type null: only as one of several")),
            other => return Err(bad(format!("the JSON Schema has the unknown type {other}"))),
        })
    }

    fn number(&self, object: &Map<String, Json>, fraction: bool) -> Result<Schema> {
        let kind = match text(object, "connect.type") {
            None if fraction => Type::Float64,
            None | Some("int64") => Type::Int64,
            Some("int8") => Type::Int8,
            Some("int16") => Type::Int16,
            Some("int32") => Type::Int32,
            Some("float32") => Type::Float32,
            Some("float64") => Type::Float64,
            Some("bytes") => Type::Bytes,
            Some(other) => return Err(bad(format!("Unsupported type {other}"))),
        };
        Ok(Schema::of(kind))
    }

    fn enumeration(&self, values: &[Json]) -> Schema {
        let mut schema = Schema::of(Type::String);
        let parameter = self.options.enum_parameter();
        // Enums of JSON have no name.
        set(&mut schema, parameter, "");
        for (index, value) in values.iter().enumerate() {
            let symbol = match value {
                Json::Null => NULL.to_owned(),
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let value = if self.options.generalized_sum_types { index.to_string() } else { symbol.clone() };
            set(&mut schema, format!("{parameter}.{symbol}"), value);
        }
        schema
    }

    fn array(&mut self, place: Place<'a>, object: &'a Map<String, Json>) -> Result<Schema> {
        let items = match object.get("items") {
            Some(items @ Json::Object(_)) => place.at(items),
            _ => return Err(bad("Array schema did not specify the items type")),
        };
        if text(object, "connect.type") == Some("map") {
            let items = self.follow(items)?;
            let part = |name: &str| items.json.get("properties").and_then(|properties| properties.get(name));
            if let (Some(key), Some(value)) = (part("key"), part("value")) {
                let mut schema = Schema::of(Type::Map);
                schema.key = Some(Arc::new(self.schema(items.at(key), None, false)?));
                schema.element = Some(Arc::new(self.schema(items.at(value), None, false)?));
                return Ok(schema);
            }
        }
        let mut schema = Schema::of(Type::Array);
        schema.element = Some(Arc::new(self.schema(items, None, false)?));
        Ok(schema)
    }

    fn structure(&mut self, place: Place<'a>, object: &'a Map<String, Json>) -> Result<Schema> {
        if text(object, "connect.type") == Some("map") {
            let mut schema = Schema::of(Type::Map);
            schema.key = Some(Arc::new(Schema::of(Type::String)));
            let element = match object.get("additionalProperties") {
                Some(values @ Json::Object(_)) => self.schema(place.at(values), None, false)?,
                _ => anything(),
            };
            schema.element = Some(Arc::new(element));
            return Ok(schema);
        }
        let mut schema = Schema::of(Type::Struct);
        let mut properties: Vec<(i64, &str, &Json)> = Vec::new();
        if let Some(Json::Object(own)) = object.get("properties") {
            for (index, (name, json)) in own.iter().enumerate() {
                let index = json.get("connect.index").and_then(Json::as_i64).unwrap_or(index as i64);
                properties.push((index, name, json));
            }
        }
        properties.sort_by_key(|(index, ..)| *index);
        for (_, name, json) in properties {
            let optional = self.options.optional_for_nonrequired && !is_required(place.json, name);
            let of_field = self.schema(place.at(json), None, optional)?;
            schema.fields.push(Field::new(name, of_field));
        }
        Ok(schema)
    }

    /// Name, version, documentation, parameters and default.
    fn finish(&self, object: &Map<String, Json>, schema: &mut Schema, version: Option<i32>) -> Result<()> {
        if let Some(title) = text(object, "title").filter(|_| schema.name.is_none()) {
            schema.name = Some(Text::from(title));
        }
        let own = object.get("connect.version").and_then(Json::as_i64).and_then(|version| i32::try_from(version).ok());
        schema.version = own.or(version).or(schema.version);
        if let Some(description) = text(object, "description") {
            schema.doc = Some(Text::from(description));
        }
        if let Some(Json::Object(parameters)) = object.get("connect.parameters") {
            for (name, value) in parameters {
                set(schema, name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
        if let Some(default) = object.get("default") {
            let raw = Bytes::from(default.to_string());
            json::validate(&raw)?;
            let default = values::read(schema, &raw, self.options)
                .map_err(|error| bad(format!("the default {default} does not fit its JSON Schema")).because(error))?;
            schema.default = Some(default).filter(|default| *default != Value::Null);
        }
        Ok(())
    }
}

/// What the keywords that combine schemas made.
enum Combined {
    None,
    /// Name and the like are still to come
    Base(Schema),
    Whole(Schema),
}

fn is_required(object: &Json, name: &str) -> bool {
    object.get("required").and_then(Json::as_array).is_some_and(|required| required.iter().any(|one| one == name))
}

/// The schema of a document with that anchor or id.
fn anchor<'a>(json: &'a Json, name: &str, depth: usize) -> Option<&'a Json> {
    if depth > MAX_DEPTH {
        return None;
    }
    match json {
        Json::Object(object) => {
            let with_hash = format!("#{name}");
            let is_it = text(object, "$anchor") == Some(name)
                || ["$id", "id"].iter().any(|key| text(object, key) == Some(with_hash.as_str()));
            if is_it { Some(json) } else { object.values().find_map(|value| anchor(value, name, depth + 1)) }
        }
        Json::Array(list) => list.iter().find_map(|value| anchor(value, name, depth + 1)),
        _ => None,
    }
}
