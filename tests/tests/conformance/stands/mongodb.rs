//! MongoDB: a database for the run, a collection with a validator for each place.

use std::ops::Range;
use std::sync::OnceLock;

use futures::TryStreamExt as _;
use millrace_sdk::{Datum, Flat, Position, SourceRecord, Value, async_trait};
use millrace_tests::{server, stores, unique};
use mongodb::bson::{Document, RawBsonRef, RawDocumentBuf, doc};

use super::flat;
use crate::stand::{Broken, Place, Poison, Reason, SinkStand, SourceStand, State, TOPIC, json, text, value};

pub(crate) struct Sink;
pub(crate) struct Source;

static DATABASE: OnceLock<String> = OnceLock::new();

fn database() -> &'static str {
    DATABASE.get_or_init(|| unique("conformance"))
}

pub(crate) async fn clean() {
    if let Some(database) = DATABASE.get() {
        stores::mongodb().await.database(database).drop().await.unwrap();
    }
}

/// The first host of the connection string.
fn host() -> String {
    let uri = server("MONGODB_URI");
    let rest = uri.split_once("://").unwrap().1;
    rest.split(['/', ',', '?']).next().unwrap().to_owned()
}

/// Behind a proxy the members of the replica set would be found at their own addresses.
fn uri(address: &str) -> String {
    format!("mongodb://{address}/?directConnection=true&serverSelectionTimeoutMS=1500")
}

fn number(value: Option<RawBsonRef<'_>>) -> i64 {
    match value {
        Some(RawBsonRef::Int32(number)) => i64::from(number),
        Some(RawBsonRef::Int64(number)) => number,
        _ => -1,
    }
}

#[async_trait]
impl SinkStand for Sink {
    fn server(&self) -> Option<String> {
        Some(host())
    }

    async fn place(&self, address: &str) -> Place {
        let name = unique("place");
        let validator = doc! { "$or": [{ "k": { "$ne": "strict" } }, { "n": { "$type": "number" } }] };
        let options = mongodb::options::CreateCollectionOptions::builder().validator(validator).build();
        let store = stores::mongodb().await.database(database());
        store.create_collection(&name).with_options(options).await.unwrap();
        let config = flat(&[
            ("topics", TOPIC),
            ("connection.uri", &uri(address)),
            ("database", database()),
            ("collection", &name),
            ("document.id.strategy", "com.mongodb.kafka.connect.sink.processor.id.strategy.FullKeyStrategy"),
            ("writemodel.strategy", "com.mongodb.kafka.connect.sink.writemodel.strategy.ReplaceOneDefaultStrategy"),
            ("delete.on.null.values", "true"),
        ]);
        Place { name, config }
    }

    async fn state(&self, place: &Place) -> Result<State, Reason> {
        // Raw: a field that is called $date is no date, and only a raw document says so.
        let collection = stores::mongodb().await.database(database()).collection::<RawDocumentBuf>(&place.name);
        let all: Vec<RawDocumentBuf> = collection.find(doc! {}).await.unwrap().try_collect().await.unwrap();
        let entry = |document: &RawDocumentBuf| {
            let key = document.get_document("_id").ok()?.get_str("k").ok()?.to_owned();
            let body = document.get_str("body").map_or(0, str::len);
            Some((key, (number(document.get("n").ok()?), body)))
        };
        Ok(all.iter().filter_map(entry).collect())
    }

    fn key(&self, name: &str) -> Datum {
        json(&serde_json::json!({ "k": name }).to_string())
    }

    fn poisons(&self) -> Result<Vec<Poison>, Reason> {
        Ok(vec![
            Poison { what: "a list as document", make: |key| (key, json("[1]")), says: "document" },
            Poison {
                what: "a key that is none",
                make: |_| (text("plain"), value("x", 1, "")),
                says: "FullKeyStrategy",
            },
            Poison {
                what: "refused by the validator",
                make: |key| (key, json(r#"{"k":"strict","n":"text"}"#)),
                says: "alidation",
            },
        ])
    }

    fn too_large(&self) -> Result<usize, Reason> {
        Ok(17 << 20)
    }

    fn wrong_credentials(&self, place: &Place) -> Result<Flat, Reason> {
        let uri = format!("mongodb://nobody:wrong@{}/?directConnection=true", host());
        Ok(place.with(&[("connection.uri", &uri)]))
    }

    fn broken(&self, place: &Place) -> Vec<Broken> {
        let set = |pairs: &[(&str, &str)]| place.with(pairs);
        vec![
            Broken {
                what: "a database that cannot be",
                config: set(&[("database", "no.such")]),
                says: "database".to_owned(),
            },
            Broken {
                what: "a collection of the server's own",
                config: set(&[("database", "admin"), ("collection", "system.users")]),
                says: "system.".to_owned(),
            },
            Broken {
                what: "a strategy that is none",
                config: set(&[("document.id.strategy", "FullKeyStrategi")]),
                says: "FullKeyStrategy".to_owned(),
            },
        ]
    }

    fn with_secret(&self, place: &Place, secret: &str) -> Vec<Flat> {
        with_secret(place, secret)
    }

    fn same(&self) -> Vec<(Datum, Datum)> {
        vec![(json(r#"{"k":"same"}"#), json(" {\n\"k\" : \"\\u0073ame\" } "))]
    }

    async fn throttle(&self, _: &Place, _: bool) -> Result<(), Reason> {
        Err("MongoDB refuses for a while only as a whole server, and this one is shared")
    }
}

fn with_secret(place: &Place, secret: &str) -> Vec<Flat> {
    let host = host();
    [
        format!("mongodb://user:{secret}@{host}/?directConnection=true&serverSelectionTimeoutMS=500"),
        format!("mongodb://user:{secret}@127.0.0.1:1/?directConnection=true&serverSelectionTimeoutMS=300"),
        format!("mongodb://user:{secret}@{host}:port/"),
        format!("mongodb://user:{secret}@"),
        format!("mongodb://user:{secret}@{host}/?w=nonsense&maxPoolSize=x"),
        format!("mongodb://user:{secret}@{host}/?authMechanism=NONE-SUCH"),
        format!("mongodb://user@name:{secret}@{host}/"),
        format!("http://user:{secret}@{host}/"),
        format!("mongodb://{host}/?tls=true&tlsCertificateKeyFilePassword={secret}"),
        secret.to_owned(),
    ]
    .iter()
    .map(|uri| place.with(&[("connection.uri", uri)]))
    .collect()
}

/// A collection's change stream from the moment the place was made.
#[async_trait]
impl SourceStand for Source {
    fn server(&self) -> Option<String> {
        Some(host())
    }

    async fn place(&self, address: &str) -> Place {
        let name = unique("place");
        let store = stores::mongodb().await.database(database());
        store.create_collection(&name).await.unwrap();
        let hello = store.run_command(doc! { "hello": 1 }).await.unwrap();
        let time = hello.get_document("$clusterTime").unwrap().get_timestamp("clusterTime").unwrap();
        let start = format!(r#"{{"$timestamp": {{"t": {}, "i": {}}}}}"#, time.time, time.increment);
        let config = flat(&[
            ("connection.uri", &uri(address)),
            ("database", database()),
            ("collection", &name),
            ("startup.mode", "timestamp"),
            ("startup.mode.timestamp.start.at.operation.time", &start),
            ("pipeline", r#"[{"$match": {"operationType": "insert"}}]"#),
            ("publish.full.document.only", "true"),
            ("poll.max.batch.size", "5"),
            ("poll.await.time.ms", "200"),
        ]);
        Place { name, config }
    }

    async fn feed(&self, place: &Place, numbers: Range<i64>) {
        let collection = stores::mongodb().await.database(database()).collection::<Document>(&place.name);
        collection.insert_many(numbers.map(|number| doc! { "_id": number, "n": number })).await.unwrap();
    }

    fn number(&self, record: &SourceRecord) -> i64 {
        let Value::Str(text) = record.value.value() else { panic!("JSON as text: {record:?}") };
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["n"].as_i64().or_else(|| value["n"]["$numberLong"].as_str()?.parse().ok()).unwrap()
    }

    fn wrong_credentials(&self, place: &Place) -> Result<Flat, Reason> {
        SinkStand::wrong_credentials(&Sink, place)
    }

    fn broken(&self, place: &Place) -> Vec<Broken> {
        let broken =
            |what, key: &str, value| Broken { what, config: place.with(&[(key, value)]), says: key.to_owned() };
        vec![
            broken("a pipeline that is none", "pipeline", "{"),
            broken("a stage that is none", "pipeline", r#"[{"$noSuchStage": {}}]"#),
            broken("a form that is none", "output.format.value", "xml"),
            broken("a mode that is none", "startup.mode", "never"),
        ]
    }

    fn with_secret(&self, place: &Place, secret: &str) -> Vec<Flat> {
        with_secret(place, secret)
    }

    fn nonsense(&self, position: &Position) -> Position {
        let mut spoilt = position.clone();
        spoilt.offset.insert("_id".to_owned(), "no token".into());
        spoilt
    }
}
