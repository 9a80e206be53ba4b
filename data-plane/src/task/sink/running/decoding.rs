//! From raw batches to decoded ones, beside the loop: of each partition one batch at a time, which keeps their order, and of
//! as many partitions at once as there are decoders. While a converter asks somebody for what it needs, such as a schema,
//! the loop goes on: revocations, commits and writes do not wait for a registry.
//!
//! A sink that waits for nobody is written in the same job, a part of the batch after the other: what was decoded never
//! leaves the processor's cache, and what one thread has allocated no other one frees.

use std::collections::VecDeque;
use std::sync::Arc;

use millrace_sdk::{Result, TopicPartition};
use tokio_util::sync::CancellationToken;

use super::{JobDone, Running, guarded};
use crate::convert::{Role, converter};
use crate::task::TaskSpec;
use crate::task::batch::RawBatch;
use crate::task::decode::{Converters, Decoded, PART, Undecodable, letter};
use crate::task::failure::{Failure, Stage};
use crate::task::retry::Ties;
use crate::task::write::{Chunk, Outcome, Writer};
use crate::transform::{self, Chain};

/// Decoders of one task at the most; what more processors there are is for other tasks.
pub(in crate::task::sink) const MOST: usize = 4;

/// What it takes to decode a batch. Decoders share nothing: a schema that two processors count the users of costs more than
/// decoding does.
struct Decoder {
    converters: Converters,
    /// None without transforms
    transforms: Option<Chain>,
}

/// Batches on their way to a decoder.
pub(in crate::task::sink) struct Decoding {
    spec: Arc<TaskSpec>,
    /// Decoders without work
    idle: Vec<Decoder>,
    /// Decoders that may still be made
    spare: usize,
    /// Batches in the order they came, with their assignment. Their bytes count in the task's budget.
    waiting: VecDeque<(u64, RawBatch)>,
    /// Partitions of which a decoder has a batch
    busy: Vec<TopicPartition>,
}

/// A decoder's answer.
pub(in crate::task::sink) struct DecodeDone {
    origin: TopicPartition,
    assignment: u64,
    /// None when it is lost
    decoder: Option<Decoder>,
    product: Product,
}

enum Product {
    /// To be written by lanes
    Batch(RawBatch, Decoded),
    /// Written already, or not to be written
    Ended(Ended),
}

/// How far a batch got that is written where it was decoded.
struct Ended {
    /// The last offset of what is durable or given up
    through: Option<i64>,
    oldest_ms: Option<i64>,
    outcome: Outcome,
}

impl Decoding {
    /// Makes one decoder, and says what is wrong with converters or transforms; more, up to so many, when there is work.
    pub(in crate::task::sink) fn open(spec: &Arc<TaskSpec>, most: usize) -> Result<Self> {
        let idle = vec![Decoder::make(spec)?];
        let spare = most.saturating_sub(1);
        Ok(Self { spec: Arc::clone(spec), idle, spare, waiting: VecDeque::new(), busy: Vec::new() })
    }

    /// The next batch that may be decoded, and by whom: the first one whose partition is not busy, which it is from here on.
    /// None while there is no such batch, or all decoders are busy.
    fn next(&mut self) -> Result<Option<(Decoder, u64, RawBatch)>> {
        let Some(place) = self.waiting.iter().position(|(_, raw)| !self.busy.contains(&raw.origin)) else {
            return Ok(None);
        };
        let decoder = match self.idle.pop() {
            Some(decoder) => decoder,
            None if self.spare == 0 => return Ok(None),
            None => {
                self.spare -= 1;
                Decoder::make(&self.spec)?
            }
        };
        let Some((assignment, raw)) = self.waiting.remove(place) else { return Ok(None) };
        self.busy.push(raw.origin.clone());
        Ok(Some((decoder, assignment, raw)))
    }

    fn finish(&mut self, origin: &TopicPartition) {
        self.busy.retain(|busy| busy != origin);
    }

    /// Lets go of what waits of a partition.
    pub(super) fn forget(&mut self, origin: &TopicPartition) {
        self.waiting.retain(|(_, raw)| raw.origin != *origin);
    }
}

impl Decoder {
    fn make(spec: &TaskSpec) -> Result<Self> {
        let make = |role| converter(role, &spec.config, &spec.tenant_settings);
        let mut converters = Converters::new(make(Role::Key)?, make(Role::Value)?, make(Role::Header)?);
        let transforms = transform::chain(&spec.config)?;
        if let Some(chain) = &transforms {
            converters.open_for(chain);
        }
        Ok(Self { converters, transforms })
    }

    fn decode(&mut self, raw: &RawBatch) -> Decoded {
        self.converters.decode(raw, self.transforms.as_mut())
    }

    /// Writes a batch, part by part, as far as it goes.
    async fn write(&mut self, raw: &RawBatch, writer: &Writer, cancel: &CancellationToken) -> Ended {
        let oldest_ms = raw.records().first().and_then(|record| record.timestamp_ms);
        let mut ended = Ended { through: None, oldest_ms, outcome: Outcome::Done };
        // Given up once for all, as every time Kafka's answer is waited for.
        let mut hopeless: Vec<(Arc<RawBatch>, Vec<Undecodable>)> = Vec::new();
        for part in raw.parts(PART) {
            let Some(mut last) = part.records().last().map(|record| record.offset) else { continue };
            let mut decoded = self.decode(&part);
            let refused = if writer.dead_letters.tolerates() { None } else { decoded.cut(&part) };
            let part = Arc::new(part);
            let outcome = if decoded.batch.records.is_empty() {
                Outcome::Done
            } else {
                let chunk = Chunk { batch: decoded.batch, ties: Ties::All, raw: Arc::clone(&part) };
                writer.write(&chunk, cancel).await
            };
            if !matches!(outcome, Outcome::Done) {
                ended.outcome = outcome;
                break;
            }
            if !decoded.undecodable.is_empty() {
                hopeless.push((Arc::clone(&part), decoded.undecodable));
            }
            if let Some(record) = refused {
                last = part.records()[record.index].offset - 1;
                ended.outcome = Outcome::Failed(writer.dead_letters.refuse(letter(&part, record)));
            }
            ended.through = Some(last);
            if !matches!(ended.outcome, Outcome::Done) || cancel.is_cancelled() {
                break;
            }
        }
        for (part, undecodable) in hopeless {
            if let Outcome::Failed(failure) = writer.give_up_undecodable(&part, undecodable).await {
                return Ended { through: None, outcome: Outcome::Failed(failure), ..ended };
            }
        }
        ended
    }
}

impl Running {
    /// Takes a batch of an assignment.
    pub(super) fn on_raw(&mut self, assignment: u64, raw: RawBatch) {
        self.decoding.waiting.push_back((assignment, raw));
        self.start_decoding();
    }

    /// Starts the decoding of what may be decoded.
    fn start_decoding(&mut self) {
        loop {
            match self.decoding.next() {
                Ok(Some((decoder, assignment, raw))) => self.start_decoder(decoder, assignment, raw),
                Ok(None) => return,
                Err(error) => {
                    self.failure.get_or_insert(Failure::new(Stage::Start, error));
                    return;
                }
            }
        }
    }

    fn start_decoder(&mut self, mut decoder: Decoder, assignment: u64, raw: RawBatch) {
        let origin = raw.origin.clone();
        let ending = self.ending.is_some();
        let Some(partition) =
            self.partitions.get_mut(&origin, assignment).filter(|partition| !partition.is_leaving() && !ending)
        else {
            // Revoked while the batch was on its way here, or nothing more is to be written.
            self.decoding.idle.push(decoder);
            self.decoding.finish(&origin);
            return;
        };
        let (is_local, writer, tokens) = (self.is_local, Arc::clone(&self.writer), partition.tokens.clone());
        // What is only decoded leaves no trace: nobody waits for it.
        partition.running += usize::from(is_local);
        let cancel = tokens.cancel.clone();
        let job = async move {
            let patience = writer.patience();
            let prepared = tokio::select! {
                () = cancel.cancelled() => {
                    patience.give_up();
                    Err(Outcome::Cancelled)
                }
                prepared = patience.prepare(|| decoder.converters.prepare(&raw)) => prepared.map_err(Outcome::Failed),
            };
            let product = match prepared {
                Err(outcome) => Product::Ended(Ended { through: None, oldest_ms: None, outcome }),
                Ok(()) if is_local => Product::Ended(decoder.write(&raw, &writer, &cancel).await),
                Ok(()) => {
                    let decoded = decoder.decode(&raw);
                    Product::Batch(raw, decoded)
                }
            };
            (Some(decoder), product)
        };
        let lost = |outcome| (None, Product::Ended(Ended { through: None, oldest_ms: None, outcome }));
        let stage = if is_local { Stage::Write } else { Stage::DecodeValue };
        let job = guarded(tokens.abort, stage, job, lost);
        self.jobs.spawn(async move {
            let (decoder, product) = job.await;
            JobDone::Decode(Box::new(DecodeDone { origin, assignment, decoder, product }))
        });
    }

    pub(super) fn on_decoded(&mut self, done: DecodeDone) {
        let DecodeDone { origin, assignment, decoder, product } = done;
        self.decoding.finish(&origin);
        match decoder {
            Some(decoder) => self.decoding.idle.push(decoder),
            None => self.decoding.spare += 1,
        }
        match product {
            Product::Batch(raw, decoded) => self.on_batch(assignment, raw, decoded),
            Product::Ended(ended) => self.on_ended(&origin, assignment, ended),
        }
        self.start_decoding();
    }

    fn on_ended(&mut self, origin: &TopicPartition, assignment: u64, ended: Ended) {
        if let Some(partition) = self.partitions.get_mut(origin, assignment) {
            partition.running = partition.running.saturating_sub(usize::from(self.is_local));
            if let Some(last) = ended.through {
                let number = partition.offsets.start(last, 1, ended.oldest_ms);
                partition.offsets.done(number);
            }
        }
        if let Outcome::Failed(failure) = ended.outcome {
            self.failure.get_or_insert(failure);
        }
        self.finish_revocations(false);
    }
}
