//! Kafka Connect's single message transforms and predicates (and what others offer and users ask for), between conversion and connector.
//!
//! A transform is a file here and a line in [`TRANSFORMS`]: a struct that implements [`PerRecord`] (what happens to one
//! record) and [`Kind`] (its Java names, its options, how it is made). The framework calls it once per *batch*; the loop over
//! the records is compiled together with the transform. What a transform needs per schema it keeps in a
//! [`data::SchemaCache`], so that nothing is built per record.

mod cast;
mod chain;
mod config;
mod confluent_filter;
mod data;
mod debezium;
mod drop;
mod drop_headers;
mod extract_field;
mod extract_topic;
mod filter;
mod flatten;
mod header_from;
mod hoist_field;
mod insert_field;
mod insert_header;
mod java;
mod jsonpath;
mod mask_field;
mod members;
mod message_timestamp_router;
mod millrace;
mod plan;
mod predicate;
mod regex_router;
mod replace_field;
mod set_schema_metadata;
mod timestamp_converter;
mod timestamp_router;
mod tombstone_handler;
mod value_to_key;

use std::sync::Arc;

use millrace_sdk::config::{ConfigDef, definition, parse};
use millrace_sdk::{Config, Error, Flat, Problem, Record, Result, TopicPartition, Value};

pub(crate) use chain::{Chain, Rejected};
pub(crate) use config::{chain, findings};
pub(crate) use data::Side;
use plan::Draft;
pub(crate) use plan::Edited;

/// All transforms.
const TRANSFORMS: &[Entry] = &[
    entry::<cast::Cast>(),
    entry::<drop_headers::DropHeaders>(),
    entry::<extract_field::ExtractField>(),
    entry::<filter::Filter>(),
    entry::<flatten::Flatten>(),
    entry::<header_from::HeaderFrom>(),
    entry::<hoist_field::HoistField>(),
    entry::<insert_field::InsertField>(),
    entry::<insert_header::InsertHeader>(),
    entry::<mask_field::MaskField>(),
    entry::<regex_router::RegexRouter>(),
    entry::<replace_field::ReplaceField>(),
    entry::<set_schema_metadata::SetSchemaMetadata>(),
    entry::<timestamp_converter::TimestampConverter>(),
    entry::<timestamp_router::TimestampRouter>(),
    entry::<value_to_key::ValueToKey>(),
    // ours
    entry::<millrace::Millrace>(),
    // of Confluent
    entry::<confluent_filter::Filter>(),
    entry::<drop::Drop>(),
    entry::<extract_topic::ExtractTopic>(),
    entry::<extract_topic::ExtractTopicHeader>(),
    entry::<message_timestamp_router::MessageTimestampRouter>(),
    entry::<tombstone_handler::TombstoneHandler>(),
    // of Debezium
    entry::<debezium::logical_table_router::ByLogicalTableRouter>(),
    entry::<debezium::new_document_state::ExtractNewDocumentState>(),
    entry::<debezium::new_record_state::ExtractNewRecordState>(),
];

/// The two classes of a transform that works on keys or on values, by each name it has.
macro_rules! sided {
    ($($class:literal),+) => {
        &[$(concat!($class, "$Key"), concat!($class, "$Value")),+]
    };
}
use sided;

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// The record counts as done
    Drop,
}

/// Where the records of a batch come from.
pub(crate) enum Site<'a> {
    /// A sink's records, of one partition
    Sink(&'a TopicPartition),
    /// A source's records: their partitions by their number in the batch, which stands in `Record::offset`. The topic is
    /// always in `Record::renamed_topic`.
    Source { no_topic: Arc<str>, partitions: &'a [Option<i32>] },
}

impl Site<'_> {
    /// The topic of a record, after the transforms so far.
    fn topic<'r>(&'r self, record: &'r Record) -> &'r Arc<str> {
        record.renamed_topic.as_ref().unwrap_or(match self {
            Self::Sink(origin) => &origin.topic,
            Self::Source { no_topic, .. } => no_topic,
        })
    }

    fn partition(&self, record: &Record) -> Option<i32> {
        match self {
            Self::Sink(origin) => Some(origin.partition),
            Self::Source { partitions, .. } => {
                usize::try_from(record.offset).ok().and_then(|index| partitions.get(index).copied().flatten())
            }
        }
    }

    /// The offset, which only a sink's records have.
    fn offset(&self, record: &Record, purpose: &str) -> Result<i64> {
        match self {
            Self::Sink(_) => Ok(record.offset),
            Self::Source { .. } => Err(Error::bad_record(format!(
                "Only SinkRecord supported for [{purpose}], found: a record of a source, which has no offset yet"
            ))),
        }
    }
}

/// What a transform does to one record. A record that fails may be left half done: nobody looks at it again.
pub(crate) trait PerRecord: Send + Sync + 'static {
    fn apply(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict>;
}

/// A kind of transform.
pub(crate) trait Kind: PerRecord + Sized {
    /// Its options, without prefix
    type Options: Config;
    /// The Java class, or the two of them made by `sided!`
    const CLASSES: &'static [&'static str];

    /// Makes it; a problem is about one option, or about all of them when its key is empty.
    fn make(options: Self::Options, side: Side) -> Result<Self, Problem>;

    /// Whether it looks into each record's key or value, a map that is better opened at once then.
    fn opens(&self) -> Option<Side> {
        None
    }

    /// Whether all that it does to maps without a schema is said by [`Kind::plan_edit`] and [`Kind::edited_value`].
    fn edits(&self) -> bool {
        false
    }

    /// Plans what is done to maps with the members of a draft, which are records' keys or values as [`Kind::opens`] says.
    /// Nothing but the names may count. The record, of which such a map was, is without it.
    ///
    /// # Errors
    /// When that cannot be planned.
    fn plan_edit(&mut self, _draft: &mut Draft, _record: &Record, _site: &Site<'_>) -> Result<()> {
        Err(Error::internal("this transform plans nothing"))
    }

    /// Makes a value that [`Kind::plan_edit`] has given this number, of the old value of its member, where that stands; the
    /// record is without it.
    ///
    /// # Errors
    /// As [`PerRecord::apply`], which is called then in its place with all of the record.
    fn edited_value(&mut self, _number: usize, _value: &mut Value, _: &Record, _: &Site<'_>) -> Result<()> {
        Err(Error::internal("this transform plans nothing"))
    }

    /// Told what its options begin with, such as `transforms.a.`, for errors that name one.
    fn named(&mut self, _prefix: &str) {}
}

/// A transform at work.
pub(crate) trait Transform: Send + Sync {
    /// As [`Kind::opens`]
    fn opens(&self) -> Option<Side>;

    /// As [`Kind::edits`]
    fn edits(&self) -> bool;

    /// As [`Kind::plan_edit`]
    fn plan_edit(&mut self, draft: &mut Draft, record: &Record, site: &Site<'_>) -> Result<()>;

    /// As [`Kind::edited_value`]
    fn edited_value(&mut self, number: usize, value: &mut Value, record: &Record, site: &Site<'_>) -> Result<()>;

    /// Transforms the records of a batch, or those of them that are selected. Dropped and failed records are taken out.
    fn apply(&mut self, records: &mut Vec<Record>, site: &Site<'_>, selected: Option<&[bool]>) -> Vec<Rejected>;
}

/// The loop over the records.
struct Each<K> {
    inner: K,
    /// The Java class, for dead letters
    class: &'static str,
}

impl<K: Kind> Transform for Each<K> {
    fn opens(&self) -> Option<Side> {
        self.inner.opens()
    }

    fn edits(&self) -> bool {
        self.inner.edits()
    }

    fn plan_edit(&mut self, draft: &mut Draft, record: &Record, site: &Site<'_>) -> Result<()> {
        self.inner.plan_edit(draft, record, site)
    }

    fn edited_value(&mut self, number: usize, value: &mut Value, record: &Record, site: &Site<'_>) -> Result<()> {
        self.inner.edited_value(number, value, record, site)
    }

    fn apply(&mut self, records: &mut Vec<Record>, site: &Site<'_>, selected: Option<&[bool]>) -> Vec<Rejected> {
        let mut rejected = Vec::new();
        let mut index = 0;
        records.retain_mut(|record| {
            let is_selected = selected.is_none_or(|selected| selected.get(index).copied().unwrap_or(true));
            index += 1;
            if !is_selected {
                return true;
            }
            match self.inner.apply(record, site) {
                Ok(verdict) => verdict == Verdict::Keep,
                Err(error) => {
                    rejected.push(Rejected { offset: record.offset, class: self.class, error });
                    false
                }
            }
        });
        rejected
    }
}

type Make = fn(&Flat, &str, Side, &'static str) -> Result<Box<dyn Transform>, Vec<Problem>>;

/// A line of the list.
pub(crate) struct Entry {
    classes: &'static [&'static str],
    definition: fn() -> ConfigDef,
    make: Make,
}

const fn entry<K: Kind>() -> Entry {
    Entry { classes: K::CLASSES, definition: definition::<K::Options>, make: make::<K> }
}

/// `prefix` is what the options begin with in the connector's configuration.
fn make<K: Kind>(
    options: &Flat,
    prefix: &str,
    side: Side,
    class: &'static str,
) -> Result<Box<dyn Transform>, Vec<Problem>> {
    let parsed = parse::<K::Options>(&definition::<K::Options>(), options).map_err(|findings| findings.errors)?;
    let mut inner = K::make(parsed, side).map_err(|problem| vec![problem])?;
    inner.named(prefix);
    Ok(Box::new(Each { inner, class }))
}

#[cfg(test)]
mod tests;
