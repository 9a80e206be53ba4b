use millrace_sdk::Batch;
use mongodb::bson::{Bson, Document, doc};

use crate::sink::model::tests::{entry, one};

const PARTIAL: [(&str, &str); 3] = [
    ("document.id.strategy", "PartialValueStrategy"),
    ("document.id.strategy.partial.value.projection.type", "AllowList"),
    ("document.id.strategy.partial.value.projection.list", "a,b.c.**"),
];

fn written(keys: &[(&str, &str)], batch: &Batch) -> Document {
    entry(keys, batch).unwrap().unwrap().1
}

#[test]
fn business_keys_are_filters() {
    let record = one(None, Some(r#"{"a":1,"b":{"c":{"$gt":""},"d":2},"n":3}"#));
    let filter = doc! { "a": { "$eq": 1_i64 }, "b.c.$gt": { "$eq": "" } };
    let model = |name| [&PARTIAL[..], &[("writemodel.strategy", name)]].concat();
    let whole = doc! { "a": 1_i64, "b": { "c": { "$gt": "" }, "d": 2_i64 }, "n": 3_i64 };
    assert_eq!(
        written(&model("ReplaceOneBusinessKeyStrategy"), &record),
        doc! { "q": filter.clone(), "u": whole.clone(), "upsert": true }
    );
    assert_eq!(written(&model("DeleteOneBusinessKeyStrategy"), &record), doc! { "q": filter.clone(), "limit": 1_i32 });
    let update = written(&model("UpdateOneBusinessKeyTimestampStrategy"), &record);
    assert_eq!(update.get_document("q").ok(), Some(&filter));
    let operators = update.get_document("u").unwrap();
    assert_eq!(operators.get_document("$set").ok(), Some(&whole));
    assert!(operators.get_document("$setOnInsert").unwrap().contains_key("_insertedTS"));
    // Values are never operators.
    let keys =
        [("document.id.strategy", "ProvidedInValueStrategy"), ("writemodel.strategy", "ReplaceOneBusinessKeyStrategy")];
    let found = written(&keys, &one(None, Some(r#"{"_id":{"a":{"$gt":""}}}"#)));
    assert_eq!(found.get_document("q").ok(), Some(&doc! { "a": { "$eq": { "$gt": "" } } }));
    for value in [r#"{"_id":1}"#, r#"{"_id":{}}"#] {
        assert!(entry(&keys, &one(None, Some(value))).is_err(), "{value}");
    }
}

#[test]
fn deletions_go_by_the_key() {
    let delete = [("writemodel.strategy", "DeleteOneDefaultStrategy")];
    let deleted = |key: &str| written(&delete, &one(Some(key), Some("{}"))).get_document("q").unwrap().clone();
    assert_eq!(deleted(r#"{"k":1}"#), doc! { "_id": { "k": 1_i32 } });
    assert_eq!(deleted(r#"{"_id":1,"shard":2}"#), doc! { "_id": { "$eq": 1_i32 }, "shard": { "$eq": 2_i32 } });
    let keys = [
        ("document.id.strategy", "PartialKeyStrategy"),
        ("document.id.strategy.partial.key.projection.type", "BlockList"),
        ("document.id.strategy.partial.key.projection.list", "x"),
        ("delete.on.null.values", "true"),
        ("delete.writemodel.strategy", "DeleteOneTombstoneBusinessKeyStrategy"),
    ];
    let found = written(&keys, &one(Some(r#"{"a":{"b":1},"x":2}"#), None));
    assert_eq!(found, doc! { "q": { "a.b": { "$eq": 1_i32 } }, "limit": 1_i32 });
}

#[test]
fn fields_name_the_namespace() {
    let by =
        |more: &[(&'static str, &'static str)]| [&[("namespace.mapper", "FieldPathNamespaceMapper")], more].concat();
    let record = one(Some(r#"{"db":"eu","bad":"a b"}"#), Some(r#"{"to":{"coll":"items"},"a.b":"dotted","n":1}"#));
    let named = |keys: &[(&str, &str)]| entry(keys, &record).map(|found| found.unwrap().2.unwrap().to_string());
    let database = ("namespace.mapper.key.database.field", "db");
    assert_eq!(named(&by(&[database, ("namespace.mapper.value.collection.field", "to.coll")])).unwrap(), "eu.items");
    assert_eq!(named(&by(&[("namespace.mapper.value.collection.field", "a.b")])).unwrap(), "analytics.dotted");
    for field in ["n", "to.x", "to"] {
        let keys = by(&[("namespace.mapper.value.collection.field", field)]);
        assert_eq!(named(&keys).unwrap(), "analytics.t", "{field}");
        let strict = [&keys[..], &[("namespace.mapper.error.if.invalid", "true")]].concat();
        assert!(named(&strict).is_err(), "{field}");
    }
    let error = named(&by(&[("namespace.mapper.key.database.field", "bad")])).unwrap_err();
    assert!(error.to_string().contains("database name"), "{error}");
}

#[test]
fn the_key_as_id_and_the_key_stay_one() {
    let keys = [
        ("document.id.strategy", "FullKeyStrategy"),
        ("post.processor.chain", "DocumentIdAdder,BlockListKeyProjector,RenameByMapping"),
        ("key.projection.list", "x"),
        ("field.renamer.mapping", r#"[{"oldName":"key.k","newName":"l"},{"oldName":"value._id.m","newName":"o"}]"#),
    ];
    let found = written(&keys, &one(Some(r#"{"k":1,"m":2,"x":3}"#), Some(r#"{"n":1}"#)));
    let id = found.get_document("u").unwrap().get("_id").unwrap();
    assert_eq!(id, &Bson::Document(doc! { "l": 1_i32, "o": 2_i32 }), "{found}");
}
