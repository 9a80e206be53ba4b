//! Change events as Debezium's connectors write them: of a relational database, and of MongoDB.

use super::typed::envelope;
use super::{Sample, sample, with_headers};

const ROW: &str = r#""type":"struct","optional":true,"name":"db.shop.customers.Value","fields":[
    {"field":"id","type":"int32","optional":false},
    {"field":"name","type":"string","optional":true},
    {"field":"city","type":"string","optional":true,"default":"Rome"},
    {"field":"topic","type":"string","optional":true},
    {"field":"at","type":"int64","name":"io.debezium.time.Timestamp","version":1,"optional":true},
    {"field":"amount","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"optional":true}]"#;

const TRANSACTION: &str = r#"{"field":"transaction","type":"struct","name":"event.block","optional":true,"fields":[
    {"field":"id","type":"string","optional":false},
    {"field":"total_order","type":"int64","optional":false},
    {"field":"data_collection_order","type":"int64","optional":false}]}"#;

fn event_schema() -> String {
    format!(
        r#"{{"type":"struct","optional":false,"name":"db.shop.customers.Envelope","version":2,"fields":[
            {{"field":"before",{ROW}}},{{"field":"after",{ROW}}},
            {{"field":"source","type":"struct","optional":false,"name":"io.debezium.connector.postgresql.Source","fields":[
                {{"field":"version","type":"string","optional":false}},
                {{"field":"ts_ms","type":"int64","optional":false}},
                {{"field":"lsn","type":"int64","optional":true}},
                {{"field":"table","type":"string","optional":false}}]}},
            {{"field":"op","type":"string","optional":false}},
            {{"field":"ts_ms","type":"int64","optional":true}},
            {TRANSACTION}]}}"#
    )
}

fn document_schema() -> String {
    format!(
        r#"{{"type":"struct","optional":false,"name":"m.shop.customers.Envelope","fields":[
            {{"field":"before","type":"string","name":"io.debezium.data.Json","version":1,"optional":true}},
            {{"field":"after","type":"string","name":"io.debezium.data.Json","version":1,"optional":true}},
            {{"field":"updateDescription","type":"struct","optional":true,
                "name":"io.debezium.connector.mongodb.changestream.updatedescription","fields":[
                {{"field":"removedFields","type":"array","items":{{"type":"string","optional":false}},"optional":true}},
                {{"field":"updatedFields","type":"string","name":"io.debezium.data.Json","version":1,"optional":true}}]}},
            {{"field":"source","type":"struct","optional":false,"name":"io.debezium.connector.mongo.Source","fields":[
                {{"field":"version","type":"string","optional":false}},
                {{"field":"ts_ms","type":"int64","optional":false}},
                {{"field":"collection","type":"string","optional":false}}]}},
            {{"field":"op","type":"string","optional":false}},
            {{"field":"ts_ms","type":"int64","optional":true}},
            {TRANSACTION}]}}"#
    )
}

const KEY: &str = r#"{"type":"struct","optional":false,"name":"db.shop.customers.Key","fields":[{"field":"id","type":"int32","optional":false}]}"#;
const WIDE_KEY: &str = r#"{"type":"struct","optional":false,"name":"db.shop.customers.Key","fields":[
    {"field":"id","type":"int32","optional":false},{"field":"topic","type":"string","optional":true}]}"#;
const DOCUMENT_KEY: &str = r#"{"type":"struct","optional":false,"name":"m.shop.customers.Key","fields":[{"field":"id","type":"string","optional":false}]}"#;
const OTHER: &str = r#"{"type":"struct","optional":false,"name":"shop.Other","fields":[{"field":"a","type":"int32","optional":false}]}"#;
const TEXT: &str = r#"{"type":"string","optional":false}"#;

const OLD: &str = r#"{"id":1,"name":"Bob","city":null,"topic":"gone","at":1700000000000,"amount":null}"#;
const NEW: &str = r#"{"id":1,"name":"Zoë 😀","city":null,"topic":"kept","at":null,"amount":"BNI="}"#;
const BLANK: &str = r#"{"id":2,"name":null,"city":"Oslo","topic":" ","at":1,"amount":"/w=="}"#;
const TX: &str = r#"{"id":"t1","total_order":3,"data_collection_order":4}"#;

/// The header by which fields are dropped.
const DROP: &[(&str, Option<&[u8]>)] = &[("drop", Some(b"[\"name\",\"topic\",\"id\"]")), ("a", Some(b"1"))];

fn row_event(op: &str, before: &str, after: &str, transaction: &str) -> String {
    format!(
        r#"{{"before":{before},"after":{after},"source":{{"version":"3","ts_ms":11,"lsn":5,"table":"customers"}},"op":"{op}","ts_ms":7,"transaction":{transaction}}}"#
    )
}

/// Events of a table.
pub(crate) fn rows() -> Vec<Sample> {
    let schema = event_schema();
    let key = envelope(KEY, r#"{"id":1}"#);
    let event = |name, op: &str, before: &str, after: &str, transaction: &str| {
        sample(name, Some(&key), Some(&envelope(&schema, &row_event(op, before, after, transaction))))
    };
    vec![
        event("create", "c", "null", NEW, "null"),
        event("read", "r", "null", BLANK, TX),
        with_headers(event("update", "u", OLD, NEW, TX), DROP),
        event("delete", "d", OLD, "null", "null"),
        with_headers(event("delete-header", "d", OLD, "null", TX), DROP),
        event("truncate", "t", "null", "null", "null"),
        event("message", "m", "null", "null", "null"),
        sample("tombstone", Some(&key), None),
        with_headers(sample("tombstone-header", Some(&key), None), DROP),
        sample("no-key", None, Some(&envelope(&schema, &row_event("u", OLD, NEW, "null")))),
        with_headers(
            sample(
                "wide-key",
                Some(&envelope(WIDE_KEY, r#"{"id":1,"topic":"x"}"#)),
                Some(&envelope(&schema, &row_event("c", "null", NEW, "null"))),
            ),
            DROP,
        ),
        sample("text-key", Some(&envelope(TEXT, r#""k""#)), Some(&envelope(&schema, &row_event("c", "null", NEW, TX)))),
        sample("other", Some(&key), Some(&envelope(OTHER, r#"{"a":1}"#))),
        sample("text", Some(&key), Some(&envelope(TEXT, r#""x""#))),
        sample(
            "schemaless",
            Some(&envelope("null", r#"{"id":1}"#)),
            Some(&envelope("null", &row_event("c", "null", NEW, "null"))),
        ),
        sample("nothing", None, None),
    ]
}

const RICH: &str = r#"{"_id":{"$oid":"596e275826f08b2730779e1f"},"name":"Zoë 😀","n":1,"l":{"$numberLong":"12345678901"},"d":1.5,"dec":{"$numberDecimal":"1.10"},"when":{"$date":1700000000000},"ts":{"$timestamp":{"t":5,"i":1}},"bin":{"$binary":{"base64":"AP8=","subType":"00"}},"ok":true,"nil":null,"re":{"$regularExpression":{"pattern":"a.*","options":"i"}},"js":{"$code":"f()"},"addr":{"city":"Rome","geo":{"x":1}},"tags":["a","b"],"nums":[1,2],"empty":[],"emptydoc":{},"items":[{"a":1,"b":"x"},{"a":2,"c":{"$numberLong":"3"}}],"deep":[["x"],["y","z"]]}"#;

fn quoted(document: &str) -> String {
    if document == "null" { document.to_owned() } else { serde_json::Value::from(document).to_string() }
}

fn document_event(op: &str, before: &str, after: &str, update: &str, transaction: &str) -> String {
    format!(
        r#"{{"before":{},"after":{},"updateDescription":{update},"source":{{"version":"3","ts_ms":11,"collection":"customers"}},"op":"{op}","ts_ms":7,"transaction":{transaction}}}"#,
        quoted(before),
        quoted(after)
    )
}

/// Events of a collection.
pub(crate) fn documents() -> Vec<Sample> {
    let schema = document_schema();
    let key = |id: &str| envelope(DOCUMENT_KEY, &serde_json::json!({ "id": id }).to_string());
    let event = |name, id: &str, op: &str, before: &str, after: &str, update: &str| {
        sample(name, Some(&key(id)), Some(&envelope(&schema, &document_event(op, before, after, update, "null"))))
    };
    let update = format!(
        r#"{{"removedFields":["gone"],"updatedFields":{}}}"#,
        quoted(r#"{"addr.city":"Oslo","n":{"$numberLong":"2"}}"#)
    );
    let removed = r#"{"removedFields":["a","b"],"updatedFields":null}"#;
    vec![
        event("create", r#"{"$oid":"596e275826f08b2730779e1f"}"#, "c", "null", RICH, "null"),
        event(
            "nested",
            "1",
            "c",
            "null",
            r#"{"_id":1,"addr":{"city":"Rome","geo":{"x":1}},"tags":["a"],"n":null}"#,
            "null",
        ),
        event("mixed-list", "1", "c", "null", r#"{"_id":1,"tags":["a",1],"items":[{"a":1},{"b":"x"}]}"#, "null"),
        event("empty-list", "1", "c", "null", r#"{"_id":1,"empty":[],"a-b":1,"1x":{"ü":2}}"#, "null"),
        event("text-id", "\"text\"", "r", "null", r#"{"_id":"text","a":1}"#, "null"),
        event("long-id", r#"{"$numberLong":"7"}"#, "c", "null", r#"{"_id":{"$numberLong":"7"}}"#, "null"),
        event("document-id", r#"{"a":1,"b":"x"}"#, "c", "null", r#"{"_id":{"a":1,"b":"x"},"n":2}"#, "null"),
        event("update", "1", "u", r#"{"_id":1,"a":0}"#, r#"{"_id":1,"a":1}"#, &update),
        event("update-alone", "1", "u", "null", "null", &update),
        event("removed-alone", "1", "u", "null", "null", removed),
        event("delete", "1", "d", r#"{"_id":1,"a":1}"#, "null", "null"),
        event("delete-alone", r#"{"$oid":"596e275826f08b2730779e1f"}"#, "d", "null", "null", "null"),
        sample(
            "transaction",
            Some(&key("1")),
            Some(&envelope(&schema, &document_event("c", "null", r#"{"_id":1}"#, "null", TX))),
        ),
        sample("tombstone", Some(&key("1")), None),
        with_headers(sample("tombstone-header", Some(&key("1")), None), DROP),
        sample("other", Some(&key("1")), Some(&envelope(OTHER, r#"{"a":1}"#))),
        sample(
            "schemaless",
            Some(&envelope("null", r#"{"id":"1"}"#)),
            Some(&envelope("null", r#"{"op":"c","after":"{}"}"#)),
        ),
    ]
}
