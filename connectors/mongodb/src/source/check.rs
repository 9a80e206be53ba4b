//! Whether the source could work: connection, credentials, a replica set, and the privileges by opening the change stream and
//! reading a document. What is missing is named (`privileges`).

use std::time::Duration;

use millrace_sdk::{Error, ErrorKind, Findings, Problem, Result};
use mongodb::Client;
use mongodb::bson::{Document, doc};

use super::config::SourceConfig;
use super::privileges;
use super::settings::{Scope, Settings, Startup};
use super::stream::{self, Special, Start};
use crate::client::{CHECK_TIMEOUT, shut_down};
use crate::error::{classify, timed_out};

/// The server's answer to an open stream is not waited for longer.
const AWAIT: Duration = Duration::from_millis(100);

pub(super) async fn check(config: &SourceConfig, mut settings: Settings) -> Result<Findings> {
    settings.poll_await = AWAIT;
    let (client, _) = config.connection.client(CHECK_TIMEOUT).await?;
    let checked = tokio::time::timeout(2 * CHECK_TIMEOUT, try_out(&client, &settings)).await;
    shut_down(&client).await;
    match checked {
        Ok(checked) => checked,
        Err(_) => Err(timed_out("cannot reach MongoDB", 2 * CHECK_TIMEOUT)),
    }
}

async fn try_out(client: &Client, settings: &Settings) -> Result<Findings> {
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await;
    let hello = hello.map_err(|error| classify(error, "cannot reach MongoDB"))?;
    let is_router = hello.get_str("msg").is_ok_and(|message| message == "isdbgrid");
    if !hello.contains_key("setName") && !is_router {
        return Err(Error::bad_config(
            "this MongoDB is no replica set, and only those have change streams: start mongod with --replSet and initiate it \
             (rs.initiate()), also when there is one server only",
        ));
    }
    let read = read(client, settings).await;
    match read {
        Err(error) if error.kind() == ErrorKind::BadConfig => Err(privileges::explained(client, settings, error).await),
        other => other,
    }
}

/// Opens the stream, and reads what would be copied.
async fn read(client: &Client, settings: &Settings) -> Result<Findings> {
    let mut findings = Findings::default();
    match stream::open(client, settings, &Start::Now, &Special::default()).await {
        Ok(mut stream) => {
            if let Some(Err(error)) = stream.next().await {
                return Err(stream::classified(error, &settings.scope));
            }
        }
        Err(error) if stream::code(&error) == Some(26) => findings
            .warnings
            .push(Problem::new("database", format!("{} does not exist yet; it is waited for", settings.scope))),
        Err(error) => return Err(stream::classified(error, &settings.scope)),
    }
    if let (Startup::Copy, Scope::Collection(database, collection)) = (&settings.startup, &settings.scope) {
        let found = client.database(database).collection::<Document>(collection).find_one(doc! {}).await;
        found.map_err(|error| stream::classified(error, &settings.scope))?;
    }
    if settings.startup == Startup::Copy && !matches!(settings.scope, Scope::Collection(..)) {
        super::copy::sizes(client, settings).await?;
    }
    let oplog = client.database("local").collection::<Document>("oplog.rs");
    if oplog.find_one(doc! {}).projection(doc! { "ts": 1 }).await.is_err() {
        findings.warnings.push(Problem::new(
            "connection.uri",
            "the user may not read local.oplog.rs: how long the oplog reaches back behind the position is not known; grant read on \
             local or clusterMonitor to be warned before a position is lost",
        ));
    }
    Ok(findings)
}
