//! How brokers are reached: where they are, how patient one is with them, and how a connection is protected.

use std::time::{Duration, Instant};

use super::{Cluster, Endpoint, Purpose, Security};
use crate::kafka::ClientSettings;

/// How long something is left alone that has failed: from the first time on twice as long each time, up to the last.
pub type BackOff = std::ops::RangeInclusive<Duration>;

/// How long it is left alone after so many failures one after the other before this one.
#[must_use]
pub fn backoff(times: &BackOff, failures: u32) -> Duration {
    times.start().saturating_mul(2_u32.saturating_pow(failures.min(16))).min(*times.end())
}

/// Something that is asked, and asked again when that fails.
#[derive(Debug, Default)]
pub struct Trial {
    /// Whether an answer is awaited
    pub busy: bool,
    /// Until when it is left alone
    pub not_before: Option<Instant>,
    /// One after the other
    pub failures: u32,
}

impl Trial {
    /// Whether it may be asked now; else, where that depends on time alone, `again` gets when.
    pub fn is_free(&self, now: Instant, again: &mut Vec<Instant>) -> bool {
        let later = self.not_before.filter(|until| *until > now);
        again.extend(later.filter(|_| !self.busy));
        !self.busy && later.is_none()
    }

    /// It is asked.
    pub fn begin(&mut self) {
        self.busy = true;
    }

    /// It has answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It is left alone for some time.
    pub fn rest(&mut self, now: Instant, time: Duration) {
        self.not_before = (!time.is_zero()).then(|| now + time);
    }

    /// It has not answered, or not as it should.
    pub fn failed(&mut self, now: Instant, times: &BackOff) {
        *self = Self {
            busy: false,
            not_before: Some(now + backoff(times, self.failures)),
            failures: self.failures.saturating_add(1),
        };
    }
}

/// After how many failures one after the other the user is told of them.
pub const TELL_AFTER: u32 = 3;

/// What of a client's settings says how brokers are reached.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Host and port of each
    bootstrap: Vec<(String, u16)>,
    /// How long a partition is left alone after it was refused
    pub retry: BackOff,
    /// How long a broker is left alone after it failed
    pub reconnect: BackOff,
    /// A connection to any of them
    endpoint: Endpoint,
}

impl Reach {
    /// None when these settings ask for a connection that only librdkafka can make.
    #[must_use]
    pub fn of(settings: &ClientSettings, purpose: Purpose) -> Option<Self> {
        let bootstrap: Option<Vec<_>> = settings.property("bootstrap.servers")?.split(',').map(host_and_port).collect();
        let (host, port) = bootstrap.as_ref()?.first()?.clone();
        let millis = |name: &str, otherwise: u32| settings.millis(name, otherwise);
        let endpoint = Endpoint {
            host,
            port,
            purpose,
            client_id: settings.property("client.id").unwrap_or("millrace").to_owned(),
            connect_limit: millis("socket.connection.setup.timeout.ms", 30_000),
            answer_limit: millis("socket.timeout.ms", 60_000),
            longest: settings.number("receive.message.max.bytes", 100_000_000),
            security: Security::of(settings)?,
        };
        Some(Self {
            bootstrap: bootstrap?,
            retry: millis("retry.backoff.ms", 100)..=millis("retry.backoff.max.ms", 1000),
            reconnect: millis("reconnect.backoff.ms", 100)..=millis("reconnect.backoff.max.ms", 10_000),
            endpoint,
        })
    }

    /// Where a broker is; without one, where any may be: one after the other, the brokers that were known last among them.
    #[must_use]
    pub fn address(&self, broker: Option<i32>, cluster: &Cluster, failures: u32) -> (String, u16) {
        let known = broker.and_then(|broker| cluster.brokers.get(&broker));
        if let Some(known) = known {
            return known.clone();
        }
        let all = self.bootstrap.iter().chain(cluster.brokers.values());
        let count = self.bootstrap.len() + cluster.brokers.len();
        all.cycle().nth(failures as usize % count.max(1)).cloned().unwrap_or_default()
    }

    /// How to talk to whom is there.
    #[must_use]
    pub fn endpoint(&self, (host, port): (String, u16)) -> Endpoint {
        Endpoint { host, port, ..self.endpoint.clone() }
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
