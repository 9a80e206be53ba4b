//! Exactly once: records and positions reach Kafka in one transaction, and a consumer with `isolation.level=read_committed`
//! sees both or neither. The transactional id is the task's fence, so it runs on without a lease.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_sdk::{Boundary, Error, ErrorKind, Position, Positions, Result, SourceBatch, SourceTask};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::MissedTickBehavior;

use super::lost::{Lost, LostRecord};
use super::offsets_key;
use super::poll;
use super::produce::{Encoded, Output, PRODUCER, bad_record, refused, unsent};
use super::transactions::{Failed, Transactions};
use crate::framework::{SourceSettings, TransactionBoundary, transactional_id};
use crate::kafka::{ClientSettings, Deliveries, OfLibrary, Outgoing, SharedProducer};
use crate::task::offsets_topic::{OffsetsTopic, SetRecord};
use crate::task::{Failure, Life, Stage};

/// A transaction of this size ends, where the connector does not say when.
const LARGE_RECORDS: usize = 10_000;
const LARGE_BYTES: usize = 16 * 1024 * 1024;
/// librdkafka's default of `batch.size`
const BATCH_BYTES: usize = 1_000_000;
/// How long the first task may take to fence those of the set before.
const SET_LIMIT: Duration = Duration::from_secs(60);

/// The positions to go on from, once no task of an earlier set can move them any more: every transactional id of that set is
/// taken over once. The first task does so, and stores which set it did it for; the others wait for that.
pub(super) async fn settle(
    life: &Life,
    client: &ClientSettings,
    offsets: &mut OffsetsTopic,
    transactions: &Transactions,
) -> Result<Positions> {
    let spec = &life.spec;
    let mine = SetRecord { set: spec.set_revision, tasks: spec.tasks_total };
    let began = Instant::now();
    loop {
        let stored = offsets.read(true).await?;
        match stored.set {
            Some(found) if found.set > mine.set => {
                return Err(Error::new(ErrorKind::Fenced, "a newer set of the connector's tasks runs already"));
            }
            Some(found) if found.set == mine.set && stored.set_is_settled => return Ok(stored.positions),
            Some(found) if found.set == mine.set => {}
            older if spec.id.index == 0 => {
                for index in 1..older.map_or(0, |older| older.tasks) {
                    let other = crate::model::TaskId { index, ..spec.id.clone() };
                    Transactions::open(client, &transactional_id(&other)).await?.close().await;
                }
                let (key, value) = offsets.set_record(mine)?;
                transactions.begin().await.map_err(Failed::into_error)?;
                let (key, value) = (Some(key.as_ref()), Some(value.as_ref()));
                let record = Outgoing { topic: offsets.name(), key, value, ..Outgoing::default() };
                let sent = Deliveries::default().send(transactions.producer(), record).await;
                sent.map_err(|error| Error::transient("cannot store the set of tasks").because(error))?;
                transactions.commit().await.map_err(Failed::into_error)?;
            }
            _ if began.elapsed() > SET_LIMIT => {
                return Err(Error::transient(format!(
                    "task 0 of the connector has not yet fenced the tasks of the set before this one; it is waited for, as no \
                     record could be exactly once otherwise ({} s)",
                    SET_LIMIT.as_secs()
                )));
            }
            _ => tokio::time::sleep(Duration::from_millis(300)).await,
        }
    }
}

/// A running task.
pub(super) struct Exact {
    life: Life,
    /// Makes the transactional producer
    client: ClientSettings,
    task: Box<dyn SourceTask>,
    output: Output,
    offsets: OffsetsTopic,
    transactions: Transactions,
    /// The most bytes in the producer's batches: a broker refuses one as a whole that is larger than its topic takes
    batch_bytes: usize,
    boundary: TransactionBoundary,
    tick: Duration,
    open: Open,
}

/// What belongs to the next commit.
#[derive(Default)]
struct Open {
    /// Kafka has the transaction
    begun: bool,
    /// A batch is half in it
    torn: bool,
    /// It must be aborted: nothing can be added any more, since Kafka has refused a record of it
    broken: Option<Error>,
    /// Kept where a refused record can be left out and the others sent again
    records: Vec<Encoded>,
    /// One for each record: the number of a refused one is needed
    deliveries: Vec<Deliveries>,
    acknowledged: u64,
    bytes: usize,
    /// The newest of each source partition
    positions: BTreeMap<String, Position>,
}

impl Open {
    fn is_empty(&self) -> bool {
        !self.begun && self.positions.is_empty()
    }

    fn is_large(&self) -> bool {
        self.deliveries.len() >= LARGE_RECORDS || self.bytes >= LARGE_BYTES
    }
}

enum Event {
    Stop,
    Paused,
    Polled(Result<SourceBatch>, Duration),
    Commit,
}

impl Exact {
    pub(super) fn new(
        life: Life,
        settings: &SourceSettings,
        client: ClientSettings,
        task: Box<dyn SourceTask>,
        (output, offsets, transactions): (Output, OffsetsTopic, Transactions),
    ) -> Self {
        let tick = match settings.boundary {
            TransactionBoundary::Interval => settings.boundary_interval(),
            _ => settings.common.commit_interval(),
        };
        let (boundary, batch_bytes, open) =
            (settings.boundary, client.number("batch.size", BATCH_BYTES), Open::default());
        Self { life, client, task, output, offsets, transactions, batch_bytes, boundary, tick, open }
    }

    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let outcome = self.turn().await;
        // Half a transaction of the connector's is none; the next life aborts it.
        let whole = !self.open.torn && self.boundary != TransactionBoundary::Connector;
        if outcome.is_ok() && whole {
            match tokio::time::timeout(self.life.environment.stop_timeout, self.commit()).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => {
                    tracing::warn!(task = %self.life.spec.id, error = failure.trace(), "the last transaction was not committed");
                }
                Err(_) => tracing::warn!(task = %self.life.spec.id, "the last transaction was not committed in time"),
            }
        }
        if let Err(error) = self.task.close().await {
            tracing::warn!(task = %self.life.spec.id, error = error.chain(), "closing the source failed");
        }
        self.transactions.close().await;
        outcome
    }

    async fn turn(&mut self) -> Result<(), Failure> {
        let mut tick = tokio::time::interval(self.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut paused = self.life.paused.clone();
        self.life.reporter.running(*paused.borrow_and_update());
        loop {
            let may_poll = !*paused.borrow();
            let may_tick = !self.open.is_empty() && self.boundary != TransactionBoundary::Connector;
            // Cancel-safe: `poll` by contract, the others hold nothing.
            let event = tokio::select! {
                () = self.life.stop.cancelled() => Event::Stop,
                changed = paused.changed() => if changed.is_ok() { Event::Paused } else { Event::Stop },
                _ = tick.tick(), if may_tick => Event::Commit,
                (polled, took) = poll(self.task.as_mut()), if may_poll => Event::Polled(polled, took),
            };
            match event {
                Event::Stop => return Ok(()),
                Event::Paused => self.life.reporter.running(*paused.borrow_and_update()),
                Event::Commit => self.commit().await?,
                Event::Polled(polled, took) => {
                    let batch = polled.map_err(|error| Failure::new(Stage::Poll, error))?;
                    self.life.metrics.source_poll(took);
                    if !self.take(batch).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Adds a batch to the transaction, and ends it where it ends. False when the task was told to stop meanwhile.
    async fn take(&mut self, mut batch: SourceBatch) -> Result<bool, Failure> {
        let (boundary, some) = (batch.boundary, !batch.records.is_empty());
        let positions = std::mem::take(&mut batch.positions);
        let stop = self.life.stop.clone();
        self.open.torn = true;
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            added = self.add(batch) => added?,
        }
        self.open.torn = false;
        for position in positions {
            self.open.positions.insert(offsets_key(&position), position);
        }
        let by_connector = self.boundary == TransactionBoundary::Connector;
        let ends = match self.boundary {
            TransactionBoundary::Poll => some,
            TransactionBoundary::Interval => self.open.is_large(),
            TransactionBoundary::Connector => boundary != Boundary::None,
        };
        if by_connector && boundary == Boundary::Abort {
            self.discard().await?;
        }
        if ends {
            self.commit().await?;
        } else if self.open.is_large() {
            // The connector's transaction goes on; what is acknowledged of it need not be remembered.
            self.resolve().await.into_iter().next().map_or(Ok(()), |(_, lost)| Err(failure(lost)))?;
        }
        Ok(true)
    }

    async fn add(&mut self, batch: SourceBatch) -> Result<(), Failure> {
        let encoded = self.output.encode(batch.records, batch.failures).await?;
        self.narrow().await?;
        if !encoded.is_empty() {
            self.begin().await?;
        }
        self.send(encoded).await
    }

    /// Another producer, if the topics seen by now take smaller batches only. Not within a transaction of the connector's.
    async fn narrow(&mut self) -> Result<(), Failure> {
        let Some(bytes) = self.output.topics().least_limit().filter(|limit| *limit < self.batch_bytes) else {
            return Ok(());
        };
        if self.open.begun && self.boundary == TransactionBoundary::Connector {
            return Ok(());
        }
        self.commit().await?;
        let client = self.client.clone().with("batch.size", bytes.to_string());
        let opened = Transactions::open(&client, &transactional_id(&self.life.spec.id)).await;
        let transactions = opened.map_err(|error| Failure::new(Stage::Produce, error))?;
        self.batch_bytes = bytes;
        std::mem::replace(&mut self.transactions, transactions).close().await;
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        if !self.open.begun {
            self.transactions.begin().await.map_err(of_transaction)?;
            self.open.begun = true;
        }
        Ok(())
    }

    async fn send(&mut self, records: Vec<Encoded>) -> Result<(), Failure> {
        let keep = self.output.tolerates() && self.boundary != TransactionBoundary::Connector;
        let mut lost = Vec::new();
        for record in records {
            if self.open.broken.is_none() {
                let mut delivery = Deliveries::default();
                match enqueue(self.transactions.producer(), &record, &mut delivery).await {
                    Ok(()) => {
                        self.open.bytes += record.bytes();
                        self.open.deliveries.push(delivery);
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::Transient { .. }) => self.open.broken = Some(error),
                    Err(error) => {
                        lost.push(unsent(record, error));
                        continue;
                    }
                }
            }
            if keep {
                self.open.records.push(record);
            }
        }
        self.output.give_up(lost).await
    }

    /// Commits what there is. A record that Kafka never takes aborts its transaction; where such records are passed over, the
    /// others are sent again without it.
    async fn commit(&mut self) -> Result<(), Failure> {
        while !self.open.is_empty() {
            self.begin().await?;
            let positions: Vec<Position> = self.open.positions.values().cloned().collect();
            if let Some(error) = self.send_positions(&positions).await? {
                self.leave_out(error).await?;
                continue;
            }
            let began = Instant::now();
            let committed = self.transactions.commit().await;
            self.life.metrics.commit(committed.is_ok(), began.elapsed());
            match committed {
                Ok(()) => {
                    self.resolve().await;
                    let open = std::mem::take(&mut self.open);
                    self.life.metrics.source_records(open.acknowledged);
                    return self.task.committed(&positions).await.map_err(|error| Failure::new(Stage::Commit, error));
                }
                Err(Failed::Final(error)) => return Err(Failure::new(Stage::Commit, error)),
                Err(Failed::Abort(error)) => self.leave_out(error).await?,
            }
        }
        Ok(())
    }

    /// Answers why the transaction must be aborted instead, if it must.
    async fn send_positions(&mut self, positions: &[Position]) -> Result<Option<Error>, Failure> {
        if let Some(error) = self.open.broken.take() {
            return Ok(Some(error));
        }
        let records = self.offsets.records(positions).map_err(|error| Failure::new(Stage::Commit, error))?;
        for (key, value) in records {
            let record = Encoded {
                topic: self.offsets.name().to_owned(),
                partition: None,
                timestamp_ms: None,
                key: Some(key.into()),
                value: value.map(Into::into),
                headers: None,
            };
            // The commit waits for it.
            match enqueue(self.transactions.producer(), &record, &mut Deliveries::default()).await {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Transient { .. }) => return Ok(Some(error)),
                Err(error) => return Err(Failure::new(Stage::Commit, error)),
            }
        }
        Ok(None)
    }

    /// Aborts, and sends what was in the transaction again without what Kafka refused of it.
    async fn leave_out(&mut self, error: Error) -> Result<(), Failure> {
        self.transactions.abort().await.map_err(of_transaction)?;
        self.open.begun = false;
        let refused: Vec<(usize, Lost)> =
            self.resolve().await.into_iter().filter(|(_, lost)| lost.error.kind() == ErrorKind::BadRecord).collect();
        let kept = std::mem::take(&mut self.open.records);
        let (indices, lost): (Vec<usize>, Vec<Lost>) = refused.into_iter().unzip();
        if lost.is_empty() {
            return Err(Failure::new(Stage::Commit, error));
        }
        if self.output.tolerates() && kept.is_empty() {
            return lost.into_iter().next().map_or(Ok(()), |lost| Err(failure(lost)));
        }
        self.output.give_up(lost).await?;
        (self.open.bytes, self.open.acknowledged, self.open.broken) = (0, 0, None);
        let rest = kept.into_iter().enumerate().filter(|(index, _)| !indices.contains(index));
        let rest = rest.map(|(_, record)| record).collect();
        self.begin().await?;
        self.send(rest).await
    }

    /// Drops what is in the transaction, but for the positions.
    async fn discard(&mut self) -> Result<(), Failure> {
        if self.open.begun {
            self.transactions.abort().await.map_err(of_transaction)?;
        }
        let positions = std::mem::take(&mut self.open.positions);
        self.open = Open { positions, ..Open::default() };
        Ok(())
    }

    /// Waits for what Kafka says of the records sent so far; answers those it refused, by number.
    async fn resolve(&mut self) -> Vec<(usize, Lost)> {
        let mut refused = Vec::new();
        for (index, delivery) in std::mem::take(&mut self.open.deliveries).into_iter().enumerate() {
            match delivery.finished().await.pop() {
                None => self.open.acknowledged += 1,
                Some(one) => refused.push((index, not_taken(self.transactions.producer(), one))),
            }
        }
        refused
    }
}

/// Hands a record to the producer; waits while its queue is full.
async fn enqueue(producer: &SharedProducer, one: &Encoded, deliveries: &mut Deliveries) -> Result<()> {
    let record = Outgoing {
        topic: &one.topic,
        partition: one.partition,
        timestamp_ms: one.timestamp_ms,
        key: one.key.as_deref(),
        value: one.value.as_deref(),
        headers: one.headers.clone(),
    };
    deliveries.send(producer, record).await.map_err(|error| of_library(producer, &one.topic, error))
}

/// A record that Kafka did not take.
fn not_taken(producer: &SharedProducer, (error, message): OfLibrary) -> Lost {
    let error = of_library(producer, message.topic(), error);
    Lost { record: LostRecord::of_message(message, PRODUCER), stage: Stage::Produce, error }
}

fn of_library(producer: &SharedProducer, topic: &str, error: KafkaError) -> Error {
    // Once a producer has a fatal error every call says only that.
    let code = producer.client().fatal_error().map(|(code, _)| code).or_else(|| error.rdkafka_error_code());
    let problem = match code {
        Some(Code::UnknownPartition) => bad_record(topic),
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => {
            Error::new(ErrorKind::Fenced, "a newer life of this task writes with its transactional id")
        }
        // The library has the protocol's codes, and its own below them.
        Some(code) => refused(topic, i16::try_from(code as i32).unwrap_or(-1)),
        None => refused(topic, -1),
    };
    problem.because(error)
}

fn failure(lost: Lost) -> Failure {
    Failure::at(lost.stage, lost.record.at().to_owned(), lost.error)
}

fn of_transaction(failed: Failed) -> Failure {
    Failure::new(Stage::Commit, failed.into_error())
}
