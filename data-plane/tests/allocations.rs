//! What a record costs in allocations on the path that most records take: JSON that nobody looks into, from Kafka to a sink
//! that keeps nothing. Rust's global allocator counts; librdkafka, which uses C's, is not counted. A binary of its own, since
//! nothing else may run beside it. Without `KAFKA_BOOTSTRAP` it says that it is skipped.

#![allow(clippy::unwrap_used)] // a test may
#![allow(unsafe_code)] // an allocator cannot be written without

#[allow(dead_code, reason = "uses a part of what the tests share")]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millrace_data_plane::catalog::Catalog;
use millrace_data_plane::task::TaskEnvironment;
use millrace_sdk::{
    Batch, Config, Findings, OrderKeys, Result, SinkConnector, SinkTask, TaskContext, WriteReport, async_trait,
};
use support::*;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is the system allocator's; counting touches no memory of anybody's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static RECORDS: AtomicU64 = AtomicU64::new(0);
/// Calls of the connector through its dynamic interface
static CALLS: AtomicU64 = AtomicU64::new(0);

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct NoKeys {}
impl Config for NoKeys {}

struct Dropping;

#[async_trait]
impl SinkConnector for Dropping {
    const NAME: &'static str = "recording-sink";
    const ALIASES: &'static [&'static str] = &[];
    const DESCRIPTION: &'static str = "Counts records";
    type Config = NoKeys;
    type Task = Dropping;

    async fn check(&self, _: &NoKeys, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn open(&self, _: NoKeys, _: TaskContext) -> Result<Dropping> {
        Ok(Dropping)
    }
}

#[async_trait]
impl SinkTask for Dropping {
    fn order_keys(&self, _: &Batch) -> OrderKeys {
        CALLS.fetch_add(1, Ordering::Relaxed);
        OrderKeys::Any
    }

    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        CALLS.fetch_add(1, Ordering::Relaxed);
        RECORDS.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
        Ok(WriteReport::all_durable())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn untouched_json_costs_no_allocation_and_no_dynamic_call_per_record() {
    const WARM: u64 = 20_000;
    const COUNTED: u64 = 200_000;
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("allocations"), unique("allocations-topic"));
    create_topic(&bootstrap, &topic, 2).await;
    let record = |number: u64| {
        let value = format!("{{\"order\":{number},\"customer\":{{\"name\":\"{}\"}},\"price\":12.50}}", "x".repeat(180));
        (format!("k{number}"), value)
    };
    let producer = producer(&bootstrap);
    produce(&producer, &topic, (0..WARM).map(record)).await;

    let worker = surroundings();
    let environment = Arc::new(TaskEnvironment {
        catalog: Arc::new(Catalog::default().sink_plugin(millrace_sdk::erase_sink(Dropping, "1"))),
        metrics: Arc::clone(&worker.environment.metrics),
        statuses: worker.environment.statuses.clone(),
        lease: worker.environment.lease.clone(),
        worker_id: "test:1".to_owned(),
        producers: Arc::clone(&worker.environment.producers),
        stop_timeout: Duration::from_secs(5),
    });
    let mut spec = spec(&bootstrap, &name, 0, 1, &[("topics", &topic), ("value.converter", "json")]);
    spec.config.insert("value.converter.schemas.enable".to_owned(), "false".to_owned());
    let start = |paused: bool| {
        let spec = millrace_data_plane::model::TaskSpec { paused, ..spec.clone() };
        millrace_data_plane::task::TaskHandle::start(Arc::new(spec), Arc::clone(&environment))
    };
    let limit = Duration::from_secs(60);
    let task = start(false);
    eventually("the warm-up", limit, || RECORDS.load(Ordering::Relaxed) == WARM).await;
    // Held while the producer allocates.
    task.set_paused(true);
    produce(&producer, &topic, (0..COUNTED).map(record)).await;
    drop(producer);

    let (allocations, calls) = (ALLOCATIONS.load(Ordering::Relaxed), CALLS.load(Ordering::Relaxed));
    let before = RECORDS.load(Ordering::Relaxed);
    task.set_paused(false);
    eventually("all records", limit, || RECORDS.load(Ordering::Relaxed) == WARM + COUNTED).await;
    let counted = RECORDS.load(Ordering::Relaxed) - before;
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - allocations;
    let calls = CALLS.load(Ordering::Relaxed) - calls;
    task.stop().await;
    delete_topic(&bootstrap, &topic).await;
    println!("{counted} records: {allocations} allocations, {calls} calls of the connector");
    assert!(counted > COUNTED / 2, "the pause did not hold: {counted}");
    assert!(allocations < counted / 8, "{allocations} allocations for {counted} records");
    assert!(calls < counted / 50, "{calls} calls for {counted} records");
}
