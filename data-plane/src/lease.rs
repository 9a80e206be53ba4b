//! The lease: until when a worker may act without hearing from the control plane. It counts from the moment a report was
//! *sent*, never from when its acknowledgement came back, so that a slow network only ever shortens it. Monotonic clock.
//!
//! Pure: whoever uses the clock says what time it is. What happens when a lease ends is decided in `worker.rs` (tasks without
//! a fence of their own stop, the others run on headless) and by each source loop before it produces.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How many reports may wait for their acknowledgement; older ones are forgotten, which is safe.
const MAX_UNACKNOWLEDGED: usize = 64;

/// Whether the worker may act as if its assignment were current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// The control plane was heard. Ask [`LeaseState::is_live`] before acting: a process that was frozen wakes up with an
    /// old value in its hands.
    Live {
        /// When this ends unless renewed
        until: Instant,
    },
    /// Nothing was heard for a whole lease (or ever)
    Headless,
}

impl LeaseState {
    /// Whether the lease still holds at `now`.
    #[must_use]
    pub fn is_live(self, now: Instant) -> bool {
        matches!(self, Self::Live { until } if now < until)
    }
}

/// Keeps the send times of reports and the end of the lease.
#[derive(Debug)]
pub struct LeaseClock {
    lease: Duration,
    sent: VecDeque<(u64, Instant)>,
    until: Option<Instant>,
}

impl LeaseClock {
    /// A clock that has never been acknowledged: headless.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self { lease, sent: VecDeque::new(), until: None }
    }

    /// The control plane's word on the length; a lease that is running keeps its end.
    pub fn set_length(&mut self, lease: Duration) {
        self.lease = lease;
    }

    /// A new stream: acknowledgements of the old one can no longer come. What was granted stays granted.
    pub fn reconnected(&mut self) {
        self.sent.clear();
    }

    /// A report is about to be sent.
    pub fn sending(&mut self, sequence: u64, now: Instant) {
        if self.sent.len() == MAX_UNACKNOWLEDGED {
            self.sent.pop_front();
        }
        self.sent.push_back((sequence, now));
    }

    /// A report was acknowledged; so are all before it. Unknown sequences change nothing.
    pub fn acknowledged(&mut self, sequence: u64) {
        let Some(&(_, sent_at)) = self.sent.iter().find(|(known, _)| *known == sequence) else { return };
        while self.sent.front().is_some_and(|(known, _)| *known <= sequence) {
            self.sent.pop_front();
        }
        let until = sent_at + self.lease;
        self.until = Some(self.until.map_or(until, |before| before.max(until)));
    }

    /// When the lease ends; None when it never began.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// The state at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> LeaseState {
        match self.until {
            Some(until) if now < until => LeaseState::Live { until },
            _ => LeaseState::Headless,
        }
    }
}

/// Publishes a state: waiting readers wake up only when it turns from live to headless or back, while the end of a running
/// lease moves silently, so that a thousand idle tasks do not wake up once a second.
pub fn publish(sender: &watch::Sender<LeaseState>, state: LeaseState, now: Instant) {
    sender.send_if_modified(|current| {
        // A reader may have seen that the old end has passed, before anybody published it.
        let lapsed = matches!(current, LeaseState::Live { .. }) && !current.is_live(now);
        let turned = lapsed || matches!(current, LeaseState::Live { .. }) != matches!(state, LeaseState::Live { .. });
        *current = state;
        turned
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(4);

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_lease_counts_from_the_sending_of_the_newest_acknowledged_report() {
        let start = Instant::now();
        let mut clock = LeaseClock::new(LEASE);
        assert_eq!(clock.state(start), LeaseState::Headless);
        clock.sending(1, start);
        clock.sending(2, after(start, 1000));
        assert_eq!(clock.state(after(start, 1500)), LeaseState::Headless, "sending grants nothing");
        clock.acknowledged(2); // however late this is called
        assert_eq!(clock.until(), Some(after(start, 5000)));
        assert!(clock.state(after(start, 4999)).is_live(after(start, 4999)));
        assert_eq!(clock.state(after(start, 5000)), LeaseState::Headless);
    }

    #[test]
    fn late_unknown_and_repeated_acknowledgements_never_extend_or_shorten_it() {
        let start = Instant::now();
        let mut clock = LeaseClock::new(LEASE);
        for sequence in 1..=3 {
            clock.sending(sequence, after(start, sequence * 1000));
        }
        clock.acknowledged(3);
        let until = clock.until();
        for sequence in [1, 2, 3, 99] {
            clock.acknowledged(sequence);
            assert_eq!(clock.until(), until);
        }
        clock.set_length(Duration::from_secs(1));
        clock.sending(4, after(start, 3100));
        clock.acknowledged(4);
        assert_eq!(clock.until(), until, "a shorter lease does not take back what was granted");
    }

    #[test]
    fn a_reconnect_keeps_the_lease_and_forgets_what_was_on_the_wire() {
        let start = Instant::now();
        let mut clock = LeaseClock::new(LEASE);
        clock.sending(1, start);
        clock.acknowledged(1);
        clock.sending(2, after(start, 1000));
        clock.reconnected();
        clock.acknowledged(2);
        assert_eq!(clock.until(), Some(after(start, 4000)));
    }

    #[test]
    fn only_the_last_reports_are_remembered() {
        let start = Instant::now();
        let mut clock = LeaseClock::new(LEASE);
        for sequence in 0..200 {
            clock.sending(sequence, after(start, sequence));
        }
        assert_eq!(clock.sent.len(), MAX_UNACKNOWLEDGED);
        clock.acknowledged(0);
        assert_eq!(clock.until(), None);
        clock.acknowledged(199);
        assert_eq!(clock.until(), Some(after(start, 4199)));
    }

    #[test]
    fn readers_wake_up_only_when_the_state_turns() {
        let start = Instant::now();
        let (sender, mut reader) = watch::channel(LeaseState::Headless);
        publish(&sender, LeaseState::Live { until: after(start, 1) }, start);
        assert!(reader.has_changed().unwrap());
        reader.mark_unchanged();
        publish(&sender, LeaseState::Live { until: after(start, 1000) }, start);
        assert!(!reader.has_changed().unwrap());
        assert!(reader.borrow().is_live(after(start, 999)), "the new end is seen all the same");
        assert!(!reader.borrow().is_live(after(start, 1000)), "a thawed process sees that its time is over");
        publish(&sender, LeaseState::Headless, start);
        assert!(reader.has_changed().unwrap());
        publish(&sender, LeaseState::Live { until: after(start, 2000) }, start);
        reader.mark_unchanged();
        publish(&sender, LeaseState::Live { until: after(start, 9000) }, after(start, 3000));
        assert!(reader.has_changed().unwrap(), "a lease that had lapsed unnoticed is news when it comes back");
    }
}
