//! Every key of the store is made, and taken apart, here.
//!
//! ```text
//! /millrace/v1/tenants/{t}/definition                       Tenant
//! /millrace/v1/tenants/{t}/connectors/{c}/definition        Definition
//! /millrace/v1/tenants/{t}/connectors/{c}/plan              TaskSet
//! /millrace/v1/tenants/{t}/connectors/{c}/task/{n}          Placement
//! /millrace/v1/tenants/{t}/connectors/{c}/status/{n}        TaskStatus
//! /millrace/v1/catalogue/{class}/{version}                  Plugin
//! /millrace/v1/workers/{id}                                 Worker         (bound to the session's lease)
//! /millrace/v1/assignments/{worker}                         Assignment
//! /millrace/v1/leader                                       the leader's id (bound to the leader's lease)
//! ```
//! Names are percent-encoded, so that a connector may be called anything.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::model::{ConnectorId, TaskId};

/// Everything lies under it.
pub const ROOT: &str = "/millrace/v1/";
/// Worker entries.
pub const WORKERS: &str = "/millrace/v1/workers/";
/// Assignments.
pub const ASSIGNMENTS: &str = "/millrace/v1/assignments/";
/// Catalogue entries.
pub const CATALOGUE: &str = "/millrace/v1/catalogue/";
/// Tenants and all that is theirs.
pub const TENANTS: &str = "/millrace/v1/tenants/";
/// The leader's key.
pub const LEADER: &str = "/millrace/v1/leader";

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn encode(name: &str) -> String {
    utf8_percent_encode(name, KEPT).to_string()
}

fn decode(name: &str) -> Option<String> {
    percent_decode_str(name).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// A tenant's settings.
#[must_use]
pub fn tenant(tenant: &str) -> String {
    format!("{TENANTS}{}/definition", encode(tenant))
}

/// All connectors of a tenant.
#[must_use]
pub fn connectors(tenant: &str) -> String {
    format!("{TENANTS}{}/connectors/", encode(tenant))
}

/// All of one connector.
#[must_use]
pub fn connector(id: &ConnectorId) -> String {
    format!("{}{}/", connectors(&id.tenant), encode(&id.connector))
}

/// Its definition.
#[must_use]
pub fn definition(id: &ConnectorId) -> String {
    format!("{}definition", connector(id))
}

/// Its task set.
#[must_use]
pub fn plan(id: &ConnectorId) -> String {
    format!("{}plan", connector(id))
}

/// A task's placement.
#[must_use]
pub fn placement(id: &TaskId) -> String {
    format!("{}task/{}", connector(&id.connector), id.index)
}

/// A task's status.
#[must_use]
pub fn status(id: &TaskId) -> String {
    format!("{}status/{}", connector(&id.connector), id.index)
}

/// A worker.
#[must_use]
pub fn worker(id: &str) -> String {
    format!("{WORKERS}{}", encode(id))
}

/// A worker's assignment.
#[must_use]
pub fn assignment(worker: &str) -> String {
    format!("{ASSIGNMENTS}{}", encode(worker))
}

/// A version of a connector class.
#[must_use]
pub fn plugin(class: &str, version: &str) -> String {
    format!("{CATALOGUE}{}/{}", encode(class), encode(version))
}

/// What a key is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A tenant's settings
    Tenant(String),
    /// A connector's definition
    Definition(ConnectorId),
    /// A connector's task set
    Plan(ConnectorId),
    /// A task's placement
    Placement(TaskId),
    /// A task's status
    Status(TaskId),
    /// A connector class
    Plugin {
        /// The class
        class: String,
        /// Its version
        version: String,
    },
    /// A worker
    Worker(String),
    /// A worker's assignment
    Assignment(String),
    /// The leader
    Leader,
}

/// Takes a key apart; None for one that is not ours (a later version's, perhaps).
#[must_use]
pub fn parse(key: &str) -> Option<Key> {
    let parts: Vec<&str> = key.strip_prefix(ROOT)?.split('/').collect();
    let connector = |t: &str, c: &str| Some(ConnectorId { tenant: decode(t)?, connector: decode(c)? });
    let task = |t: &str, c: &str, n: &str| Some(TaskId { connector: connector(t, c)?, index: n.parse().ok()? });
    Some(match parts.as_slice() {
        ["tenants", t, "definition"] => Key::Tenant(decode(t)?),
        ["tenants", t, "connectors", c, "definition"] => Key::Definition(connector(t, c)?),
        ["tenants", t, "connectors", c, "plan"] => Key::Plan(connector(t, c)?),
        ["tenants", t, "connectors", c, "task", n] => Key::Placement(task(t, c, n)?),
        ["tenants", t, "connectors", c, "status", n] => Key::Status(task(t, c, n)?),
        ["catalogue", class, version] => Key::Plugin { class: decode(class)?, version: decode(version)? },
        ["workers", id] => Key::Worker(decode(id)?),
        ["assignments", id] => Key::Assignment(decode(id)?),
        ["leader"] => Key::Leader,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_apart_as_it_was_made() {
        let id = ConnectorId { tenant: "default".into(), connector: "a/b %é".into() };
        let task = TaskId { connector: id.clone(), index: 3 };
        assert_eq!(parse(&definition(&id)), Some(Key::Definition(id.clone())));
        assert_eq!(parse(&plan(&id)), Some(Key::Plan(id.clone())));
        assert_eq!(parse(&placement(&task)), Some(Key::Placement(task.clone())));
        assert_eq!(parse(&status(&task)), Some(Key::Status(task)));
        assert_eq!(parse(&worker("w/1")), Some(Key::Worker("w/1".into())));
        assert_eq!(parse(&assignment("w")), Some(Key::Assignment("w".into())));
        assert_eq!(parse(&tenant("t")), Some(Key::Tenant("t".into())));
        assert_eq!(parse(LEADER), Some(Key::Leader));
        assert_eq!(
            parse(&plugin("mongodb-sink", "0.1.0")),
            Some(Key::Plugin { class: "mongodb-sink".into(), version: "0.1.0".into() })
        );
        assert_eq!(parse("/millrace/v1/strange"), None);
    }
}
