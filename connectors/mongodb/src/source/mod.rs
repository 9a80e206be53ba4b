//! The source: change streams, with a copy of what exists before them.
//!
//! `reader` drives it: `copy` first where asked for, then `stream` after stream. `output` makes records of events without
//! taking them apart (`raw`, `json`), or by a `schema`. `topic` names topics, `position` keeps positions in the peer's form,
//! `forget` those that a copy leaves behind, `share` is the part of the namespaces that one of several tasks reads, `lost` and
//! `oversized` are what can go wrong, and `check` with `privileges` finds out before a task starts.

mod check;
mod config;
mod copy;
mod forget;
mod json;
mod lost;
mod output;
mod oversized;
mod position;
mod privileges;
mod raw;
mod reader;
mod schema;
mod settings;
mod share;
mod shell_json;
mod stream;
mod token;
mod topic;

use std::sync::Arc;

use async_trait::async_trait;
use millrace_sdk::{
    Error, ExactlyOnce, Findings, Flat, Position, Positions, Result, SourceBatch, SourceConnector, SourceTask,
    TaskContext,
};
use mongodb::Client;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use config::{OnLostToken, SourceConfig};

use self::forget::Parts;
use self::output::Output;
use self::position::Stored;
use self::reader::{Begin, Reader};
use self::schema::Inferrer;
use self::settings::{Settings, Startup};
use self::share::Share;
use self::stream::Start;
use self::token::Token;
use crate::client::{self, SELECTION_TIMEOUT};

/// Batches that are ready and not polled yet: one is made while another is sent.
const READY: usize = 2;

/// The MongoDB source connector.
#[derive(Debug, Default, Clone, Copy)]
pub struct Source;

/// A running source task.
#[derive(Debug)]
pub struct SourceReader {
    client: Client,
    batches: mpsc::Receiver<Result<SourceBatch>>,
    reader: JoinHandle<()>,
    parts: Parts,
}

#[async_trait]
impl SourceConnector for Source {
    const NAME: &'static str = "mongodb-source";
    const ALIASES: &'static [&'static str] =
        &["com.mongodb.kafka.connect.MongoSourceConnector", "MongoSourceConnector", "MongoSource"];
    const DESCRIPTION: &'static str =
        "Publishes the changes of MongoDB collections, and what is in them already, through change streams.";
    type Config = SourceConfig;
    type Task = SourceReader;

    fn exactly_once(&self, _: &SourceConfig) -> ExactlyOnce {
        ExactlyOnce::Supported
    }

    async fn check(&self, config: &SourceConfig, context: &TaskContext) -> Result<Findings> {
        check::check(config, settings(config, &context.config)?).await
    }

    async fn plan(&self, config: &SourceConfig, max_tasks: u32) -> Result<Vec<Flat>> {
        let settings = settings(config, &Flat::new())?;
        let several = max_tasks > 1 && !matches!(settings.scope, settings::Scope::Collection(..));
        let shares = if several {
            let (client, _) = config.connection.client(SELECTION_TIMEOUT).await?;
            let sizes = copy::sizes(&client, &settings).await;
            client::shut_down(&client).await;
            share::deal(sizes?, max_tasks as usize)
        } else {
            vec![Share::All]
        };
        let task = |share: Share| match share {
            Share::All => Flat::new(),
            share => Flat::from([("millrace.mongodb.share".to_owned(), share.text())]),
        };
        Ok(shares.into_iter().map(task).collect())
    }

    async fn open(&self, config: SourceConfig, context: TaskContext, positions: Positions) -> Result<SourceReader> {
        let settings = Arc::new(settings(&config, &context.config)?);
        let partition = position::partition(&settings.partition_name, &settings.share);
        let (begin, resume) = begin(&settings, &partition, &positions)?;
        let parts = Parts::new(partition.clone(), &positions);
        let (client, _) = config.connection.client(SELECTION_TIMEOUT).await?;
        let (out, batches) = mpsc::channel(READY);
        let reader = Reader {
            client: client.clone(),
            reports: context.reports.clone(),
            output: Output::new(&settings),
            settings,
            partition,
            resume,
            out,
            inferrer: Inferrer::default(),
            beat: (Instant::now(), None),
            looked: None,
            fragments: Vec::new(),
        };
        Ok(SourceReader { client, batches, reader: tokio::spawn(reader.run(begin)), parts })
    }
}

fn settings(config: &SourceConfig, flat: &Flat) -> Result<Settings> {
    Settings::resolve(config, flat).map_err(|problems| {
        Error::bad_config(format!("invalid configuration: {}", millrace_sdk::config::join(&problems)))
    })
}

/// Where a task begins, by what is stored.
fn begin(
    settings: &Settings,
    partition: &serde_json::Map<String, serde_json::Value>,
    positions: &Positions,
) -> Result<(Begin, share::Resume<Token>)> {
    let stored = position::stored(positions, &settings.partition_name)?;
    let streamed: Vec<(Share, Token)> =
        stored.iter().filter(|one| one.copy.is_none()).map(|one| (one.share.clone(), one.token.clone())).collect();
    let resume = share::resume(&streamed, &settings.share);
    let copies = settings.startup == Startup::Copy;
    let mine = stored.iter().find(|one| one.share == settings.share);
    let begun = match mine {
        Some(Stored { token, copy: Some(copy), .. }) => copy::begun(positions, partition, token.clone(), copy.clone()),
        _ => None,
    };
    // One of the peer's cannot be continued, and is begun anew only where it is still asked for.
    let cut_short = mine.and_then(|one| one.copy.as_ref()).is_some_and(|copy| copies || !copy.epoch.is_empty());
    let begin = match &resume.after {
        // A copy that was begun is ended whatever startup.mode says now: its stream begins before it.
        _ if begun.is_some() => Begin::Copy(begun),
        _ if cut_short => Begin::Copy(None),
        Some(_) if copies && resume.has_missing() => Begin::CopyMissing,
        Some(after) => Begin::Stream(Start::After(after.clone())),
        None => match &settings.startup {
            Startup::Copy => Begin::Copy(None),
            Startup::Latest => Begin::Stream(Start::Now),
            Startup::Timestamp(time) => Begin::Stream(Start::At(*time)),
        },
    };
    Ok((begin, resume))
}

#[async_trait]
impl SourceTask for SourceReader {
    async fn poll(&mut self) -> Result<SourceBatch> {
        let due = self.parts.due();
        if !due.is_empty() {
            return Ok(SourceBatch { positions: due, ..SourceBatch::default() });
        }
        match self.batches.recv().await {
            Some(batch) => batch.inspect(|batch| self.parts.passed(&batch.positions)),
            None => Err(Error::internal("the reader of the change stream ended")),
        }
    }

    async fn committed(&mut self, positions: &[Position]) -> Result<()> {
        self.parts.committed(positions);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.reader.abort();
        client::shut_down(&self.client).await;
        Ok(())
    }
}

impl Drop for SourceReader {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
