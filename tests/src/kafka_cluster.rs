//! A Kafka of one broker or several for one scenario, whose brokers can be killed and which may have listeners that ask for TLS
//! or a login. The jars are those that `deploy/local/servers` has installed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Process, installed};
use crate::wait::eventually;

const LIMIT: Duration = Duration::from_secs(60);
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// Any 16 bytes in base64: what belongs to one cluster.
const CLUSTER: &str = "bWlsbHJhY2UtdGVzdHMtMQ";

/// Heaps of brokers that keep little.
const JVM: [&str; 5] =
    ["-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"];

/// What a cluster has besides the listener for the scenario itself, which asks for nothing.
#[derive(Default)]
pub struct Extras {
    /// Listeners of each broker: name (in capitals) and security protocol
    pub listeners: Vec<(&'static str, &'static str)>,
    /// Lines of server.properties
    pub properties: String,
    /// Users as the storage tool's `--add-scram` takes them
    pub scram: Vec<String>,
    /// Whether requests are logged, for [`KafkaCluster::requests`]
    pub log_requests: bool,
}

/// The running brokers; killed when it goes out of scope.
pub struct KafkaCluster {
    // Declared in the order in which they end.
    nodes: Vec<Node>,
    directory: TempDir,
}

/// A broker that is a controller too, so that a majority goes on without it.
struct Node {
    process: Process,
    id: usize,
    port: u16,
    extra_ports: Vec<(&'static str, u16)>,
}

/// A partition's leader, and how many brokers have all of it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Id of the leader; -1 without one
    pub leader: i32,
    /// Brokers that are in sync
    pub in_sync: usize,
}

/// Free ports that no connection is given as its own, so that a killed broker's port is free when it starts again.
fn ports<const N: usize>() -> [u16; N] {
    let random = || u16::try_from(u64::from_str_radix(crate::unique("").trim_matches('_'), 16).unwrap_or(0) % 12_000);
    let free = || loop {
        let port = 20_000 + random().unwrap_or(0);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener;
        }
    };
    // Held until all are found.
    let listeners: [TcpListener; N] = std::array::from_fn(|_| free());
    listeners.map(|listener| listener.local_addr().expect("bound").port())
}

/// The java that runs Kafka, as deploy/local/lib/install.sh finds it.
fn java() -> PathBuf {
    if let Ok(home) = std::env::var("JAVA17_HOME") {
        return Path::new(&home).join("bin/java");
    }
    let is_17 = |home: &PathBuf| {
        let release = std::fs::read_to_string(home.join("release")).unwrap_or_default();
        release.contains("JAVA_VERSION=\"17") && home.join("bin/javac").exists()
    };
    let found = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().map(|entry| entry.path()).find(is_17);
    found.expect("a JDK of version 17 under /usr/lib/jvm, or JAVA17_HOME").join("bin/java")
}

fn class_path() -> String {
    format!("{}/*", installed("kafka-4.3.1", "kafka").display())
}

/// Logging of a broker to standard output.
fn logging(with_requests: bool) -> String {
    let requests = if with_requests { "debug" } else { "off" };
    format!(
        r#"<Configuration status="ERROR">
  <Appenders><Console name="C" target="SYSTEM_OUT"><PatternLayout pattern="[%d] %p %m (%c{{1}})%n"/></Console></Appenders>
  <Loggers>
    <Logger name="org.apache.kafka.clients" level="error"/>
    <Logger name="kafka.request.logger" level="{requests}"/>
    <Root level="info"><AppenderRef ref="C"/></Root>
  </Loggers>
</Configuration>
"#
    )
}

/// A small cluster: topics of the group and of transactions on all brokers, leaders that are missed within seconds.
fn properties(id: usize, home: &Path, own: &[(&str, u16)], voters: &str, nodes: usize, extras: &Extras) -> String {
    let address = |(name, port): &(&str, u16)| format!("{name}://127.0.0.1:{port}");
    let listeners: Vec<String> = own.iter().map(address).collect();
    let advertised: Vec<String> = own.iter().filter(|(name, _)| *name != "CONTROLLER").map(address).collect();
    let protocols: String = extras.listeners.iter().map(|(name, protocol)| format!(",{name}:{protocol}")).collect();
    let lines = [
        "process.roles=broker,controller".to_owned(),
        format!("node.id={id}"),
        format!("controller.quorum.voters={voters}"),
        format!("listeners={}", listeners.join(",")),
        format!("advertised.listeners={}", advertised.join(",")),
        format!("listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        "inter.broker.listener.name=PLAINTEXT".to_owned(),
        format!("log.dirs={}", home.join("data").display()),
        "num.network.threads=2".to_owned(),
        "num.io.threads=2".to_owned(),
        "auto.create.topics.enable=false".to_owned(),
        format!("default.replication.factor={nodes}"),
        format!("min.insync.replicas={}", nodes.div_ceil(2)),
        format!("offsets.topic.replication.factor={nodes}"),
        // Whoever leads its one partition coordinates every group.
        "offsets.topic.num.partitions=1".to_owned(),
        format!("transaction.state.log.replication.factor={nodes}"),
        format!("transaction.state.log.min.isr={}", nodes.div_ceil(2)),
        "transaction.state.log.num.partitions=1".to_owned(),
        format!("share.coordinator.state.topic.replication.factor={nodes}"),
        "group.initial.rebalance.delay.ms=0".to_owned(),
        "broker.session.timeout.ms=3000".to_owned(),
        "broker.heartbeat.interval.ms=500".to_owned(),
        extras.properties.clone(),
    ];
    lines.join("\n") + "\n"
}

impl KafkaCluster {
    /// Starts so many brokers and waits until each knows all.
    ///
    /// # Panics
    /// When they do not get that far.
    pub async fn start(count: usize, extras: Extras) -> Self {
        let directory = tempfile::Builder::new().prefix("millrace-kafka-").tempdir().expect("a directory");
        std::fs::write(directory.path().join("log4j2.xml"), logging(extras.log_requests)).expect("a file");
        let basic: Vec<[u16; 2]> = (0..count).map(|_| ports()).collect();
        let voters: Vec<String> =
            (1..).zip(&basic).map(|(id, [_, controller])| format!("{id}@127.0.0.1:{controller}")).collect();
        let mut extra_ports = Vec::new();
        for (id, [plain, controller]) in (1..).zip(&basic) {
            let home = home(directory.path(), id);
            std::fs::create_dir_all(home.join("data")).expect("a data directory");
            let own: Vec<(&str, u16)> = extras.listeners.iter().map(|(name, _)| (*name, ports::<1>()[0])).collect();
            let all = [&[("PLAINTEXT", *plain), ("CONTROLLER", *controller)][..], &own].concat();
            let text = properties(id, &home, &all, &voters.join(","), count, &extras);
            std::fs::write(home.join("server.properties"), text).expect("a file");
            extra_ports.push(own);
        }
        format(directory.path(), count, &extras);
        let nodes = (1..).zip(basic).zip(extra_ports).map(|((id, [port, _]), extra_ports)| {
            let process = launch(directory.path(), id);
            Node { process, id, port, extra_ports }
        });
        let cluster = Self { nodes: nodes.collect(), directory };
        for node in &cluster.nodes {
            cluster.answers(node).await;
        }
        cluster
    }

    /// Waits until a broker answers and knows all others.
    async fn answers(&self, node: &Node) {
        let what = format!("broker {} answers and knows all", node.id);
        let (address, count) = (format!("127.0.0.1:{}", node.port), self.nodes.len());
        eventually(&what, LIMIT, || async {
            let known = metadata(address.clone(), None, |metadata| metadata.brokers().len()).await?;
            if known == count { Ok(()) } else { Err(format!("{known} brokers")) }
        })
        .await;
    }

    /// The addresses of the listener that asks for nothing.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        addresses.join(",")
    }

    /// The addresses of another listener.
    #[must_use]
    pub fn bootstrap_of(&self, listener: &str) -> String {
        let ports = self.nodes.iter().flat_map(|node| &node.extra_ports).filter(|(name, _)| *name == listener);
        let addresses: Vec<String> = ports.map(|(_, port)| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }

    /// The settings of a client that needs no login.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }

    /// Creates a topic on all brokers and waits until each partition has a leader and is in sync.
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn create_topic(&self, topic: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("an admin client");
        let replication = TopicReplication::Fixed(i32::try_from(self.nodes.len()).unwrap_or(1));
        let new = NewTopic::new(topic, partitions, replication);
        let results = admin.create_topics([&new], &AdminOptions::new()).await.expect("create topics");
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        self.wait_in_sync(topic, usize::try_from(partitions).unwrap_or(0)).await;
    }

    /// Waits until all brokers have all of a topic.
    pub async fn wait_in_sync(&self, topic: &str, partitions: usize) {
        eventually(&format!("{topic} is in sync"), LIMIT, || async {
            let places = self.places(topic).await?;
            let is_good = |place: &Place| place.leader >= 0 && place.in_sync == self.nodes.len();
            if places.len() == partitions && places.iter().all(is_good) { Ok(()) } else { Err(format!("{places:?}")) }
        })
        .await;
    }

    /// Where the partitions of a topic are.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn places(&self, topic: &str) -> Result<Vec<Place>, String> {
        metadata(self.bootstrap(), Some(topic.to_owned()), |metadata| {
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            let mut places: Vec<(i32, Place)> = partitions
                .map(|part| (part.id(), Place { leader: part.leader(), in_sync: part.isr().len() }))
                .collect();
            places.sort_unstable_by_key(|(partition, _)| *partition);
            places.into_iter().map(|(_, place)| place).collect()
        })
        .await
    }

    /// The broker that coordinates groups; there is one once a group has been looked for.
    pub async fn coordinator(&self) -> i32 {
        eventually("a coordinator", LIMIT, || async {
            let places = self.places("__consumer_offsets").await?;
            let leader = places.first().map(|place| place.leader).filter(|leader| *leader >= 0);
            leader.ok_or_else(|| format!("{places:?}"))
        })
        .await
    }

    /// `kill -9` of the broker with this id.
    ///
    /// # Panics
    /// When there is none.
    pub fn kill(&mut self, id: i32) {
        self.nodes.iter_mut().find(|node| i32::try_from(node.id) == Ok(id)).expect("a broker").process.kill_9();
    }

    /// Starts a killed broker again on its data, and waits until it answers.
    ///
    /// # Panics
    /// When there is none with this id.
    pub async fn restart(&mut self, id: i32) {
        let index = self.nodes.iter().position(|node| i32::try_from(node.id) == Ok(id)).expect("a broker");
        self.nodes[index].process = launch(self.directory.path(), self.nodes[index].id);
        self.answers(&self.nodes[index]).await;
    }

    /// The requests that the brokers have answered, as they log them; only where [`Extras::log_requests`] says so.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        let logs: Vec<String> = self.nodes.iter().map(|node| node.process.log()).collect();
        let lines = logs.iter().flat_map(|log| log.lines()).filter_map(|line| line.split_once("Completed request:"));
        // What the logger adds comes behind the JSON.
        lines.filter_map(|(_, json)| serde_json::Deserializer::from_str(json).into_iter().next()?.ok()).collect()
    }
}

fn home(directory: &Path, id: usize) -> PathBuf {
    directory.join(format!("node-{id}"))
}

/// Prepares the storage of all brokers at once: most of it is the start of a JVM.
fn format(directory: &Path, count: usize, extras: &Extras) {
    let tools = (1..=count).map(|id| {
        let mut command = Command::new(java());
        command.args(JVM).args(["-cp", &class_path(), "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]);
        command.arg(home(directory, id).join("server.properties"));
        command.args(extras.scram.iter().flat_map(|user| ["--add-scram", user]));
        let log = std::fs::File::create(home(directory, id).join("format.log")).expect("a log file");
        command.stdout(log.try_clone().expect("a second handle")).stderr(log).spawn().expect("the storage tool")
    });
    let tools: Vec<_> = tools.collect();
    for (id, mut tool) in (1..).zip(tools) {
        let status = tool.wait().expect("the storage tool");
        let said = std::fs::read_to_string(home(directory, id).join("format.log")).unwrap_or_default();
        assert!(status.success(), "the storage of broker {id} cannot be prepared: {said}");
    }
}

fn launch(directory: &Path, id: usize) -> Process {
    let mut command = Command::new(java());
    command
        .args(JVM)
        .arg(format!("-Dlog4j2.configurationFile={}", directory.join("log4j2.xml").display()))
        .args(["-cp", &class_path(), "kafka.Kafka"])
        .arg(home(directory, id).join("server.properties"));
    Process::start(&format!("kafka-{id}"), directory, &mut command)
}

/// What a cluster says of itself, or of a topic.
async fn metadata<T: Send + 'static>(
    bootstrap: String,
    topic: Option<String>,
    of: impl FnOnce(&rdkafka::metadata::Metadata) -> T + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(move || {
        let mut config = ClientConfig::new();
        let consumer: BaseConsumer =
            config.set("bootstrap.servers", bootstrap).create().map_err(|error| error.to_string())?;
        let metadata = consumer.fetch_metadata(topic.as_deref(), ASK_LIMIT).map_err(|error| error.to_string())?;
        Ok(of(&metadata))
    })
    .await
    .map_err(|error| error.to_string())?
}
