//! Bulk commands: `update`, `insert` and `delete` built as raw BSON, and their replies. The driver neither inspects nor
//! retries commands: `writeErrors` in an `Ok` reply are read here, and the write concern is added here.

use std::time::Duration;

use millrace_sdk::{Error, Result};
use mongodb::bson::{self, RawDocumentBuf};
use mongodb::options::WriteConcern;
use mongodb::{Client, Namespace};
use serde::Deserialize;

use super::model::{Operation, Verb};
use crate::bson::{MAX_DOCUMENT_BYTES, Writer, kind};
use crate::error::{WriteError, classify, classify_concern, timed_out};

/// A command is one BSON document; one operation may always go, more stay below this.
const COMMAND_BYTES: usize = MAX_DOCUMENT_BYTES - 64 * 1024;
/// The server's limit.
const COMMAND_OPERATIONS: usize = 100_000;
/// What a command adds to an entry: type, an index of at most six digits, NUL.
const ENTRY_BYTES: usize = 8;
/// Longer than any healthy server takes for one command; the lane is freed then.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends commands.
#[derive(Debug)]
pub(crate) struct Commands {
    client: Client,
    /// An encoded `writeConcern` element, or nothing.
    concern: Vec<u8>,
}

/// The parts of a reply that matter here.
#[derive(Debug, Default, Deserialize)]
struct Reply {
    #[serde(rename = "writeErrors", default)]
    write_errors: Vec<WriteError>,
    #[serde(rename = "writeConcernError", default)]
    concern_error: Option<ConcernError>,
}

#[derive(Debug, Deserialize)]
struct ConcernError {
    code: i32,
    #[serde(rename = "errmsg", default)]
    message: String,
}

impl Commands {
    /// Commands through a client, with the write concern of its connection string.
    ///
    /// # Errors
    /// `BadConfig` when the write concern cannot be written down.
    pub(crate) fn new(client: Client, concern: Option<&WriteConcern>) -> Result<Self> {
        let concern = match concern {
            Some(concern) => concern_element(concern)?,
            None => Vec::new(),
        };
        Ok(Self { client, concern })
    }

    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs operations of one namespace and verb, each for another document, unless they are `ordered`: then up to the
    /// first that fails. The answer names those that failed.
    ///
    /// # Errors
    /// When nothing is known about any of them.
    pub(crate) async fn run(
        &self,
        namespace: &Namespace,
        writer: &Writer,
        operations: &[&Operation],
        max_batch: usize,
        ordered: bool,
    ) -> Result<Vec<WriteError>> {
        let limit = if max_batch == 0 { COMMAND_OPERATIONS } else { max_batch.min(COMMAND_OPERATIONS) };
        let mut failed = Vec::new();
        let mut from = 0;
        while from < operations.len() {
            let to = chunk_end(operations, from, limit);
            let command = build(namespace, writer, &operations[from..to], (ordered, &self.concern))?;
            for mut error in self.send(namespace, command).await? {
                error.index += from;
                failed.push(error);
            }
            if ordered && !failed.is_empty() {
                break;
            }
            from = to;
        }
        Ok(failed)
    }

    async fn send(&self, namespace: &Namespace, command: RawDocumentBuf) -> Result<Vec<WriteError>> {
        let doing = format!("cannot write to {namespace}");
        let database = self.client.database(&namespace.db);
        let reply = match tokio::time::timeout(TIMEOUT, database.run_raw_command(command)).await {
            Err(_) => return Err(timed_out(&doing, TIMEOUT)),
            Ok(Err(error)) => return Err(classify(error, &doing)),
            Ok(Ok(reply)) => reply,
        };
        let reply: Reply = bson::deserialize_from_document(reply)
            .map_err(|error| Error::internal(format!("{doing}: an answer of an unknown form")).because(error))?;
        match reply.concern_error {
            Some(error) => Err(classify_concern(error.code, &error.message)),
            None => Ok(reply.write_errors),
        }
    }
}

fn concern_element(concern: &WriteConcern) -> Result<Vec<u8>> {
    let bytes = bson::serialize_to_vec(concern)
        .map_err(|error| Error::bad_config("the write concern of connection.uri is unusable").because(error))?;
    if bytes.len() <= 5 {
        return Ok(Vec::new());
    }
    let mut writer = Writer::default();
    let at = writer.known("writeConcern");
    writer.set(at, kind::DOCUMENT, &bytes);
    Ok(writer.into_bytes())
}

/// Where the command that starts with operation `from` ends.
fn chunk_end(operations: &[&Operation], from: usize, limit: usize) -> usize {
    let mut bytes = 0;
    let mut to = from;
    while to < operations.len() && to - from < limit {
        bytes += operations[to].entry.len() + ENTRY_BYTES;
        if to > from && bytes > COMMAND_BYTES {
            break;
        }
        to += 1;
    }
    to
}

fn build(
    namespace: &Namespace,
    writer: &Writer,
    operations: &[&Operation],
    (ordered, concern): (bool, &[u8]),
) -> Result<RawDocumentBuf> {
    let (verb, list) = match operations.first().map(|operation| operation.verb) {
        Some(Verb::Delete) => ("delete", "deletes"),
        Some(Verb::Insert) => ("insert", "documents"),
        Some(Verb::Update) | None => ("update", "updates"),
    };
    let bytes: usize = operations.iter().map(|operation| operation.entry.len() + ENTRY_BYTES).sum();
    let mut command = Writer::with_capacity(bytes + concern.len() + namespace.coll.len() + 64);
    let open = command.begin();
    let at = command.known(verb);
    command.text(at, &namespace.coll);
    let at = command.known("ordered");
    command.set(at, kind::BOOLEAN, &[u8::from(ordered)]);
    command.raw(concern);
    let at = command.known(list);
    let array = command.open(at, kind::ARRAY);
    for (index, operation) in operations.iter().enumerate() {
        let at = command.item(index);
        command.set(at, kind::DOCUMENT, writer.slice(operation.entry.clone()));
    }
    command.end(array);
    command.end(open);
    RawDocumentBuf::from_bytes(command.into_bytes())
        .map_err(|error| Error::internal("a command came out malformed").because(error))
}

#[cfg(test)]
mod tests;
