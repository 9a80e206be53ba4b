//! The post processors: what happens to a record's documents before they are written.

mod projection;
mod rename;
mod time;

use millrace_sdk::{Batch, Record, Result, TimestampKind};
use mongodb::bson::{Bson, Document};

pub(crate) use projection::Projection;
pub(crate) use rename::Renamer;
pub(crate) use time::TimeFormat;

use super::config::TopicConfig;
use super::document::Documents;
use super::id::Ids;
use super::settings::{Side, TopicSettings, simple};

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Processor {
    /// The value gets its `_id`
    AddId,
    /// Key or value keeps or loses fields
    Project(Side, Projection),
    /// Topic, partition, offset and timestamp become fields of the value
    AddMeta,
    /// Fields of key and value get other names
    Rename(Renamer),
    /// The value loses its null fields
    RemoveNulls,
    /// A field of the value becomes a date
    ConvertTime(String, TimeFormat),
}

const NAMES: &[&str] = &[
    "DocumentIdAdder",
    "AllowListKeyProjector",
    "AllowListValueProjector",
    "BlockListKeyProjector",
    "BlockListValueProjector",
    "KafkaMetaAdder",
    "RenameByMapping",
    "RenameByRegExp",
    "NullFieldValueRemover",
];

impl Processor {
    /// The chain of a topic; ids go first when they are not named. An error is a key and what is wrong with it.
    pub(crate) fn chain(config: &TopicConfig) -> Result<Vec<Self>, (&'static str, String)> {
        let mut chain = Vec::new();
        for class in config.post_processors.iter().filter(|class| !class.trim().is_empty()) {
            chain.push(Self::named(class, config)?);
        }
        if !chain.contains(&Self::AddId) {
            chain.insert(0, Self::AddId);
        }
        Ok(chain)
    }

    fn named(class: &str, config: &TopicConfig) -> Result<Self, (&'static str, String)> {
        Ok(match simple(class) {
            "DocumentIdAdder" => Self::AddId,
            // The lists are the keys'; whether it is allowed or blocked says the class alone, as in the peer.
            "AllowListKeyProjector" | "WhitelistKeyProjector" => {
                Self::Project(Side::Key, Projection::allow(&config.key_projection_list))
            }
            "AllowListValueProjector" | "WhitelistValueProjector" => {
                Self::Project(Side::Value, Projection::allow(&config.value_projection_list))
            }
            "BlockListKeyProjector" | "BlacklistKeyProjector" => {
                Self::Project(Side::Key, Projection::block(&config.key_projection_list))
            }
            "BlockListValueProjector" | "BlacklistValueProjector" => {
                Self::Project(Side::Value, Projection::block(&config.value_projection_list))
            }
            "KafkaMetaAdder" => Self::AddMeta,
            "RenameByMapping" => Self::Rename(
                Renamer::by_mapping(&config.renamer_mapping).map_err(|message| ("field.renamer.mapping", message))?,
            ),
            "RenameByRegExp" => Self::Rename(
                Renamer::by_regexp(&config.renamer_regexp).map_err(|message| ("field.renamer.regexp", message))?,
            ),
            "NullFieldValueRemover" => Self::RemoveNulls,
            _ => {
                let message = format!("no post processor named {class} is here; available are {}", NAMES.join(", "));
                return Err(("post.processor.chain", message));
            }
        })
    }

    /// Does this step to a record's documents.
    ///
    /// # Errors
    /// `BadRecord` when the key or the value is no document, or gives no id.
    pub(crate) fn apply(
        &self,
        documents: &mut Documents<'_>,
        settings: &TopicSettings,
        ids: Ids,
        (batch, record): (&Batch, &Record),
    ) -> Result<()> {
        match self {
            Self::AddId => add_id(documents, settings, ids, batch)?,
            Self::Project(side, projection) => documents.change(*side, |document| projection.apply(document))?,
            Self::AddMeta => documents.change(Side::Value, |value| add_meta(value, batch, record))?,
            Self::Rename(renamer) => {
                if renamer.is_active() {
                    documents.change(Side::Key, |key| renamer.apply("key", key))?;
                    documents.change(Side::Value, |value| renamer.apply("value", value))?;
                }
            }
            Self::RemoveNulls => documents.change(Side::Value, remove_nulls)?,
            Self::ConvertTime(field, format) => documents.change(Side::Value, |value| format.convert(value, field))?,
        }
        Ok(())
    }
}

fn add_id(documents: &mut Documents<'_>, settings: &TopicSettings, ids: Ids, batch: &Batch) -> Result<()> {
    let Some(value) = documents.value()? else { return Ok(()) };
    if value.contains_key("_id") && !settings.overwrite_existing_id {
        return Ok(());
    }
    let id = ids.generate(&settings.id, batch, documents)?;
    documents.set_id(id, &settings.id)
}

fn add_meta(value: &mut Document, batch: &Batch, record: &Record) {
    let text = format!("{}-{}-{}", batch.topic(record), batch.origin.partition, record.offset);
    value.insert("topic-partition-offset", text);
    let name = match record.timestamp_kind {
        TimestampKind::None => return,
        TimestampKind::CreateTime => "CREATE_TIME",
        TimestampKind::LogAppendTime => "LOG_APPEND_TIME",
    };
    if let Some(timestamp) = record.timestamp_ms {
        value.insert(name, timestamp);
    }
}

/// Takes away fields that are null, at every level; array elements stay.
pub(crate) fn remove_nulls(document: &mut Document) {
    let fields = std::mem::take(document);
    for (name, mut value) in fields {
        match &mut value {
            Bson::Null => continue,
            Bson::Document(inner) => remove_nulls(inner),
            Bson::Array(items) => items.iter_mut().filter_map(Bson::as_document_mut).for_each(remove_nulls),
            _ => {}
        }
        document.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
