//! When to try again, and what: back-off with jitter, and the records that must go again so that no older value ends up over
//! a newer one. Pure, but for the random numbers.

use std::collections::HashSet;
use std::time::Duration;

/// Growing delays with jitter.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
    next: Duration,
}

impl Backoff {
    /// Delays from `first`, doubling up to `limit`.
    #[must_use]
    pub fn new(first: Duration, limit: Duration) -> Self {
        let first = first.min(limit);
        Self { first, limit, next: first }
    }

    /// Something has succeeded: start small again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next delay: between half and all of the current step, but at least what the peer asked for.
    pub fn delay(&mut self, wished: Option<Duration>) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.limit);
        let jittered = step.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        jittered.max(wished.unwrap_or_default())
    }
}

/// What binds the records of a chunk together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ties {
    /// Nothing
    None,
    /// Their order keys
    Keys(Vec<u64>),
    /// Everything
    All,
}

/// The records to send again when those at `failed` were not written: for each order key, from its first failed record on
/// all later records of the key, written or not, so that the newest value is the last one written. Without those at `bad`,
/// which can never be written. In order.
pub(super) fn to_resend(failed: &[usize], bad: &[usize], ties: &Ties, len: usize) -> Vec<usize> {
    let failed: HashSet<usize> = failed.iter().copied().collect();
    let bad: HashSet<usize> = bad.iter().copied().collect();
    let mut touched: HashSet<u64> = HashSet::new();
    let mut all = false;
    let mut again = Vec::new();
    for index in 0..len {
        let is_failed = failed.contains(&index) && !bad.contains(&index);
        let follows = match ties {
            Ties::None => false,
            Ties::Keys(keys) => touched.contains(&keys[index]),
            Ties::All => all,
        };
        if is_failed {
            all = true;
            if let Ties::Keys(keys) = ties {
                touched.insert(keys[index]);
            }
        }
        if (is_failed || follows) && !bad.contains(&index) {
            again.push(index);
        }
    }
    again
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn later_records_of_a_failed_key_go_again() {
        let keys = Ties::Keys(vec![1, 2, 1, 3, 2, 1]);
        for (failed, bad, ties, expected) in [
            (vec![0], vec![], &keys, vec![0, 2, 5]),
            (vec![2], vec![], &keys, vec![2, 5]),
            (vec![3, 1], vec![], &keys, vec![1, 3, 4]),
            (vec![0], vec![2], &keys, vec![0, 5]),
            (vec![], vec![0], &keys, vec![]),
            (vec![2], vec![], &Ties::All, vec![2, 3, 4, 5]),
            (vec![2, 4], vec![], &Ties::None, vec![2, 4]),
        ] {
            assert_eq!(to_resend(&failed, &bad, ties, 6), expected, "{failed:?} {bad:?} {ties:?}");
        }
    }

    #[test]
    fn delays_grow_to_the_limit_and_start_small_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1000));
        for step in [100, 200, 400, 800, 1000, 1000] {
            let delay = backoff.delay(None).as_millis();
            assert!((step / 2..=step).contains(&delay), "{delay} of {step}");
        }
        assert!(backoff.delay(Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        backoff.reset();
        assert!(backoff.delay(None) <= Duration::from_millis(100));
    }

    proptest! {
        /// A store that fails records at random and resends by this rule ends with the newest value of every key.
        #[test]
        fn the_newest_value_wins(
            keys in prop::collection::vec(0_u64..5, 1..40),
            luck in prop::collection::vec(any::<bool>(), 200),
            total in any::<bool>(),
        ) {
            let ties = if total { Ties::All } else { Ties::Keys(keys.clone()) };
            let mut store = std::collections::HashMap::new();
            let mut luck = luck.into_iter().chain(std::iter::repeat(true));
            let mut to_send: Vec<usize> = (0..keys.len()).collect();
            let mut rounds = 0;
            while !to_send.is_empty() {
                rounds += 1;
                let mut failed = Vec::new();
                for index in &to_send {
                    if luck.next() == Some(true) { store.insert(keys[*index], *index); } else { failed.push(*index); }
                }
                to_send = to_resend(&failed, &[], &ties, keys.len());
                prop_assert!(rounds < 1000);
            }
            for (index, key) in keys.iter().enumerate() {
                prop_assert!(store[key] >= index);
            }
        }
    }
}
