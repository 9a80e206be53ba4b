//! Confluent's `TombstoneHandler`: what becomes of records without a value.

use millrace_sdk::{Config, Error, Problem, Record, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data::Side;
use super::{Kind, PerRecord, Site, Verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Behavior {
    /// Dropped
    #[default]
    DropSilent,
    /// Dropped with a line in the log
    DropWarn,
    /// Passed on
    Ignore,
    /// Refused
    Fail,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// What becomes of a record without a value: it is dropped (`drop_silent`, or `drop_warn` with a line in the log), passed
    /// on (`ignore`), or an error (`fail`).
    #[serde(default)]
    behavior: Behavior,
}
impl Config for Options {}

pub(super) struct TombstoneHandler(Behavior);

impl Kind for TombstoneHandler {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["io.confluent.connect.transforms.TombstoneHandler"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        Ok(Self(options.behavior))
    }
}

impl PerRecord for TombstoneHandler {
    fn apply(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict> {
        if !record.value.is_null() {
            return Ok(Verdict::Keep);
        }
        match self.0 {
            Behavior::DropSilent => Ok(Verdict::Drop),
            Behavior::DropWarn => {
                tracing::warn!(topic = %site.topic(record), offset = record.offset, "tombstone dropped");
                Ok(Verdict::Drop)
            }
            Behavior::Ignore => Ok(Verdict::Keep),
            Behavior::Fail => Err(Error::bad_record("the record is a tombstone, and behavior=fail refuses those")),
        }
    }
}
