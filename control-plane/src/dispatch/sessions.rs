//! The sessions of this replica: who replaces whom, and questions to workers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_sdk::{Findings, Flat};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::model::Plugin;
use crate::service::catalogue::names;

/// Incarnations remembered per worker as replaced.
const REMEMBERED: usize = 16;

/// What a worker is asked.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// Is this configuration good?
    Validate {
        class: String,
        config: Flat,
        tenant_settings: Flat,
        /// Also connect to the store
        check: bool,
    },
    /// How is the work split?
    Plan { class: String, config: Flat, max_tasks: u32, tenant_settings: Flat },
}

/// What it answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Validate(Findings),
    Plan(Result<Vec<Flat>, PlanFailure>),
}

/// Why a worker could not plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanFailure {
    pub(crate) message: String,
    /// `ErrorKind::name`
    pub(crate) kind: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    #[error("no worker of this replica offers the class")]
    NoWorker,
    #[error("the worker did not answer in time")]
    Timeout,
    #[error("the worker went away before it answered")]
    Gone,
}

/// A question on its way to a session.
pub(crate) struct Asked {
    pub(crate) question: Question,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The registry.
#[derive(Default)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    by_worker: HashMap<String, Slot>,
    replaced: HashMap<String, VecDeque<String>>,
    next: u64,
}

struct Slot {
    number: u64,
    incarnation: String,
    classes: Vec<String>,
    asks: mpsc::Sender<Asked>,
    replaced: CancellationToken,
}

/// A place in the registry.
pub(crate) struct Entered {
    pub(crate) number: u64,
    pub(crate) asks: mpsc::Receiver<Asked>,
    pub(crate) replaced: CancellationToken,
}

impl Sessions {
    /// Enters a session. It replaces the worker's earlier one; a process that was replaced cannot come back, or two with
    /// one id would throw each other out for ever.
    pub(crate) fn enter(&self, worker: &str, incarnation: &str, classes: Vec<String>) -> Result<Entered, String> {
        let mut inner = self.lock();
        if inner.replaced.get(worker).is_some_and(|replaced| replaced.iter().any(|one| one == incarnation)) {
            return Err(format!("worker {worker} has been replaced by a newer process of the same id"));
        }
        inner.next += 1;
        let number = inner.next;
        let (asks, receiver) = mpsc::channel(16);
        let replaced = CancellationToken::new();
        let slot = Slot { number, incarnation: incarnation.to_owned(), classes, asks, replaced: replaced.clone() };
        if let Some(old) = inner.by_worker.insert(worker.to_owned(), slot) {
            old.replaced.cancel();
            if old.incarnation != incarnation {
                let remembered = inner.replaced.entry(worker.to_owned()).or_default();
                remembered.push_back(old.incarnation);
                if remembered.len() > REMEMBERED {
                    remembered.pop_front();
                }
            }
        }
        Ok(Entered { number, asks: receiver, replaced })
    }

    /// A session ended.
    pub(crate) fn leave(&self, worker: &str, number: u64) {
        let mut inner = self.lock();
        if inner.by_worker.get(worker).is_some_and(|slot| slot.number == number) {
            inner.by_worker.remove(worker);
        }
    }

    /// Asks some worker of this replica that offers the class.
    pub(crate) async fn ask(&self, plugin: &Plugin, question: Question, timeout: Duration) -> Result<Answer, AskError> {
        let (answer, answered) = oneshot::channel();
        let asks = self.offering(plugin).ok_or(AskError::NoWorker)?;
        let exchange = async {
            asks.send(Asked { question, answer }).await.map_err(|_| AskError::Gone)?;
            answered.await.map_err(|_| AskError::Gone)
        };
        tokio::time::timeout(timeout, exchange).await.map_err(|_| AskError::Timeout)?
    }

    /// Asks for validation.
    pub(crate) async fn ask_validate(
        &self,
        plugin: &Plugin,
        question: Question,
        timeout: Duration,
    ) -> Result<Findings, AskError> {
        match self.ask(plugin, question, timeout).await? {
            Answer::Validate(findings) => Ok(findings),
            Answer::Plan(_) => Err(AskError::Gone),
        }
    }

    /// Asks for a plan.
    pub(crate) async fn ask_plan(
        &self,
        plugin: &Plugin,
        question: Question,
        timeout: Duration,
    ) -> Result<Result<Vec<Flat>, PlanFailure>, AskError> {
        match self.ask(plugin, question, timeout).await? {
            Answer::Plan(plan) => Ok(plan),
            Answer::Validate(_) => Err(AskError::Gone),
        }
    }

    fn offering(&self, plugin: &Plugin) -> Option<mpsc::Sender<Asked>> {
        let names = names(plugin);
        let inner = self.lock();
        let offers = |slot: &&Slot| slot.classes.iter().any(|class| names.contains(class.as_str()));
        let able: Vec<&Slot> = inner.by_worker.values().filter(offers).collect();
        let chosen = able.get(rand::random_range(0..able.len().max(1)))?;
        Some(chosen.asks.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_process_replaces_and_the_older_stays_out() {
        let sessions = Sessions::default();
        let first = sessions.enter("w", "a", Vec::new()).unwrap();
        let again = sessions.enter("w", "a", Vec::new()).unwrap();
        assert!(first.replaced.is_cancelled());
        let second = sessions.enter("w", "b", Vec::new()).unwrap();
        assert!(again.replaced.is_cancelled() && !second.replaced.is_cancelled());
        assert!(sessions.enter("w", "a", Vec::new()).is_err());
        sessions.leave("w", first.number);
        assert!(sessions.lock().by_worker.contains_key("w"));
        sessions.leave("w", second.number);
        assert!(!sessions.lock().by_worker.contains_key("w"));
    }
}
