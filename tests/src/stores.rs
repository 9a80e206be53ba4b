//! The three stores through their own drivers: what they hold, and the connectors that fill them.

use futures::TryStreamExt;
use mongodb::bson::Document;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::value::{CqlValue, Row};
use serde_json::{Value, json};

use crate::rest::Rest;
use crate::server;
use crate::workload::State;

fn key_of(identity: &Value) -> (String, String) {
    let text = |name: &str| identity[name].as_str().unwrap_or_default().to_owned();
    (text("sku"), text("warehouse"))
}

/// A MongoDB client.
///
/// # Panics
/// When the URI is wrong.
pub async fn mongodb() -> mongodb::Client {
    mongodb_at(&server("MONGODB_URI")).await
}

async fn mongodb_at(uri: &str) -> mongodb::Client {
    mongodb::Client::with_uri_str(uri).await.expect("a MongoDB client")
}

/// The stock lines in a MongoDB collection, by `_id: {sku, warehouse}`.
///
/// # Errors
/// When the server does not answer.
pub async fn mongodb_state(database: &str, collection: &str) -> Result<State, String> {
    mongodb_state_at(&server("MONGODB_URI"), database, collection).await
}

/// As [`mongodb_state`], of another server.
///
/// # Errors
/// When the server does not answer.
pub async fn mongodb_state_at(uri: &str, database: &str, collection: &str) -> Result<State, String> {
    let client = mongodb_at(uri).await;
    let documents: Vec<Document> = client
        .database(database)
        .collection(collection)
        .find(Document::new())
        .await
        .map_err(|e| e.to_string())?
        .try_collect()
        .await
        .map_err(|e| e.to_string())?;
    Ok(documents
        .into_iter()
        .map(|document| {
            let json = serde_json::to_value(&document).unwrap_or(Value::Null);
            (key_of(&json["_id"]), json)
        })
        .collect())
}

/// A Cassandra session.
///
/// # Panics
/// When the cluster does not answer.
pub async fn cassandra() -> Session {
    let contact = server("CASSANDRA_CONTACT_POINTS");
    SessionBuilder::new().known_node(contact).build().await.expect("a Cassandra session")
}

/// Creates keyspace and stock table.
///
/// # Panics
/// When that fails.
pub async fn create_stock_table(session: &Session, keyspace: &str) {
    let keyspace_cql = format!(
        "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {{'class':'SimpleStrategy','replication_factor':1}}"
    );
    session.query_unpaged(keyspace_cql, ()).await.expect("a keyspace");
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {keyspace}.stock (sku text, warehouse text, name text, quantity int, reserved int, \
         price double, updated_at bigint, PRIMARY KEY (sku, warehouse))"
    );
    session.query_unpaged(table, ()).await.expect("a table");
}

fn cql_json(value: Option<CqlValue>) -> Value {
    match value {
        Some(CqlValue::Text(text) | CqlValue::Ascii(text)) => json!(text),
        Some(CqlValue::Int(number)) => json!(number),
        Some(CqlValue::BigInt(number)) => json!(number),
        Some(CqlValue::Double(number)) => json!(number),
        Some(CqlValue::Boolean(boolean)) => json!(boolean),
        Some(other) => json!(format!("{other:?}")),
        None => Value::Null,
    }
}

/// All rows of a table, as JSON objects.
///
/// # Errors
/// When the cluster does not answer.
pub async fn cassandra_rows(session: &Session, table: &str) -> Result<Vec<Value>, String> {
    let mut pager = session
        .query_iter(format!("SELECT * FROM {table}"), ())
        .await
        .map_err(|e| e.to_string())?
        .rows_stream::<Row>()
        .map_err(|e| e.to_string())?;
    let names: Vec<String> = pager.column_specs().iter().map(|c| c.name().to_owned()).collect();
    let mut rows = Vec::new();
    while let Some(row) = pager.try_next().await.map_err(|e| e.to_string())? {
        rows.push(names.iter().cloned().zip(row.columns.into_iter().map(cql_json)).collect());
    }
    Ok(rows)
}

/// The stock lines in `<keyspace>.stock`.
///
/// # Errors
/// When the cluster does not answer.
pub async fn cassandra_state(session: &Session, keyspace: &str) -> Result<State, String> {
    let rows = cassandra_rows(session, &format!("{keyspace}.stock")).await?;
    Ok(rows.into_iter().map(|row| (key_of(&row), row)).collect())
}

/// All documents of an index: `_id` and source.
///
/// # Errors
/// When the server does not answer or there is no such index.
pub async fn elasticsearch_documents(index: &str) -> Result<Vec<(String, Value)>, String> {
    let rest = Rest::new(server("ELASTICSEARCH_URL"));
    rest.try_call("POST", &format!("/{index}/_refresh"), None).await?;
    let mut documents = Vec::new();
    let first = json!({"size": 5000, "query": {"match_all": {}}, "sort": ["_doc"]}).to_string();
    let mut page = rest.try_call("POST", &format!("/{index}/_search?scroll=1m"), Some(first)).await?;
    loop {
        if !page.status.is_success() {
            return Err(page.body.to_string());
        }
        let hits = page.body["hits"]["hits"].as_array().cloned().unwrap_or_default();
        if hits.is_empty() {
            return Ok(documents);
        }
        documents.extend(
            hits.into_iter().map(|hit| (hit["_id"].as_str().unwrap_or_default().to_owned(), hit["_source"].clone())),
        );
        let next = json!({"scroll": "1m", "scroll_id": page.body["_scroll_id"]}).to_string();
        page = rest.try_call("POST", "/_search/scroll", Some(next)).await?;
    }
}

/// The stock lines in an index, by the key's JSON text as `_id`.
///
/// # Errors
/// As [`elasticsearch_documents`].
pub async fn elasticsearch_state(index: &str) -> Result<State, String> {
    let documents = elasticsearch_documents(index).await?;
    Ok(documents
        .into_iter()
        .map(|(id, source)| (key_of(&serde_json::from_str(&id).unwrap_or(Value::Null)), source))
        .collect())
}

/// The MongoDB connector of the use case.
#[must_use]
pub fn mongodb_connector(topic: &str, database: &str, tasks: usize) -> Value {
    json!({
        "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector",
        "tasks.max": tasks.to_string(), "topics": topic,
        "connection.uri": server("MONGODB_URI"), "database": database, "collection": "stock",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
        "document.id.strategy": "com.mongodb.kafka.connect.sink.processor.id.strategy.FullKeyStrategy",
        "writemodel.strategy": "com.mongodb.kafka.connect.sink.writemodel.strategy.ReplaceOneDefaultStrategy",
        "delete.on.null.values": "true",
    })
}

/// The Cassandra connector of the use case.
#[must_use]
pub fn cassandra_connector(topic: &str, keyspace: &str, tasks: usize) -> Value {
    let mapping = "sku=key.sku, warehouse=key.warehouse, quantity=value.quantity, reserved=value.reserved, \
                   price=value.price, name=value.name, updated_at=value.updated_at";
    let mut config = json!({
        "connector.class": "com.datastax.oss.kafka.sink.CassandraSinkConnector",
        "tasks.max": tasks.to_string(), "topics": topic,
        "contactPoints": server("CASSANDRA_CONTACT_POINTS"), "loadBalancing.localDc": "datacenter1",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
    });
    config[format!("topic.{topic}.{keyspace}.stock.mapping")] = json!(mapping);
    config
}

/// The Elasticsearch connector of the use case.
#[must_use]
pub fn elasticsearch_connector(topic: &str, tasks: usize) -> Value {
    json!({
        "connector.class": "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector",
        "tasks.max": tasks.to_string(), "topics": topic, "connection.url": server("ELASTICSEARCH_URL"),
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
        "key.ignore": "false", "schema.ignore": "true", "behavior.on.null.values": "delete",
    })
}
