//! Brokers of a cluster die while a sink reads it: whoever leads its partitions then is read, and nothing is lost or overtaken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use millrace_tests::kafka_cluster::{Extras, KafkaCluster, Place};
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::unique;
use millrace_tests::wait::eventually;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::json;
use tokio::task::JoinHandle;

const LIMIT: Duration = Duration::from_secs(60);
const PARTITIONS: u32 = 6;
/// More are not written, whatever happens.
const MOST: u32 = 100_000;
/// Each partition gets as many at a time.
const AT_A_TIME: u32 = 3;
const PACE: Duration = Duration::from_millis(20);

/// Writes numbers, one partition after the other, at a pace, until it is told to stop.
struct Flow {
    sent: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    writing: JoinHandle<()>,
}

impl Flow {
    fn start(kafka: &KafkaCluster, topic: &str) -> Self {
        let (sent, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, is_over, topic) = (Arc::clone(&sent), Arc::clone(&stop), topic.to_owned());
        let mut config = kafka.client();
        config.set("acks", "all").set("enable.idempotence", "true").set("linger.ms", "5");
        let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
        let writing = tokio::spawn(async move {
            let mut pace = tokio::time::interval(PACE);
            while !is_over.load(Ordering::Relaxed) && count.load(Ordering::Relaxed) < MOST {
                pace.tick().await;
                for _ in 0..PARTITIONS * AT_A_TIME {
                    let number = count.load(Ordering::Relaxed);
                    let partition = number % PARTITIONS;
                    let value = format!("{partition} {number}");
                    let record: BaseRecord<'_, (), str> = BaseRecord::to(&topic).payload(&value);
                    producer.send(record.partition(partition.cast_signed())).unwrap();
                    count.store(number + 1, Ordering::Relaxed);
                }
            }
            tokio::task::spawn_blocking(move || producer.flush(LIMIT)).await.unwrap().unwrap();
        });
        Self { sent, stop, writing }
    }

    fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; how many numbers Kafka has acknowledged, which is all of them.
    async fn end(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.writing.await.unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

/// What a sink has written.
struct Written {
    file: PathBuf,
    rest: Rest,
    sink: String,
}

impl Written {
    /// The numbers of each partition, in the order in which they came.
    fn numbers(&self) -> BTreeMap<u32, Vec<u32>> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        // The last line may be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut numbers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for line in whole.lines() {
            let (partition, number) = line.split_once(' ').unwrap();
            numbers.entry(partition.parse().unwrap()).or_default().push(number.parse().unwrap());
        }
        numbers
    }

    /// Waits until each partition is read as far as this number.
    async fn wait_for(&self, number: u32) {
        eventually(&format!("{number} from each partition"), LIMIT, || async {
            let newest: Vec<u32> =
                self.numbers().values().filter_map(|numbers| numbers.iter().max().copied()).collect();
            let are_there = newest.len() == PARTITIONS as usize && newest.iter().all(|newest| *newest >= number);
            let status = self.rest.status(&self.sink).await?;
            assert!(!status.to_string().contains("FAILED"), "{status}");
            if are_there { Ok(()) } else { Err(format!("{newest:?}; {status}")) }
        })
        .await;
    }

    /// Waits until all numbers below `end` are there.
    async fn wait_for_all(&self, end: u32) {
        eventually(&format!("all {end} numbers"), LIMIT, || async {
            let found: BTreeSet<u32> = self.numbers().into_values().flatten().collect();
            let missing: Vec<u32> = (0..end).filter(|number| !found.contains(number)).collect();
            if missing.is_empty() {
                Ok(())
            } else {
                Err(format!("{} are missing, as {:?}", missing.len(), missing.first()))
            }
        })
        .await;
    }
}

/// No number comes for the first time after a later one; gives how many came again.
fn repeats(partition: u32, numbers: &[u32]) -> usize {
    let (mut newest, mut repeats, mut seen) = (None, 0, BTreeSet::new());
    for number in numbers {
        if !seen.insert(*number) {
            repeats += 1;
            continue;
        }
        assert!(newest < Some(*number), "partition {partition}: {number} comes after {newest:?}");
        newest = Some(*number);
    }
    repeats
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_and_the_coordinator_die_and_nothing_is_lost() {
    let begun = Instant::now();
    let (mut millrace, mut kafka) = tokio::join!(Standalone::start(), KafkaCluster::start(3, Extras::default()));
    let topic = unique("leaders");
    kafka.create_topic(&topic, PARTITIONS.cast_signed()).await;
    println!("{:?}: the cluster is up", begun.elapsed());
    let (rest, sink, file) = (millrace.rest(), unique("file"), millrace.folder().join("numbers.txt"));
    let converter = "org.apache.kafka.connect.storage.StringConverter";
    let config = json!({
        "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max": "1", "topics": topic,
        "file": file, "key.converter": converter, "value.converter": converter,
        "consumer.override.bootstrap.servers": kafka.bootstrap(),
    });
    rest.create(&sink, config).await;
    let flow = Flow::start(&kafka, &topic);
    let written = Written { file, rest, sink };
    written.wait_for(1_000).await;

    for kills_coordinator in [false, true] {
        let coordinator = kafka.coordinator().await;
        let places = kafka.places(&topic).await.unwrap();
        let led = |broker: i32| places.iter().filter(|place| place.leader == broker).count();
        let others = places.iter().map(|place| place.leader).find(|leader| *leader != coordinator);
        let killed = if kills_coordinator { coordinator } else { others.unwrap() };
        assert!(led(killed) > 0, "{places:?}");
        kafka.kill(killed);
        let gone = Instant::now();
        eventually("other leaders", LIMIT, || async {
            let places = kafka.places(&topic).await?;
            let is_led = |place: &Place| place.leader >= 0 && place.leader != killed;
            if places.iter().all(is_led) { Ok(()) } else { Err(format!("{places:?}")) }
        })
        .await;
        let (elected, until) = (gone.elapsed(), flow.sent());
        written.wait_for(until).await;
        println!(
            "{:?}: broker {killed}, which led {} partitions, was killed; others lead them after {elected:?}, all flow after {:?}",
            begun.elapsed(),
            led(killed),
            gone.elapsed()
        );
        if kills_coordinator {
            break; // two of three are a majority
        }
        kafka.restart(killed).await;
        kafka.wait_in_sync(&topic, PARTITIONS as usize).await;
        kafka.wait_in_sync("__consumer_offsets", 1).await;
        println!("{:?}: broker {killed} is back", begun.elapsed());
    }
    let end = flow.end().await;
    assert!(end < MOST, "{end} numbers: nothing flowed any more when brokers were killed");
    written.wait_for_all(end).await;
    let repeats: usize = written.numbers().iter().map(|(partition, numbers)| repeats(*partition, numbers)).sum();
    println!("{:?}: {end} numbers, and {repeats} of them again", begun.elapsed());
    written.rest.wait_state(&written.sink, "RUNNING", 1, LIMIT).await;

    // Where records are not is not what the user is to be told.
    let log = millrace.process().log();
    assert!(!log.contains("requested offset not available"), "a remark on what librdkafka is not to read");
    // Nor a broker that leads nothing.
    eventually("no word of brokers that lead nothing", Duration::from_secs(15), || async {
        let described = millrace.describe(&written.sink);
        if described.contains("records cannot be read") { Err(described) } else { Ok(()) }
    })
    .await;
}
