//! Batches on hold while their converters ask somebody for what they need, such as a schema. The loop goes on meanwhile:
//! revocations, commits and writes do not wait for a registry.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use millrace_sdk::{ErrorKind, Result};

use super::Running;
use crate::convert::Preparation;
use crate::task::batch::RawBatch;
use crate::task::failure::{Failure, Stage};
use crate::task::retry::Backoff;

const FIRST_DELAY: Duration = Duration::from_millis(250);
const LAST_DELAY: Duration = Duration::from_secs(15);
/// The remark that tells the user what is waited for
const REMARK: &str = "registry";

/// Batches in the order they came, the first of which is being prepared. Their bytes count in the task's budget.
pub(in crate::task::sink) struct Queue {
    batches: VecDeque<(u64, RawBatch)>,
    preparation: Option<Preparation>,
    backoff: Backoff,
    failing_since: Option<Instant>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            batches: VecDeque::new(),
            preparation: None,
            backoff: Backoff::new(FIRST_DELAY, LAST_DELAY),
            failing_since: None,
        }
    }
}

impl Queue {
    /// Ends when the first batch is prepared, or cannot be; never when there is none. Cancel-safe: the preparation stays.
    pub(super) async fn prepared(&mut self) -> Result<()> {
        match &mut self.preparation {
            None => std::future::pending().await,
            Some(preparation) => {
                let outcome = preparation.await;
                self.preparation = None;
                outcome
            }
        }
    }
}

impl Queue {
    /// Whether what fails now has failed for the whole `errors.retry.timeout`.
    fn is_tired(&mut self, limit: Option<Duration>) -> bool {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        limit.is_some_and(|limit| since.elapsed() >= limit)
    }
}

impl Running {
    /// Takes a batch, at once when its converters know all they need and no batch waits before it.
    pub(super) fn on_raw(&mut self, assignment: u64, raw: RawBatch) {
        if self.unprepared.batches.is_empty() {
            match self.converters.prepare(&raw) {
                None => return self.on_batch(assignment, raw),
                preparation => self.unprepared.preparation = preparation,
            }
        }
        self.unprepared.batches.push_back((assignment, raw));
    }

    /// Takes the batches up to the next one that has to wait.
    pub(super) fn on_prepared(&mut self, outcome: Result<()>) {
        match outcome {
            Ok(()) => {}
            Err(error) => match error.kind() {
                ErrorKind::Transient { .. } if self.unprepared.is_tired(self.writer.retry_timeout) => {
                    self.failure.get_or_insert(Failure::new(Stage::DecodeValue, error));
                    return;
                }
                ErrorKind::Transient { retry_after } => {
                    self.life.metrics.retry();
                    let delay = self.unprepared.backoff.delay(retry_after);
                    self.life.reporter.remark(REMARK, Some(format!("records wait: {}", error.chain())));
                    self.unprepared.preparation = Some(Box::pin(async move {
                        tokio::time::sleep(delay).await;
                        Ok(())
                    }));
                    return;
                }
                _ => {
                    self.failure.get_or_insert(Failure::new(Stage::DecodeValue, error));
                    return;
                }
            },
        }
        while let Some((assignment, raw)) = self.unprepared.batches.pop_front() {
            if let Some(preparation) = self.converters.prepare(&raw) {
                self.unprepared.preparation = Some(preparation);
                self.unprepared.batches.push_front((assignment, raw));
                return;
            }
            self.unprepared.backoff.reset();
            self.unprepared.failing_since = None;
            self.life.reporter.remark(REMARK, None);
            self.on_batch(assignment, raw);
        }
    }
}
