//! The sink: `check` proves connection and privileges, `write` brings a batch to the server.
//!
//! A record becomes an operation (`model`): straight from its bytes, or by way of documents (`document`) when post processors
//! (`process`), change data capture (`cdc`), business keys or fields that name the namespace (`namespace`) want to look into
//! it. `bulk` brings the operations of a batch to the server in an order that keeps that of each document.

mod bulk;
mod business;
mod cdc;
mod check;
mod command;
pub(crate) mod config;
mod document;
mod id;
mod model;
mod namespace;
mod process;
mod settings;
mod timeseries;

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use millrace_sdk::{
    Batch, Error, Findings, OrderKeys, Result, SinkConnector, SinkTask, TaskContext, VersionRule, Versions,
    WriteReport, hash_key,
};
use mongodb::Namespace;
use tokio::sync::{Mutex, RwLock};

use crate::bson::Writer;
use crate::client::{CHECK_TIMEOUT, SELECTION_TIMEOUT, shut_down};
use crate::error::timed_out;
use bulk::{Bulk, Prepared};
use command::Commands;
pub use config::{SinkConfig, TopicConfig};
use id::Ids;
use settings::Settings;

/// The MongoDB sink connector.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// A running task.
#[derive(Debug)]
pub struct Task {
    settings: Settings,
    ids: Ids,
    versions: Versions,
    commands: Commands,
    /// Time series that are known to be there
    series: Mutex<HashSet<Namespace>>,
    /// Batches written per topic since the last pause; writes hold it shared, a pause alone
    pace: RwLock<()>,
    paced: Mutex<HashMap<String, u64>>,
}

#[async_trait]
impl SinkConnector for Sink {
    const NAME: &'static str = "mongodb-sink";
    const ALIASES: &'static [&'static str] =
        &["com.mongodb.kafka.connect.MongoSinkConnector", "MongoSinkConnector", "MongoSink"];
    const DESCRIPTION: &'static str =
        "Writes records into MongoDB collections: inserts, upserts and deletes, one document per record.";
    type Config = SinkConfig;
    type Task = Task;

    fn versions(&self, config: &SinkConfig, _: &VersionRule) -> Result<(), String> {
        let settings = Settings::resolve(config).map_err(|problems| millrace_sdk::config::join(&problems))?;
        settings.all().find_map(settings::TopicSettings::unguarded).map_or(Ok(()), |reason| Err(reason.to_owned()))
    }

    async fn check(&self, config: &SinkConfig, context: &TaskContext) -> Result<Findings> {
        let settings = settings(config)?;
        let (client, _) = config.connection.client(CHECK_TIMEOUT).await?;
        let checked = match tokio::time::timeout(2 * CHECK_TIMEOUT, check::run(&client, &settings, context)).await {
            Ok(checked) => checked,
            Err(_) => Err(timed_out("cannot reach MongoDB", 2 * CHECK_TIMEOUT)),
        };
        shut_down(&client).await;
        checked
    }

    async fn open(&self, config: SinkConfig, context: TaskContext) -> Result<Task> {
        let settings = settings(&config)?;
        let (client, options) = config.connection.client(SELECTION_TIMEOUT).await?;
        let commands = Commands::new(client, options.write_concern.as_ref())?;
        Ok(Task {
            settings,
            ids: Ids::of(&context),
            versions: context.versions,
            commands,
            series: Mutex::default(),
            pace: RwLock::default(),
            paced: Mutex::default(),
        })
    }
}

fn settings(config: &SinkConfig) -> Result<Settings> {
    Settings::resolve(config).map_err(|problems| {
        Error::bad_config(format!("invalid configuration: {}", millrace_sdk::config::join(&problems)))
    })
}

#[async_trait]
impl SinkTask for Task {
    fn order_keys(&self, batch: &Batch) -> OrderKeys {
        if self.makes_documents_of_their_own(batch) {
            return OrderKeys::Any;
        }
        let mut writer = Writer::default();
        let mut keys = Vec::with_capacity(batch.records.len());
        for (index, record) in batch.records.iter().enumerate() {
            let settings = self.settings.of(batch.topic(record));
            if settings.is_direct() {
                // A record without a usable id fails by itself; it may go with any lane.
                keys.push(self.ids.choose(settings, batch, record).map_or(0, |chosen| hash_key(chosen.id())));
                continue;
            }
            writer.truncate(0);
            match model::encode(&mut writer, settings, self.ids, (batch, index, None), &mut |_| 0) {
                Ok(Some(operation)) if !operation.identified => return OrderKeys::Total,
                Ok(Some(operation)) => keys.push(hash_key(writer.slice(operation.identity))),
                Ok(None) | Err(_) => keys.push(0),
            }
        }
        OrderKeys::PerRecord(keys)
    }

    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        let shared = self.pace.read().await;
        let mut report = WriteReport::default();
        let prepared = Prepared::new(self, batch, &mut report);
        for target in &prepared.targets {
            if let Some(series) = &target.settings.time_series {
                self.ensure_series(series, &target.namespace).await?;
            }
        }
        let bulk = Bulk { task: self, batch, prepared: &prepared };
        bulk.write(&mut report).await?;
        report.failures.sort_by_key(|failure| failure.index);
        drop(shared);
        self.pause(batch).await;
        Ok(report)
    }

    async fn close(&self) -> Result<()> {
        shut_down(self.commands.client()).await;
        Ok(())
    }
}

impl Task {
    /// Whether every record of a batch makes a document that no other record can mean.
    fn makes_documents_of_their_own(&self, batch: &Batch) -> bool {
        let settings = |record| self.settings.of(batch.topic(record));
        let per_record = |record| settings(record).is_direct() && settings(record).id.is_per_record();
        let replaced = |record| settings(record).overwrite_existing_id;
        batch.records.iter().all(per_record)
            && (batch.records.iter().all(replaced) || id::values_have_no_id(&batch.records))
    }

    async fn ensure_series(&self, series: &timeseries::TimeSeries, namespace: &Namespace) -> Result<()> {
        let mut known = self.series.lock().await;
        if !known.contains(namespace) {
            series.ensure(self.commands.client(), namespace).await?;
            known.insert(namespace.clone());
        }
        Ok(())
    }

    /// `rate.limiting.*`: no write of the task goes on meanwhile.
    async fn pause(&self, batch: &Batch) {
        let Some(first) = batch.records.first() else { return };
        let topic = batch.topic(first);
        let Some(limit) = self.settings.of(topic).rate_limit else { return };
        let due = {
            let mut paced = self.paced.lock().await;
            let count = paced.entry(topic.to_string()).or_default();
            *count += 1;
            let due = *count >= limit.every;
            if due {
                *count = 0;
            }
            due
        };
        if due {
            let _alone = self.pace.write().await;
            tokio::time::sleep(limit.pause).await;
        }
    }
}
