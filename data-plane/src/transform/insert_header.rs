//! `InsertHeader`: adds a header with a literal value.

use millrace_sdk::{Bytes, Config, Flat, Header, Problem, Record, Result, Text};
use schemars::JsonSchema;
use serde::Deserialize;

use super::data::Side;
use super::{Kind, PerRecord, Site, Verdict};
use crate::convert::{Role, converter};

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// The name of the header.
    header: String,
    /// The literal value that is to be set as the header value on all records.
    #[serde(rename = "value.literal")]
    literal: String,
}
impl Config for Options {}

pub(super) struct InsertHeader(Header);

impl Kind for InsertHeader {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["org.apache.kafka.connect.transforms.InsertHeader"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        // A literal is read as a header's text is: by the default header converter.
        let problem = |error: millrace_sdk::Error| Problem::new("value.literal", error.to_string());
        let reader = converter(Role::Header, &Flat::new(), &Flat::new()).map_err(problem)?;
        let payload = Some(Bytes::from(options.literal));
        let value = reader.decode("", &[payload]).pop().unwrap_or(Ok(millrace_sdk::Datum::Null)).map_err(problem)?;
        Ok(Self(Header { key: Text::from(options.header), value }))
    }
}

impl PerRecord for InsertHeader {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        record.headers.push(self.0.clone());
        Ok(Verdict::Keep)
    }
}
