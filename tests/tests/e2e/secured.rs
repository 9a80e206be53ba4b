//! A MongoDB with TLS, its own authority and access control: by password and by certificate records arrive, and what is wrong is
//! said before a task starts.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use millrace_tests::certificates::{authority, certificate};
use millrace_tests::kafka::{Produced, create_topic, produce, wait_drained};
use millrace_tests::process::{Process, free_port};
use millrace_tests::replica_set::mongod;
use millrace_tests::standalone::Standalone;
use millrace_tests::unique;
use millrace_tests::wait::eventually;
use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

/// An authority, and certificates of server and client by it.
fn certificates(directory: &Path) {
    authority(directory, "ca");
    certificate(directory, "ca", "server", "/CN=server/O=test-server");
    certificate(directory, "ca", "client", "/CN=client/O=test-client");
}

async fn run(uri: &str, database: &str, command: Document) -> Result<(), String> {
    let client = mongodb::Client::with_uri_str(uri).await.map_err(|error| error.to_string())?;
    client.database(database).run_command(command).await.map(|_| ()).map_err(|error| error.to_string())
}

fn config(topic: &str, uri: &str) -> Value {
    json!({
        "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector", "tasks.max": "1", "topics": topic,
        "connection.uri": uri, "database": "secured", "document.id.strategy": "KafkaMetaDataStrategy",
    })
}

/// A mongod that asks for TLS and a login, with the certificates in `directory`.
fn secured_mongod(directory: &Path, port: u16) -> Process {
    let options = "--bind_ip 127.0.0.1 --nounixsocket --auth --tlsMode requireTLS \
        --tlsAllowConnectionsWithoutCertificates --wiredTigerCacheSizeGB 0.25";
    let mut command = Command::new(mongod());
    command.args(options.split_ascii_whitespace()).arg("--port").arg(port.to_string());
    for (option, file) in [("--dbpath", "data"), ("--tlsCertificateKeyFile", "server.pem"), ("--tlsCAFile", "ca.pem")] {
        command.arg(option).arg(directory.join(file));
    }
    Process::start("mongod-tls", directory, &mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_certificates_and_own_authorities_work() {
    let millrace = Standalone::start().await;
    let directory = millrace.folder().join("tls");
    std::fs::create_dir_all(directory.join("data")).unwrap();
    certificates(&directory);
    let port = free_port();
    let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let _mongod = secured_mongod(&directory, port);
    let uri = |credentials: &str, more: &str| {
        format!("mongodb://{credentials}127.0.0.1:{port}/?tls=true&serverSelectionTimeoutMS=3000{more}")
    };
    let trust = format!("&tlsCAFile={}", file("ca.pem"));
    let root = doc! { "createUser": "root", "pwd": "secret-of-root", "roles": ["root"] };
    eventually("the first user", LIMIT, || run_once(uri("", &trust), "admin", root.clone())).await;
    let as_root = uri("root:secret-of-root@", &trust);
    let role = doc! { "role": "readWrite", "db": "secured" };
    let user = doc! { "createUser": "O=test-client,CN=client", "roles": [role] };
    run(&as_root, "$external", user).await.unwrap();
    let reader =
        doc! { "createUser": "reader", "pwd": "secret-of-reader", "roles": [{ "role": "read", "db": "secured" }] };
    run(&as_root, "admin", reader).await.unwrap();

    let rest = millrace.rest();
    let topic = unique("secured");
    create_topic(&topic, 1).await;
    produce(&topic, &[Produced { key: None, value: Some(r#"{"n":1}"#.to_owned()), timestamp_ms: 1 }]);
    let by_certificate = format!("&authMechanism=MONGODB-X509&tlsCertificateKeyFile={}", file("client.pem"));
    for (name, uri) in [("scram", as_root.clone()), ("x509", uri("", &format!("{trust}{by_certificate}")))] {
        let name = unique(name);
        rest.create(&name, config(&topic, &uri)).await;
        wait_drained(&name, &topic, LIMIT).await;
        rest.wait_state(&name, "RUNNING", 1, LIMIT).await;
    }
    // The same authority and certificate by the peer's keys.
    let mut by_keys = config(&topic, &uri("", "&authMechanism=MONGODB-X509"));
    by_keys["connection.ssl.truststore"] = file("ca.pem").into();
    by_keys["connection.ssl.keystore"] = file("client.pem").into();
    let name = unique("stores");
    rest.create(&name, by_keys.clone()).await;
    wait_drained(&name, &topic, LIMIT).await;

    let mut java = by_keys;
    java["connection.ssl.truststore"] = file("client.csr").replace(".csr", ".jks").into();
    std::fs::write(directory.join("client.jks"), b"\xfe\xed\xfe\xed\0\0\0\x02").unwrap();
    for (config, said) in [
        (config(&topic, &uri("root:secret-but-wrong@", &trust)), "check user, password"),
        (config(&topic, &uri("reader:secret-of-reader@", &trust)), "readWrite"),
        (java, "PEM"),
    ] {
        let answer =
            rest.call("POST", "/connectors", Some(json!({ "name": unique("refused"), "config": config }))).await;
        let text = answer.body.to_string();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}");
        assert!(text.contains(said) && !text.contains("secret-"), "{text}");
    }
}

async fn run_once(uri: String, database: &str, command: Document) -> Result<(), String> {
    match run(&uri, database, command).await {
        // An attempt whose answer was lost made the user.
        Err(error) if error.contains("already exists") || error.contains("requires authentication") => Ok(()),
        other => other,
    }
}
