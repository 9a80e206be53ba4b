//! Elasticsearch: an index for each place, with a mapping.

use std::sync::Mutex;

use millrace_sdk::{Datum, Flat, Value, async_trait};
use millrace_tests::rest::Rest;
use millrace_tests::{server, unique};
use serde_json::json as body;

use super::flat;
use crate::stand::{Broken, Place, Poison, Reason, SinkStand, State, TOPIC, json, text, value};

pub(crate) struct Sink;

static INDICES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn rest() -> Rest {
    Rest::new(server("ELASTICSEARCH_URL"))
}

async fn call(method: &str, path: &str, body: Option<serde_json::Value>) {
    let answer = rest().try_call(method, path, body.map(|body| body.to_string())).await.unwrap();
    assert!(answer.status.is_success(), "{method} {path}: {}", answer.body);
}

pub(crate) async fn clean() {
    let indices = std::mem::take(&mut *INDICES.lock().unwrap());
    for index in indices {
        call("DELETE", &format!("/{index}?ignore_unavailable=true"), None).await;
    }
}

fn host() -> String {
    server("ELASTICSEARCH_URL").trim_start_matches("http://").trim_end_matches('/').to_owned()
}

#[async_trait]
impl SinkStand for Sink {
    fn server(&self) -> Option<String> {
        Some(host())
    }

    async fn place(&self, address: &str) -> Place {
        let name = unique("conformance");
        let properties = body!({ "k": { "type": "keyword" }, "n": { "type": "long" }, "body": { "type": "text" } });
        let settings = body!({ "number_of_shards": 1, "number_of_replicas": 0 });
        INDICES.lock().unwrap().push(name.clone());
        call(
            "PUT",
            &format!("/{name}"),
            Some(body!({ "settings": settings, "mappings": { "properties": properties } })),
        )
        .await;
        let config = flat(&[
            ("topics", TOPIC),
            ("connection.url", &format!("http://{address}")),
            ("index.name", &name),
            ("key.ignore", "false"),
            ("schema.ignore", "true"),
            ("behavior.on.null.values", "delete"),
        ]);
        Place { name, config }
    }

    async fn state(&self, place: &Place) -> Result<State, Reason> {
        call("POST", &format!("/{}/_refresh", place.name), None).await;
        // Only these fields: what the hostile records hold besides comes back as JSON that only Elasticsearch reads.
        let search = format!("/{}/_search?size=10000&_source=n,body", place.name);
        let answer = rest().try_call("POST", &search, None).await.unwrap();
        let hits = answer.body["hits"]["hits"].as_array().unwrap_or_else(|| panic!("{search}: {answer:?}"));
        let entry = |hit: &serde_json::Value| {
            let (id, source) = (hit["_id"].as_str().unwrap().to_owned(), &hit["_source"]);
            (id, (source["n"].as_i64().unwrap_or(-1), source["body"].as_str().map_or(0, str::len)))
        };
        Ok(hits.iter().map(entry).collect())
    }

    fn poisons(&self) -> Result<Vec<Poison>, Reason> {
        Ok(vec![
            Poison { what: "refused by the mapping", make: |key| (key, json(r#"{"n":"text"}"#)), says: "[n]" },
            Poison { what: "no document", make: |key| (key, json("[1]")), says: "JSON object" },
            Poison { what: "too long a key", make: |_| (text(&"k".repeat(513)), value("x", 1, "")), says: "513 bytes" },
        ])
    }

    fn too_large(&self) -> Result<usize, Reason> {
        Ok(101 << 20)
    }

    fn wrong_credentials(&self, _: &Place) -> Result<Flat, Reason> {
        Err("this Elasticsearch has no security; the answers of one that has are in the table of error.rs")
    }

    fn broken(&self, place: &Place) -> Vec<Broken> {
        let broken = |what, config, says: &str| Broken { what, config, says: says.to_owned() };
        vec![
            broken("an index name that cannot be", place.with(&[("index.name", "No such")]), "lower case"),
            broken(
                "another kind of server",
                place.with(&[("connection.url", server("ETCD_ENDPOINTS").split(',').next().unwrap())]),
                "connection.url",
            ),
            broken("no address", place.with(&[("connection.url", "http://")]), "connection.url"),
        ]
    }

    fn with_secret(&self, place: &Place, secret: &str) -> Vec<Flat> {
        let host = host();
        let mut all: Vec<Flat> = [
            format!("http://user:{secret}@{host}"),
            format!("http://user:{secret}@127.0.0.1:1/"),
            format!("http://user:{secret}@{host}:port/"),
            format!("ftp://user:{secret}@{host}/"),
            format!("http://user:{secret}@"),
            format!("user:{secret}@{host}"),
            format!("http://{host}/?password={secret}"),
        ]
        .iter()
        .map(|url| place.with(&[("connection.url", url)]))
        .collect();
        let account = [("connection.username", "user"), ("connection.password", secret)];
        all.push(place.with(&account));
        all.push(place.with(&[&account[..], &[("connection.url", "http://127.0.0.1:1")]].concat()));
        all
    }

    fn same(&self) -> Vec<(Datum, Datum)> {
        vec![(text("7"), Datum::schemaless(Value::Int(7)))]
    }

    async fn throttle(&self, place: &Place, on: bool) -> Result<(), Reason> {
        call("PUT", &format!("/{}/_settings", place.name), Some(body!({ "index.blocks.write": on }))).await;
        Ok(())
    }
}
