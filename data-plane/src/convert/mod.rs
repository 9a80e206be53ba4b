//! Converters: bytes of a record's key, value or header to a [`Datum`] and back, one call per batch. A new converter is a file and a
//! line in [`LIST`].

mod avro;
mod bytes;
mod charset;
mod header;
mod json;
mod json_registry;
mod json_schema;
mod json_value;
mod number;
mod protobuf;
mod registry;
mod text;

use std::future::Future;
use std::pin::Pin;

use ::bytes::Bytes;
use millrace_sdk::{Datum, Error, Findings, Flat, Result, Type};

use registry::{Format, RegistryConverter};

/// What a converter has to ask somebody before it can convert a batch; it ends when the answer is there.
///
/// # Errors
/// `Transient` when nobody answered: the same is to be asked again. Any other error ends the task. What is wrong with single
/// records is no error here, [`Converter::decode`] and [`Converter::encode`] say it of each.
pub type Preparation = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A converter of the records of any topic. Calls may overlap.
pub trait Converter: Send + Sync {
    /// Its Java class, for dead-letter headers.
    fn class(&self) -> &'static str;

    /// Told when somebody will look into every value: what has levels may as well be opened while it is checked.
    fn open_at_once(&mut self) {}

    /// Whether payloads are JSON without a schema, and nothing else is to be known about them.
    fn is_plain_json(&self) -> bool {
        false
    }

    /// What must be known before these payloads can be decoded; None when nothing is missing, which costs nothing for
    /// converters that never ask. After a preparation has ended well the same call says None.
    fn prepare_decode(&self, _topic: &str, _payloads: &mut dyn Iterator<Item = &[u8]>) -> Option<Preparation> {
        None
    }

    /// Decodes payloads one by one; no payload is [`Datum::Null`]. The answers are in the order of the payloads.
    fn decode(&self, topic: &str, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>>;

    /// What must be known before these data can be encoded, as [`Converter::prepare_decode`].
    fn prepare_encode(&self, _topic: &str, _data: &[&Datum]) -> Option<Preparation> {
        None
    }

    /// Encodes data one by one; `None` is a tombstone (or no key).
    fn encode(&self, topic: &str, data: &[&Datum]) -> Vec<Result<Option<Bytes>>>;
}

/// What a converter is made from: the settings after `key.converter.`, `value.converter.` or `header.converter.`.
enum Make {
    Plain(fn(&Flat) -> Result<Box<dyn Converter>>),
    /// With a schema registry, for keys and values; the settings of the format alone
    Registry(fn(Role, &Flat) -> Result<Box<dyn Converter>>, &'static [&'static str]),
}

impl Make {
    const fn registry<F: Format>() -> Self {
        Self::Registry(RegistryConverter::<F>::make, F::SETTINGS)
    }
}

/// A converter's names, ours first, and how it is made.
struct Entry {
    names: &'static [&'static str],
    make: Make,
}

/// All converters.
const LIST: &[Entry] = &[
    Entry { names: &["json", json::CLASS, "JsonConverter", "Json"], make: Make::Plain(json::JsonConverter::make) },
    Entry {
        names: &["string", text::CLASS, "StringConverter", "String"],
        make: Make::Plain(text::StringConverter::make),
    },
    Entry {
        names: &["bytes", bytes::CLASS, "ByteArrayConverter", "ByteArray"],
        make: Make::Plain(bytes::ByteArrayConverter::make),
    },
    Entry { names: &["boolean", number::BOOLEAN, "BooleanConverter", "Boolean"], make: Make::Plain(number::boolean) },
    Entry { names: &["short", number::SHORT, "ShortConverter", "Short"], make: Make::Plain(number::short) },
    Entry { names: &["integer", number::INTEGER, "IntegerConverter", "Integer"], make: Make::Plain(number::integer) },
    Entry { names: &["long", number::LONG, "LongConverter", "Long"], make: Make::Plain(number::long) },
    Entry { names: &["float", number::FLOAT, "FloatConverter", "Float"], make: Make::Plain(number::float) },
    Entry { names: &["double", number::DOUBLE, "DoubleConverter", "Double"], make: Make::Plain(number::double) },
    Entry { names: &["avro", avro::CLASS, "AvroConverter", "Avro"], make: Make::registry::<avro::Avro>() },
    Entry {
        names: &["protobuf", protobuf::CLASS, "ProtobufConverter", "Protobuf"],
        make: Make::registry::<protobuf::Protobuf>(),
    },
    Entry {
        names: &["json-schema", json_registry::CLASS, "JsonSchemaConverter", "JsonSchema"],
        make: Make::registry::<json_registry::JsonRegistry>(),
    },
];

/// For headers only.
const SIMPLE_HEADER: Entry = Entry {
    names: &["simple", header::CLASS, "SimpleHeaderConverter", "SimpleHeader"],
    make: Make::Plain(header::SimpleHeaderConverter::make),
};

/// Whether a converter is for keys, for values or for headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `key.converter`
    Key,
    /// `value.converter`
    Value,
    /// `header.converter`
    Header,
}

impl Role {
    /// The key that names the class.
    #[must_use]
    pub fn config_key(self) -> &'static str {
        match self {
            Self::Key => "key.converter",
            Self::Value => "value.converter",
            Self::Header => "header.converter",
        }
    }
}

fn entry(role: Role, class: &str) -> Result<&'static Entry, String> {
    let class = class.trim();
    if role == Role::Header && SIMPLE_HEADER.names.contains(&class) {
        return Ok(&SIMPLE_HEADER);
    }
    let fits = |entry: &&Entry| role != Role::Header || matches!(entry.make, Make::Plain(_));
    LIST.iter().filter(fits).find(|entry| entry.names.contains(&class)).ok_or_else(|| {
        let mut available: Vec<&str> = LIST.iter().filter(fits).map(|entry| entry.names[0]).collect();
        if role == Role::Header {
            available.push(SIMPLE_HEADER.names[0]);
        }
        format!("unknown converter {class}; available are {} and their Java class names", available.join(", "))
    })
}

/// Whether there is a converter of that name.
///
/// # Errors
/// A message that names those there are.
pub fn check_class(role: Role, class: &str) -> Result<(), String> {
    entry(role, class).map(|_| ())
}

/// Connect's name of a schema type, for messages.
pub(crate) fn connect_name(kind: Type) -> &'static str {
    match kind {
        Type::Int8 => "INT8",
        Type::Int16 => "INT16",
        Type::Int32 => "INT32",
        Type::Int64 => "INT64",
        Type::Float32 => "FLOAT32",
        Type::Float64 => "FLOAT64",
        Type::Boolean => "BOOLEAN",
        Type::String => "STRING",
        Type::Bytes => "BYTES",
        Type::Array => "ARRAY",
        Type::Map => "MAP",
        Type::Struct => "STRUCT",
    }
}

/// The converter that a connector asks for, else its tenant's, else ours: text keys, schemaless JSON values, headers by their
/// looks. As in Connect
/// the settings of a converter are taken from where its class is named.
///
/// # Errors
/// `BadConfig` for an unknown converter or setting.
pub fn converter(role: Role, config: &Flat, tenant: &Flat) -> Result<Box<dyn Converter>> {
    let key = role.config_key();
    for flat in [config, tenant] {
        if let Some(class) = flat.get(key) {
            let entry = entry(role, class).map_err(|message| Error::bad_config(format!("{key}: {message}")))?;
            let settings = settings(role, flat);
            return match entry.make {
                Make::Plain(make) => make(&settings),
                Make::Registry(make, _) => make(role, &settings),
            };
        }
    }
    match role {
        Role::Key => text::StringConverter::make(&Flat::new()),
        Role::Header => header::SimpleHeaderConverter::make(&Flat::new()),
        Role::Value => json::JsonConverter::make(&Flat::from([("schemas.enable".to_owned(), "false".to_owned())])),
    }
}

/// The settings of a converter: what follows its key.
fn settings(role: Role, flat: &Flat) -> Flat {
    let prefix = format!("{}.", role.config_key());
    flat.iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value.clone()))).collect()
}

/// What there is to say of the settings of a connector's converter besides errors: those without effect.
#[must_use]
pub fn findings(role: Role, config: &Flat) -> Findings {
    let entry = config.get(role.config_key()).and_then(|class| entry(role, class).ok());
    match entry.map(|entry| &entry.make) {
        Some(Make::Registry(_, own)) => {
            registry::findings(&format!("{}.", role.config_key()), &settings(role, config), own)
        }
        _ => Findings::default(),
    }
}

/// Decodes what follows the id of a schema, with a schema at hand and the format's defaults: nobody is asked. It is for tests
/// and fuzzing; `format` is `avro`, `protobuf` or `json-schema`.
///
/// # Errors
/// `BadRecord` for a schema or a payload that cannot be read.
pub fn decode_with(format: &str, schema: &str, payload: &Bytes) -> Result<Datum> {
    match format {
        "avro" => registry::decode_with::<avro::Avro>(schema, payload),
        "protobuf" => registry::decode_with::<protobuf::Protobuf>(schema, payload),
        "json-schema" => registry::decode_with::<json_registry::JsonRegistry>(schema, payload),
        _ => Err(Error::bad_config(format!("{format} is no format with a schema registry"))),
    }
}

/// Reads a payload with the id of a schema before it, writes what it holds and reads that again, as [`decode_with`]. None when
/// there is nothing to write; the inner error is one of reading again.
///
/// # Errors
/// `BadRecord` for a schema or a payload that cannot be read, or written.
#[cfg(any(test, fuzzing))]
pub fn round_trip(format: &str, schema: &str, payload: &Bytes) -> Result<Option<Result<Datum>>> {
    match format {
        "avro" => registry::round_trip::<avro::Avro>(schema, payload),
        "protobuf" => registry::round_trip::<protobuf::Protobuf>(schema, payload),
        _ => registry::round_trip::<json_registry::JsonRegistry>(schema, payload),
    }
}

#[cfg(test)]
mod tests;
