//! The loop of a running sink.

mod decoding;
mod ending;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt as _;
use millrace_sdk::{Batch, Error, OrderKeys, Record, TopicPartition};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Origin, Partitions, Raw, Tokens};
use crate::task::batch::RawBatch;
use crate::task::decode::{Decoded, Undecodable, letter};
use crate::task::failure::{Failure, Stage};
use crate::task::fetch::{Command, FetchEvent, Fetcher, retention};
use crate::task::lanes::{self, ChunkPlan, Lanes, Order};
use crate::task::retry::Ties;
use crate::task::supervise::{Life, panicked};
use crate::task::write::{Chunk, Outcome, Writer};

pub(super) use decoding::{Decoding, MOST};

/// How long writes in flight are waited for when partitions are revoked. Siblings wait with us.
const REVOKE_LIMIT: Duration = Duration::from_secs(10);

/// What runs beside the loop, when it has ended.
pub(super) enum JobDone {
    Write(WriteDone),
    Decode(Box<decoding::DecodeDone>),
}

/// The end of a chunk, or of records that were given up.
pub(super) struct WriteDone {
    origin: Origin,
    /// Of a chunk
    ticket: Option<u64>,
    outcome: Outcome,
}

/// A chunk that waits for a lane.
pub(super) struct Waiting {
    chunk: Chunk,
    origin: Origin,
    tokens: Tokens,
}

/// Partitions on their way out.
pub(super) struct Revocation {
    partitions: Vec<TopicPartition>,
    until: Instant,
}

pub(super) struct Running {
    pub(super) life: Life,
    pub(super) writer: Arc<Writer>,
    pub(super) fetcher: Fetcher,
    pub(super) decoding: Decoding,
    pub(super) partitions: Partitions,
    pub(super) lanes: Lanes,
    pub(super) lane_count: usize,
    /// As [`millrace_sdk::SinkTask::is_local`]
    pub(super) is_local: bool,
    pub(super) waiting: HashMap<u64, Waiting>,
    pub(super) jobs: JoinSet<JobDone>,
    pub(super) revocations: Vec<Revocation>,
    pub(super) commit_interval: Duration,
    pub(super) commit_sent: Option<Instant>,
    /// Offsets that retention deleted before they were read
    pub(super) lost: u64,
    /// Why the task ends once what is under way is written
    pub(super) ending: Option<Failure>,
    /// Why the task ends now
    pub(super) failure: Option<Failure>,
}

impl Running {
    /// Runs until the task is told to stop or cannot go on; then writes in flight end, offsets are committed, and
    /// connector and consumer are closed.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        self.life.reporter.running(*self.life.paused.borrow());
        let stop = self.life.stop.clone();
        let mut paused = self.life.paused.clone();
        let mut commit = tokio::time::interval(self.commit_interval);
        commit.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.failure.is_none() {
            let revoke_until = self.revocations.iter().map(|revocation| revocation.until).min();
            // Every branch is cancel-safe: channels, joins and timers lose nothing when dropped.
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.fetcher.events.recv() => match event {
                    Some(FetchEvent::Ended(error)) => return self.ended(error).await,
                    Some(event) => self.on_event(event),
                    None => return self.ended(None).await,
                },
                Some(done) = self.jobs.join_next() => self.on_joined(done),
                _ = commit.tick() => self.commit(),
                Ok(()) = paused.changed() => {
                    let hold = *paused.borrow_and_update();
                    self.fetcher.tell(Command::Pause(hold));
                    self.life.reporter.running(hold);
                }
                () = until(revoke_until) => self.finish_revocations(true),
            }
            self.end_when_idle();
        }
        self.wind_down().await
    }

    fn on_event(&mut self, event: FetchEvent) {
        match event {
            FetchEvent::Assigned { assignment, partitions } => {
                let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
                tracing::info!(task = %self.life.spec.id, partitions = names.join(" "), "partitions assigned");
                for origin in &partitions {
                    self.partitions.assign(origin, assignment);
                }
            }
            FetchEvent::Batch { assignment, batch } => self.on_raw(assignment, batch),
            FetchEvent::Revoking { partitions, lost } => self.revoke(partitions, lost),
            FetchEvent::Committed(result) => self.on_committed(result),
            FetchEvent::Ends(ends) => {
                for (origin, end) in &ends {
                    self.partitions.set_end(origin, *end);
                }
                let (records, age) = self.partitions.lag(now_ms());
                self.life.metrics.sink_lag(records, age);
            }
            FetchEvent::Lost(partition, lost) => {
                let offsets = lost.end.abs_diff(lost.start);
                self.lost += offsets;
                self.life.metrics.sink_lost(offsets);
                self.life.reporter.remark("retention", Some(retention::remark(&partition, &lost, self.lost)));
            }
            FetchEvent::Remark { subject, text } => self.life.reporter.remark(subject, text),
            FetchEvent::Ended(_) => {}
        }
    }

    /// Splits a decoded batch over the lanes, and starts what may start.
    fn on_batch(&mut self, assignment: u64, raw: RawBatch, mut decoded: Decoded) {
        let Some(mut last) = raw.records().last().map(|record| record.offset) else { return };
        let Some(partition) = self.partitions.get_mut(&raw.origin, assignment).filter(|one| !one.is_leaving()) else {
            // Revoked while the batch was decoded.
            return;
        };
        if self.ending.is_some() {
            return;
        }
        if !self.writer.dead_letters.tolerates()
            && let Some(first) = decoded.cut(&raw)
        {
            // What comes before the record is written first; then the task fails at it.
            last = raw.records()[first.index].offset - 1;
            self.ending = Some(self.writer.dead_letters.refuse(letter(&raw, first)));
        }
        let Decoded { batch, undecodable } = decoded;
        let raw: Raw = Arc::new(raw);
        let keys = if batch.records.is_empty() { OrderKeys::Any } else { self.writer.task.order_keys(&batch) };
        let plans = if batch.records.is_empty() {
            Vec::new()
        } else {
            lanes::plan(&keys, batch.records.len(), self.lane_count, self.lanes.load())
        };
        let parts = plans.len() + usize::from(!undecodable.is_empty());
        let oldest = raw.records().first().and_then(|record| record.timestamp_ms);
        let number = partition.offsets.start(last, parts, oldest);
        let (slot, tokens) = (partition.slot, partition.tokens.clone());
        let origin = Origin { partition: raw.origin.clone(), assignment, batch: number };
        if !undecodable.is_empty() {
            self.give_up(&raw, undecodable, &origin, &tokens);
        }
        for (chunk, order) in chunks(batch, &keys, plans, &raw) {
            let ticket = self.lanes.offer(slot, order);
            self.waiting.insert(ticket, Waiting { chunk, origin: origin.clone(), tokens: tokens.clone() });
        }
        self.start_chunks();
    }

    /// A task that ends at a record ends once all before it is written.
    fn end_when_idle(&mut self) {
        if self.ending.is_some() && self.waiting.is_empty() && !self.partitions.any_running() {
            self.failure = self.failure.take().or(self.ending.take());
        }
    }

    fn start_chunks(&mut self) {
        while let Some(ticket) = self.lanes.next() {
            let Some(Waiting { chunk, origin, tokens }) = self.waiting.remove(&ticket) else {
                self.lanes.finish(ticket);
                continue;
            };
            let writer = Arc::clone(&self.writer);
            let cancel = tokens.cancel.clone();
            self.start_job(origin, Some(ticket), &tokens, async move { writer.write(&chunk, &cancel).await });
        }
    }

    /// Undecodable and untransformable records are given up beside the lanes; their offsets count once that is acknowledged.
    fn give_up(&mut self, raw: &Raw, undecodable: Vec<Undecodable>, origin: &Origin, tokens: &Tokens) {
        let (writer, raw) = (Arc::clone(&self.writer), Arc::clone(raw));
        let job = async move { writer.give_up_undecodable(&raw, undecodable).await };
        self.start_job(origin.clone(), None, tokens, job);
    }

    fn start_job(
        &mut self,
        origin: Origin,
        ticket: Option<u64>,
        tokens: &Tokens,
        job: impl Future<Output = Outcome> + Send + 'static,
    ) {
        if let Some(partition) = self.partitions.get_mut(&origin.partition, origin.assignment) {
            partition.running += 1;
        }
        let job = guarded(tokens.abort.clone(), Stage::Write, job, |outcome| outcome);
        self.jobs.spawn(async move { JobDone::Write(WriteDone { origin, ticket, outcome: job.await }) });
    }

    fn on_joined(&mut self, done: Result<JobDone, tokio::task::JoinError>) {
        match done {
            Ok(JobDone::Write(done)) => self.on_written(done),
            Ok(JobDone::Decode(done)) => self.on_decoded(*done),
            // Panics are caught within the job and nobody aborts it from outside.
            Err(error) => {
                let error = Error::internal("a job has vanished").because(error);
                self.failure.get_or_insert(Failure::new(Stage::Write, error));
            }
        }
    }

    fn on_written(&mut self, done: WriteDone) {
        let WriteDone { origin, ticket, outcome } = done;
        if let Some(ticket) = ticket {
            self.lanes.finish(ticket);
        }
        let durable = matches!(outcome, Outcome::Done);
        if let Some(partition) = self.partitions.get_mut(&origin.partition, origin.assignment) {
            partition.running = partition.running.saturating_sub(1);
            if durable {
                partition.offsets.done(origin.batch);
            }
        }
        if let Outcome::Failed(failure) = outcome {
            // The first one counts; those that follow are mostly its echo.
            self.failure.get_or_insert(failure);
        }
        self.start_chunks();
        self.finish_revocations(false);
    }

    fn commit(&mut self) {
        // One commit at a time: its answer says whether the next one is to repeat it.
        if self.commit_sent.is_some_and(|sent| sent.elapsed() < Duration::from_secs(60)) {
            return;
        }
        let revoking: Vec<&TopicPartition> = self.revocations.iter().flat_map(|r| &r.partitions).collect();
        let mut offsets = self.partitions.take_watermarks();
        offsets.retain(|(origin, _)| !revoking.contains(&origin));
        if !offsets.is_empty() {
            self.commit_sent = Some(Instant::now());
            self.fetcher.tell(Command::Commit(offsets));
        }
    }

    fn on_committed(&mut self, result: Result<(), rdkafka::error::KafkaError>) {
        let took = self.commit_sent.take().map(|sent| sent.elapsed()).unwrap_or_default();
        self.life.metrics.commit(result.is_ok(), took);
        if let Err(error) = result {
            // Rebalances and coordinator changes do this; the next commit covers it.
            tracing::info!(task = %self.life.spec.id, %error, "commit failed, it is repeated");
            self.partitions.commit_failed();
        }
    }

    /// Partitions are going: nothing is tried again, writes in flight end, then the watermark is committed.
    fn revoke(&mut self, partitions: Vec<TopicPartition>, lost: bool) {
        let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        tracing::info!(task = %self.life.spec.id, partitions = names.join(" "), lost, "partitions revoked");
        for origin in &partitions {
            self.quiesce(origin);
            if lost {
                // Somebody else may own it already: what still ends here counts for nothing.
                self.partitions.remove(origin);
            }
        }
        if lost {
            self.fetcher.tell(Command::Release { partitions, offsets: Vec::new() });
        } else {
            self.revocations.push(Revocation { partitions, until: Instant::now() + REVOKE_LIMIT });
            self.finish_revocations(false);
        }
    }

    /// No new chunk of a partition starts and none is tried again.
    fn quiesce(&mut self, origin: &TopicPartition) {
        let Some(partition) = self.partitions.current(origin) else { return };
        partition.tokens.cancel.cancel();
        self.decoding.forget(origin);
        for ticket in self.lanes.withdraw(partition.slot) {
            self.waiting.remove(&ticket);
        }
    }

    /// Gives back partitions whose writes have ended, or all whose time is up when `late`.
    fn finish_revocations(&mut self, late: bool) {
        let now = Instant::now();
        let mut open = Vec::new();
        for revocation in std::mem::take(&mut self.revocations) {
            let busy = |origin: &TopicPartition| self.partitions.current(origin).is_some_and(|p| p.running > 0);
            if revocation.partitions.iter().any(busy) && !(late && now >= revocation.until) {
                open.push(revocation);
                continue;
            }
            let mut offsets = Vec::new();
            for origin in &revocation.partitions {
                let Some(partition) = self.partitions.remove(origin) else { continue };
                partition.tokens.abort.cancel();
                offsets.extend(partition.offsets.watermark().map(|offset| (origin.clone(), offset)));
            }
            // Once they are given back the member joins anew, and until all have joined Kafka answers no commit.
            offsets.extend(self.partitions.take_watermarks());
            if !offsets.is_empty() {
                self.commit_sent = Some(Instant::now());
            }
            self.fetcher.tell(Command::Release { partitions: revocation.partitions, offsets });
        }
        self.revocations = open;
    }
}

/// A batch's chunks with what each must not overtake.
fn chunks(batch: Batch, keys: &OrderKeys, plans: Vec<ChunkPlan>, raw: &Raw) -> Vec<(Chunk, Order)> {
    let ties = |records: &[usize], order: &Order| match (order, keys) {
        (Order::Keys(_), OrderKeys::PerRecord(hashes)) => Ties::Keys(records.iter().map(|i| hashes[*i]).collect()),
        (Order::Any, _) => Ties::None,
        _ => Ties::All,
    };
    let Batch { origin, records } = batch;
    let parts = if plans.len() == 1 { vec![records] } else { split(records, &plans) };
    let chunks = plans.into_iter().zip(parts).map(|(plan, records)| {
        let ties = ties(&plan.records, &plan.order);
        let batch = Batch { origin: origin.clone(), records };
        (Chunk { batch, ties, raw: Arc::clone(raw) }, plan.order)
    });
    chunks.collect()
}

/// Deals records out; every index is in one plan, and a plan's are in order.
fn split(records: Vec<Record>, plans: &[ChunkPlan]) -> Vec<Vec<Record>> {
    let mut part_of = vec![0; records.len()];
    for (part, plan) in plans.iter().enumerate() {
        for index in &plan.records {
            part_of[*index] = part;
        }
    }
    let mut parts: Vec<Vec<Record>> = plans.iter().map(|plan| Vec::with_capacity(plan.records.len())).collect();
    for (record, part) in records.into_iter().zip(part_of) {
        parts[part].push(record);
    }
    parts
}

/// A job that ends when it is aborted, and whose panic is an outcome as well.
async fn guarded<T>(
    abort: CancellationToken,
    stage: Stage,
    job: impl Future<Output = T>,
    otherwise: impl FnOnce(Outcome) -> T,
) -> T {
    tokio::select! {
        // An aborted write is dropped where it stands; whoever reads the partition next writes it again.
        () = abort.cancelled() => otherwise(Outcome::Cancelled),
        ended = AssertUnwindSafe(job).catch_unwind() => ended.unwrap_or_else(|panic| {
            otherwise(Outcome::Failed(Failure::new(stage, panicked(panic.as_ref()))))
        }),
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
