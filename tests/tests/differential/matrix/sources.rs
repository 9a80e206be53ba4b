//! File sources: what they produce with each converter. The topic's name is the only thing that differs.

use super::{JSON, OUT, STRING};
use crate::case::{Case, Options, config, proofs};
use crate::registry::{self, AVRO, JSON_SCHEMA, PROTOBUF};
use crate::sets::SetId;

const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
const SIMPLE: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
const KEY: &str = "key.converter";
const VALUE: &str = "value.converter";
const HEADER: &str = "header.converter";
const PLAIN: (&str, &str) = ("value.converter.schemas.enable", "false");
const T: &str = "transforms";
const FILE: (&str, &str) = ("file", "lines");
const NUMBERS: (&str, &str) = ("file", "numbers");
const AMOUNTS: (&str, &str) = ("file", "amounts");
const URL: (&str, &str) = ("value.converter.schema.registry.url", registry::URL);
const HOIST: &str = "org.apache.kafka.connect.transforms.HoistField$Value";
const CAST: &str = "org.apache.kafka.connect.transforms.Cast$Value";
const CAST_KEY: &str = "org.apache.kafka.connect.transforms.Cast$Key";
const INSERT: &str = "org.apache.kafka.connect.transforms.InsertField$Value";
const TO_KEY: &str = "org.apache.kafka.connect.transforms.ValueToKey";
const TIME: &str = "org.apache.kafka.connect.transforms.TimestampConverter$Value";
const EXTRACT_KEY: &str = "org.apache.kafka.connect.transforms.ExtractField$Key";
const INSERT_HEADER: &str = "org.apache.kafka.connect.transforms.InsertHeader";

/// Not a key: how many records there are, when it is not one per line.
pub(crate) const RECORDS: &str = "records";

/// The files that the sources read; an end of line follows each line.
pub(crate) const FILES: &[(&str, &[&str])] = &[
    ("lines", &["plain", "", "Zoë 😀 漢字", "{\"a\":1}", "tab\there \"quoted\" \\", "42", "  blank around  "]),
    ("numbers", &["1", "-7", "0", "127", "-128", "99"]),
    ("amounts", &["0", "1.5", "-123456789.25", "1e300", "0.1", "1700000000123"]),
];

struct Source {
    name: &'static str,
    config: Options,
    proves: Options,
}

const fn source(name: &'static str, config: Options, proves: Options) -> Source {
    Source { name, config, proves }
}

/// Every case of a source.
pub(crate) fn all() -> Vec<Case> {
    // `make test` runs every fourth.
    let case = |(number, source): (usize, &Source)| {
        let config = config(source.config);
        let proofs = proofs(&config, "", source.proves);
        // The set stands for nothing here.
        Case { name: source.name.to_owned(), set: SetId::Good, config, proofs, selected: number % 4 == 0 }
    };
    SOURCES.iter().enumerate().map(case).collect()
}

#[rustfmt::skip] // a row is a line
const SOURCES: &[Source] = &[
    source("source.string", &[FILE, (KEY, STRING), (VALUE, STRING)], &[(VALUE, JSON)]),
    source("source.ascii", &[FILE, (KEY, STRING), (VALUE, STRING), ("value.converter.converter.encoding", "US-ASCII")], &[("value.converter.converter.encoding", OUT)]),
    source("source.latin1", &[FILE, (KEY, STRING), (VALUE, STRING), ("value.converter.converter.encoding", "ISO-8859-1")], &[("value.converter.converter.encoding", OUT)]),
    source("source.utf16", &[FILE, (KEY, STRING), (VALUE, STRING), ("value.converter.converter.encoding", "UTF-16")], &[("value.converter.converter.encoding", OUT)]),
    source("source.utf16-little", &[FILE, (KEY, STRING), (VALUE, STRING), ("value.converter.converter.encoding", "UTF-16LE")], &[("value.converter.converter.encoding", OUT)]),
    source("source.json", &[FILE, (KEY, JSON), (VALUE, JSON)], &[(VALUE, STRING)]),
    source("source.json-plain", &[FILE, (KEY, JSON), (VALUE, JSON), PLAIN], &[("value.converter.schemas.enable", OUT)]),
    source("source.bytes", &[FILE, (KEY, STRING), (VALUE, BYTES)], &[(VALUE, STRING)]),
    source("source.hoist", &[FILE, (KEY, JSON), (VALUE, JSON), (T, "a"), ("transforms.a.type", HOIST), ("transforms.a.field", "line")], &[(T, "")]),
    source("source.hoist-plain", &[FILE, (KEY, JSON), (VALUE, JSON), PLAIN, (T, "a"), ("transforms.a.type", HOIST), ("transforms.a.field", "line")], &[(T, "")]),
    source("source.hoist-text", &[FILE, (KEY, STRING), (VALUE, STRING), (T, "a"), ("transforms.a.type", HOIST), ("transforms.a.field", "line")], &[(T, "")]),
    source("source.insert", &[FILE, (KEY, JSON), (VALUE, JSON), (T, "a,b"), ("transforms.a.type", HOIST), ("transforms.a.field", "line"), ("transforms.b.type", INSERT), ("transforms.b.static.field", "s!"), ("transforms.b.static.value", "x"), ("transforms.b.partition.field", "p")], &[(T, "a")]),
    source("source.insert-offset", &[FILE, (KEY, JSON), (VALUE, JSON), (T, "a,b"), ("transforms.a.type", HOIST), ("transforms.a.field", "line"), ("transforms.b.type", INSERT), ("transforms.b.offset.field", "o")], &[(T, "a")]),
    source("source.key", &[FILE, (KEY, STRING), (VALUE, STRING), (T, "a,b"), ("transforms.a.type", HOIST), ("transforms.a.field", "line"), ("transforms.b.type", TO_KEY), ("transforms.b.fields", "line")], &[(T, "a")]),
    source("source.json-key", &[FILE, (KEY, JSON), (VALUE, JSON), (T, "a,b"), ("transforms.a.type", HOIST), ("transforms.a.field", "line"), ("transforms.b.type", TO_KEY), ("transforms.b.fields", "line")], &[(T, "a"), (KEY, STRING)]),
    source("source.boolean", &[NUMBERS, (KEY, STRING), (VALUE, "org.apache.kafka.connect.converters.BooleanConverter"), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "boolean")], &[(VALUE, STRING)]),
    source("source.short", &[NUMBERS, (KEY, STRING), (VALUE, "org.apache.kafka.connect.converters.ShortConverter"), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int16")], &[(VALUE, STRING)]),
    source("source.integer", &[NUMBERS, (KEY, STRING), (VALUE, "org.apache.kafka.connect.converters.IntegerConverter"), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int32")], &[(VALUE, STRING)]),
    source("source.long", &[NUMBERS, (KEY, STRING), (VALUE, "org.apache.kafka.connect.converters.LongConverter"), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int64")], &[(VALUE, STRING)]),
    source("source.float", &[NUMBERS, (KEY, STRING), (VALUE, "org.apache.kafka.connect.converters.FloatConverter"), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "float32")], &[(VALUE, STRING)]),
    source("source.double", &[NUMBERS, (KEY, STRING), (VALUE, "org.apache.kafka.connect.converters.DoubleConverter"), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "float64")], &[(VALUE, STRING)]),
    source("source.wrong-width", &[NUMBERS, (KEY, STRING), (VALUE, "org.apache.kafka.connect.converters.LongConverter"), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int32")], &[("transforms.a.spec", "int64")]),
    source("source.integer-key", &[NUMBERS, (KEY, "org.apache.kafka.connect.converters.IntegerConverter"), (VALUE, STRING), (T, "a,b,c,d"), ("transforms.a.type", HOIST), ("transforms.a.field", "n"), ("transforms.b.type", TO_KEY), ("transforms.b.fields", "n"), ("transforms.c.type", EXTRACT_KEY), ("transforms.c.field", "n"), ("transforms.d.type", CAST_KEY), ("transforms.d.spec", "int32")], &[(KEY, STRING)]),
    source("source.json-numbers", &[NUMBERS, (KEY, STRING), (VALUE, JSON), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "float32")], &[("transforms.a.spec", "float64")]),
    source("source.json-int8", &[NUMBERS, (KEY, STRING), (VALUE, JSON), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int8")], &[("transforms.a.spec", "int16")]),
    source("source.text-of-double", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "float64")], &[("transforms.a.spec", "int8")]),
    source("source.text-of-boolean", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "boolean")], &[("transforms.a.spec", "int8")]),
    source("source.time", &[NUMBERS, (KEY, STRING), (VALUE, JSON), (T, "a,b"), ("transforms.a.type", CAST), ("transforms.a.spec", "int64"), ("transforms.b.type", TIME), ("transforms.b.target.type", "Timestamp")], &[("transforms.b.target.type", "Time")]),
    source("source.date", &[NUMBERS, (KEY, STRING), (VALUE, JSON), (T, "a,b"), ("transforms.a.type", CAST), ("transforms.a.spec", "int64"), ("transforms.b.type", TIME), ("transforms.b.target.type", "Date"), ("transforms.b.unix.precision", "seconds")], &[(T, "a")]),
    source("source.text-of-time", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (T, "a,b"), ("transforms.a.type", CAST), ("transforms.a.spec", "int64"), ("transforms.b.type", TIME), ("transforms.b.target.type", "Timestamp")], &[(T, "a")]),
    source("source.routed", &[FILE, (KEY, STRING), (VALUE, STRING), (T, "a"), ("transforms.a.type", "org.apache.kafka.connect.transforms.RegexRouter"), ("transforms.a.regex", "(.*)"), ("transforms.a.replacement", "$1")], &[]),
    source("source.filtered", &[FILE, (KEY, STRING), (VALUE, STRING), (T, "a"), ("transforms.a.type", "org.apache.kafka.connect.transforms.Filter"), ("transforms.a.predicate", "p"), ("predicates", "p"), ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone")], &[]),
    source("source.cast-fails", &[FILE, (KEY, STRING), (VALUE, STRING), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int8")], &[]),
    source("source.cast-tolerated", &[FILE, (KEY, STRING), (VALUE, STRING), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int8"), ("errors.tolerance", "all"), (RECORDS, "1")], &[]),
    source("source.header", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (T, "a"), ("transforms.a.type", INSERT_HEADER), ("transforms.a.header", "h"), ("transforms.a.value.literal", "{\"a\":[1,2.5],\"b\":null}")], &[(T, "")]),
    source("source.header-simple", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (HEADER, SIMPLE), (T, "a"), ("transforms.a.type", INSERT_HEADER), ("transforms.a.header", "h"), ("transforms.a.value.literal", "2023-11-14T22:13:20.123Z")], &[(HEADER, JSON)]),
    source("source.header-string", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (HEADER, STRING), (T, "a"), ("transforms.a.type", INSERT_HEADER), ("transforms.a.header", "h"), ("transforms.a.value.literal", "[1,2]")], &[(HEADER, JSON)]),
    source("source.header-json", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (HEADER, JSON), (T, "a"), ("transforms.a.type", INSERT_HEADER), ("transforms.a.header", "h"), ("transforms.a.value.literal", "12345678901234567890.5")], &[(HEADER, SIMPLE)]),
    source("source.header-json-numeric", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (HEADER, JSON), ("header.converter.decimal.format", "NUMERIC"), (T, "a"), ("transforms.a.type", INSERT_HEADER), ("transforms.a.header", "h"), ("transforms.a.value.literal", "123456789012345678901234567890")], &[("header.converter.decimal.format", OUT)]),
    source("source.header-plain", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (HEADER, JSON), ("header.converter.schemas.enable", "false"), (T, "a"), ("transforms.a.type", INSERT_HEADER), ("transforms.a.header", "h"), ("transforms.a.value.literal", "{\"a\":1}")], &[("header.converter.schemas.enable", OUT)]),
    source("source.header-bytes", &[NUMBERS, (KEY, STRING), (VALUE, STRING), (HEADER, BYTES), (T, "a"), ("transforms.a.type", INSERT_HEADER), ("transforms.a.header", "h"), ("transforms.a.value.literal", "x")], &[(HEADER, STRING)]),
    source("source.avro", &[FILE, (KEY, STRING), (VALUE, AVRO), URL, (T, "a"), ("transforms.a.type", HOIST), ("transforms.a.field", "line")], &[("transforms.a.field", "other")]),
    source("source.avro-boolean", &[NUMBERS, (KEY, STRING), (VALUE, AVRO), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "boolean"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.avro-int8", &[NUMBERS, (KEY, STRING), (VALUE, AVRO), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int8"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.avro-int16", &[NUMBERS, (KEY, STRING), (VALUE, AVRO), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int16"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.avro-int32", &[NUMBERS, (KEY, STRING), (VALUE, AVRO), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int32"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.avro-int64", &[NUMBERS, (KEY, STRING), (VALUE, AVRO), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int64"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.avro-float32", &[NUMBERS, (KEY, STRING), (VALUE, AVRO), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "float32"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.avro-float64", &[AMOUNTS, (KEY, STRING), (VALUE, AVRO), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "float64"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.protobuf", &[FILE, (KEY, STRING), (VALUE, PROTOBUF), URL, (T, "a"), ("transforms.a.type", HOIST), ("transforms.a.field", "line")], &[("transforms.a.field", "other")]),
    source("source.protobuf-boolean", &[NUMBERS, (KEY, STRING), (VALUE, PROTOBUF), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "boolean"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.protobuf-int8", &[NUMBERS, (KEY, STRING), (VALUE, PROTOBUF), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int8"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.protobuf-int16", &[NUMBERS, (KEY, STRING), (VALUE, PROTOBUF), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int16"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.protobuf-int32", &[NUMBERS, (KEY, STRING), (VALUE, PROTOBUF), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int32"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.protobuf-int64", &[NUMBERS, (KEY, STRING), (VALUE, PROTOBUF), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int64"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.protobuf-float32", &[NUMBERS, (KEY, STRING), (VALUE, PROTOBUF), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "float32"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.protobuf-float64", &[AMOUNTS, (KEY, STRING), (VALUE, PROTOBUF), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "float64"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.json-schema", &[FILE, (KEY, STRING), (VALUE, JSON_SCHEMA), URL, (T, "a"), ("transforms.a.type", HOIST), ("transforms.a.field", "line")], &[("transforms.a.field", "other")]),
    source("source.json-schema-boolean", &[NUMBERS, (KEY, STRING), (VALUE, JSON_SCHEMA), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "boolean"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.json-schema-int8", &[NUMBERS, (KEY, STRING), (VALUE, JSON_SCHEMA), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int8"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.json-schema-int16", &[NUMBERS, (KEY, STRING), (VALUE, JSON_SCHEMA), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int16"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.json-schema-int32", &[NUMBERS, (KEY, STRING), (VALUE, JSON_SCHEMA), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int32"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.json-schema-int64", &[NUMBERS, (KEY, STRING), (VALUE, JSON_SCHEMA), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int64"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.json-schema-float32", &[NUMBERS, (KEY, STRING), (VALUE, JSON_SCHEMA), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "float32"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.json-schema-float64", &[AMOUNTS, (KEY, STRING), (VALUE, JSON_SCHEMA), URL, (T, "c,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "float64"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[(T, "a")]),
    source("source.avro-insert", &[FILE, (KEY, STRING), (VALUE, AVRO), URL, (T, "a,b,d"), ("transforms.a.type", HOIST), ("transforms.a.field", "line"), ("transforms.b.type", INSERT), ("transforms.b.static.field", "s"), ("transforms.b.static.value", "x"), ("transforms.d.type", "org.apache.kafka.connect.transforms.SetSchemaMetadata$Value"), ("transforms.d.schema.name", "shop.Line"), ("transforms.d.schema.version", "3")], &[(T, "a,b"), (T, "a,d")]),
    source("source.avro-metadata", &[FILE, (KEY, STRING), (VALUE, AVRO), URL, ("value.converter.connect.meta.data", "false"), (T, "a,d"), ("transforms.a.type", HOIST), ("transforms.a.field", "line"), ("transforms.d.type", "org.apache.kafka.connect.transforms.SetSchemaMetadata$Value"), ("transforms.d.schema.name", "shop.Line"), ("transforms.d.schema.version", "3")], &[("value.converter.connect.meta.data", OUT)]),
    source("source.avro-time", &[NUMBERS, (KEY, STRING), (VALUE, AVRO), URL, (T, "c,t,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int64"), ("transforms.t.type", TIME), ("transforms.t.target.type", "Timestamp"), ("transforms.a.type", HOIST), ("transforms.a.field", "at")], &[("transforms.t.target.type", "Time")]),
    source("source.avro-date", &[NUMBERS, (KEY, STRING), (VALUE, AVRO), URL, (T, "c,t,a"), ("transforms.c.type", CAST), ("transforms.c.spec", "int64"), ("transforms.t.type", TIME), ("transforms.t.target.type", "Date"), ("transforms.t.unix.precision", "seconds"), ("transforms.a.type", HOIST), ("transforms.a.field", "at")], &[("transforms.t.target.type", "Timestamp")]),
    source("source.json-amounts", &[AMOUNTS, (KEY, STRING), (VALUE, JSON), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "float64")], &[("transforms.a.spec", "float32")]),
    source("source.text-of-float", &[AMOUNTS, (KEY, STRING), (VALUE, STRING), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "float64")], &[(T, "")]),
];
