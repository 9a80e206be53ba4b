//! One life of a source task: `poll → encode → produce → positions → committed`, at least once.
//!
//! A position is stored only after every record up to it is acknowledged by Kafka; batches are acknowledged in the order in
//! which they were polled. What is in flight is bounded, and a source is polled only while there is room. Without a lease
//! nothing is produced: a source has no fence of its own.

mod produce;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use millrace_sdk::config::{definition, join, parse};
use millrace_sdk::{Error, ErrorKind, Position, Result, SourceBatch, SourceTask, TaskContext};
use tokio::time::{Instant, MissedTickBehavior};

use super::offsets_topic::OffsetsTopic;
use super::{Failure, Life, Stage};
use crate::framework::SourceSettings;
use produce::{Delivered, InFlight, Output};

/// Records on their way to Kafka, at most, plus one batch.
const MAX_IN_FLIGHT_RECORDS: usize = 10_000;
/// Their bytes, at most, plus one batch.
const MAX_IN_FLIGHT_BYTES: usize = 16 * 1024 * 1024;
/// A source that has nothing and says so at once is not asked again before this.
const EMPTY_POLL_PAUSE: Duration = Duration::from_millis(50);

/// Opens the task and runs it until it is stopped (`Ok`) or cannot go on.
///
/// # Errors
/// Why it cannot go on.
pub async fn run(life: Life) -> Result<(), Failure> {
    let stop = life.stop.clone();
    let opened = async {
        await_lease(&life).await;
        open(&life).await
    };
    let running = tokio::select! {
        // Dropping an opening task loses nothing: no record was read.
        () = stop.cancelled() => return Ok(()),
        opened = opened => opened.map_err(|error| Failure::new(Stage::Start, error))?,
    };
    running.run().await
}

/// The lease holds when this returns.
async fn await_lease(life: &Life) {
    let mut lease = life.environment.lease.clone();
    while !lease.borrow_and_update().is_live(Instant::now()) {
        if lease.changed().await.is_err() {
            // The worker is about to end, and stops this task.
            std::future::pending::<()>().await;
        }
    }
}

async fn open(life: &Life) -> Result<Running> {
    let spec = &life.spec;
    let settings = parse::<SourceSettings>(&definition::<SourceSettings>(), &spec.config)
        .map_err(|findings| Error::bad_config(format!("invalid configuration: {}", join(&findings.errors))))?;
    let plugin = life.environment.catalog.source(&spec.class)?;
    let output = Output::open(life, &settings)?;
    let (offsets, positions) = OffsetsTopic::open(spec, &life.environment.producers).await?;
    let mut config = spec.config.clone();
    config.extend(spec.task_config.clone());
    let context = TaskContext {
        tenant: spec.id.tenant.clone(),
        connector: spec.id.connector.clone(),
        task: spec.id.index,
        tasks_total: spec.tasks_total,
        generation: spec.generation,
        topics: Vec::new(),
        config: Arc::new(config),
        ..TaskContext::default()
    };
    let flat = Arc::clone(&context.config);
    let task = plugin.open(&flat, context, positions).await?;
    Ok(Running {
        life: life.clone(),
        commit_interval: Duration::from_millis(u64::try_from(settings.commit_interval_ms).unwrap_or(5000)),
        task,
        output,
        offsets,
        in_flight: FuturesOrdered::new(),
        records: 0,
        bytes: 0,
        reached: BTreeMap::new(),
    })
}

/// What woke the loop.
enum Event {
    Stop,
    Paused,
    Polled(Result<SourceBatch>, Duration),
    Delivered(Delivered),
    Commit,
}

struct Running {
    life: Life,
    commit_interval: Duration,
    task: Box<dyn SourceTask>,
    output: Output,
    offsets: OffsetsTopic,
    in_flight: FuturesOrdered<InFlight>,
    records: usize,
    bytes: usize,
    /// Reached and not stored yet: the newest of each source partition
    reached: BTreeMap<String, Position>,
}

impl Running {
    async fn run(mut self) -> Result<(), Failure> {
        let outcome = self.turn().await;
        // However it ends: what Kafka has is stored, so that it is not produced again.
        let finished = tokio::time::timeout(self.life.environment.stop_timeout, self.finish()).await;
        match &finished {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                tracing::warn!(task = %self.life.spec.id, error = failure.trace(), "the last positions were not stored");
            }
            Err(_) => tracing::warn!(
                task = %self.life.spec.id,
                records = self.records,
                "records were not acknowledged in time; they will be produced again"
            ),
        }
        if let Err(error) = self.task.close().await {
            tracing::warn!(task = %self.life.spec.id, error = error.chain(), "closing the source failed");
        }
        outcome
    }

    async fn turn(&mut self) -> Result<(), Failure> {
        let mut tick = tokio::time::interval(self.commit_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut paused = self.life.paused.clone();
        self.life.reporter.running(*paused.borrow_and_update());
        loop {
            let may_poll =
                !*paused.borrow() && self.records < MAX_IN_FLIGHT_RECORDS && self.bytes < MAX_IN_FLIGHT_BYTES;
            let waiting = !self.in_flight.is_empty();
            let unsaved = !self.reached.is_empty();
            // Cancel-safe: `poll` by contract, the others hold nothing.
            let event = tokio::select! {
                () = self.life.stop.cancelled() => Event::Stop,
                changed = paused.changed() => if changed.is_ok() { Event::Paused } else { Event::Stop },
                Some(delivered) = self.in_flight.next(), if waiting => Event::Delivered(delivered),
                _ = tick.tick(), if unsaved => Event::Commit,
                (polled, took) = poll(self.task.as_mut()), if may_poll => Event::Polled(polled, took),
            };
            match event {
                Event::Stop => return Ok(()),
                Event::Paused => self.life.reporter.running(*paused.borrow_and_update()),
                Event::Delivered(delivered) => self.delivered(delivered)?,
                Event::Commit => self.commit().await?,
                Event::Polled(polled, took) => {
                    let batch = polled.map_err(|error| Failure::new(Stage::Poll, error))?;
                    self.life.metrics.source_poll(took);
                    self.send(batch).await?;
                }
            }
        }
    }

    async fn send(&mut self, batch: SourceBatch) -> Result<(), Failure> {
        self.check_lease(Stage::Produce)?;
        // Dropped half-way by a stop: its positions are not reached, so its records come again.
        let stop = self.life.stop.clone();
        let sent = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            sent = self.output.send(batch) => sent?,
        };
        self.records += sent.records;
        self.bytes += sent.bytes;
        self.in_flight.push_back(sent.in_flight);
        Ok(())
    }

    fn delivered(&mut self, delivered: Delivered) -> Result<(), Failure> {
        self.records -= delivered.records;
        self.bytes -= delivered.bytes;
        if delivered.acknowledged > 0 {
            self.life.metrics.source_records(delivered.acknowledged);
        }
        for failure in delivered.failures {
            self.output.tolerate(failure)?;
        }
        for position in delivered.positions {
            let partition = serde_json::to_string(&position.partition).unwrap_or_default();
            self.reached.insert(partition, position);
        }
        Ok(())
    }

    /// Stores what is reached. What passes by itself is tried again with the next interval.
    async fn commit(&mut self) -> Result<(), Failure> {
        self.check_lease(Stage::Commit)?;
        let positions: Vec<Position> = self.reached.values().cloned().collect();
        if positions.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let stored = self.offsets.store(&positions).await;
        self.life.metrics.commit(stored.is_ok(), began.elapsed());
        match stored {
            Ok(()) => self.life.reporter.remark("commit", None),
            Err(error) if matches!(error.kind(), ErrorKind::Transient { .. }) => {
                self.life.reporter.remark("commit", Some(format!("positions wait to be stored: {}", error.chain())));
                return Ok(());
            }
            Err(error) => return Err(Failure::new(Stage::Commit, error)),
        }
        self.reached.clear();
        self.task.committed(&positions).await.map_err(|error| Failure::new(Stage::Commit, error))
    }

    /// Waits for what is in flight and stores the last positions.
    async fn finish(&mut self) -> Result<(), Failure> {
        while let Some(delivered) = self.in_flight.next().await {
            self.delivered(delivered)?;
        }
        self.commit().await
    }

    fn check_lease(&self, stage: Stage) -> Result<(), Failure> {
        if self.life.environment.lease.borrow().is_live(Instant::now()) {
            return Ok(());
        }
        let message = "the control plane was not heard for a whole lease; another worker may have this task by now";
        Err(Failure::new(stage, Error::transient(message)))
    }
}

async fn poll(task: &mut dyn SourceTask) -> (Result<SourceBatch>, Duration) {
    let began = Instant::now();
    let polled = task.poll().await;
    let took = began.elapsed();
    if polled.as_ref().is_ok_and(|batch| batch.records.is_empty() && batch.positions.is_empty()) {
        // Dropped here, an empty batch is lost, and that is nothing.
        tokio::time::sleep(EMPTY_POLL_PAUSE).await;
    }
    (polled, took)
}
