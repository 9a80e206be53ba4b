//! A change stream: the command that opens it, its answers as they come from the server, and what its errors mean. It is not
//! the driver's own, which takes every event apart; resuming is done by whoever reads.

use futures::StreamExt as _;
use millrace_sdk::{Error, Result};
use mongodb::Client;
use mongodb::bson::{Bson, Document, Timestamp, doc};
use mongodb::error::{Error as DriverError, ErrorKind as Driver};
use mongodb::options::RunCursorCommandOptions;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::raw::{self, Raw, kind, malformed};
use super::settings::{Scope, Settings};
use super::token::Token;

/// Where a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    /// With what happens from now on
    Now,
    /// With what happened at that time
    At(Timestamp),
    /// Behind an event
    After(Token),
}

/// An open change stream. Its next answer is fetched while the last one is published: a server takes longer to make an
/// answer than it takes to print one.
pub(super) struct Stream {
    replies: mpsc::Receiver<Result<Reply, DriverError>>,
    fetching: JoinHandle<()>,
}

/// An answer of the server.
pub(super) struct Reply {
    batch: RawBatch,
}

/// What is special about how one stream is opened.
#[derive(Debug, Clone, Default)]
pub(super) struct Special {
    /// Events per answer, whatever the settings say
    pub(super) batch_size: Option<u32>,
    /// Stages after the user's
    pub(super) stages: Vec<Document>,
}

/// # Errors
/// The driver's.
pub(super) async fn open(
    client: &Client,
    settings: &Settings,
    start: &Start,
    special: &Special,
) -> Result<Stream, DriverError> {
    let command = command(settings, start, special).map_err(DriverError::custom)?;
    let mut options = RunCursorCommandOptions::default();
    options.selection_criteria = client.selection_criteria().cloned();
    options.max_time = Some(settings.poll_await);
    options.batch_size = batch_size(settings, special);
    let database = client.database(database(&settings.scope));
    let cursor = database.run_cursor_command(command).with_options(options).batch().await?;
    let (ready, replies) = mpsc::channel(1);
    Ok(Stream { replies, fetching: tokio::spawn(fetch(cursor, ready)) })
}

/// Events per answer: without a limit an answer may have 16 MB.
fn batch_size(settings: &Settings, special: &Special) -> Option<u32> {
    special.batch_size.or(settings.batch_size).or_else(|| u32::try_from(settings.poll_max).ok())
}

async fn fetch(mut cursor: RawBatchCursor, ready: mpsc::Sender<Result<Reply, DriverError>>) {
    while let Ok(room) = ready.reserve().await {
        match cursor.next().await {
            Some(batch) => room.send(batch.map(|batch| Reply { batch })),
            None => return,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.fetching.abort();
    }
}

fn database(scope: &Scope) -> &str {
    match scope {
        Scope::Deployment => "admin",
        Scope::Database(database) | Scope::Collection(database, _) => database,
    }
}

fn command(settings: &Settings, start: &Start, special: &Special) -> Result<Document> {
    let mut stage = Document::new();
    if settings.scope == Scope::Deployment {
        stage.insert("allChangesForCluster", true);
    }
    if let Some(full_document) = &settings.full_document {
        stage.insert("fullDocument", full_document);
    }
    if let Some(before) = settings.full_document_before_change.as_ref().filter(|before| *before != "default") {
        stage.insert("fullDocumentBeforeChange", before);
    }
    if settings.show_expanded_events {
        stage.insert("showExpandedEvents", true);
    }
    match start {
        Start::Now => {}
        Start::At(time) => drop(stage.insert("startAtOperationTime", *time)),
        Start::After(token) => drop(stage.insert("startAfter", token.bson()?)),
    }
    let mut pipeline = vec![doc! { "$changeStream": stage }];
    pipeline.extend(settings.share.stage());
    pipeline.extend(settings.pipeline.iter().cloned());
    pipeline.extend(special.stages.iter().cloned());
    let target = match &settings.scope {
        Scope::Collection(_, collection) => Bson::from(collection),
        Scope::Deployment | Scope::Database(_) => Bson::from(1),
    };
    let mut cursor = Document::new();
    if let Some(size) = batch_size(settings, special) {
        cursor.insert("batchSize", i64::from(size));
    }
    let mut command = doc! { "aggregate": target, "pipeline": pipeline, "cursor": cursor };
    if let Some(collation) = &settings.collation {
        command.insert("collation", collation.clone());
    }
    Ok(command)
}

impl Stream {
    /// The next answer; it may hold no events. None when the server has closed the stream: the collection or the database is
    /// gone. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Result<Reply, DriverError>> {
        self.replies.recv().await
    }
}

impl Reply {
    fn cursor(&self) -> Result<&[u8]> {
        let reply = self.batch.as_raw_document().as_bytes();
        raw::field(reply, "cursor")?.and_then(Raw::document).ok_or_else(malformed)
    }

    /// The events.
    ///
    /// # Errors
    /// `BadRecord` for malformed BSON.
    pub(super) fn events(&self) -> Result<Vec<&[u8]>> {
        let mut events = Vec::new();
        for element in raw::elements(self.cursor()?)? {
            let (name, value) = element?;
            if matches!(name, b"firstBatch" | b"nextBatch") && value.kind == kind::ARRAY {
                for event in raw::elements(value.bytes)? {
                    events.push(event?.1.document().ok_or_else(malformed)?);
                }
            }
        }
        Ok(events)
    }

    /// Up to where the server has looked, events or not.
    ///
    /// # Errors
    /// `BadRecord` for malformed BSON.
    pub(super) fn token(&self) -> Result<Option<Token>> {
        let token = raw::field(self.cursor()?, "postBatchResumeToken")?.and_then(Raw::document);
        token.map(Token::of).transpose()
    }
}

/// What an error of a stream means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The oplog does not reach back to the token, or the token is no good
    Lost,
    /// The next event is larger than a document may be
    TooLarge,
    /// There is nothing to watch yet
    NoNamespace,
    /// Anything else
    Other,
}

/// The server's code, when it is an error of a command.
pub(super) fn code(error: &DriverError) -> Option<i32> {
    match &*error.kind {
        Driver::Command(command) => Some(command.code),
        _ => None,
    }
}

pub(super) fn trouble(error: &DriverError) -> Trouble {
    match &*error.kind {
        Driver::Command(command) => by_code(command.code, &command.message),
        _ => Trouble::Other,
    }
}

fn by_code(code: i32, message: &str) -> Trouble {
    match code {
        // InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost
        260 | 286 => Trouble::Lost,
        // BSONObjectTooLarge
        10_334 => Trouble::TooLarge,
        26 => Trouble::NoNamespace,
        _ => {
            let message = message.to_ascii_lowercase();
            let token = ["resume token", "resume point"].iter().any(|words| message.contains(words));
            let gone = ["not found", "does not exist", "invalid resume token", "no longer be in the oplog"];
            match code {
                _ if token && gone.iter().any(|words| message.contains(words)) => Trouble::Lost,
                280 if message.contains("bsonobj size") || message.contains("exceeds maximum") => Trouble::TooLarge,
                280 => Trouble::Lost,
                _ => Trouble::Other,
            }
        }
    }
}

/// The driver's error as ours.
pub(super) fn classified(error: DriverError, scope: &Scope) -> Error {
    let code = code(&error);
    let error = crate::error::classify(error, &format!("cannot read the change stream of {scope}"));
    match code {
        // Unrecognized field: an option that the server does not have
        Some(40_415) => {
            Error::bad_config(format!("{error}; this MongoDB does not have what the configuration asks for"))
        }
        // What is wrong with the pipeline or its options
        Some(2 | 9 | 14 | 20 | 40_324 | 40_323) => Error::bad_config(error.to_string()),
        // The $changeStream stage is only supported on replica sets
        Some(40_573) => {
            Error::bad_config(format!("{error}; change streams need a replica set: start mongod with --replSet"))
        }
        // A pre- or post-image that is required and is not there
        Some(47) => Error::bad_config(format!(
            "{error}; enable changeStreamPreAndPostImages on the collection (collMod), or ask for whenAvailable"
        )),
        // CursorNotFound, CursorKilled, QueryPlanKilled, CappedPositionLost, Interrupted: it is opened again
        Some(43 | 237 | 175 | 136 | 11_601) => Error::transient(error.to_string()),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
