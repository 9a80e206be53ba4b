//! Taking partitions over and letting them go.

use std::sync::Arc;
use std::time::Duration;

use millrace_sdk::{Error, TopicPartition};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::super::super::consumer::{self, SinkConsumer};
use super::super::partition::{Partition, Source};
use super::super::reader::Reader;
use super::super::{FetchEvent, retention};
use super::{Fetching, is};
use crate::kafka::BatchQueue;

/// Where librdkafka is sent in a partition that it is not to read: with `auto.offset.reset` none it stops there for good. (A
/// consumer whose partitions are paused sometimes never ends when it is fenced.)
const NOWHERE: Offset = Offset::Offset(1 << 62);

/// How long committed offsets are waited for, and how long it takes until they are asked for again.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);
const LOOK_UP_PAUSE: Duration = Duration::from_millis(200);

/// How long the thread asks for the bounds of a partition.
const WATERMARKS_LIMIT: Duration = Duration::from_secs(2);

impl Fetching<'_> {
    /// Takes partitions over: split first, then assigned, so that no record goes to the common queue.
    pub(super) fn assign(&mut self, partitions: Vec<(String, i32)>) -> Result<(), Error> {
        self.assignment += 1;
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        let mut origins = Vec::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            let origin = TopicPartition { topic: Arc::from(topic), partition };
            let source = match &self.reader {
                Some(reader) => {
                    // Cannot fail: the offset is an actual one.
                    let _ = list.add_partition_offset(&origin.topic, partition, NOWHERE);
                    reader.add(origin.clone(), self.assignment);
                    Source::Reader
                }
                None => {
                    list.add_partition(&origin.topic, partition);
                    let bell = Arc::clone(self.bell);
                    let queue = BatchQueue::split(&self.consumer, &origin.topic, partition, move || bell.ring());
                    let none = || Error::internal(format!("librdkafka has no queue for {origin}"));
                    Source::Queue(Box::new(queue.ok_or_else(none)?))
                }
            };
            // A partition that comes again while the old assignment still winds down is a new one.
            self.drop_partition(&origin);
            self.partitions.push(Partition::new(origin.clone(), self.assignment, source, &self.rooms));
            origins.push(origin);
        }
        self.tell(FetchEvent::Assigned { assignment: self.assignment, partitions: origins.clone() });
        consumer::take_over(&self.consumer, &list)
            .map_err(|error| Error::transient("cannot take over partitions").because(error))?;
        // Where the reader reads there is nothing to pause.
        if self.paused && self.reader.is_none() {
            self.pause_in_kafka(&list, true);
        }
        self.begin_reading(origins);
        Ok(())
    }

    /// Asks for committed offsets and tells them to the reader. librdkafka gives them only to a caller who waits.
    fn begin_reading(&mut self, origins: Vec<TopicPartition>) {
        let Some(starter) = self.reader.as_ref().map(Reader::starter) else { return };
        let (consumer, assignment, task) = (Arc::clone(&self.consumer), self.assignment, self.task.to_owned());
        self.lookups.retain(|lookup| !lookup.is_finished());
        self.lookups.push(self.runtime.spawn(async move {
            while starter.reads(assignment) {
                let (consumer, asked) = (Arc::clone(&consumer), origins.clone());
                match tokio::task::spawn_blocking(move || committed(&consumer, &asked)).await {
                    Ok(Ok(offsets)) => return starter.begin(&offsets, assignment),
                    // The coordinator moves, or the group rebalances again.
                    Ok(Err(error)) => tracing::info!(task, %error, "committed offsets are not known yet"),
                    Err(error) => tracing::warn!(task, %error, "committed offsets are not known yet"),
                }
                tokio::time::sleep(LOOK_UP_PAUSE).await;
            }
        }));
    }

    /// More partitions than the consumer's memory is laid out for get a consumer with smaller shares. It is the same static
    /// member, so that it has the same partitions without a rebalance; they are read again from what is committed.
    pub(super) fn lay_out(&mut self) -> Result<(), Error> {
        if self.reader.is_some() {
            return Ok(());
        }
        let count = self.partitions.len();
        let is_changing = !self.pending.is_empty() || self.partitions.iter().any(|partition| !partition.is_read());
        if count <= self.laid_out || is_changing {
            return Ok(());
        }
        let before = consumer::with_memory(self.settings, self.limits.budget, self.laid_out);
        self.laid_out = count.next_power_of_two();
        let settings = consumer::with_memory(self.settings, self.limits.budget, self.laid_out);
        if settings == before {
            return Ok(()); // the user's, or the least there is
        }
        tracing::debug!(
            task = self.task,
            partitions = count,
            "the consumer is made anew with smaller shares of memory"
        );
        let mut partitions = Vec::with_capacity(count);
        for mut partition in self.partitions.drain(..) {
            self.held -= partition.stop_reading().min(self.held);
            partitions.push(partition.origin);
        }
        self.tell(FetchEvent::Revoking { partitions, lost: true });
        for _ in 0..std::mem::take(&mut self.commits_out) {
            self.tell(FetchEvent::Committed(Err(KafkaError::Canceled)));
        }
        let consumer = consumer::create(&settings, self.task, self.bell)?;
        // Dropping the last trace of the old one closes it; the new one asks for its place afterwards.
        let old = std::mem::replace(&mut self.consumer, consumer);
        old.context().close();
        drop(old);
        self.subscribed.clear();
        self.subscribe()
    }

    /// A position was given up: asks where the log begins by now, to tell what is lost. Rare enough to wait for the answer.
    pub(super) fn given_up(&self, topic: String, partition: i32, offset: i64) {
        let log = match self.consumer.fetch_watermarks(&topic, partition, WATERMARKS_LIMIT) {
            Ok((start, end)) => start..end,
            Err(error) => {
                return tracing::warn!(
                    task = self.task,
                    %error,
                    "Kafka no longer has offset {offset} of {topic}-{partition}, and it is not known how much is lost"
                );
            }
        };
        let from_the_end = self.settings.property("auto.offset.reset") == Some("latest");
        if let Some(lost) = retention::lost(offset, &log, from_the_end) {
            self.tell(FetchEvent::Lost(TopicPartition { topic: Arc::from(topic), partition }, lost));
        }
    }

    /// The list's partitions that are not being read.
    pub(super) fn without_read(&self, list: &TopicPartitionList) -> TopicPartitionList {
        let mut left = TopicPartitionList::new();
        for element in list.elements() {
            let is_this = |known: &Partition| is(&known.origin, element.topic(), element.partition());
            if !self.partitions.iter().any(|known| known.is_read() && is_this(known)) {
                left.add_partition(element.topic(), element.partition());
            }
        }
        left
    }

    fn drop_partition(&mut self, origin: &TopicPartition) {
        if let Some(index) = self.partitions.iter().position(|known| known.origin == *origin) {
            let mut old = self.partitions.swap_remove(index);
            self.held -= old.stop_reading().min(self.held);
        }
    }

    /// Stops reading; the task answers with `Release` once its writes have ended.
    pub(super) fn revoke(&mut self, partitions: &[(String, i32)], lost: bool) {
        let mut origins = Vec::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            let known = self.partitions.iter().position(|known| is(&known.origin, topic, *partition));
            match known {
                Some(known) => {
                    self.stop_reading(known);
                    origins.push(self.partitions[known].origin.clone());
                }
                None => origins.push(TopicPartition { topic: Arc::from(topic.as_str()), partition: *partition }),
            }
        }
        self.unanswered = true;
        self.tell(FetchEvent::Revoking { partitions: origins, lost });
    }
}

/// The committed offset of each partition, if it has one.
fn committed(
    consumer: &SinkConsumer,
    origins: &[TopicPartition],
) -> Result<Vec<(TopicPartition, Option<i64>)>, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(origins.len());
    for origin in origins {
        list.add_partition(&origin.topic, origin.partition);
    }
    let list = consumer.committed_offsets(list, LOOK_UP_LIMIT)?;
    let mut offsets = Vec::with_capacity(origins.len());
    for element in list.elements() {
        element.error()?;
        if let Some(origin) = origins.iter().find(|origin| is(origin, element.topic(), element.partition())) {
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            offsets.push((origin.clone(), offset));
        }
    }
    Ok(offsets)
}
