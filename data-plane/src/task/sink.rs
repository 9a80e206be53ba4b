//! One life of a sink task: opens the connector and the consumer, then moves batches from the poll thread through decoding
//! and the lanes into the store, and offsets back into Kafka.
//!
//! All decisions are made in one place, by one async task, in the order in which events arrive; `lanes` and `offsets` are
//! pure. Only the writes run beside it.

mod partitions;
mod running;

use std::sync::Arc;

use millrace_sdk::config::definition;
use millrace_sdk::{Error, Result, TaskContext, TopicPartition};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::batch::RawBatch;
use super::consumer;
use super::dead_letter::DeadLetters;
use super::failure::{Failure, Stage};
use super::fetch::{Fetcher, Limits, Subscription};
use super::lanes::Lanes;
use super::supervise::Life;
use super::write::Writer;
use crate::framework::{SinkSettings, full_match};

use partitions::Partitions;
use running::{Decoding, MOST, Running};

/// Opens the task and runs it until it is stopped (`Ok`) or cannot go on.
pub(super) async fn run(life: Life) -> Result<(), Failure> {
    let running = tokio::select! {
        // Dropping an opening task loses nothing: no record was read.
        () = life.stop.cancelled() => return Ok(()),
        opened = open(&life) => opened.map_err(|error| Failure::new(Stage::Start, error))?,
    };
    running.run().await
}

/// The framework's settings of a sink.
pub(crate) fn settings(life: &Life) -> Result<SinkSettings> {
    millrace_sdk::config::parse::<SinkSettings>(&definition::<SinkSettings>(), &life.spec.config).map_err(|findings| {
        Error::bad_config(format!("invalid configuration: {}", millrace_sdk::config::join(&findings.errors)))
    })
}

async fn open(life: &Life) -> Result<Running> {
    let spec = &life.spec;
    let settings = settings(life)?;
    let plugin = life.environment.catalog.sink(&spec.class)?;
    let consumer_settings = consumer::settings(spec, &settings, &spec.config)?;
    let processors = Handle::current().metrics().num_workers();
    let decoding = Decoding::open(spec, processors.min(MOST))?;
    let context = context(life, &settings);
    let flat = Arc::clone(&context.config);
    let dead_letters = DeadLetters::open(spec, &settings.common, &life.environment.producers, &life.metrics).await?;
    let dead_letters = Arc::new(dead_letters);
    let task = plugin.open(&flat, context).await?;
    let is_local = task.is_local();
    let limits = limits(&settings);
    let paused = *life.paused.borrow();
    let name = spec.id.to_string();
    let subscription = subscription(&settings)?;
    let fetcher = Fetcher::start(name, consumer_settings, subscription, limits, settings.fetch, paused)?;
    let lanes = usize::try_from(settings.lanes).unwrap_or(1);
    let writer = Arc::new(Writer {
        task: Arc::from(task),
        class: spec.class.clone(),
        dead_letters,
        metrics: Arc::clone(&life.metrics),
        reporter: Arc::clone(&life.reporter),
        retry_limit: settings.common.retry_delay_max(),
        retry_timeout: settings.common.retry_timeout(),
        superseded: std::sync::Mutex::default(),
    });
    Ok(Running {
        life: life.clone(),
        writer,
        fetcher,
        decoding,
        partitions: Partitions::default(),
        lanes: Lanes::new(lanes),
        lane_count: lanes,
        is_local,
        waiting: std::collections::HashMap::new(),
        jobs: JoinSet::new(),
        revocations: Vec::new(),
        commit_interval: settings.common.commit_interval(),
        commit_sent: None,
        lost: 0,
        ending: None,
        failure: None,
    })
}

/// What the connector is told of its task.
fn context(life: &Life, settings: &SinkSettings) -> TaskContext {
    let spec = &life.spec;
    let mut config = spec.config.clone();
    config.extend(spec.task_config.clone());
    TaskContext {
        tenant: spec.id.tenant.clone(),
        connector: spec.id.connector.clone(),
        task: spec.id.index,
        tasks_total: spec.tasks_total,
        generation: spec.generation,
        topics: settings.topics.clone(),
        config: Arc::new(config),
        versions: settings.versions(),
        reports: life.reports(),
    }
}

fn limits(settings: &SinkSettings) -> Limits {
    let buffer = usize::try_from(settings.buffer_memory / 2).unwrap_or(usize::MAX);
    Limits {
        batch_records: usize::try_from(settings.batch_max_records).unwrap_or(1),
        batch_bytes: (buffer / 4).clamp(64 * 1024, 512 * 1024 * 1024),
        budget: buffer,
    }
}

fn subscription(settings: &SinkSettings) -> Result<Subscription> {
    if settings.topics_regex.trim().is_empty() {
        return Ok(Subscription::Topics(settings.topics.clone()));
    }
    full_match(&settings.topics_regex)
        .map(|regex| Subscription::Pattern(Box::new(regex)))
        .ok_or_else(|| Error::bad_config("topics.regex is no regular expression"))
}

/// What a job on a lane (or beside the lanes, for undecodable records) belongs to.
#[derive(Debug, Clone)]
struct Origin {
    partition: TopicPartition,
    assignment: u64,
    /// The tracker's number of the batch
    batch: u64,
}

/// Tokens of a partition's jobs.
#[derive(Debug, Clone, Default)]
struct Tokens {
    /// Nothing is tried again
    cancel: CancellationToken,
    /// Nothing is waited for
    abort: CancellationToken,
}

/// A raw batch shared by the jobs made of it.
type Raw = Arc<RawBatch>;
