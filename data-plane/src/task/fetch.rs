//! The poll thread of a sink task. It owns the consumer, which is the group's member, carries out rebalances and commits. Records
//! come from the reader, which asks Kafka itself (`reader`); with `millrace.fetch=librdkafka` the thread reads the partitions' queues in
//! librdkafka into batches. Neither ever waits for a write: what is not wanted yet is not asked for, or stays in the
//! partition's own queue, where librdkafka stops fetching for it.

mod ledger;
mod partition;
mod reader;
pub(super) mod retention;
mod thread;

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use fancy_regex::Regex;
use millrace_sdk::{Error, Result, TopicPartition};
use tokio::sync::mpsc;

use super::batch::RawBatch;
use super::consumer::Bell;
use crate::framework::Fetch;
use crate::kafka::ClientSettings;

pub(super) use ledger::Receipt;

/// Batches of a partition that may be out at a time: one is written, one waits for a lane. It bounds the distance between
/// the watermark and the newest write.
const MAX_OUT: usize = 2;

/// What is small waits until this long after what came before it: under load many small batches would cost more than their
/// records. A record that comes alone does not wait.
const PACE: Duration = Duration::from_millis(5);

/// How long rooms are kept after the last large batch.
const KEPT: Duration = Duration::from_secs(1);

/// What a task reads.
#[derive(Debug, Clone)]
pub(super) enum Subscription {
    /// These topics
    Topics(Vec<String>),
    /// All topics whose whole name matches
    Pattern(Box<Regex>),
}

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Records in a batch
    pub(super) batch_records: usize,
    /// Bytes in a batch
    pub(super) batch_bytes: usize,
    /// Bytes in all batches together
    pub(super) budget: usize,
}

/// From the poll thread to the task.
pub(super) enum FetchEvent {
    /// Partitions are about to be read, each under the assignment's number
    Assigned { assignment: u64, partitions: Vec<TopicPartition> },
    /// Records to write; there is room for more once the batch is dropped
    Batch { assignment: u64, batch: RawBatch },
    /// Partitions are to be given back: answer with [`Command::Release`]
    Revoking { partitions: Vec<TopicPartition>, lost: bool },
    /// A commit was answered
    Committed(Result<(), rdkafka::error::KafkaError>),
    /// The ends of partitions
    Ends(Vec<(TopicPartition, i64)>),
    /// Offsets that Kafka no longer had when they were to be read
    Lost(TopicPartition, Range<i64>),
    /// Remarks for the user: topics that do not exist, Kafka out of reach; None when all is well again
    Remark { subject: &'static str, text: Option<String> },
    /// The thread ends; nothing comes after it
    Ended(Option<Error>),
}

/// Offsets to go on from.
pub(super) type Offsets = Vec<(TopicPartition, i64)>;

/// From the task to the poll thread.
pub(super) enum Command {
    /// Commit in the background
    Commit(Offsets),
    /// Commit these, then give back the partitions
    Release { partitions: Vec<TopicPartition>, offsets: Offsets },
    /// Hold still, or go on
    Pause(bool),
    /// Commit these, close, end
    Close(Offsets),
    /// Close and end without committing anything: somebody newer owns the partitions
    Abandon,
}

/// The task's end of the poll thread. Dropping it ends the thread without a commit.
pub(super) struct Fetcher {
    commands: std_mpsc::Sender<Command>,
    pub(super) events: mpsc::UnboundedReceiver<FetchEvent>,
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Fetcher {
    /// Starts the thread; must be called within a tokio runtime. The consumer is created on it; an error comes as [`FetchEvent::Ended`].
    pub(super) fn start(
        task: String,
        settings: ClientSettings,
        subscription: Subscription,
        limits: Limits,
        fetch: Fetch,
        paused: bool,
    ) -> Result<Self> {
        let (commands, inbox) = std_mpsc::channel();
        // Unbounded, but never long: batches are bounded by the budget, all else is rare.
        let (outbox, events) = mpsc::unbounded_channel();
        let bell = Arc::new(Bell::default());
        let runtime = tokio::runtime::Handle::current();
        let thread_bell = Arc::clone(&bell);
        let thread = std::thread::Builder::new()
            .name(format!("fetch-{task}"))
            .spawn(move || {
                thread::run(
                    &task,
                    &settings,
                    subscription,
                    limits,
                    fetch,
                    paused,
                    &runtime,
                    &thread_bell,
                    &inbox,
                    &outbox,
                )
            })
            .map_err(|error| Error::internal("cannot start a poll thread").because(error))?;
        Ok(Self { commands, events, bell, thread: Some(thread) })
    }

    /// Tells the thread something. A thread that has ended has said so in [`FetchEvent::Ended`].
    pub(super) fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
        self.bell.ring();
    }
}

#[cfg(test)]
impl Fetcher {
    /// A fetcher whose thread is played by a test: what it tells, and where events come from.
    pub(super) fn played() -> (Self, mpsc::UnboundedSender<FetchEvent>, std_mpsc::Receiver<Command>) {
        let (commands, inbox) = std_mpsc::channel();
        let (outbox, events) = mpsc::unbounded_channel();
        (Self { commands, events, bell: Arc::default(), thread: None }, outbox, inbox)
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Abandon);
        self.bell.ring();
        // Not joined: this may be an async thread, and closing may take a moment. The thread owns all it uses.
        drop(self.thread.take());
    }
}

/// Kafka does not let the task read this.
fn unauthorized(what: &str) -> Error {
    Error::bad_config(format!("not authorized to read {what}: grant READ on the topics to the tenant's Kafka user"))
}

/// A partition has no offset to be read from.
fn nowhere(what: &str) -> Error {
    Error::bad_config(format!(
        "{what}, and auto.offset.reset is none; set consumer.override.auto.offset.reset to earliest or latest, or set the \
         group's offsets"
    ))
}
