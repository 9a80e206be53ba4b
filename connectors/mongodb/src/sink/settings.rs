//! What the keys come to, per topic: namespaces and strategies after `topic.override.<topic>.…`.

use std::collections::{BTreeMap, BTreeSet};

use millrace_sdk::{Problem, config::nearest};
use mongodb::Namespace;

use super::config::{OVERRIDE_PREFIX, SinkConfig};

/// Where `_id` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdStrategy {
    /// An object id from the record's timestamp and coordinates
    BsonOid,
    /// `topic#partition#offset`
    KafkaMetaData,
    /// A UUID from the record's coordinates
    Uuid,
    /// The whole key
    FullKey,
    /// The key's `_id`
    ProvidedInKey,
    /// The value's `_id`
    ProvidedInValue,
}

impl IdStrategy {
    /// Whether the id belongs to the record alone, so that a second document with it can only be a replay.
    pub(crate) fn is_per_record(self) -> bool {
        matches!(self, Self::BsonOid | Self::KafkaMetaData | Self::Uuid)
    }

    fn works_on_the_key(self) -> bool {
        matches!(self, Self::FullKey | Self::ProvidedInKey)
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
    /// Delete by `_id`
    Delete,
}

/// Settings of one topic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicSettings {
    /// Database
    pub(crate) database: String,
    /// Collection; empty means the topic
    pub(crate) collection: String,
    /// Where `_id` comes from
    pub(crate) id: IdStrategy,
    /// Whether it replaces an existing `_id`
    pub(crate) overwrite_existing_id: bool,
    /// UUIDs as binary
    pub(crate) uuid_binary: bool,
    /// What is done with documents
    pub(crate) model: WriteModel,
    /// Whether null values delete
    pub(crate) delete_on_null: bool,
    /// Documents per command; 0 means as many as fit
    pub(crate) max_batch: usize,
}

impl TopicSettings {
    /// The namespace of a record of `topic`.
    pub(crate) fn namespace(&self, topic: &str) -> Namespace {
        let collection = if self.collection.is_empty() { topic } else { &self.collection };
        Namespace::new(self.database.clone(), collection)
    }
}

/// Settings of every topic.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    base: TopicSettings,
    overrides: BTreeMap<String, TopicSettings>,
}

const ID_STRATEGIES: &[(&str, IdStrategy)] = &[
    ("BsonOidStrategy", IdStrategy::BsonOid),
    ("KafkaMetaDataStrategy", IdStrategy::KafkaMetaData),
    ("UuidStrategy", IdStrategy::Uuid),
    ("FullKeyStrategy", IdStrategy::FullKey),
    ("ProvidedInKeyStrategy", IdStrategy::ProvidedInKey),
    ("ProvidedInValueStrategy", IdStrategy::ProvidedInValue),
];

const WRITE_MODELS: &[(&str, WriteModel)] = &[
    ("DefaultWriteModelStrategy", WriteModel::Replace),
    ("ReplaceOneDefaultStrategy", WriteModel::Replace),
    ("InsertOneDefaultStrategy", WriteModel::Insert),
    ("UpdateOneDefaultStrategy", WriteModel::Update),
    ("UpdateOneTimestampsStrategy", WriteModel::UpdateTimestamps),
    ("DeleteOneDefaultStrategy", WriteModel::Delete),
];

/// Strategies of the peer that are not here yet.
const LATER: &[&str] = &[
    "PartialKeyStrategy",
    "PartialValueStrategy",
    "UuidProvidedInKeyStrategy",
    "UuidProvidedInValueStrategy",
    "ReplaceOneBusinessKeyStrategy",
    "UpdateOneBusinessKeyTimestampStrategy",
    "DeleteOneBusinessKeyStrategy",
    "DeleteOneTombstoneBusinessKeyStrategy",
];

/// Keys that `topic.override.<topic>.` may precede.
const OVERRIDABLE: &[&str] = &[
    "database",
    "collection",
    "writemodel.strategy",
    "delete.on.null.values",
    "delete.writemodel.strategy",
    "max.batch.size",
    "document.id.strategy",
    "document.id.strategy.overwrite.existing",
    "document.id.strategy.uuid.format",
    "post.processor.chain",
];

impl Settings {
    /// Settings of a configuration.
    ///
    /// # Errors
    /// Every problem found.
    pub(crate) fn resolve(config: &SinkConfig) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let base = resolve_one(config, "", &mut problems);
        let mut topics: BTreeMap<String, SinkConfig> = BTreeMap::new();
        for (key, value) in config.extra.iter().filter(|(key, _)| key.starts_with(OVERRIDE_PREFIX)) {
            match split(key) {
                Some((topic, name)) => {
                    let one = topics.entry(topic.to_owned()).or_insert_with(|| config.clone());
                    if let Err(message) = set(one, name, value) {
                        problems.push(Problem::new(key, message));
                    }
                }
                None => problems.push(Problem::new(
                    key,
                    format!(
                        "no key that can be set per topic; these can: {}. Write {OVERRIDE_PREFIX}<topic>.<key>",
                        OVERRIDABLE.join(", ")
                    ),
                )),
            }
        }
        let overrides: BTreeMap<_, _> = topics
            .iter()
            .map(|(topic, one)| {
                let prefix = format!("{OVERRIDE_PREFIX}{topic}.");
                (topic.clone(), resolve_one(one, &prefix, &mut problems))
            })
            .collect();
        // A problem of the base shows again in each topic that does not override it.
        let known: BTreeSet<String> = problems.iter().map(|problem| problem.key.clone()).collect();
        problems.retain(|problem| {
            let base_key = split(&problem.key).map(|(_, name)| name);
            config.extra.contains_key(&problem.key) || base_key.is_none_or(|name| !known.contains(name))
        });
        if problems.is_empty() { Ok(Self { base, overrides }) } else { Err(problems) }
    }

    /// Settings of a topic.
    pub(crate) fn of(&self, topic: &str) -> &TopicSettings {
        self.overrides.get(topic).unwrap_or(&self.base)
    }

    /// Every namespace known before the first record: with `topics`, theirs.
    pub(crate) fn namespaces(&self, topics: &[String]) -> BTreeSet<(String, String)> {
        let named = topics.iter().chain(self.overrides.keys());
        let mut all: BTreeSet<_> = named
            .map(|topic| self.of(topic).namespace(topic))
            .map(|namespace| (namespace.db, namespace.coll))
            .collect();
        if !self.base.collection.is_empty() {
            all.insert((self.base.database.clone(), self.base.collection.clone()));
        }
        all
    }
}

/// `topic.override.<topic>.<key>` in two; topics may hold dots, so the longest key that can be set counts.
fn split(key: &str) -> Option<(&str, &'static str)> {
    let rest = key.strip_prefix(OVERRIDE_PREFIX)?;
    OVERRIDABLE
        .iter()
        .filter_map(|name| Some((rest.strip_suffix(name)?.strip_suffix('.')?, *name)))
        .filter(|(topic, _)| !topic.is_empty())
        .min_by_key(|(topic, _)| topic.len())
}

fn set(config: &mut SinkConfig, name: &str, value: &str) -> Result<(), String> {
    let text = value.trim().to_owned();
    let flag = || match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("Invalid value {value}: Expected value to be either true or false")),
    };
    match name {
        "database" => config.database = text,
        "collection" => config.collection = text,
        "writemodel.strategy" => config.write_model = text,
        "delete.on.null.values" => config.delete_on_null_values = flag()?,
        "delete.writemodel.strategy" => config.delete_write_model = text,
        "max.batch.size" => {
            let number = text.parse().ok().filter(|number| *number >= 0);
            config.max_batch_size = number.ok_or_else(|| format!("Invalid value {value}: Not a number from 0 on"))?;
        }
        "document.id.strategy" => config.id_strategy = text,
        "document.id.strategy.overwrite.existing" => config.overwrite_existing_id = flag()?,
        "document.id.strategy.uuid.format" => config.uuid_format = text,
        "post.processor.chain" => config.post_processors = text.split(',').map(|one| one.trim().to_owned()).collect(),
        _ => return Err("cannot be set per topic".to_owned()),
    }
    Ok(())
}

fn resolve_one(config: &SinkConfig, prefix: &str, problems: &mut Vec<Problem>) -> TopicSettings {
    let mut refuse = |key: &str, message: String| problems.push(Problem::new(format!("{prefix}{key}"), message));
    if let Some(message) = wrong_database(&config.database) {
        refuse("database", message);
    }
    if let Some(message) = wrong_collection(&config.collection) {
        refuse("collection", message);
    }
    let id = strategy(ID_STRATEGIES, &config.id_strategy).unwrap_or_else(|message| {
        refuse("document.id.strategy", message);
        IdStrategy::BsonOid
    });
    let model = strategy(WRITE_MODELS, &config.write_model).unwrap_or_else(|message| {
        refuse("writemodel.strategy", message);
        WriteModel::Replace
    });
    if let Err(message) = strategy(&[("DeleteOneDefaultStrategy", ())], &config.delete_write_model) {
        refuse("delete.writemodel.strategy", message);
    }
    if config.delete_on_null_values && !id.works_on_the_key() {
        refuse(
            "delete.on.null.values",
            "delete.on.null.values needs a document.id.strategy that works on the key: FullKeyStrategy or \
             ProvidedInKeyStrategy"
                .to_owned(),
        );
    }
    let uuid_binary = config.uuid_format.eq_ignore_ascii_case("binary");
    if !uuid_binary && !config.uuid_format.eq_ignore_ascii_case("string") {
        refuse("document.id.strategy.uuid.format", format!("\"{}\" is neither string nor binary", config.uuid_format));
    }
    for class in &config.post_processors {
        if simple(class) != "DocumentIdAdder" {
            refuse("post.processor.chain", format!("the post processor {} is not available yet", simple(class)));
        }
    }
    if config.post_processors.is_empty() {
        refuse("post.processor.chain", "an empty chain is not available yet; use DocumentIdAdder".to_owned());
    }
    TopicSettings {
        database: config.database.clone(),
        collection: config.collection.clone(),
        id,
        overwrite_existing_id: config.overwrite_existing_id,
        uuid_binary,
        model,
        delete_on_null: config.delete_on_null_values,
        max_batch: usize::try_from(config.max_batch_size).unwrap_or(0),
    }
}

fn simple(class: &str) -> &str {
    class.trim().rsplit('.').next().unwrap_or_default()
}

fn strategy<T: Copy>(known: &[(&str, T)], class: &str) -> Result<T, String> {
    let name = simple(class);
    if let Some((_, found)) = known.iter().find(|(known, _)| *known == name) {
        return Ok(*found);
    }
    if LATER.contains(&name) {
        return Err(format!("{name} is not available yet; available are {}", names(known)));
    }
    let hint =
        nearest(name, known.iter().map(|one| one.0)).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
    Err(format!("no strategy named {class}; {hint}available are {}", names(known)))
}

fn names<T>(known: &[(&str, T)]) -> String {
    known.iter().map(|one| one.0).collect::<Vec<_>>().join(", ")
}

fn wrong_database(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("the database has no name".to_owned());
    }
    if name.len() > 63 {
        return Some(format!("the database name has {} bytes; MongoDB takes at most 63", name.len()));
    }
    let bad = name.chars().find(|c| "/\\. \"$*<>:|?\0".contains(*c))?;
    Some(format!("a database name must not hold {bad:?}: \"{name}\""))
}

fn wrong_collection(name: &str) -> Option<String> {
    if name.contains('$') || name.contains('\0') {
        return Some(format!("a collection name must hold neither \"$\" nor NUL: {name:?}"));
    }
    if name.starts_with("system.") || name.starts_with('.') || name.ends_with('.') {
        return Some(format!("a collection name must not start with \"system.\" or a dot, nor end in one: \"{name}\""));
    }
    None
}
