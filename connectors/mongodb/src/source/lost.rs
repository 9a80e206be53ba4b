//! The oplog no longer reaches back to the position: what then, and how near that is.

use std::time::Duration;

use millrace_sdk::{Error, Result};
use mongodb::Client;
use mongodb::bson::{Document, Timestamp, doc};
use tokio::time::Instant;

use super::config::OnLostToken;
use super::copy;
use super::reader::Reader;
use super::stream::Start;

/// How often the oplog is looked at.
const LOOK: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(5);
/// Left to the server between the oldest entry that was seen and the one to begin with: it may be cutting the oplog just now.
const MARGIN: u32 = 1;

/// Where the stream goes on, by the user's policy. It is always told.
///
/// # Errors
/// With the policy `fail`: what happened and what can be done.
pub(super) async fn decide(reader: &mut Reader, place: &Start, error: &mongodb::error::Error) -> Result<Start> {
    let scope = reader.settings.scope.clone();
    let since = time_of(place);
    let lost = format!("the oplog does not reach back to the position of {scope} ({since}) any more: {}", error.kind);
    match reader.settings.on_lost_token {
        OnLostToken::Fail => Err(Error::bad_config(format!(
            "{lost}. What happened since is lost for the stream. Either set millrace.mongodb.on.lost.token=resnapshot to copy \
             everything again, or =timestamp to go on with the oldest event that is left, or reset the connector's offsets \
             to begin as startup.mode says. A larger oplog (replSetResizeOplog) or a shorter outage avoids it"
        ))),
        OnLostToken::Resnapshot => {
            tracing::warn!(lost, "everything is copied again (millrace.mongodb.on.lost.token=resnapshot)");
            reader.resume.forget();
            copy::run(reader, None, false).await.map(Start::After)
        }
        OnLostToken::Timestamp => {
            let oldest = oldest(&reader.client).await.ok_or_else(|| {
                Error::bad_config(format!(
                    "{lost}. The oldest entry of the oplog cannot be read: grant read on local or clusterMonitor, or use another \
                     millrace.mongodb.on.lost.token"
                ))
            })?;
            let from = Timestamp { time: oldest.time.saturating_add(MARGIN), increment: 0 };
            tracing::warn!(
                lost,
                from = from.time,
                "the stream goes on with the oldest event that is left; what lies between is missing \
                 (millrace.mongodb.on.lost.token=timestamp)"
            );
            Ok(Start::At(from))
        }
    }
}

fn time_of(place: &Start) -> String {
    let time = match place {
        Start::Now => None,
        Start::At(time) => Some(*time),
        Start::After(token) => token.time(),
    };
    time.map_or_else(
        || "of an unknown time".to_owned(),
        |time| {
            let at = mongodb::bson::DateTime::from_millis(i64::from(time.time) * 1000);
            at.try_to_rfc3339_string().unwrap_or_default()
        },
    )
}

/// Now and then: how long the oplog reaches back behind the position.
pub(super) async fn watch_oplog(reader: &mut Reader, place: &Start) {
    if reader.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
        return;
    }
    reader.looked = Some(Instant::now());
    let Start::After(token) = place else { return };
    let Some(position) = token.time() else { return };
    let Some(oldest) = oldest(&reader.client).await else { return };
    let reach = Duration::from_secs(position.time.saturating_sub(oldest.time).into());
    if reach < reader.settings.oplog_warning {
        tracing::warn!(
            scope = %reader.settings.scope,
            minutes = reach.as_secs() / 60,
            "the oplog reaches back behind the position by little; if that ends, the position is lost"
        );
    }
}

/// The time of the oldest entry of the oplog; None when it cannot be read.
async fn oldest(client: &Client) -> Option<Timestamp> {
    let read = async {
        let oplog = client.database("local").collection::<Document>("oplog.rs");
        let first = oplog.find_one(doc! {}).projection(doc! { "ts": 1 }).sort(doc! { "$natural": 1 }).await;
        if let Ok(Some(first)) = first {
            return first.get_timestamp("ts").ok();
        }
        let status = client.database("admin").run_command(doc! { "serverStatus": 1, "oplog": 1 }).await.ok()?;
        status.get_document("oplog").ok()?.get_timestamp("earliestOptime").ok()
    };
    tokio::time::timeout(PATIENCE, read).await.ok().flatten()
}
