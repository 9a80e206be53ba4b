//! Writes one chunk until every record of it is durable or given up, in order per key, for as long as it takes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_sdk::{Batch, Error, ErrorKind, SinkTask, TopicPartition, WriteReport};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::batch::RawBatch;
use super::dead_letter::{DeadLetter, DeadLetters};
use super::decode::{Undecodable, letter};
use super::failure::{Failure, Stage};
use super::preparing::Patience;
use super::retry::{Backoff, Ties, to_resend};
use super::supervise::Reporter;
use crate::metrics::TaskMetrics;

/// The first delay before a write is tried again.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Delays grow no further than this, so that a store that is back is seen soon.
const LAST_DELAY: Duration = Duration::from_secs(10);
/// A write that fails for longer is worth a remark in the status.
const REMARK_AFTER: Duration = Duration::from_secs(5);

/// So many superseded writes of a partition in a row are worth a remark; a restart repeats a few.
const SUPERSEDED_REMARK: u64 = 1000;

/// A part of a batch on its way into the store.
pub(super) struct Chunk {
    pub(super) batch: Batch,
    pub(super) ties: Ties,
    /// The raw records, for dead letters
    pub(super) raw: Arc<RawBatch>,
}

/// What became of a chunk.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Every record is durable or given up as the user wished
    Done,
    /// Given back half done
    Cancelled,
    /// The task must end
    Failed(Failure),
}

/// What all chunks of a task share.
pub(super) struct Writer {
    pub(super) task: Arc<dyn SinkTask>,
    pub(super) class: String,
    pub(super) dead_letters: Arc<DeadLetters>,
    pub(super) metrics: Arc<TaskMetrics>,
    pub(super) reporter: Arc<Reporter>,
    pub(super) retry_limit: Duration,
    /// After this long the task ends with what it waits for, to start anew; None for as long as it takes
    pub(super) retry_timeout: Option<Duration>,
    /// Writes in a row that were superseded, by partition
    pub(super) superseded: Mutex<HashMap<TopicPartition, u64>>,
}

/// What one answer of the store means for the chunk.
struct Verdict {
    /// To be sent again
    again: Vec<usize>,
    wished: Option<Duration>,
    /// Can never be written
    bad: Vec<(usize, Error)>,
    cause: Option<String>,
}

impl Writer {
    /// Writes a chunk. Once `cancel` fires nothing is tried again; a write in flight is waited for (whoever cannot wait
    /// drops the future).
    pub(super) async fn write(&self, chunk: &Chunk, cancel: &CancellationToken) -> Outcome {
        let mut backoff = Backoff::new(FIRST_DELAY, LAST_DELAY.min(self.retry_limit));
        let mut failing_since: Option<Instant> = None;
        let mut attempts = 0;
        // Pieces in order: records of one key may be in several of them, so the next waits for the one before.
        let mut pieces: VecDeque<Vec<usize>> = VecDeque::from([(0..chunk.batch.records.len()).collect()]);
        while let Some(piece) = pieces.pop_front() {
            if cancel.is_cancelled() {
                return Outcome::Cancelled;
            }
            let answer = self.attempt(chunk, &piece).await;
            attempts += 1;
            let made_progress = matches!(&answer, Ok(report) if report.failures.len() < piece.len());
            let verdict = match answer {
                Ok(report) => judge(report, &piece, chunk),
                Err(error) => match error.kind() {
                    ErrorKind::Transient { retry_after } => {
                        let cause = Some(error.chain());
                        Ok(Verdict { again: piece, wished: retry_after, bad: Vec::new(), cause })
                    }
                    ErrorKind::BadRecord if piece.len() > 1 => {
                        let (first, second) = piece.split_at(piece.len() / 2);
                        pieces.push_front(second.to_vec());
                        pieces.push_front(first.to_vec());
                        continue;
                    }
                    ErrorKind::BadRecord => {
                        let bad = piece.first().map(|index| (*index, error)).into_iter().collect();
                        Ok(Verdict { again: Vec::new(), wished: None, bad, cause: None })
                    }
                    _ => Err(Failure::at(Stage::Write, range(chunk, &piece), error)),
                },
            };
            let verdict = match verdict {
                Ok(verdict) => verdict,
                Err(failure) => return Outcome::Failed(failure),
            };
            if made_progress {
                backoff.reset();
            }
            if let Err(outcome) = self.give_up(chunk, verdict.bad, attempts, cancel).await {
                return outcome;
            }
            if verdict.again.is_empty() {
                self.recovered(&mut failing_since);
                continue;
            }
            let since = *failing_since.get_or_insert_with(Instant::now);
            if self.retry_timeout.is_some_and(|limit| since.elapsed() >= limit) {
                return Outcome::Failed(tired(chunk, &verdict.again, verdict.cause, since));
            }
            pieces.push_front(verdict.again);
            self.metrics.retry();
            self.remark(since, verdict.cause.as_deref());
            tokio::select! {
                () = cancel.cancelled() => return Outcome::Cancelled,
                () = tokio::time::sleep(backoff.delay(verdict.wished)) => {}
            }
        }
        Outcome::Done
    }

    fn recovered(&self, failing_since: &mut Option<Instant>) {
        if failing_since.take().is_some() {
            self.reporter.remark("write", None);
        }
    }

    async fn attempt(&self, chunk: &Chunk, piece: &[usize]) -> millrace_sdk::Result<WriteReport> {
        let whole = piece.len() == chunk.batch.records.len();
        let subset;
        let batch = if whole {
            &chunk.batch
        } else {
            let records = piece.iter().map(|index| chunk.batch.records[*index].clone()).collect();
            subset = Batch { origin: chunk.batch.origin.clone(), records };
            &subset
        };
        let started = Instant::now();
        let origin = &batch.origin;
        let span = tracing::info_span!(
            "sink.write",
            otel.kind = "client",
            class = self.class,
            topic = %origin.topic,
            partition = origin.partition,
            records = batch.records.len(),
        );
        let answer = self.task.write(batch).instrument(span).await;
        let written = answer.as_ref().map_or(0, |report| batch.records.len().saturating_sub(report.failures.len()));
        self.metrics.sink_write(batch.records.len(), written, started.elapsed());
        if let Ok(report) = &answer {
            self.metrics.sink_superseded(report.superseded);
            self.superseded(batch, report);
        }
        if let Err(error) = &answer {
            self.metrics.errors(Stage::Write.name(), error.kind().name(), batch.records.len() as u64);
        }
        answer
    }

    /// A partition of which all writes are superseded is worth a remark: its topic was made anew, or somebody else writes.
    fn superseded(&self, batch: &Batch, report: &WriteReport) {
        let whole = report.superseded > 0 && report.superseded as usize >= batch.records.len();
        let mut rows = self.superseded.lock().unwrap_or_else(PoisonError::into_inner);
        if whole {
            let row = rows.entry(batch.origin.clone()).or_default();
            *row += report.superseded;
            if *row >= SUPERSEDED_REMARK {
                let text = format!(
                    "all writes of {} are superseded, {row} in a row: the store holds newer versions. If the topic was created \
                     anew or is read again on purpose, raise millrace.versions.epoch",
                    batch.origin
                );
                self.reporter.remark("versions", Some(text));
            }
        } else if !rows.is_empty() && rows.remove(&batch.origin).is_some() && rows.is_empty() {
            self.reporter.remark("versions", None);
        }
    }

    async fn give_up(
        &self,
        chunk: &Chunk,
        bad: Vec<(usize, Error)>,
        attempts: u32,
        cancel: &CancellationToken,
    ) -> Result<(), Outcome> {
        if bad.is_empty() {
            return Ok(());
        }
        let letters = bad.into_iter().filter_map(|(index, error)| {
            let offset = chunk.batch.records[index].offset;
            let record = chunk.raw.record(chunk.raw.index_of(offset)?);
            let letter = DeadLetter::of_sink(&chunk.raw.origin, record, Stage::Write, &self.class, error);
            Some(DeadLetter { attempts, ..letter })
        });
        let letters = letters.collect();
        tokio::select! {
            () = cancel.cancelled() => Err(Outcome::Cancelled),
            given_up = self.dead_letters.give_up(letters) => given_up.map_err(Outcome::Failed),
        }
    }

    /// How long its converters are waited for.
    pub(super) fn patience(&self) -> Patience<'_> {
        Patience {
            stage: Stage::DecodeValue,
            retry_timeout: self.retry_timeout,
            delay_max: self.retry_limit,
            metrics: &self.metrics,
            reporter: &self.reporter,
        }
    }

    /// Gives records up that could not be decoded or transformed.
    pub(super) async fn give_up_undecodable(&self, raw: &RawBatch, undecodable: Vec<Undecodable>) -> Outcome {
        let letters = undecodable.into_iter().map(|record| letter(raw, record));
        match self.dead_letters.give_up(letters.collect()).await {
            Ok(()) => Outcome::Done,
            Err(failure) => Outcome::Failed(failure),
        }
    }

    fn remark(&self, since: Instant, cause: Option<&str>) {
        let cause = cause.unwrap_or("the store did not accept all records");
        tracing::debug!(task = %self.reporter.task(), cause, "write is tried again");
        if since.elapsed() >= REMARK_AFTER {
            self.reporter.remark("write", Some(format!("writes are tried again: {cause}")));
        }
    }
}

/// Sorts a report's failures.
fn judge(report: WriteReport, piece: &[usize], chunk: &Chunk) -> Result<Verdict, Failure> {
    if report.failures.is_empty() {
        return Ok(Verdict { again: Vec::new(), wished: None, bad: Vec::new(), cause: None });
    }
    let (mut failed, mut bad, mut wished, mut cause) = (Vec::new(), Vec::new(), None::<Duration>, None);
    for failure in report.failures {
        let Some(index) = piece.get(failure.index).copied() else {
            let error = Error::internal(format!("the connector names record {} of {}", failure.index, piece.len()));
            return Err(Failure::new(Stage::Write, error));
        };
        match failure.error.kind() {
            ErrorKind::Transient { retry_after } => {
                failed.push(index);
                wished = wished.max(retry_after);
                cause.get_or_insert_with(|| failure.error.chain());
            }
            ErrorKind::BadRecord => bad.push((index, failure.error)),
            _ => {
                let coordinates = chunk.batch.coordinates(&chunk.batch.records[index]);
                return Err(Failure::at(Stage::Write, coordinates, failure.error));
            }
        }
    }
    let bad_indices: Vec<usize> = bad.iter().map(|(index, _)| *index).collect();
    let mut again = to_resend(&failed, &bad_indices, &chunk.ties, chunk.batch.records.len());
    // Records of other pieces have their own turn: those before are done, those after come later.
    again.retain(|index| piece.binary_search(index).is_ok());
    Ok(Verdict { again, wished, bad, cause })
}

/// `errors.retry.timeout` is over: the task starts anew, and the records are tried again.
fn tired(chunk: &Chunk, again: &[usize], cause: Option<String>, since: Instant) -> Failure {
    let cause = cause.unwrap_or_else(|| "the store did not accept all records".to_owned());
    let seconds = since.elapsed().as_secs();
    let message = format!("{cause} (tried again for {seconds} s, errors.retry.timeout)");
    Failure::at(Stage::Write, range(chunk, again), Error::transient(message))
}

/// The records of a piece, for an error about all of them.
fn range(chunk: &Chunk, piece: &[usize]) -> String {
    let records = &chunk.batch.records;
    match (piece.first(), piece.last()) {
        (Some(first), Some(last)) if first != last => {
            format!("{} to {}", chunk.batch.coordinates(&records[*first]), records[*last].offset)
        }
        (Some(only), _) => chunk.batch.coordinates(&records[*only]),
        _ => chunk.batch.origin.to_string(),
    }
}

#[cfg(test)]
pub(in crate::task) mod tests;
