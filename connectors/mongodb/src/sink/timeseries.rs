//! Time series collections: made when they are first needed, and never taken for granted when something else has the name.

use millrace_sdk::{Error, Result};
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Namespace};

use super::config::TopicConfig;
use crate::error::classify;

/// The server's code for a collection that exists already.
const NAMESPACE_EXISTS: i32 = 48;

/// How a time series collection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeSeries {
    time_field: String,
    meta_field: Option<String>,
    granularity: Option<&'static str>,
    expire_after_seconds: Option<i64>,
}

impl TimeSeries {
    /// From a topic's keys; an error is a key and what is wrong with it.
    pub(crate) fn of(config: &TopicConfig) -> Result<Option<Self>, (&'static str, String)> {
        let time_field = config.time_field.trim().to_owned();
        let meta = config.meta_field.trim();
        let granularity = match config.granularity.trim().to_ascii_lowercase().as_str() {
            "" => None,
            "seconds" => Some("seconds"),
            "minutes" => Some("minutes"),
            "hours" => Some("hours"),
            other => {
                return Err(("timeseries.granularity", format!("\"{other}\" is none of: seconds, minutes, hours")));
            }
        };
        let expire = (config.expire_after_seconds > 0).then_some(config.expire_after_seconds);
        if time_field.is_empty() {
            let stray = [
                ("timeseries.metafield", !meta.is_empty()),
                ("timeseries.granularity", granularity.is_some()),
                ("timeseries.expire.after.seconds", expire.is_some()),
            ];
            return match stray.into_iter().find(|(_, set)| *set) {
                Some((key, _)) => Err((key, format!("{key} needs timeseries.timefield"))),
                None => Ok(None),
            };
        }
        if meta == time_field || meta == "_id" {
            return Err(("timeseries.metafield", "it must be neither the time field nor _id".to_owned()));
        }
        Ok(Some(Self {
            time_field,
            meta_field: (!meta.is_empty()).then(|| meta.to_owned()),
            granularity,
            expire_after_seconds: expire,
        }))
    }

    fn create(&self, collection: &str) -> Document {
        let mut series = doc! { "timeField": &self.time_field };
        if let Some(meta) = &self.meta_field {
            series.insert("metaField", meta);
        }
        if let Some(granularity) = self.granularity {
            series.insert("granularity", granularity);
        }
        let mut command = doc! { "create": collection, "timeseries": series };
        if let Some(seconds) = self.expire_after_seconds {
            command.insert("expireAfterSeconds", seconds);
        }
        command
    }

    /// Makes the collection unless it is there.
    ///
    /// # Errors
    /// `BadConfig` when a collection of another kind has the name, or the user may not make one.
    pub(crate) async fn ensure(&self, client: &Client, namespace: &Namespace) -> Result<()> {
        let doing = format!("cannot create the time series {namespace}");
        let database = client.database(&namespace.db);
        match kind(client, namespace).await? {
            Some(kind) if kind == "timeseries" => return Ok(()),
            Some(_) => return Err(taken(namespace)),
            None => {}
        }
        let Err(error) = database.run_command(self.create(&namespace.coll)).await else { return Ok(()) };
        let exists = matches!(
            &*error.kind,
            mongodb::error::ErrorKind::Command(command) if command.code == NAMESPACE_EXISTS
        );
        // Another task was faster.
        if exists && kind(client, namespace).await?.as_deref() == Some("timeseries") {
            return Ok(());
        }
        Err(if exists { taken(namespace) } else { classify(error, &doing) })
    }
}

fn taken(namespace: &Namespace) -> Error {
    Error::bad_config(format!(
        "{namespace} exists and is no time series: drop it, name another collection, or remove timeseries.timefield"
    ))
}

/// What kind of collection has this name: `collection`, `timeseries`, `view`; `None` when there is none.
pub(crate) async fn kind(client: &Client, namespace: &Namespace) -> Result<Option<String>> {
    let command = doc! { "listCollections": 1, "filter": { "name": &namespace.coll }, "nameOnly": true, "authorizedCollections": true };
    let reply = client
        .database(&namespace.db)
        .run_command(command)
        .await
        .map_err(|error| classify(error, &format!("cannot look at {namespace}")))?;
    let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let found = batch.ok().and_then(|batch| batch.first()).and_then(Bson::as_document);
    Ok(found.and_then(|found| found.get_str("type").ok()).map(str::to_owned))
}
