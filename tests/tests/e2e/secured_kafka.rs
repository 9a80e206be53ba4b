//! A Kafka with TLS of its own authority that asks for a login or a certificate: sinks read it, each record arrives, and what is
//! wrong is said in the status, without secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use millrace_tests::certificates::{authority, certificate};
use millrace_tests::kafka_cluster::{Extras, KafkaCluster};
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::unique;
use millrace_tests::wait::eventually;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::{Map, Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const PARTITIONS: i32 = 3;
const RECORDS: u32 = 600;
/// How long a login is good. Readers that do not log in again are disconnected.
const LOGIN_MS: u32 = 3_000;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

/// A broker with a listener for logins and one for certificates; the certificates are in `folder`.
async fn secured(folder: &Path) -> KafkaCluster {
    authority(folder, "ca");
    authority(folder, "stranger");
    certificate(folder, "ca", "server", "/CN=server");
    certificate(folder, "ca", "client", "/O=test-client/CN=client");
    let mut properties = vec![
        "listener.name.login.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned(),
        format!("listener.name.login.plain.sasl.jaas.config={PLAIN} required user_alice=\"secret-of-alice\";"),
        format!("listener.name.login.scram-sha-256.sasl.jaas.config={SCRAM} required;"),
        format!("listener.name.login.scram-sha-512.sasl.jaas.config={SCRAM} required;"),
        format!("connections.max.reauth.ms={LOGIN_MS}"),
        "listener.name.certificate.ssl.client.auth=required".to_owned(),
    ];
    for listener in ["login", "certificate"] {
        for (store, file) in [("keystore", "server.pem"), ("truststore", "ca.pem")] {
            properties.push(format!("listener.name.{listener}.ssl.{store}.type=PEM"));
            properties.push(format!("listener.name.{listener}.ssl.{store}.location={}", folder.join(file).display()));
        }
    }
    let scram = ["256", "512"].map(|bits| format!("SCRAM-SHA-{bits}=[name=bob,password=secret-of-bob]"));
    KafkaCluster::start(
        1,
        Extras {
            listeners: vec![("LOGIN", "SASL_SSL"), ("CERTIFICATE", "SSL")],
            properties: properties.join("\n"),
            scram: scram.into(),
            log_requests: true,
        },
    )
    .await
}

/// Connectors and what they are to say, on one topic.
struct Scenario<'a> {
    kafka: KafkaCluster,
    rest: Rest,
    folder: &'a Path,
    topic: String,
}

impl Scenario<'_> {
    /// A sink whose consumer has these settings.
    async fn create(&self, name: &str, listener: &str, settings: &[(&str, &str)]) {
        let mut config = Map::new();
        let file = self.file(name);
        for (key, value) in [
            ("connector.class", "org.apache.kafka.connect.file.FileStreamSinkConnector"),
            ("tasks.max", "1"),
            ("topics", &self.topic),
            ("file", &file),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("value.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("consumer.override.bootstrap.servers", &self.kafka.bootstrap_of(listener)),
        ] {
            config.insert(key.to_owned(), value.into());
        }
        for (key, value) in settings {
            config.insert(format!("consumer.override.{key}"), (*value).into());
        }
        self.rest.create(name, Value::Object(config)).await;
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(format!("{name}.txt")).display().to_string()
    }

    fn pem(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    /// A sink that logs in.
    async fn create_login(&self, name: &str, mechanism: &str, password: &str, ca: &str) {
        let (module, user) = if mechanism == "PLAIN" { (PLAIN, "alice") } else { (SCRAM, "bob") };
        let jaas = format!("{module} required username=\"{user}\" password=\"{password}\";");
        let settings = [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", mechanism),
            ("sasl.jaas.config", &jaas),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.certificates", &self.pem(ca)),
        ];
        self.create(name, "LOGIN", &settings).await;
    }

    /// Produces records with these numbers.
    fn produce(&self, numbers: std::ops::Range<u32>) {
        let producer: ThreadedProducer<DefaultProducerContext> = self.kafka.client().create().unwrap();
        for number in numbers {
            let text = number.to_string();
            let record: BaseRecord<'_, (), str> = BaseRecord::to(&self.topic).payload(&text);
            producer.send(record.partition(number.cast_signed() % PARTITIONS)).unwrap();
        }
        producer.flush(LIMIT).unwrap();
    }

    /// Waits until all numbers below `end` are in a sink's file, and nothing else.
    async fn wait_for(&self, name: &str, end: u32) {
        eventually(&format!("{end} records by {name}"), LIMIT, || async {
            let text = std::fs::read_to_string(self.file(name)).unwrap_or_default();
            let found: BTreeSet<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
            if found == (0..end).collect() {
                return Ok(());
            }
            Err(format!("{} records; {}", found.len(), self.rest.status(name).await?))
        })
        .await;
    }

    /// The connections on which a sink asked for records without librdkafka: the listener and the user of each.
    fn readers(&self, name: &str) -> BTreeMap<String, (String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let client = format!("millrace-default.{name}-0");
        let requests = self.kafka.requests().into_iter().filter(|request| {
            request["requestHeader"]["clientId"] == *client
                && request["requestHeader"]["requestApiKeyName"] == "FETCH"
                && request["clientInformation"]["softwareName"] != "librdkafka"
        });
        requests.map(|r| (text(&r["connection"]), (text(&r["listener"]), text(&r["principal"])))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_certificates_open_a_kafka_with_tls() {
    let millrace = Standalone::start().await;
    let folder = millrace.folder();
    let kafka = secured(folder).await;
    let topic = unique("secured");
    kafka.create_topic(&topic, PARTITIONS).await;
    let scenario = Scenario { kafka, rest: millrace.rest(), folder, topic };
    scenario.produce(0..RECORDS);

    let begun = std::time::Instant::now();
    let ca = scenario.pem("ca.pem");
    let mut sinks = Vec::new();
    for (mechanism, password, user) in [
        ("PLAIN", "secret-of-alice", "User:alice"),
        ("SCRAM-SHA-256", "secret-of-bob", "User:bob"),
        ("SCRAM-SHA-512", "secret-of-bob", "User:bob"),
    ] {
        let name = unique(&mechanism.to_lowercase());
        scenario.create_login(&name, mechanism, password, "ca.pem").await;
        sinks.push((name, "LOGIN", user));
    }
    let name = unique("certificate");
    let settings = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", &*ca),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.certificate.chain", &scenario.pem("client.crt")),
        ("ssl.keystore.key", &scenario.pem("client.key")),
    ];
    scenario.create(&name, "CERTIFICATE", &settings).await;
    sinks.push((name, "CERTIFICATE", "User:CN=client,O=test-client"));

    for (name, listener, user) in &sinks {
        scenario.wait_for(name, RECORDS).await;
        scenario.rest.wait_state(name, "RUNNING", 1, LIMIT).await;
        for who in scenario.readers(name).values() {
            assert_eq!((who.0.as_str(), who.1.as_str()), (*listener, *user));
        }
        println!("{:?} {name}: {}", begun.elapsed(), scenario.rest.status(name).await.unwrap());
    }
    for (name, listener, _) in &sinks {
        let logins = if *listener == "LOGIN" { 2 } else { 1 };
        eventually(&format!("{logins} logins of {name}"), LIMIT, || async {
            let readers = scenario.readers(name);
            if readers.len() >= logins { Ok(()) } else { Err(format!("{readers:?}")) }
        })
        .await;
    }
    println!("{:?} logged in again", begun.elapsed());
    scenario.produce(RECORDS..2 * RECORDS);
    for (name, ..) in &sinks {
        scenario.wait_for(name, 2 * RECORDS).await;
        println!("{:?} {name}: {:?} {}", begun.elapsed(), scenario.readers(name), scenario.rest.status(name).await.unwrap());
    }
    scenario.create_login("w1", "PLAIN", "secret-but-wrong", "ca.pem").await;
    scenario.create_login("w2", "SCRAM-SHA-256", "secret-but-wrong", "ca.pem").await;
    scenario.create_login("w3", "SCRAM-SHA-256", "secret-of-bob", "stranger.pem").await;
    let settings = [("security.protocol", "SSL"), ("ssl.truststore.certificates", &*ca)];
    scenario.create("w4", "CERTIFICATE", &settings).await;
    scenario.create("w5", "LOGIN", &settings).await;
    scenario.create("w6", "LOGIN", &[]).await;
    let begun = std::time::Instant::now();
    let mut last = BTreeMap::new();
    while begun.elapsed() < Duration::from_secs(35) {
        for name in ["w1", "w2", "w3", "w4", "w5", "w6"] {
            let status = millrace.describe(name);
            if last.get(name) != Some(&status) { println!("=== {:?} {name}: {status}", begun.elapsed()); last.insert(name, status); }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
