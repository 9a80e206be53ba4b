//! The sink against a real cluster, named by `CASSANDRA_CONTACT_POINTS` (such as `127.0.0.1:9042`); without it these tests
//! say so and pass.

#[allow(unreachable_pub, clippy::unwrap_used)] // a module of this test program alone
mod support;

use millrace_sdk::{Datum, ErrorKind, OrderKeys};
use support::{Cluster, Proxy, batch, flat, json, outcome, record, text};

const STOCK: &str = "CREATE TABLE {ks}.stock (sku text, warehouse text, quantity int, price decimal, note text, \
                     PRIMARY KEY (sku, warehouse))";
const MAPPING: &str =
    "sku=key.sku, warehouse=key.warehouse, quantity=value.quantity, price=value.price, note=value.note";

fn key(sku: &str) -> Datum {
    text(&format!(r#"{{"sku":"{sku}","warehouse":"ULM"}}"#))
}

#[tokio::test]
async fn rows_are_inserted_updated_and_deleted() {
    let Some(cluster) = Cluster::connect("rows").await else { return };
    cluster.run(STOCK).await;
    let task = cluster.open(&[("mapping", MAPPING), ("keyspace", "{ks}"), ("table", "stock")]).await.unwrap();
    let first = batch(vec![
        record(0, 1000, key("a"), json(r#"{"quantity":1,"price":1.25,"note":"x"}"#)),
        record(1, 1000, key("b"), json(r#"{"quantity":2}"#)),
        record(2, 1000, key("c"), json(r#"{"quantity":3}"#)),
    ]);
    let OrderKeys::PerRecord(keys) = task.order_keys(&first) else { panic!("one table: keys per record") };
    assert!(keys[0] != keys[1] && keys[1] != keys[2]);
    assert!(task.write(&first).await.unwrap().failures.is_empty());
    let second = batch(vec![
        record(3, 2000, key("a"), json(r#"{"quantity":10,"price":null}"#)),
        record(4, 2000, key("b"), Datum::Null),
        record(5, 2000, key("c"), json(r#"{"quantity":null}"#)),
    ]);
    task.order_keys(&second);
    assert!(task.write(&second).await.unwrap().failures.is_empty());
    // a: what the update does not name stays. b: no value. c: no mapped value at all.
    assert_eq!(cluster.stock().await, ["a 10 x"]);
    task.close().await.unwrap();
    cluster.drop().await;
}

#[tokio::test]
async fn within_one_millisecond_the_newest_offset_wins_also_after_a_replay() {
    let Some(cluster) = Cluster::connect("ties").await else { return };
    cluster.run(STOCK).await;
    let options = [("mapping", MAPPING), ("keyspace", "{ks}"), ("table", "stock")];
    let insert = |offset, sku: &str, quantity: i32| {
        record(offset, 5000, key(sku), json(&format!(r#"{{"quantity":{quantity}}}"#)))
    };
    // Larger values and deletes first: they would win at equal write times.
    let records = vec![
        insert(0, "a", 900),
        insert(1, "a", 5),
        insert(2, "b", 1),
        record(3, 5000, key("b"), Datum::Null),
        insert(4, "b", 2),
        insert(5, "c", 7),
        record(6, 5000, key("c"), Datum::Null),
        insert(7, "d", 99),
        insert(8, "d", 98),
        insert(9, "d", 1),
    ];
    let expected = ["a 5 null", "b 2 null", "d 1 null"];
    let task = cluster.open(&options).await.unwrap();
    let whole = batch(records.clone());
    task.order_keys(&whole);
    // Lanes may finish in any order.
    for part in [&records[4..], &records[..4]] {
        assert!(task.write(&batch(part.to_vec())).await.unwrap().failures.is_empty());
    }
    assert_eq!(cluster.stock().await, expected);
    for start in [0, 3, 8] {
        let again = cluster.open(&options).await.unwrap();
        let replay = batch(records[start..].to_vec());
        again.order_keys(&replay);
        assert!(again.write(&replay).await.unwrap().failures.is_empty());
        assert_eq!(cluster.stock().await, expected, "replayed from {start}");
    }
    cluster.drop().await;
}

#[tokio::test]
async fn a_bad_record_costs_itself_alone() {
    let Some(cluster) = Cluster::connect("bad").await else { return };
    cluster.run(STOCK).await;
    let task = cluster.open(&[("mapping", MAPPING), ("keyspace", "{ks}"), ("table", "stock")]).await.unwrap();
    let huge = "h".repeat(70_000);
    let records = batch(vec![
        record(0, 1, key("a"), json(r#"{"quantity":1}"#)),
        record(1, 1, key("a"), json(r#"{"quantity":"many"}"#)),
        record(2, 1, text("no json"), json(r#"{"quantity":1}"#)),
        record(3, 1, key(&huge), json(r#"{"quantity":1}"#)), // only the database knows that this is too long
        record(4, 1, key(&huge), json(r#"{"quantity":2}"#)),
        record(5, 1, key("b"), json(r#"{"quantity":2}"#)),
    ]);
    task.order_keys(&records);
    let report = task.write(&records).await.unwrap();
    let failed: Vec<(usize, &str)> = report.failures.iter().map(|f| (f.index, f.error.kind().name())).collect();
    assert_eq!(failed, [(1, "bad-record"), (2, "bad-record"), (3, "bad-record"), (4, "bad-record")]);
    assert!(report.failures[0].error.to_string().contains("column quantity"), "{}", report.failures[0].error);
    assert_eq!(cluster.stock().await, ["a 1 null", "b 2 null"]);
    cluster.drop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let Some(cluster) = Cluster::connect("names").await else { return };
    cluster.run(STOCK).await;
    let at = |keyspace: &'static str, table: &'static str, mapping: &'static str| {
        vec![("keyspace", keyspace), ("table", table), ("mapping", mapping)]
    };
    let cases = vec![
        (at("{ks}", "stokc", MAPPING), "does not exist; tables of"),
        (at("nowhere_at_all", "stock", MAPPING), "keyspace nowhere_at_all does not exist; keyspaces: "),
        (
            at("{ks}", "stock", "sku=key.sku, warehouse=key.w, qty=value.q"),
            "has no column qty; its columns: note, price",
        ),
        (at("{ks}", "stock", "sku=key.sku"), "primary key column warehouse"),
        (
            vec![("loadBalancing.localDc", "dc9"), ("keyspace", "{ks}"), ("table", "stock"), ("mapping", MAPPING)],
            "no data centre \"dc9\"; it has ",
        ),
    ];
    for (options, message) in cases {
        let error = cluster.open(&options).await.err().unwrap_or_else(|| panic!("{options:?} must be refused"));
        assert_eq!(error.kind(), ErrorKind::BadConfig, "{error}");
        assert!(error.chain().contains(message), "{}", error.chain());
    }
    cluster.drop().await;
}

#[tokio::test]
async fn an_absent_cluster_is_waited_for() {
    let started = std::time::Instant::now();
    let config = flat(&[
        ("topics", "t"),
        ("contactPoints", "127.0.0.1:1"),
        ("loadBalancing.localDc", "dc1"),
        ("topic.t.ks.tb.mapping", "a=key"),
    ]);
    let error = support::plugin().open(&config, support::context(&config)).await.err().expect("nobody listens there");
    assert!(matches!(error.kind(), ErrorKind::Transient { .. }), "{}", error.chain());
    assert!(started.elapsed().as_secs() < 11);
}

/// `CASSANDRA_AUTH_CONTACT_POINTS` names a cluster that asks for passwords (cassandra/cassandra).
#[tokio::test]
#[ignore = "needs a second Cassandra, one that asks for passwords"]
async fn wrong_credentials_are_the_configurations_fault() {
    let points = std::env::var("CASSANDRA_AUTH_CONTACT_POINTS").expect("CASSANDRA_AUTH_CONTACT_POINTS is set");
    let right = [("auth.username", "cassandra"), ("auth.password", "cassandra")];
    let wrong = [("auth.provider", "PLAIN"), ("auth.username", "cassandra"), ("auth.password", "hunter2")];
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&right, "keyspace nowhere_at_all does not exist"),
        (&wrong, "Provided username cassandra and/or password are incorrect"),
        (&[], "Authentication is required"),
    ];
    for (credentials, message) in cases {
        let mut config = flat(credentials);
        config.extend(flat(&[
            ("topics", "t"),
            ("contactPoints", &points),
            ("loadBalancing.localDc", "datacenter1"),
            ("topic.t.nowhere_at_all.tb.mapping", "a=key"),
        ]));
        let error =
            support::plugin().open(&config, support::context(&config)).await.err().expect("there is no keyspace");
        assert_eq!(error.kind(), ErrorKind::BadConfig, "{}", error.chain());
        assert!(error.chain().contains(message), "{}", error.chain());
        assert!(!error.chain().contains("hunter2"));
    }
}

#[tokio::test]
async fn a_cluster_that_goes_away_comes_back() {
    let Some(cluster) = Cluster::connect("away").await else { return };
    cluster.run(STOCK).await;
    let proxy = Proxy::start(cluster.address()).await;
    let points = proxy.address();
    let options = [("contactPoints", points.as_str()), ("mapping", MAPPING), ("keyspace", "{ks}"), ("table", "stock")];
    let task = cluster.open(&options).await.unwrap();
    let records = batch(vec![record(0, 1, key("a"), json(r#"{"quantity":1}"#))]);
    task.order_keys(&records);
    proxy.cut();
    match outcome(task.write(&records).await) {
        Some(ErrorKind::Transient { .. }) => {}
        other => panic!("a write while the cluster is away must be transient, was {other:?}"),
    }
    proxy.restore();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while let Some(kind) = outcome(task.write(&records).await) {
        assert!(matches!(kind, ErrorKind::Transient { .. }));
        assert!(std::time::Instant::now() < deadline, "writes must go on after the cluster is back");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(cluster.stock().await, ["a 1 null"]);
    cluster.drop().await;
}

#[tokio::test]
async fn posted_samples_run() {
    let Some(cluster) = Cluster::connect("samples").await else { return };
    cluster.run("CREATE TABLE {ks}.orders (order_id text PRIMARY KEY, amount double, created_at timestamp)").await;
    cluster.run("CREATE TABLE {ks}.my_table (kafka_key text PRIMARY KEY, kafka_value text)").await;
    let orders = cluster
        .open(&[
            ("keyspace", "{ks}"),
            ("table", "orders"),
            ("mapping", "order_id=value.order_id, amount=value.amount, created_at=value.created_at"),
        ])
        .await
        .unwrap();
    let order = json(r#"{"order_id":"o1","amount":9.5,"created_at":"2026-11-21T10:15:30Z","more":1}"#);
    let records = batch(vec![record(0, 1, Datum::Null, order)]);
    orders.order_keys(&records);
    assert!(orders.write(&records).await.unwrap().failures.is_empty());
    let rows = cluster.texts("SELECT toJson(order_id), toJson(created_at) FROM {ks}.orders").await;
    assert_eq!(rows, [r#""o1" "2026-11-21 10:15:30.000Z""#]);

    let whole = cluster
        .open(&[
            ("keyspace", "{ks}"),
            ("table.name.format", "${topic}"),
            ("topic.t.{ks}.my_table.mapping", "kafka_key=key, kafka_value=value"),
        ])
        .await
        .unwrap();
    let records = batch(vec![record(0, 1, text("k1"), json(r#"{"a": [1, 2]}"#))]);
    whole.order_keys(&records);
    assert!(whole.write(&records).await.unwrap().failures.is_empty());
    assert_eq!(cluster.texts("SELECT kafka_key, kafka_value FROM {ks}.my_table").await, [r#"k1 {"a": [1, 2]}"#]);
    cluster.drop().await;
}

#[tokio::test]
async fn every_type_arrives() {
    let Some(cluster) = Cluster::connect("types").await else { return };
    cluster.run("CREATE TYPE {ks}.place (city text, zip int)").await;
    cluster
        .run(
            "CREATE TABLE {ks}.types (id int PRIMARY KEY, a ascii, bi bigint, si smallint, ti tinyint, vi varint, f float, \
             d double, de decimal, b boolean, u uuid, tu timeuuid, ts timestamp, da date, t time, bl blob, i inet, \
             l list<int>, s set<text>, m map<text, frozen<list<int>>>, p frozen<place>, tp tuple<int, text>, n timeuuid)",
        )
        .await;
    let columns = [
        "a", "bi", "si", "ti", "vi", "f", "d", "de", "b", "u", "tu", "ts", "da", "t", "bl", "i", "l", "s", "m", "p",
        "tp",
    ];
    let mapping: Vec<String> = columns.iter().map(|column| format!("{column}=value.{column}")).collect();
    let mapping = format!("id=key, n=now(), {}", mapping.join(", "));
    let task = cluster.open(&[("keyspace", "{ks}"), ("table", "types"), ("mapping", &mapping)]).await.unwrap();
    let value = json(
        r#"{"a":"x","bi":9007199254740993,"si":-5,"ti":7,"vi":123456789012345678901234567890,"f":1.5,"d":2.25,"de":"12.30",
        "b":true,"u":"550e8400-e29b-41d4-a716-446655440000","tu":"50554d6e-29bb-11e5-b345-feff819cdc9f",
        "ts":1795256130250,"da":"2026-11-21","t":"10:15:30.25","bl":"AQL/","i":"10.0.0.1","l":[1,2],"s":["x"],
        "m":{"k":[3]},"p":{"city":"Ulm"},"tp":[1,"y"]}"#,
    );
    let records = batch(vec![record(0, 1, text("17"), value)]);
    task.order_keys(&records);
    let report = task.write(&records).await.unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let select: Vec<String> = columns.iter().map(|column| format!("toJson({column})")).collect();
    let row = cluster.texts(&format!("SELECT {} FROM {{ks}}.types", select.join(", "))).await;
    let expected = r#""x" 9007199254740993 -5 7 123456789012345678901234567890 1.5 2.25 12.30 true "550e8400-e29b-41d4-a716-446655440000" "50554d6e-29bb-11e5-b345-feff819cdc9f" "2026-11-21 10:15:30.250Z" "2026-11-21" "10:15:30.250000000" "0x0102ff" "10.0.0.1" [1, 2] ["x"] {"k": [3]} {"city": "Ulm", "zip": null} [1, "y"]"#;
    assert_eq!(row, [expected]);
    cluster.drop().await;
}
