//! `DropHeaders`: removes headers by name.

use std::collections::HashSet;

use millrace_sdk::{Config, Problem, Record, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::empty_list;
use super::data::Side;
use super::{Kind, PerRecord, Site, Verdict};

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// The name of the headers to be removed.
    headers: Vec<String>,
}
impl Config for Options {}

pub(super) struct DropHeaders(HashSet<String>);

impl Kind for DropHeaders {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["org.apache.kafka.connect.transforms.DropHeaders"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        if options.headers.is_empty() {
            return Err(empty_list("headers"));
        }
        Ok(Self(options.headers.into_iter().collect()))
    }
}

impl PerRecord for DropHeaders {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        record.headers.retain(|header| !self.0.contains(&*header.key));
        Ok(Verdict::Keep)
    }
}
