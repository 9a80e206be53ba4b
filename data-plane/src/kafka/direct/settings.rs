//! What a producer takes from its settings.

use std::time::Duration;

use millrace_sdk::{Error, Result};

use super::state::Limits;
use crate::kafka::ClientSettings;
use crate::kafka::wire::{Codec, Purpose, Reach};

/// Bytes of a batch, unless the user says otherwise: what a processor keeps at hand for four partitions.
const BATCH: usize = 256 * 1024;
/// Bytes of a record, unless the user says otherwise (Java's default of `max.request.size`).
const RECORD: usize = 1024 * 1024;
/// Bytes of a request with several batches, unless the user says otherwise.
const REQUEST: usize = 4 * 1024 * 1024;

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) reach: Reach,
    pub(super) limits: Limits,
    /// -1 for all replicas that are in sync, 1 for the leader alone
    pub(super) acks: i16,
    pub(super) codec: Codec,
    /// How long the broker may wait for the other replicas
    pub(super) timeout: Duration,
}

impl Settings {
    pub(super) fn of(settings: &ClientSettings) -> Result<Self> {
        let reach = Reach::of(settings, Purpose::Write).ok_or_else(|| {
            Error::bad_config(
                "bootstrap.servers, sasl.* or ssl.* of the producer are not such that Kafka could be reached",
            )
        })?;
        let all = matches!(settings.property("acks"), None | Some("all" | "-1"));
        let codec = settings.property("compression.codec").unwrap_or("none");
        let request: Option<usize> = settings.property("message.max.bytes").and_then(|text| text.parse().ok());
        Ok(Self {
            limits: Limits {
                batch: settings.number("batch.size", BATCH),
                record: request.unwrap_or(RECORD),
                request: request.unwrap_or(REQUEST),
                linger: settings
                    .property("linger.ms")
                    .and_then(|text| text.parse().ok())
                    .and_then(|millis: f64| Duration::try_from_secs_f64(millis / 1000.0).ok())
                    .unwrap_or_default(),
                // None, or 0, is for as long as it takes.
                delivery: Some(settings.millis("message.timeout.ms", 0)).filter(|limit| !limit.is_zero()),
                retries: settings.number("message.send.max.retries", i32::MAX).try_into().unwrap_or(u32::MAX),
                // Kafka tells batches that come twice only where all replicas confirm.
                idempotent: all && settings.property("enable.idempotence") != Some("false"),
                retry: reach.retry.clone(),
                reconnect: reach.reconnect.clone(),
                look_up: settings.millis("topic.metadata.refresh.interval.ms", 300_000).max(Duration::from_millis(100)),
            },
            reach,
            // Without an answer nobody would know what to store as a position, so 0 is as good as 1.
            acks: if all { -1 } else { 1 },
            codec: Codec::named(codec)
                .ok_or_else(|| Error::bad_config(format!("compression.type {codec} is not known")))?,
            timeout: settings.millis("request.timeout.ms", 30_000),
        })
    }
}
