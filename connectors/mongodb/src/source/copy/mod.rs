//! Copying what exists before the stream begins: in parallel, and resumable.
//!
//! First the stream's token is taken; everything that happens from then on comes again with the stream, which begins there when
//! the copy is done. So a document may come twice, and the newest state always comes last. Collections are cut into parts by
//! ranges of `_id`, whatever its types (`parts`), and each part keeps a position of its own; a copy that was cut short goes on
//! with the parts that are left. Reads wait until the server has caught up with the token.

mod parts;
mod read;

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_sdk::{Error, Position, Positions, Result, SourceBatch};
use mongodb::Client;
use mongodb::bson::Timestamp;
use serde_json::{Map, Value as Json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use self::parts::Part;
use super::lost;
use super::position::{self, Copy};
use super::reader::Reader;
use super::settings::Settings;
use super::stream::{self, Special, Start};
use super::token::Token;

/// A copy that was begun and not ended.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) token: Token,
    pub(super) copy: Copy,
    pub(super) parts: Vec<Part>,
}

/// What all parts need.
struct Shared {
    client: Client,
    settings: Arc<Settings>,
    partition: Map<String, Json>,
    epoch: String,
    after: Option<Timestamp>,
    out: mpsc::Sender<Result<SourceBatch>>,
    /// Documents that may still be read before some are handed on
    queue: Arc<Semaphore>,
}

/// The parts of a copy as far as they are stored; None when some are not, and the copy must begin anew.
pub(super) fn begun(positions: &Positions, partition: &Map<String, Json>, token: Token, copy: Copy) -> Option<Begun> {
    let parts: BTreeMap<String, Part> = positions
        .0
        .iter()
        .filter_map(|position| Part::stored(position, partition, &copy.epoch))
        .map(|part| (part.name(), part))
        .collect();
    let whole = !copy.epoch.is_empty() && parts.len() as u64 == copy.parts;
    whole.then(|| Begun { token, copy, parts: parts.into_values().collect() })
}

/// Copies; answers where the stream begins.
///
/// # Errors
/// Why it cannot go on; positions tell what was done.
pub(super) async fn run(reader: &mut Reader, begun: Option<Begun>, missing: bool) -> Result<Token> {
    let begun = match begun {
        Some(begun) => {
            let left = begun.parts.iter().filter(|part| !part.done).count();
            tracing::info!(parts = begun.parts.len(), left, "copying goes on");
            begun
        }
        None => begin(reader, missing).await?,
    };
    let shared = Arc::new(Shared {
        client: reader.client.clone(),
        settings: Arc::clone(&reader.settings),
        partition: reader.partition.clone(),
        epoch: begun.copy.epoch.clone(),
        after: begun.token.time(),
        out: reader.out.clone(),
        queue: Arc::new(Semaphore::new(reader.settings.copying.queue)),
    });
    let threads = Arc::new(Semaphore::new(reader.settings.copying.threads));
    // Ends with this function, whatever ends it.
    let mut running = JoinSet::new();
    for part in begun.parts.into_iter().filter(|part| !part.done) {
        let (shared, threads) = (Arc::clone(&shared), Arc::clone(&threads));
        running.spawn(async move {
            let _turn = threads.acquire().await.map_err(|_| ended())?;
            read::part(&shared, part).await
        });
    }
    // The stream begins where the copy did: a long copy may outlive the oplog.
    let mut look = tokio::time::interval(lost::LOOK);
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(ended) => ended.map_err(|error| Error::internal("copying a part ended unexpectedly").because(error))??,
                None => break,
            },
            _ = look.tick() => lost::look(&reader.client, &reader.settings, &reader.reports, &begun.token).await,
        }
    }
    reader
        .send(SourceBatch {
            positions: vec![position::after(&reader.partition, &begun.token)?],
            ..SourceBatch::default()
        })
        .await?;
    tracing::info!("existing data is copied");
    Ok(begun.token)
}

fn ended() -> Error {
    Error::internal("the task ended while it copied")
}

/// The collections in scope and their sizes in bytes.
///
/// # Errors
/// When the server does not tell them.
pub(super) async fn sizes(client: &Client, settings: &Settings) -> Result<Vec<(String, u64)>> {
    let mut sizes = Vec::new();
    for source in parts::namespaces(client, settings).await? {
        let namespace = mongodb::Namespace::new(source.database.clone(), source.collection.clone());
        let bytes = parts::size(client, &namespace).await.map_or(0, |(_, bytes)| bytes);
        sizes.push((source.full(), bytes));
    }
    Ok(sizes)
}

/// Takes the token, cuts the collections into parts, and stores both before the first document is read.
async fn begin(reader: &mut Reader, missing: bool) -> Result<Begun> {
    let token = take_token(reader).await?;
    let namespaces = parts::namespaces(&reader.client, &reader.settings).await?;
    let mut all = Vec::new();
    for namespace in namespaces {
        if missing && !reader.resume.is_missing(&namespace.full()) {
            continue;
        }
        all.extend(parts::cut(&reader.client, &reader.settings, namespace).await?);
    }
    let time = token.time().unwrap_or(Timestamp { time: 0, increment: 0 });
    let copy = Copy { epoch: format!("{}.{}", time.time, time.increment), parts: all.len() as u64 };
    let mut positions: Vec<Position> =
        all.iter().map(|part| part.position(&reader.partition, &copy.epoch)).collect::<Result<_>>()?;
    positions.push(position::copying(&reader.partition, &token, &copy)?);
    tracing::info!(parts = all.len(), "copying existing data");
    reader.send(SourceBatch { positions, ..SourceBatch::default() }).await?;
    Ok(Begun { token, copy, parts: all })
}

/// Where the stream stands now. When it goes on from an older position for some namespaces, that one.
async fn take_token(reader: &Reader) -> Result<Token> {
    if let Some(after) = &reader.resume.after {
        return Ok(after.clone());
    }
    let scope = &reader.settings.scope;
    let opened = stream::open(&reader.client, &reader.settings, &Start::Now, &Special::default()).await;
    let mut stream = opened.map_err(|error| stream::classified(error, scope))?;
    loop {
        let reply = stream.next().await.ok_or_else(|| Error::transient("the change stream was closed at once"))?;
        let reply = reply.map_err(|error| stream::classified(error, scope))?;
        if let Some(token) = reply.token()? {
            return Ok(token);
        }
    }
}
