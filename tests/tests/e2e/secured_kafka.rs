//! A Kafka with TLS of its own authority that asks for a login or a certificate: sources write to it and sinks read it, each
//! record arrives, and what is wrong is said in the status, without secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millrace_tests::certificates::{authority, certificate};
use millrace_tests::kafka_cluster::{Extras, KafkaCluster};
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::unique;
use millrace_tests::wait::eventually;
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

/// Sources and sinks of one topic.
struct Scenario {
    kafka: KafkaCluster,
    rest: Rest,
    folder: PathBuf,
    topic: String,
    sources: Vec<String>,
}

/// Settings of a client.
type Settings = Vec<(&'static str, String)>;

impl Scenario {
    /// A sink whose consumer has these settings.
    async fn create(&self, name: &str, listener: &str, settings: &Settings) {
        let mut config = self.of_files("FileStreamSinkConnector", name);
        config.insert("topics".to_owned(), self.topic.clone().into());
        self.put(&mut config, "consumer", listener, settings);
        self.rest.create(name, Value::Object(config)).await;
    }

    /// A source whose producer has these settings; `of_admin` are those of the client that looks for its topic.
    async fn create_source(&self, name: &str, listener: &str, settings: &Settings, of_admin: &Settings) {
        std::fs::write(self.file(name), "").unwrap();
        let mut config = self.of_files("FileStreamSourceConnector", name);
        config.insert("topic".to_owned(), self.topic.clone().into());
        self.put(&mut config, "producer", listener, settings);
        self.put(&mut config, "admin", listener, of_admin);
        self.rest.create(name, Value::Object(config)).await;
    }

    fn of_files(&self, class: &str, name: &str) -> Map<String, Value> {
        let mut config = Map::new();
        for (key, value) in [
            ("connector.class", format!("org.apache.kafka.connect.file.{class}")),
            ("tasks.max", "1".to_owned()),
            ("file", self.file(name)),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter".to_owned()),
            ("value.converter", "org.apache.kafka.connect.storage.StringConverter".to_owned()),
        ] {
            config.insert(key.to_owned(), value.into());
        }
        config
    }

    fn put(&self, config: &mut Map<String, Value>, client: &str, listener: &str, settings: &Settings) {
        let bootstrap = ("bootstrap.servers", self.kafka.bootstrap_of(listener));
        for (key, value) in settings.iter().chain([&bootstrap]) {
            config.insert(format!("{client}.override.{key}"), value.clone().into());
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(format!("{name}.txt")).display().to_string()
    }

    fn pem(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    /// What logs in.
    fn login(&self, mechanism: &str, password: &str, ca: &str) -> Settings {
        let (module, user) = if mechanism == "PLAIN" { (PLAIN, "alice") } else { (SCRAM, "bob") };
        let jaas = format!("{module} required username=\"{user}\" password=\"{password}\";");
        vec![
            ("security.protocol", "SASL_SSL".to_owned()),
            ("sasl.mechanism", mechanism.to_owned()),
            ("sasl.jaas.config", jaas),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.certificates", self.pem(ca)),
        ]
    }

    /// What has a certificate, or not the one it needs.
    fn certificate(&self, has_one: bool) -> Settings {
        let mut settings = vec![
            ("security.protocol", "SSL".to_owned()),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.certificates", self.pem("ca.pem")),
        ];
        if has_one {
            settings.push(("ssl.keystore.type", "PEM".to_owned()));
            settings.push(("ssl.keystore.certificate.chain", self.pem("client.crt")));
            settings.push(("ssl.keystore.key", self.pem("client.key")));
        }
        settings
    }

    /// A sink and a source for each way in.
    async fn create_all(&mut self) -> Vec<Sink> {
        let login = |mechanism, password, user| ("LOGIN", self.login(mechanism, password, "ca.pem"), user);
        let ways = [
            login("PLAIN", "secret-of-alice", "User:alice"),
            login("SCRAM-SHA-256", "secret-of-bob", "User:bob"),
            login("SCRAM-SHA-512", "secret-of-bob", "User:bob"),
            ("CERTIFICATE", self.certificate(true), "User:CN=client,O=test-client"),
        ];
        let mut sinks = Vec::new();
        for (listener, settings, user) in ways {
            let (name, source) = (unique("sink"), unique("source"));
            self.create_source(&source, listener, &settings, &settings).await;
            self.create(&name, listener, &settings).await;
            sinks.push(Sink { name, listener, user });
            self.sources.push(source);
        }
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

    /// Has sources produce records with these numbers, each some of them.
    fn produce(&self, numbers: std::ops::Range<u32>) {
        for (index, source) in self.sources.iter().enumerate() {
            let own = numbers.clone().skip(index).step_by(self.sources.len());
            let lines: String = own.map(|number| format!("{number}\n")).collect();
            let mut file = std::fs::OpenOptions::new().append(true).open(self.file(source)).unwrap();
            file.write_all(lines.as_bytes()).unwrap();
        }
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
            self.create(&name, "LOGIN", &self.login(mechanism, password, ca)).await;
            wrong.push((name, said));
        }
        let name = unique("wrong_certificate");
        self.create(&name, "CERTIFICATE", &self.certificate(false)).await;
        wrong.push((name, "bad certificate"));
        let name = unique("wrong_source");
        let right = self.login("PLAIN", "secret-of-alice", "ca.pem");
        self.create_source(&name, "LOGIN", &self.login("PLAIN", "secret-but-wrong", "ca.pem"), &right).await;
        std::fs::write(self.file(&name), "this is not written\n").unwrap();
        wrong.push((name, "Invalid username or password"));
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
    let mut scenario = Scenario { kafka, rest: millrace.rest(), folder, topic, sources: Vec::new() };
    let sinks = scenario.create_all().await;
    scenario.produce(0..RECORDS);
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
