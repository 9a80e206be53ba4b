//! A Kafka with TLS of its own authority that asks for a login or a certificate: sinks read it, each record arrives, and what is
//! wrong is said in the status, without secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millrace_tests::certificates::{authority, certificate};
use millrace_tests::kafka_cluster::{Extras, KafkaCluster};
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::unique;
use millrace_tests::wait::eventually;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::{Map, Value};

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

/// A sink that reads.
struct Sink {
    name: String,
    listener: &'static str,
    /// As whom
    user: &'static str,
}

/// Sinks of one topic.
struct Scenario {
    kafka: KafkaCluster,
    rest: Rest,
    folder: PathBuf,
    topic: String,
}

impl Scenario {
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

    /// A sink with a certificate, or without the one it needs.
    async fn create_certificate(&self, name: &str, has_one: bool) {
        let (ca, chain, key) = (self.pem("ca.pem"), self.pem("client.crt"), self.pem("client.key"));
        let trust =
            [("security.protocol", "SSL"), ("ssl.truststore.type", "PEM"), ("ssl.truststore.certificates", &*ca)];
        let own =
            [("ssl.keystore.type", "PEM"), ("ssl.keystore.certificate.chain", &*chain), ("ssl.keystore.key", &*key)];
        let settings = if has_one { [&trust[..], &own].concat() } else { trust.to_vec() };
        self.create(name, "CERTIFICATE", &settings).await;
    }

    /// A sink for each way in.
    async fn create_all(&self) -> Vec<Sink> {
        let mut sinks = Vec::new();
        for (mechanism, password, user) in [
            ("PLAIN", "secret-of-alice", "User:alice"),
            ("SCRAM-SHA-256", "secret-of-bob", "User:bob"),
            ("SCRAM-SHA-512", "secret-of-bob", "User:bob"),
        ] {
            let name = unique(&mechanism.to_lowercase());
            self.create_login(&name, mechanism, password, "ca.pem").await;
            sinks.push(Sink { name, listener: "LOGIN", user });
        }
        let name = unique("certificate");
        self.create_certificate(&name, true).await;
        sinks.push(Sink { name, listener: "CERTIFICATE", user: "User:CN=client,O=test-client" });
        sinks
    }

    /// Waits until a sink has asked for records as who it is, and where a login ends has logged in again.
    async fn wait_logins(&self, sink: &Sink) {
        let logins = if sink.listener == "LOGIN" { 2 } else { 1 };
        eventually(&format!("{logins} logins of {}", sink.name), LIMIT, || async {
            let readers = self.readers(&sink.name);
            for who in readers.values() {
                assert_eq!((who.0.as_str(), who.1.as_str()), (sink.listener, sink.user));
            }
            if readers.len() >= logins { Ok(()) } else { Err(format!("{readers:?}")) }
        })
        .await;
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

    /// Passwords, authorities and certificates that do not do are told of soon, and no secret with them.
    async fn says_what_is_wrong(&self, millrace: &Standalone) {
        let begun = Instant::now();
        let mut wrong = Vec::new();
        for (name, mechanism, password, ca, said) in [
            ("plain", "PLAIN", "secret-but-wrong", "ca.pem", "Invalid username or password"),
            (
                "scram",
                "SCRAM-SHA-256",
                "secret-but-wrong",
                "ca.pem",
                "invalid credentials with SASL mechanism SCRAM-SHA-256",
            ),
            ("stranger", "SCRAM-SHA-256", "secret-of-bob", "stranger.pem", "certificate verify failed"),
        ] {
            let name = unique(&format!("wrong_{name}"));
            self.create_login(&name, mechanism, password, ca).await;
            wrong.push((name, said));
        }
        let name = unique("wrong_certificate");
        self.create_certificate(&name, false).await;
        wrong.push((name, "bad certificate"));
        for (name, said) in wrong {
            eventually(&format!("{name} says {said}"), LIMIT, || async {
                let described = millrace.describe(&name);
                let status = self.rest.status(&name).await?.to_string();
                assert!(!described.contains("secret-") && !status.contains("secret-"), "{described}{status}");
                let warnings = described.split_once("Warnings:").map_or("", |(_, warnings)| warnings);
                if !warnings.contains(said) {
                    return Err(described);
                }
                println!("{:?}: {name}: {}", begun.elapsed(), warnings.trim());
                Ok(())
            })
            .await;
        }
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
    let begun = Instant::now();
    let mut millrace = Standalone::start().await;
    let folder = millrace.folder().to_owned();
    let kafka = secured(&folder).await;
    let topic = unique("secured");
    kafka.create_topic(&topic, PARTITIONS).await;
    let mut scenario = Scenario { kafka, rest: millrace.rest(), folder, topic };
    scenario.produce(0..RECORDS);
    let sinks = scenario.create_all().await;
    for sink in &sinks {
        scenario.wait_for(&sink.name, RECORDS).await;
        scenario.rest.wait_state(&sink.name, "RUNNING", 1, LIMIT).await;
        scenario.wait_logins(sink).await;
    }
    println!("{:?}: read by all", begun.elapsed());
    // All connections are made anew.
    scenario.kafka.kill(1);
    scenario.kafka.restart(1).await;
    scenario.produce(RECORDS..2 * RECORDS);
    println!("{:?}: the broker is back", begun.elapsed());
    for sink in &sinks {
        scenario.wait_for(&sink.name, 2 * RECORDS).await;
        eventually("no more warnings", LIMIT, || async {
            let described = millrace.describe(&sink.name);
            assert!(!described.contains("secret-") && !described.contains("PRIVATE"), "{described}");
            if described.contains("Warnings:") { Err(described) } else { Ok(()) }
        })
        .await;
    }
    println!("{:?}: read by all again", begun.elapsed());
    scenario.says_what_is_wrong(&millrace).await;
    let log = millrace.process().log();
    assert!(!log.contains("secret-") && !log.contains("PRIVATE"), "a secret is in the log");
}
