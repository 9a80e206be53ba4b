//! The stands, by class. One line for each entry of the catalogue.

mod cassandra;
mod elasticsearch;
mod file;
mod generator;
mod mongodb;

use std::collections::BTreeMap;

use millrace_sdk::Flat;

use crate::stand::{SinkStand, SourceStand};

/// The stand of a sink.
pub(crate) fn sink(class: &str) -> Option<&'static dyn SinkStand> {
    Some(match class {
        "mongodb-sink" => &mongodb::Sink,
        "cassandra-sink" => &cassandra::Sink,
        "elasticsearch-sink" => &elasticsearch::Sink,
        "file-sink" => &file::Sink,
        "capture-sink" => &file::Capture,
        "null-sink" => &generator::Sink,
        _ => return None,
    })
}

/// The stand of a source.
pub(crate) fn source(class: &str) -> Option<&'static dyn SourceStand> {
    Some(match class {
        "mongodb-source" => &mongodb::Source,
        "file-source" => &file::Source,
        "generator-source" => &generator::Source,
        _ => return None,
    })
}

/// Removes what the run has left in the stores.
pub(crate) async fn clean() {
    mongodb::clean().await;
    cassandra::clean().await;
    elasticsearch::clean().await;
    file::clean();
}

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
}
