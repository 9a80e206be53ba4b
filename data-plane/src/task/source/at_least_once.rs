//! At least once: a position is stored only after every record up to it is acknowledged by Kafka; batches are acknowledged in
//! the order in which they were polled. What is in flight is bounded, and a source is polled only while there is room. Without
//! a lease nothing is produced: such a source has no fence of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use millrace_sdk::{Error, ErrorKind, Position, Result, SourceBatch, SourceTask};
use tokio::time::{Instant, MissedTickBehavior};

use super::produce::Output;
use super::sending::{Delivered, InFlight, Sender};
use super::{has_lease, offsets_key, poll};
use crate::kafka::SharedProducer;
use crate::task::offsets_topic::OffsetsTopic;
use crate::task::{Failure, Life, Stage};

/// Records on their way to Kafka, at most, plus one batch.
const MAX_IN_FLIGHT_RECORDS: usize = 10_000;

/// What woke the loop.
enum Event {
    Stop,
    Paused,
    Polled(Result<SourceBatch>, Duration),
    Delivered(Delivered),
    Failed(Failure),
    Commit,
}

/// A running task.
pub(super) struct Running {
    life: Life,
    commit_interval: Duration,
    task: Box<dyn SourceTask>,
    output: Output,
    sender: Sender,
    offsets: OffsetsTopic,
    /// Of the positions: the tenant's own
    keeper: SharedProducer,
    in_flight: FuturesOrdered<InFlight>,
    records: usize,
    bytes: usize,
    /// Reached and not stored yet: the newest of each source partition
    reached: BTreeMap<String, Position>,
}

impl Running {
    pub(super) fn new(
        life: Life,
        commit_interval: Duration,
        task: Box<dyn SourceTask>,
        (output, sender): (Output, Sender),
        offsets: OffsetsTopic,
        keeper: SharedProducer,
    ) -> Self {
        let in_flight = FuturesOrdered::new();
        let reached = BTreeMap::new();
        Self { life, commit_interval, task, output, sender, offsets, keeper, in_flight, records: 0, bytes: 0, reached }
    }

    pub(super) async fn run(mut self) -> Result<(), Failure> {
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
            let may_poll = !*paused.borrow() && self.records < MAX_IN_FLIGHT_RECORDS && self.bytes < self.sender.buffer;
            let waiting = !self.in_flight.is_empty();
            let unsaved = !self.reached.is_empty();
            // Cancel-safe: `poll` by contract, the others hold nothing.
            let event = tokio::select! {
                () = self.life.stop.cancelled() => Event::Stop,
                changed = paused.changed() => if changed.is_ok() { Event::Paused } else { Event::Stop },
                Some(delivered) = self.in_flight.next(), if waiting => Event::Delivered(delivered),
                failure = self.sender.failed() => Event::Failed(failure),
                _ = tick.tick(), if unsaved => Event::Commit,
                (polled, took) = poll(self.task.as_mut()), if may_poll => Event::Polled(polled, took),
            };
            match event {
                Event::Stop => return Ok(()),
                Event::Paused => self.life.reporter.running(*paused.borrow_and_update()),
                Event::Failed(failure) => return Err(failure),
                Event::Delivered(delivered) => self.delivered(delivered).await?,
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
            sent = self.sender.send(&mut self.output, batch) => sent?,
        };
        self.records += sent.records;
        self.bytes += sent.bytes;
        self.in_flight.push_back(sent.in_flight);
        Ok(())
    }

    async fn delivered(&mut self, delivered: Delivered) -> Result<(), Failure> {
        self.records -= delivered.records;
        self.bytes -= delivered.bytes;
        if delivered.acknowledged > 0 {
            self.life.metrics.source_records(delivered.acknowledged);
        }
        self.output.give_up(delivered.lost).await?;
        for position in delivered.positions {
            self.reached.insert(offsets_key(&position), position);
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
        let stored = self.offsets.store(&self.keeper, &positions).await;
        self.life.metrics.commit(stored.is_ok(), began.elapsed());
        match stored {
            Ok(()) => self.life.reporter.remark("commit", None),
            Err(error) if matches!(error.kind(), ErrorKind::Transient { .. }) => {
                self.life.metrics.retry();
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
            self.delivered(delivered).await?;
        }
        self.commit().await
    }

    fn check_lease(&self, stage: Stage) -> Result<(), Failure> {
        if has_lease(&self.life) {
            return Ok(());
        }
        let message = "the control plane was not heard for a whole lease; another worker may have this task by now";
        Err(Failure::new(stage, Error::transient(message)))
    }
}
