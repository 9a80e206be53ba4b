//! The limit that a sink is measured against: nothing but librdkafka and one copy of each payload.
//!
//! ```text
//! limit --bootstrap 127.0.0.1:9092 --topic orders --records 1000000 [--rounds 5]
//! ```
//!
//! The library is the one the worker links, with the settings of a worker's consumer, and its best way of reading (many
//! records at a time from each partition's own queue); all partitions are read from their start by one thread, without a
//! group. Keys and values are copied once into a buffer per batch, as the worker does. Built as an example of
//! `millrace-data-plane`, for that file's sake which alone may call C.

mod measure;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use millrace_data_plane::kafka::BatchQueue;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Records per buffer, as in the worker.
const BATCH: usize = 2000;
const SILENCE: Duration = Duration::from_secs(10);

struct Options {
    bootstrap: String,
    topic: String,
    records: u64,
    rounds: u32,
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { bootstrap: "127.0.0.1:9092".to_owned(), topic: String::new(), records: 1_000_000, rounds: 1 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = |value: &str| value.parse().map_err(|_| format!("{word}: {value} is no number"));
        match word.as_str() {
            "--bootstrap" => options.bootstrap = value,
            "--topic" => options.topic = value,
            "--records" => options.records = number(&value)?,
            "--rounds" => options.rounds = u32::try_from(number(&value)?).map_err(|error| error.to_string())?,
            _ => return Err(format!("unknown option {word}")),
        }
    }
    if options.topic.is_empty() {
        return Err("--topic is missing".to_owned());
    }
    Ok(options)
}

struct Reading {
    consumer: Arc<BaseConsumer>,
    queues: Vec<BatchQueue<DefaultConsumerContext>>,
    /// Rings when a queue is no longer empty
    bell: mpsc::Receiver<()>,
}

/// Every partition of the topic from its start.
fn assigned(options: &Options) -> Result<Reading, String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &options.bootstrap)
        .set("group.id", "millrace-bench-limit")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_uncommitted")
        .set("check.crcs", "true")
        .set("queued.max.messages.kbytes", "1024")
        .set("fetch.message.max.bytes", "1048576")
        .set("fetch.max.bytes", "8388608")
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .map_err(|error| error.to_string())?;
    let consumer = Arc::new(consumer);
    let metadata = consumer.fetch_metadata(Some(&options.topic), SILENCE).map_err(|error| error.to_string())?;
    let (ring, bell) = mpsc::sync_channel(1);
    let (mut list, mut queues) = (TopicPartitionList::new(), Vec::new());
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        let ring = ring.clone();
        let wake = move || {
            let _ = ring.try_send(());
        };
        let queue = BatchQueue::split(&consumer, &options.topic, partition.id(), wake);
        queues.push(queue.ok_or_else(|| format!("no queue for partition {}", partition.id()))?);
        list.add_partition_offset(&options.topic, partition.id(), Offset::Beginning)
            .map_err(|error| error.to_string())?;
    }
    if queues.is_empty() {
        return Err(format!("there is no topic {}", options.topic));
    }
    consumer.assign(&list).map_err(|error| error.to_string())?;
    Ok(Reading { consumer, queues, bell })
}

fn round(options: &Options) -> Result<(f64, f64), String> {
    let cpu_before = measure::cpu_seconds()?;
    let Reading { consumer, mut queues, bell } = assigned(options)?;
    let (mut seen, mut bytes, mut started) = (0_u64, 0_usize, None);
    while seen < options.records {
        if let Some(Err(error)) = consumer.poll(Duration::ZERO) {
            return Err(error.to_string());
        }
        let before = seen;
        for queue in &mut queues {
            bytes += std::hint::black_box(batch(queue, &mut seen)?).len();
        }
        if seen > before {
            // From the first record: connecting is measured as start-up, not here.
            started.get_or_insert_with(Instant::now);
        } else if bell.recv_timeout(SILENCE).is_err() {
            return Err(format!("the topic ended, or Kafka fell silent, after {seen} records"));
        }
    }
    measure::print(seen, bytes, started, cpu_before)
}

/// What is there, up to a batch of it: each payload copied once.
fn batch(queue: &mut BatchQueue<DefaultConsumerContext>, seen: &mut u64) -> Result<Vec<u8>, String> {
    let (mut buffer, mut left, mut failure) = (Vec::new(), BATCH, None);
    loop {
        let wanted = left.min(256);
        let taken = queue.take(wanted, |record| match record {
            Ok(record) => {
                buffer.extend_from_slice(record.key().unwrap_or_default());
                buffer.extend_from_slice(record.value().unwrap_or_default());
                *seen += 1;
            }
            Err(error) => failure = Some(error.to_string()),
        });
        left -= taken;
        match failure {
            Some(error) => return Err(error),
            None if taken < wanted || left == 0 => return Ok(buffer),
            None => {}
        }
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { f64::midpoint(numbers[middle - 1], numbers[middle]) }
}

fn measured() -> Result<(), String> {
    let options = options()?;
    let rounds: Vec<(f64, f64)> = (0..options.rounds.max(1)).map(|_| round(&options)).collect::<Result<_, _>>()?;
    let rate = median(rounds.iter().map(|(rate, _)| *rate).collect());
    let cpu = median(rounds.iter().map(|(_, cpu)| *cpu).collect());
    println!("median of {}: {rate:.0} records/s, {cpu:.3} CPU-seconds per million records", rounds.len());
    Ok(())
}

fn main() -> ExitCode {
    match measured() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("limit: {message}");
            ExitCode::FAILURE
        }
    }
}
