//! The newest status of each task, and which of them the control plane has not been told. Written by the worker, read by the
//! session.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::{Assignment, TaskId, TaskSpec, TaskState, TaskStatus};

/// How long the end of a task is repeated in full reports: a replica that acknowledged it may die before it has stored it.
const REMEMBER_ENDS: Duration = Duration::from_secs(120);
/// Repeated in each sink's status while the control plane is silent.
const HEADLESS: &str = "running headless: the control plane has not been heard for a whole lease";

#[derive(Debug)]
struct Entry {
    status: TaskStatus,
    ended: Option<Instant>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<TaskId, Entry>,
    changed: BTreeSet<TaskId>,
    headless: bool,
}

/// Statuses by task.
#[derive(Debug, Default)]
pub(crate) struct Board {
    inner: Mutex<Inner>,
    news: Notify,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The control plane has given these tasks: each has a status from now on, so that none of them, however short its
    /// stay, is given up without a word.
    pub(crate) fn assigned(&self, assignment: &Assignment) {
        let mut inner = self.lock();
        for spec in assignment.tasks.values() {
            let known = inner.entries.get(&spec.id).is_some_and(|entry| entry.status.generation >= spec.generation);
            if !known {
                inner.put(starting(spec));
            }
        }
        drop(inner);
        self.news.notify_one();
    }

    /// A task begins a life here.
    pub(crate) fn begin(&self, spec: &TaskSpec) {
        self.lock().put(starting(spec));
        self.news.notify_one();
    }

    /// A task says how it is. Words of an older life, or of one that has ended, are dropped.
    pub(crate) fn update(&self, status: TaskStatus) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get(&status.id) {
            let older = status.generation < entry.status.generation;
            let ended = status.generation == entry.status.generation && entry.ended.is_some();
            if older || ended || entry.status == status {
                return;
            }
        }
        inner.put(status);
        drop(inner);
        self.news.notify_one();
    }

    /// A task has gone from here. A task that failed or was fenced keeps saying so, unless it was asked to stop.
    pub(crate) fn stopped(&self, id: &TaskId, generation: i64, now: Instant) {
        let mut inner = self.lock();
        let Some(entry) = inner.entries.get_mut(id).filter(|entry| entry.status.generation == generation) else {
            return;
        };
        if entry.ended.is_some() {
            return;
        }
        entry.status.state = TaskState::Stopped;
        entry.status.error_kind = "";
        entry.status.trace = String::new();
        entry.status.warnings = Vec::new();
        entry.ended = Some(now);
        inner.changed.insert(id.clone());
        drop(inner);
        self.news.notify_one();
    }

    /// Tasks that were given and taken back before they could begin: neither assigned nor here.
    pub(crate) fn stop_unbegun(&self, assignment: &Assignment, here: &BTreeSet<TaskId>, now: Instant) {
        let gone: Vec<(TaskId, i64)> = self
            .lock()
            .entries
            .iter()
            .filter(|(id, entry)| entry.ended.is_none() && !assignment.tasks.contains_key(id) && !here.contains(id))
            .map(|(id, entry)| (id.clone(), entry.status.generation))
            .collect();
        for (id, generation) in gone {
            self.stopped(&id, generation, now);
        }
    }

    /// Whether the lease has ended: every sink's status says so while it lasts.
    pub(crate) fn set_headless(&self, headless: bool) {
        let mut inner = self.lock();
        if inner.headless == headless {
            return;
        }
        inner.headless = headless;
        let all: Vec<TaskId> = inner.entries.keys().cloned().collect();
        inner.changed.extend(all);
    }

    /// Whether a running task says that it runs headless.
    #[cfg(test)]
    pub(crate) fn headless(&self) -> bool {
        self.lock().headless
    }

    /// All statuses, for a whole report; forgets ends that were told long ago.
    pub(crate) fn all(&self, now: Instant) -> Vec<TaskStatus> {
        let mut inner = self.lock();
        inner.entries.retain(|_, entry| entry.ended.is_none_or(|ended| now < ended + REMEMBER_ENDS));
        inner.changed.clear();
        let headless = inner.headless;
        inner.entries.values().map(|entry| entry.told(headless)).collect()
    }

    /// The statuses that changed since the last call of this or of [`Board::all`].
    pub(crate) fn changes(&self) -> Vec<TaskStatus> {
        let mut inner = self.lock();
        let changed = std::mem::take(&mut inner.changed);
        let headless = inner.headless;
        changed.iter().filter_map(|id| inner.entries.get(id)).map(|entry| entry.told(headless)).collect()
    }

    /// Waits until there is something to tell. Cancel-safe.
    pub(crate) async fn news(&self) {
        loop {
            if !self.lock().changed.is_empty() {
                return;
            }
            self.news.notified().await;
        }
    }
}

impl Inner {
    fn put(&mut self, status: TaskStatus) {
        self.changed.insert(status.id.clone());
        self.entries.insert(status.id.clone(), Entry { status, ended: None });
    }
}

impl Entry {
    fn told(&self, headless: bool) -> TaskStatus {
        let mut status = self.status.clone();
        if headless && matches!(status.state, TaskState::Running | TaskState::Paused) {
            status.warnings.push(HEADLESS.to_owned());
        }
        status
    }
}

fn starting(spec: &TaskSpec) -> TaskStatus {
    TaskStatus {
        id: spec.id.clone(),
        generation: spec.generation,
        set_revision: spec.set_revision,
        state: TaskState::Starting,
        error_kind: "",
        trace: String::new(),
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::worker::testing::spec;

    fn status(spec: &TaskSpec, state: TaskState) -> TaskStatus {
        TaskStatus { state, ..starting(spec) }
    }

    fn states(statuses: &[TaskStatus]) -> Vec<(String, i64, TaskState)> {
        statuses.iter().map(|one| (one.id.connector.clone(), one.generation, one.state)).collect()
    }

    fn assignment(specs: &[Arc<TaskSpec>]) -> Assignment {
        Assignment {
            epoch: 1,
            revision: 1,
            tasks: specs.iter().map(|spec| (spec.id.clone(), Arc::clone(spec))).collect(),
        }
    }

    #[test]
    fn changes_are_told_once_and_whole_reports_tell_everything() {
        let board = Board::default();
        let (a, b) = (spec("a", 1), spec("b", 1));
        board.assigned(&assignment(&[Arc::clone(&a), Arc::clone(&b)]));
        assert_eq!(board.changes().len(), 2);
        board.update(status(&a, TaskState::Running));
        board.update(status(&a, TaskState::Running));
        assert_eq!(states(&board.changes()), [("a".to_owned(), 1, TaskState::Running)]);
        assert!(board.changes().is_empty());
        assert_eq!(board.all(Instant::now()).len(), 2);
    }

    #[test]
    fn words_of_an_older_or_ended_life_are_dropped() {
        let board = Board::default();
        let (old, new) = (spec("a", 1), spec("a", 2));
        board.begin(&old);
        board.begin(&new);
        board.update(status(&old, TaskState::Failed));
        board.stopped(&old.id, 1, Instant::now());
        assert_eq!(states(&board.changes()), [("a".to_owned(), 2, TaskState::Starting)]);
        board.stopped(&new.id, 2, Instant::now());
        board.update(status(&new, TaskState::Running));
        assert_eq!(states(&board.changes()), [("a".to_owned(), 2, TaskState::Stopped)]);
        board.begin(&new); // the same generation again, after a lease came back
        board.update(status(&new, TaskState::Running));
        assert_eq!(states(&board.changes()), [("a".to_owned(), 2, TaskState::Running)]);
    }

    #[test]
    fn what_was_taken_back_before_it_began_is_confirmed_all_the_same() {
        let board = Board::default();
        let (a, b) = (spec("a", 1), spec("b", 1));
        board.assigned(&assignment(&[Arc::clone(&a), Arc::clone(&b)]));
        let here = BTreeSet::from([b.id.clone()]);
        board.stop_unbegun(&Assignment::default(), &here, Instant::now());
        assert_eq!(
            states(&board.changes()),
            [("a".to_owned(), 1, TaskState::Stopped), ("b".to_owned(), 1, TaskState::Starting)]
        );
    }

    #[test]
    fn ends_are_repeated_for_a_while() {
        let board = Board::default();
        let a = spec("a", 1);
        let now = Instant::now();
        board.begin(&a);
        board.stopped(&a.id, 1, now);
        assert_eq!(board.all(now).len(), 1);
        assert_eq!(board.all(now + REMEMBER_ENDS).len(), 0);
    }

    #[test]
    fn headless_tasks_say_so() {
        let board = Board::default();
        let a = spec("a", 1);
        board.begin(&a);
        board.update(status(&a, TaskState::Running));
        board.set_headless(true);
        assert!(board.all(Instant::now())[0].warnings[0].contains("headless"));
        board.set_headless(false);
        assert!(board.changes()[0].warnings.is_empty());
    }
}
