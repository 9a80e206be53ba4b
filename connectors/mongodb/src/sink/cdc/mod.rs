//! Change events as writes: a source's inserts, updates and deletions are repeated.

mod change_stream;
mod debezium;
mod qlik;

use millrace_sdk::Result;
use mongodb::bson::{Bson, Document};

use super::document::{Documents, Write};
use super::process::remove_nulls;

/// Whose events they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handler {
    /// MongoDB's change streams
    ChangeStream,
    /// Debezium for MongoDB until 1.x: patches of the oplog
    DebeziumOplog,
    /// Debezium for MongoDB since 2.0: documents after the change
    DebeziumChangeStream,
    /// Debezium for relational databases
    DebeziumRelational,
    /// Qlik Replicate for relational databases
    QlikRelational,
}

/// How change events are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cdc {
    handler: Handler,
    remove_nulls: bool,
}

const PACKAGE: &str = "com.mongodb.kafka.connect.sink.cdc.";

/// Names within the peer's package.
const HANDLERS: &[(&str, Handler)] = &[
    ("mongodb.ChangeStreamHandler", Handler::ChangeStream),
    ("debezium.mongodb.MongoDbHandler", Handler::DebeziumOplog),
    ("debezium.mongodb.ChangeStreamHandler", Handler::DebeziumChangeStream),
    ("debezium.rdbms.RdbmsHandler", Handler::DebeziumRelational),
    ("debezium.rdbms.mysql.MysqlHandler", Handler::DebeziumRelational),
    ("debezium.rdbms.postgres.PostgresHandler", Handler::DebeziumRelational),
    ("qlik.rdbms.RdbmsHandler", Handler::QlikRelational),
];

impl Cdc {
    /// The handler of a class name: whole, within the peer's package, or its last part where only one has it.
    pub(crate) fn named(class: &str, remove_nulls: bool) -> Option<Self> {
        let name = class.trim();
        let name = name.strip_prefix(PACKAGE).unwrap_or(name);
        let exact = HANDLERS.iter().find(|(known, _)| *known == name);
        let found = exact.or_else(|| HANDLERS.iter().find(|(known, _)| known.rsplit('.').next() == Some(name)));
        found.map(|(_, handler)| Self { handler: *handler, remove_nulls })
    }

    /// All names, for a message.
    pub(crate) fn names() -> String {
        let names: Vec<&str> = HANDLERS.iter().map(|one| one.0).collect();
        format!("available are {} (in {PACKAGE}*)", names.join(", "))
    }

    /// The write that repeats a change; `None` for events that change no document.
    ///
    /// # Errors
    /// `BadRecord` for what is no event of the kind.
    pub(crate) fn handle(self, documents: &mut Documents<'_>) -> Result<Option<Write>> {
        let write = match self.handler {
            Handler::ChangeStream => change_stream::handle(documents)?,
            Handler::DebeziumOplog => debezium::document(documents, debezium::Form::Oplog)?,
            Handler::DebeziumChangeStream => debezium::document(documents, debezium::Form::ChangeStream)?,
            Handler::DebeziumRelational => debezium::row(documents)?,
            Handler::QlikRelational => qlik::handle(documents)?,
        };
        Ok(if self.remove_nulls { write.and_then(without_nulls) } else { write })
    }
}

/// A write without null fields, or nothing when nothing is left of it.
fn without_nulls(write: Write) -> Option<Write> {
    match write {
        Write::Replace { filter, mut document, upsert } => {
            remove_nulls(&mut document);
            (!document.is_empty()).then_some(Write::Replace { filter, document, upsert })
        }
        Write::Update { filter, mut update, upsert } => {
            if let Some(Bson::Document(set)) = update.get_mut("$set") {
                remove_nulls(set);
                if set.is_empty() {
                    update.remove("$set");
                }
            }
            (!update.is_empty()).then_some(Write::Update { filter, update, upsert })
        }
        other => Some(other),
    }
}

/// An absent document is an empty one.
fn or_empty(document: Option<&Document>) -> Document {
    document.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests;
