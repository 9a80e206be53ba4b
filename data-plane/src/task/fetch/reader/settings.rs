//! What a reader takes from the consumer's settings.

use crate::kafka::ClientSettings;
use crate::kafka::wire::{Isolation, Purpose, Reach};

use super::super::Limits;
use super::state::Sizes;

/// Where reading starts without a committed offset, and goes on when Kafka no longer has the one to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Earliest,
    Latest,
    /// Nowhere
    Fail,
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) reach: Reach,
    pub(super) policy: Policy,
    pub(super) check: bool,
    pub(super) sizes: Sizes,
    /// Records in a batch
    pub(super) batch_records: usize,
}

/// Bytes in an answer, unless the user says otherwise: what a processor keeps at hand from the socket to the sink.
const ANSWER: usize = 1024 * 1024;

impl Settings {
    /// None when these settings ask for a connection that only librdkafka can make.
    pub(super) fn of(settings: &ClientSettings, limits: &Limits) -> Option<Self> {
        let reach = Reach::of(settings, Purpose::Read)?;
        let number = |name: &str, otherwise: usize| settings.number(name, otherwise);
        let committed = settings.property("isolation.level") == Some("read_committed");
        // Nothing is fetched in advance beside the batches.
        let budget = limits.budget * 2;
        let answer = number("fetch.max.bytes", ANSWER.min(budget / 4)).clamp(1, budget);
        Some(Self {
            reach,
            policy: match settings.property("auto.offset.reset") {
                Some("latest") => Policy::Latest,
                Some("error") => Policy::Fail,
                _ => Policy::Earliest,
            },
            check: settings.property("check.crcs") != Some("false"),
            sizes: Sizes {
                budget,
                answer,
                partition: number("fetch.message.max.bytes", limits.batch_bytes).max(1),
                min_bytes: settings.number("fetch.min.bytes", 1),
                wait_ms: settings.number("fetch.wait.max.ms", 500),
                isolation: if committed { Isolation::Committed } else { Isolation::Uncommitted },
                rack: settings.property("client.rack").unwrap_or_default().to_owned(),
            },
            batch_records: limits.batch_records,
        })
    }
}
