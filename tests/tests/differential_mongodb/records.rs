//! What lies in Kafka: a topic per set, each with one partition, so that both sides see the same records in the same order.

use millrace_tests::kafka::RawRecord;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc};

/// A set of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Set {
    /// Keys and values are JSON documents
    Plain,
    /// The same keys several times, with changes
    Changes,
    /// Values that are null, too
    Tombstones,
    /// JSON with schemas: every type of Connect's
    Typed,
    /// Extended JSON in texts
    Extended,
    /// Records with an `_id` in key and value
    Ids,
    /// UUIDs as `_id`
    Uuids,
    /// Measurements
    Series,
    /// Some values that are no documents
    Poison,
    /// Values with more or fewer of some fields
    Business,
    /// Values are BSON, every type of it
    Bson,
    /// Events of MongoDB's change streams
    ChangeStream,
    /// Events of Debezium for MongoDB with patches
    DebeziumOplog,
    /// Events of Debezium for MongoDB with documents
    DebeziumMongo,
    /// Events of Debezium for relational databases
    DebeziumRows,
    /// The same for a table without a key
    DebeziumKeyless,
    /// Events of Qlik
    Qlik,
}

type Pair = (&'static str, Option<&'static str>);

const PLAIN: &[Pair] = &[
    (
        r#"{"k":1,"region":"eu"}"#,
        Some(r#"{"a":1,"b":"two","c":{"d":[1,2.5,null,{"e":true}],"f":null},"at":{"place":7}}"#),
    ),
    (
        r#"{"k":2,"region":"us"}"#,
        Some(r#"{"a":-9223372036854775808,"b":"é\n€","empty":{},"none":[],"x":1e300,"coll":"named"}"#),
    ),
    (
        r#"{"k":3,"region":"eu"}"#,
        Some(r#"{"a":9007199254740993,"my_field":1,"nested":{"my_other":2,"deep":{"my":3}},"b":null}"#),
    ),
    (
        r#"{"k":4,"region":"eu","x":{"y":{"z":1,"w":2}}}"#,
        Some(r#"{"a":0.1,"c":{"d":{"g":1,"h":2},"f":"k"},"l":[{"m":1,"n":null},[{"m":2}]]}"#),
    ),
    (r#"{"k":5,"region":null}"#, Some(r#"{"with.dot":1,"a":true,"c":"not a document","coll":"other"}"#)),
];

const CHANGES: &[Pair] = &[
    (r#"{"k":1}"#, Some(r#"{"sku":"A","n":1,"first":true}"#)),
    (r#"{"k":2}"#, Some(r#"{"sku":"B","n":1}"#)),
    (r#"{"k":1}"#, Some(r#"{"sku":"A","n":2}"#)),
    (r#"{"k":1}"#, Some(r#"{"sku":"A","n":3,"last":{"x":1}}"#)),
    (r#"{"k":3}"#, Some(r#"{"sku":"C","n":1}"#)),
    (r#"{"k":2}"#, Some(r#"{"sku":"B","m":9}"#)),
];

const TOMBSTONES: &[Pair] = &[
    (r#"{"k":1,"v":{"w":1},"t":0}"#, Some(r#"{"k":1,"v":{"w":1},"n":1}"#)),
    (r#"{"k":2,"v":{"w":1},"t":0}"#, Some(r#"{"k":2,"v":{"w":1},"n":1}"#)),
    (r#"{"k":1,"v":{"w":1},"t":0}"#, None),
    (r#"{"k":3,"v":{"w":1},"t":0}"#, None),
    (r#"{"k":3,"v":{"w":1},"t":0}"#, Some(r#"{"k":3,"v":{"w":1},"n":2}"#)),
];

const TYPED: &[Pair] = &[
    (
        r#"{"k":1}"#,
        Some(
            r#"{"schema":{"type":"struct","optional":false,"fields":[
              {"field":"i8","type":"int8","optional":true},{"field":"i16","type":"int16","optional":true},
              {"field":"i32","type":"int32","optional":true},{"field":"i64","type":"int64","optional":true},
              {"field":"f32","type":"float","optional":true},{"field":"f64","type":"double","optional":true},
              {"field":"b","type":"boolean","optional":true},{"field":"s","type":"string","optional":true},
              {"field":"bytes","type":"bytes","optional":true},
              {"field":"date","type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Date","version":1},
              {"field":"time","type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Time","version":1},
              {"field":"ts","type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1},
              {"field":"dec","type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}},
              {"field":"arr","type":"array","optional":true,"items":{"type":"int32"}},
              {"field":"map","type":"map","optional":true,"keys":{"type":"string"},"values":{"type":"int16"}},
              {"field":"inner","type":"struct","optional":true,"fields":[{"field":"x","type":"int64"}]},
              {"field":"structs","type":"array","optional":true,"items":{"type":"struct","fields":[{"field":"y","type":"float"}]}},
              {"field":"absent","type":"string","optional":true},
              {"field":"preset","type":"int32","optional":true,"default":42}]},
            "payload":{"i8":-8,"i16":16,"i32":32,"i64":64,"f32":0.1,"f64":0.1,"b":true,"s":"text","bytes":"AAEC",
              "date":19000,"time":3600000,"ts":1700000000123,"dec":"AN4K","arr":[1,2],"map":{"m":1},"inner":{"x":5},
              "structs":[{"y":1.5},{"y":2.5}]}}"#,
        ),
    ),
    (
        r#"{"k":2}"#,
        Some(
            r#"{"schema":{"type":"struct","fields":[
              {"field":"nested","type":"array","items":{"type":"array","items":{"type":"string","optional":true}}},
              {"field":"maps","type":"map","keys":{"type":"string"},"values":{"type":"array","items":{"type":"double"}}},
              {"field":"dates","type":"array","items":{"type":"int64","name":"org.apache.kafka.connect.data.Timestamp","version":1}},
              {"field":"neg","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"0"}}]},
            "payload":{"nested":[["a",null],[]],"maps":{"p":[1.5]},"dates":[5],"neg":"/w=="}}"#,
        ),
    ),
];

const EXTENDED: &[Pair] = &[
    (
        r#"{"_id":{"$oid":"65535b3a0000000000000001"}}"#,
        Some(
            r#"{"_id":{"$oid":"65535b3a0000000000000001"},"int":1,"long":2147483648,"double":1.5,"e":1e2,"neg":-2147483649}"#,
        ),
    ),
    (
        r#"{"_id":2}"#,
        Some(
            r#"{"_id":2,"canonical":[{"$numberInt":"1"},{"$numberLong":"2"},{"$numberDouble":"3.5"},{"$numberDouble":"Infinity"},{"$numberDouble":"-Infinity"},{"$numberDecimal":"1.50"}]}"#,
        ),
    ),
    (
        r#"{"_id":3}"#,
        Some(
            r#"{"_id":3,"date":{"$date":"2023-11-14T22:13:20.123Z"},"canon":{"$date":{"$numberLong":"-1"}},"ts":{"$timestamp":{"t":5,"i":6}},"bin":{"$binary":{"base64":"AQID","subType":"00"}},"uuid":{"$binary":{"base64":"c//SZESzTGmQ6OfR38A11A==","subType":"04"}}}"#,
        ),
    ),
    (
        r#"{"_id":4}"#,
        Some(
            r#"{"_id":4,"re":{"$regularExpression":{"pattern":"^a.*","options":"xi"}},"old":{"$regex":"b","$options":"i"},"min":{"$minKey":1},"max":{"$maxKey":1},"code":{"$code":"x()"},"undef":{"$undefined":true},"sym":{"$symbol":"s"},"oldbin":{"$binary":"AQID","$type":"00"}}"#,
        ),
    ),
    (
        r#"{"_id":5}"#,
        Some(
            r#"{"_id":5,"null":null,"plain":{"$ref":"c","$id":1},"list":[{"$oid":"65535b3a0000000000000002"},{"a":{"$numberLong":"7"}}]}"#,
        ),
    ),
];

const IDS: &[Pair] = &[
    (r#"{"_id":"key-1","part":1}"#, Some(r#"{"_id":"value-1","n":1}"#)),
    (r#"{"_id":2,"part":1}"#, Some(r#"{"_id":{"a":1,"b":2},"n":2}"#)),
    (r#"{"_id":{"x":1},"part":1}"#, Some(r#"{"_id":3.5,"n":3}"#)),
];

const UUIDS: &[Pair] = &[
    (r#"{"_id":"6bb1d4b2-1b1f-4d1c-9f3e-0a1b2c3d4e5f"}"#, Some(r#"{"_id":"6bb1d4b21b1f4d1c9f3e0a1b2c3d4e50","n":1}"#)),
    (r#"{"_id":"6bb1d4b21b1f4d1c9f3e0a1b2c3d4e51"}"#, Some(r#"{"_id":"6BB1D4B2-1B1F-4D1C-9F3E-0A1B2C3D4E52","n":2}"#)),
];

const SERIES: &[Pair] = &[
    ("1", Some(r#"{"at":"2026-01-01T10:00:00Z","sensor":{"id":1},"c":5.5}"#)),
    ("2", Some(r#"{"at":1767225600000,"sensor":{"id":1},"c":6}"#)),
    ("3", Some(r#"{"at":"2026-01-01 10:00:00.250","sensor":{"id":2},"c":7}"#)),
    ("4", Some(r#"{"at":"2026-01-02","sensor":{"id":2},"c":8}"#)),
    ("5", Some(r#"{"at":"2026-01-01T10:00:00+02:30","c":9}"#)),
];

const POISON: &[Pair] = &[
    (r#"{"k":1}"#, Some(r#"{"n":1}"#)),
    (r#"{"k":2}"#, Some("[1,2]")),
    ("no document", Some(r#"{"n":3}"#)),
    (r#"{"k":4}"#, Some("7")),
    (r#"{"k":5}"#, Some(r#"{"n":5}"#)),
];

const BUSINESS: &[Pair] = &[
    (r#"{"k":1}"#, Some(r#"{"a":1,"n":1}"#)),
    (r#"{"k":2}"#, Some(r#"{"a":1,"b":2,"n":2}"#)),
    (r#"{"k":3}"#, Some(r#"{"a":1,"n":3}"#)),
    (r#"{"k":4}"#, Some(r#"{"a":1,"b":2,"n":4}"#)),
    (r#"{"k":5}"#, Some(r#"{"a":1,"b":2,"n":5}"#)),
    (r#"{"k":6}"#, Some(r#"{"b":2,"n":6}"#)),
    (r#"{"k":7}"#, Some(r#"{"a":null,"b":3,"n":7}"#)),
    (r#"{"k":8}"#, Some(r#"{"a":{"x":1},"b":3,"n":8}"#)),
];

const CHANGE_STREAM: &[Pair] = &[
    (
        "{}",
        Some(
            r#"{"_id":{"_data":"1"},"operationType":"insert","documentKey":{"_id":1},"fullDocument":{"_id":1,"a":1,"b":{"c":[1,2,3]},"z":null}}"#,
        ),
    ),
    (
        "{}",
        Some(
            r#"{"_id":{"_data":"2"},"operationType":"insert","documentKey":{"_id":2},"fullDocument":{"_id":2,"a":1}}"#,
        ),
    ),
    (
        "{}",
        Some(
            r#"{"_id":{"_data":"3"},"operationType":"update","documentKey":{"_id":1},"updateDescription":{"updatedFields":{"b.c.0":9,"new":null},"removedFields":["a"],"truncatedArrays":[]}}"#,
        ),
    ),
    (
        "{}",
        Some(
            r#"{"_id":{"_data":"4"},"operationType":"update","documentKey":{"_id":3},"fullDocument":{"_id":3,"a":1},"updateDescription":{"updatedFields":{"a":1},"removedFields":[]}}"#,
        ),
    ),
    (
        "{}",
        Some(
            r#"{"_id":{"_data":"5"},"operationType":"replace","documentKey":{"_id":4},"fullDocument":{"_id":4,"r":1}}"#,
        ),
    ),
    ("{}", Some(r#"{"_id":{"_data":"6"},"operationType":"delete","documentKey":{"_id":2}}"#)),
    ("{}", Some(r#"{"_id":{"_data":"7"},"operationType":"drop","ns":{"db":"d","coll":"c"}}"#)),
    (
        "{}",
        Some(
            r#"{"_id":{"_data":"8"},"operationType":"update","documentKey":{"_id":4},"fullDocument":{"_id":4,"r":2,"s":{"t":null}},"updateDescription":{"updatedFields":{"r":2},"removedFields":[]}}"#,
        ),
    ),
];

const DEBEZIUM_OPLOG: &[Pair] = &[
    (r#"{"id":"1"}"#, Some(r#"{"op":"c","after":"{\"_id\":1,\"a\":{\"$numberLong\":\"5\"},\"n\":null}"}"#)),
    (
        r#"{"id":"{\"$oid\":\"65535b3a0000000000000001\"}"}"#,
        Some(r#"{"op":"r","after":"{\"_id\":{\"$oid\":\"65535b3a0000000000000001\"},\"d\":{\"$date\":5}}"}"#),
    ),
    (r#"{"id":"1"}"#, Some(r#"{"op":"u","patch":"{\"$v\":1,\"$set\":{\"a\":6}}"}"#)),
    (r#"{"id":"\"text\""}"#, Some(r#"{"op":"u","patch":"{\"_id\":\"text\",\"whole\":true}"}"#)),
    (r#"{"id":"9"}"#, Some(r#"{"op":"u","patch":"{\"$set\":{\"a\":6}}"}"#)),
    (r#"{"id":"{\"$oid\":\"65535b3a0000000000000001\"}"}"#, Some(r#"{"op":"d"}"#)),
    (r#"{"id":"{\"$oid\":\"65535b3a0000000000000001\"}"}"#, None),
];

const DEBEZIUM_MONGO: &[Pair] = &[
    (r#"{"id":"1"}"#, Some(r#"{"op":"c","after":"{\"_id\":1,\"a\":{\"$numberLong\":\"5\"},\"n\":null}"}"#)),
    (r#"{"id":"2"}"#, Some(r#"{"op":"c","after":"{\"_id\":2,\"a\":1.5}"}"#)),
    (r#"{"id":"1"}"#, Some(r#"{"op":"u","after":"{\"_id\":1,\"a\":6}"}"#)),
    (r#"{"id":"3"}"#, Some(r#"{"op":"u","after":"{\"_id\":3,\"late\":true}"}"#)),
    (r#"{"id":"2"}"#, Some(r#"{"op":"d"}"#)),
    (r#"{"id":"2"}"#, None),
];

const DEBEZIUM_ROWS: &[Pair] = &[
    (r#"{"id":1,"sub":"x"}"#, Some(r#"{"op":"c","before":null,"after":{"id":1,"sub":"x","name":"one","z":null}}"#)),
    (r#"{"id":2,"sub":"x"}"#, Some(r#"{"op":"r","before":null,"after":{"id":2,"sub":"x","name":"two"}}"#)),
    (r#"{"id":1,"sub":"x"}"#, Some(r#"{"op":"u","before":{"id":1},"after":{"id":1,"sub":"x","name":"uno","n":1.5}}"#)),
    (r#"{"id":3,"sub":"y"}"#, Some(r#"{"op":"u","before":{"id":3},"after":{"id":3,"sub":"y","name":"late"}}"#)),
    (r#"{"id":2,"sub":"x"}"#, Some(r#"{"op":"d","before":{"id":2},"after":null}"#)),
    (r#"{"id":2,"sub":"x"}"#, None),
    (r#"{"id":9,"sub":"x"}"#, Some(r#"{"ddl":"ALTER TABLE t"}"#)),
];

const DEBEZIUM_KEYLESS: &[Pair] = &[
    ("", Some(r#"{"op":"c","before":null,"after":{"name":"one","n":1}}"#)),
    ("", Some(r#"{"op":"c","before":null,"after":{"name":"two","n":1}}"#)),
    ("", Some(r#"{"op":"u","before":{"name":"one","n":1},"after":{"name":"one","n":2}}"#)),
    ("", Some(r#"{"op":"d","before":{"name":"two","n":1},"after":null}"#)),
];

const QLIK: &[Pair] = &[
    (
        r#"{"id":1}"#,
        Some(
            r#"{"magic":"a","message":{"headers":{"operation":"INSERT"},"data":{"id":1,"a":1,"z":null},"beforeData":null}}"#,
        ),
    ),
    (r#"{"id":2}"#, Some(r#"{"headers":{"operation":"REFRESH"},"data":{"id":2,"a":1}}"#)),
    (
        r#"{"id":1}"#,
        Some(
            r#"{"message":{"headers":{"operation":"UPDATE"},"data":{"id":1,"a":2,"n":null},"beforeData":{"id":1,"a":1}}}"#,
        ),
    ),
    (
        r#"{"id":3}"#,
        Some(r#"{"message":{"headers":{"operation":"UPDATE"},"data":{"id":3,"a":3},"beforeData":{"id":3,"a":3}}}"#),
    ),
    (r#"{"id":2}"#, Some(r#"{"message":{"headers":{"operation":"DELETE"},"data":{"id":2},"beforeData":null}}"#)),
    (r#"{"id":2}"#, None),
];

fn bson() -> Vec<(&'static str, Document)> {
    let binary = |subtype, bytes: &[u8]| Bson::Binary(Binary { subtype, bytes: bytes.to_vec() });
    let id = ObjectId::from_bytes([7; 12]);
    let scope = JavaScriptCodeWithScope { code: "y()".to_owned(), scope: doc! { "z": 1 } };
    let regex = |pattern: &str, options: &str| Regex {
        pattern: pattern.try_into().expect("no NUL"),
        options: options.try_into().expect("no NUL"),
    };
    vec![
        (
            r#"{"_id":1}"#,
            doc! { "_id": 1, "int": 1, "long": 2_i64, "double": 0.1, "text": "é\u{0}", "yes": true, "no": Bson::Null },
        ),
        (
            r#"{"_id":{"$oid":"65535b3a0000000000000001"}}"#,
            doc! { "_id": id, "at": DateTime::from_millis(-1), "ts": Timestamp { time: 5, increment: 6 },
            "decimal": "1.50".parse::<mongodb::bson::Decimal128>().expect("a decimal"), "nan": f64::NAN },
        ),
        (
            r#"{"_id":"third"}"#,
            doc! { "_id": { "a": 1, "b": [1, { "c": 2_i64 }] }, "generic": binary(BinarySubtype::Generic, b"\x00\x01"),
            "old": binary(BinarySubtype::BinaryOld, b"\x02"), "uuid": binary(BinarySubtype::Uuid, &[9; 16]),
            "own": binary(BinarySubtype::UserDefined(0x90), b"x"), "empty": {}, "none": [] },
        ),
        (
            r#"{"_id":4}"#,
            doc! { "_id": "four", "regex": regex("^a", "ix"), "code": Bson::JavaScriptCode("x()".to_owned()), "scoped": scope,
            "symbol": Bson::Symbol("s".to_owned()), "undefined": Bson::Undefined, "min": Bson::MinKey, "max": Bson::MaxKey },
        ),
    ]
}

impl Set {
    /// Its records; an empty key is none.
    pub(crate) fn records(self) -> Vec<RawRecord> {
        let record = |(n, (key, value)): (i64, (&str, Option<Vec<u8>>))| RawRecord {
            offset: n,
            key: (!key.is_empty()).then(|| key.as_bytes().to_vec()),
            value,
            timestamp_ms: Some(1_700_000_000_000 + n),
            headers: Vec::new(),
        };
        if self == Self::Bson {
            let encoded = |document| Some(mongodb::bson::serialize_to_vec(&document).expect("BSON"));
            let all = bson().into_iter().map(|(key, document)| (key, encoded(document)));
            return (0..).zip(all).map(record).collect();
        }
        let texts = self.texts().iter().map(|(key, value)| (*key, value.map(|value| value.as_bytes().to_vec())));
        (0..).zip(texts).map(record).collect()
    }

    fn texts(self) -> &'static [Pair] {
        match self {
            Self::Plain => PLAIN,
            Self::Changes => CHANGES,
            Self::Tombstones => TOMBSTONES,
            Self::Typed => TYPED,
            Self::Extended => EXTENDED,
            Self::Ids => IDS,
            Self::Uuids => UUIDS,
            Self::Series => SERIES,
            Self::Poison => POISON,
            Self::ChangeStream => CHANGE_STREAM,
            Self::DebeziumOplog => DEBEZIUM_OPLOG,
            Self::DebeziumMongo => DEBEZIUM_MONGO,
            Self::DebeziumRows => DEBEZIUM_ROWS,
            Self::DebeziumKeyless => DEBEZIUM_KEYLESS,
            Self::Qlik => QLIK,
            Self::Business => BUSINESS,
            Self::Bson => &[],
        }
    }

    /// The converter of its values.
    pub(crate) fn converter(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Extended => &[("value.converter", "org.apache.kafka.connect.storage.StringConverter")],
            Self::Bson => &[("value.converter", "org.apache.kafka.connect.converters.ByteArrayConverter")],
            Self::Typed => &[
                ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
                ("value.converter.schemas.enable", "true"),
            ],
            _ => &[
                ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
                ("value.converter.schemas.enable", "false"),
            ],
        }
    }
}
