//! Converters with a schema registry. The configurations are Confluent's; what Kafka Connect is given instead is in
//! `registry`.

use super::{OUT, Whole, whole};
use crate::registry::{AVRO, JSON_SCHEMA, PROTOBUF, URL};
use crate::sets::SetId::{Avro, JsonSchema, Protobuf};

const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
const KEY: (&str, &str) = ("key.converter", AVRO);
const VALUE: (&str, &str) = ("value.converter", AVRO);
const KEY_URL: (&str, &str) = ("key.converter.schema.registry.url", URL);
const VALUE_URL: (&str, &str) = ("value.converter.schema.registry.url", URL);
const T: &str = "transforms";

pub(super) fn all() -> impl Iterator<Item = &'static Whole> {
    SINKS.iter()
}

#[rustfmt::skip] // a row is a line
const SINKS: &[Whole] = &[
    whole("registry.avro", Avro, &[KEY, KEY_URL, VALUE, VALUE_URL], &[("key.converter", BYTES), ("value.converter", BYTES)]),
    whole("registry.avro-value", Avro, &[("key.converter", BYTES), VALUE, VALUE_URL], &[("value.converter", BYTES)]),
    whole("registry.avro-enhanced", Avro, &[KEY, KEY_URL, ("key.converter.enhanced.avro.schema.support", "true"), VALUE, VALUE_URL, ("value.converter.enhanced.avro.schema.support", "true")], &[("key.converter.enhanced.avro.schema.support", OUT), ("value.converter.enhanced.avro.schema.support", OUT)]),
    whole("registry.avro-small-cache", Avro, &[KEY, KEY_URL, VALUE, VALUE_URL, ("value.converter.schemas.cache.config", "1")], &[]),
    whole("registry.avro-chain", Avro, &[("key.converter", BYTES), VALUE, VALUE_URL, (T, "a,b,c"), ("transforms.a.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"), ("transforms.a.exclude", "place,lines"), ("transforms.b.type", "org.apache.kafka.connect.transforms.Cast$Value"), ("transforms.b.spec", "id:string"), ("transforms.c.type", "org.apache.kafka.connect.transforms.TimestampConverter$Value"), ("transforms.c.field", "at"), ("transforms.c.target.type", "string"), ("transforms.c.format", "yyyy-MM-dd HH:mm:ss.SSS")], &[(T, "a,b"), (T, "b,c"), (T, "a,c")]),
    whole("registry.protobuf", Protobuf, &[("key.converter", PROTOBUF), KEY_URL, ("value.converter", PROTOBUF), VALUE_URL], &[("key.converter", BYTES), ("value.converter", BYTES)]),
    whole("registry.protobuf-chain", Protobuf, &[("key.converter", BYTES), ("value.converter", PROTOBUF), VALUE_URL, (T, "a,b"), ("transforms.a.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"), ("transforms.a.include", "id,name,at,x"), ("transforms.b.type", "org.apache.kafka.connect.transforms.Cast$Value"), ("transforms.b.spec", "id:string")], &[(T, "a"), (T, "b")]),
    whole("registry.json-schema", JsonSchema, &[("key.converter", JSON_SCHEMA), KEY_URL, ("value.converter", JSON_SCHEMA), VALUE_URL], &[("key.converter", BYTES), ("value.converter", BYTES)]),
];
