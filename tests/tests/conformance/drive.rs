//! Drives a sink task as the data plane does: order keys once per batch, lanes that share no key at the same time, and what
//! is transient again, in order per key. A small model of its own, so that the data plane's is not tested by itself.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use millrace_sdk::{Batch, Datum, Error, ErrorKind, OrderKeys, Record, SinkTask, TimestampKind, TopicPartition};

use crate::stand::{SinkStand, State, TOPIC, value};

const LANES: u64 = 4;
/// Longer than any healthy store takes for a batch of the suite.
const PATIENCE: Duration = Duration::from_secs(30);

/// Updates and deletions in the order they were made, and what must come of them.
pub(crate) struct Log<'a> {
    stand: &'a dyn SinkStand,
    offset: i64,
    pub(crate) expected: State,
}

impl<'a> Log<'a> {
    pub(crate) fn new(stand: &'a dyn SinkStand) -> Self {
        Self { stand, offset: 0, expected: State::new() }
    }

    /// A record of one's own making, of which nothing is expected.
    pub(crate) fn record(&mut self, key: Datum, value: Datum) -> Record {
        self.offset += 1;
        Record {
            offset: self.offset,
            // Several records share a millisecond, across batches too.
            timestamp_ms: Some(1_795_256_130_000 + self.offset / 7),
            timestamp_kind: TimestampKind::CreateTime,
            renamed_topic: None,
            key,
            value,
            headers: Vec::new(),
        }
    }

    /// An update with a text of its own.
    pub(crate) fn update(&mut self, key: &str, body: &str) -> Record {
        let record = self.record(self.stand.key(key), Datum::Null);
        self.expected.insert(key.to_owned(), (record.offset, body.len()));
        let value = value(key, record.offset, body);
        Record { value, ..record }
    }

    /// Updates of many keys, one each.
    pub(crate) fn updates(&mut self, prefix: &str, count: usize, body: &str) -> Vec<Record> {
        (0..count).map(|number| self.update(&format!("{prefix}-{number}"), body)).collect()
    }

    pub(crate) fn deletion(&mut self, key: &str) -> Record {
        if self.stand.deletes() {
            self.expected.remove(key);
        }
        self.record(self.stand.key(key), Datum::Null)
    }

    /// Updates and deletions over few keys, mixed the same way each time.
    pub(crate) fn mixed(&mut self, keys: u64, count: usize) -> Vec<Record> {
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64 ^ self.offset.unsigned_abs();
        let mut random = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        (0..count)
            .map(|_| {
                let key = format!("k{}", random(keys));
                if random(12) == 0 { self.deletion(&key) } else { self.update(&key, "mixed é ✓ \"\n") }
            })
            .collect()
    }
}

pub(crate) fn batch(records: Vec<Record>) -> Batch {
    Batch { origin: TopicPartition { topic: TOPIC.into(), partition: 0 }, records }
}

/// Writes a batch until all of it is settled; the answer names what can never be written.
pub(crate) async fn deliver(task: &dyn SinkTask, batch: &Batch) -> Vec<(usize, Error)> {
    let keys = task.order_keys(batch);
    let mut lanes: Vec<Vec<usize>> = match &keys {
        OrderKeys::PerRecord(hashes) => {
            assert_eq!(hashes.len(), batch.records.len(), "one order key per record");
            let lane = |lane| (0..batch.records.len()).filter(|index| hashes[*index] % LANES == lane).collect();
            (0..LANES).map(lane).collect()
        }
        OrderKeys::Any => (0..batch.records.len()).collect::<Vec<_>>().chunks(64).map(<[usize]>::to_vec).collect(),
        OrderKeys::Total => vec![(0..batch.records.len()).collect()],
    };
    lanes.retain(|lane| !lane.is_empty());
    let refused = join_all(lanes.into_iter().map(|lane| settle(task, batch, &keys, lane))).await;
    let mut refused: Vec<(usize, Error)> = refused.into_iter().flatten().collect();
    refused.sort_by_key(|(index, _)| *index);
    refused
}

async fn settle(task: &dyn SinkTask, whole: &Batch, keys: &OrderKeys, mut open: Vec<usize>) -> Vec<(usize, Error)> {
    let deadline = Instant::now() + PATIENCE;
    let mut refused = Vec::new();
    while !open.is_empty() {
        let part = batch(open.iter().map(|index| whole.records[*index].clone()).collect());
        let last = match task.write(&part).await {
            Err(error) => error,
            Ok(mut report) => {
                let mut again = HashSet::new();
                let mut last = None;
                for failure in report.failures.drain(..) {
                    match failure.error.kind() {
                        ErrorKind::BadRecord => refused.push((open[failure.index], failure.error)),
                        _ => {
                            again.insert(open[failure.index]);
                            last = Some(failure.error);
                        }
                    }
                }
                open = resend(&open, &again, keys);
                open.retain(|index| !refused.iter().any(|(other, _)| other == index));
                match last {
                    None => break,
                    Some(error) => error,
                }
            }
        };
        assert!(is_transient(&last), "a {} error of a whole batch: {}", last.kind().name(), last.chain());
        assert!(Instant::now() < deadline, "still transient after {PATIENCE:?}: {}", last.chain());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    refused
}

/// What goes again: from the first failed record of a key on all of that key.
fn resend(open: &[usize], failed: &HashSet<usize>, keys: &OrderKeys) -> Vec<usize> {
    let mut touched = HashSet::new();
    let mut any = false;
    let mut again = Vec::new();
    for index in open {
        let bound = match keys {
            OrderKeys::PerRecord(hashes) => touched.contains(&hashes[*index]),
            OrderKeys::Any => false,
            OrderKeys::Total => any,
        };
        if failed.contains(index) {
            any = true;
            if let OrderKeys::PerRecord(hashes) = keys {
                touched.insert(hashes[*index]);
            }
        }
        if bound || failed.contains(index) {
            again.push(*index);
        }
    }
    again
}

pub(crate) fn is_transient(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Transient { .. })
}

/// The errors of one attempt to write, whole or per record.
pub(crate) async fn attempt(task: &dyn SinkTask, batch: &Batch) -> Vec<Error> {
    task.order_keys(batch);
    match task.write(batch).await {
        Ok(report) => report.failures.into_iter().map(|failure| failure.error).collect(),
        Err(error) => vec![error],
    }
}
