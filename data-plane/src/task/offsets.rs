//! How far a partition may be committed: the contiguous watermark over batches that end in any order. Pure.

use std::collections::VecDeque;

/// A batch under way.
#[derive(Debug)]
struct UnderWay {
    number: u64,
    next_offset: i64,
    parts_left: usize,
    oldest_ms: Option<i64>,
}

/// The watermark of one partition during one assignment. A batch may be written in several parts; it counts once all of
/// them, and all batches before it, are done.
#[derive(Debug, Default)]
pub struct OffsetTracker {
    under_way: VecDeque<UnderWay>,
    last_number: u64,
    watermark: Option<i64>,
    newest_done_ms: Option<i64>,
    sent: Option<i64>,
}

impl OffsetTracker {
    /// A batch whose last record has the offset `last` is about to be written in `parts` parts (at least one). Batches
    /// start in offset order. `oldest_ms` is the timestamp of its first record.
    pub fn start(&mut self, last: i64, parts: usize, oldest_ms: Option<i64>) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        self.under_way.push_back(UnderWay { number, next_offset: last + 1, parts_left: parts, oldest_ms });
        self.advance();
        number
    }

    /// A part of a batch is durable. True when it was the batch's last.
    pub fn done(&mut self, number: u64) -> bool {
        let Some(batch) = self.under_way.iter_mut().find(|batch| batch.number == number) else { return false };
        batch.parts_left = batch.parts_left.saturating_sub(1);
        let complete = batch.parts_left == 0;
        self.advance();
        complete
    }

    fn advance(&mut self) {
        while self.under_way.front().is_some_and(|batch| batch.parts_left == 0) {
            if let Some(batch) = self.under_way.pop_front() {
                self.watermark = Some(batch.next_offset);
                self.newest_done_ms = batch.oldest_ms.or(self.newest_done_ms);
            }
        }
    }

    /// The offset to go on from: everything before it is durable. None while nothing is.
    #[must_use]
    pub fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// The watermark, when it was not yet handed out by this function or the attempt to commit it has failed since.
    pub fn to_commit(&mut self) -> Option<i64> {
        if self.watermark == self.sent {
            return None;
        }
        self.sent = self.watermark;
        self.watermark
    }

    /// A commit has failed: what was handed out is to be committed again.
    pub fn commit_failed(&mut self) {
        self.sent = None;
    }

    /// The timestamp that the age of what waits is counted from.
    #[must_use]
    pub fn waiting_since_ms(&self) -> Option<i64> {
        self.under_way.front().and_then(|batch| batch.oldest_ms).or(self.newest_done_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_watermark_waits_for_the_oldest_batch() {
        let mut offsets = OffsetTracker::default();
        let first = offsets.start(9, 2, Some(1));
        let second = offsets.start(24, 1, Some(2));
        assert!(offsets.done(second));
        assert_eq!(offsets.watermark(), None);
        assert!(!offsets.done(first));
        assert_eq!(offsets.to_commit(), None);
        assert_eq!(offsets.waiting_since_ms(), Some(1));
        assert!(offsets.done(first));
        assert_eq!(offsets.to_commit(), Some(25));
        assert_eq!(offsets.to_commit(), None, "handed out once");
        offsets.commit_failed();
        assert_eq!(offsets.to_commit(), Some(25));
        assert!(!offsets.done(first), "a late word changes nothing");
    }

    proptest! {
        /// Whatever order parts end in, the watermark is the start of the first batch that is not done, and never recedes.
        #[test]
        fn everything_before_the_watermark_is_done(
            parts in prop::collection::vec(1_usize..4, 1..20),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let mut offsets = OffsetTracker::default();
            let batches: Vec<u64> = parts.iter().zip(0_i64..).map(|(n, i)| offsets.start(i * 10 + 9, *n, None)).collect();
            let mut left = parts;
            let mut before = None;
            for index in order {
                let open: Vec<usize> = (0..left.len()).filter(|i| left[*i] > 0).collect();
                if open.is_empty() {
                    break;
                }
                let chosen = open[index.index(open.len())];
                left[chosen] -= 1;
                prop_assert_eq!(offsets.done(batches[chosen]), left[chosen] == 0);
                let first_open = left.iter().position(|n| *n > 0).unwrap_or(left.len());
                let expected = (first_open > 0).then(|| i64::try_from(first_open).unwrap() * 10);
                prop_assert_eq!(offsets.watermark(), expected);
                prop_assert!(offsets.watermark() >= before);
                before = offsets.watermark();
            }
        }
    }
}
