//! Transforms with every option, and predicates. Each row is tried on keys and values, with and without schemas, as it says.

use super::On::{All, Plain, Record, Typed, TypedRecord, TypedValue};
use super::{OUT, Row, row};

/// `replace.null.with.default=false`
pub(super) const KEEP_NULL: (&str, &str) = ("replace.null.with.default", "false");
const NULL_IS_DEFAULT: (&str, &str) = ("replace.null.with.default", OUT);

const TOMBSTONES: (&str, &str) =
    ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone");
const HEADER: (&str, &str) = ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.HasHeaderKey");
const TOPIC: (&str, &str) = ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.TopicNameMatches");
const P: (&str, &str) = ("predicates", "p");
const IF_P: (&str, &str) = ("predicate", "p");
const UNLESS: (&str, &str) = ("negate", "true");

#[rustfmt::skip] // a row is a line
pub(crate) const ROWS: &[Row] = &[
    // --- Cast
    row("cast.fields", "Cast", All, &[("spec", "id:string,price:int32,active:int8,text:float64,name:string")], &[("spec", "id:int8")]),
    row("cast.narrow", "Cast", All, &[("spec", "id:int8,big:int16,price:int64,ts:int32,unix:int32,num:int16,text:int16")], &[("spec", "id:int64")]),
    row("cast.boolean", "Cast", All, &[("spec", "id:boolean,price:boolean,text:boolean,active:string,tiny:boolean")], &[("spec", "id:int8")]),
    row("cast.float", "Cast", All, &[("spec", "id:float32,price:float32,text:float64,big:float64,ts:float64,unix:float32")], &[("spec", "id:int8")]),
    row("cast.to-text", "Cast", All, &[("spec", "price:string,ratio:string,ts:string,date:string,time:string,amount:string,raw:string,big:string,active:string")], &[("spec", "price:int8")]),
    row("cast.to-number", "Cast", Typed, &[("spec", "ts:int64,date:int32,time:float64,amount:int8,ratio:int16")], &[("spec", "ts:string")]),
    row("cast.amount", "Cast", Typed, &[("spec", "amount:float64,small:float32,num:int64")], &[("spec", "amount:string")]),
    row("cast.nested", "Cast", All, &[("spec", "nested:string")], &[("spec", "id:string")]),
    row("cast.tags", "Cast", All, &[("spec", "tags:int32")], &[("spec", "id:string")]),
    row("cast.spaces", "Cast", All, &[("spec", " id:string , price:int8 ")], &[("spec", "id:int8")]),
    row("cast.whole-text", "Cast", All, &[("spec", "string")], &[("spec", "boolean")]),
    row("cast.whole-int8", "Cast", All, &[("spec", "int8")], &[("spec", "string")]),
    row("cast.whole-int32", "Cast", All, &[("spec", "int32")], &[("spec", "string")]),
    row("cast.whole-int64", "Cast", All, &[("spec", "int64")], &[("spec", "string")]),
    row("cast.whole-float", "Cast", All, &[("spec", "float32")], &[("spec", "string")]),
    row("cast.whole-double", "Cast", All, &[("spec", "float64")], &[("spec", "string")]),
    row("cast.whole-boolean", "Cast", All, &[("spec", "boolean")], &[("spec", "string")]),
    row("cast.keep-null", "Cast", Typed, &[("spec", "id:string"), KEEP_NULL], &[NULL_IS_DEFAULT]),
    // --- DropHeaders, InsertHeader
    row("drop-headers", "DropHeaders", Record, &[("headers", "a")], &[("headers", "c")]),
    row("drop-headers.several", "DropHeaders", Record, &[("headers", "b, c,x")], &[("headers", "b")]),
    row("insert-header.text", "InsertHeader", Record, &[("header", "new"), ("value.literal", "text")], &[("header", "other"), ("value.literal", "other")]),
    row("insert-header.number", "InsertHeader", Record, &[("header", "a"), ("value.literal", "300")], &[("value.literal", "5")]),
    row("insert-header.list", "InsertHeader", Record, &[("header", "a"), ("value.literal", "[1, 300]")], &[("value.literal", "x")]),
    row("insert-header.map", "InsertHeader", Record, &[("header", "a"), ("value.literal", "{\"a\":\"b\"}")], &[("value.literal", "x")]),
    row("insert-header.null", "InsertHeader", Record, &[("header", "a"), ("value.literal", "null")], &[("value.literal", "x")]),
    row("insert-header.time", "InsertHeader", Record, &[("header", "a"), ("value.literal", "2023-11-14T22:13:20.123Z")], &[("value.literal", "x")]),
    row("insert-header.decimal", "InsertHeader", Record, &[("header", "a"), ("value.literal", "12345678901234567890.5")], &[("value.literal", "x")]),
    // --- ExtractField
    row("extract.text", "ExtractField", All, &[("field", "name")], &[("field", "id")]),
    row("extract.number", "ExtractField", All, &[("field", "price")], &[("field", "id")]),
    row("extract.struct", "ExtractField", All, &[("field", "nested")], &[("field", "id")]),
    row("extract.missing", "ExtractField", All, &[("field", "first")], &[("field", "id")]),
    row("extract.path", "ExtractField", All, &[("field", "nested.city"), ("field.syntax.version", "V2")], &[("field.syntax.version", OUT), ("field", "nested")]),
    row("extract.long-path", "ExtractField", All, &[("field", "nested.geo.lat"), ("field.syntax.version", "V2")], &[("field", "nested")]),
    row("extract.dotted", "ExtractField", Plain, &[("field", "nested.city")], &[("field", "nested")]),
    row("extract.backticks", "ExtractField", Plain, &[("field", "`nested.city`"), ("field.syntax.version", "V2")], &[("field.syntax.version", "V1")]),
    row("extract.path-backticks", "ExtractField", Plain, &[("field", "nested.`a.b`"), ("field.syntax.version", "v2")], &[("field.syntax.version", "V1")]),
    row("extract.keep-null", "ExtractField", Typed, &[("field", "price"), KEEP_NULL], &[NULL_IS_DEFAULT]),
    // --- Filter and predicates
    row("filter", "Filter", Record, &[], &[]),
    row("filter.tombstones", "Filter", Record, &[P, TOMBSTONES, IF_P], &[IF_P_OUT]),
    row("filter.others", "Filter", Record, &[P, TOMBSTONES, IF_P, UNLESS], &[("negate", OUT)]),
    row("filter.header", "Filter", Record, &[P, HEADER, ("predicates.p.name", "a"), IF_P], &[("predicates.p.name", "z")]),
    row("filter.no-header", "Filter", Record, &[P, HEADER, ("predicates.p.name", "c"), IF_P, UNLESS], &[("negate", "false"), ("predicates.p.name", "z")]),
    row("filter.topic", "Filter", Record, &[P, TOPIC, ("predicates.p.pattern", "(plain|typed)_.*"), IF_P], &[("predicates.p.pattern", "plain|typed")]),
    row("filter.other-topic", "Filter", Record, &[P, TOPIC, ("predicates.p.pattern", "[a-z]+"), IF_P, UNLESS], &[("negate", OUT), ("predicates.p.pattern", ".*")]),
    row("predicate.mask", "MaskField", All, &[("fields", "name"), P, HEADER, ("predicates.p.name", "b"), IF_P], &[IF_P_OUT, ("predicates.p.name", "z")]),
    row("predicate.not", "HoistField", All, &[("field", "x"), P, TOMBSTONES, IF_P, UNLESS], &[("negate", OUT)]),
    // --- Flatten
    row("flatten", "Flatten", All, &[], &[]),
    row("flatten.delimiter", "Flatten", All, &[("delimiter", "_")], &[("delimiter", OUT)]),
    row("flatten.none", "Flatten", All, &[("delimiter", "")], &[("delimiter", OUT)]),
    // --- HeaderFrom
    row("header-from.move", "HeaderFrom", All, &[("fields", "id,name"), ("headers", "h1,a"), ("operation", "move")], &[("operation", "copy"), ("fields", "name,id"), ("headers", "a,h1")]),
    row("header-from.copy", "HeaderFrom", All, &[("fields", "id,nested,active"), ("headers", "x,y,z"), ("operation", "copy")], &[("operation", "move"), ("fields", "id,id,id"), ("headers", "x,x,x")]),
    row("header-from.missing", "HeaderFrom", All, &[("fields", "first"), ("headers", "x"), ("operation", "copy")], &[("fields", "id")]),
    row("header-from.keep-null", "HeaderFrom", Typed, &[("fields", "price"), ("headers", "x"), ("operation", "copy"), KEEP_NULL], &[NULL_IS_DEFAULT]),
    row("header-from.types", "HeaderFrom", Typed, &[("fields", "ts,date,time,amount,raw,tags,attrs,counts,ratio"), ("headers", "a,b,c,d,e,f,g,h,i"), ("operation", "move")], &[("operation", "copy")]),
    // --- HoistField
    row("hoist", "HoistField", All, &[("field", "inner")], &[("field", "other")]),
    // --- InsertField
    row("insert.all", "InsertField", All, &[("topic.field", "t!"), ("partition.field", "p"), ("offset.field", "o?"), ("timestamp.field", "at"), ("static.field", "s"), ("static.value", "text")],
        &[("topic.field", OUT), ("partition.field", OUT), ("offset.field", OUT), ("timestamp.field", OUT), ("static.field", OUT), ("static.value", "other")]),
    row("insert.required", "InsertField", Typed, &[("topic.field", "t"), ("partition.field", "p!"), ("offset.field", "o!"), ("timestamp.field", "at!"), ("static.field", "s!"), ("static.value", "x")],
        &[("topic.field", "t!"), ("partition.field", "p"), ("offset.field", "o"), ("timestamp.field", "at"), ("static.field", "s")]),
    row("insert.over", "InsertField", All, &[("static.field", "name"), ("static.value", "new")], &[("static.field", "id")]),
    row("insert.no-value", "InsertField", All, &[("static.field", "s")], &[]),
    row("insert.keep-null", "InsertField", Typed, &[("static.field", "s"), ("static.value", "x"), KEEP_NULL], &[NULL_IS_DEFAULT]),
    // --- MaskField
    row("mask", "MaskField", All, &[("fields", "name,id,price,active,text,big")], &[("fields", "name")]),
    row("mask.nested", "MaskField", All, &[("fields", "tags,nested,day")], &[("fields", "tags")]),
    row("mask.types", "MaskField", TypedValue, &[("fields", "ts,date,time,tags,attrs,counts,tiny,small,num,ratio")], &[("fields", "ts")]),
    row("mask.amount", "MaskField", Typed, &[("fields", "amount")], &[("fields", "name")]),
    row("mask.raw", "MaskField", Typed, &[("fields", "raw")], &[("fields", "name")]),
    row("mask.number", "MaskField", All, &[("fields", "id"), ("replacement", "77")], &[("replacement", OUT)]),
    row("mask.text", "MaskField", All, &[("fields", "name"), ("replacement", "***")], &[("replacement", OUT)]),
    row("mask.float", "MaskField", All, &[("fields", "price"), ("replacement", "7.25")], &[("replacement", OUT)]),
    row("mask.misfit", "MaskField", All, &[("fields", "name,id"), ("replacement", "x")], &[("replacement", "1")]),
    row("mask.misfit-boolean", "MaskField", All, &[("fields", "active"), ("replacement", "true")], &[("replacement", OUT)]),
    row("mask.amount-by", "MaskField", Typed, &[("fields", "amount"), ("replacement", "12.5")], &[("replacement", OUT)]),
    row("mask.small-by", "MaskField", Typed, &[("fields", "tiny,small,num,ratio"), ("replacement", "100")], &[("replacement", OUT)]),
    row("mask.missing", "MaskField", All, &[("fields", "first")], &[]),
    row("mask.keep-null", "MaskField", Typed, &[("fields", "name"), KEEP_NULL], &[NULL_IS_DEFAULT]),
    // --- RegexRouter, TimestampRouter
    row("regex-router", "RegexRouter", Record, &[("regex", "([a-z]+)_(.*)"), ("replacement", "$2-$1")], &[("regex", "x"), ("replacement", "$1")]),
    row("regex-router.part", "RegexRouter", Record, &[("regex", "[a-z]+"), ("replacement", "x")], &[("regex", ".*")]),
    row("regex-router.lazy", "RegexRouter", Record, &[("regex", "(?i)(P|T)(.*?)_.*"), ("replacement", "$1_\\$2")], &[("replacement", "$1_$2")]),
    row("timestamp-router", "TimestampRouter", Record, &[], &[]),
    row("timestamp-router.format", "TimestampRouter", Record, &[("topic.format", "x-${timestamp}-${topic}"), ("timestamp.format", "yyyy/MM/dd HH:mm:ss.SSS")], &[("topic.format", OUT), ("timestamp.format", OUT)]),
    row("timestamp-router.plain", "TimestampRouter", Record, &[("topic.format", "fixed"), ("timestamp.format", "EEE D")], &[("topic.format", "${timestamp}")]),
    // --- ReplaceField
    row("replace.include", "ReplaceField", All, &[("include", "id,name,first")], &[("include", OUT)]),
    row("replace.exclude", "ReplaceField", All, &[("exclude", "nested,tags")], &[("exclude", OUT)]),
    row("replace.renames", "ReplaceField", All, &[("renames", "id:number,name:label")], &[("renames", OUT)]),
    row("replace.all", "ReplaceField", All, &[("include", "id,name,price"), ("exclude", "price"), ("renames", "id:nr")], &[("include", OUT), ("exclude", OUT), ("renames", OUT)]),
    row("replace.none", "ReplaceField", All, &[], &[]),
    row("replace.swap", "ReplaceField", Typed, &[("renames", "id:name,name:id")], &[("renames", OUT)]),
    row("replace.keep-null", "ReplaceField", Typed, &[("exclude", "name"), KEEP_NULL], &[NULL_IS_DEFAULT]),
    // --- SetSchemaMetadata
    row("metadata.both", "SetSchemaMetadata", All, &[("schema.name", "new.Name"), ("schema.version", "42")], &[]),
    row("metadata.name", "SetSchemaMetadata", Typed, &[("schema.name", "new.Name")], &[("schema.name", OUT)]),
    row("metadata.version", "SetSchemaMetadata", Typed, &[("schema.version", "42")], &[("schema.version", OUT)]),
    row("metadata.keep-null", "SetSchemaMetadata", Typed, &[("schema.version", "42"), KEEP_NULL], &[NULL_IS_DEFAULT]),
    // --- TimestampConverter
    row("time.text", "TimestampConverter", All, &[("field", "ts"), ("target.type", "string"), ("format", "yyyy-MM-dd'T'HH:mm:ss.SSS Z")], &[("field", "id"), ("target.type", "unix"), ("format", "yyyy")]),
    row("time.unix", "TimestampConverter", All, &[("field", "day"), ("target.type", "unix"), ("format", "yyyy-MM-dd HH:mm:ss")], &[("field", "ts"), ("format", "HH")]),
    row("time.unix-seconds", "TimestampConverter", All, &[("field", "day"), ("target.type", "unix"), ("format", "yyyy-MM-dd HH:mm:ss"), ("unix.precision", "seconds")], &[("unix.precision", OUT)]),
    row("time.unix-micros", "TimestampConverter", Typed, &[("field", "ts"), ("target.type", "unix"), ("unix.precision", "microseconds")], &[("unix.precision", "nanoseconds")]),
    row("time.unix-nanos", "TimestampConverter", Typed, &[("field", "ts"), ("target.type", "unix"), ("unix.precision", "nanoseconds")], &[("unix.precision", OUT)]),
    row("time.from-seconds", "TimestampConverter", All, &[("field", "id"), ("target.type", "Timestamp"), ("unix.precision", "seconds")], &[("unix.precision", OUT)]),
    row("time.date", "TimestampConverter", All, &[("field", "ts"), ("target.type", "Date")], &[("target.type", "Time")]),
    row("time.time", "TimestampConverter", All, &[("field", "ts"), ("target.type", "Time")], &[("target.type", "Timestamp")]),
    row("time.timestamp", "TimestampConverter", All, &[("field", "day"), ("target.type", "Timestamp"), ("format", "yyyy-MM-dd HH:mm:ss")], &[("target.type", "Date")]),
    row("time.from-date", "TimestampConverter", Typed, &[("field", "date"), ("target.type", "unix")], &[("target.type", "Timestamp")]),
    row("time.from-time", "TimestampConverter", Typed, &[("field", "time"), ("target.type", "string"), ("format", "HH:mm:ss")], &[("format", "mm")]),
    row("time.whole-text", "TimestampConverter", All, &[("target.type", "string"), ("format", "yyyy-MM-dd HH:mm:ss")], &[("format", "yyyy")]),
    row("time.whole-unix", "TimestampConverter", All, &[("target.type", "unix"), ("format", "yyyy-MM-dd HH:mm:ss")], &[("target.type", "Timestamp")]),
    row("time.whole-date", "TimestampConverter", All, &[("target.type", "Date")], &[("target.type", "Time")]),
    row("time.keep-null", "TimestampConverter", Typed, &[("field", "unix"), ("target.type", "Timestamp"), KEEP_NULL], &[NULL_IS_DEFAULT]),
    row("time.lenient", "TimestampConverter", All, &[("field", "text"), ("target.type", "unix"), ("format", "dd")], &[("format", "HH")]),
    row("time.letters", "TimestampConverter", All, &[("field", "ts"), ("target.type", "string"), ("format", "EEEE, d MMMM yy h:mm a z XXX kk K D")], &[("format", "yyyy")]),
    // --- ValueToKey
    row("value-to-key", "ValueToKey", Record, &[("fields", "id,name")], &[("fields", "id")]),
    row("value-to-key.nested", "ValueToKey", Record, &[("fields", "nested")], &[("fields", "id")]),
    row("value-to-key.missing", "ValueToKey", Record, &[("fields", "first")], &[("fields", "id")]),
    row("value-to-key.keep-null", "ValueToKey", TypedRecord, &[("fields", "price,name"), KEEP_NULL], &[NULL_IS_DEFAULT]),
];

const IF_P_OUT: (&str, &str) = ("predicate", OUT);
