//! What records are made of events.

use millrace_sdk::{Datum, Value};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Decimal128, Document, doc};
use serde_json::json;

use crate::place::{Place, by_id, json, text};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_an_event_with_its_document_key() {
    let Some(place) = Place::new().await else { return };
    let mut reading = place.reading(&[]).await;
    let items = place.items();
    items.insert_one(doc! { "_id": 1, "a": 1_i64 }).await.unwrap();
    items.update_one(by_id(1), doc! { "$set": { "a": 2.5 }, "$unset": { "b": 1 } }).await.unwrap();
    items.replace_one(by_id(1), doc! { "c": "ü" }).await.unwrap();
    items.delete_one(by_id(1)).await.unwrap();
    let records = reading.next(4).await;
    for (record, operation) in records.iter().zip(["insert", "update", "replace", "delete"]) {
        assert_eq!(record.topic, format!("{}.items", place.database));
        assert_eq!(text(&record.key), "{\"_id\": 1}");
        let event = json(&record.value);
        assert_eq!(event["operationType"], operation);
        assert_eq!(event["ns"], json!({ "db": place.database, "coll": "items" }));
        assert_eq!(event["documentKey"], json!({ "_id": 1 }));
    }
    assert_eq!(json(&records[0].value)["fullDocument"], json!({ "_id": 1, "a": { "$numberLong": "1" } }));
    let update = json(&records[1].value);
    assert_eq!(update["updateDescription"]["updatedFields"], json!({ "a": 2.5 }));
    assert_eq!(update.get("fullDocument"), None);
    assert_eq!(json(&records[2].value)["fullDocument"], json!({ "_id": 1, "c": "ü" }));
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_formatter_decides_how_types_are_told() {
    let Some(place) = Place::new().await else { return };
    let id = ObjectId::parse_str("507f1f77bcf86cd799439011").unwrap();
    let formats = [
        (
            "DefaultJson",
            json!({ "$oid": id.to_hex() }),
            json!({ "$numberLong": "7" }),
            json!({ "$date": 1_700_000_000_000_i64 }),
        ),
        (
            "com.mongodb.kafka.connect.source.json.formatter.ExtendedJson",
            json!({ "$oid": id.to_hex() }),
            json!({ "$numberLong": "7" }),
            json!({ "$date": { "$numberLong": "1700000000000" } }),
        ),
        ("SimplifiedJson", json!(id.to_hex()), json!(7), json!("2023-11-14T22:13:20Z")),
    ];
    for (class, oid, long, date) in formats {
        let mut reading =
            place.reading(&[("output.json.formatter", class), ("publish.full.document.only", "true")]).await;
        let document = doc! { "_id": id, "long": 7_i64, "date": DateTime::from_millis(1_700_000_000_000) };
        place.items().insert_one(document).await.unwrap();
        let record = &reading.next(1).await[0];
        assert_eq!(json(&record.key), json!({ "_id": oid }), "{class}");
        assert_eq!(json(&record.value), json!({ "_id": oid, "long": long, "date": date }), "{class}");
        reading.close().await;
        place.items().delete_many(doc! {}).await.unwrap();
    }
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_alone_with_tombstones() {
    let Some(place) = Place::new().await else { return };
    let alone = ("publish.full.document.only", "true");
    let mut with = place.reading(&[alone, ("publish.full.document.only.tombstone.on.delete", "true")]).await;
    let mut without = place.reading(&[alone]).await;
    let items = place.items();
    items.insert_one(doc! { "_id": 1, "a": 1 }).await.unwrap();
    items.update_one(by_id(1), doc! { "$set": { "b": 2 } }).await.unwrap();
    // Else the update's document is looked up when it is gone.
    let records = with.next(2).await;
    items.delete_one(by_id(1)).await.unwrap();
    items.insert_one(doc! { "_id": 2 }).await.unwrap();
    assert_eq!(text(&records[0].value), "{\"_id\": 1, \"a\": 1}");
    assert_eq!(text(&records[1].value), "{\"_id\": 1, \"a\": 1, \"b\": 2}", "looked up");
    let records = with.next(2).await;
    assert_eq!((text(&records[0].key), &records[0].value), ("{\"_id\": 1}", &Datum::Null));
    assert_eq!(text(&records[1].key), "{\"_id\": 2}");
    let last = loop {
        let record = without.next(1).await.remove(0);
        assert_ne!(record.value, Datum::Null);
        if text(&record.key) == "{\"_id\": 2}" {
            break record;
        }
    };
    assert_eq!(text(&last.value), "{\"_id\": 2}");
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bson_is_the_servers_own_bytes() {
    let Some(place) = Place::new().await else { return };
    let mut reading = place
        .reading(&[
            ("output.format.key", "bson"),
            ("output.format.value", "bson"),
            ("publish.full.document.only", "true"),
        ])
        .await;
    let document =
        doc! { "_id": ObjectId::new(), "d": "1.50".parse::<Decimal128>().unwrap(), "n": { "x": [1, "y", null] } };
    place.items().insert_one(document.clone()).await.unwrap();
    let record = &reading.next(1).await[0];
    let read = |datum: &Datum| -> Document {
        let Datum::Decoded { value: Value::Bytes(bytes), .. } = datum else { panic!("no bytes: {datum:?}") };
        mongodb::bson::deserialize_from_slice(bytes).unwrap()
    };
    assert_eq!(read(&record.value), document);
    assert_eq!(read(&record.key), doc! { "_id": document.get_object_id("_id").unwrap() });
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_given_and_inferred() {
    let Some(place) = Place::new().await else { return };
    let avro = r#"{"type": "record", "name": "item", "fields": [
        {"name": "_id", "type": "int"}, {"name": "in.x", "type": ["null", "long"]}, {"name": "gone", "type": ["string", "null"]}]}"#;
    let more = [("output.format.value", "schema"), ("publish.full.document.only", "true")];
    let mut given = place.reading(&[more[0], more[1], ("output.schema.value", avro)]).await;
    let mut inferred = place.reading(&[more[0], more[1], ("output.schema.infer.value", "true")]).await;
    let mut events = place.reading(&[("output.format.value", "schema"), ("output.format.key", "schema")]).await;
    place.items().insert_one(doc! { "_id": 1, "in": { "x": 5 }, "b": [1, "y"] }).await.unwrap();

    let record = given.next(1).await.remove(0);
    let Datum::Decoded { schema: Some(schema), value } = record.value else { panic!("no schema") };
    assert_eq!(schema.name.as_deref(), Some("item"));
    assert_eq!(value.field("in.x").unwrap(), Some(Value::Int(5)));
    assert_eq!(value.field("gone").unwrap(), Some(Value::Null));

    let record = inferred.next(1).await.remove(0);
    let Datum::Decoded { schema: Some(schema), value } = record.value else { panic!("no schema") };
    let names: Vec<&str> = schema.fields.iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["_id", "b", "in"]);
    assert_eq!(value.field("b").unwrap(), Some(Value::List(vec![Value::Str("1".into()), Value::Str("y".into())])));

    let record = events.next(1).await.remove(0);
    let Datum::Decoded { schema: Some(schema), value } = record.value else { panic!("no schema") };
    assert_eq!(schema.name.as_deref(), Some("ChangeStream"));
    assert_eq!(value.field("operationType").unwrap(), Some(Value::Str("insert".into())));
    assert_eq!(
        value.field("fullDocument").unwrap(),
        Some(Value::Str("{\"_id\": 1, \"in\": {\"x\": 5}, \"b\": [1, \"y\"]}".into()))
    );
    let Datum::Decoded { schema: Some(schema), value } = record.key else { panic!("no schema") };
    assert_eq!(schema.name.as_deref(), Some("keySchema"));
    assert!(matches!(value.field("_id").unwrap(), Some(Value::Str(text)) if text.starts_with("{\"_data\": \"82")));
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_schema_follows_the_tolerance() {
    let Some(place) = Place::new().await else { return };
    let avro = r#"{"type": "record", "name": "item", "fields": [{"name": "n", "type": "long"}]}"#;
    let more =
        [("output.format.value", "schema"), ("output.schema.value", avro), ("publish.full.document.only", "true")];
    let mut framework = place.reading(&more).await;
    let mut none = place.reading(&[&more[..], &[("mongo.errors.tolerance", "none")]].concat()).await;
    let all = [("mongo.errors.tolerance", "all"), ("mongo.errors.deadletterqueue.topic.name", "letters")];
    let mut all = place.reading(&[&more[..], &all].concat()).await;
    place
        .items()
        .insert_many([doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "m": 1 }, doc! { "_id": 3, "n": 3 }])
        .await
        .unwrap();

    assert_eq!(framework.next(2).await.len(), 2);
    let failure = framework.failures.remove(0);
    assert_eq!(failure.key.as_deref(), Some(&b"{\"_id\": 2}"[..]));
    assert_eq!(failure.value.as_deref(), Some(&b"{\"_id\": 2, \"m\": 1}"[..]));
    assert_eq!(failure.error.to_string(), "Missing field 'n' in: '{\"_id\": 2, \"m\": 1}'");
    let error = none.error().await;
    assert_eq!(error.kind(), millrace_sdk::ErrorKind::BadRecord);
    assert!(error.chain().contains("{\"_id\": 2}"), "{}", error.chain());
    let records = all.next(3).await;
    assert_eq!(records[1].topic, "letters");
    assert_eq!(text(&records[1].value), "{\"_id\": 2, \"m\": 1}");
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_before_and_after() {
    let Some(place) = Place::new().await else { return };
    let database = place.client.database(&place.database);
    let enable = doc! { "collMod": "items", "changeStreamPreAndPostImages": { "enabled": true } };
    database.run_command(enable).await.unwrap();
    let mut readings = Vec::new();
    for mode in ["whenAvailable", "required"] {
        let more = [("change.stream.full.document", mode), ("change.stream.full.document.before.change", mode)];
        readings.push(place.reading(&more).await);
    }
    place.items().insert_one(doc! { "_id": 1, "a": 1 }).await.unwrap();
    place.items().update_one(by_id(1), doc! { "$set": { "a": 2 } }).await.unwrap();
    place.items().update_one(by_id(1), doc! { "$set": { "a": 3 } }).await.unwrap();
    place.items().delete_one(by_id(1)).await.unwrap();
    for reading in &mut readings {
        let events: Vec<_> = reading.next(4).await.iter().map(|record| json(&record.value)).collect();
        assert_eq!(events[1]["fullDocumentBeforeChange"], json!({ "_id": 1, "a": 1 }));
        assert_eq!(events[1]["fullDocument"], json!({ "_id": 1, "a": 2 }), "as it was then, not as it is now");
        assert_eq!(events[3]["fullDocumentBeforeChange"], json!({ "_id": 1, "a": 3 }));
    }
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_and_expanded_events() {
    let Some(place) = Place::new().await else { return };
    let pipeline = "[{$match: {operationType: {$in: ['insert', 'createIndexes']}}}, {$addFields: {added: \"yes\"}}]";
    let mut reading = place
        .reading(&[("collection", ""), ("pipeline", pipeline), ("change.stream.show.expanded.events", "true")])
        .await;
    place.items().insert_one(by_id(1)).await.unwrap();
    place.items().delete_one(by_id(1)).await.unwrap();
    let index = mongodb::IndexModel::builder().keys(doc! { "a": 1 }).build();
    place.items().create_index(index).await.unwrap();
    let events: Vec<_> = reading.next(2).await.iter().map(|record| json(&record.value)).collect();
    assert_eq!(events[0]["operationType"], "insert");
    assert_eq!(events[0]["added"], "yes");
    assert_eq!(events[1]["operationType"], "createIndexes");
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_resume_tokens_as_keys() {
    let Some(place) = Place::new().await else { return };
    let map = format!("{{\"{}.items\": \"mapped\", \"*\": \"rest\"}}", place.database);
    let mut reading = place
        .reading(&[
            ("collection", ""),
            ("topic.prefix", "p"),
            ("topic.suffix", "s"),
            ("topic.separator", "-"),
            ("topic.namespace.map", &map),
            ("change.stream.document.key.as.key", "false"),
        ])
        .await;
    place.items().insert_one(by_id(1)).await.unwrap();
    place.collection("other").insert_one(by_id(1)).await.unwrap();
    let records = reading.next(2).await;
    assert_eq!(records.iter().map(|record| record.topic.as_str()).collect::<Vec<_>>(), ["p-mapped-s", "p-rest-s"]);
    for record in records {
        assert_eq!(json(&record.key)["_id"], json(&record.value)["_id"]);
    }
    place.drop().await;
}
