//! What Elasticsearch's answers mean: one `classify` for a failed request, one for a failed item of a bulk.

use std::time::Duration;

use millrace_sdk::{Error, ErrorKind};
use serde::Deserialize;

/// Characters of a reason that are kept: Elasticsearch repeats what it refuses, and that may be all of a large record.
const LONGEST_SENTENCE: usize = 500;

/// What Elasticsearch says about an error.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Cause {
    /// Such as `mapper_parsing_exception`
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    /// In words
    #[serde(default)]
    pub(crate) reason: String,
    /// Why
    #[serde(default)]
    pub(crate) caused_by: Option<Box<Cause>>,
}

impl Cause {
    /// The error of an answer's body; bodies of other forms become the reason.
    pub(crate) fn of_body(body: &str) -> Self {
        #[derive(Deserialize)]
        struct Body {
            error: Cause,
        }
        serde_json::from_str::<Body>(body).map_or_else(
            |_| Self { reason: body.trim().chars().take(200).collect(), ..Self::default() },
            |body| body.error,
        )
    }

    fn sentence(&self) -> String {
        let mut text = match (self.kind.as_str(), self.reason.as_str()) {
            ("", "") => "no reason given".to_owned(),
            ("", reason) => reason.to_owned(),
            (kind, reason) => format!("{kind}: {reason}"),
        };
        if let Some(cause) = self.caused_by.as_deref().filter(|cause| !self.reason.contains(&cause.reason)) {
            text.push_str(": ");
            text.push_str(&cause.reason);
        }
        if let Some((end, _)) = text.char_indices().nth(LONGEST_SENTENCE) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

/// What became of an item of a bulk.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is in the index
    Done,
    /// The index holds a newer version
    Superseded,
    /// It failed
    Failed(Error),
}

/// Types of errors that pass by themselves, whatever their status.
const PASSING: &[&str] = &[
    "es_rejected_execution_exception",
    "circuit_breaking_exception",
    "unavailable_shards_exception",
    "process_cluster_event_timeout_exception",
    "node_closed_exception",
    "node_disconnected_exception",
    "node_not_connected_exception",
    "no_shard_available_action_exception",
    "cluster_block_exception",
    "master_not_discovered_exception",
    "index_not_found_exception",
    "shard_not_found_exception",
    "timeout_exception",
];

/// Types of errors that only another configuration mends.
const CONFIGURATION: &[&str] =
    &["security_exception", "index_closed_exception", "invalid_index_name_exception", "invalid_alias_name_exception"];

/// What the answer to an item means; `versioned` says whether it carried an external version.
pub(crate) fn classify_item(status: u16, cause: Option<&Cause>, versioned: bool) -> Outcome {
    let nothing = Cause::default();
    let cause = cause.unwrap_or(&nothing);
    let kind = match status {
        200..=299 => return Outcome::Done,
        // A deletion of what is not there; an index that is not there says so in its type.
        404 if cause.kind.is_empty() => return Outcome::Done,
        409 if versioned => return Outcome::Superseded,
        409 => ErrorKind::TRANSIENT,
        _ => kind_of(status, cause),
    };
    let kind = if kind == ErrorKind::Internal { ErrorKind::BadRecord } else { kind };
    Outcome::Failed(Error::new(kind, format!("Elasticsearch refused the document ({status}): {}", cause.sentence())))
}

/// What a failed request means; `doing` says what was tried.
pub(crate) fn classify(status: u16, retry_after: Option<Duration>, body: &str, doing: &str) -> Error {
    let cause = Cause::of_body(body);
    let kind = match kind_of(status, &cause) {
        ErrorKind::Transient { .. } => ErrorKind::Transient { retry_after },
        kind => kind,
    };
    let advice = match (status, kind) {
        (401, _) => "; check connection.username and connection.password",
        (403, ErrorKind::BadConfig) => "; grant the user the privileges write, create_index and view_index_metadata",
        (405 | 406, _) => "; check that connection.url is an Elasticsearch",
        _ => "",
    };
    Error::new(kind, format!("{doing}: Elasticsearch answered {status}: {}{advice}", cause.sentence()))
}

fn kind_of(status: u16, cause: &Cause) -> ErrorKind {
    if PASSING.contains(&cause.kind.as_str()) {
        return ErrorKind::TRANSIENT;
    }
    if CONFIGURATION.contains(&cause.kind.as_str()) {
        return ErrorKind::BadConfig;
    }
    match status {
        401..=406 => ErrorKind::BadConfig,
        400 | 413 | 422 => ErrorKind::BadRecord,
        408 | 429 | 500 | 502 | 503 | 504 => ErrorKind::TRANSIENT,
        _ => ErrorKind::Internal,
    }
}

/// A request that got no answer.
pub(crate) fn classify_transport(error: &elasticsearch::Error, doing: &str) -> Error {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let sentence = cause.to_string();
        if !text.contains(&sentence) {
            text = format!("{text}: {sentence}");
        }
        source = cause.source();
    }
    // Addresses may carry credentials.
    let text = millrace_sdk::config::mask_uri(&text);
    let kind = if text.contains("invalid peer certificate") { ErrorKind::BadConfig } else { ErrorKind::TRANSIENT };
    Error::new(kind, format!("{doing}: {text}"))
}

#[cfg(test)]
mod tests;
