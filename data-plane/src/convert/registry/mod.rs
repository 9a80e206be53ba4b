//! Converters whose payloads begin with the id of a schema in a registry: a zero byte, four bytes of id, then data in one of
//! the [`Format`]s. What an id or a Connect schema means is asked before a batch is converted; converting itself only looks
//! it up, once per run of records with the same schema.

mod client;
mod format;
mod options;
mod scrub;
mod settings;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use millrace_sdk::{Datum, Error, ErrorKind, Flat, Result, Schema, Value};

use super::{Converter, Preparation, Role};
use client::Client;
use settings::{Access, Policy, WriteSchema};

pub(super) use client::{Fetched, Text};
pub(super) use format::{Format, Read, Write, alone, flags};
pub(super) use options::findings;
pub(super) use scrub::scrubbed;
pub(super) use settings::Reader as Settings;

/// Questions that are asked at a time.
const CONCURRENT: usize = 8;
/// What was found wrong is believed this long: it may be mended in the registry.
const DOUBT: Duration = Duration::from_secs(30);
/// The zero byte and the id
pub(super) const PREFIX: usize = 5;

/// What is known of a schema.
enum Known<T> {
    Usable(T),
    /// Why it is not, and since when that is known
    Unusable(String, Instant),
}

impl<T> Known<T> {
    fn usable(&self) -> Result<&T> {
        match self {
            Self::Usable(one) => Ok(one),
            Self::Unusable(why, _) => Err(Error::bad_record(why.clone())),
        }
    }

    /// Whether it is to be asked (again).
    fn is_doubtful(&self) -> bool {
        matches!(self, Self::Unusable(_, since) if since.elapsed() >= DOUBT)
    }

    /// What is wrong with a schema is said of each of its records; anything else is an error of the asking.
    fn of(outcome: Result<T>) -> Result<Self> {
        match outcome {
            Ok(one) => Ok(Self::Usable(one)),
            Err(error) if error.kind() == ErrorKind::BadRecord => Ok(Self::Unusable(error.chain(), Instant::now())),
            Err(error) => Err(error),
        }
    }
}

/// By topic, then by id or by the schema's identity
type ByTopic<K, T> = RwLock<HashMap<String, HashMap<K, T>>>;

/// The id and the writer of a schema
type Written<W> = Arc<Known<(u32, W)>>;

/// A Connect schema's way into a topic.
struct Way<W> {
    /// Kept alive, since its address is its name
    schema: Option<Arc<Schema>>,
    writer: Written<W>,
}

struct Inner<F: Format> {
    format: F,
    is_key: bool,
    policy: Policy,
    client: Arc<Client>,
    readers: ByTopic<u32, Known<F::Reader>>,
    ways: ByTopic<usize, Way<F::Writer>>,
}

/// A converter of a format.
pub(super) struct RegistryConverter<F: Format>(Arc<Inner<F>>);

impl<F: Format> RegistryConverter<F> {
    pub(super) fn make(role: Role, settings: &Flat) -> Result<Box<dyn Converter>> {
        let is_key = role == Role::Key;
        Ok(Box::new(Self(Arc::new(Inner {
            format: F::make(settings)?,
            is_key,
            policy: Policy::read(settings, is_key)?,
            client: Client::shared(&Access::read(settings)?)?,
            readers: RwLock::default(),
            ways: RwLock::default(),
        }))))
    }
}

/// The id that a payload begins with.
pub(super) fn id_of(payload: &[u8]) -> Result<u32> {
    match payload {
        [0, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(Error::bad_record(
            "Unknown magic byte! The payload does not begin with a zero byte and the id of a schema. Either it was not written \
             with a schema registry: use another converter; or its id is in a header: let the producer use \
             PrefixSchemaIdSerializer",
        )),
    }
}

/// Reads what follows the id with a schema at hand.
pub(super) fn decode_with<F: Format>(schema: &str, payload: &Bytes) -> Result<Datum> {
    F::make(&Flat::new())?.reader(&alone::<F>(schema.to_owned()), None)?.read(payload)
}

/// Reads a payload with its prefix, writes what it holds as that data's own schema says, and reads it again.
#[cfg(any(test, fuzzing))]
pub(super) fn round_trip<F: Format>(schema: &str, payload: &Bytes) -> Result<Option<Result<Datum>>> {
    id_of(payload)?;
    let format = F::make(&Flat::new())?;
    let read = decode_with::<F>(schema, &payload.slice(PREFIX..))?;
    let Datum::Decoded { schema, value } = &read else { return Ok(None) };
    if !has_value(&read) {
        return Ok(None);
    }
    let target = alone::<F>(format.describe(schema.as_deref())?);
    // A registry would refuse what is no schema.
    let reader = format.reader(&target, None)?;
    let mut out = Vec::new();
    format.writer(schema.as_ref(), &target)?.write(value, &mut out)?;
    Ok(Some(reader.read(&out.into())))
}

/// The name of a schema among those of a topic.
fn identity(schema: Option<&Arc<Schema>>) -> usize {
    schema.map_or(0, |schema| Arc::as_ptr(schema) as usize)
}

fn schema_of(datum: &Datum) -> Option<&Arc<Schema>> {
    match datum {
        Datum::Decoded { schema, .. } => schema.as_ref(),
        _ => None,
    }
}

/// Whether there is something to encode.
fn has_value(datum: &Datum) -> bool {
    matches!(datum, Datum::Decoded { .. }) && !datum.is_null()
}

/// Adds to what is known of a topic; beyond the limit everything that is not needed now is forgotten.
fn remember<K: Eq + Hash, T>(
    known: &ByTopic<K, T>,
    topic: &str,
    limit: usize,
    needed: impl Fn(&K) -> bool,
    new: Vec<(K, T)>,
) {
    let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
    let of_topic = known.entry(topic.to_owned()).or_default();
    if of_topic.len() + new.len() > limit {
        of_topic.retain(|key, _| needed(key));
    }
    of_topic.extend(new);
}

impl<F: Format> Inner<F> {
    /// Asks for the schemas of these ids.
    async fn learn_readers(self: Arc<Self>, topic: String, needed: HashSet<u32>, missing: Vec<u32>) -> Result<()> {
        let asked = missing.into_iter().map(|id| {
            let (inner, topic) = (&self, &topic);
            async move { Ok::<_, Error>((id, Known::of(inner.learn_reader(topic, id).await)?)) }
        });
        let new = stream::iter(asked).buffer_unordered(CONCURRENT).try_collect().await?;
        remember(&self.readers, &topic, self.policy.cache_size, |id| needed.contains(id), new);
        Ok(())
    }

    async fn learn_reader(&self, topic: &str, id: u32) -> Result<F::Reader> {
        let Some(schema) = self.client.schema(id).await? else {
            return Err(Error::bad_record(format!(
                "the schema registry knows no schema with the id {id}: the record was written with another registry, or the \
                 schema was deleted for good; register it, or set schema.registry.url to the registry of the producer"
            )));
        };
        self.check_kind(id, &schema.text)?;
        let name = self.format.record_name(&schema)?;
        let subject = self.policy.strategy.subject(topic, self.is_key, name.as_deref());
        let unusable = |error| Error::bad_record(format!("the schema with the id {id} cannot be used")).because(error);
        if self.policy.read_latest
            && let Some(subject) = &subject
            && let Some((latest, version)) =
                self.latest(subject).await?.filter(|(latest, _)| latest.text != schema.text)
        {
            return self.format.reader_as(&schema, &latest, Some(version)).map_err(unusable);
        }
        let version = match subject {
            Some(subject) => self.client.version(&subject, id, &schema.text).await?,
            None => None,
        };
        self.format.reader(&schema, version).map_err(unusable)
    }

    /// The newest schema of a subject, and its version.
    async fn latest(&self, subject: &str) -> Result<Option<(Fetched, i32)>> {
        let Some(latest) = self.client.latest(subject).await? else { return Ok(None) };
        let Some(text) = latest.text else { return Ok(None) };
        self.check_kind(latest.id, &text)?;
        Ok(Some((self.client.resolve(text).await?, latest.version)))
    }

    fn check_kind(&self, id: u32, text: &Text) -> Result<()> {
        if text.kind == F::KIND {
            return Ok(());
        }
        let converter = match text.kind.as_str() {
            "AVRO" => "avro",
            "PROTOBUF" => "protobuf",
            _ => "json-schema",
        };
        Err(Error::bad_record(format!(
            "the schema with the id {id} is of the kind {}, not {}; use the converter {converter}",
            text.kind,
            F::KIND
        )))
    }

    /// Registers or looks up what data of these schemas are written with.
    async fn learn_ways(self: Arc<Self>, topic: String, missing: Vec<Option<Arc<Schema>>>) -> Result<()> {
        let needed: HashSet<usize> = missing.iter().map(|schema| identity(schema.as_ref())).collect();
        let asked = missing.into_iter().map(|schema| {
            let (inner, topic) = (&self, &topic);
            async move {
                let known = inner.equal_way(topic, schema.as_ref());
                let writer = match known {
                    Some(writer) => writer,
                    None => Arc::new(Known::of(inner.learn_way(topic, schema.as_ref()).await)?),
                };
                Ok::<_, Error>((identity(schema.as_ref()), Way { schema, writer }))
            }
        });
        // One after another, so that equal schemas are asked for once.
        let new = stream::iter(asked).buffered(1).try_collect().await?;
        remember(&self.ways, &topic, self.policy.cache_size, |way| needed.contains(way), new);
        Ok(())
    }

    /// The way of a schema that is equal, though it lies elsewhere: transforms make new ones.
    fn equal_way(&self, topic: &str, schema: Option<&Arc<Schema>>) -> Option<Written<F::Writer>> {
        let ways = self.ways.read().unwrap_or_else(PoisonError::into_inner);
        let equal = ways.get(topic)?.values().find(|way| way.schema.as_ref() == schema && !way.writer.is_doubtful())?;
        Some(Arc::clone(&equal.writer))
    }

    async fn learn_way(&self, topic: &str, schema: Option<&Arc<Schema>>) -> Result<(u32, F::Writer)> {
        let own = alone::<F>(self.format.describe(schema.map(AsRef::as_ref))?);
        let name = self.format.record_name(&own)?;
        let subject = self.policy.strategy.subject(topic, self.is_key, name.as_deref()).ok_or_else(|| {
            let what = if self.is_key { "key" } else { "value" };
            Error::bad_record(format!(
                "{what}.subject.name.strategy asks for the name of a record, but the {what} is none"
            ))
        })?;
        let (id, target) = match self.policy.schema {
            WriteSchema::Register | WriteSchema::LookUp => {
                let register = self.policy.schema == WriteSchema::Register;
                let id = self.client.id(&subject, &own.text, register, self.policy.normalize).await?;
                let id = id.map_err(|reason| {
                    Error::bad_record(if register {
                        format!("the schema registry refuses the schema under the subject {subject}: {reason}")
                    } else {
                        format!(
                            "the schema is not registered under the subject {subject} ({reason}); register it, or set \
                             auto.register.schemas"
                        )
                    })
                })?;
                (id, own)
            }
            WriteSchema::Latest => {
                let none = || Error::bad_record(format!("use.latest.version: the subject {subject} has no schema"));
                let latest = self.client.latest(&subject).await?.ok_or_else(none)?;
                let text = latest.text.clone().ok_or_else(none)?;
                self.check_kind(latest.id, &text)?;
                if self.policy.strict && text != own.text {
                    self.check_compatible(&subject, &own.text).await?;
                }
                (latest.id, self.client.resolve(text).await?)
            }
            WriteSchema::Id(id) => {
                let found = self.client.schema(id).await?;
                let found =
                    found.ok_or_else(|| Error::bad_record(format!("use.schema.id: there is no schema {id}")))?;
                self.check_kind(id, &found.text)?;
                (id, Fetched { text: found.text.clone(), references: found.references.clone() })
            }
        };
        Ok((id, self.format.writer(schema, &target)?))
    }

    async fn check_compatible(&self, subject: &str, own: &Text) -> Result<()> {
        self.client.compatible(subject, own).await?.map_err(|why| {
            Error::bad_record(format!(
                "the newest schema of {subject} does not go with the schema of the data ({why}); register one that does, or \
                 set latest.compatibility.strict=false"
            ))
        })
    }

    fn write(&self, way: &Known<(u32, F::Writer)>, value: &Value, size: usize) -> Result<Bytes> {
        let (id, writer) = way.usable()?;
        let mut out = Vec::with_capacity(size);
        out.push(0);
        out.extend_from_slice(&id.to_be_bytes());
        writer.write(value, &mut out)?;
        Ok(out.into())
    }
}

impl<F: Format> Converter for RegistryConverter<F> {
    fn class(&self) -> &'static str {
        F::CLASS
    }

    fn prepare_decode(&self, topic: &str, payloads: &mut dyn Iterator<Item = &[u8]>) -> Option<Preparation> {
        let readers = self.0.readers.read().unwrap_or_else(PoisonError::into_inner);
        let known = readers.get(topic);
        let is_known = |id: &u32| known.is_some_and(|known| known.get(id).is_some_and(|one| !one.is_doubtful()));
        let (mut last, mut needed, mut missing) = (None, HashSet::new(), Vec::new());
        for payload in payloads {
            let Ok(id) = id_of(payload) else { continue };
            if last == Some(id) {
                continue;
            }
            last = Some(id);
            if needed.insert(id) && !is_known(&id) {
                missing.push(id);
            }
        }
        if missing.is_empty() {
            return None;
        }
        Some(Box::pin(Arc::clone(&self.0).learn_readers(topic.to_owned(), needed, missing)))
    }

    fn decode(&self, topic: &str, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>> {
        let readers = self.0.readers.read().unwrap_or_else(PoisonError::into_inner);
        let known = readers.get(topic);
        let mut last: Option<(u32, &Known<F::Reader>)> = None;
        let mut decoded = |payload: &Option<Bytes>| {
            let Some(payload) = payload else { return Ok(Datum::Null) };
            let id = id_of(payload)?;
            let reader = match last {
                Some((known, reader)) if known == id => reader,
                _ => known
                    .and_then(|known| known.get(&id))
                    .ok_or_else(|| Error::internal(format!("the schema {id} was not fetched")))?,
            };
            last = Some((id, reader));
            reader.usable()?.read(&payload.slice(PREFIX..))
        };
        payloads.iter().map(&mut decoded).collect()
    }

    fn prepare_encode(&self, topic: &str, data: &[&Datum]) -> Option<Preparation> {
        let ways = self.0.ways.read().unwrap_or_else(PoisonError::into_inner);
        let known = ways.get(topic);
        let is_known =
            |way: usize| known.is_some_and(|known| known.get(&way).is_some_and(|way| !way.writer.is_doubtful()));
        let (mut last, mut seen, mut missing) = (None, HashSet::new(), Vec::new());
        for datum in data.iter().filter(|datum| has_value(datum)) {
            let schema = schema_of(datum);
            let way = identity(schema);
            if last == Some(way) {
                continue;
            }
            last = Some(way);
            if !is_known(way) && seen.insert(way) {
                missing.push(schema.cloned());
            }
        }
        if missing.is_empty() {
            return None;
        }
        Some(Box::pin(Arc::clone(&self.0).learn_ways(topic.to_owned(), missing)))
    }

    fn encode(&self, topic: &str, data: &[&Datum]) -> Vec<Result<Option<Bytes>>> {
        let ways = self.0.ways.read().unwrap_or_else(PoisonError::into_inner);
        let known = ways.get(topic);
        let mut size = 64;
        let mut encoded = |datum: &&Datum| {
            let (schema, value) = match datum {
                Datum::Encoded(bytes) => return Ok(Some(bytes.clone())),
                Datum::Decoded { schema, value } if has_value(datum) => (schema.as_ref(), value),
                _ if schema_of(datum).is_some_and(|schema| !schema.optional) => {
                    return Err(Error::bad_record("Found null value for non-optional schema"));
                }
                _ => return Ok(None),
            };
            let way = known
                .and_then(|known| known.get(&identity(schema)))
                .ok_or_else(|| Error::internal("the schema of a record was not looked up"))?;
            let bytes = self.0.write(&way.writer, value, size)?;
            size = size.max(bytes.len());
            Ok(Some(bytes))
        };
        data.iter().map(&mut encoded).collect()
    }
}
