//! What sources must keep to: nothing lost and nothing twice between a stored position and what follows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_sdk::{ErrorKind, Flat, Position, Positions, SourceBatch, SourceTask};
use millrace_tests::proxy::{Fault, Proxy};
use serde_json::Value as Json;

use super::{NO_NETWORK, Source, Verdict, context, untried};
use crate::drive::is_transient;
use crate::stand::Place;

/// In which a source must bring what is there.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many records most rules feed.
const RECORDS: i64 = 60;

impl Source {
    pub(crate) async fn place(&self) -> Place {
        self.stand.place(&self.stand.server().unwrap_or_default()).await
    }

    /// The only task of the place, at these positions.
    async fn opened(&self, place: &Place, positions: Positions) -> Box<dyn SourceTask> {
        let mut tasks = self.plugin.plan(&place.config, 1).await.unwrap();
        assert_eq!(tasks.len(), 1, "planned for one task");
        let mut config = place.config.clone();
        config.append(&mut tasks[0]);
        let context = context(place, &config);
        let opened = self.plugin.open(&config, context, positions).await;
        opened.unwrap_or_else(|error| panic!("cannot be opened: {}", error.chain()))
    }

    fn numbers(&self, batch: &SourceBatch) -> Vec<i64> {
        assert!(batch.failures.is_empty(), "{:?}", batch.failures);
        batch.records.iter().map(|record| self.stand.number(record)).collect()
    }
}

/// The next batch; panics when there is none for a long time.
async fn next(task: &mut dyn SourceTask) -> SourceBatch {
    let polled = tokio::time::timeout(PATIENCE, task.poll()).await;
    let polled = polled.unwrap_or_else(|_| panic!("nothing came within {PATIENCE:?}"));
    polled.unwrap_or_else(|error| panic!("cannot be polled: {}", error.chain()))
}

/// Keeps the newest offset of each source partition, as the offsets topic does.
fn remember(stored: &mut Vec<Position>, batch: &SourceBatch) {
    for position in &batch.positions {
        stored.retain(|known| known.partition != position.partition);
        stored.push(position.clone());
    }
}

pub(crate) async fn plans(source: Arc<Source>) -> Verdict {
    let place = source.place().await;
    source.stand.feed(&place, 0..3).await;
    for allowed in [1, 2, 7, 100] {
        let planned = source.plugin.plan(&place.config, allowed).await;
        let planned = planned.unwrap_or_else(|error| panic!("cannot plan: {}", error.chain()));
        assert!(!planned.is_empty() && planned.len() <= allowed as usize, "{} tasks of {allowed}", planned.len());
        let again = source.plugin.plan(&place.config, allowed).await.unwrap();
        assert_eq!(planned, again, "a plan of the same is the same");
        for own in planned {
            let mut config: Flat = place.config.clone();
            config.extend(own);
            let context = context(&place, &config);
            let mut task = source.plugin.open(&config, context, Positions::default()).await.unwrap();
            task.close().await.unwrap();
        }
    }
    Verdict::Kept
}

/// Opened at each position that was ever stored, a source goes on right behind it.
pub(crate) async fn resumes(source: Arc<Source>) -> Verdict {
    let place = source.place().await;
    source.stand.feed(&place, 0..RECORDS).await;
    let mut task = source.opened(&place, Positions::default()).await;
    let (mut seen, mut stored) = (Vec::new(), Vec::new());
    let mut moments = vec![(Vec::new(), 0)];
    while seen.len() < usize::try_from(RECORDS).unwrap() {
        let batch = next(task.as_mut()).await;
        seen.extend(source.numbers(&batch));
        remember(&mut stored, &batch);
        moments.push((stored.clone(), seen.len()));
    }
    task.close().await.unwrap();
    assert_eq!(seen, (0..RECORDS).collect::<Vec<_>>(), "in order, each once");
    assert!(moments.len() > 4, "the stand should make several batches, not {}", moments.len() - 1);
    let step = (moments.len() / 8).max(1);
    for (stored, before) in moments.into_iter().step_by(step).filter(|(_, before)| *before < seen.len()) {
        let mut task = source.opened(&place, Positions(stored.clone())).await;
        let mut rest = Vec::new();
        while rest.len() + before < seen.len() {
            rest.extend(source.numbers(&next(task.as_mut()).await));
        }
        assert_eq!(rest, seen[before..], "after {before} records, from {stored:?}");
        task.close().await.unwrap();
    }
    Verdict::Kept
}

/// Polls given up at any moment change nothing.
pub(crate) async fn cancelled(source: Arc<Source>) -> Verdict {
    let place = source.place().await;
    source.stand.feed(&place, 0..RECORDS).await;
    let mut task = source.opened(&place, Positions::default()).await;
    let (mut seen, mut stored, mut given_up) = (Vec::new(), Vec::new(), 0_u64);
    let deadline = Instant::now() + PATIENCE;
    while seen.len() < usize::try_from(RECORDS).unwrap() {
        assert!(Instant::now() < deadline, "{} of {RECORDS} records after {PATIENCE:?}", seen.len());
        // Short and long ones in turn; a poll that never got far must not keep the others from it.
        let limit = Duration::from_micros((given_up % 23).pow(3) * 20);
        given_up += 1;
        let Ok(polled) = tokio::time::timeout(limit, task.poll()).await else { continue };
        let batch = polled.unwrap_or_else(|error| panic!("cannot be polled: {}", error.chain()));
        seen.extend(source.numbers(&batch));
        remember(&mut stored, &batch);
    }
    assert_eq!(seen, (0..RECORDS).collect::<Vec<_>>(), "in order, each once, however often a poll was given up");
    task.close().await.unwrap();
    Verdict::Kept
}

/// What is fed while the task runs, and while it does not.
pub(crate) async fn follows(source: Arc<Source>) -> Verdict {
    let place = source.place().await;
    source.stand.feed(&place, 0..10).await;
    let (mut seen, mut stored) = (Vec::new(), Vec::new());
    for end in [10, 25, 40] {
        let mut task = source.opened(&place, Positions(stored.clone())).await;
        while seen.len() < end {
            let batch = next(task.as_mut()).await;
            seen.extend(source.numbers(&batch));
            remember(&mut stored, &batch);
        }
        let start = i64::try_from(end).unwrap();
        source.stand.feed(&place, start..start + 5).await;
        while seen.len() < end + 5 {
            let batch = next(task.as_mut()).await;
            seen.extend(source.numbers(&batch));
            remember(&mut stored, &batch);
        }
        task.committed(&stored).await.unwrap();
        task.close().await.unwrap();
        source.stand.feed(&place, start + 5..start + 15).await;
    }
    assert_eq!(seen, (0..45).collect::<Vec<_>>());
    Verdict::Kept
}

/// As Connect's: objects whose members are scalars.
pub(crate) async fn flat_positions(source: Arc<Source>) -> Verdict {
    let place = source.place().await;
    source.stand.feed(&place, 0..RECORDS).await;
    let mut task = source.opened(&place, Positions::default()).await;
    let (mut records, mut positions) = (0, Vec::new());
    while records < RECORDS {
        let batch = next(task.as_mut()).await;
        records += i64::try_from(batch.records.len()).unwrap();
        positions.extend(batch.positions);
    }
    assert!(!positions.is_empty(), "no position after {records} records");
    for position in &positions {
        assert!(!position.partition.is_empty() && !position.offset.is_empty(), "{position:?}");
        for (name, value) in position.partition.iter().chain(&position.offset) {
            assert!(!matches!(value, Json::Object(_) | Json::Array(_)), "{name} is not flat: {value}");
        }
    }
    task.close().await.unwrap();
    Verdict::Kept
}

pub(crate) async fn nonsense(source: Arc<Source>) -> Verdict {
    let place = source.place().await;
    source.stand.feed(&place, 0..RECORDS).await;
    let mut task = source.opened(&place, Positions::default()).await;
    let mut positions = Vec::new();
    while positions.is_empty() {
        positions = next(task.as_mut()).await.positions;
    }
    task.close().await.unwrap();
    let spoilt = positions.iter().map(|position| source.stand.nonsense(position)).collect();
    let opened = source.plugin.open(&place.config, context(&place, &place.config), Positions(spoilt)).await;
    let error = match opened {
        Err(error) => error,
        Ok(mut task) => match tokio::time::timeout(PATIENCE, task.poll()).await {
            Ok(Err(error)) => error,
            Ok(Ok(batch)) => panic!("a position that is none was taken for one: {batch:?}"),
            Err(_) => panic!("a position that is none was taken for one"),
        },
    };
    assert_eq!(error.kind(), ErrorKind::BadConfig, "{}", error.chain());
    assert!(error.chain().contains("reset"), "says what to do: {}", error.chain());
    Verdict::Kept
}

pub(crate) async fn away(source: Arc<Source>) -> Verdict {
    let Some(server) = source.stand.server() else { return untried(NO_NETWORK) };
    let proxy = Proxy::start(&server).await.unwrap();
    let place = source.stand.place(&proxy.address()).await;
    source.stand.feed(&place, 0..5).await;
    proxy.set(Fault::Cut);
    let context = context(&place, &place.config);
    let checked = source.plugin.check(&place.config, &context).await;
    let error = checked.expect_err("a check of a store that is away has nothing to say against it");
    assert!(is_transient(&error), "checked: {}", error.chain());
    match source.plugin.open(&place.config, context, Positions::default()).await {
        Err(error) => assert!(is_transient(&error), "opened: {}", error.chain()),
        Ok(mut task) => {
            let polled =
                tokio::time::timeout(PATIENCE, task.poll()).await.unwrap_or_else(|_| panic!("waits in silence"));
            let error = polled.expect_err("records from a store that is away");
            assert!(is_transient(&error), "polled: {}", error.chain());
        }
    }
    proxy.set(Fault::None);
    let mut task = source.opened(&place, Positions::default()).await;
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.extend(source.numbers(&next(task.as_mut()).await));
    }
    assert_eq!(seen, (0..5).collect::<Vec<_>>());
    task.close().await.unwrap();
    Verdict::Kept
}
