//! A keyspace of one's own on the real cluster, records, and a proxy that can be cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millrace_connector_cassandra::Sink;
use millrace_sdk::{
    Batch, Bytes, Datum, ErrorKind, Flat, Record, Result, SinkPlugin, SinkTask, TaskContext, TimestampKind,
    TopicPartition, Value, WriteReport, erase_sink,
};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::value::{CqlValue, Row};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A keyspace that is dropped at the end.
pub struct Cluster {
    session: Session,
    address: String,
    data_centre: String,
    keyspace: String,
}

impl Cluster {
    /// None, with a word, when no cluster is named.
    pub async fn connect(name: &str) -> Option<Self> {
        let points = millrace_sdk::testing::server("CASSANDRA_CONTACT_POINTS")?;
        let address = points.split(',').next().unwrap().trim().to_owned();
        let session = SessionBuilder::new().known_node(&address).build().await.unwrap();
        let state = session.get_cluster_state();
        let data_centre = state.get_nodes_info()[0].datacenter.clone().unwrap();
        let keyspace = format!("millrace_{name}_{}", std::process::id());
        let cluster = Self { session, address, data_centre, keyspace };
        cluster.run("DROP KEYSPACE IF EXISTS {ks}").await;
        cluster
            .run("CREATE KEYSPACE {ks} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
            .await;
        Some(cluster)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub async fn run(&self, cql: &str) {
        self.session.query_unpaged(cql.replace("{ks}", &self.keyspace), ()).await.unwrap();
    }

    pub async fn drop(self) {
        self.run("DROP KEYSPACE {ks}").await;
    }

    /// Rows as text, in order.
    pub async fn texts(&self, cql: &str) -> Vec<String> {
        let answer = self.session.query_unpaged(cql.replace("{ks}", &self.keyspace), ()).await.unwrap();
        let rows = answer.into_rows_result().unwrap();
        let shown = |row: Row| row.columns.iter().map(|cell| show(cell.as_ref())).collect::<Vec<_>>().join(" ");
        let mut texts: Vec<String> = rows.rows::<Row>().unwrap().map(|row| shown(row.unwrap())).collect();
        texts.sort();
        texts
    }

    pub async fn stock(&self) -> Vec<String> {
        self.texts("SELECT sku, quantity, note FROM {ks}.stock").await
    }

    /// Opens a task of topic `t`; `{ks}` stands for the keyspace.
    pub async fn open(&self, options: &[(&str, &str)]) -> Result<Box<dyn SinkTask>> {
        let mut config =
            flat(&[("topics", "t"), ("contactPoints", &self.address), ("loadBalancing.localDc", &self.data_centre)]);
        for (key, value) in options {
            config.insert(key.replace("{ks}", &self.keyspace), value.replace("{ks}", &self.keyspace));
        }
        plugin().open(&config, context(&config)).await
    }
}

fn show(cell: Option<&CqlValue>) -> String {
    match cell {
        None => "null".to_owned(),
        Some(CqlValue::Text(text)) => text.clone(),
        Some(CqlValue::Int(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
    }
}

pub fn plugin() -> Box<dyn SinkPlugin> {
    erase_sink(Sink, "0")
}

pub fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub fn context(config: &Flat) -> TaskContext {
    TaskContext {
        tenant: "default".to_owned(),
        connector: "cassandra".to_owned(),
        task: 0,
        tasks_total: 1,
        generation: 1,
        topics: vec!["t".to_owned()],
        config: Arc::new(config.clone()),
        ..TaskContext::default()
    }
}

pub fn text(text: &str) -> Datum {
    Datum::schemaless(Value::Str(text.to_owned().into()))
}

pub fn json(text: &str) -> Datum {
    Datum::schemaless(Value::Json(Bytes::from(text.to_owned())))
}

pub fn record(offset: i64, timestamp_ms: i64, key: Datum, value: Datum) -> Record {
    Record {
        offset,
        timestamp_ms: Some(1_795_256_130_000 + timestamp_ms),
        timestamp_kind: TimestampKind::CreateTime,
        renamed_topic: None,
        key,
        value,
        headers: Vec::new(),
    }
}

pub fn batch(records: Vec<Record>) -> Batch {
    Batch { origin: TopicPartition { topic: "t".into(), partition: 0 }, records }
}

/// None when everything is durable, else the kind of the first failure.
pub fn outcome(report: Result<WriteReport>) -> Option<ErrorKind> {
    match report {
        Ok(report) => report.failures.first().map(|failure| failure.error.kind()),
        Err(error) => Some(error.kind()),
    }
}

/// Passes connections on to the cluster until it is cut.
pub struct Proxy {
    port: u16,
    open: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, state) = watch::channel(true);
        let cut = Arc::new(AtomicBool::new(false));
        let (target, is_cut) = (target.to_owned(), cut.clone());
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                if is_cut.load(Ordering::SeqCst) {
                    continue; // closed at once, as by a host without the server
                }
                let (target, mut state) = (target.clone(), state.clone());
                state.mark_unchanged();
                connections.spawn(async move {
                    let Ok(mut server) = TcpStream::connect(&target).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = state.changed() => {}
                    }
                });
            }
        });
        Self { port, open, accepting, cut }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.open.send_replace(false);
    }

    pub fn restore(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
