//! How a life of a sink ends.

use millrace_sdk::{Error, ErrorKind, TopicPartition};
use tokio::time::Instant;

use super::Running;
use crate::task::failure::{Failure, Stage};
use crate::task::fetch::{Command, FetchEvent};

impl Running {
    /// Ends in good order: after a stop, or after a failure.
    pub(super) async fn wind_down(mut self) -> Result<(), Failure> {
        let limit = self.life.environment.stop_timeout;
        let deadline = Instant::now() + limit;
        // The larger share is for writes; committing and closing need the rest.
        let writes_until = Instant::now() + limit.mul_f64(0.7);
        let origins: Vec<TopicPartition> = self.partitions.all().map(|(origin, _)| origin.clone()).collect();
        for origin in &origins {
            self.quiesce(origin);
        }
        while self.partitions.any_running() {
            tokio::select! {
                Some(done) = self.jobs.join_next() => self.on_joined(done),
                () = tokio::time::sleep_until(writes_until) => break,
                else => break,
            }
        }
        for (_, partition) in self.partitions.all() {
            partition.tokens.abort.cancel();
        }
        let fenced = self.failure.as_ref().is_some_and(|failure| failure.kind() == ErrorKind::Fenced);
        if fenced {
            self.fetcher.tell(Command::Abandon);
        } else {
            // What Kafka has confirmed is not committed again: a commit may have to wait, as in a rebalance.
            let offsets = match self.commit_sent {
                None => self.partitions.take_watermarks(),
                Some(_) => self.partitions.watermarks(),
            };
            self.fetcher.tell(Command::Close(offsets));
        }
        let closed = self.wait_for_end(deadline).await;
        self.close_connector(deadline).await;
        match (self.failure, closed) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) => Err(Failure::new(Stage::Commit, error)),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Waits until the poll thread has committed and closed.
    async fn wait_for_end(&mut self, deadline: Instant) -> Result<(), Error> {
        loop {
            let event = tokio::time::timeout_at(deadline, self.fetcher.events.recv()).await;
            match event {
                Ok(Some(FetchEvent::Ended(Some(error)))) => return Err(error),
                Ok(Some(FetchEvent::Ended(None)) | None) => return Ok(()),
                Ok(Some(FetchEvent::Committed(result))) => self.on_committed(result),
                // A revocation that comes now is answered by the closing of the consumer.
                Ok(Some(_)) => {}
                Err(_) => {
                    tracing::warn!(task = %self.life.spec.id, "the Kafka consumer did not close in time");
                    return Ok(());
                }
            }
        }
    }

    async fn close_connector(&mut self, deadline: Instant) {
        self.jobs.shutdown().await;
        match tokio::time::timeout_at(deadline, self.writer.task.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(task = %self.life.spec.id, error = error.chain(), "connector did not close well")
            }
            Err(_) => tracing::warn!(task = %self.life.spec.id, "connector did not close in time"),
        }
    }

    /// The poll thread has ended by itself: no commit is possible any more.
    pub(super) async fn ended(mut self, error: Option<Error>) -> Result<(), Failure> {
        for (_, partition) in self.partitions.all() {
            partition.tokens.abort.cancel();
        }
        self.close_connector(Instant::now() + self.life.environment.stop_timeout).await;
        let error = error.unwrap_or_else(|| Error::internal("the poll thread has ended unasked"));
        Err(Failure::new(Stage::Fetch, error))
    }
}
