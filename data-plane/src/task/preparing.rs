//! Waiting for what converters have to ask somebody for, such as a schema: for as long as it takes, or as the user allows.

use std::time::{Duration, Instant};

use millrace_sdk::ErrorKind;

use super::failure::{Failure, Stage};
use super::retry::Backoff;
use super::supervise::Reporter;
use crate::convert::Preparation;
use crate::metrics::TaskMetrics;

const FIRST_DELAY: Duration = Duration::from_millis(250);
const LAST_DELAY: Duration = Duration::from_secs(15);
/// The remark that tells the user what is waited for.
const REMARK: &str = "registry";

/// How long a task waits for its converters, and who is told.
pub(super) struct Patience<'a> {
    /// Where it fails
    pub(super) stage: Stage,
    /// `errors.retry.timeout`
    pub(super) retry_timeout: Option<Duration>,
    /// `errors.retry.delay.max.ms`
    pub(super) delay_max: Duration,
    pub(super) metrics: &'a TaskMetrics,
    pub(super) reporter: &'a Reporter,
}

impl Patience<'_> {
    /// Waits for one preparation after the other until `next` has none left. What nobody answered is asked again.
    pub(super) async fn prepare(&self, mut next: impl FnMut() -> Option<Preparation>) -> Result<(), Failure> {
        let mut backoff = Backoff::new(FIRST_DELAY, LAST_DELAY.min(self.delay_max));
        let mut failing_since: Option<Instant> = None;
        while let Some(preparation) = next() {
            let Err(error) = preparation.await else {
                self.give_up();
                continue;
            };
            let ErrorKind::Transient { retry_after } = error.kind() else {
                return Err(Failure::new(self.stage, error));
            };
            let since = *failing_since.get_or_insert_with(Instant::now);
            if self.retry_timeout.is_some_and(|limit| since.elapsed() >= limit) {
                return Err(Failure::new(self.stage, error));
            }
            self.metrics.retry();
            self.reporter.remark(REMARK, Some(format!("records wait: {}", error.chain())));
            tokio::time::sleep(backoff.delay(retry_after)).await;
        }
        Ok(())
    }

    /// Nothing is waited for any longer. Whoever waits as well says so again.
    pub(super) fn give_up(&self) {
        self.reporter.remark(REMARK, None);
    }
}
