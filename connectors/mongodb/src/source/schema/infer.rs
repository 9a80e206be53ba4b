//! A schema from a document, as the peer infers it: every field optional, `_id` first and the others by name, structs and
//! arrays named by their path, and text for what does not agree.

use std::sync::Arc;

use millrace_sdk::{Error, Field, Result, Schema, Text, Type};

use super::super::raw::{self, MAX_DEPTH, Raw, kind, malformed};
use super::{DECIMAL, TIMESTAMP};

/// Schemas that were made lately are shared: equal documents have one schema, whatever looks at it later.
#[derive(Debug, Default)]
pub(in crate::source) struct Inferrer {
    lately: Vec<Arc<Schema>>,
}

const KEPT: usize = 32;

impl Inferrer {
    /// The schema of a document.
    ///
    /// # Errors
    /// `BadRecord` for malformed BSON.
    pub(in crate::source) fn schema(&mut self, document: &[u8]) -> Result<Arc<Schema>> {
        let mut schema = of_document("default", document, 0)?.schema();
        schema.optional = false;
        if let Some(at) = self.lately.iter().position(|known| **known == schema) {
            self.lately[..=at].rotate_right(1);
            return Ok(Arc::clone(&self.lately[0]));
        }
        let schema = Arc::new(schema);
        self.lately.truncate(KEPT - 1);
        self.lately.insert(0, Arc::clone(&schema));
        Ok(schema)
    }
}

/// What is known of a type so far.
#[derive(Debug, Clone, PartialEq)]
enum Guess {
    /// Nothing but nulls
    Nothing,
    Plain(Schema),
    Array(String, Box<Guess>),
    Struct(String, Vec<(String, Guess)>),
}

impl Guess {
    fn schema(self) -> Schema {
        let mut schema = match self {
            Self::Nothing => Schema::of(Type::String),
            Self::Plain(schema) => schema,
            Self::Array(name, element) => {
                let mut schema = Schema::of(Type::Array);
                schema.name = Some(Text::from(name));
                schema.element = Some(Arc::new(element.schema()));
                schema
            }
            Self::Struct(name, fields) => {
                let mut schema = Schema::of(Type::Struct);
                schema.name = Some(Text::from(name));
                let field =
                    |(name, guess): (String, Guess)| Field { name: Text::from(name), schema: Arc::new(guess.schema()) };
                schema.fields = fields.into_iter().map(field).collect();
                schema
            }
        };
        schema.optional = true;
        schema
    }

    fn text() -> Self {
        Self::Plain(Schema::of(Type::String))
    }
}

fn of_document(path: &str, document: &[u8], depth: usize) -> Result<Guess> {
    if depth > MAX_DEPTH {
        return Err(malformed());
    }
    let mut fields: Vec<(String, Guess)> = Vec::new();
    for element in raw::elements(document)? {
        let (name, value) = element?;
        if name.is_empty() {
            return Err(Error::bad_record("a field without a name has no place in a schema"));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        let inner = match (path, name.as_str()) {
            (_, "_id") => name.clone(),
            ("default", _) => name.clone(),
            (path, _) => format!("{path}_{name}"),
        };
        let guess = of_value(&inner, value, depth + 1)?;
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = guess,
            None => fields.push((name, guess)),
        }
    }
    in_order(&mut fields);
    Ok(Guess::Struct(path.to_owned(), fields))
}

/// `_id` first, the others by name.
fn in_order(fields: &mut [(String, Guess)]) {
    fields
        .sort_by(|(a, _), (b, _)| (a != "_id").cmp(&(b != "_id")).then_with(|| a.encode_utf16().cmp(b.encode_utf16())));
}

fn of_value(path: &str, value: Raw<'_>, depth: usize) -> Result<Guess> {
    let plain = |kind: Type| Guess::Plain(Schema::of(kind));
    Ok(match value.kind {
        kind::BOOLEAN => plain(Type::Boolean),
        kind::INT32 => plain(Type::Int32),
        kind::INT64 => plain(Type::Int64),
        kind::DOUBLE => plain(Type::Float64),
        kind::BINARY => plain(Type::Bytes),
        kind::DECIMAL => {
            let mut schema = Schema::of(Type::Bytes);
            schema.name = Some(Text::from(DECIMAL));
            schema.version = Some(1);
            let scale = super::decimal(value.bytes).map_or(0, |decimal| decimal.scale);
            schema.parameters = vec![(Text::from("scale"), Text::from(scale.to_string()))];
            Guess::Plain(schema)
        }
        kind::DATE | kind::TIMESTAMP => {
            let mut schema = Schema::of(Type::Int64);
            schema.name = Some(Text::from(TIMESTAMP));
            schema.version = Some(1);
            Guess::Plain(schema)
        }
        kind::DOCUMENT => of_document(path, value.bytes, depth)?,
        kind::ARRAY => {
            let mut element = Guess::Nothing;
            for item in raw::elements(value.bytes)? {
                element = combined(element, of_value(path, item?.1, depth + 1)?);
                if element == Guess::text() {
                    break;
                }
            }
            Guess::Array(path.to_owned(), Box::new(element))
        }
        kind::NULL => Guess::Nothing,
        _ => Guess::text(),
    })
}

fn combined(first: Guess, second: Guess) -> Guess {
    match (first, second) {
        (Guess::Nothing, other) | (other, Guess::Nothing) => other,
        (first, second) if first == second => first,
        (Guess::Array(name, a), Guess::Array(_, b)) => Guess::Array(name, Box::new(combined(*a, *b))),
        (Guess::Struct(name, a), Guess::Struct(_, b)) => {
            let mut fields = a;
            for (name, guess) in b {
                match fields.iter_mut().find(|(known, _)| *known == name) {
                    Some(known) => known.1 = combined(std::mem::replace(&mut known.1, Guess::Nothing), guess),
                    None => fields.push((name, guess)),
                }
            }
            in_order(&mut fields);
            Guess::Struct(name, fields)
        }
        _ => Guess::text(),
    }
}
