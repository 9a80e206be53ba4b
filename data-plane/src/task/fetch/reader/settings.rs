//! What a reader takes from the consumer's settings.

use std::time::Duration;

use crate::kafka::ClientSettings;
use crate::kafka::wire::{Endpoint, Isolation, Security};

use super::super::Limits;
use super::state::{BackOff, Sizes};

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
    /// Host and port of each
    pub(super) bootstrap: Vec<(String, u16)>,
    pub(super) policy: Policy,
    pub(super) check: bool,
    pub(super) sizes: Sizes,
    /// Records in a batch
    pub(super) batch_records: usize,
    /// How long a partition is left alone after it was refused
    pub(super) retry: BackOff,
    /// How long a broker is left alone after it failed
    pub(super) reconnect: BackOff,
    client_id: String,
    connect_limit: Duration,
    answer_limit: Duration,
    longest: usize,
    security: Security,
}

/// Bytes in an answer, unless the user says otherwise: what a processor keeps at hand from the socket to the sink.
const ANSWER: usize = 1024 * 1024;

impl Settings {
    /// None when these settings ask for a connection that only librdkafka can make.
    pub(super) fn of(settings: &ClientSettings, limits: &Limits) -> Option<Self> {
        let security = Security::of(settings)?;
        let bootstrap: Option<Vec<_>> = settings.property("bootstrap.servers")?.split(',').map(host_and_port).collect();
        let bootstrap = bootstrap?;
        if bootstrap.is_empty() {
            return None;
        }
        let number = |name: &str, otherwise: usize| {
            settings.property(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
        };
        let int = |name: &str, otherwise: i32| {
            settings.property(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
        };
        let millis = |name: &str, otherwise: u32| {
            Duration::from_millis(
                settings.property(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise).into(),
            )
        };
        let committed = settings.property("isolation.level") == Some("read_committed");
        // Nothing is fetched in advance beside the batches.
        let budget = limits.budget * 2;
        let answer = number("fetch.max.bytes", ANSWER.min(budget / 4)).clamp(1, budget);
        Some(Self {
            bootstrap,
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
                min_bytes: int("fetch.min.bytes", 1),
                wait_ms: int("fetch.wait.max.ms", 500),
                isolation: if committed { Isolation::Committed } else { Isolation::Uncommitted },
                rack: settings.property("client.rack").unwrap_or_default().to_owned(),
            },
            batch_records: limits.batch_records,
            retry: millis("retry.backoff.ms", 100)..=millis("retry.backoff.max.ms", 1000),
            reconnect: millis("reconnect.backoff.ms", 100)..=millis("reconnect.backoff.max.ms", 10_000),
            client_id: settings.property("client.id").unwrap_or("millrace").to_owned(),
            connect_limit: millis("socket.connection.setup.timeout.ms", 30_000),
            answer_limit: millis("socket.timeout.ms", 60_000),
            longest: number("receive.message.max.bytes", 100_000_000),
            security,
        })
    }

    pub(super) fn endpoint(&self, host: &str, port: u16) -> Endpoint {
        Endpoint {
            host: host.to_owned(),
            port,
            client_id: self.client_id.clone(),
            connect_limit: self.connect_limit,
            answer_limit: self.answer_limit,
            longest: self.longest,
            security: self.security.clone(),
        }
    }
}

/// `host:port`, `[address]:port`, either with a protocol in front; 9092 is the port that needs not be said.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let text = text.trim();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (text, 9092),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_servers_are_hosts_and_ports() {
        let parsed = |text| host_and_port(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(parsed(" kafka:9093").as_deref(), Some("kafka 9093"));
        assert_eq!(parsed("PLAINTEXT://kafka:9093").as_deref(), Some("kafka 9093"));
        assert_eq!(parsed("[::1]:9093").as_deref(), Some("::1 9093"));
        assert_eq!(parsed("kafka").as_deref(), Some("kafka 9092"));
        for bad in ["", ":9092", "kafka:many", "kafka:70000"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
