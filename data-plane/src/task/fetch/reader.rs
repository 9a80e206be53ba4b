//! Reads partitions without librdkafka: it asks their leaders for records and takes the answers apart where they lie. Who reads
//! which partition, and what is committed, stays the poll thread's business.
//!
//! One async task per sink task asks all brokers, each one thing at a time, and hands batches on; the state behind its lock is
//! shared with the poll thread, so that no batch of a partition goes out once the poll thread has stopped it.

mod asking;
mod exchange;
mod settings;
mod shared;
mod state;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use millrace_sdk::{Error, TopicPartition};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;

use super::super::consumer::Bell;
use super::super::supervise::panicked;
use super::{FetchEvent, Limits};
use crate::kafka::ClientSettings;
use crate::kafka::wire::Connection;
use exchange::{Exchanged, exchange};
use settings::Settings;
use shared::Shared;
use state::{Position, Reading};

/// How often the ends of partitions are told, for the lag.
const ENDS_INTERVAL: Duration = Duration::from_secs(5);

/// A handle; dropping it ends reading.
pub(super) struct Reader {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Reader {
    /// Starts reading nothing; None when these settings ask for a connection that only librdkafka can make.
    pub(super) fn start(
        settings: &ClientSettings,
        limits: &Limits,
        paused: bool,
        runtime: &Handle,
        bell: &Arc<Bell>,
        events: &UnboundedSender<FetchEvent>,
    ) -> Option<Self> {
        let settings = Settings::of(settings, limits)?;
        let shared = Arc::new(Shared::new(settings, paused, bell, events));
        let task = Arc::clone(&shared);
        let task = runtime.spawn(async move {
            if let Err(panic) = AssertUnwindSafe(run(&task)).catch_unwind().await {
                task.fail(panicked(panic.as_ref()));
            }
        });
        let task = task.abort_handle();
        Some(Self { shared, task })
    }

    /// Partitions are taken over; from where they are read is told by [`Self::begin`].
    pub(super) fn add(&self, origin: TopicPartition, assignment: u64) {
        self.stop(&origin);
        self.shared.state().partitions.push(Reading::new(origin, assignment));
    }

    /// Who tells from where partitions are read.
    pub(super) fn starter(&self) -> Starter {
        Starter(Arc::clone(&self.shared))
    }

    /// No batch of the partition goes out any more.
    pub(super) fn stop(&self, origin: &TopicPartition) {
        let mut state = self.shared.state();
        let Some(index) = state.partitions.iter().position(|reading| reading.origin == *origin) else { return };
        let gone = state.partitions.swap_remove(index);
        drop(state);
        // What waited there hands its receipts in.
        drop(gone);
    }

    /// Holds still, or goes on.
    pub(super) fn pause(&self, paused: bool) {
        self.shared.state().paused = paused;
        self.shared.wake();
    }

    /// Why reading cannot go on.
    pub(super) fn failure(&self) -> Option<Error> {
        self.shared.failure()
    }
}

/// Tells from where partitions are read, from another thread.
pub(super) struct Starter(Arc<Shared>);

impl Starter {
    /// From where partitions are read: their committed offsets, as far as they have one.
    pub(super) fn begin(&self, origins: &[(TopicPartition, Option<i64>)], assignment: u64) {
        let mut state = self.0.state();
        for reading in state.partitions.iter_mut().filter(|reading| reading.assignment == assignment) {
            if let Some((_, offset)) = origins.iter().find(|(origin, _)| *origin == reading.origin) {
                reading.position = offset.map_or(Position::Reset(None), Position::At);
            }
        }
        drop(state);
        self.0.wake();
    }

    /// Whether a partition is still to be read under an assignment.
    pub(super) fn reads(&self, assignment: u64) -> bool {
        self.0.state().partitions.iter().any(|reading| reading.assignment == assignment)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.state().partitions.clear();
        self.task.abort();
    }
}

/// The reader's task.
async fn run(shared: &Shared) {
    let mut exchanges: FuturesUnordered<BoxFuture<'_, Exchanged>> = FuturesUnordered::new();
    let mut connections: HashMap<i32, Connection> = HashMap::new();
    let mut ends = tokio::time::interval(ENDS_INTERVAL);
    loop {
        let now = Instant::now();
        let (asks, again) = shared.decide(now);
        for ask in asks {
            let connection = ask.broker().and_then(|broker| connections.remove(&broker)).filter(Connection::is_good);
            exchanges.push(Box::pin(exchange(shared, ask, connection)));
        }
        let pause = again.map(|until| until.saturating_duration_since(Instant::now()));
        tokio::select! {
            () = shared.woken() => {}
            Some(done) = exchanges.next() => {
                if let Some((broker, connection)) = shared.settle(done) {
                    connections.insert(broker, connection);
                }
            }
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            _ = ends.tick() => shared.tell_ends(),
        }
    }
}
