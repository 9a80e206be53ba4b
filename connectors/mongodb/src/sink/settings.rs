//! What the keys come to, per topic: namespaces, ids, processors and write models after `topic.override.<topic>.…`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millrace_sdk::{Datum, Problem, Record, config::nearest};

use super::cdc::Cdc;
use super::config::{OVERRIDE_PREFIX, SinkConfig, TopicConfig};
use super::namespace::{self, Namespaces};
use super::process::{Processor, Projection, TimeFormat};
use super::timeseries::TimeSeries;

/// Key or value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The key
    Key,
    /// The value
    Value,
}

impl Side {
    /// That side of a record.
    pub(crate) fn of(self, record: &Record) -> &Datum {
        match self {
            Self::Key => &record.key,
            Self::Value => &record.value,
        }
    }
}

/// Where `_id` comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum IdStrategy {
    /// An object id from the record's timestamp and coordinates
    BsonOid,
    /// `topic#partition#offset`
    KafkaMetaData,
    /// A UUID from the record's coordinates, as binary or as text
    Uuid { binary: bool },
    /// The whole key
    FullKey,
    /// Some fields of key or value
    Partial(Side, Projection),
    /// The `_id` of key or value, perhaps as a UUID
    Provided { side: Side, uuid: bool },
}

impl IdStrategy {
    /// Whether the id belongs to the record alone, so that a second document with it can only be a replay.
    pub(crate) fn is_per_record(&self) -> bool {
        matches!(self, Self::BsonOid | Self::KafkaMetaData | Self::Uuid { .. })
    }

    fn deletes_by_key(&self) -> bool {
        matches!(self, Self::FullKey | Self::Partial(Side::Key, _) | Self::Provided { side: Side::Key, uuid: false })
    }
}

/// What is done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteModel {
    /// Replace by `_id`, insert when absent
    Replace,
    /// Insert
    Insert,
    /// Set the fields, keep others
    Update,
    /// Set the fields and the timestamps
    UpdateTimestamps,
    /// Delete by the key
    Delete,
    /// Replace by the fields of the `_id`, insert when absent
    ReplaceBusinessKey,
    /// Set the fields and the timestamps, by the fields of the `_id`
    UpdateBusinessKey,
    /// Delete by the fields of the `_id`
    DeleteBusinessKey,
}

/// How a null value deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tombstone {
    /// By the id that the strategy makes of the key
    ById,
    /// By the key's fields that the strategy picks
    BusinessKey,
}

/// A pause after some batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// How long
    pub(crate) pause: Duration,
    /// After how many batches
    pub(crate) every: u64,
}

/// Settings of one topic.
#[derive(Debug, Clone)]
pub(crate) struct TopicSettings {
    /// Where documents go
    pub(crate) namespaces: Namespaces,
    /// Where `_id` comes from
    pub(crate) id: IdStrategy,
    /// Whether it replaces an existing `_id`
    pub(crate) overwrite_existing_id: bool,
    /// What happens before the write, in order; `None` when it is only that documents get their ids
    pub(crate) chain: Option<Vec<Processor>>,
    /// What is done with documents
    pub(crate) model: WriteModel,
    /// Whether and how null values delete
    pub(crate) tombstone: Option<Tombstone>,
    /// Change events instead of documents
    pub(crate) cdc: Option<Cdc>,
    /// The collection is a time series
    pub(crate) time_series: Option<TimeSeries>,
    /// Documents per command; 0 means as many as fit
    pub(crate) max_batch: usize,
    /// A pause after some batches
    pub(crate) rate_limit: Option<RateLimit>,
    /// Whether refused records are passed over; `None` leaves it to `errors.tolerance`
    pub(crate) tolerates: Option<bool>,
}

impl TopicSettings {
    /// Whether records become commands without a document tree between.
    pub(crate) fn is_direct(&self) -> bool {
        self.chain.is_none()
            && self.cdc.is_none()
            && self.namespaces.is_fixed()
            && matches!(
                self.model,
                WriteModel::Replace | WriteModel::Insert | WriteModel::Update | WriteModel::UpdateTimestamps
            )
            && self.tombstone != Some(Tombstone::BusinessKey)
    }
}

impl TopicSettings {
    /// Why the writes of this topic cannot be guarded by versions. Only a unique `_id` refuses a second document, by which a
    /// guarded upsert learns that a newer version is there.
    pub(crate) fn unguarded(&self) -> Option<&'static str> {
        if self.cdc.is_some() {
            return Some(
                "change events say themselves what they change; remove millrace.versions or change.data.capture.handler",
            );
        }
        if self.time_series.is_some() {
            return Some(
                "measurements of time series cannot be changed; remove millrace.versions or timeseries.timefield",
            );
        }
        match self.model {
            WriteModel::Insert => {
                Some("inserts never overwrite anything; remove millrace.versions, or set writemodel.strategy")
            }
            WriteModel::ReplaceBusinessKey | WriteModel::UpdateBusinessKey | WriteModel::DeleteBusinessKey => Some(
                "no unique index is known to stand behind a business key; remove millrace.versions, or use a strategy that goes by \
                 _id (ReplaceOneDefaultStrategy with PartialKeyStrategy or PartialValueStrategy keeps the same fields in the _id)",
            ),
            _ if self.tombstone == Some(Tombstone::BusinessKey) => Some(
                "no unique index is known to stand behind a business key; remove millrace.versions or delete.writemodel.strategy",
            ),
            _ => None,
        }
    }
}

/// Settings of every topic.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    base: TopicSettings,
    overrides: BTreeMap<String, TopicSettings>,
}

type Names<T> = [(&'static str, T)];

const WRITE_MODELS: &Names<WriteModel> = &[
    ("DefaultWriteModelStrategy", WriteModel::Replace),
    ("ReplaceOneDefaultStrategy", WriteModel::Replace),
    ("InsertOneDefaultStrategy", WriteModel::Insert),
    ("UpdateOneDefaultStrategy", WriteModel::Update),
    ("UpdateOneTimestampsStrategy", WriteModel::UpdateTimestamps),
    ("DeleteOneDefaultStrategy", WriteModel::Delete),
    ("ReplaceOneBusinessKeyStrategy", WriteModel::ReplaceBusinessKey),
    ("UpdateOneBusinessKeyTimestampStrategy", WriteModel::UpdateBusinessKey),
    ("DeleteOneBusinessKeyStrategy", WriteModel::DeleteBusinessKey),
];

const TOMBSTONES: &Names<Tombstone> =
    &[("DeleteOneDefaultStrategy", Tombstone::ById), ("DeleteOneTombstoneBusinessKeyStrategy", Tombstone::BusinessKey)];

const ID_STRATEGIES: &Names<()> = &[
    ("BsonOidStrategy", ()),
    ("KafkaMetaDataStrategy", ()),
    ("UuidStrategy", ()),
    ("FullKeyStrategy", ()),
    ("PartialKeyStrategy", ()),
    ("PartialValueStrategy", ()),
    ("ProvidedInKeyStrategy", ()),
    ("ProvidedInValueStrategy", ()),
    ("UuidProvidedInKeyStrategy", ()),
    ("UuidProvidedInValueStrategy", ()),
];

impl Settings {
    /// Settings of a configuration.
    ///
    /// # Errors
    /// Every problem found.
    pub(crate) fn resolve(config: &SinkConfig) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let base = resolve_one(&config.topic, "", &mut problems);
        let own = config.topic.overridden(&config.extra, &mut problems);
        // A problem of the base shows again in each topic that does not override it.
        let known: BTreeSet<String> = problems.iter().map(|problem| problem.key.clone()).collect();
        let mut overrides = BTreeMap::new();
        for (topic, one) in own {
            let prefix = format!("{OVERRIDE_PREFIX}{topic}.");
            let mut found = Vec::new();
            let resolved = resolve_one(&one, &prefix, &mut found);
            found.retain(|problem| {
                config.extra.contains_key(&problem.key)
                    || problem.key.strip_prefix(&prefix).is_none_or(|name| !known.contains(name))
            });
            problems.extend(found);
            if let Some(resolved) = resolved {
                overrides.insert(topic, resolved);
            }
        }
        match base {
            Some(base) if problems.is_empty() => Ok(Self { base, overrides }),
            _ => Err(problems),
        }
    }

    /// Settings of a topic.
    pub(crate) fn of(&self, topic: &str) -> &TopicSettings {
        self.overrides.get(topic).unwrap_or(&self.base)
    }

    /// All that there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = &TopicSettings> {
        std::iter::once(&self.base).chain(self.overrides.values())
    }

    /// Every topic known before the first record with its settings.
    pub(crate) fn known<'a>(&'a self, topics: &'a [String]) -> impl Iterator<Item = (&'a str, &'a TopicSettings)> {
        let named: BTreeSet<&str> =
            topics.iter().map(String::as_str).chain(self.overrides.keys().map(String::as_str)).collect();
        let all = named.into_iter().map(|topic| (topic, self.of(topic)));
        all.chain((!self.base.namespaces.collection.is_empty()).then_some(("", &self.base)))
    }
}

/// Collects the problems of one topic's keys.
struct Reader<'a> {
    config: &'a TopicConfig,
    prefix: &'a str,
    problems: &'a mut Vec<Problem>,
}

fn resolve_one(config: &TopicConfig, prefix: &str, problems: &mut Vec<Problem>) -> Option<TopicSettings> {
    let before = problems.len();
    let mut reader = Reader { config, prefix, problems };
    let namespaces = reader.namespaces();
    let id = reader.id();
    let model = reader.model();
    let tombstone = reader.tombstone(id.as_ref());
    let chain = reader.chain();
    let cdc = reader.cdc();
    let time_series = reader.time_series();
    let tolerates = reader.tolerates();
    reader.refused();
    if problems.len() > before {
        return None;
    }
    let (id, model) = (id?, model?);
    let is_default_model = simple(&config.write_model) == "DefaultWriteModelStrategy";
    Some(TopicSettings {
        namespaces: namespaces?,
        id,
        overwrite_existing_id: config.overwrite_existing_id,
        chain: chain?,
        model: if time_series.is_some() && is_default_model { WriteModel::Insert } else { model },
        tombstone,
        cdc,
        time_series,
        max_batch: usize::try_from(config.max_batch_size).unwrap_or(0),
        rate_limit: rate_limit(config),
        tolerates,
    })
}

fn rate_limit(config: &TopicConfig) -> Option<RateLimit> {
    let pause = Duration::from_millis(u64::try_from(config.rate_timeout_ms).unwrap_or(0));
    let every = u64::try_from(config.rate_every_n).unwrap_or(0);
    (every > 0 && !pause.is_zero()).then_some(RateLimit { pause, every })
}

impl Reader<'_> {
    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(format!("{}{key}", self.prefix), message));
    }

    fn strategy<T: Copy>(&mut self, key: &str, known: &Names<T>, class: &str) -> Option<(&'static str, T)> {
        let name = simple(class);
        let found = known.iter().find(|(known, _)| *known == name).copied();
        if found.is_none() {
            let names = known.iter().map(|one| one.0);
            let hint = nearest(name, names.clone()).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
            let names: Vec<&str> = names.collect();
            self.refuse(key, format!("no class named {class} is here; {hint}available are {}", names.join(", ")));
        }
        found
    }

    fn namespaces(&mut self) -> Option<Namespaces> {
        let config = self.config;
        if let Some(message) = namespace::wrong_database(&config.database) {
            self.refuse("database", message);
        }
        if let Some(message) = namespace::wrong_collection(&config.collection) {
            self.refuse("collection", message);
        }
        let known = &[("DefaultNamespaceMapper", false), ("FieldPathNamespaceMapper", true)];
        let (_, by_field) = self.strategy("namespace.mapper", known, &config.namespace_mapper)?;
        if !by_field {
            return Some(Namespaces::fixed_to(&config.database, &config.collection));
        }
        Namespaces::by_field(config).map_err(|(key, message)| self.refuse(key, message)).ok()
    }

    fn id(&mut self) -> Option<IdStrategy> {
        let config = self.config;
        let binary = config.uuid_format.eq_ignore_ascii_case("binary");
        if !binary && !config.uuid_format.eq_ignore_ascii_case("string") {
            let message = format!("\"{}\" is neither string nor binary", config.uuid_format);
            self.refuse("document.id.strategy.uuid.format", message);
        }
        let (name, ()) = self.strategy("document.id.strategy", ID_STRATEGIES, &config.id_strategy)?;
        let side = if name.contains("Key") { Side::Key } else { Side::Value };
        Some(match name {
            "KafkaMetaDataStrategy" => IdStrategy::KafkaMetaData,
            "UuidStrategy" => IdStrategy::Uuid { binary },
            "FullKeyStrategy" => IdStrategy::FullKey,
            "PartialKeyStrategy" | "PartialValueStrategy" => IdStrategy::Partial(side, self.partial(side)?),
            "ProvidedInKeyStrategy" | "ProvidedInValueStrategy" => IdStrategy::Provided { side, uuid: false },
            "UuidProvidedInKeyStrategy" | "UuidProvidedInValueStrategy" => IdStrategy::Provided { side, uuid: true },
            _ => IdStrategy::BsonOid,
        })
    }

    /// The projection of the partial strategies: their own keys, or those of the projectors.
    fn partial(&mut self, side: Side) -> Option<Projection> {
        let config = self.config;
        let (key, own, own_list, common, common_list) = match side {
            Side::Key => (
                "document.id.strategy.partial.key.projection.type",
                &config.partial_key_type,
                &config.partial_key_list,
                &config.key_projection_type,
                &config.key_projection_list,
            ),
            Side::Value => (
                "document.id.strategy.partial.value.projection.type",
                &config.partial_value_type,
                &config.partial_value_list,
                &config.value_projection_type,
                &config.value_projection_list,
            ),
        };
        let kind = if own.trim().is_empty() { common } else { own };
        let list = if own_list.trim().is_empty() { common_list } else { own_list };
        let projection = Projection::parse(kind, list);
        if projection.is_none() {
            self.refuse(key, format!("\"{kind}\" is neither AllowList nor BlockList, which the strategy needs"));
        }
        projection
    }

    fn model(&mut self) -> Option<WriteModel> {
        let config = self.config;
        self.strategy("writemodel.strategy", WRITE_MODELS, &config.write_model).map(|found| found.1)
    }

    fn tombstone(&mut self, id: Option<&IdStrategy>) -> Option<Tombstone> {
        let config = self.config;
        let (_, tombstone) = self.strategy("delete.writemodel.strategy", TOMBSTONES, &config.delete_write_model)?;
        if !config.delete_on_null_values {
            return None;
        }
        let id = id?;
        match tombstone {
            Tombstone::ById if !id.deletes_by_key() => self.refuse(
                "delete.on.null.values",
                "delete.on.null.values needs a document.id.strategy that works on the key: FullKeyStrategy, \
                 PartialKeyStrategy or ProvidedInKeyStrategy",
            ),
            Tombstone::BusinessKey if !matches!(id, IdStrategy::Partial(Side::Key, _)) => self.refuse(
                "delete.writemodel.strategy",
                "DeleteOneTombstoneBusinessKeyStrategy needs document.id.strategy PartialKeyStrategy",
            ),
            _ => {}
        }
        Some(tombstone)
    }

    fn chain(&mut self) -> Option<Option<Vec<Processor>>> {
        let config = self.config;
        for (key, kind) in [
            ("key.projection.type", &config.key_projection_type),
            ("value.projection.type", &config.value_projection_type),
        ] {
            if !kind.eq_ignore_ascii_case("none") && Projection::parse(kind, "").is_none() {
                self.refuse(key, format!("\"{kind}\" is neither none nor AllowList nor BlockList"));
            }
        }
        let mut chain = Processor::chain(config).map_err(|(key, message)| self.refuse(key, message)).ok()?;
        if config.auto_convert && !config.time_field.trim().is_empty() {
            let format = TimeFormat::parse(&config.date_format, &config.date_language);
            match format {
                Ok(format) => chain.push(Processor::ConvertTime(config.time_field.trim().to_owned(), format)),
                Err((key, message)) => self.refuse(key, message),
            }
        }
        Some((chain != [Processor::AddId]).then_some(chain))
    }

    fn cdc(&mut self) -> Option<Cdc> {
        let config = self.config;
        if config.cdc_handler.trim().is_empty() {
            return None;
        }
        let found = Cdc::named(&config.cdc_handler, config.cdc_remove_nulls);
        if found.is_none() {
            let message = format!("no handler named {} is here; {}", config.cdc_handler, Cdc::names());
            self.refuse("change.data.capture.handler", message);
        }
        found
    }

    fn time_series(&mut self) -> Option<TimeSeries> {
        match TimeSeries::of(self.config) {
            Ok(found) => found,
            Err((key, message)) => {
                self.refuse(key, message);
                None
            }
        }
    }

    fn tolerates(&mut self) -> Option<bool> {
        match self.config.errors_tolerance.trim().to_ascii_lowercase().as_str() {
            "" => None,
            "none" => Some(false),
            "all" | "data" => Some(true),
            other => {
                self.refuse("mongo.errors.tolerance", format!("\"{other}\" is none of: none, data, all"));
                None
            }
        }
    }

    fn refused(&mut self) {
        if !self.config.value_transformer.trim().is_empty() {
            self.refuse(
                "field.value.transformer",
                "field.value.transformer names a Java class of yours, which cannot run here; use a transform \
                 (transforms=…) instead",
            );
        }
    }
}

/// A class without its package.
pub(super) fn simple(class: &str) -> &str {
    class.trim().rsplit('.').next().unwrap_or_default()
}
