use mongodb::bson::{Document, doc};

use super::*;
use crate::sink::model::tests::{entry, one};

/// The entry that an event becomes, its filter without the operators; nothing for events without effect.
fn repeated(handler: &str, key: Option<&str>, value: Option<&str>) -> Result<Option<Document>> {
    let keys = [("change.data.capture.handler", handler)];
    Ok(entry(&keys, &one(key, value))?.map(|(_, mut document, _)| {
        let filter = document.get_document("q").cloned().unwrap_or_default();
        let plain: Document = filter
            .into_iter()
            .map(|(name, value)| {
                (name, value.as_document().and_then(|value| value.get("$eq")).cloned().unwrap_or(value))
            })
            .collect();
        document.insert("q", plain);
        document
    }))
}

fn check(handler: &str, cases: &[(Option<&str>, Option<&str>, Option<Document>)]) {
    for (key, value, expected) in cases {
        let found = repeated(handler, *key, *value).unwrap_or_else(|error| panic!("{handler} {value:?}: {error}"));
        assert_eq!(&found, expected, "{handler} {key:?} {value:?}");
    }
}

fn refused(handler: &str, cases: &[(Option<&str>, Option<&str>, &str)]) {
    for (key, value, said) in cases {
        let error = repeated(handler, *key, *value).expect_err(said);
        assert!(error.to_string().contains(said), "{handler} {value:?}: {error}");
    }
}

#[test]
fn change_streams_are_repeated() {
    let handler = "com.mongodb.kafka.connect.sink.cdc.mongodb.ChangeStreamHandler";
    let by = doc! { "_id": 1_i64 };
    check(
        handler,
        &[
            (
                None,
                Some(r#"{"operationType":"insert","documentKey":{"_id":1},"fullDocument":{"_id":1,"a":2}}"#),
                Some(doc! { "q": by.clone(), "u": { "_id": 1_i64, "a": 2_i64 }, "upsert": true }),
            ),
            (
                None,
                Some(r#"{"operationType":"update","documentKey":{"_id":1},"fullDocument":{"_id":1,"a":2}}"#),
                Some(doc! { "q": by.clone(), "u": { "_id": 1_i64, "a": 2_i64 }, "upsert": false }),
            ),
            (
                None,
                Some(
                    r#"{"operationType":"update","documentKey":{"_id":1},
                        "updateDescription":{"updatedFields":{"a.b":2},"removedFields":["c"],"truncatedArrays":[]}}"#,
                ),
                Some(doc! { "q": by, "u": { "$set": { "a.b": 2_i64 }, "$unset": { "c": "" } }, "upsert": false }),
            ),
            (
                None,
                Some(r#"{"operationType":"delete","documentKey":{"_id":1,"shard":2}}"#),
                Some(doc! { "q": { "_id": 1_i64, "shard": 2_i64 }, "limit": 1_i32 }),
            ),
            (None, Some(r#"{"operationType":"drop"}"#), None),
        ],
    );
    refused(
        handler,
        &[
            (None, None, "operationType"),
            (None, Some(r#"{"operationType":1}"#), "operationType"),
            (None, Some(r#"{"operationType":"insert","documentKey":{"_id":1}}"#), "fullDocument"),
            (None, Some(r#"{"operationType":"delete"}"#), "documentKey"),
            (
                None,
                Some(
                    r#"{"operationType":"update","documentKey":{"_id":1},
                        "updateDescription":{"updatedFields":{},"removedFields":[],"novel":1}}"#,
                ),
                "novel",
            ),
        ],
    );
}

#[test]
fn debezium_for_mongodb_is_repeated_in_both_forms() {
    let key = Some(r#"{"id":"{\"$oid\":\"65535b3a0000000000000001\"}"}"#);
    let id = mongodb::bson::oid::ObjectId::parse_str("65535b3a0000000000000001").unwrap();
    let by = doc! { "_id": id };
    let after = r#""after":"{\"_id\":{\"$oid\":\"65535b3a0000000000000001\"},\"n\":1}""#;
    let replaced = || Some(doc! { "q": by.clone(), "u": { "_id": id, "n": 1_i32 }, "upsert": true });
    for handler in ["debezium.mongodb.MongoDbHandler", "debezium.mongodb.ChangeStreamHandler"] {
        let create = format!(r#"{{"op":"c",{after}}}"#);
        check(
            handler,
            &[
                (key, Some(&create), replaced()),
                (key, Some(r#"{"op":"d"}"#), Some(doc! { "q": by.clone(), "limit": 1_i32 })),
                (key, None, None),
            ],
        );
        refused(
            handler,
            &[
                (None, Some(&create), "no key"),
                (key, Some(r#"{"op":"x"}"#), "op is"),
                (key, Some(r#"{"op":"c"}"#), "after"),
                (Some(r#"{"_id":1}"#), Some(r#"{"op":"d"}"#), "id"),
            ],
        );
    }
    let update = format!(r#"{{"op":"u",{after}}}"#);
    check("debezium.mongodb.ChangeStreamHandler", &[(key, Some(&update), replaced())]);
    check(
        "MongoDbHandler",
        &[(
            key,
            Some(r#"{"op":"u","patch":"{\"$v\":1,\"$set\":{\"a\":1}}"}"#),
            Some(doc! { "q": by.clone(), "u": { "$set": { "a": 1_i32 } }, "upsert": false }),
        )],
    );
}

#[test]
fn rows_of_debezium_have_their_keys_as_ids() {
    let key = Some(r#"{"id":1}"#);
    let by = doc! { "_id": { "id": 1_i32 } };
    for handler in ["RdbmsHandler", "MysqlHandler", "PostgresHandler"] {
        let handler = if handler == "RdbmsHandler" { "debezium.rdbms.RdbmsHandler" } else { handler };
        check(
            handler,
            &[
                (
                    key,
                    Some(r#"{"op":"c","before":null,"after":{"id":1,"a":2}}"#),
                    Some(doc! { "q": by.clone(), "u": { "_id": { "id": 1_i32 }, "a": 2_i64 }, "upsert": true }),
                ),
                (key, Some(r#"{"op":"d","before":{"id":1}}"#), Some(doc! { "q": by.clone(), "limit": 1_i32 })),
                (None, Some(r#"{"op":"d","before":{"a":2}}"#), Some(doc! { "q": { "a": 2_i64 }, "limit": 1_i32 })),
                (key, Some(r#"{"ddl":"ALTER TABLE"}"#), None),
                (key, None, None),
            ],
        );
        refused(
            handler,
            &[
                (None, Some(r#"{"op":"u","after":{"a":1}}"#), "before"),
                (key, Some(r#"{"op":"u","after":{}}"#), "after"),
            ],
        );
    }
    let keys = [("change.data.capture.handler", "PostgresHandler")];
    let (operation, ..) = entry(&keys, &one(None, Some(r#"{"op":"c","after":{"a":1}}"#))).unwrap().unwrap();
    assert!(!operation.identified, "only its row will say which one it is");
}

#[test]
fn qlik_is_repeated() {
    let key = Some(r#"{"id":1}"#);
    let by = doc! { "_id": { "id": 1_i32 } };
    check(
        "qlik.rdbms.RdbmsHandler",
        &[
            (
                key,
                Some(r#"{"message":{"headers":{"operation":"INSERT"},"data":{"id":1,"a":2}}}"#),
                Some(
                    doc! { "q": by.clone(), "u": { "_id": { "id": 1_i32 }, "id": 1_i64, "a": 2_i64 }, "upsert": true },
                ),
            ),
            (
                key,
                Some(
                    r#"{"message":{"headers":{"operation":"UPDATE"},"data":{"id":1,"a":3},"beforeData":{"id":1,"a":2}}}"#,
                ),
                Some(doc! { "q": by.clone(), "u": { "$set": { "a": 3_i64 } }, "upsert": true }),
            ),
            (key, Some(r#"{"headers_operation":"DELETE","a":1}"#), Some(doc! { "q": by, "limit": 1_i32 })),
            (key, Some(r#"{"headers":{"operation":"update"},"data":{"a":1},"beforeData":{"a":1}}"#), None),
            (key, None, None),
        ],
    );
    refused(
        "qlik.rdbms.RdbmsHandler",
        &[(key, Some(r#"{"a":1}"#), "operation"), (key, Some(r#"{"headers":{"operation":"alter"}}"#), "not known")],
    );
}

#[test]
fn nulls_are_left_out_when_asked_for() {
    let keys = [
        ("change.data.capture.handler", "PostgresHandler"),
        ("change.data.capture.handler.remove.null.values", "true"),
    ];
    let record = one(Some(r#"{"id":1}"#), Some(r#"{"op":"c","after":{"id":1,"a":null,"b":{"c":null}}}"#));
    let found = entry(&keys, &record).unwrap().unwrap().1;
    assert_eq!(found.get_document("u").ok(), Some(&doc! { "_id": { "id": 1_i32 }, "b": {} }));
    let keys = [("change.data.capture.handler", "mongodb.ChangeStreamHandler"), keys[1]];
    let update = r#"{"operationType":"update","documentKey":{"_id":1},"updateDescription":{"updatedFields":{"a":null},"removedFields":[]}}"#;
    assert!(entry(&keys, &one(None, Some(update))).unwrap().is_none(), "nothing is left of it");
}
