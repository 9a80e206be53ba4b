//! Write times (`USING TIMESTAMP`): which of two writes to a row wins, whatever order they arrive in and however often.
//!
//! The peer takes the record's timestamp, in microseconds. But several updates of a key fall within one millisecond, and at
//! equal write times Cassandra keeps the larger value, or the delete. So records must get *strictly increasing* times in
//! offset order, and a replay from a committed offset must never end below what was written before it:
//!
//! * A record that begins a new millisecond gets `timestamp × 1000`, exactly the peer's. Each later record that would not
//!   exceed its predecessor gets the predecessor's time plus the distance of their offsets (*the chain*), which may run
//!   past the millisecond; later records then go on from there until the clock has caught up.
//! * After a start, a rewind or a gap in offsets nothing is known of the records before, some of which may share the
//!   millisecond. No pure function of (timestamp, offset) helps: one that increases within every millisecond has to drift
//!   by a microsecond per record for ever. So the first record gets the *ceiling*, `timestamp × 1000 + offset mod 2^20`:
//!   a chain that began at offset `j` has reached at most `timestamp × 1000 + (offset − j)`, and one that began at a
//!   ceiling exactly the ceiling, so that no earlier write lies above. Just after a multiple of 2^20 the remainder is small
//!   though chains may have begun before it; there (the first quarter) 2^20 is added.
//!
//! What follows: a replay writes at the same or a later time, never below; within one run offset order wins among equal
//! timestamps and among timestamps that step back by up to [`JITTER_MS`]; a larger step back starts a new chain, that is,
//! then the newest *timestamp* wins, as with the peer (so that one record from a clock gone wrong does not push a whole
//! partition into the future). Write times run ahead of the record's timestamp by 1.3 s at most (plus a microsecond per
//! record of the same millisecond), and only after a start. The one remaining window: a restart in the middle of more than
//! 2^18 records of one partition whose timestamps lie within about a second, beyond a multiple of 2^20.
//!
//! Lanes write at the same time and out of order, hence times are given out where a partition passes in order (when the
//! order keys are asked for) and kept until the write is done.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_sdk::{Batch, Record};

/// A timestamp that steps back by no more than this counts as jitter: the later offset wins.
pub(crate) const JITTER_MS: i64 = 1000;

/// 2^20 µs: how far a ceiling may lie above the timestamp.
const WINDOW: i64 = 1 << 20;

/// The last record that got a time.
#[derive(Debug, Clone, Copy)]
struct Last {
    offset: i64,
    timestamp_ms: i64,
    micros: i64,
}

/// Gives out the times of one partition, in offset order.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    last: Option<Last>,
    window: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { last: None, window: WINDOW }
    }
}

impl Clock {
    #[cfg(test)]
    fn with_window(window: i64) -> Self {
        Self { last: None, window }
    }

    /// Forgets what went before: the next record begins at the ceiling.
    fn restart(&mut self) {
        self.last = None;
    }

    /// Whether `offset` comes right after the last record.
    fn continues(&self, offset: i64) -> bool {
        self.last.is_some_and(|last| last.offset + 1 == offset)
    }

    /// The write time of the next record.
    fn next(&mut self, offset: i64, timestamp_ms: i64) -> i64 {
        let (timestamp_ms, micros) = match self.last {
            Some(last) if offset > last.offset && timestamp_ms >= last.timestamp_ms.saturating_sub(JITTER_MS) => {
                let chained = last.micros.saturating_add(offset - last.offset);
                (timestamp_ms.max(last.timestamp_ms), chained.max(timestamp_ms.saturating_mul(1000)))
            }
            _ => (timestamp_ms, self.ceiling(offset, timestamp_ms)),
        };
        self.last = Some(Last { offset, timestamp_ms, micros });
        micros
    }

    fn ceiling(&self, offset: i64, timestamp_ms: i64) -> i64 {
        ceiling(offset, timestamp_ms, self.window)
    }
}

fn ceiling(offset: i64, timestamp_ms: i64, window: i64) -> i64 {
    let remainder = offset.rem_euclid(window);
    let lift = if remainder < window / 4 { window } else { 0 };
    timestamp_ms.saturating_mul(1000).saturating_add(remainder + lift)
}

#[derive(Debug, Default)]
struct Partition {
    clock: Clock,
    /// Times of records that are not written yet, by offset
    pending: HashMap<i64, i64>,
}

/// The clocks of a task's partitions.
#[derive(Debug, Default)]
pub(crate) struct WriteTimes {
    partitions: HashMap<(Arc<str>, i32), Partition>,
}

impl WriteTimes {
    /// Gives each record of a whole batch its time. `now_ms` stands in for a record without a timestamp.
    pub(crate) fn assign(&mut self, batch: &Batch, now_ms: i64) {
        let Some(first) = batch.records.first() else { return };
        let partition = self.partition(batch);
        if !partition.clock.continues(first.offset) {
            // Pending times stay: a lane may still be at work on records before the gap. A replay replaces them.
            partition.clock.restart();
        }
        for record in &batch.records {
            let micros = partition.clock.next(record.offset, record.timestamp_ms.unwrap_or(now_ms));
            partition.pending.insert(record.offset, micros);
        }
    }

    /// The time of a record; the ceiling for one that was never assigned.
    pub(crate) fn of(&self, batch: &Batch, record: &Record, now_ms: i64) -> i64 {
        let partition = self.partitions.get(&(batch.origin.topic.clone(), batch.origin.partition));
        partition
            .and_then(|partition| partition.pending.get(&record.offset).copied())
            .unwrap_or_else(|| ceiling(record.offset, record.timestamp_ms.unwrap_or(now_ms), WINDOW))
    }

    /// Forgets the times of records that are written, or never will be.
    pub(crate) fn done(&mut self, batch: &Batch, offsets: impl Iterator<Item = i64>) {
        let partition = self.partition(batch);
        for offset in offsets {
            partition.pending.remove(&offset);
        }
    }

    fn partition(&mut self, batch: &Batch) -> &mut Partition {
        self.partitions.entry((batch.origin.topic.clone(), batch.origin.partition)).or_default()
    }
}

#[cfg(test)]
mod tests;
