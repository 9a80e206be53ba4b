//! What is proven before a task starts: connection, credentials, privileges, target; and what is worth saying.

use std::collections::{BTreeMap, BTreeSet};

use millrace_sdk::{Error, Findings, Problem, Result, TaskContext, VersionRule};
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Namespace};

use super::settings::{IdStrategy, Settings, TopicSettings, WriteModel};
use super::timeseries::kind;
use crate::error::classify;

/// What a database must allow.
type Needs = BTreeMap<(String, String), BTreeSet<&'static str>>;

pub(super) async fn run(client: &Client, settings: &Settings, context: &TaskContext) -> Result<Findings> {
    let admin = client.database("admin");
    admin.run_command(doc! { "ping": 1 }).await.map_err(|error| classify(error, "cannot reach MongoDB"))?;
    let mut warnings = remarks(settings, context);
    match admin.run_command(doc! { "connectionStatus": 1, "showPrivileges": true }).await {
        Ok(status) => missing(&status, &needs(settings, context))?,
        Err(error) if is_not_in_api(&error) => warnings.push(Problem::new(
            "server.api.strict",
            "the user's privileges cannot be asked for: the command connectionStatus does not belong to the stable API",
        )),
        Err(error) => return Err(classify(error, "cannot ask for the user's privileges")),
    }
    targets(client, settings, context).await?;
    Ok(Findings { errors: Vec::new(), warnings })
}

/// The server's APIStrictError.
fn is_not_in_api(error: &mongodb::error::Error) -> bool {
    matches!(&*error.kind, mongodb::error::ErrorKind::Command(command) if command.code == 323)
}

/// The actions that the write models need, per namespace.
fn needs(settings: &Settings, context: &TaskContext) -> Needs {
    let mut needs = Needs::new();
    for (topic, one) in settings.known(&context.topics) {
        let namespace = one.namespaces.fixed(topic);
        let all = needs.entry((namespace.db, namespace.coll)).or_default();
        all.extend(actions(one));
    }
    needs
}

fn actions(settings: &TopicSettings) -> Vec<&'static str> {
    let mut actions = match settings.model {
        _ if settings.cdc.is_some() => vec!["insert", "update", "remove"],
        // Whether a refused insert was done before is looked up.
        WriteModel::Insert if settings.id.is_per_record() => vec!["insert"],
        WriteModel::Insert => vec!["insert", "find"],
        WriteModel::Delete | WriteModel::DeleteBusinessKey => vec!["remove"],
        _ => vec!["insert", "update"],
    };
    if settings.tombstone.is_some() {
        actions.push("remove");
    }
    if settings.time_series.is_some() {
        actions.push("createCollection");
    }
    actions
}

/// Refuses when the user's privileges do not cover a namespace. Without access control there is no user, and all is allowed.
fn missing(status: &Document, needs: &Needs) -> Result<()> {
    let info = status.get_document("authInfo").cloned().unwrap_or_default();
    let users = info.get_array("authenticatedUsers").map(Vec::len).unwrap_or(0);
    let Ok(privileges) = info.get_array("authenticatedUserPrivileges") else { return Ok(()) };
    if users == 0 {
        return Ok(());
    }
    let user = info.get_array("authenticatedUsers").ok().and_then(|users| users.first()).and_then(Bson::as_document);
    let name = user.and_then(|user| user.get_str("user").ok()).unwrap_or("the user");
    for ((database, collection), actions) in needs {
        let lacking: Vec<&str> =
            actions.iter().copied().filter(|action| !is_granted(privileges, database, collection, action)).collect();
        if !lacking.is_empty() {
            return Err(Error::bad_config(format!(
                "{name} may not {} in {database}.{collection}: grant it the role readWrite on the database {database} \
                 (db.grantRolesToUser(\"{name}\", [{{ role: \"readWrite\", db: \"{database}\" }}]))",
                lacking.join(", ")
            )));
        }
    }
    Ok(())
}

fn is_granted(privileges: &[Bson], database: &str, collection: &str, action: &str) -> bool {
    privileges.iter().filter_map(Bson::as_document).any(|privilege| {
        let resource = privilege.get_document("resource").cloned().unwrap_or_default();
        let any = resource.get_bool("anyResource").unwrap_or(false);
        let of =
            |name: &str, wanted: &str| resource.get_str(name).is_ok_and(|found| found.is_empty() || found == wanted);
        let actions = privilege.get_array("actions");
        (any || (of("db", database) && of("collection", collection)))
            && actions.is_ok_and(|actions| {
                actions.iter().any(|one| matches!(one.as_str(), Some(one) if one == action || one == "anyAction"))
            })
    })
}

/// Nothing is written, but the targets must be what they should be.
async fn targets(client: &Client, settings: &Settings, context: &TaskContext) -> Result<()> {
    for (topic, one) in settings.known(&context.topics) {
        if topic.is_empty() && one.namespaces.collection.is_empty() {
            continue;
        }
        let namespace: Namespace = one.namespaces.fixed(topic);
        match (kind(client, &namespace).await?.as_deref(), &one.time_series) {
            (Some("view"), _) => {
                return Err(Error::bad_config(format!("{namespace} is a view: name a collection to write into")));
            }
            (Some("timeseries"), None) if one.model != WriteModel::Insert => {
                return Err(Error::bad_config(format!(
                    "{namespace} is a time series, which only takes inserts: set timeseries.timefield, or \
                     writemodel.strategy to InsertOneDefaultStrategy"
                )));
            }
            (Some("collection"), Some(_)) => {
                return Err(Error::bad_config(format!(
                    "{namespace} exists and is no time series: drop it, name another collection, or remove \
                     timeseries.timefield"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is worth saying about a configuration that works.
fn remarks(settings: &Settings, context: &TaskContext) -> Vec<Problem> {
    let all = || settings.known(&context.topics).map(|(_, one)| one).filter(|one| one.cdc.is_none());
    let mut warnings = Vec::new();
    if all().any(|one| one.time_series.is_some()) {
        warnings.push(Problem::new(
            "timeseries.timefield",
            "time series have no unique _id: a record that is read again after a crash becomes a second measurement",
        ));
    }
    if all().any(|one| matches!(one.id, IdStrategy::BsonOid | IdStrategy::Uuid { .. })) {
        warnings.push(Problem::new(
            "document.id.strategy",
            "ids are made of the connector's name and each record's topic, partition, offset and timestamp: reading again writes \
             the same documents, but under another connector name, from a topic made anew, or with MongoDB's own connector (whose \
             ids are random) a replay adds every document a second time. FullKeyStrategy, PartialKeyStrategy, \
             PartialValueStrategy, ProvidedInKeyStrategy and ProvidedInValueStrategy do not",
        ));
    }
    let versions = !matches!(context.versions.rule, VersionRule::Peer | VersionRule::None);
    if versions && all().any(|one| one.tombstone.is_some() || one.model == WriteModel::Delete) {
        warnings.push(Problem::new(
            "millrace.versions",
            "a deletion leaves no version behind in MongoDB: an older write that arrives after it (of a replay that begins \
             earlier, or of a process that slept) makes the document again, until the replay reaches the deletion",
        ));
    }
    warnings
}
