//! How the thread ends: letting go of the consumer.

use std::sync::Arc;
use std::time::Duration;

use millrace_sdk::Error;
use rdkafka::consumer::Consumer;

use super::super::super::consumer::SinkConsumer;
use super::super::FetchEvent;
use super::Fetching;

/// How often a thread that waits for nothing but a last commit looks whether it is answered.
const TICK: Duration = Duration::from_millis(100);

impl Fetching<'_> {
    /// Closes the consumer, which leaves the group (a static member's place is kept for its successor), and tells the task.
    ///
    /// While a group rebalances, Kafka reads nothing from a member's connection before it has answered the member's request to
    /// join. A commit behind it waits until all have joined, and librdkafka does not close before that. The task does not wait
    /// for this. The thread does, as a member that answers: the group need not find out that it is gone, and a successor
    /// takes its place at once.
    pub(super) fn close(mut self, outcome: Result<(), Error>) {
        let ended = FetchEvent::Ended(outcome.err());
        // Their queues hold the consumer.
        self.partitions.clear();
        self.reader = None;
        self.rooms.clear();
        self.consumer.context().close();
        let Self { task, consumer, events, commits, lookups, unanswered, .. } = self;
        let is_committing = commits.iter().any(|commit| !commit.is_finished());
        let is_out = || commits.iter().chain(&lookups).any(|call| !call.is_finished());
        if !is_out() {
            finish(consumer, unanswered);
            let _ = events.send(ended);
            return;
        }
        if is_committing {
            tracing::warn!(
                task,
                "Kafka has not answered the last commit, most likely because the group rebalances: records that it covers \
                 may be written again"
            );
        }
        let _ = events.send(ended);
        // Partitions are not paused meanwhile: a consumer that is fenced then would never end.
        while is_out() {
            consumer.poll(TICK);
        }
        finish(consumer, unanswered);
    }
}

/// Drops the last trace of the consumer, which closes it and waits for librdkafka.
fn finish(consumer: Arc<SinkConsumer>, unanswered: bool) {
    if unanswered {
        // librdkafka does not close before it is answered, and does not ask again. The answer must not make it rejoin,
        // so that it is told first.
        let _ = consumer.close_queue();
        let _ = consumer.unassign();
    }
    drop(consumer);
}
