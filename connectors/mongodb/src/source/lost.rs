//! The oplog no longer reaches back to the position: what then, and how near that is.

use std::time::Duration;

use millrace_sdk::{Error, Figure, Reports, Result};
use mongodb::Client;
use mongodb::bson::{Document, Timestamp, doc};
use tokio::time::Instant;

use super::config::OnLostToken;
use super::copy;
use super::reader::Reader;
use super::settings::Settings;
use super::stream::{self, Special, Start, Trouble};
use super::token::Token;

/// How often the oplog is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the oldest event is asked for again when the server has cut it off meanwhile.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

static REACH: Figure = Figure {
    name: "millrace.mongodb.oplog.reach",
    unit: "s",
    description: "How long the oplog reaches back behind the position of a source task",
};
static LOST: Figure = Figure {
    name: "millrace.mongodb.lost.positions",
    unit: "{position}",
    description: "Positions of a source task that the oplog no longer reached",
};
/// What remarks in the task's status are about.
const OPLOG: &str = "mongodb.oplog";
const GAP: &str = "mongodb.lost";

/// Where the stream goes on, by the user's policy. It is always told.
///
/// # Errors
/// With the policy `fail`: what happened and what can be done.
pub(super) async fn decide(reader: &mut Reader, place: &Start, error: &mongodb::error::Error) -> Result<Start> {
    let scope = reader.settings.scope.clone();
    let since = time_of(place);
    let lost = format!("the oplog does not reach back to the position of {scope} ({since}) any more: {}", error.kind);
    reader.reports.count(&LOST, 1);
    match reader.settings.on_lost_token {
        OnLostToken::Fail => Err(Error::bad_config(format!(
            "{lost}. What happened since is lost for the stream. Either set millrace.mongodb.on.lost.token=resnapshot to copy \
             everything again, or =timestamp to go on with the oldest event that is left, or reset the connector's offsets \
             to begin as startup.mode says. A larger oplog (replSetResizeOplog) or a shorter outage avoids it"
        ))),
        OnLostToken::Resnapshot => {
            let told = format!("{lost}; everything was copied again (millrace.mongodb.on.lost.token=resnapshot)");
            reader.reports.remark(GAP, Some(told));
            reader.resume.forget();
            copy::run(reader, None, false).await.map(Start::After)
        }
        OnLostToken::Timestamp => {
            let start = oldest_start(reader, &lost).await?;
            let told = format!(
                "{lost}; the stream went on with the oldest event that was left, of {}. What lies between is missing \
                 (millrace.mongodb.on.lost.token=timestamp)",
                time_of(&start)
            );
            reader.reports.remark(GAP, Some(told));
            Ok(start)
        }
    }
}

/// The oldest event that a stream can begin with. Not one later: what has happened since must not be passed over. The server
/// may cut it off while it is asked for, so it is asked for again.
async fn oldest_start(reader: &Reader, lost: &str) -> Result<Start> {
    for _ in 0..TRIES {
        let Some(oldest) = oldest(&reader.client).await else {
            return Err(Error::bad_config(format!(
                "{lost}. The oldest entry of the oplog cannot be read: grant read on local or clusterMonitor, or use another \
                 millrace.mongodb.on.lost.token"
            )));
        };
        let start = Start::At(oldest.time);
        match stream::open(&reader.client, &reader.settings, &start, &Special::default()).await {
            Err(error) if stream::trouble(&error) == Trouble::Lost => tokio::time::sleep(PAUSE).await,
            // Whatever else is wrong, the reader finds out and deals with it.
            _ => return Ok(start),
        }
    }
    Err(Error::transient(format!("{lost}. The oplog is written over faster than its oldest event can be read")))
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
    look(&reader.client, &reader.settings, &reader.reports, token).await;
}

/// Tells how long the oplog reaches back behind a position.
pub(super) async fn look(client: &Client, settings: &Settings, reports: &Reports, token: &Token) {
    let Some(position) = token.time() else { return };
    let Some(oldest) = oldest(client).await else { return };
    let reach = reach(position, oldest.time);
    reports.gauge(&REACH, reach.as_secs_f64());
    reports.remark(OPLOG, warning(reach, &oldest, settings));
}

fn reach(position: Timestamp, oldest: Timestamp) -> Duration {
    Duration::from_secs(position.time.saturating_sub(oldest.time).into())
}

fn warning(reach: Duration, oldest: &Oldest, settings: &Settings) -> Option<String> {
    let limit = settings.oplog_warning;
    // An oplog that has lost nothing yet reaches back as far as there is anything.
    let near = !oldest.is_first && reach < limit;
    // The minutes are not told: each change of a remark is reported.
    near.then(|| {
        format!(
            "the oplog reaches back behind the position of {} by less than {} minutes; if that ends, the position is lost: make the \
             oplog larger (replSetResizeOplog), or find out what holds the connector up",
            settings.scope,
            limit.as_secs() / 60
        )
    })
}

/// The oldest entry of the oplog.
struct Oldest {
    time: Timestamp,
    /// The replica set began with it: nothing was cut off yet
    is_first: bool,
}

/// None when it cannot be read.
async fn oldest(client: &Client) -> Option<Oldest> {
    let read = async {
        let oplog = client.database("local").collection::<Document>("oplog.rs");
        let first = oplog.find_one(doc! {}).projection(doc! { "ts": 1, "o.msg": 1 }).sort(doc! { "$natural": 1 }).await;
        if let Ok(Some(first)) = first {
            let is_first =
                first.get_document("o").is_ok_and(|o| o.get_str("msg").is_ok_and(|msg| msg == "initiating set"));
            return Some(Oldest { time: first.get_timestamp("ts").ok()?, is_first });
        }
        let status = client.database("admin").run_command(doc! { "serverStatus": 1, "oplog": 1 }).await.ok()?;
        let time = status.get_document("oplog").ok()?.get_timestamp("earliestOptime").ok()?;
        Some(Oldest { time, is_first: false })
    };
    tokio::time::timeout(PATIENCE, read).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by panicking

    use millrace_sdk::Flat;
    use millrace_sdk::config::{definition, parse};

    use super::super::config::SourceConfig;
    use super::*;

    fn settings(minutes: &str) -> Settings {
        let keys =
            [("connection.uri", "mongodb://a/?replicaSet=r"), ("millrace.mongodb.oplog.warning.minutes", minutes)];
        let flat: Flat = keys.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Settings::resolve(&parse::<SourceConfig>(&definition::<SourceConfig>(), &flat).unwrap(), &flat).unwrap()
    }

    #[test]
    fn a_short_oplog_is_a_warning_once_it_forgets() {
        let at = |time| Timestamp { time, increment: 3 };
        for (position, oldest, is_first, minutes, warns) in [
            (10_000, 9_000, false, "60", true),
            (10_000, 9_000, true, "60", false),
            (10_000, 6_400, false, "60", false),
            (10_000, 6_401, false, "60", true),
            (10_000, 9_999, false, "0", false),
            // The position is lost already, and will be told so.
            (10_000, 10_500, false, "1", true),
        ] {
            let oldest = Oldest { time: at(oldest), is_first };
            let warning = warning(reach(at(position), oldest.time), &oldest, &settings(minutes));
            assert_eq!(warning.is_some(), warns, "{position} {:?} {minutes}", oldest.time);
        }
    }

    #[test]
    fn the_time_of_a_place_is_told() {
        assert_eq!(time_of(&Start::Now), "of an unknown time");
        assert_eq!(time_of(&Start::At(Timestamp { time: 1_700_000_736, increment: 1 })), "2023-11-14T22:25:36Z");
        let token = Token::parse("{\"_data\": \"826553F3E000000001\"}").unwrap();
        assert_eq!(time_of(&Start::After(token)), "2023-11-14T22:25:36Z");
    }
}
