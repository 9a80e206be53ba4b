//! Writes records without librdkafka, at least once and in order: records go straight into the batches of their partitions, and an
//! async task of each producer sends these to the partitions' leaders. Transactions, and the few records that the framework
//! itself writes (positions, dead letters), are librdkafka's.
//!
//! What a partition's batches go through is decided in `state`; `exchange` carries it out.

mod asking;
mod batch;
mod exchange;
mod partitioner;
mod settings;
mod shared;
mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use millrace_sdk::{Error, Result};
use tokio::task::AbortHandle;

pub use batch::{Refusal, Refused};

use super::wire::{Connection, Outline};
use super::{ClientSettings, Deliveries};
use exchange::{Exchanged, exchange};
use settings::Settings;
use shared::Shared;

/// Who is told what keeps records from being written, and, by None, that nothing does any more.
type Tell = Box<dyn Fn(Option<String>) + Send + Sync>;

/// A producer. Dropping it gives up what is not written yet.
pub struct DirectProducer {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// Records for one topic are added through it. What is added goes out when it is dropped.
pub struct Adding<'a> {
    producer: &'a DirectProducer,
    state: std::sync::MutexGuard<'a, state::State>,
    topic: usize,
    now: Instant,
}

impl DirectProducer {
    /// Starts a producer; it connects to nothing before there is a record. Must be called within a runtime.
    ///
    /// # Errors
    /// `BadConfig` for settings with which nothing can be written.
    pub fn start(settings: &ClientSettings, tell: Tell) -> Result<Self> {
        let shared = Arc::new(Shared::new(Settings::of(settings)?, tell));
        let task = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            if AssertUnwindSafe(run(&task)).catch_unwind().await.is_err() {
                task.fail(Error::internal("the Kafka producer has panicked; the log says where"));
            }
        });
        Ok(Self { shared, task: task.abort_handle() })
    }

    /// The topic's partitions are known when this returns, which takes as long as no broker says. No batch for it gets larger
    /// than `most` bytes, as far as that is known.
    ///
    /// # Errors
    /// `BadConfig` when the tenant may not write to it; `Transient` when the cluster does not have it; whatever
    /// [`Self::failed`] says.
    pub async fn know(&self, topic: &str, most: Option<usize>) -> Result<()> {
        self.shared.know(topic, most).await
    }

    /// To add records for a topic that is known.
    #[must_use]
    pub fn adding(&self, topic: &str) -> Adding<'_> {
        let now = Instant::now();
        let mut state = self.shared.state();
        let topic = state.topic(topic, now);
        Adding { producer: self, state, topic, now }
    }

    /// Ends when nothing can be written any more, with the reason.
    pub async fn failed(&self) -> Error {
        self.shared.failed().await
    }
}

impl Adding<'_> {
    /// Adds a record; without a partition its key decides. `deliveries` hear what becomes of it.
    ///
    /// # Errors
    /// Why it never gets in; `deliveries` do not hear of it then.
    pub fn add(
        &mut self,
        record: &Outline<'_>,
        partition: Option<i32>,
        deliveries: &mut Deliveries<Refused>,
    ) -> std::result::Result<(), Refusal> {
        let limits = &self.producer.shared.settings.limits;
        let added = self.state.add(self.topic, partition, record, deliveries.add(), limits, self.now);
        if added.is_err() {
            deliveries.take_back();
        }
        added
    }
}

impl Drop for Adding<'_> {
    fn drop(&mut self) {
        self.producer.shared.wake();
    }
}

impl Drop for DirectProducer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The producer's task.
async fn run(shared: &Shared) {
    let mut exchanges: FuturesUnordered<BoxFuture<'_, Exchanged>> = FuturesUnordered::new();
    let mut connections: HashMap<i32, Connection> = HashMap::new();
    loop {
        let (asks, again) = shared.decide(Instant::now());
        for ask in asks {
            let connection = ask.broker().and_then(|broker| connections.remove(&broker)).filter(Connection::is_good);
            exchanges.push(Box::pin(exchange(shared, ask, connection)));
        }
        let pause: Option<Duration> = again.map(|until| until.saturating_duration_since(Instant::now()));
        tokio::select! {
            () = shared.woken() => {}
            Some(done) = exchanges.next() => {
                if let Some((broker, connection)) = shared.settle(done) {
                    connections.insert(broker, connection);
                }
            }
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}
