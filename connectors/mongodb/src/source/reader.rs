//! The task's reader: a task of its own that copies, follows the stream, and hands finished batches over a short channel, so
//! that a poll that is dropped loses nothing and printing goes on while Kafka is written to.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use millrace_sdk::{Datum, Error, ErrorKind, Position, Reports, Result, SourceBatch};
use mongodb::Client;
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::copy::{self, Begun};
use super::output::{Event, Output, record};
use super::position;
use super::schema::Inferrer;
use super::settings::Settings;
use super::share::Resume;
use super::stream::{self, Reply, Special, Start, Stream, Trouble};
use super::token::Token;
use super::{lost, oversized};

/// How often a stream is opened again before the framework backs off.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(100);
/// How often a database is looked for that does not exist yet.
const NAMESPACE_PAUSE: Duration = Duration::from_secs(1);

/// Where a task begins.
#[derive(Debug, Clone)]
pub(super) enum Begin {
    Stream(Start),
    /// With a copy: all of it, or the rest of one
    Copy(Option<Begun>),
    /// With a copy of the namespaces that were never read, though others were
    CopyMissing,
}

/// Everything that the reader works with.
pub(super) struct Reader {
    pub(super) client: Client,
    pub(super) settings: Arc<Settings>,
    pub(super) partition: Map<String, Json>,
    pub(super) resume: Resume<Token>,
    pub(super) out: mpsc::Sender<Result<SourceBatch>>,
    pub(super) reports: Reports,
    pub(super) output: Output,
    pub(super) inferrer: Inferrer,
    /// When a position was handed on last, and the last one that a heartbeat told
    pub(super) beat: (Instant, Option<Token>),
    /// When the oplog was looked at last
    pub(super) looked: Option<Instant>,
    /// Fragments of a split event
    pub(super) fragments: Vec<Vec<u8>>,
}

impl Reader {
    /// Reads until it cannot go on; the reason goes the way of the batches.
    pub(super) async fn run(mut self, begin: Begin) {
        let Err(error) = self.read(begin).await;
        // Nobody listens when the task was closed.
        let _ = self.out.send(Err(error)).await;
    }

    async fn read(&mut self, begin: Begin) -> Result<Infallible> {
        let mut place = match begin {
            Begin::Stream(start) => start,
            Begin::Copy(begun) => Start::After(copy::run(self, begun, false).await?),
            Begin::CopyMissing => Start::After(copy::run(self, None, true).await?),
        };
        let mut tries = 0;
        loop {
            let trouble = match self.open(&place).await {
                Ok(mut stream) => match self.follow(&mut stream, &mut place, &mut tries).await? {
                    // The server has closed the stream behind an event that invalidates it; the next one begins after that.
                    None => {
                        tracing::info!(scope = %self.settings.scope, "the change stream was closed and is opened behind its end");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    Some(error) => error,
                },
                Err(error) => error,
            };
            match stream::trouble(&trouble) {
                Trouble::Lost => place = lost::decide(self, &place, &trouble).await?,
                Trouble::TooLarge => place = oversized::pass(self, place).await?,
                Trouble::NoNamespace => {
                    tracing::debug!(scope = %self.settings.scope, "there is nothing to watch yet");
                    tokio::time::sleep(NAMESPACE_PAUSE).await;
                }
                Trouble::Other => {
                    let error = stream::classified(trouble, &self.settings.scope);
                    if !matches!(error.kind(), ErrorKind::Transient { .. }) || tries >= TRIES {
                        return Err(error);
                    }
                    tracing::warn!(error = error.chain(), "the change stream is opened again");
                    tokio::time::sleep(PAUSE * 2_u32.pow(tries)).await;
                    tries += 1;
                }
            }
        }
    }

    async fn open(&self, place: &Start) -> Result<Stream, mongodb::error::Error> {
        stream::open(&self.client, &self.settings, place, &Special::default()).await
    }

    /// Publishes what the stream brings until it ends (None) or breaks.
    async fn follow(
        &mut self,
        stream: &mut Stream,
        place: &mut Start,
        tries: &mut u32,
    ) -> Result<Option<mongodb::error::Error>> {
        self.fragments.clear();
        while let Some(reply) = stream.next().await {
            match reply {
                Ok(reply) => self.publish(&reply, place).await?,
                Err(error) => return Ok(Some(error)),
            }
            *tries = 0;
            lost::watch_oplog(self, place).await;
        }
        Ok(None)
    }

    /// Hands on the events of an answer, and how far that is.
    pub(super) async fn publish(&mut self, reply: &Reply, place: &mut Start) -> Result<()> {
        let events = reply.events()?;
        let end = reply.token()?;
        if events.is_empty() {
            return match end {
                Some(token) => self.idle(token, place).await,
                None => Ok(()),
            };
        }
        let chunks = events.chunks(self.settings.poll_max);
        let last = chunks.len() - 1;
        for (index, chunk) in chunks.enumerate() {
            let (mut batch, reached) = self.batch(chunk)?;
            let token = match &end {
                Some(end) if index == last && self.fragments.is_empty() => Some(end.clone()),
                _ => reached,
            };
            if let Some(token) = &token {
                batch.positions.push(self.position(token)?);
            }
            self.send(batch).await?;
            if let Some(token) = token {
                self.reached(token, place);
            }
        }
        Ok(())
    }

    /// What becomes of events, and the token of the last one that is whole.
    fn batch(&mut self, events: &[&[u8]]) -> Result<(SourceBatch, Option<Token>)> {
        let mut reached = None;
        let bytes = events.iter().map(|event| event.len()).sum();
        let mut batch = self.output.batch(&mut self.inferrer, bytes);
        for bytes in events {
            let merged;
            let bytes = match oversized::merge(&mut self.fragments, bytes)? {
                oversized::Merged::Whole => *bytes,
                oversized::Merged::Of(whole) => {
                    merged = whole;
                    &merged
                }
                oversized::Merged::Pending => continue,
            };
            let event = Event::parse(bytes)?;
            let token = event.id.and_then(super::raw::Raw::document);
            let is_old = match token {
                Some(token) if self.resume.until.is_some() => {
                    self.resume.is_old(&event.namespace(), &Token::of(token)?)
                }
                _ => false,
            };
            if !is_old {
                batch.add(&event)?;
            }
            reached = token.map(<[u8]>::to_vec);
        }
        let made = batch.finish();
        let batch = SourceBatch { records: made.records, failures: made.failures, ..SourceBatch::default() };
        Ok((batch, reached.as_deref().map(Token::of).transpose()?))
    }

    fn reached(&mut self, token: Token, place: &mut Start) {
        if self.resume.until.as_ref().is_some_and(|until| *until < token) {
            self.resume.until = None;
        }
        self.beat.0 = Instant::now();
        *place = Start::After(token);
    }

    /// Nothing happened: the position moves all the same, now and then, so that a quiet collection keeps its place in the
    /// oplog.
    async fn idle(&mut self, token: Token, place: &mut Start) -> Result<()> {
        let first = *place == Start::Now;
        let due = self.settings.heartbeat.every.is_some_and(|every| self.beat.0.elapsed() >= every);
        let moved = self.beat.1.as_ref() != Some(&token);
        if first || (due && moved) {
            let mut position = self.position(&token)?;
            let mut records = Vec::new();
            if let Some(topic) = self.settings.heartbeat.topic.as_ref().filter(|_| due) {
                position.offset.insert("HEARTBEAT".to_owned(), Json::from("true"));
                records.push(record(topic.clone(), self.output.text(token.json()?), Datum::Null));
            }
            self.send(SourceBatch { records, positions: vec![position], ..SourceBatch::default() }).await?;
            self.beat = (Instant::now(), Some(token.clone()));
        }
        *place = Start::After(token);
        Ok(())
    }

    pub(super) fn position(&self, token: &Token) -> Result<Position> {
        position::after(&self.partition, token)
    }

    pub(super) async fn send(&self, batch: SourceBatch) -> Result<()> {
        self.out.send(Ok(batch)).await.map_err(|_| Error::internal("the task was closed"))
    }
}
