//! Payloads whose schemas are in a registry. What stands for a schema's id here is its place in the list of its format
//! ([`AVRO`], [`PROTOBUF`], [`JSON`]); the id takes its place when the schemas are registered.

use super::{Sample, both, sample};

/// The schemas of [`avro`].
pub(crate) const AVRO: &[&str] =
    &[ORDER, NEWER, TREE, METADATA, DEFAULTS, UNIONS, PAIRS, SCALARS, LIST, MAP, SUIT, FOUR, "\"bytes\""];

const LIST: &str = r#"{"type":"array","items":["null","long"]}"#;
const MAP: &str = r#"{"type":"record","name":"One","fields":[{"name":"v","type":{"type":"map","values":{"type":"array","items":"string"}}}]}"#;
const SUIT: &str = r#"{"type":"enum","name":"Suit","namespace":"cards","symbols":["HEARTS","SPADES"]}"#;
const FOUR: &str = r#"{"type":"fixed","name":"Four","size":4}"#;
const SCALARS: &str = r#"{"type":"record","name":"Scalars","fields":[
    {"name":"int","type":"int"},{"name":"long","type":"long"},{"name":"float","type":"float"},{"name":"double","type":"double"},
    {"name":"boolean","type":"boolean"},{"name":"text","type":"string"},{"name":"bytes","type":"bytes"},
    {"name":"described","type":["null",{"type":"string","connect.doc":"a text","connect.version":3}]},
    {"name":"int8","type":{"type":"int","connect.type":"int8"}},{"name":"int16","type":{"type":"int","connect.type":"int16"}}]}"#;

const ORDER: &str = r#"{"type":"record","name":"Order","namespace":"shop","doc":"an order","fields":[
    {"name":"id","type":"long","doc":"its number"},
    {"name":"name","type":["null","string"],"default":null},
    {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
    {"name":"day","type":{"type":"int","logicalType":"date"}},
    {"name":"time","type":{"type":"int","logicalType":"time-millis"}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"micros","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"suit","type":{"type":"enum","name":"Suit","symbols":["HEARTS","SPADES"]}},
    {"name":"code","type":{"type":"fixed","name":"Code","size":3}},
    {"name":"tags","type":{"type":"array","items":"string"}},
    {"name":"attrs","type":{"type":"map","values":["null","int"]}},
    {"name":"place","type":["null",{"type":"record","name":"Place","fields":[{"name":"city","type":"string"},{"name":"lat","type":"double"}]}]},
    {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"sku","type":"string"},{"name":"n","type":"int"}]}}},
    {"name":"ratio","type":"float"},{"name":"ok","type":"boolean"},{"name":"raw","type":"bytes"}]}"#;

const NEWER: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"long"},
    {"name":"note","type":"string","default":"none"},
    {"name":"name","type":["null","string"],"default":null}]}"#;

const TREE: &str = r#"{"type":"record","name":"Wrapped","fields":[{"name":"one","type":{"type":"record","name":"Inner","fields":[{"name":"x","type":"int"}]}},
    {"name":"two","type":"Inner"},{"name":"maybe","type":["null","Inner"]}]}"#;

const METADATA: &str = r#"{"type":"record","name":"Meta","fields":[
    {"name":"tiny","type":{"type":"int","connect.type":"int8","connect.version":2,"connect.parameters":{"unit":"piece"}}},
    {"name":"small","type":["null",{"type":"int","connect.type":"int16"}],"default":null},
    {"name":"named","type":{"type":"string","connect.name":"shop.Name","connect.doc":"a name"}},
    {"name":"when","type":{"type":"long","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}},
    {"name":"amount","type":{"type":"bytes","scale":3,"precision":64,"connect.version":1,"connect.parameters":{"scale":"3"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}}],
    "connect.name":"shop.Renamed","connect.version":7,"connect.doc":"meta"}"#;

const DEFAULTS: &str = r#"{"type":"record","name":"Defaults","fields":[
    {"name":"n","type":"int","default":5},{"name":"t","type":"string","default":"d"},
    {"name":"o","type":["int","null"],"default":9},{"name":"b","type":"boolean","default":true},
    {"name":"l","type":{"type":"array","items":"int"},"default":[1,2]},{"name":"d","type":"double","default":1.5}]}"#;

const UNIONS: &str = r#"{"type":"record","name":"Unions","namespace":"u","fields":[
    {"name":"a","type":["int","string"]},{"name":"b","type":["null","long","string",{"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}]},
    {"name":"c","type":["null","boolean",{"type":"array","items":"int"}]}]}"#;

const PAIRS: &str = r#"{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[
    {"name":"key","type":"int"},{"name":"value","type":["null","string"]}]},"connect.internal.type":"MapEntry"}"#;

/// A varint in zigzag.
fn number(value: i64) -> Vec<u8> {
    let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    let mut out = Vec::new();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap());
    out
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [number(i64::try_from(bytes.len()).unwrap()), bytes.to_vec()].concat()
}

fn text(text: &str) -> Vec<u8> {
    bytes(text.as_bytes())
}

/// The prefix with the place of a schema instead of its id, then the parts.
fn of(schema: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let place = [AVRO, PROTOBUF, JSON].iter().find_map(|list| list.iter().position(|known| *known == schema));
    let place = place.expect("a schema of a list");
    [&[0][..], &u32::try_from(place).unwrap().to_be_bytes(), &parts.concat()].concat()
}

fn order(name: Option<&str>, place: Option<&str>, rest: (i64, i64)) -> Vec<u8> {
    let optional = |value: Option<Vec<u8>>| value.map_or_else(|| number(0), |value| [number(1), value].concat());
    of(
        ORDER,
        &[
            number(rest.0),
            optional(name.map(text)),
            bytes(&[0x04, 0xd2]),
            number(rest.1),
            number(80_000_123),
            number(1_700_000_000_123),
            number(1_700_000_000_123_456),
            number(1),
            vec![1, 2, 3],
            [number(2), text("a"), text("ü😀"), number(0)].concat(),
            // a block that tells its size, then one that does not
            [number(-1), number(4), text("x"), number(1), number(-7), number(1), text("y"), number(0), number(0)]
                .concat(),
            optional(place.map(|place| [text(place), 47.5_f64.to_le_bytes().to_vec()].concat())),
            [number(2), text("s1"), number(3), text(""), number(-1), number(0)].concat(),
            0.1_f32.to_le_bytes().to_vec(),
            vec![1],
            bytes(&[0, 255]),
        ],
    )
}

fn scalars(name: &'static str, int: i64, double: f64, described: Option<&str>, words: &str) -> Sample {
    let parts = [
        number(int),
        number(int * 4),
        3.5_f32.to_le_bytes().to_vec(),
        double.to_le_bytes().to_vec(),
        vec![u8::from(described.is_some())],
        text(words),
        bytes(words.as_bytes()),
        described.map_or_else(|| number(0), |described| [number(1), text(described)].concat()),
        number(-128),
        number(32_767),
    ];
    both(name, &of(SCALARS, &parts))
}

pub(crate) fn avro() -> Vec<Sample> {
    let full = order(Some("Ada"), Some("Basel"), (42, 19_675));
    let union = |name, a: Vec<u8>, b: Vec<u8>, c: Vec<u8>| both(name, &of(UNIONS, &[a, b, c]));
    vec![
        both("order", &full),
        both("order-nulls", &order(None, None, (i64::MIN, -1))),
        both("order-limits", &order(Some(""), Some("Zürich"), (i64::MAX, 0))),
        both("newer", &of(NEWER, &[number(7), text("new"), number(1), text("Bob")])),
        both("older-again", &full),
        both("inner-twice", &of(TREE, &[number(1), number(2), number(1), number(3)])),
        both("inner-null", &of(TREE, &[number(1), number(2), number(0)])),
        both("metadata", &of(METADATA, &[number(-128), number(1), number(300), text("n"), number(5), bytes(&[1, 0])])),
        both("metadata-null", &of(METADATA, &[number(127), number(0), text(""), number(-1), bytes(&[255])])),
        both(
            "defaults",
            &of(DEFAULTS, &[number(1), text("x"), number(1), vec![0], number(0), 2.5_f64.to_le_bytes().to_vec()]),
        ),
        union("union-first", [number(0), number(1)].concat(), number(0), number(0)),
        union(
            "union-second",
            [number(1), text("t")].concat(),
            [number(1), number(5)].concat(),
            [number(1), vec![1]].concat(),
        ),
        union(
            "union-third",
            [number(1), text("")].concat(),
            [number(3), number(9)].concat(),
            [number(2), number(1), number(4), number(0)].concat(),
        ),
        both("pairs", &of(PAIRS, &[number(2), number(1), number(1), text("one"), number(2), number(0), number(0)])),
        scalars("scalars", i64::from(i32::MIN), f64::MIN_POSITIVE, Some("x"), "漢字 \u{1f600}"),
        scalars("scalars-null", i64::from(i32::MAX), f64::NEG_INFINITY, None, ""),
        both("list", &of(LIST, &[number(3), number(1), number(1), number(0), number(1), number(-1), number(0)])),
        both("map", &of(MAP, &[number(1), text("k"), number(1), text("v"), number(0), number(0)])),
        both("enum", &of(SUIT, &[number(1)])),
        both("fixed", &of(FOUR, &[vec![1, 2, 3, 4]])),
        both("top-bytes", &of("\"bytes\"", &[vec![0, 1, 255]])),
        sample("tombstone", Some(&full), None),
        sample("no-key", None, Some(&full)),
        sample("nothing", None, None),
        both("cut", &full[..full.len() - 6]),
        both("cut-early", &full[..5]),
        both("enum-beyond", &of(SUIT, &[number(7)])),
        union("union-beyond", number(2), number(0), number(0)),
        both("no-magic", b"\x01\0\0\0\x01\x02"),
        both("short", b"\0\0\0"),
        both("empty", b""),
    ]
}

/// The schemas of [`protobuf`].
pub(crate) const PROTOBUF: &[&str] = &[EVENT, NEWER_EVENT];

const EVENT: &str = r#"syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message First { int32 x = 1; }
message Event {
  int64 id = 1; uint32 size = 2; sint32 change = 3; fixed64 fixed = 4; sfixed32 signed = 5;
  double d = 6; float f = 7; bool ok = 8; string name = 9; bytes raw = 10;
  State state = 11; repeated int32 many = 12; repeated string tags = 13; map<string, int32> counts = 14;
  Inner inner = 15; google.protobuf.Timestamp at = 16; optional int32 maybe = 17;
  oneof how { string mail = 18; Inner other = 19; }
  uint64 wide = 20; sint64 swing = 21;
  enum State { NONE = 0; OPEN = 1; }
  message Inner { int32 x = 1; repeated Deep deep = 2; message Deep { string word = 1; } }
}"#;

const NEWER_EVENT: &str = r#"syntax = "proto3";
package shop;
message First { int32 x = 1; string y = 2; }"#;

/// A field by its number: the key, then what it holds.
fn field(number: u8, wire: u8, content: Vec<u8>) -> Vec<u8> {
    let key = (u16::from(number) << 3) | u16::from(wire);
    [varint(u64::from(key)), content].concat()
}

fn varint(value: u64) -> Vec<u8> {
    // A varint in zigzag of what zigzag makes of it
    let half = (value >> 1).cast_signed();
    number(if value & 1 == 0 { half } else { !half })
}

/// With its length before it.
fn within(content: &[u8]) -> Vec<u8> {
    [varint(u64::try_from(content.len()).unwrap()), content.to_vec()].concat()
}

fn negative(value: i64) -> Vec<u8> {
    varint(value.cast_unsigned())
}

/// Of the second message of the file: its place is 1.
fn event(name: &'static str, fields: &[Vec<u8>]) -> Sample {
    both(name, &of(EVENT, &[number(1), number(1), fields.concat()]))
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn protobuf() -> Vec<Sample> {
    let deep = |word: &str| field(2, 2, within(&field(1, 2, within(word.as_bytes()))));
    let full = [
        field(1, 0, varint(42)),
        field(2, 0, varint(u64::from(u32::MAX))),
        field(3, 0, number(-7)),
        field(4, 1, 9_u64.to_le_bytes().to_vec()),
        field(5, 5, (-1_i32).to_le_bytes().to_vec()),
        field(6, 1, 0.1_f64.to_le_bytes().to_vec()),
        field(7, 5, 1.5_f32.to_le_bytes().to_vec()),
        field(8, 0, varint(1)),
        field(9, 2, within("Zoë 😀".as_bytes())),
        field(10, 2, within(&[0, 255])),
        field(11, 0, varint(1)),
        field(12, 2, within(&[varint(1), negative(-1), varint(300)].concat())),
        field(13, 2, within(b"a")),
        field(13, 2, within(b"")),
        field(14, 2, within(&[field(1, 2, within(b"k")), field(2, 0, varint(5))].concat())),
        field(15, 2, within(&[field(1, 0, varint(3)), deep("x"), deep("")].concat())),
        field(16, 2, within(&[field(1, 0, varint(1_700_000_000)), field(2, 0, varint(123_000_000))].concat())),
        field(17, 0, varint(0)),
        field(18, 2, within(b"m@x")),
        field(20, 0, varint(u64::MAX)),
        field(21, 0, number(i64::MIN)),
    ];
    let bytes = |fields: &[Vec<u8>]| of(EVENT, &[number(1), number(1), fields.concat()]);
    vec![
        event("full", &full),
        event("empty", &[]),
        event(
            "limits",
            &[field(1, 0, negative(i64::MIN)), field(3, 0, number(i64::from(i32::MIN))), field(17, 0, negative(-1))],
        ),
        event("other-branch", &[field(19, 2, within(&field(1, 0, varint(9))))]),
        event("last-branch-wins", &[field(19, 2, within(&[])), field(18, 2, within(b"m"))]),
        event("unpacked", &[field(12, 0, varint(1)), field(12, 0, varint(2))]),
        event(
            "repeated-key",
            &[
                field(14, 2, within(&[field(1, 2, within(b"k")), field(2, 0, varint(1))].concat())),
                field(14, 2, within(&[field(1, 2, within(b"k")), field(2, 0, varint(2))].concat())),
                field(14, 2, within(&[])),
            ],
        ),
        event("merged", &[field(15, 2, within(&field(1, 0, varint(1)))), field(15, 2, within(&deep("later")))]),
        event("last-wins", &[field(9, 2, within(b"first")), field(9, 2, within(b"second"))]),
        event("unknown-field", &[field(1, 0, varint(1)), field(99, 2, within(b"what")), field(98, 0, varint(1))]),
        event("before-the-epoch", &[field(16, 2, within(&field(1, 0, negative(-1))))]),
        both("first", &of(EVENT, &[number(0), field(1, 0, varint(7))])),
        both("newer", &of(NEWER_EVENT, &[number(0), field(1, 0, varint(7)), field(2, 2, within(b"y"))])),
        both("first-by-place", &of(NEWER_EVENT, &[number(1), number(0), field(1, 0, varint(8))])),
        both("nested-message", &of(EVENT, &[number(2), number(1), number(0), field(1, 0, varint(4))])),
        sample("tombstone", Some(&bytes(&full)), None),
        both("cut", &{
            let mut cut = bytes(&full);
            cut.truncate(cut.len() - 3);
            cut
        }),
        both("no-place", &of(EVENT, &[])),
        both("wrong-place", &of(EVENT, &[number(1), number(7), field(1, 0, varint(1))])),
        event("wrong-wire-type", &[field(15, 2, vec![0x7f])]),
        event("bad-utf8", &[field(9, 2, within(&[0xff]))]),
        both("no-magic", b"\x01\0\0\0\x01\x02"),
        both("short", b"\0\0\0"),
    ]
}

/// The schemas of [`json`].
pub(crate) const JSON: &[&str] = &[DOCUMENT, NEWER_DOCUMENT];

const DOCUMENT: &str = r#"{"type":"object","title":"Order","properties":{
    "id":{"type":"integer","connect.index":0},"ratio":{"type":"number","connect.index":2},"name":{"type":"string","connect.index":1},
    "ok":{"type":"boolean","connect.index":3},"note":{"oneOf":[{"type":"null"},{"type":"string"}],"connect.index":4},
    "tags":{"type":"array","items":{"type":"string"},"connect.index":5},
    "sizes":{"type":"object","connect.type":"map","additionalProperties":{"type":"integer"},"connect.index":6},
    "place":{"type":"object","properties":{"city":{"type":"string","connect.index":0},"lat":{"type":"number","connect.index":1}},"connect.index":7}}}"#;

const NEWER_DOCUMENT: &str = r#"{"type":"object","title":"Order","properties":{"id":{"type":"integer","connect.index":1},"more":{"type":"string","connect.index":0}}}"#;

pub(crate) fn json() -> Vec<Sample> {
    let one = |name, text: &str| both(name, &of(DOCUMENT, &[text.as_bytes().to_vec()]));
    let full = r#"{"id":42,"name":"Zoë 😀","ratio":0.5,"ok":true,"note":"n","tags":["a",""],"sizes":{"k":1,"l":-2},"place":{"city":"Basel","lat":47.5},"unknown":{"a":1}}"#;
    vec![
        one("full", full),
        one("nulls", r#"{"id":1,"name":null,"note":null,"place":null}"#),
        one("empty", "{}"),
        one("limits", r#"{"id":-9223372036854775808,"ratio":1e300}"#),
        one("whole-ratio", r#"{"id":1,"ratio":2}"#),
        one("escapes", r#"{"name":"\u00fc\n\"\ud83d\ude00"}"#),
        one("spaces", " { \"id\" : 7 } "),
        one("null", "null"),
        both("newer", &of(NEWER_DOCUMENT, &[br#"{"id":7,"more":"m"}"#.to_vec()])),
        sample("tombstone", Some(&of(DOCUMENT, &[full.into()])), None),
        one("wrong-type", r#"{"id":"x"}"#),
        one("wrong-place", r#"{"place":[1]}"#),
        one("cut", r#"{"id":1"#),
        both("no-magic", b"{}"),
        both("short", b"\0\0\0"),
    ]
}
