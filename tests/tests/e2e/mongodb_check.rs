//! A MongoDB source that may not do what it must, or a MongoDB that cannot: refused before a task starts, with what is missing
//! and what to grant.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use millrace_tests::process::{Process, free_port};
use millrace_tests::replica_set::mongod;
use millrace_tests::standalone::Standalone;
use millrace_tests::unique;
use millrace_tests::wait::eventually;
use mongodb::bson::{Bson, Document, doc};
use reqwest::StatusCode;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

fn start(name: &str, directory: &Path, port: u16, more: &[&str]) -> Process {
    let data = directory.join(format!("{name}-data"));
    std::fs::create_dir_all(&data).unwrap();
    let mut command = Command::new(mongod());
    command
        .args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"])
        .args(["--port", &port.to_string(), "--dbpath"])
        .arg(&data)
        .args(more);
    Process::start(name, directory, &mut command)
}

async fn run(uri: &str, database: &str, command: Document) -> Result<Document, String> {
    let client = mongodb::Client::with_uri_str(uri).await.map_err(|error| error.to_string())?;
    client.database(database).run_command(command).await.map_err(|error| error.to_string())
}

/// A replica set of one with access control; the connection string of a user.
async fn secured(directory: &Path) -> (Process, impl Fn(&str) -> String) {
    let key = directory.join("key");
    std::fs::write(&key, "a2V5b2ZhdGVzdG9ubHk=").unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let port = free_port();
    let process =
        start("mongod-auth", directory, port, &["--replSet", "rs0", "--auth", "--keyFile", &key.to_string_lossy()]);
    let direct = format!("mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=3000");
    let member = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
    let initiate = doc! { "replSetInitiate": { "_id": "rs0", "members": [member] } };
    eventually("initiated", LIMIT, || async {
        match run(&direct, "admin", initiate.clone()).await {
            Err(error) if error.contains("already initialized") || error.contains("requires authentication") => Ok(()),
            other => other.map(drop),
        }
    })
    .await;
    let root = doc! { "createUser": "root", "pwd": "secret-of-root", "roles": ["root"] };
    eventually("the first user", LIMIT, || async {
        match run(&direct, "admin", root.clone()).await {
            Err(error) if error.contains("already exists") || error.contains("requires authentication") => Ok(()),
            other => other.map(drop),
        }
    })
    .await;
    let uri = move |user: &str| {
        format!(
            "mongodb://{user}:secret-of-{user}@127.0.0.1:{port}/?replicaSet=rs0&authSource=admin&serverSelectionTimeoutMS=5000"
        )
    };
    (process, uri)
}

/// A user with these actions on a collection, or on the whole database for an empty name.
async fn user(root: &str, name: &str, collection: &str, actions: &[&str]) {
    let resource = doc! { "db": "shop", "collection": collection };
    let privileges: Vec<Bson> = match actions {
        [] => vec![],
        actions => vec![Bson::from(doc! { "resource": resource, "actions": actions.to_vec() })],
    };
    let role = doc! { "createRole": format!("role-of-{name}"), "privileges": privileges, "roles": [] };
    run(root, "admin", role).await.unwrap();
    let roles = vec![Bson::from(format!("role-of-{name}"))];
    let user = doc! { "createUser": name, "pwd": format!("secret-of-{name}"), "roles": roles };
    run(root, "admin", user).await.unwrap();
}

fn config(uri: &str, more: Value) -> Value {
    let mut config = json!({
        "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector", "tasks.max": "1", "connection.uri": uri,
        "database": "shop", "collection": "orders",
    });
    config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_privileges_are_named_with_what_to_grant() {
    let millrace = Standalone::start().await;
    let rest = millrace.rest();
    let (_mongod, uri) = secured(millrace.folder()).await;
    let root = uri("root");
    run(&root, "shop", doc! { "create": "orders" }).await.unwrap();
    for (name, collection, actions) in [
        ("nothing", "orders", &[][..]),
        ("finder", "orders", &["find"]),
        ("streamer", "orders", &["changeStream"]),
        ("both", "orders", &["find", "changeStream"]),
        ("lister", "", &["find", "changeStream"]),
        ("all", "", &["find", "changeStream", "listCollections"]),
    ] {
        user(&root, name, collection, actions).await;
    }
    let database = json!({ "collection": "" });
    let copy = json!({ "collection": "", "startup.mode": "copy_existing" });
    for (name, more, said) in [
        ("nothing", json!({}), "lacks find and changeStream on shop.orders"),
        ("finder", json!({}), "lacks changeStream on shop.orders"),
        ("streamer", json!({}), "lacks find on shop.orders"),
        ("both", database.clone(), "lacks find and changeStream on the database shop"),
        ("lister", copy.clone(), "lacks listCollections on the database shop"),
        ("all", json!({ "database": "", "collection": "" }), "the role readAnyDatabase on admin"),
    ] {
        let body = json!({ "name": unique("refused"), "config": config(&uri(name), more) });
        let answer = rest.call("POST", "/connectors", Some(body)).await;
        let text = answer.body.to_string();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}: {text}");
        assert!(text.contains(said) && text.contains("grant") && !text.contains("secret-"), "{name}: {text}");
    }
    for (name, more) in [("both", json!({})), ("lister", database), ("all", copy)] {
        let connector = unique(name);
        rest.create(&connector, config(&uri(name), more)).await;
        rest.wait_state(&connector, "RUNNING", 1, LIMIT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mongod_without_a_replica_set_is_refused_with_the_remedy() {
    let millrace = Standalone::start().await;
    let port = free_port();
    let _mongod = start("mongod-alone", millrace.folder(), port, &[]);
    let uri = format!("mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=3000");
    eventually("it answers", LIMIT, || run(&uri, "admin", doc! { "hello": 1 })).await;
    let body = json!({ "name": unique("refused"), "config": config(&uri, json!({})) });
    let answer = millrace.rest().call("POST", "/connectors", Some(body)).await;
    let text = answer.body.to_string();
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}");
    assert!(text.contains("no replica set") && text.contains("--replSet") && text.contains("rs.initiate"), "{text}");
}
