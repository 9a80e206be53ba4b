//! Converters with every option, chains, errors, and configurations that are refused. Unless a configuration says otherwise,
//! what fails becomes a dead letter.

use super::{JSON, OUT, STRING, Whole, whole};
use crate::sets::SetId;

const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
const BOOLEAN: &str = "org.apache.kafka.connect.converters.BooleanConverter";
const SHORT: &str = "org.apache.kafka.connect.converters.ShortConverter";
const INTEGER: &str = "org.apache.kafka.connect.converters.IntegerConverter";
const LONG: &str = "org.apache.kafka.connect.converters.LongConverter";
const FLOAT: &str = "org.apache.kafka.connect.converters.FloatConverter";
const DOUBLE: &str = "org.apache.kafka.connect.converters.DoubleConverter";
const SIMPLE: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

const KEY: &str = "key.converter";
const VALUE: &str = "value.converter";
const HEADER: &str = "header.converter";
const KEY_ENCODING: &str = "key.converter.converter.encoding";
const VALUE_ENCODING: &str = "value.converter.converter.encoding";
const KEY_PLAIN: (&str, &str) = ("key.converter.schemas.enable", "false");
const PLAIN: (&str, &str) = ("value.converter.schemas.enable", "false");
const KEEP_NULL: (&str, &str) = ("value.converter.replace.null.with.default", "false");
const CONTENT: (&str, &str) = (
    "value.converter.schema.content",
    r#"{"type":"struct","name":"fixed","optional":true,"fields":[{"field":"id","type":"int64","optional":true},{"field":"name","type":"string","optional":true,"default":"none"}]}"#,
);
const INT_CONTENT: (&str, &str) = ("value.converter.schema.content", r#"{"type":"int64","optional":true,"default":5}"#);

pub(super) fn all() -> impl Iterator<Item = &'static Whole> {
    CONVERTERS.iter().chain(CHAINS).chain(ERRORS).chain(REFUSED)
}

#[rustfmt::skip] // a row is a line
const CONVERTERS: &[Whole] = &[
    whole("convert.default", SetId::Plain, &[], &[]),
    whole("convert.default-typed", SetId::Typed, &[], &[]),
    whole("convert.json", SetId::Json, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN], &[("value.converter.schemas.enable", OUT)]),
    whole("convert.json-plain", SetId::Plain, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN], &[("key.converter.schemas.enable", OUT), ("value.converter.schemas.enable", OUT)]),
    whole("convert.json-typed", SetId::Typed, &[(KEY, JSON), (VALUE, JSON)], &[(KEY, STRING), (VALUE, STRING)]),
    whole("convert.json-typed-as-plain", SetId::Typed, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN], &[]),
    whole("convert.json-plain-as-typed", SetId::Plain, &[(KEY, JSON), (VALUE, JSON)], &[]),
    whole("convert.json-keep-null", SetId::Typed, &[(KEY, JSON), (VALUE, JSON), KEEP_NULL], &[("value.converter.replace.null.with.default", OUT)]),
    whole("convert.json-key-keep-null", SetId::Typed, &[(KEY, JSON), ("key.converter.replace.null.with.default", "false"), (VALUE, JSON)], &[("key.converter.replace.null.with.default", OUT)]),
    whole("convert.json-small-cache", SetId::Typed, &[(KEY, JSON), (VALUE, JSON), ("value.converter.schemas.cache.size", "1")], &[]),
    whole("convert.json-numeric", SetId::Fits, &[(KEY, JSON), (VALUE, JSON), ("value.converter.decimal.format", "numeric")], &[]),
    whole("convert.json-content", SetId::Plain, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), CONTENT], &[("value.converter.schema.content", OUT)]),
    whole("convert.json-content-unused", SetId::Plain, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, CONTENT], &[]),
    whole("convert.json-content-number", SetId::Json, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), INT_CONTENT], &[("value.converter.schema.content", OUT)]),
    whole("convert.json-content-keep-null", SetId::Plain, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), CONTENT, KEEP_NULL], &[("value.converter.replace.null.with.default", OUT)]),
    whole("convert.fits", SetId::Fits, &[(KEY, JSON), (VALUE, JSON)], &[]),
    whole("convert.fits-keep-null", SetId::Fits, &[(KEY, JSON), (VALUE, JSON), KEEP_NULL], &[("value.converter.replace.null.with.default", OUT)]),
    whole("convert.envelopes", SetId::Envelopes, &[(KEY, JSON), (VALUE, JSON)], &[]),
    whole("convert.string", SetId::Bytes, &[(KEY, STRING), (VALUE, STRING)], &[(KEY, BYTES), (VALUE, BYTES)]),
    whole("convert.ascii", SetId::Bytes, &[(KEY, STRING), (KEY_ENCODING, "US-ASCII"), (VALUE, STRING), (VALUE_ENCODING, "ASCII")], &[(KEY_ENCODING, OUT), (VALUE_ENCODING, OUT)]),
    whole("convert.latin1", SetId::Bytes, &[(KEY, STRING), (KEY_ENCODING, "ISO-8859-1"), (VALUE, STRING), (VALUE_ENCODING, "latin1")], &[(KEY_ENCODING, OUT), (VALUE_ENCODING, OUT)]),
    whole("convert.utf16", SetId::Bytes, &[(KEY, STRING), (KEY_ENCODING, "UTF-16"), (VALUE, STRING), (VALUE_ENCODING, "UTF-16LE")], &[(KEY_ENCODING, OUT), (VALUE_ENCODING, OUT)]),
    whole("convert.utf16-big", SetId::Bytes, &[(KEY, STRING), (KEY_ENCODING, "utf-16be"), (VALUE, STRING), (VALUE_ENCODING, "UTF8")], &[(KEY_ENCODING, OUT)]),
    whole("convert.bytes", SetId::Bytes, &[(KEY, BYTES), (VALUE, BYTES)], &[(KEY, STRING), (VALUE, STRING)]),
    whole("convert.boolean", SetId::Bytes, &[(KEY, BYTES), (VALUE, BOOLEAN)], &[(VALUE, BYTES)]),
    whole("convert.short", SetId::Bytes, &[(KEY, BYTES), (VALUE, SHORT)], &[(VALUE, BYTES)]),
    whole("convert.integer", SetId::Bytes, &[(KEY, BYTES), (VALUE, INTEGER)], &[(VALUE, BYTES)]),
    whole("convert.long", SetId::Bytes, &[(KEY, BYTES), (VALUE, LONG)], &[(VALUE, BYTES)]),
    whole("convert.float", SetId::Bytes, &[(KEY, BYTES), (VALUE, FLOAT)], &[(VALUE, BYTES)]),
    whole("convert.double", SetId::Bytes, &[(KEY, BYTES), (VALUE, DOUBLE)], &[(VALUE, BYTES)]),
    whole("convert.boolean-key", SetId::Bytes, &[(KEY, BOOLEAN), (VALUE, BYTES)], &[(KEY, BYTES)]),
    whole("convert.short-key", SetId::Bytes, &[(KEY, SHORT), (VALUE, BYTES)], &[(KEY, BYTES)]),
    whole("convert.integer-key", SetId::Bytes, &[(KEY, INTEGER), (VALUE, BYTES)], &[(KEY, BYTES)]),
    whole("convert.long-key", SetId::Bytes, &[(KEY, LONG), (VALUE, BYTES)], &[(KEY, BYTES)]),
    whole("convert.float-key", SetId::Bytes, &[(KEY, FLOAT), (VALUE, BYTES)], &[(KEY, BYTES)]),
    whole("convert.double-key", SetId::Bytes, &[(KEY, DOUBLE), (VALUE, BYTES)], &[(KEY, BYTES)]),
    whole("convert.json-bytes", SetId::Bytes, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN], &[]),
    whole("headers.simple", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, SIMPLE)], &[(HEADER, STRING)]),
    whole("headers.default", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN], &[]),
    whole("headers.string", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, STRING)], &[(HEADER, SIMPLE)]),
    whole("headers.utf16", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, STRING), ("header.converter.converter.encoding", "UTF-16BE")], &[("header.converter.converter.encoding", OUT)]),
    whole("headers.bytes", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, BYTES)], &[(HEADER, STRING)]),
    whole("headers.json", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, JSON), ("header.converter.schemas.enable", "false")], &[("header.converter.schemas.enable", OUT)]),
    whole("headers.json-typed", SetId::TypedHeaders, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, JSON)], &[("header.converter", SIMPLE)]),
    whole("headers.json-keep-null", SetId::TypedHeaders, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, JSON), ("header.converter.replace.null.with.default", "false")], &[("header.converter.replace.null.with.default", OUT)]),
    whole("headers.boolean", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, BOOLEAN)], &[(HEADER, STRING)]),
    whole("headers.short", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, SHORT)], &[(HEADER, STRING)]),
    whole("headers.integer", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, INTEGER)], &[(HEADER, STRING)]),
    whole("headers.long", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, LONG)], &[(HEADER, STRING)]),
    whole("headers.float", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, FLOAT)], &[(HEADER, STRING)]),
    whole("headers.double", SetId::Headers, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, DOUBLE)], &[(HEADER, STRING)]),
];

const T: &str = "transforms";
const HOIST: &str = "org.apache.kafka.connect.transforms.HoistField$Value";
const INSERT: &str = "org.apache.kafka.connect.transforms.InsertField$Value";
const REPLACE: &str = "org.apache.kafka.connect.transforms.ReplaceField$Value";
const CAST: &str = "org.apache.kafka.connect.transforms.Cast$Value";
const TIME: &str = "org.apache.kafka.connect.transforms.TimestampConverter$Value";
const TO_KEY: &str = "org.apache.kafka.connect.transforms.ValueToKey";
const EXTRACT: &str = "org.apache.kafka.connect.transforms.ExtractField$Value";
const EXTRACT_KEY: &str = "org.apache.kafka.connect.transforms.ExtractField$Key";
const ROUTER: &str = "org.apache.kafka.connect.transforms.RegexRouter";

/// Several transforms, and transforms on what other converters make.
#[rustfmt::skip] // a row is a line
const CHAINS: &[Whole] = &[
    whole("chain.four-plain", SetId::Plain, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (T, "a,b,c,d"), ("transforms.a.type", REPLACE), ("transforms.a.exclude", "nested"), ("transforms.b.type", INSERT), ("transforms.b.static.field", "s"), ("transforms.b.static.value", "x"), ("transforms.c.type", CAST), ("transforms.c.spec", "id:string"), ("transforms.d.type", TIME), ("transforms.d.field", "ts"), ("transforms.d.target.type", "string"), ("transforms.d.format", "yyyy")], &[(T, "a,b,c"), (T, "d,c,b"), (T, "a")]),
    whole("chain.four-typed", SetId::Typed, &[(KEY, JSON), (VALUE, JSON), (T, "a,b,c,d"), ("transforms.a.type", REPLACE), ("transforms.a.exclude", "nested"), ("transforms.b.type", INSERT), ("transforms.b.static.field", "s"), ("transforms.b.static.value", "x"), ("transforms.c.type", CAST), ("transforms.c.spec", "id:string"), ("transforms.d.type", TIME), ("transforms.d.field", "ts"), ("transforms.d.target.type", "string"), ("transforms.d.format", "yyyy")], &[(T, "a,b,c"), (T, "b,c,d")]),
    whole("chain.key-typed", SetId::Typed, &[(KEY, STRING), (VALUE, JSON), (T, "a,b"), ("transforms.a.type", TO_KEY), ("transforms.a.fields", "id"), ("transforms.b.type", EXTRACT_KEY), ("transforms.b.field", "id")], &[(T, "a")]),
    whole("chain.key-plain", SetId::Plain, &[(KEY, STRING), (VALUE, JSON), PLAIN, (T, "a,b"), ("transforms.a.type", TO_KEY), ("transforms.a.fields", "id"), ("transforms.b.type", EXTRACT_KEY), ("transforms.b.field", "id")], &[(T, "a")]),
    whole("chain.route-insert", SetId::Plain, &[(KEY, STRING), (VALUE, JSON), PLAIN, (T, "a,b"), ("transforms.a.type", ROUTER), ("transforms.a.regex", ".*"), ("transforms.a.replacement", "routed"), ("transforms.b.type", INSERT), ("transforms.b.topic.field", "t")], &[(T, "b,a")]),
    whole("chain.hoist-text", SetId::Bytes, &[(KEY, BYTES), (VALUE, STRING), (T, "a"), ("transforms.a.type", HOIST), ("transforms.a.field", "line")], &[("transforms.a.field", "other")]),
    whole("chain.hoist-bytes", SetId::Bytes, &[(KEY, BYTES), (VALUE, BYTES), (T, "a"), ("transforms.a.type", HOIST), ("transforms.a.field", "line")], &[("transforms.a.field", "other")]),
    whole("chain.hoist-long", SetId::Bytes, &[(KEY, BYTES), (VALUE, LONG), (T, "a"), ("transforms.a.type", HOIST), ("transforms.a.field", "n")], &[("transforms.a.field", "other")]),
    whole("chain.cast-text", SetId::Bytes, &[(KEY, BYTES), (VALUE, STRING), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "boolean")], &[("transforms.a.spec", "int8")]),
    whole("chain.cast-bytes", SetId::Bytes, &[(KEY, BYTES), (VALUE, BYTES), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "string")], &[("transforms.a.spec", "int8")]),
    whole("chain.cast-double", SetId::Bytes, &[(KEY, BYTES), (VALUE, DOUBLE), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int32")], &[("transforms.a.spec", "string")]),
    whole("chain.cast-float", SetId::Bytes, &[(KEY, BYTES), (VALUE, FLOAT), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "string")], &[("transforms.a.spec", "int8")]),
    whole("chain.insert-text", SetId::Bytes, &[(KEY, BYTES), (VALUE, STRING), (T, "a"), ("transforms.a.type", INSERT), ("transforms.a.offset.field", "o")], &[]),
    whole("chain.key-of-text", SetId::Bytes, &[(KEY, BYTES), (VALUE, STRING), (T, "a,b"), ("transforms.a.type", HOIST), ("transforms.a.field", "line"), ("transforms.b.type", TO_KEY), ("transforms.b.fields", "line")], &[(T, "a")]),
    whole("chain.widths", SetId::Plain, &[(KEY, STRING), (VALUE, JSON), PLAIN, (T, "a,b"), ("transforms.a.type", CAST), ("transforms.a.spec", "id:int32"), ("transforms.b.type", TIME), ("transforms.b.field", "id"), ("transforms.b.target.type", "Timestamp")], &[]),
    whole("chain.extract-insert", SetId::Typed, &[(KEY, JSON), (VALUE, JSON), (T, "a,b"), ("transforms.a.type", EXTRACT), ("transforms.a.field", "nested"), ("transforms.b.type", INSERT), ("transforms.b.static.field", "s"), ("transforms.b.static.value", "x")], &[(T, "b"), (T, "a")]),
    whole("chain.json-headers", SetId::TypedHeaders, &[(KEY, JSON), KEY_PLAIN, (VALUE, JSON), PLAIN, (HEADER, JSON), (T, "a"), ("transforms.a.type", "org.apache.kafka.connect.transforms.DropHeaders"), ("transforms.a.headers", "g")], &[("transforms.a.headers", "h")]),
];

/// Outcomes of whole connectors.
#[rustfmt::skip] // a row is a line
const ERRORS: &[Whole] = &[
    whole("errors.none-poison", SetId::Poison, &[(KEY, STRING), (VALUE, JSON), PLAIN, ("errors.tolerance", "none")], &[("errors.tolerance", "all")]),
    whole("errors.default-poison", SetId::Poison, &[(KEY, STRING), (VALUE, JSON), PLAIN, ("errors.tolerance", "none"), ("errors.log.enable", "true"), ("errors.log.include.messages", "true")], &[]),
    whole("errors.all-poison", SetId::Poison, &[(KEY, STRING), (VALUE, JSON), PLAIN, ("errors.tolerance", "all"), ("errors.log.enable", "true")], &[("errors.tolerance", "none")]),
    whole("errors.no-context", SetId::Poison, &[(KEY, STRING), (VALUE, JSON), PLAIN, ("errors.tolerance", "all"), ("errors.deadletterqueue.context.headers.enable", "false")], &[("errors.deadletterqueue.context.headers.enable", OUT)]),
    whole("errors.none-good", SetId::Good, &[(KEY, STRING), (VALUE, JSON), PLAIN, ("errors.tolerance", "none")], &[]),
    whole("errors.none-envelope", SetId::Good, &[(KEY, STRING), (VALUE, JSON), ("errors.tolerance", "none")], &[]),
    whole("errors.none-transform", SetId::Good, &[(KEY, STRING), (VALUE, JSON), PLAIN, ("errors.tolerance", "none"), (T, "a"), ("transforms.a.type", EXTRACT), ("transforms.a.field", "id"), ("transforms.a.x", "y")], &[]),
    whole("errors.none-cast", SetId::Good, &[(KEY, STRING), (VALUE, STRING), ("errors.tolerance", "none"), (T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int8")], &[("errors.tolerance", "all")]),
    whole("errors.retry", SetId::Poison, &[(KEY, STRING), (VALUE, JSON), PLAIN, ("errors.retry.timeout", "1000"), ("errors.retry.delay.max.ms", "100")], &[]),
];

/// What is accepted on neither side, or fails when the task starts.
#[rustfmt::skip] // a row is a line
const REFUSED: &[Whole] = &[
    whole("refused.cast-empty", SetId::Good, &[(T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "")], &[]),
    whole("refused.cast-unknown", SetId::Good, &[(T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "foo:faketype")], &[]),
    whole("refused.cast-array", SetId::Good, &[(T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "foo:array")], &[]),
    whole("refused.cast-bytes", SetId::Good, &[(T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "foo:bytes")], &[]),
    whole("refused.cast-three", SetId::Good, &[(T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "foo:int8:extra")], &[]),
    whole("refused.cast-mixed", SetId::Good, &[(T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "foo:int8,int32")], &[]),
    whole("refused.no-field", SetId::Good, &[(T, "a"), ("transforms.a.type", EXTRACT)], &[]),
    whole("refused.syntax", SetId::Good, &[(T, "a"), ("transforms.a.type", EXTRACT), ("transforms.a.field", "a.b"), ("transforms.a.field.syntax.version", "V3")], &[]),
    whole("refused.path", SetId::Good, &[(T, "a"), ("transforms.a.type", EXTRACT), ("transforms.a.field", "`a.b"), ("transforms.a.field.syntax.version", "V2")], &[]),
    whole("refused.regex", SetId::Good, &[(T, "a"), ("transforms.a.type", ROUTER), ("transforms.a.regex", "(["), ("transforms.a.replacement", "x")], &[]),
    whole("refused.target", SetId::Good, &[(T, "a"), ("transforms.a.type", TIME), ("transforms.a.target.type", "invalid")], &[]),
    whole("refused.no-target", SetId::Good, &[(T, "a"), ("transforms.a.type", TIME)], &[]),
    whole("refused.precision", SetId::Good, &[(T, "a"), ("transforms.a.type", TIME), ("transforms.a.target.type", "unix"), ("transforms.a.unix.precision", "invalid")], &[]),
    whole("refused.no-format", SetId::Good, &[(T, "a"), ("transforms.a.type", TIME), ("transforms.a.target.type", "string")], &[]),
    whole("refused.format", SetId::Good, &[(T, "a"), ("transforms.a.type", TIME), ("transforms.a.target.type", "string"), ("transforms.a.format", "bad-format")], &[]),
    whole("refused.headers-more", SetId::Good, &[(T, "a"), ("transforms.a.type", "org.apache.kafka.connect.transforms.HeaderFrom$Value"), ("transforms.a.fields", "a"), ("transforms.a.headers", "a,b"), ("transforms.a.operation", "move")], &[]),
    whole("refused.headers-none", SetId::Good, &[(T, "a"), ("transforms.a.type", "org.apache.kafka.connect.transforms.HeaderFrom$Value"), ("transforms.a.fields", ""), ("transforms.a.headers", ""), ("transforms.a.operation", "move")], &[]),
    whole("refused.operation", SetId::Good, &[(T, "a"), ("transforms.a.type", "org.apache.kafka.connect.transforms.HeaderFrom$Value"), ("transforms.a.fields", "a"), ("transforms.a.headers", "b"), ("transforms.a.operation", "delete")], &[]),
    whole("refused.mask-empty", SetId::Good, &[(T, "a"), ("transforms.a.type", "org.apache.kafka.connect.transforms.MaskField$Value"), ("transforms.a.fields", "a"), ("transforms.a.replacement", "")], &[]),
    whole("refused.renames", SetId::Good, &[(T, "a"), ("transforms.a.type", REPLACE), ("transforms.a.renames", "a")], &[]),
    whole("refused.nothing-to-insert", SetId::Good, &[(T, "a"), ("transforms.a.type", INSERT)], &[]),
    whole("refused.unknown-class", SetId::Good, &[(T, "a"), ("transforms.a.type", "org.apache.kafka.connect.transforms.Nothing")], &[]),
    whole("refused.abstract", SetId::Good, &[(T, "a"), ("transforms.a.type", "org.apache.kafka.connect.transforms.Cast"), ("transforms.a.spec", "int8")], &[]),
    whole("refused.no-type", SetId::Good, &[(T, "a"), ("transforms.a.spec", "int8")], &[]),
    whole("refused.twice", SetId::Good, &[(T, "a,a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int8")], &[]),
    whole("refused.no-predicate", SetId::Good, &[(T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int8"), ("transforms.a.predicate", "p")], &[]),
    whole("refused.negate-alone", SetId::Good, &[(T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int8"), ("transforms.a.negate", "true")], &[]),
    whole("refused.negate-word", SetId::Good, &[(T, "a"), ("transforms.a.type", CAST), ("transforms.a.spec", "int8"), ("transforms.a.negate", "yes")], &[]),
    whole("refused.predicate-pattern", SetId::Good, &[("predicates", "p"), ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.TopicNameMatches"), ("predicates.p.pattern", "([")], &[]),
    whole("refused.predicate-name", SetId::Good, &[("predicates", "p"), ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.HasHeaderKey")], &[]),
    whole("refused.converter", SetId::Good, &[(VALUE, "org.example.Nothing")], &[]),
    whole("refused.simple-value", SetId::Good, &[(VALUE, SIMPLE)], &[]),
    whole("refused.enable", SetId::Good, &[(VALUE, JSON), ("value.converter.schemas.enable", "maybe")], &[]),
    whole("refused.decimal", SetId::Good, &[(VALUE, JSON), ("value.converter.decimal.format", "TEXT")], &[]),
    whole("refused.encoding", SetId::Good, &[(VALUE, STRING), ("value.converter.converter.encoding", "klingon")], &[]),
    whole("refused.content", SetId::Good, &[(VALUE, JSON), ("value.converter.schema.content", "{")], &[]),
    whole("refused.tolerance", SetId::Good, &[("errors.tolerance", "some")], &[]),
    whole("refused.tasks", SetId::Good, &[("tasks.max", "x")], &[]),
];
