//! What MongoDB's and its driver's errors mean: one `classify` for the driver's, one table for the server's codes.

use std::time::Duration;

use millrace_sdk::{Error, ErrorKind};
use mongodb::error::ErrorKind as Driver;
use serde::Deserialize;

/// One entry of `writeErrors`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WriteError {
    /// Index of the operation in the command
    pub(crate) index: usize,
    /// The server's code
    pub(crate) code: i32,
    /// The server's words
    #[serde(rename = "errmsg", default)]
    pub(crate) message: String,
    /// What a validator found
    #[serde(rename = "errInfo", default)]
    pub(crate) details: Option<mongodb::bson::Document>,
    /// The fields of the unique index, for code 11000
    #[serde(rename = "keyPattern", default)]
    pub(crate) key_pattern: Option<mongodb::bson::Document>,
}

/// The server's code for a second value in a unique index.
pub(crate) const DUPLICATE_KEY: i32 = 11_000;

impl WriteError {
    /// Whether the unique index is that of `_id`.
    pub(crate) fn is_duplicate_id(&self) -> bool {
        let by_id = self.key_pattern.as_ref().map(|pattern| pattern.len() == 1 && pattern.contains_key("_id"));
        self.code == DUPLICATE_KEY && by_id.unwrap_or_else(|| self.message.contains("index: _id_"))
    }
}

/// What the answer to one operation means.
pub(crate) fn classify_write(error: &WriteError, upsert: bool) -> Error {
    let kind = if upsert && error.is_duplicate_id() {
        // Two upserts of one absent id at the same time: the second try finds the document.
        ErrorKind::TRANSIENT
    } else {
        kind_of(error.code).unwrap_or(ErrorKind::BadRecord)
    };
    let details = error.details.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
    let (code, message) = (error.code, &error.message);
    // From `v=1` on it is the peer's form, which programs read from dead letters.
    Error::new(kind, format!("MongoDB refused the document: v=1, code={code}, message={message}, details={details}"))
        .of_class("com.mongodb.kafka.connect.sink.dlq.WriteException")
}

/// What a failed write concern means: the write is there, but not as safe as asked for.
pub(crate) fn classify_concern(code: i32, message: &str) -> Error {
    let kind = match code {
        // UnknownReplWriteConcern, UnsatisfiableWriteConcern
        79 | 100 => ErrorKind::BadConfig,
        _ => ErrorKind::TRANSIENT,
    };
    Error::new(kind, format!("the write concern of connection.uri was not met (code {code}): {message}"))
}

/// What an error of the driver means; `doing` says what was tried.
pub(crate) fn classify(error: mongodb::error::Error, doing: &str) -> Error {
    let (kind, advice) = match &*error.kind {
        Driver::Authentication { .. } => (ErrorKind::BadConfig, CREDENTIALS),
        Driver::Command(command) => {
            let kind = kind_of(command.code).unwrap_or(ErrorKind::Internal);
            (kind, advice(command.code))
        }
        Driver::ServerSelection { message, .. } if is_tls(message) => (ErrorKind::BadConfig, TLS),
        Driver::ServerSelection { message, .. } if is_authentication(message) => (ErrorKind::BadConfig, CREDENTIALS),
        Driver::Io(_)
        | Driver::ServerSelection { .. }
        | Driver::ConnectionPoolCleared { .. }
        | Driver::DnsResolve { .. }
        | Driver::InvalidResponse { .. } => (ErrorKind::TRANSIENT, ""),
        Driver::InvalidArgument { .. } | Driver::InvalidTlsConfig { .. } | Driver::IncompatibleServer { .. } => {
            (ErrorKind::BadConfig, "")
        }
        _ if error.contains_label("RetryableWriteError") || error.contains_label("SystemOverloadedError") => {
            (ErrorKind::TRANSIENT, "")
        }
        _ => (ErrorKind::Internal, ""),
    };
    // The driver's text repeats addresses, never credentials.
    let text = match &*error.kind {
        Driver::Command(command) => format!("{} (code {})", command.message, command.code),
        Driver::ServerSelection { message, .. } => no_server(message).unwrap_or_else(|| error.kind.to_string()),
        other => other.to_string(),
    };
    Error::new(kind, format!("{doing}: {text}{advice}"))
}

/// What the driver's description of a topology says of each server that has an error; `None` when it says nothing.
fn no_server(message: &str) -> Option<String> {
    let (_, topology) = message.split_once("Topology: ")?;
    let servers = topology.split("{ Address: ").skip(1).filter_map(|server| {
        let address = server.split(", ").next()?;
        let (_, error) = server.split_once("Error: Kind: ")?;
        let what = error.split(", labels: ").next()?;
        Some(format!("{address}: {what}"))
    });
    let servers: Vec<String> = servers.collect();
    (!servers.is_empty()).then(|| format!("no server can be used ({})", servers.join("; ")))
}

/// A command that did not end in time.
pub(crate) fn timed_out(doing: &str, after: Duration) -> Error {
    Error::transient(format!("{doing}: no answer within {} s", after.as_secs()))
}

const CREDENTIALS: &str = "; check user, password and authSource in connection.uri";
const TLS: &str = "; check tls and tlsCAFile in connection.uri";

fn advice(code: i32) -> &'static str {
    match code {
        18 | 8000 => CREDENTIALS,
        13 => "; grant the user readWrite on the database",
        _ => "",
    }
}

fn is_tls(message: &str) -> bool {
    message.contains("invalid peer certificate") || message.contains("InvalidCertificate")
}

fn is_authentication(message: &str) -> bool {
    message.contains("Authentication failed") || message.contains("SCRAM failure")
}

/// The server's codes that decide; `None` for all others.
fn kind_of(code: i32) -> Option<ErrorKind> {
    Some(match code {
        // Network, elections, shutdown, overload, conflicts, time limits: other servers or other times will do.
        6 | 7 | 24 | 46 | 50 | 64 | 89 | 91 | 112 | 134 | 146 | 189 | 202 | 262 | 290 | 292 | 317 | 358 | 364 | 384
        | 462 | 9001 | 10_058 | 10_107 | 11_600 | 11_602 | 13_388 | 13_435 | 13_436 | 14_031 | 39 | 43 | 63 | 133
        | 150 => ErrorKind::TRANSIENT,
        // Unauthorized, AuthenticationFailed, AuthenticationRestrictionUnmet, AtlasError, InvalidNamespace,
        // CommandNotSupportedOnView, CommandNotFound, IllegalOperation, write concerns nobody can meet
        13 | 18 | 31 | 79 | 100 | 8000 | 73 | 166 | 59 | 20 => ErrorKind::BadConfig,
        // What is wrong with a document: its types, names, size, validation, uniqueness, nesting
        2 | 9 | 14 | 15 | 22 | 28 | 34 | 40 | 47 | 52 | 53 | 54 | 55 | 56 | 57 | 66 | 111 | 121 | DUPLICATE_KEY
        | 10_334 | 16_755 | 16_837 | 17_280 | 17_419 | 17_420 => ErrorKind::BadRecord,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
