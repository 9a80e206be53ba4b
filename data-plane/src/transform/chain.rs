//! The transforms of a connector, one after the other.

use std::sync::Arc;

use millrace_sdk::{Batch, Bytes, Error, Record, SourceRecord, TimestampKind, TopicPartition};

use super::plan::{Edited, Plans};
use super::predicate::Predicate;
use super::{Side, Site, Transform};

/// A record that a transform could not handle.
#[derive(Debug)]
pub(crate) struct Rejected {
    /// Of a sink's record; the number in the batch of a source's
    pub(crate) offset: i64,
    /// The transform's Java class
    pub(crate) class: &'static str,
    pub(crate) error: Error,
}

/// A transform and the condition under which it applies.
pub(super) struct Stage {
    pub(super) transform: Box<dyn Transform>,
    pub(super) condition: Option<Condition>,
}

/// A predicate, or its opposite.
pub(super) struct Condition {
    pub(super) predicate: Box<dyn Predicate>,
    pub(super) negate: bool,
}

/// The transforms of a connector.
pub(crate) struct Chain {
    stages: Vec<Stage>,
    /// Reused from batch to batch
    selected: Vec<bool>,
    plans: Plans,
}

/// A source's records after the transforms, and those that failed.
pub(crate) struct SourceOutcome {
    pub(crate) records: Vec<SourceRecord>,
    /// The topic of the record as the source named it, the transform's class and the error
    pub(crate) rejected: Vec<(String, Rejected)>,
}

impl Chain {
    pub(super) fn new(stages: Vec<Stage>) -> Self {
        Self { stages, selected: Vec::new(), plans: Plans::default() }
    }

    /// Whether keys or values are opened for every record, so that it is best done when they are decoded.
    pub(crate) fn opens(&self, side: Side) -> bool {
        self.stages.first().is_some_and(|stage| stage.condition.is_none() && stage.transform.opens() == Some(side))
    }

    /// The side of which all transforms do no more than change members, when that is a map without a schema.
    pub(crate) fn edits(&self) -> Option<Side> {
        let side = self.stages.first()?.transform.opens()?;
        let edits = |stage: &Stage| {
            stage.condition.is_none() && stage.transform.edits() && stage.transform.opens() == Some(side)
        };
        self.stages.iter().all(edits).then_some(side)
    }

    /// Transforms the JSON of a sink's record, appending its text to `out`, when [`Chain::edits`] says that this can be done.
    /// The record itself is without it. None when it is not that simple, or fails: then the whole way has to be gone, which
    /// says what is wrong with what.
    pub(crate) fn edit(
        &mut self,
        json: &Bytes,
        record: &Record,
        origin: &TopicPartition,
        out: &mut Vec<u8>,
    ) -> Option<Edited> {
        self.plans.edit(&mut self.stages, json, record, &Site::Sink(origin), out)
    }

    /// Transforms a sink's batch in place; failed records are taken out and answered in offset order.
    pub(crate) fn apply(&mut self, batch: &mut Batch) -> Vec<Rejected> {
        let mut rejected = self.run(&mut batch.records, &Site::Sink(&batch.origin));
        rejected.sort_by_key(|one| one.offset);
        rejected
    }

    /// Transforms a source's records. Partition and timestamp of a record stay as they are.
    pub(crate) fn apply_source(&mut self, records: Vec<SourceRecord>) -> SourceOutcome {
        let partitions: Vec<Option<i32>> = records.iter().map(|record| record.partition).collect();
        let topics: Vec<String> = records.iter().map(|record| record.topic.clone()).collect();
        let mut last: Option<Arc<str>> = None;
        let mut moved: Vec<Record> = Vec::with_capacity(records.len());
        for (record, number) in records.into_iter().zip(0_i64..) {
            let topic = match &last {
                Some(topic) if **topic == *record.topic => Arc::clone(topic),
                _ => Arc::from(record.topic),
            };
            last = Some(Arc::clone(&topic));
            moved.push(Record {
                offset: number,
                timestamp_ms: record.timestamp_ms,
                timestamp_kind: TimestampKind::CreateTime,
                renamed_topic: Some(topic),
                key: record.key,
                value: record.value,
                headers: record.headers,
            });
        }
        let site = Site::Source { no_topic: Arc::from(""), partitions: &partitions };
        let mut rejected = self.run(&mut moved, &site);
        rejected.sort_by_key(|one| one.offset);
        let number = |offset: i64| usize::try_from(offset).unwrap_or(usize::MAX);
        let back = |record: Record| SourceRecord {
            topic: record.renamed_topic.as_deref().unwrap_or_default().to_owned(),
            partition: partitions.get(number(record.offset)).copied().flatten(),
            key: record.key,
            value: record.value,
            headers: record.headers,
            timestamp_ms: record.timestamp_ms,
        };
        let named = |one: Rejected| (topics.get(number(one.offset)).cloned().unwrap_or_default(), one);
        SourceOutcome {
            records: moved.into_iter().map(back).collect(),
            rejected: rejected.into_iter().map(named).collect(),
        }
    }

    fn run(&mut self, records: &mut Vec<Record>, site: &Site<'_>) -> Vec<Rejected> {
        let mut rejected = Vec::new();
        for stage in &mut self.stages {
            if records.is_empty() {
                break;
            }
            let selected = stage.condition.as_mut().map(|condition| {
                self.selected.clear();
                condition.predicate.test(records, site, &mut self.selected);
                if condition.negate {
                    self.selected.iter_mut().for_each(|one| *one = !*one);
                }
                self.selected.as_slice()
            });
            rejected.extend(stage.transform.apply(records, site, selected));
        }
        rejected
    }
}
