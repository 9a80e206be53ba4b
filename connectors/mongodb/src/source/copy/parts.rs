//! Which collections are copied, and into which parts they are cut. The bounds are drawn from a sample of `_id`s that the
//! server sorts, so that they are right for any mixture of types.

use futures::TryStreamExt as _;
use millrace_sdk::{Error, Position, Result};
use mongodb::bson::{Bson, Document, doc};
use mongodb::results::CollectionType;
use mongodb::{Client, Namespace};
use serde_json::{Map, Value as Json};

use super::super::json::{self, Mode};
use super::super::raw;
use super::super::settings::{Scope, Settings};
use crate::error::classify;

/// A part holds about so many documents or bytes.
const PART_DOCUMENTS: u64 = 200_000;
const PART_BYTES: u64 = 64 << 20;
/// A collection of fewer documents is one part.
const SMALL: u64 = 20_000;
/// The most parts of one collection: each keeps a position.
const MOST_PARTS: u64 = 256;
/// Documents sampled per part.
const SAMPLES: u64 = 20;

/// A collection to copy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    pub(super) database: String,
    pub(super) collection: String,
    /// It has an index on `_id`: it is no view and no time series
    plain: bool,
}

impl Source {
    pub(super) fn full(&self) -> String {
        format!("{}.{}", self.database, self.collection)
    }
}

/// A range of `_id`s of a collection.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source) struct Part {
    pub(super) database: String,
    pub(super) collection: String,
    index: u64,
    /// Whether ranges of `_id` can be asked for
    pub(super) plain: bool,
    /// The first `_id`; None = from the beginning
    pub(super) from: Option<Bson>,
    /// The first `_id` behind it; None = to the end
    pub(super) to: Option<Bson>,
    /// The last `_id` that was read
    pub(super) at: Option<Bson>,
    pub(super) done: bool,
}

/// The collections in scope that exist.
///
/// # Errors
/// When the server does not tell them.
pub(super) async fn namespaces(client: &Client, settings: &Settings) -> Result<Vec<Source>> {
    let databases = match &settings.scope {
        Scope::Database(database) | Scope::Collection(database, _) => vec![database.clone()],
        Scope::Deployment => {
            let names = client.list_database_names().await.map_err(|error| classify(error, "cannot list databases"))?;
            let internal = |name: &str| ["admin", "config", "local"].iter().any(|prefix| name.starts_with(prefix));
            names.into_iter().filter(|name| !internal(name)).collect()
        }
    };
    let mut sources = Vec::new();
    for database in databases {
        let doing = format!("cannot list the collections of {database}");
        let listed = client.database(&database).list_collections().await;
        let listed = listed.map_err(|error| classify(error, &doing))?;
        let listed: Vec<_> = listed.try_collect().await.map_err(|error| classify(error, &doing))?;
        for one in listed {
            let wanted = match &settings.scope {
                Scope::Collection(_, collection) => one.name == *collection,
                _ => !one.name.starts_with("system."),
            };
            let plain = one.collection_type == CollectionType::Collection;
            let source = Source { database: database.clone(), collection: one.name, plain };
            let named = source.full();
            let matches =
                settings.copying.namespaces.as_ref().is_none_or(|regex| regex.is_match(&named).unwrap_or(false));
            if wanted && matches && settings.share.covers(&named) {
                sources.push(source);
            }
        }
    }
    sources.sort_by_key(Source::full);
    Ok(sources)
}

/// Documents and bytes of a collection; None when the server does not tell.
pub(in crate::source) async fn size(client: &Client, namespace: &Namespace) -> Option<(u64, u64)> {
    let pipeline = [
        doc! { "$collStats": { "storageStats": {} } },
        doc! { "$project": { "storageStats.count": 1, "storageStats.size": 1 } },
    ];
    let collection = client.database(&namespace.db).collection::<Document>(&namespace.coll);
    let found: Vec<Document> = collection.aggregate(pipeline).await.ok()?.try_collect().await.ok()?;
    let number = |stats: &Document, key: &str| match stats.get(key) {
        Some(Bson::Int32(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Bson::Int64(number)) => u64::try_from(*number).unwrap_or(0),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
        Some(Bson::Double(number)) => *number as u64,
        _ => 0,
    };
    let stats: Vec<&Document> = found.iter().filter_map(|one| one.get_document("storageStats").ok()).collect();
    // One answer per shard
    let sum = |key: &str| stats.iter().map(|stats| number(stats, key)).sum();
    Some((sum("count"), sum("size")))
}

/// How many parts a collection is cut into.
fn how_many(documents: u64, bytes: u64, threads: usize) -> u64 {
    if documents < SMALL {
        return 1;
    }
    let wanted = (bytes / PART_BYTES).max(documents / PART_DOCUMENTS).max(threads as u64 * 2);
    // A sample that is small beside the collection is cheap, and parts that are too small are not.
    wanted.clamp(1, MOST_PARTS.min(documents / (SAMPLES * 25)).max(1))
}

/// The parts of a collection.
///
/// # Errors
/// When the server does not answer.
pub(super) async fn cut(client: &Client, settings: &Settings, source: Source) -> Result<Vec<Part>> {
    let namespace = Namespace::new(source.database.clone(), source.collection.clone());
    let (documents, bytes) = if source.plain { size(client, &namespace).await.unwrap_or((0, 0)) } else { (0, 0) };
    let parts = how_many(documents, bytes, settings.copying.threads);
    let bounds = if parts > 1 { bounds(client, &namespace, parts).await? } else { Vec::new() };
    let mut cut = Vec::new();
    let mut from = None;
    for (index, to) in bounds.into_iter().map(Some).chain([None]).enumerate() {
        cut.push(Part {
            database: source.database.clone(),
            collection: source.collection.clone(),
            index: index as u64,
            plain: source.plain,
            from: std::mem::replace(&mut from, to.clone()),
            to,
            at: None,
            done: false,
        });
    }
    Ok(cut)
}

async fn bounds(client: &Client, namespace: &Namespace, parts: u64) -> Result<Vec<Bson>> {
    let doing = format!("cannot sample {namespace}");
    let sample = i64::try_from(parts * SAMPLES).unwrap_or(1000);
    let pipeline =
        [doc! { "$sample": { "size": sample } }, doc! { "$project": { "_id": 1 } }, doc! { "$sort": { "_id": 1 } }];
    let collection = client.database(&namespace.db).collection::<Document>(&namespace.coll);
    let sampled = collection.aggregate(pipeline).await.map_err(|error| classify(error, &doing))?;
    let sampled: Vec<Document> = sampled.try_collect().await.map_err(|error| classify(error, &doing))?;
    let step = (sampled.len() / usize::try_from(parts).unwrap_or(1)).max(1);
    let mut bounds: Vec<Bson> = Vec::new();
    for id in sampled.into_iter().filter_map(|mut one| one.remove("_id")).skip(step).step_by(step) {
        if bounds.last() != Some(&id) && bounds.len() as u64 + 1 < parts {
            bounds.push(id);
        }
    }
    Ok(bounds)
}

impl Part {
    /// Unique within a copy.
    pub(super) fn name(&self) -> String {
        format!("{}.{}#{}", self.database, self.collection, self.index)
    }

    pub(super) fn full(&self) -> String {
        format!("{}.{}", self.database, self.collection)
    }

    /// Its position.
    ///
    /// # Errors
    /// `Internal` when an `_id` cannot be written.
    pub(super) fn position(&self, partition: &Map<String, Json>, epoch: &str) -> Result<Position> {
        let mut partition = partition.clone();
        partition.insert("part".to_owned(), Json::from(self.name()));
        let mut offset = Map::new();
        offset.insert("epoch".to_owned(), Json::from(epoch));
        offset.insert("plain".to_owned(), Json::from(self.plain));
        for (key, id) in [("from", &self.from), ("to", &self.to), ("at", &self.at)] {
            if let Some(id) = id.as_ref().filter(|_| !self.done) {
                offset.insert(key.to_owned(), Json::from(written(id)?));
            }
        }
        if self.done {
            offset.insert("done".to_owned(), Json::from(true));
        }
        Ok(Position { partition, offset })
    }

    /// The part of a stored position, when it is one of this copy.
    pub(super) fn stored(position: &Position, partition: &Map<String, Json>, epoch: &str) -> Option<Self> {
        let text = |map: &Map<String, Json>, key: &str| map.get(key).and_then(Json::as_str).map(str::to_owned);
        let same = ["ns", "share"].iter().all(|key| position.partition.get(*key) == partition.get(*key));
        if !same || text(&position.offset, "epoch").as_deref() != Some(epoch) {
            return None;
        }
        let name = text(&position.partition, "part")?;
        let (namespace, index) = name.rsplit_once('#')?;
        let (database, collection) = namespace.split_once('.')?;
        let flag = |key: &str| position.offset.get(key).and_then(Json::as_bool).unwrap_or(false);
        let id = |key: &str| match text(&position.offset, key) {
            None => Some(None),
            Some(text) => read(&text).map(Some),
        };
        Some(Self {
            database: database.to_owned(),
            collection: collection.to_owned(),
            index: index.parse().ok()?,
            plain: flag("plain"),
            from: id("from")?,
            to: id("to")?,
            at: id("at")?,
            done: flag("done"),
        })
    }
}

/// An `_id` as canonical extended JSON.
fn written(id: &Bson) -> Result<String> {
    let malformed = |error| Error::internal("an _id cannot be written").because(error);
    let document = mongodb::bson::serialize_to_vec(&doc! { "_id": id.clone() }).map_err(malformed)?;
    let mut text = Vec::new();
    match raw::field(&document, "_id")? {
        Some(id) => json::value(Mode::Extended, id, &mut text)?,
        None => return Err(raw::malformed()),
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn read(text: &str) -> Option<Bson> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests;
