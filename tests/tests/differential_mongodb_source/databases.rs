//! What is in MongoDB, and what happens to it.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc};
use mongodb::options::ChangeStreamPreAndPostImages;
use mongodb::{Collection, Database};

/// The `_id` of the document that comes last.
pub(crate) const LAST: &str = "the last one";
/// What is in the `_id`s of documents that only show that a stream is open.
pub(crate) const WARM: &str = "warming up";

/// What a database goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Set {
    /// Inserts, updates, replacements, deletions
    Changes,
    /// Every type of BSON
    Types,
    /// Documents whose fields have this type and that
    Mixed,
    /// Several collections, of names that need care
    Many,
    /// Pre- and post-images
    Images,
    /// More events than one answer has
    Bulk,
    /// Collections and indexes come and go
    Definitions,
    /// The collection is dropped
    Dropped,
    /// The collection is renamed
    Renamed,
}

impl Set {
    /// Lets it happen. `items` is the collection that is watched, and gets the last document, unless it is gone then.
    pub(crate) async fn happen(self, database: &Database) {
        let items = database.collection::<Document>("items");
        match self {
            Self::Changes => changes(&items).await,
            Self::Types => types(&items).await,
            Self::Mixed => drop(items.insert_many(mixed()).await.unwrap()),
            Self::Many => many(database).await,
            Self::Images => images(database, &items).await,
            Self::Bulk => {
                let bulk = (0..2500).map(|n| doc! { "_id": n, "text": format!("{n} {}", "x".repeat(100)) });
                drop(items.insert_many(bulk).await.unwrap());
            }
            Self::Definitions => definitions(database, &items).await,
            Self::Dropped => {
                changes(&items).await;
                return items.drop().await.unwrap();
            }
            Self::Renamed => {
                changes(&items).await;
                return rename(database, "items", "renamed").await;
            }
        }
        drop(items.insert_one(doc! { "_id": LAST, "n": 1_i64 }).await.unwrap());
    }
}

fn by_id(id: impl Into<Bson>) -> Document {
    doc! { "_id": id.into() }
}

async fn changes(items: &Collection<Document>) {
    let rows = (0..6).map(|n| {
        doc! { "_id": n, "n": i64::from(n), "name": format!("item {n}"), "tags": ["a", "b", "c"], "at": { "x": n, "y": [1, 2] } }
    });
    items.insert_many(rows).await.unwrap();
    for (id, update) in [
        (0, doc! { "$set": { "name": "other", "at.x": 77, "new": { "deep": true } } }),
        (1, doc! { "$unset": { "name": 1, "at.y": 1 } }),
        (2, doc! { "$push": { "tags": "d" }, "$inc": { "n": 5_i64 } }),
        (3, doc! { "$pop": { "tags": 1 } }),
    ] {
        items.update_one(by_id(id), update).await.unwrap();
    }
    items.update_one(by_id(3), vec![doc! { "$set": { "tags": { "$slice": ["$tags", 1] } } }]).await.unwrap();
    items.replace_one(by_id(4), doc! { "name": "replaced", "n": 4.5 }).await.unwrap();
    items.replace_one(by_id("upserted"), doc! { "name": "new", "n": 1_i64 }).upsert(true).await.unwrap();
    items.delete_one(by_id(5)).await.unwrap();
    items.update_many(doc! { "n": { "$lt": 3 } }, doc! { "$set": { "flag": true } }).await.unwrap();
    items.insert_one(doc! { "_id": { "a": 1, "b": "x" }, "n": 9_i64, "name": "compound" }).await.unwrap();
    items.insert_one(doc! { "_id": ObjectId::from_bytes([7; 12]), "n": 10_i64, "name": "\u{fc}\u{20ac}\u{1f600} \"\\\n\u{1}\u{7f}/" }).await.unwrap();
    items.delete_one(by_id("upserted")).await.unwrap();
    let mut session = items.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    items.insert_one(doc! { "_id": 100, "n": 1_i64, "name": "in a transaction" }).session(&mut session).await.unwrap();
    let more = doc! { "$set": { "name": "and changed in it" } };
    items.update_one(by_id(100), more).session(&mut session).await.unwrap();
    session.commit_transaction().await.unwrap();
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().unwrap())
}

fn binary(subtype: BinarySubtype, bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype, bytes: bytes.to_vec() })
}

/// Each in a document of its own, so that one that cannot be told fails alone.
pub(crate) fn every_type() -> Vec<(&'static str, Bson)> {
    vec![
        ("double", Bson::Double(2.5)),
        ("double-whole", Bson::Double(5.0)),
        ("double-small", Bson::Double(1.25e-7)),
        ("double-large", Bson::Double(1.5e21)),
        ("double-minus-zero", Bson::Double(-0.0)),
        ("double-nan", Bson::Double(f64::NAN)),
        ("double-infinity", Bson::Double(f64::INFINITY)),
        ("double-minus-infinity", Bson::Double(f64::NEG_INFINITY)),
        ("string", Bson::from("\u{e4}\u{20ac}\u{1f600}\u{2028} \"q\" \\ \t\r\n\u{8}\u{c}\u{0}\u{1f}\u{7f}\u{85}")),
        ("string-empty", Bson::from("")),
        ("document", Bson::from(doc! { "a": { "b": { "c": [ { "d": 1 } ] } }, "": 1, "$x": 2, "a.b": 3 })),
        ("document-empty", Bson::from(doc! {})),
        ("array", Bson::from(vec![Bson::from(1), Bson::from("two"), Bson::Null, Bson::from(vec![3_i64])])),
        ("array-empty", Bson::Array(vec![])),
        ("binary", binary(BinarySubtype::Generic, &[0, 1, 254, 255])),
        ("binary-uuid", binary(BinarySubtype::Uuid, &[9; 16])),
        ("binary-old-uuid", binary(BinarySubtype::UuidOld, &[8; 16])),
        ("binary-user", binary(BinarySubtype::UserDefined(0x80), b"mine")),
        ("binary-empty", binary(BinarySubtype::Generic, &[])),
        ("object-id", Bson::ObjectId(ObjectId::from_bytes([0xab; 12]))),
        ("true", Bson::Boolean(true)),
        ("date", Bson::DateTime(DateTime::from_millis(1_700_000_000_123))),
        ("date-whole", Bson::DateTime(DateTime::from_millis(1_700_000_000_000))),
        ("date-before", Bson::DateTime(DateTime::from_millis(-62_135_596_800_001))),
        ("date-far", Bson::DateTime(DateTime::from_millis(253_402_300_800_000))),
        ("null", Bson::Null),
        ("undefined", Bson::Undefined),
        ("regex", Bson::RegularExpression(Regex { pattern: cstr!("a/b\"c").into(), options: cstr!("im").into() })),
        ("code", Bson::JavaScriptCode("function() { return \"x\"; }".to_owned())),
        (
            "code-with-scope",
            Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "x".to_owned(), scope: doc! { "y": 1_i64 } }),
        ),
        ("symbol", Bson::Symbol("sym\"bol".to_owned())),
        ("int", Bson::Int32(i32::MIN)),
        ("timestamp", Bson::Timestamp(Timestamp { time: u32::MAX, increment: 7 })),
        ("long", Bson::Int64(i64::MAX)),
        ("long-least", Bson::Int64(i64::MIN)),
        ("decimal", decimal("12345678901234567890.1234567890")),
        ("decimal-small", decimal("1E-6143")),
        ("decimal-large", decimal("9.99E+6144")),
        ("decimal-minus-zero", decimal("-0.00")),
        ("decimal-nan", decimal("NaN")),
        ("decimal-infinity", decimal("-Infinity")),
        ("min-key", Bson::MinKey),
        ("max-key", Bson::MaxKey),
    ]
}

async fn types(items: &Collection<Document>) {
    let documents = every_type().into_iter().map(|(name, value)| {
        doc! { "_id": name, "v": value.clone(), "in": { "v": value.clone() }, "list": [value], "n": 1_i64 }
    });
    items.insert_many(documents).await.unwrap();
    // As keys: whatever may be an _id, and is not equal to one before.
    let none = [
        "array",
        "array-empty",
        "regex",
        "undefined",
        "document",
        "decimal-minus-zero",
        "decimal-nan",
        "decimal-infinity",
    ];
    for (_, id) in every_type().into_iter().filter(|(name, _)| !none.contains(name)) {
        items.insert_one(doc! { "_id": id, "n": 2_i64 }).await.unwrap();
    }
}

fn mixed() -> Vec<Document> {
    vec![
        doc! { "_id": 1, "n": 1_i64, "name": "a", "price": decimal("1.50"), "at": DateTime::from_millis(5) },
        doc! { "_id": 2, "n": 2_i64, "name": Bson::Null, "list": [1, 2, 3], "sub": { "z": 1, "a": "x" } },
        doc! { "_id": 3, "n": 3, "name": 5, "list": [1, "x", 2.5], "sub": { "a": 1_i64, "_id": 3 } },
        doc! { "_id": 4, "n": 4.75, "list": [], "docs": [{ "a": 1 }, { "b": "x", "a": 2 }, { "a": Bson::Null }] },
        doc! { "_id": 5, "n": 5_i64, "docs": [{ "a": 1 }, { "a": "text" }], "list": [[1, 2], [3]], "sub": {} },
        doc! { "_id": 6, "n": 6_i64, "list": [Bson::Null, 1], "docs": [{ "a": [1] }, { "a": ["x"] }], "price": decimal("7") },
        doc! { "_id": 7, "n": 7_i64, "list": [[1], ["x"]], "docs": [{ "a": { "b": 1 } }, { "a": { "c": true } }] },
        doc! { "_id": 8, "n": 8_i64, "Z": 1, "a": 2, "\u{e4}": 3, "B": 4, "sub": { "deep": { "er": [ { "x": [] } ] } } },
        doc! { "_id": 9, "n": 9_i64, "list": [1_i64, 2], "name": ObjectId::from_bytes([1; 12]), "flag": true },
        doc! { "_id": 10, "n": 10_i64, "bin": binary(BinarySubtype::Generic, b"bytes"), "ts": Timestamp { time: 5, increment: 1 } },
        doc! { "_id": "eleven", "n": 11_i64, "list": [decimal("1.5"), decimal("2.25")], "only": Bson::MinKey },
    ]
}

async fn many(database: &Database) {
    for name in ["items", "other", "with.dots", "with-dash_1", "system_x"] {
        let collection = database.collection::<Document>(name);
        collection.insert_many((0..3).map(|n| doc! { "_id": n, "n": i64::from(n), "in": name })).await.unwrap();
        collection.update_one(by_id(1), doc! { "$set": { "n": 5_i64 } }).await.unwrap();
        collection.delete_one(by_id(2)).await.unwrap();
    }
}

async fn images(database: &Database, items: &Collection<Document>) {
    let enabled = ChangeStreamPreAndPostImages::builder().enabled(true).build();
    database.create_collection("items").change_stream_pre_and_post_images(enabled).await.unwrap();
    changes(items).await;
}

async fn rename(database: &Database, from: &str, to: &str) {
    let full = |name: &str| format!("{}.{name}", database.name());
    let command = doc! { "renameCollection": full(from), "to": full(to) };
    database.client().database("admin").run_command(command).await.unwrap();
}

async fn definitions(database: &Database, items: &Collection<Document>) {
    items.insert_one(doc! { "_id": 1, "n": 1_i64 }).await.unwrap();
    database.create_collection("made").await.unwrap();
    let made = database.collection::<Document>("made");
    made.create_index(mongodb::IndexModel::builder().keys(doc! { "n": -1 }).build()).await.unwrap();
    made.insert_one(doc! { "_id": 1, "n": 2_i64 }).await.unwrap();
    database.run_command(doc! { "collMod": "made", "validator": { "n": { "$gt": 0 } } }).await.unwrap();
    made.drop_index("n_-1").await.unwrap();
    rename(database, "made", "renamed").await;
    database.collection::<Document>("renamed").drop().await.unwrap();
}
