//! `RegexRouter`: a new topic from a regular expression.

use std::sync::Arc;

use millrace_sdk::{Config, Problem, Record, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::invalid;
use super::data::Side;
use super::java::regex::Replacer;
use super::{Kind, PerRecord, Site, Verdict};

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Regular expression to use for matching; the whole topic must match.
    regex: String,
    /// Replacement string, with `$1` for the first group.
    replacement: String,
}
impl Config for Options {}

pub(super) struct RegexRouter {
    replacer: Replacer,
    /// The last topic and what it became, so that nothing is made per record
    last: Option<(Arc<str>, Option<Arc<str>>)>,
}

impl Kind for RegexRouter {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["org.apache.kafka.connect.transforms.RegexRouter"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        let replacer = Replacer::new(&options.regex, &options.replacement).map_err(|(regex, replacement)| {
            if regex.is_empty() {
                invalid("replacement", &options.replacement, &replacement)
            } else {
                invalid("regex", &options.regex, &format!("Invalid regex: {regex}"))
            }
        })?;
        Ok(Self { replacer, last: None })
    }
}

impl PerRecord for RegexRouter {
    fn apply(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict> {
        let topic = site.topic(record);
        let renamed = match &self.last {
            Some((last, renamed)) if **last == **topic => renamed.clone(),
            _ => {
                let renamed = self.replacer.replace(topic);
                self.last = Some((Arc::clone(topic), renamed.clone()));
                renamed
            }
        };
        if renamed.is_some() {
            record.renamed_topic = renamed;
        }
        Ok(Verdict::Keep)
    }
}
