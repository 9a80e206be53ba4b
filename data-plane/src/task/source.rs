//! One life of a source task: `poll → transform → encode → produce → positions`, at least once or, where the user wishes and the
//! connector can, exactly once. What both have in common is here: how a task is opened, and how it is polled.

mod at_least_once;
mod exact;
mod lost;
mod produce;
mod sending;
mod topics;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use millrace_sdk::config::{definition, join, parse};
use millrace_sdk::{Error, Flat, Position, Positions, Result, SourceBatch, SourcePlugin, SourceTask, TaskContext};
use tokio::time::Instant;

use super::offsets_topic::OffsetsTopic;
use super::{Failure, Life, Stage};
use crate::framework::{SourceSettings, transactional_id};
use crate::kafka::{ClientKind, ClientSettings};
use crate::model::TaskSpec;
use at_least_once::Running;
use exact::Exact;
use produce::Output;
use sending::Sender;
use transactions::Transactions;

/// A source that has nothing and says so at once is not asked again before this.
const EMPTY_POLL_PAUSE: Duration = Duration::from_millis(50);

enum Opened {
    AtLeastOnce(Box<Running>),
    Exact(Box<Exact>),
}

/// Opens the task and runs it until it is stopped (`Ok`) or cannot go on.
///
/// # Errors
/// Why it cannot go on.
pub async fn run(life: Life) -> Result<(), Failure> {
    let stop = life.stop.clone();
    let opened = async {
        await_lease(&life).await;
        open(&life).await
    };
    let opened = tokio::select! {
        // Dropping an opening task loses nothing: no record was read.
        () = stop.cancelled() => return Ok(()),
        opened = opened => opened.map_err(|error| Failure::new(Stage::Start, error))?,
    };
    match opened {
        Opened::AtLeastOnce(running) => running.run().await,
        Opened::Exact(exact) => exact.run().await,
    }
}

/// The lease holds when this returns.
async fn await_lease(life: &Life) {
    let mut lease = life.environment.lease.clone();
    while !lease.borrow_and_update().is_live(Instant::now()) {
        if lease.changed().await.is_err() {
            // The worker is about to end, and stops this task.
            std::future::pending::<()>().await;
        }
    }
}

fn has_lease(life: &Life) -> bool {
    life.environment.lease.borrow().is_live(Instant::now())
}

async fn open(life: &Life) -> Result<Opened> {
    let spec = &life.spec;
    let settings = parse::<SourceSettings>(&definition::<SourceSettings>(), &spec.config)
        .map_err(|findings| Error::bad_config(format!("invalid configuration: {}", join(&findings.errors))))?;
    let plugin = life.environment.catalog.source(&spec.class)?;
    let client = ClientSettings::build(ClientKind::Producer, &spec.tenant_settings, &spec.config)?;
    let own = settings.offsets_topic.as_deref().map(str::trim);
    if life.environment.catalog.runs_exactly_once(&spec.class, &spec.config, &spec.tenant_settings)? {
        return open_exact(life, &settings, plugin.as_ref(), &client, own).await;
    }
    // As in Kafka Connect the worker's own clients keep the offsets: a connector's overrides do not reach them.
    let none = Flat::new();
    let producers = &life.environment.producers;
    let (overrides, keeper) = match own {
        Some(_) => (&spec.config, producers.producer(&client)?),
        None => {
            (&none, producers.producer(&ClientSettings::build(ClientKind::Producer, &spec.tenant_settings, &none)?)?)
        }
    };
    let mut offsets = OffsetsTopic::open(spec, own, overrides).await?;
    let positions = offsets.read(false).await?.positions;
    let positions = with_tenants(spec, own, positions).await?;
    let output = Output::open(life, &settings, &client).await?;
    let sender = Sender::open(life, &client)?;
    let task = open_task(life, plugin.as_ref(), positions).await?;
    let interval = settings.common.commit_interval();
    Ok(Opened::AtLeastOnce(Box::new(Running::new(life.clone(), interval, task, (output, sender), offsets, keeper))))
}

/// Lease first, then the transactional id, then the positions: what a predecessor had not committed by then never will be.
async fn open_exact(
    life: &Life,
    settings: &SourceSettings,
    plugin: &dyn SourcePlugin,
    client: &ClientSettings,
    own: Option<&str>,
) -> Result<Opened> {
    let spec = &life.spec;
    let mut offsets = OffsetsTopic::open(spec, own, &spec.config).await?;
    if !has_lease(life) {
        return Err(Error::transient("the lease ended before the task had its transactional id"));
    }
    let transactions = Transactions::open(client, &transactional_id(&spec.id)).await?;
    if !has_lease(life) {
        return Err(Error::transient("the lease ended while the task took its transactional id"));
    }
    let positions = exact::settle(life, client, &mut offsets, &transactions).await?;
    let positions = with_tenants(spec, own, positions).await?;
    let output = Output::open(life, settings, client).await?;
    let task = open_task(life, plugin, positions).await?;
    Ok(Opened::Exact(Box::new(Exact::new(
        life.clone(),
        settings,
        client.clone(),
        task,
        (output, offsets, transactions),
    ))))
}

/// A connector with a topic of its own goes on from the tenant's until there is something in its own.
async fn with_tenants(spec: &TaskSpec, own: Option<&str>, mut positions: Positions) -> Result<Positions> {
    if own.is_some() {
        let tenants = OffsetsTopic::open(spec, None, &Flat::new()).await?.read(false).await?;
        for position in tenants.positions.0 {
            if positions.get(&position.partition).is_none() {
                positions.0.push(position);
            }
        }
    }
    Ok(positions)
}

async fn open_task(life: &Life, plugin: &dyn SourcePlugin, positions: Positions) -> Result<Box<dyn SourceTask>> {
    let spec = &life.spec;
    let mut config = spec.config.clone();
    config.extend(spec.task_config.clone());
    let context = TaskContext {
        tenant: spec.id.tenant.clone(),
        connector: spec.id.connector.clone(),
        task: spec.id.index,
        tasks_total: spec.tasks_total,
        generation: spec.generation,
        config: Arc::new(config),
        reports: life.reports(),
        ..TaskContext::default()
    };
    let flat = Arc::clone(&context.config);
    plugin.open(&flat, context, positions).await
}

/// What tells source partitions apart.
fn offsets_key(position: &Position) -> String {
    serde_json::to_string(&position.partition).unwrap_or_default()
}

async fn poll(task: &mut dyn SourceTask) -> (Result<SourceBatch>, Duration) {
    let began = Instant::now();
    let polled = task.poll().await;
    let took = began.elapsed();
    if polled
        .as_ref()
        .is_ok_and(|batch| batch.records.is_empty() && batch.positions.is_empty() && batch.failures.is_empty())
    {
        // Dropped here, an empty batch is lost, and that is nothing.
        tokio::time::sleep(EMPTY_POLL_PAUSE).await;
    }
    (polled, took)
}
