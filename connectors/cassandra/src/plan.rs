//! A mapping made ready for a real table: columns with their types, the primary key, the statements.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use millrace_sdk::{Error, Result};
use scylla::client::session::Session;
use scylla::cluster::metadata::{ColumnType, NativeType};
use scylla::statement::prepared::PreparedStatement;

use crate::mapping::{Field, Target};
use crate::tables::TableSettings;
use crate::{codec, error, session};

/// A table as the database describes it.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) columns: BTreeMap<String, ColumnType<'static>>,
    pub(crate) partition_key: Vec<String>,
    pub(crate) clustering_key: Vec<String>,
}

impl Described {
    fn primary_key(&self) -> impl Iterator<Item = &String> {
        self.partition_key.iter().chain(&self.clustering_key)
    }
}

/// A bound column of the insert.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) typ: ColumnType<'static>,
    pub(crate) field: Field,
    pub(crate) in_key: bool,
}

/// What is known of a table without asking the database again.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) settings: TableSettings,
    /// Bound columns, in the order of the insert
    pub(crate) columns: Vec<Column>,
    /// Columns filled by `now()`
    pub(crate) now: Vec<String>,
    /// Indices into `columns` in the order of the primary key; empty when a part of it is filled by `now()`
    pub(crate) key: Vec<usize>,
    /// How many of `key` are the partition key
    pub(crate) partition_len: usize,
    pub(crate) ttl: Option<Field>,
    pub(crate) timestamp: Option<Field>,
    /// Whether every column of the table is mapped: only then a record without any value stands for the whole row
    pub(crate) covers_table: bool,
}

/// A table with its statements.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) layout: Layout,
    pub(crate) insert: PreparedStatement,
    /// None with `deletesEnabled=false` or a primary key made by `now()`
    pub(crate) delete: Option<PreparedStatement>,
}

impl Layout {
    /// `keyspace.table`, for errors.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.settings.keyspace, self.settings.table)
    }

    /// Fits a mapping to a table.
    ///
    /// # Errors
    /// `BadConfig`: unknown columns, types that are not available, a primary key that is not mapped.
    pub(crate) fn new(settings: TableSettings, table: &Described) -> Result<Self> {
        let wrong = |message: String| Error::bad_config(format!("{}: {message}", settings.key));
        let full = format!("{}.{}", settings.keyspace, settings.table);
        let (mut columns, mut now, mut ttl, mut timestamp) = (Vec::new(), Vec::new(), None, None);
        for entry in &settings.mapping {
            let name = match &entry.target {
                Target::Ttl => {
                    ttl = Some(entry.field.clone());
                    continue;
                }
                Target::Timestamp => {
                    timestamp = Some(entry.field.clone());
                    continue;
                }
                Target::Column(name) => name,
            };
            let Some(typ) = table.columns.get(name) else {
                let names = session::listed(table.columns.keys().map(String::as_str));
                return Err(wrong(format!("table {full} has no column {name}; its columns: {names}")));
            };
            codec::supported(typ).map_err(|why| wrong(format!("column {name} of {full}: {why}")))?;
            if entry.field == Field::Now {
                if !matches!(typ, ColumnType::Native(NativeType::Timeuuid | NativeType::Uuid)) {
                    return Err(wrong(format!(
                        "now() makes a timeuuid, and column {name} of {full} has type {}",
                        codec::name(typ)
                    )));
                }
                now.push(name.clone());
                continue;
            }
            let in_key = table.primary_key().any(|part| part == name);
            columns.push(Column { name: name.clone(), typ: typ.clone(), field: entry.field.clone(), in_key });
        }
        if matches!(ttl, Some(Field::Now)) || matches!(timestamp, Some(Field::Now)) {
            return Err(wrong("now() cannot fill __ttl or __timestamp".to_owned()));
        }
        let key = key_indices(&columns, &now, table).map_err(|name| {
            let parts: Vec<&str> = table.primary_key().map(String::as_str).collect();
            wrong(format!("primary key column {name} of {full} is not mapped; the primary key is {}", parts.join(", ")))
        })?;
        let made_by_now = key.len() < table.partition_key.len() + table.clustering_key.len();
        let covers_table = columns.len() + now.len() == table.columns.len();
        Ok(Self {
            columns,
            now,
            key: if made_by_now { Vec::new() } else { key },
            partition_len: table.partition_key.len(),
            ttl,
            timestamp,
            covers_table,
            settings,
        })
    }

    /// The insert: the bound columns, the write time, then the time to live if it is mapped.
    pub(crate) fn insert_statement(&self) -> String {
        let names: Vec<String> =
            self.columns.iter().map(|column| &column.name).chain(&self.now).map(|name| quoted(name)).collect();
        let values: Vec<&str> = self.columns.iter().map(|_| "?").chain(self.now.iter().map(|_| "now()")).collect();
        let mut statement = format!(
            "INSERT INTO {}.{} ({}) VALUES ({}) USING TIMESTAMP ?",
            quoted(&self.settings.keyspace),
            quoted(&self.settings.table),
            names.join(", "),
            values.join(", ")
        );
        match (&self.ttl, self.settings.ttl) {
            (Some(_), _) => statement.push_str(" AND TTL ?"),
            (None, Some(seconds)) => {
                let _ = write!(statement, " AND TTL {seconds}");
            }
            (None, None) => {}
        }
        statement
    }

    /// The delete by primary key: the write time, then the key.
    pub(crate) fn delete_statement(&self) -> Option<String> {
        if !self.settings.deletes_enabled || self.key.is_empty() {
            return None;
        }
        let conditions: Vec<String> =
            self.key.iter().map(|at| format!("{} = ?", quoted(&self.columns[*at].name))).collect();
        Some(format!(
            "DELETE FROM {}.{} USING TIMESTAMP ? WHERE {}",
            quoted(&self.settings.keyspace),
            quoted(&self.settings.table),
            conditions.join(" AND ")
        ))
    }
}

/// Where the parts of the primary key are among the bound columns; those made by `now()` are left out. The error is the
/// part that is not mapped.
fn key_indices(columns: &[Column], now: &[String], table: &Described) -> Result<Vec<usize>, String> {
    let mut key = Vec::new();
    for name in table.primary_key() {
        match columns.iter().position(|column| column.name == *name) {
            Some(at) => key.push(at),
            None if now.contains(name) => {}
            None => return Err(name.clone()),
        }
    }
    Ok(key)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Plan {
    /// Looks at the table and prepares the statements.
    pub(crate) async fn prepare(session: &Session, settings: TableSettings) -> Result<Self> {
        let table = session::table(session, &settings).await?;
        let layout = Layout::new(settings, &table)?;
        let insert = prepare(session, &layout, layout.insert_statement()).await?;
        let delete = match layout.delete_statement() {
            Some(statement) => Some(prepare(session, &layout, statement).await?),
            None => None,
        };
        Ok(Self { layout, insert, delete })
    }
}

async fn prepare(session: &Session, layout: &Layout, statement: String) -> Result<PreparedStatement> {
    let doing = format!("{}: cannot prepare {statement:?}", layout.settings.key);
    let mut prepared = session.prepare(statement).await.map_err(|cause| error::of_prepare(&doing, cause))?;
    prepared.set_consistency(layout.settings.consistency);
    // The write time is given, so a repetition changes nothing.
    prepared.set_is_idempotent(layout.now.is_empty());
    Ok(prepared)
}
