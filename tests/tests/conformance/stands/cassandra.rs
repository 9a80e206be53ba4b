//! Cassandra: a keyspace for the run, a table for each place.

use millrace_sdk::{Datum, Flat, Value, async_trait};
use millrace_tests::{server, stores, unique};
use scylla::client::session::Session;
use tokio::sync::OnceCell;

use super::flat;
use crate::stand::{Broken, Place, Poison, Reason, SinkStand, State, TOPIC, json, text, value};

pub(crate) struct Sink;

static KEYSPACE: OnceCell<(Session, String)> = OnceCell::const_new();

async fn keyspace() -> &'static (Session, String) {
    KEYSPACE
        .get_or_init(|| async {
            let (session, name) = (stores::cassandra().await, unique("conformance"));
            let replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
            run(&session, format!("CREATE KEYSPACE {name} WITH replication = {replication}")).await;
            (session, name)
        })
        .await
}

async fn run(session: &Session, cql: String) {
    session.query_unpaged(cql.as_str(), ()).await.unwrap_or_else(|error| panic!("{cql}: {error}"));
}

pub(crate) async fn clean() {
    if let Some((session, name)) = KEYSPACE.get() {
        run(session, format!("DROP KEYSPACE {name}")).await;
    }
}

fn mapping_key(place: &Place) -> String {
    place.config.keys().find(|key| key.ends_with(".mapping")).unwrap().clone()
}

/// The place's configuration with another mapping key or text.
fn mapped(place: &Place, keyspace: &str, table: &str, mapping: &str) -> Flat {
    let mut config = place.config.clone();
    config.remove(&mapping_key(place));
    config.insert(format!("topic.{TOPIC}.{keyspace}.{table}.mapping"), mapping.to_owned());
    config
}

const MAPPING: &str = "k=key, n=value.n, body=value.body";

#[async_trait]
impl SinkStand for Sink {
    fn server(&self) -> Option<String> {
        Some(server("CASSANDRA_CONTACT_POINTS").split(',').next().unwrap().trim().to_owned())
    }

    async fn place(&self, address: &str) -> Place {
        let (session, keyspace) = keyspace().await;
        let name = unique("place");
        run(session, format!("CREATE TABLE {keyspace}.{name} (k text PRIMARY KEY, n bigint, body text)")).await;
        let config = flat(&[
            ("topics", TOPIC),
            ("contactPoints", address),
            ("loadBalancing.localDc", &server("CASSANDRA_DATACENTER")),
            ("queryExecutionTimeout", "5"),
            (&format!("topic.{TOPIC}.{keyspace}.{name}.mapping"), MAPPING),
        ]);
        Place { name, config }
    }

    async fn state(&self, place: &Place) -> Result<State, Reason> {
        let (session, keyspace) = keyspace().await;
        let rows = stores::cassandra_rows(session, &format!("{keyspace}.{}", place.name)).await.unwrap();
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let entry = |row| (text(&row, "k"), (row["n"].as_i64().unwrap_or(-1), text(&row, "body").len()));
        Ok(rows.into_iter().map(entry).collect())
    }

    fn poisons(&self) -> Result<Vec<Poison>, Reason> {
        Ok(vec![
            Poison { what: "a text for a number", make: |key| (key, json(r#"{"n":"text"}"#)), says: "column n" },
            Poison { what: "a key of null", make: |_| (Datum::Null, value("x", 1, "")), says: "primary key column k" },
            Poison {
                what: "a key that Cassandra refuses",
                make: |_| (text(&"k".repeat(70_000)), value("x", 1, "")),
                says: "70000",
            },
        ])
    }

    fn too_large(&self) -> Result<usize, Reason> {
        Ok(17 << 20)
    }

    fn wrong_credentials(&self, _: &Place) -> Result<Flat, Reason> {
        Err("this Cassandra asks nobody for credentials; the answers of one that does are in the table of error.rs")
    }

    fn broken(&self, place: &Place) -> Vec<Broken> {
        let keyspace = mapping_key(place).split('.').nth(2).unwrap().to_owned();
        let broken = |what, config, says: &str| Broken { what, config, says: says.to_owned() };
        vec![
            broken("no such table", mapped(place, &keyspace, "no_such_table", MAPPING), "no_such_table does not exist"),
            broken("no such keyspace", mapped(place, "no_such_keyspace", "t", MAPPING), "no_such_keyspace"),
            broken("no such column", mapped(place, &keyspace, &place.name, "k=key, m=value.n"), "no column m"),
            broken("no primary key", mapped(place, &keyspace, &place.name, "n=value.n"), "primary key column k"),
            broken("no such data centre", place.with(&[("loadBalancing.localDc", "mars")]), "mars"),
        ]
    }

    fn with_secret(&self, place: &Place, secret: &str) -> Vec<Flat> {
        let account = [("auth.provider", "PLAIN"), ("auth.username", "user"), ("auth.password", secret)];
        let with = |more: &[(&str, &str)]| place.with(&[&account[..], more].concat());
        vec![
            with(&[]),
            with(&[("contactPoints", "127.0.0.1:1")]),
            with(&[("contactPoints", "not a host")]),
            with(&[("loadBalancing.localDc", "mars")]),
            with(&[("auth.provider", "GSSAPI")]),
        ]
    }

    fn same(&self) -> Vec<(Datum, Datum)> {
        vec![(text("7"), Datum::schemaless(Value::Int(7)))]
    }

    async fn throttle(&self, _: &Place, _: bool) -> Result<(), Reason> {
        Err("Cassandra refuses for a while only as a whole server, and this one is shared")
    }
}
