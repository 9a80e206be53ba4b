//! The loop of the poll thread.

mod closing;
mod rebalance;
mod topics;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use millrace_sdk::{Error, ErrorKind, TopicPartition};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::super::batch::Rooms;
use super::super::consumer::{self, Bell, Note, SinkConsumer};
use super::ledger::{Ledger, Returned};
use super::partition::{Partition, Reading};
use super::reader::Reader;
use super::{Command, FetchEvent, KEPT, Limits, Offsets, Subscription, nowhere, unauthorized};
use crate::framework::Fetch;
use crate::kafka::ClientSettings;

/// How long the thread sleeps when nothing rings.
const IDLE: Duration = Duration::from_millis(500);
/// How long a commit may take before partitions are given back without it.
const COMMIT_LIMIT: Duration = Duration::from_secs(5);
/// How long the task waits for the answer to its last commit; afterwards only this thread does.
const LAST_COMMIT_LIMIT: Duration = Duration::from_secs(1);

/// Partitions to give back, or the end, once outstanding commits are answered.
enum Pending {
    Unassign(TopicPartitionList),
    Close,
}

struct Fetching<'a> {
    task: &'a str,
    settings: &'a ClientSettings,
    consumer: Arc<SinkConsumer>,
    /// How many partitions the consumer's memory is laid out for
    laid_out: usize,
    subscription: Subscription,
    limits: Limits,
    bell: &'a Arc<Bell>,
    ledger: Arc<Ledger>,
    /// Who reads the partitions, unless their queues in librdkafka are read here
    reader: Option<Reader>,
    events: &'a UnboundedSender<FetchEvent>,
    partitions: Vec<Partition>,
    rooms: Arc<Rooms>,
    /// When a batch was last handed on whose room is worth keeping
    large: Option<Instant>,
    assignment: u64,
    /// Bytes in growing batches and batches that are out
    held: usize,
    /// Whose turn it is to read first
    turn: usize,
    paused: bool,
    runtime: Handle,
    commits: Vec<JoinHandle<()>>,
    /// Questions for committed offsets
    lookups: Vec<JoinHandle<()>>,
    commits_out: usize,
    pending: Vec<(Pending, Instant)>,
    /// Whether librdkafka waits for partitions to be given back
    unanswered: bool,
    next_look_up: Option<Instant>,
    subscribed: BTreeSet<String>,
    trouble: bool,
}

/// The thread's body.
#[allow(clippy::too_many_arguments)] // the thread's whole world, moved in once
pub(super) fn run(
    task: &str,
    settings: &ClientSettings,
    subscription: Subscription,
    limits: Limits,
    fetch: Fetch,
    paused: bool,
    runtime: &Handle,
    bell: &Arc<Bell>,
    inbox: &Receiver<Command>,
    events: &UnboundedSender<FetchEvent>,
) {
    let laid_out = consumer::USUAL_PARTITIONS;
    let reader = match fetch {
        Fetch::Direct => Reader::start(settings, &limits, paused, runtime, bell, events),
        Fetch::Librdkafka => None,
    };
    let first = match &reader {
        Some(_) => settings.clone().with("auto.offset.reset", "error"),
        None => consumer::with_memory(settings, limits.budget, laid_out),
    };
    let consumer = match consumer::create(&first, task, bell) {
        Ok(consumer) => consumer,
        Err(error) => return drop(events.send(FetchEvent::Ended(Some(error)))),
    };
    let ring = Arc::clone(bell);
    let mut fetching = Fetching {
        task,
        settings,
        consumer,
        laid_out,
        subscription,
        limits,
        bell,
        ledger: Ledger::new(move || ring.ring()),
        reader,
        events,
        partitions: Vec::new(),
        rooms: Arc::default(),
        large: None,
        assignment: 0,
        held: 0,
        turn: 0,
        paused,
        runtime: runtime.clone(),
        commits: Vec::new(),
        lookups: Vec::new(),
        commits_out: 0,
        pending: Vec::new(),
        unanswered: false,
        next_look_up: None,
        subscribed: BTreeSet::new(),
        trouble: false,
    };
    let outcome = fetching.subscribe().and_then(|()| fetching.work(inbox));
    fetching.close(outcome);
}

impl Fetching<'_> {
    fn work(&mut self, inbox: &Receiver<Command>) -> Result<(), Error> {
        loop {
            self.serve_consumer()?;
            if let Some(failure) = self.reader.as_ref().and_then(Reader::failure) {
                return Err(failure);
            }
            self.lay_out()?;
            loop {
                match inbox.try_recv() {
                    Ok(Command::Abandon) | Err(TryRecvError::Disconnected) => return Ok(()),
                    Ok(command) => self.obey(command),
                    Err(TryRecvError::Empty) => break,
                }
            }
            if self.finish_pending() {
                return Ok(());
            }
            self.take_back();
            let more = self.read()?;
            self.look_up_topics();
            if !more {
                // Batches may come back long after the last one was handed on, as when a store has stood still.
                if self.large.is_none_or(|since| since.elapsed() > KEPT) {
                    self.rooms.clear();
                }
                self.bell.wait(self.idle());
            }
        }
    }

    /// How long there is nothing to do, if nothing rings.
    fn idle(&self) -> Duration {
        let due = self.partitions.iter().filter(|_| !self.paused).filter_map(Partition::due).min();
        due.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()).min(IDLE))
    }

    fn tell(&self, event: FetchEvent) {
        // A task that is gone drops its inbox too, which ends the loop.
        let _ = self.events.send(event);
    }

    fn subscribe(&mut self) -> Result<(), Error> {
        match &self.subscription {
            Subscription::Topics(topics) => {
                let names: Vec<&str> = topics.iter().map(String::as_str).collect();
                self.consumer.subscribe(&names).map_err(|error| {
                    Error::bad_config(format!("cannot subscribe to {}", names.join(", "))).because(error)
                })
            }
            Subscription::Pattern(_) => {
                self.next_look_up = Some(Instant::now());
                Ok(())
            }
        }
    }

    /// Serves callbacks and errors until there are none left.
    fn serve_consumer(&mut self) -> Result<(), Error> {
        let consumer = Arc::clone(&self.consumer);
        loop {
            match consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => self.stray(&message)?,
                Some(Err(error)) => self.on_error(&error)?,
                None if consumer.context().was_told() => {
                    for note in consumer.context().take() {
                        self.on_note(note)?;
                    }
                }
                None => return Ok(()),
            }
        }
    }

    /// A record that came by the common queue although its partition is split off. It must not be lost, since the
    /// partition's position has moved past it.
    fn stray(&mut self, message: &rdkafka::message::BorrowedMessage<'_>) -> Result<(), Error> {
        let known = self.partitions.iter_mut().find(|partition| {
            partition.is_read()
                && &*partition.origin.topic == message.topic()
                && partition.origin.partition == message.partition()
        });
        if self.reader.is_some() {
            return Ok(()); // the reader reads it
        }
        let Some(partition) = known else {
            return Err(Error::internal(format!(
                "a record of {}-{} came without an assignment",
                message.topic(),
                message.partition()
            )));
        };
        let before = partition.growing_bytes();
        partition.push(message);
        self.held += partition.growing_bytes() - before;
        Ok(())
    }

    fn on_error(&mut self, error: &KafkaError) -> Result<(), Error> {
        let code = match error {
            KafkaError::PartitionEOF(_) => return Ok(()),
            KafkaError::MessageConsumptionFatal(_) => return Err(self.fatal(error)),
            other => other.rdkafka_error_code(),
        };
        match code {
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                self.next_look_up.get_or_insert_with(Instant::now);
                Ok(())
            }
            Some(Code::Fatal | Code::FencedInstanceId) => Err(self.fatal(error)),
            Some(Code::TopicAuthorizationFailed) => Err(unauthorized("a topic")),
            Some(Code::GroupAuthorizationFailed) => Err(Error::bad_config(
                "not authorized to use the consumer group: grant READ on the group to the tenant's Kafka user",
            )),
            // It was sent nowhere, see `NOWHERE`.
            Some(Code::AutoOffsetReset) if self.reader.is_some() => Ok(()),
            Some(Code::AutoOffsetReset | Code::NoOffset) => {
                Err(nowhere(&format!("a partition has no committed offset, or one that Kafka no longer has ({error})")))
            }
            // One broker of several, or an idle connection that was closed: librdkafka reconnects. That all are down is
            // a note already.
            Some(Code::BrokerTransportFailure | Code::AllBrokersDown) => {
                tracing::debug!(%error, "connection to a broker lost");
                Ok(())
            }
            _ => {
                // Everything else passes by itself: librdkafka reconnects, rejoins, fetches again.
                self.trouble = true;
                let text = Some(consumer::trouble(error, &error.to_string()));
                self.tell(FetchEvent::Remark { subject: "kafka", text });
                Ok(())
            }
        }
    }

    /// librdkafka cannot go on with this client.
    fn fatal(&self, error: &KafkaError) -> Error {
        let (code, text) = match self.consumer.client().fatal_error() {
            Some((code, text)) => (code, text),
            None => (error.rdkafka_error_code().unwrap_or(Code::Fatal), error.to_string()),
        };
        let kind = match code {
            Code::FencedInstanceId | Code::IllegalGeneration | Code::UnknownMemberId => ErrorKind::Fenced,
            _ => ErrorKind::TRANSIENT,
        };
        Error::new(kind, format!("Kafka has ended this group member: {text}"))
    }

    fn on_note(&mut self, note: Note) -> Result<(), Error> {
        match note {
            Note::Assign(partitions) => self.assign(partitions)?,
            Note::Revoke { partitions, lost } => self.revoke(&partitions, lost),
            Note::Committed(result) => {
                self.commits_out = self.commits_out.saturating_sub(1);
                if let Err(KafkaError::ConsumerCommit(Code::FencedInstanceId)) = &result {
                    return Err(Error::new(
                        ErrorKind::Fenced,
                        "another member has taken this task's place in the group",
                    ));
                }
                self.tell(FetchEvent::Committed(result));
            }
            Note::Statistics { ends, connected } => {
                if connected && std::mem::take(&mut self.trouble) {
                    self.tell(FetchEvent::Remark { subject: "kafka", text: None });
                }
                if self.reader.is_some() {
                    return Ok(()); // it has newer ones
                }
                let ends = ends.into_iter().filter_map(|(topic, partition, end)| {
                    let known = self.partitions.iter().find(|known| is(&known.origin, &topic, partition))?;
                    Some((known.origin.clone(), end))
                });
                let ends = ends.collect();
                self.tell(FetchEvent::Ends(ends));
            }
            Note::GivenUp { topic, partition, offset } => self.given_up(topic, partition, offset),
            Note::Refused(error) => self.on_error(&error)?,
            Note::Trouble { vague: true, .. } if self.trouble => {}
            Note::Trouble { text, .. } => {
                self.trouble = true;
                self.tell(FetchEvent::Remark { subject: "kafka", text: Some(text) });
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Commit(offsets) => self.commit(&offsets),
            Command::Release { partitions, offsets } => {
                self.commit(&offsets);
                let mut list = TopicPartitionList::with_capacity(partitions.len());
                for origin in &partitions {
                    list.add_partition(&origin.topic, origin.partition);
                }
                self.pending.push((Pending::Unassign(list), Instant::now() + COMMIT_LIMIT));
            }
            Command::Close(offsets) => {
                for index in 0..self.partitions.len() {
                    self.stop_reading(index);
                }
                // From now on a rebalance is answered at once, by taking nothing and giving back what is asked for.
                self.consumer.context().close();
                self.commit(&offsets);
                self.pending.push((Pending::Close, Instant::now() + LAST_COMMIT_LIMIT));
            }
            Command::Pause(paused) if self.reader.is_some() => {
                self.paused = paused;
                self.reader.iter().for_each(|reader| reader.pause(paused));
            }
            Command::Pause(paused) => {
                self.paused = paused;
                let mut list = TopicPartitionList::new();
                for partition in &self.partitions {
                    list.add_partition(&partition.origin.topic, partition.origin.partition);
                }
                self.pause_in_kafka(&list, paused);
            }
            // Handled by the loop.
            Command::Abandon => {}
        }
    }

    /// Ends the reading of a partition; what is dropped with it is read again by whoever comes next.
    fn stop_reading(&mut self, index: usize) {
        let partition = &mut self.partitions[index];
        self.held -= partition.stop_reading().min(self.held);
        self.reader.iter().for_each(|reader| reader.stop(&partition.origin));
    }

    /// Batches that have come back make room.
    fn take_back(&mut self) {
        for Returned { origin, assignment, bytes } in self.ledger.take() {
            self.held -= bytes.min(self.held);
            let known = self.partitions.iter_mut().find(|p| p.origin == origin && p.assignment == assignment);
            if let Some(partition) = known {
                partition.done();
            }
        }
    }

    fn pause_in_kafka(&self, list: &TopicPartitionList, paused: bool) {
        let result = if paused { self.consumer.pause(list) } else { self.consumer.resume(list) };
        if let Err(error) = result {
            tracing::warn!(%error, paused, "cannot pause or resume partitions");
        }
    }

    /// Sends a commit; the answer comes as a note.
    fn commit(&mut self, offsets: &Offsets) {
        if offsets.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (origin, offset) in offsets {
            // Cannot fail: the offset is an actual one.
            let _ = list.add_partition_offset(&origin.topic, origin.partition, Offset::Offset(*offset));
        }
        // librdkafka answers a commit only to a caller who waits for it, and this thread does not wait.
        self.commits_out += 1;
        let (consumer, bell) = (Arc::clone(&self.consumer), Arc::clone(self.bell));
        self.commits.retain(|commit| !commit.is_finished());
        self.commits.push(self.runtime.spawn_blocking(move || {
            let result = consumer.commit(&list, CommitMode::Sync);
            consumer.context().add(Note::Committed(result));
            bell.ring();
        }));
    }

    /// Gives back what is ready for it. True when the thread is to end.
    fn finish_pending(&mut self) -> bool {
        let now = Instant::now();
        let commits_out = self.commits_out;
        let due = |until: &Instant| commits_out == 0 || now >= *until;
        let (ready, waiting) = std::mem::take(&mut self.pending).into_iter().partition(|(_, until)| due(until));
        self.pending = waiting;
        let ready: Vec<(Pending, Instant)> = ready;
        for (pending, _) in ready {
            match pending {
                Pending::Close => return true,
                Pending::Unassign(list) => {
                    self.partitions.retain(|known| {
                        known.is_read() || list.find_partition(&known.origin.topic, known.origin.partition).is_none()
                    });
                    self.unanswered = false;
                    // What has been taken over again meanwhile stays.
                    let list = self.without_read(&list);
                    if list.count() > 0
                        && let Err(error) = consumer::give_back(&self.consumer, &list)
                    {
                        tracing::warn!(%error, "cannot give back partitions");
                    }
                }
            }
        }
        false
    }

    /// Reads all partitions as far as there is room. True when it should be called again at once.
    fn read(&mut self) -> Result<bool, Error> {
        if self.paused || self.partitions.is_empty() || self.reader.is_some() {
            return Ok(false);
        }
        let (mut more, mut ready) = (false, Vec::new());
        self.turn = (self.turn + 1) % self.partitions.len();
        for step in 0..self.partitions.len() {
            let index = (self.turn + step) % self.partitions.len();
            let room = self.limits.budget.saturating_sub(self.held);
            let partition = &mut self.partitions[index];
            let before = partition.growing_bytes();
            let reading = partition.read(&self.limits, room);
            self.held += partition.growing_bytes() - before;
            if let Some(batch) = partition.take(&self.limits, &self.ledger) {
                // A full batch that could be sent on means that there may be more in the queue.
                more |= matches!(reading, Reading::Full);
                if batch.is_large() {
                    self.large = Some(Instant::now());
                }
                ready.push(FetchEvent::Batch { assignment: partition.assignment, batch });
            }
            if let Reading::Error(error) = reading {
                self.on_error(&error)?;
                more = true;
            }
        }
        // One after the other: the task is woken once, not per batch.
        ready.into_iter().for_each(|event| self.tell(event));
        Ok(more)
    }
}

fn is(origin: &TopicPartition, topic: &str, partition: i32) -> bool {
    &*origin.topic == topic && origin.partition == partition
}
