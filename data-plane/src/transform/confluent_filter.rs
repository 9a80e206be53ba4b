//! Confluent's `Filter`: keeps or drops records by a condition in JSONPath.

use millrace_sdk::{Config, Error, Problem, Record, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::invalid;
use super::data::Side;
use super::jsonpath::Path;
use super::{Kind, PerRecord, Site, Verdict, sided};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum FilterType {
    /// Records that match are kept, others dropped
    Include,
    /// Records that match are dropped, others kept
    Exclude,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Missing {
    /// The record is refused
    #[default]
    Fail,
    /// The record is kept
    Include,
    /// The record is dropped
    Exclude,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// A JSONPath such as `$[?(@.amount > 100)]`; a record matches when it finds something.
    #[serde(rename = "filter.condition")]
    condition: String,
    /// Whether records that match are kept (`include`) or dropped (`exclude`).
    #[serde(rename = "filter.type")]
    filter_type: FilterType,
    /// What becomes of a record that does not match because a field that the condition names is absent or null, or because
    /// there is no key or value at all: an error (`fail`), kept (`include`) or dropped (`exclude`).
    #[serde(rename = "missing.or.null.behavior", default)]
    missing: Missing,
}
impl Config for Options {}

pub(super) struct Filter {
    side: Side,
    text: String,
    condition: Path,
    filter_type: FilterType,
    missing: Missing,
}

impl Kind for Filter {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("io.confluent.connect.transforms.Filter");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        let condition = Path::parse(options.condition.trim())
            .map_err(|error| invalid("filter.condition", &options.condition, &error))?;
        let (filter_type, missing) = (options.filter_type, options.missing);
        Ok(Self { side, text: options.condition, condition, filter_type, missing })
    }
}

impl PerRecord for Filter {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let datum = self.side.datum(record);
        let found = self.condition.find(&datum.value())?;
        let matches = !found.values.is_empty();
        if !matches && (found.missing || datum.is_null()) {
            return match self.missing {
                Missing::Fail => Err(Error::bad_record(format!(
                    "filter.condition {} names a field that the record does not have (missing.or.null.behavior=fail)",
                    self.text
                ))),
                Missing::Include => Ok(Verdict::Keep),
                Missing::Exclude => Ok(Verdict::Drop),
            };
        }
        let keep = matches == (self.filter_type == FilterType::Include);
        Ok(if keep { Verdict::Keep } else { Verdict::Drop })
    }
}
