//! Who reads which partition: measures what happens to records when the process of a sink task dies, freezes and thaws.
//!
//! `KAFKA_BOOTSTRAP=… cargo run -p millrace-data-plane --example partition_ownership`
//!
//! Two processes host a task each of one connector (static members of its group). A producer writes to every partition all
//! the time. Faults: `kill -9` and SIGSTOP of the first process; a successor is started after a pause that stands for the
//! control plane noticing. Figures are taken from the records that were written, partition by partition, not from statuses.
//! At the end the alternative is tried by hand: partitions assigned from outside, and what a frozen reader's late commit
//! does there.

// Waiting is this program's work: the sleeps are in its main thread and in the producer's own.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_data_plane::catalog::Catalog;
use millrace_data_plane::kafka::Producers;
use millrace_data_plane::lease::LeaseState;
use millrace_data_plane::metrics::Metrics;
use millrace_data_plane::model::{TaskId, TaskSpec};
use millrace_data_plane::task::{TaskEnvironment, TaskHandle};
use millrace_sdk::{
    Batch, Config, ConnectorKind, Findings, Flat, Result, SinkConnector, SinkTask, TaskContext, WriteReport,
    async_trait,
};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const PARTITIONS: i32 = 4;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct NoConfig {}
impl Config for NoConfig {}

/// Prints a line per batch: when, partition, first and last offset.
struct Printing;
struct PrintingTask;

#[async_trait]
impl SinkConnector for Printing {
    const NAME: &'static str = "printing-sink";
    const ALIASES: &'static [&'static str] = &[];
    const DESCRIPTION: &'static str = "Prints what it writes";
    type Config = NoConfig;
    type Task = PrintingTask;

    async fn check(&self, _: &NoConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn open(&self, _: NoConfig, _: TaskContext) -> Result<PrintingTask> {
        Ok(PrintingTask)
    }
}

#[async_trait]
impl SinkTask for PrintingTask {
    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        let (first, last) = (&batch.records[0], &batch.records[batch.records.len() - 1]);
        say(&format!("written {} {} {} {}", now_ms(), batch.origin.partition, first.offset, last.offset));
        Ok(WriteReport::all_durable())
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that has gone away ends this process soon enough.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A process that hosts one task until its standard input ends.
#[tokio::main]
async fn member(bootstrap: &str, connector: &str, topic: &str, index: u32) {
    let (statuses, mut inbox) = tokio::sync::mpsc::unbounded_channel();
    let (_lease, lease) = tokio::sync::watch::channel(LeaseState::Headless);
    let environment = TaskEnvironment {
        catalog: Arc::new(Catalog::default().sink_plugin(millrace_sdk::erase_sink(Printing, "1"))),
        metrics: Metrics::global(),
        statuses,
        lease,
        worker_id: "spike:1".to_owned(),
        producers: Arc::new(Producers::default()),
        stop_timeout: Duration::from_secs(5),
    };
    let spec = TaskSpec {
        id: TaskId { tenant: "default".to_owned(), connector: connector.to_owned(), index },
        generation: 1,
        set_revision: 1,
        fingerprint: String::new(),
        class: "printing-sink".to_owned(),
        kind: ConnectorKind::Sink,
        tasks_total: 2,
        paused: false,
        config: flat(&[
            ("connector.class", "printing-sink"),
            ("topics", topic),
            ("value.converter", "bytes"),
            ("offset.flush.interval.ms", "1000"),
        ]),
        task_config: Flat::new(),
        tenant_settings: flat(&[("bootstrap.servers", bootstrap)]),
    };
    let task = TaskHandle::start(Arc::new(spec), Arc::new(environment));
    let statuses = async {
        while let Some(status) = inbox.recv().await {
            say(&format!("status {} {:?} {}", now_ms(), status.state, status.trace.replace('\n', " ")));
        }
    };
    let parent_gone = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    tokio::select! {
        () = statuses => {}
        _ = parent_gone => task.stop().await,
    }
}

type Written = Arc<Mutex<Vec<(String, u128, i32, i64, i64)>>>;

struct Member {
    child: Child,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Member {
    fn start(name: &str, arguments: [&str; 4], written: &Written) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("member")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (name, written) = (name.to_owned(), Arc::clone(written));
        let lines = child.stdout.take().map(std::io::BufReader::new);
        let reader = std::thread::spawn(move || {
            for line in lines.into_iter().flat_map(std::io::BufRead::lines).map_while(std::result::Result::ok) {
                let words: Vec<&str> = line.splitn(5, ' ').collect();
                match words[..] {
                    ["written", at, partition, first, last] => {
                        let numbers = (at.parse(), partition.parse(), first.parse(), last.parse());
                        if let (Ok(at), Ok(partition), Ok(first), Ok(last)) = numbers {
                            let mut written = written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                            written.push((name.clone(), at, partition, first, last));
                        }
                    }
                    _ => say(&format!("    [{name}] {line}")),
                }
            }
        });
        Ok(Self { child, reader: Some(reader) })
    }

    fn signal(&self, signal: &str) -> std::io::Result<()> {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().map(drop)
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The longest time between two writes of each partition since `since`, and who wrote it last.
fn gaps(written: &Written, since: u128, until: u128) -> BTreeMap<i32, (u128, String)> {
    let written = written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut gaps = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let of: Vec<_> = written.iter().filter(|w| w.2 == partition && w.1 <= until).collect();
        let mut times: Vec<u128> = of.iter().map(|w| w.1).filter(|at| *at >= since).collect();
        times.push(of.iter().map(|w| w.1).filter(|at| *at < since).max().unwrap_or(since));
        times.push(until);
        times.sort_unstable();
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        let last = of.iter().max_by_key(|w| w.1).map_or_else(String::new, |w| w.0.clone());
        gaps.insert(partition, (gap, last));
    }
    gaps
}

fn wait(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

fn report(what: &str, written: &Written, since: u128) {
    println!("{what}: longest pause between writes");
    for (partition, (gap, last)) in gaps(written, since, now_ms()) {
        println!("  partition {partition}: {gap} ms, last written by {last}");
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, bootstrap, connector, topic, index] = &arguments[..]
        && mode == "member"
    {
        member(bootstrap, connector, topic, index.parse()?);
        return Ok(());
    }
    let bootstrap = std::env::var("KAFKA_BOOTSTRAP")?;
    let topic = format!("ownership-{}", now_ms());
    create_topic(&bootstrap, &topic)?;
    let running = Arc::new(AtomicBool::new(true));
    let producing = {
        let (bootstrap, topic, running) = (bootstrap.clone(), topic.clone(), Arc::clone(&running));
        std::thread::spawn(move || produce(&bootstrap, &topic, &running))
    };
    // The control plane's notice: lease of a worker plus a round of placing, with the defaults.
    for (fault, notice) in [("-KILL", 7), ("-KILL", 30), ("-STOP", 7)] {
        fault_scenario(&bootstrap, &topic, fault, notice)?;
    }
    running.store(false, Ordering::SeqCst);
    let _ = producing.join();
    assigned_from_outside(&bootstrap, &topic)
}

fn fault_scenario(bootstrap: &str, topic: &str, fault: &str, notice: u64) -> std::io::Result<()> {
    println!("\n== static membership: {fault} of task 0's process, successor after {notice} s");
    let connector = format!("spike-{}", now_ms());
    let written: Written = Arc::default();
    let victim = Member::start("victim", [bootstrap, &connector, topic, "0"], &written)?;
    let sibling = Member::start("sibling", [bootstrap, &connector, topic, "1"], &written)?;
    wait(15);
    let at = now_ms();
    victim.signal(fault)?;
    let faulted = Instant::now();
    wait(notice);
    let successor = Member::start("successor", [bootstrap, &connector, topic, "0"], &written)?;
    wait(20_u64.saturating_sub(faulted.elapsed().as_secs()).max(12));
    report("fault", &written, at);
    if fault == "-STOP" {
        let thawed = now_ms();
        victim.signal("-CONT")?;
        println!("thawed at {thawed}");
        wait(12);
        report("thaw", &written, thawed);
        let written = written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let late: Vec<_> = written.iter().filter(|w| w.0 == "victim" && w.1 >= thawed).collect();
        println!("batches the zombie wrote after the thaw: {}", late.len());
        for (_, when, partition, first, last) in late {
            println!(
                "  partition {partition}, offsets {first} to {last}, {} ms after the thaw",
                when.saturating_sub(thawed)
            );
        }
    }
    for member in [victim, sibling, successor] {
        member.end();
    }
    Ok(())
}

/// Candidate (b): the partition is assigned from outside and offsets are committed to the group. A frozen reader's commit
/// comes after its successor's.
fn assigned_from_outside(bootstrap: &str, topic: &str) -> std::result::Result<(), Box<dyn std::error::Error>> {
    println!("\n== partitions assigned from outside: a late commit of the old reader");
    let group = format!("outside-{}", now_ms());
    let reader = || -> rdkafka::error::KafkaResult<BaseConsumer> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", &group)
            .set("enable.auto.commit", "false")
            .create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&list)?;
        Ok(consumer)
    };
    let commit = |consumer: &BaseConsumer, offset| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(offset))?;
        consumer.commit(&list, CommitMode::Sync)
    };
    let (old, new) = (reader()?, reader()?);
    println!("old commits 10: {:?}", commit(&old, 10));
    println!("new commits 50: {:?}", commit(&new, 50));
    println!("old commits 20 after its thaw: {:?}", commit(&old, 20));
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let committed = new.committed_offsets(list, Duration::from_secs(10))?;
    println!("committed now: {:?}", committed.find_partition(topic, 0).map(|element| element.offset()));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn create_topic(bootstrap: &str, topic: &str) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    admin.create_topics([&NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1))], &AdminOptions::new()).await?;
    Ok(())
}

/// A record to every partition every 20 ms.
fn produce(bootstrap: &str, topic: &str, running: &AtomicBool) {
    let producer: BaseProducer = match ClientConfig::new().set("bootstrap.servers", bootstrap).create() {
        Ok(producer) => producer,
        Err(error) => return println!("no producer: {error}"),
    };
    while running.load(Ordering::SeqCst) {
        for partition in 0..PARTITIONS {
            let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(partition).key("k").payload("{}");
            let _ = producer.send(record);
        }
        producer.poll(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = producer.flush(Duration::from_secs(5));
}
