//! Lanes: which writes of a task may run at the same time. A chunk (a part of a batch) starts when a lane is free and no
//! older chunk that is not done shares an order key with it. Pure.
//!
//! Order keys are folded into 256 buckets, so that comparing two chunks is four AND operations; chunks that only share a
//! bucket wait for each other needlessly, which costs a little time and never order.

use std::collections::VecDeque;

use millrace_sdk::OrderKeys;

/// What a chunk must not overtake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Chunks that share a bucket, of whatever partition
    Keys(Buckets),
    /// Only chunks of its partition that are not `Any` as well
    Any,
    /// All of its partition
    Total,
}

/// A set of buckets.
pub(super) type Buckets = [u64; 4];

/// A part of a batch that is written by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChunkPlan {
    pub(super) order: Order,
    /// Indices into the batch, in order
    pub(super) records: Vec<usize>,
}

/// What the lanes are busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Any chunk could start at once, on one of so many lanes
    Idle(usize),
    /// A chunk could start that has none of these buckets
    Some(Buckets),
    /// None could
    Full,
}

/// Splitting costs requests; a part is worth one from this many records while lanes are idle …
const WORTH_SPLITTING_IDLE: usize = 64;
/// … and from this many while all are busy anyway.
const WORTH_SPLITTING_BUSY: usize = 500;

fn bucket(hash: u64) -> usize {
    // Connectors may hash badly; the multiplication spreads what they give over the upper bits.
    (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize
}

/// Splits a batch of `len` records into chunks for at most `lanes` lanes. No order key is in two of them.
pub(super) fn plan(keys: &OrderKeys, len: usize, lanes: usize, load: Load) -> Vec<ChunkPlan> {
    let worth = if matches!(load, Load::Idle(_)) { WORTH_SPLITTING_IDLE } else { WORTH_SPLITTING_BUSY };
    let parts = (len / worth).clamp(1, lanes.max(1));
    match keys {
        OrderKeys::PerRecord(hashes) if hashes.len() == len => {
            let occupied = if let Load::Some(occupied) = load { occupied } else { [0; 4] };
            // What has to wait for others anyway is kept apart from what can go at once, and dealt out by key to as many
            // chunks as there are lanes, however few records that makes each: a key in backoff then holds up those of its
            // lane, not all.
            let mut plans: Vec<(Buckets, Vec<usize>)> = vec![([0; 4], Vec::new()); parts + lanes.max(1)];
            for (index, hash) in hashes.iter().enumerate() {
                let bucket = bucket(*hash);
                let (word, bit) = (bucket / 64, 1 << (bucket % 64));
                let waits = occupied[word] & bit != 0;
                let place = if waits { parts + bucket * lanes.max(1) / 256 } else { bucket * parts / 256 };
                let (buckets, records) = &mut plans[place];
                buckets[word] |= bit;
                records.push(index);
            }
            let used = plans.into_iter().filter(|(_, records)| !records.is_empty());
            used.map(|(buckets, records)| ChunkPlan { order: Order::Keys(buckets), records }).collect()
        }
        OrderKeys::Any => {
            // For lanes that are free now; the others will have later batches to themselves, in larger requests.
            let parts = if let Load::Idle(free) = load { parts.min(free.max(1)) } else { 1 };
            let size = len.div_ceil(parts).max(1);
            let starts = (0..len).step_by(size);
            starts
                .map(|start| ChunkPlan { order: Order::Any, records: (start..len.min(start + size)).collect() })
                .collect()
        }
        // A connector that miscounts its keys gets the safe order.
        OrderKeys::PerRecord(_) | OrderKeys::Total => {
            vec![ChunkPlan { order: Order::Total, records: (0..len).collect() }]
        }
    }
}

/// A chunk that waits or runs.
#[derive(Debug, Clone, Copy)]
struct Entry {
    ticket: u64,
    partition: u64,
    order: Order,
}

impl Entry {
    fn conflicts(&self, other: &Self) -> bool {
        match (self.order, other.order) {
            (Order::Keys(a), Order::Keys(b)) => a.iter().zip(b).any(|(a, b)| a & b != 0),
            (Order::Any, Order::Any) => false,
            _ => self.partition == other.partition,
        }
    }
}

/// The chunks of a task.
#[derive(Debug)]
pub(super) struct Lanes {
    limit: usize,
    last_ticket: u64,
    waiting: VecDeque<Entry>,
    running: Vec<Entry>,
}

impl Lanes {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), last_ticket: 0, waiting: VecDeque::new(), running: Vec::new() }
    }

    /// Whether a new chunk could start at once.
    pub(super) fn load(&self) -> Load {
        if self.running.len() >= self.limit {
            return Load::Full;
        }
        if self.waiting.is_empty() {
            return Load::Idle(self.limit - self.running.len());
        }
        let mut occupied = [0; 4];
        for entry in self.running.iter().chain(&self.waiting) {
            if let Order::Keys(buckets) = entry.order {
                occupied.iter_mut().zip(buckets).for_each(|(all, one)| *all |= one);
            }
        }
        Load::Some(occupied)
    }

    /// Queues a chunk of a partition and names it.
    pub(super) fn offer(&mut self, partition: u64, order: Order) -> u64 {
        self.last_ticket += 1;
        self.waiting.push_back(Entry { ticket: self.last_ticket, partition, order });
        self.last_ticket
    }

    /// The next chunk that may start, if any; it counts as running from here on.
    pub(super) fn next(&mut self) -> Option<u64> {
        if self.running.len() >= self.limit {
            return None;
        }
        let free = |index: &usize| {
            let entry = &self.waiting[*index];
            let older = self.running.iter().chain(self.waiting.range(..*index));
            !older.into_iter().any(|other| entry.conflicts(other))
        };
        let index = (0..self.waiting.len()).find(free)?;
        let entry = self.waiting.remove(index)?;
        self.running.push(entry);
        Some(entry.ticket)
    }

    /// A running chunk has ended.
    pub(super) fn finish(&mut self, ticket: u64) {
        self.running.retain(|entry| entry.ticket != ticket);
    }

    /// Takes back the chunks of a partition that have not started.
    pub(super) fn withdraw(&mut self, partition: u64) -> Vec<u64> {
        let withdrawn =
            self.waiting.iter().filter(|entry| entry.partition == partition).map(|entry| entry.ticket).collect();
        self.waiting.retain(|entry| entry.partition != partition);
        withdrawn
    }
}

#[cfg(test)]
mod tests;
