//! The worker's side of its stream with the control plane: registers, reports, receives assignments, answers questions, and
//! connects again when it breaks. To the rest of the worker it is three things: a `watch::Receiver<Assignment>`, a
//! `watch::Receiver<LeaseState>`, and a [`Board`] that it reads statuses from.
//!
//! The lease becomes live only once the control plane has acknowledged a report *and*, after a silence that cost the lease,
//! has sent the whole assignment again: what the worker remembers from before may have been given to another.

mod asks;
pub mod assembler;
mod connect;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_proto::internal::v1 as pb;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::lease::{self, LeaseClock, LeaseState};
use crate::metrics::Metrics;
use crate::model::Assignment;
use crate::wire;
use crate::worker::board::Board;
use assembler::Assembler;
pub use connect::{ConnectError, SessionTransport};

/// Between two attempts to reach the control plane, at least and at most.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Until the control plane says otherwise.
const DEFAULT_LEASE: Duration = Duration::from_secs(4);
/// A session that lasted this long was a good one: the next attempt starts with the shortest delay again.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// Who this worker is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) worker_id: String,
    pub(crate) incarnation: String,
    pub(crate) address: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) capacity: u32,
}

/// What the session shares with the worker.
pub(crate) struct Links {
    pub(crate) assignment: watch::Sender<Assignment>,
    pub(crate) lease: watch::Sender<LeaseState>,
    /// The revision that the worker has acted on
    pub(crate) applied: watch::Receiver<i64>,
    pub(crate) board: Arc<Board>,
    /// Whether a stream is open
    pub(crate) connected: watch::Sender<bool>,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// No control plane there, or not one of ours
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The control plane ended it, or the network did
    #[error("the control plane ended the session: {}", .0.message())]
    Status(#[from] Box<tonic::Status>),
    /// The control plane closed the stream without a word
    #[error("the control plane closed the session")]
    Closed,
    /// It did not answer in time
    #[error("the control plane was silent for {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// The catalogue cannot be announced
    #[error(transparent)]
    Wire(#[from] wire::WireError),
}

/// The session, over all of its streams.
pub(crate) struct Session {
    identity: Identity,
    transport: SessionTransport,
    catalog: Arc<Catalog>,
    metrics: Arc<Metrics>,
    links: Links,
    clock: LeaseClock,
    assembler: Assembler,
    sequence: u64,
    /// Whether the lease held when it was looked at last
    lived: bool,
    /// Set when the lease was lost, and in the beginning; cleared by the next whole assignment
    stale: bool,
}

impl Session {
    pub(crate) fn new(
        identity: Identity,
        transport: SessionTransport,
        catalog: Arc<Catalog>,
        metrics: Arc<Metrics>,
        links: Links,
    ) -> Self {
        Self {
            identity,
            transport,
            catalog,
            metrics,
            links,
            clock: LeaseClock::new(DEFAULT_LEASE),
            assembler: Assembler::default(),
            sequence: 0,
            lived: false,
            stale: true,
        }
    }

    /// Keeps a stream open until `finish`; then tells the last statuses and leaves.
    pub(crate) async fn run(mut self, finish: CancellationToken) {
        let mut attempt = 0_usize;
        let mut failures = 0_u32;
        while !finish.is_cancelled() {
            let began = Instant::now();
            let ended = self.one_stream(attempt, &finish).await;
            self.links.connected.send_replace(false);
            attempt += 1;
            let Err(error) = ended else { break };
            failures = if began.elapsed() >= GOOD_SESSION { 0 } else { failures + 1 };
            let delay = reconnect_delay(failures, rand::random());
            tracing::warn!(
                worker = %self.identity.worker_id,
                error = %error_chain(&error),
                retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                "no session with the control plane"
            );
            self.rest(delay, &finish).await;
        }
        lease::publish(&self.links.lease, LeaseState::Headless, Instant::now());
    }

    /// Waits for the next attempt; the lease may end meanwhile.
    async fn rest(&mut self, delay: Duration, finish: &CancellationToken) {
        let until = Instant::now() + delay;
        loop {
            self.publish_lease();
            // Both branches are cancel-safe: they hold nothing.
            tokio::select! {
                () = finish.cancelled() => return,
                () = tokio::time::sleep_until(until.min(self.lease_end())) => {}
            }
            if Instant::now() >= until {
                return;
            }
        }
    }

    /// When the lease is to be looked at next.
    fn lease_end(&self) -> Instant {
        let now = Instant::now();
        self.clock.until().filter(|until| *until > now).unwrap_or(now + Duration::from_secs(3600))
    }

    /// Tells everybody how the lease is now.
    fn publish_lease(&mut self) {
        let now = Instant::now();
        let mut state = self.clock.state(now);
        let lives = state.is_live(now);
        if self.lived && !lives {
            self.stale = true;
        }
        self.lived = lives;
        if self.stale {
            state = LeaseState::Headless;
        }
        lease::publish(&self.links.lease, state, now);
    }

    /// The first message of a stream.
    fn register(&self) -> Result<pb::Register, wire::WireError> {
        let catalogue = self.catalog.announce().into_iter().map(wire::plugin).collect::<Result<Vec<_>, _>>()?;
        Ok(pb::Register {
            worker_id: self.identity.worker_id.clone(),
            incarnation: self.identity.incarnation.clone(),
            address: self.identity.address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            labels: self.identity.labels.clone().into_iter().collect(),
            capacity: i32::try_from(self.identity.capacity).unwrap_or(i32::MAX),
            catalogue,
            running: self.links.board.all(Instant::now()).iter().map(wire::status).collect(),
        })
    }
}

/// The delay after so many bad attempts in a row; `jitter` is from 0 to 1, so that a thousand workers do not come back at
/// the same moment.
fn reconnect_delay(failures: u32, jitter: f64) -> Duration {
    let full = RECONNECT.0.saturating_mul(1 << failures.min(10)).min(RECONNECT.1);
    full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// An error with its causes.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let sentence = next.to_string();
        if !text.contains(&sentence) {
            text.push_str(": ");
            text.push_str(&sentence);
        }
        cause = next.source();
    }
    text
}
