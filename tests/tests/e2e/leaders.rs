//! Brokers of a cluster die while a sink reads it and a source writes to it: whoever leads its partitions then is asked, and
//! nothing is lost, overtaken or, by the source, written twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use millrace_tests::kafka_cluster::{Extras, KafkaCluster, Place};
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::unique;
use millrace_tests::wait::eventually;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
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

/// A source that writes numbers, line after line, at a pace, until it is told to stop.
struct Source {
    rest: Rest,
    name: String,
    topic: String,
    client: ClientConfig,
    stop: Arc<AtomicBool>,
    writing: JoinHandle<u32>,
}

impl Source {
    async fn start(kafka: &KafkaCluster, rest: &Rest, folder: &Path) -> Self {
        let (name, topic, stop) = (unique("lines"), unique("lines"), Arc::new(AtomicBool::new(false)));
        kafka.create_topic(&topic, PARTITIONS.cast_signed()).await;
        let path = folder.join("lines.txt");
        let mut file = std::fs::File::create(&path).unwrap();
        let converter = "org.apache.kafka.connect.storage.StringConverter";
        let config = json!({
            "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1",
            "topic": topic, "file": path, "key.converter": converter, "value.converter": converter,
            "producer.override.bootstrap.servers": kafka.bootstrap(),
            "producer.override.compression.type": "lz4",
            "admin.override.bootstrap.servers": kafka.bootstrap(),
        });
        rest.create(&name, config).await;
        let is_over = Arc::clone(&stop);
        let writing = tokio::spawn(async move {
            let (mut pace, mut count) = (tokio::time::interval(PACE), 0);
            while !is_over.load(Ordering::Relaxed) && count < MOST {
                pace.tick().await;
                // Enough for several partitions: without a key some bytes go to one, then some to the next.
                let lines: String = (count..count + 20).map(|number| format!("{number:01000}\n")).collect();
                file.write_all(lines.as_bytes()).unwrap();
                count += 20;
            }
            count
        });
        Self { rest: rest.clone(), name, topic, client: kafka.client(), stop, writing }
    }

    /// Ends it; all its numbers are there, once, in order, by the same life of the task.
    async fn end(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let end = self.writing.await.unwrap();
        self.rest.wait_state(&self.name, "RUNNING", 1, LIMIT).await;
        let (topic, mut client) = (self.topic, self.client);
        client.set("group.id", "nobody").set("auto.offset.reset", "earliest");
        let read = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            let mut all = TopicPartitionList::new();
            (0..PARTITIONS.cast_signed()).for_each(|partition| {
                all.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
            });
            consumer.assign(&all).unwrap();
            let (mut numbers, mut found) = (BTreeMap::<i32, Vec<u32>>::new(), 0);
            let begun = Instant::now();
            // A little longer than for all: what is there twice comes after it.
            while begun.elapsed() < LIMIT {
                let Some(record) = consumer.poll(Duration::from_secs(2)) else {
                    if found >= end { break } else { continue }
                };
                let Ok(record) = record else { continue };
                let text = std::str::from_utf8(record.payload().unwrap()).unwrap();
                numbers.entry(record.partition()).or_default().push(text.parse().unwrap());
                found += 1;
            }
            numbers
        });
        let numbers = read.await.unwrap();
        let repeats: usize = numbers.iter().map(|(partition, of_one)| repeats(partition.cast_unsigned(), of_one)).sum();
        assert_eq!(repeats, 0, "numbers that are there again");
        let found: BTreeSet<u32> = numbers.into_values().flatten().collect();
        assert!(found.iter().copied().eq(0..end), "{} of {end} numbers", found.len());
        end
    }
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
    let source = Source::start(&kafka, &rest, millrace.folder()).await;
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
    let numbers = source.end().await;
    let end = flow.end().await;
    assert!(end < MOST, "{end} numbers: nothing flowed any more when brokers were killed");
    written.wait_for_all(end).await;
    let repeats: usize = written.numbers().iter().map(|(partition, numbers)| repeats(*partition, numbers)).sum();
    println!("{:?}: {end} numbers, and {repeats} of them again", begun.elapsed());
    written.rest.wait_state(&written.sink, "RUNNING", 1, LIMIT).await;
    println!("{:?}: the source has written {numbers} numbers", begun.elapsed());

    says_nothing_more(&mut millrace, &written.sink).await;
}

/// Where records are not is not what the user is to be told, nor a broker that leads nothing.
async fn says_nothing_more(millrace: &mut Standalone, sink: &str) {
    let log = millrace.process().log();
    assert!(!log.contains("requested offset not available"), "a remark on what librdkafka is not to read");
    eventually("no word of brokers that lead nothing", Duration::from_secs(15), || async {
        let described = millrace.describe(sink);
        if described.contains("records cannot be read") { Err(described) } else { Ok(()) }
    })
    .await;
}
