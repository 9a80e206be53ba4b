//! Taking partitions over and letting them go.

use std::sync::Arc;

use millrace_sdk::{Error, TopicPartition};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::super::super::consumer;
use super::super::FetchEvent;
use super::super::partition::Partition;
use super::{Fetching, is};
use crate::kafka::BatchQueue;

impl Fetching<'_> {
    /// Takes partitions over: split first, then assigned, so that no record goes to the common queue.
    pub(super) fn assign(&mut self, partitions: Vec<(String, i32)>) -> Result<(), Error> {
        self.assignment += 1;
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        let mut origins = Vec::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add_partition(&topic, partition);
            let origin = TopicPartition { topic: Arc::from(topic), partition };
            let bell = Arc::clone(self.bell);
            let queue = BatchQueue::split(&self.consumer, &origin.topic, partition, move || bell.ring())
                .ok_or_else(|| Error::internal(format!("librdkafka has no queue for {origin}")))?;
            // A partition that comes again while the old assignment still winds down is a new one.
            self.drop_partition(&origin);
            self.partitions.push(Partition::new(origin.clone(), self.assignment, queue));
            origins.push(origin);
        }
        self.tell(FetchEvent::Assigned { assignment: self.assignment, partitions: origins });
        consumer::take_over(&self.consumer, &list)
            .map_err(|error| Error::transient("cannot take over partitions").because(error))?;
        if self.paused {
            self.pause_in_kafka(&list, true);
        }
        Ok(())
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
            let known = self.partitions.iter_mut().find(|known| is(&known.origin, topic, *partition));
            match known {
                Some(known) => {
                    self.held -= known.stop_reading().min(self.held);
                    origins.push(known.origin.clone());
                }
                None => origins.push(TopicPartition { topic: Arc::from(topic.as_str()), partition: *partition }),
            }
        }
        self.tell(FetchEvent::Revoking { partitions: origins, lost });
    }
}
