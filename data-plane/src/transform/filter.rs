//! `Filter`: drops every record it is applied to, so that a predicate decides.

use millrace_sdk::{Config, Problem, Record, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::data::Side;
use super::{Kind, PerRecord, Site, Verdict};

/// None.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {}
impl Config for Options {}

pub(super) struct Filter;

impl Kind for Filter {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["org.apache.kafka.connect.transforms.Filter"];

    fn make(_: Options, _: Side) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl PerRecord for Filter {
    fn apply(&mut self, _: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        Ok(Verdict::Drop)
    }
}
