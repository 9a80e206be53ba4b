//! Write times (`USING TIMESTAMP`): which of two writes to a row wins, whatever order they arrive in and however often.
//!
//! The peer takes the record's timestamp, in microseconds. But several updates of a key fall within one millisecond, and at
//! equal write times Cassandra keeps the larger value, or the delete. So within one timestamp the later offset must get the
//! later time, and a replay must give a record the *same* time again. Both at once, without drifting from the clock, is
//! impossible for ever: a pure function of (timestamp, offset) that increases within every millisecond drifts by a
//! microsecond per record. Ours starts over every 2^20 records:
//!
//! * `time = timestamp × 1000 + offset mod 2^20` (the *plain* time), at most 1.05 s ahead of the timestamp. It is the same in
//!   every run, after any restart, rewind or move, and increases with the offset while timestamps do not step back.
//! * At a multiple of 2^20 the plain time falls by 1.05 s. The running task knows its last time and goes on from there
//!   (*carry*) until the clock has caught up, about a second later.
//! * A task that starts within 2^18 records after such a multiple does not know that last time. It adds 2^20, which lies
//!   above everything a carry can have reached, and lets it decay as a carry does.
//!
//! So: the newest timestamp wins, as with the peer; among timestamps less than a second apart a much later offset may win;
//! among equal ones the later offset wins, whatever restarts. What remains lies next to a multiple of 2^20 and takes records
//! of one second of timestamps: more than 2^18 of them in one partition with a restart in between; a rewind from behind the
//! multiple to before it; two restarts, one before and one after the 2^18th record that follows it.
//!
//! Lanes write at the same time and out of order, hence times are given out where a partition passes in order (when the
//! order keys are asked for) and kept until the write is done.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_sdk::{Batch, Record};

/// A timestamp that steps back by more begins anew, so that one record from a clock gone wrong does not hold the carry.
const STEP_BACK_MS: i64 = 1000;

/// The plain time starts over every so many records.
const WINDOW: i64 = 1 << 20;

/// The last record whose timestamp did not step back.
#[derive(Debug, Clone, Copy)]
struct Last {
    offset: i64,
    timestamp_ms: i64,
    micros: i64,
}

/// Gives out the times of one partition, in offset order.
#[derive(Debug, Clone)]
struct Clock {
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

    /// Forgets what went before.
    fn restart(&mut self) {
        self.last = None;
    }

    /// Whether `offset` comes right after the last record.
    fn continues(&self, offset: i64) -> bool {
        self.last.is_some_and(|last| last.offset + 1 == offset)
    }

    /// The write time of the next record.
    fn next(&mut self, offset: i64, timestamp_ms: i64) -> i64 {
        let plain = plain(offset, timestamp_ms, self.window);
        let micros = match self.last {
            Some(last) if offset > last.offset && timestamp_ms >= last.timestamp_ms => {
                plain.max(last.micros.saturating_add(offset - last.offset))
            }
            Some(last) if offset > last.offset && timestamp_ms >= last.timestamp_ms.saturating_sub(STEP_BACK_MS) => {
                // Older than the newest, so it may lie below it; but what fell at the window's end is made up for.
                let carries = last.micros > self::plain(last.offset, last.timestamp_ms, self.window);
                let crossed = offset.div_euclid(self.window) > last.offset.div_euclid(self.window);
                let kept = last.micros.saturating_add(offset - last.offset);
                self.last = Some(Last { offset, timestamp_ms: last.timestamp_ms, micros: kept });
                return plain.saturating_add(if carries || crossed { self.window } else { 0 });
            }
            _ => started(offset, timestamp_ms, self.window),
        };
        self.last = Some(Last { offset, timestamp_ms, micros });
        micros
    }
}

fn plain(offset: i64, timestamp_ms: i64, window: i64) -> i64 {
    timestamp_ms.saturating_mul(1000).saturating_add(offset.rem_euclid(window))
}

/// The time of a record before which nothing is known.
fn started(offset: i64, timestamp_ms: i64, window: i64) -> i64 {
    let lifted = offset >= window && offset.rem_euclid(window) < window / 4;
    plain(offset, timestamp_ms, window).saturating_add(if lifted { window } else { 0 })
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

    /// The time of a record, as of one at a start if it was never assigned.
    pub(crate) fn of(&self, batch: &Batch, record: &Record, now_ms: i64) -> i64 {
        let partition = self.partitions.get(&(batch.origin.topic.clone(), batch.origin.partition));
        partition
            .and_then(|partition| partition.pending.get(&record.offset).copied())
            .unwrap_or_else(|| started(record.offset, record.timestamp_ms.unwrap_or(now_ms), WINDOW))
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
