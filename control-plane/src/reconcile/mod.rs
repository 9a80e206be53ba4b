//! The leader's loop: wait for a change, plan, commit. It reads, calls [`plan`](plan::plan) and commits; the thinking is
//! in [`plan`], [`place`] and [`lifecycle`], which are pure.

pub mod change;
pub mod lifecycle;
mod output;
pub mod place;
pub mod plan;
mod rebalance;
pub mod snapshot;

#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod test_world;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use self::change::Plan;
use self::plan::Now;
use self::snapshot::Snapshot;
use crate::election::Leadership;
use crate::store::{Event, Store, StoreError, keys};

/// The reconciler's times.
#[derive(Debug, Clone)]
pub struct Times {
    /// How long a missing worker is waited for after the store came back or this replica began to lead: one lease of a
    /// worker's session
    pub worker_grace: Duration,
    /// Plans at least this often while something is due
    pub tick: Duration,
    /// Changes that come this close together are planned together
    pub debounce: Duration,
    /// Loads are evened out when nothing was placed for so long: longer than a worker takes to shut down, lest it be
    /// given back what it has just handed over
    pub calm: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            worker_grace: Duration::from_secs(6),
            tick: Duration::from_secs(1),
            debounce: Duration::from_millis(20),
            calm: Duration::from_secs(6),
        }
    }
}

/// How long a commit's own changes may take to come back by the watch.
const CATCH_UP: Duration = Duration::from_secs(3);
/// Everything is listed again this often, although the watch should have told all.
const LIST_AGAIN: Duration = Duration::from_secs(300);

/// Reconciles whenever this replica leads, until shutdown.
pub async fn run(
    store: Arc<dyn Store>,
    mut leadership: watch::Receiver<Option<Leadership>>,
    times: Times,
    shutdown: CancellationToken,
) {
    loop {
        let leader = leadership.borrow_and_update().clone();
        let work = async {
            match leader {
                Some(leader) => Reconciler { store: Arc::clone(&store), leader, times: times.clone() }.lead().await,
                None => std::future::pending().await,
            }
        };
        // Cut off between two commits or within one: each is safe alone and guarded by leadership.
        tokio::select! {
            () = work => {}
            changed = leadership.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = shutdown.cancelled() => return,
        }
    }
}

struct Reconciler {
    store: Arc<dyn Store>,
    leader: Leadership,
    times: Times,
}

/// Why everything must be listed again.
enum Again {
    /// Something may have been missed, or somebody else changed what we wanted to change
    Changed,
    /// For safety
    Time,
    /// The store was away
    Away(StoreError),
}

impl From<StoreError> for Again {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Changed,
            other => Self::Away(other),
        }
    }
}

impl Reconciler {
    async fn lead(&self) {
        // A new leader does not know for how long nobody has looked after the workers.
        let mut settled_at = None;
        loop {
            let ended = match self.open().await {
                Ok((snapshot, events)) => {
                    let settled_at = *settled_at.get_or_insert_with(|| Instant::now() + self.times.worker_grace);
                    self.follow(snapshot, events, settled_at).await
                }
                Err(error) => Again::Away(error),
            };
            match ended {
                Again::Time => continue,
                Again::Changed => tracing::debug!("the store changed while it was planned; listing again"),
                Again::Away(error) => {
                    tracing::warn!(%error, "cannot reconcile; running tasks do not notice");
                    settled_at = None;
                }
            }
            sleep(self.times.tick / 10).await;
        }
    }

    async fn open(&self) -> Result<(Snapshot, BoxStream<'static, Event>), StoreError> {
        let listing = self.store.list(keys::ROOT).await?;
        let events = self.store.watch(keys::ROOT, listing.revision + 1).await?;
        Ok((Snapshot::from_listing(&listing), events))
    }

    /// Plans after every change, until everything must be listed again.
    async fn follow(&self, snapshot: Snapshot, mut events: BoxStream<'static, Event>, settled_at: Instant) -> Again {
        let started = Instant::now();
        let mut snapshot = snapshot;
        let mut planned: Option<(i64, bool, bool)> = None;
        let mut due_ms = None;
        // What we committed must have come back before we plan on top of it.
        let mut committed = (0, started);
        loop {
            let settled = Instant::now() >= settled_at;
            // Counted from the last commit, or from when we began to look.
            let calm = committed.1.elapsed() >= self.times.calm;
            let due = due_ms.is_some_and(|due| now_ms() >= due);
            if snapshot.revision >= committed.0 && (due || planned != Some((snapshot.revision, settled, calm))) {
                planned = Some((snapshot.revision, settled, calm));
                let now = Now { ms: now_ms(), epoch: self.leader.epoch, settled, calm };
                let plan = plan::plan(&snapshot, now);
                due_ms = plan.due_ms;
                match self.commit(&plan).await {
                    Ok(Some(revision)) => committed = (revision, Instant::now()),
                    Ok(None) => {}
                    Err(error) => return error.into(),
                }
            }
            if let Err(again) = self.wait(&mut snapshot, &mut events).await {
                return again;
            }
            if snapshot.revision < committed.0 && committed.1.elapsed() > CATCH_UP {
                return Again::Changed;
            }
            if started.elapsed() > LIST_AGAIN {
                return Again::Time;
            }
        }
    }

    /// Answers the last commit's revision.
    async fn commit(&self, plan: &Plan) -> Result<Option<i64>, StoreError> {
        let mut revision = None;
        for commit in plan.commits(&self.leader.guard()) {
            revision = Some(self.store.commit(commit).await?);
        }
        if revision.is_some() {
            tracing::debug!(changes = plan.changes.len(), epoch = self.leader.epoch.0, "planned and committed");
        }
        Ok(revision)
    }

    /// Until something has changed, or a tick has passed; after a quiet tick the store is asked whether it is there.
    async fn wait(&self, snapshot: &mut Snapshot, events: &mut BoxStream<'static, Event>) -> Result<(), Again> {
        match timeout(self.times.tick, events.next()).await {
            Ok(Some(event)) => take_in(snapshot, &event)?,
            Ok(None) => return Err(Again::Changed),
            Err(_) => {
                self.store.get(keys::LEADER).await?;
                return Ok(());
            }
        }
        let until = Instant::now() + self.times.debounce;
        while let Ok(Some(event)) = timeout_at(until, events.next()).await {
            take_in(snapshot, &event)?;
        }
        Ok(())
    }
}

fn take_in(snapshot: &mut Snapshot, event: &Event) -> Result<(), Again> {
    if snapshot.apply(event) { Ok(()) } else { Err(Again::Changed) }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
