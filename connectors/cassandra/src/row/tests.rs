use std::collections::BTreeMap;

use millrace_sdk::{Header, TimestampKind};
use scylla::cluster::metadata::{ColumnType, NativeType};

use super::*;
use crate::plan::Described;
use crate::tables::{TableSettings, Unit};

fn stock() -> Described {
    let column = |name: &str, typ| (name.to_owned(), ColumnType::Native(typ));
    Described {
        columns: BTreeMap::from([
            column("sku", NativeType::Text),
            column("warehouse", NativeType::Text),
            column("quantity", NativeType::Int),
            column("note", NativeType::Text),
        ]),
        partition_key: vec!["sku".to_owned()],
        clustering_key: vec!["warehouse".to_owned()],
    }
}

fn settings(mapping: &str) -> TableSettings {
    TableSettings {
        key: "topic.t.ks.stock.mapping".to_owned(),
        topic: Some("t".to_owned()),
        keyspace: "ks".to_owned(),
        table: "stock".to_owned(),
        mapping: crate::mapping::parse(mapping).unwrap(),
        consistency: scylla::statement::Consistency::LocalOne,
        ttl: None,
        ttl_unit: Unit::Seconds,
        timestamp_unit: Unit::Milliseconds,
        null_to_unset: true,
        deletes_enabled: true,
    }
}

const MAPPING: &str = "sku=key.sku, warehouse=key.warehouse, quantity=value.stock.quantity, note=value.note";

fn layout(mapping: &str) -> Layout {
    Layout::new(settings(mapping), &stock()).unwrap()
}

fn json(text: &'static str) -> Datum {
    Datum::schemaless(Value::Json(Bytes::from_static(text.as_bytes())))
}

/// The key as the String converter leaves it.
fn record(key: &'static str, value: Datum) -> Record {
    Record {
        offset: 7,
        timestamp_ms: Some(1),
        timestamp_kind: TimestampKind::CreateTime,
        renamed_topic: None,
        key: Datum::schemaless(Value::Str(key.into())),
        value,
        headers: vec![Header { key: "note".into(), value: Datum::schemaless(Value::Str("from header".into())) }],
    }
}

const KEY: &str = r#"{"sku":"A1","warehouse":"ULM"}"#;

fn row(layout: &Layout, record: &Record) -> Result<Row> {
    layout.row(record, &mut Parts::new(record), 1000, layout.delete_statement().is_some())
}

fn shown(change: &Change) -> String {
    let cell = |cell: &Cell| match cell {
        MaybeUnset::Unset => "unset".to_owned(),
        MaybeUnset::Set(None) => "null".to_owned(),
        MaybeUnset::Set(Some(CqlValue::Text(text))) => text.clone(),
        MaybeUnset::Set(Some(CqlValue::Int(number))) => number.to_string(),
        MaybeUnset::Set(Some(CqlValue::BigInt(number))) => format!("@{number}"),
        other => format!("{other:?}"),
    };
    let (name, cells) = match change {
        Change::Insert(cells) => ("insert", cells),
        Change::Delete(cells) => ("delete", cells),
    };
    format!("{name} {}", cells.iter().map(cell).collect::<Vec<_>>().join(" "))
}

#[test]
fn records_become_inserts_and_deletes() {
    let full = r#"{"stock":{"quantity":5},"note":"x"}"#;
    let cases: Vec<(&str, Datum, &str)> = vec![
        (MAPPING, json(full), "insert A1 ULM 5 x @1000"),
        (MAPPING, json(r#"{"stock":{"quantity":5}}"#), "insert A1 ULM 5 unset @1000"),
        (MAPPING, json(r#"{"stock":{"quantity":null},"note":"x"}"#), "insert A1 ULM unset x @1000"),
        (MAPPING, Datum::Null, "delete @1000 A1 ULM"),
        (MAPPING, json("null"), "delete @1000 A1 ULM"),
        (MAPPING, json(r#"{"stock":null}"#), "delete @1000 A1 ULM"),
        // Columns that are not mapped may hold something: only a record without a value deletes the row.
        ("sku=key.sku, warehouse=key.warehouse, note=value.note", json("{}"), "insert A1 ULM unset @1000"),
        ("sku=key.sku, warehouse=key.warehouse, note=value.note", Datum::Null, "delete @1000 A1 ULM"),
        ("sku=key.sku, warehouse=key.warehouse, note=value", json("{\"a\": 1}"), "insert A1 ULM {\"a\": 1} @1000"),
        ("sku=key.sku, warehouse=key.warehouse, note=header.note", json("{}"), "insert A1 ULM from header @1000"),
        ("sku=key.sku, warehouse=key.warehouse, __timestamp=value.t", json("{\"t\":3}"), "insert A1 ULM @3000"),
        ("sku=key.sku, warehouse=key.warehouse, __ttl=value.t", json("{\"t\":60}"), "insert A1 ULM @1000 60"),
        ("sku=key.sku, warehouse=key.warehouse, __ttl=value.t", json("{}"), "insert A1 ULM @1000 unset"),
    ];
    for (mapping, value, expected) in cases {
        let record = record(KEY, value);
        assert_eq!(shown(&row(&layout(mapping), &record).unwrap().change), expected, "{mapping}: {:?}", record.value);
    }
}

#[test]
fn nulls_and_deletes_as_set() {
    let mut settings = settings(MAPPING);
    settings.null_to_unset = false;
    settings.deletes_enabled = false;
    let layout = Layout::new(settings, &stock()).unwrap();
    let record = record(KEY, Datum::Null);
    assert_eq!(shown(&row(&layout, &record).unwrap().change), "insert A1 ULM null null @1000");
}

#[test]
fn bad_records_name_the_column_and_not_the_value() {
    let from_value = "sku=value.sku, warehouse=key.warehouse, quantity=value.quantity";
    let cases: Vec<(&str, &'static str, Datum, &str)> = vec![
        (
            MAPPING,
            KEY,
            json(r#"{"stock":{"quantity":"secret"}}"#),
            "column quantity of ks.stock (from value.stock.quantity) has type int",
        ),
        (
            MAPPING,
            "secret",
            json("{}"),
            "primary key column sku of ks.stock is mapped from key.sku, which is null or missing",
        ),
        (MAPPING, r#"{"sku":"A1"}"#, json("{}"), "primary key column warehouse"),
        (
            from_value,
            KEY,
            Datum::Null,
            "cannot delete from ks.stock: the record has no value, and primary key column sku",
        ),
        (from_value, KEY, json(r#"{"quantity":1}"#), "primary key column sku of ks.stock is mapped from value.sku"),
        (
            "sku=key.sku, warehouse=key.warehouse, __ttl=value.t",
            KEY,
            json(r#"{"t":-5}"#),
            "__ttl of ks.stock (from value.t)",
        ),
    ];
    for (mapping, key, value, message) in cases {
        let record = record(key, value);
        let error = row(&layout(mapping), &record).unwrap_err();
        assert_eq!(error.kind().name(), "bad-record");
        assert!(error.to_string().contains(message), "{error}");
        assert!(!error.chain().contains("secret"), "{error}");
    }
}

#[test]
fn order_keys_are_the_primary_keys() {
    let layout = layout(MAPPING);
    let key = |text, value: Datum| {
        let record = record(text, value);
        layout.order_key(&mut Parts::new(&record))
    };
    let same = key(KEY, json("{}"));
    assert!(same.is_some());
    assert_eq!(same, key(r#"{"warehouse":"ULM", "sku":"A1", "more":1}"#, Datum::Null));
    assert_ne!(same, key(r#"{"sku":"A1","warehouse":"BER"}"#, json("{}")));
    assert_ne!(same, key(r#"{"sku":"A1U","warehouse":"LM"}"#, json("{}")));
    assert_eq!(key("no json", json("{}")), None);
}

#[test]
fn statements_quote_every_name() {
    let mut settings = settings("sku=key.sku, warehouse=key.warehouse, quantity=value.q, __ttl=value.t");
    settings.table = "St\"ock".to_owned();
    let layout = Layout::new(settings, &stock()).unwrap();
    assert_eq!(
        layout.insert_statement(),
        "INSERT INTO \"ks\".\"St\"\"ock\" (\"sku\", \"warehouse\", \"quantity\") VALUES (?, ?, ?) \
         USING TIMESTAMP ? AND TTL ?"
    );
    assert_eq!(
        layout.delete_statement().unwrap(),
        "DELETE FROM \"ks\".\"St\"\"ock\" USING TIMESTAMP ? WHERE \"sku\" = ? AND \"warehouse\" = ?"
    );
}

#[test]
fn a_mapping_must_fit_its_table() {
    let cases = [
        ("sku=key.sku, qty=value.q", "table ks.stock has no column qty; its columns: note, quantity, sku, warehouse"),
        (
            "sku=key.sku, note=value.n",
            "primary key column warehouse of ks.stock is not mapped; the primary key is sku, warehouse",
        ),
        ("sku=key.sku, warehouse=now()", "now() makes a timeuuid, and column warehouse of ks.stock has type text"),
        ("sku=key.sku, warehouse=key.w, __ttl=now()", "now() cannot fill __ttl"),
    ];
    for (mapping, message) in cases {
        let error = Layout::new(settings(mapping), &stock()).unwrap_err();
        assert_eq!(error.kind().name(), "bad-config");
        assert!(error.to_string().contains(message), "{error}");
    }
}
