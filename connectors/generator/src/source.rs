//! The generator: records made up from a seed, at a rate. Its position is how many there were.

use std::time::Duration;

use millrace_sdk::{
    Error, ExactlyOnce, Findings, Flat, Position, Positions, Result, SourceBatch, SourceConnector, SourceRecord,
    SourceTask, TaskContext, async_trait,
};
use serde_json::{Map, Value as Json};
use tokio::time::Instant;

use crate::SourceConfig;
use crate::content::Content;

/// Batches of a slow generator are not made more often than this.
const TICK: Duration = Duration::from_millis(50);

/// Makes records.
#[derive(Debug, Default, Clone, Copy)]
pub struct Source;

/// The running task.
#[derive(Debug)]
pub struct GeneratorSource {
    config: SourceConfig,
    content: Content,
    partition: Map<String, Json>,
    /// How many records there were
    count: i64,
    pace: Option<Pace>,
}

#[async_trait]
impl SourceConnector for Source {
    const NAME: &'static str = "generator-source";
    const ALIASES: &'static [&'static str] = &[];
    const DESCRIPTION: &'static str =
        "Makes records of a given size at a given rate: for measuring and for trying out.";
    type Config = SourceConfig;
    type Task = GeneratorSource;

    fn exactly_once(&self, _: &SourceConfig) -> ExactlyOnce {
        ExactlyOnce::Supported
    }

    async fn check(&self, _: &SourceConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    /// One sequence, one task.
    async fn plan(&self, _: &SourceConfig, _: u32) -> Result<Vec<Flat>> {
        Ok(vec![Flat::new()])
    }

    async fn open(&self, config: SourceConfig, _: TaskContext, positions: Positions) -> Result<GeneratorSource> {
        let mut partition = Map::new();
        partition.insert("generator".to_owned(), Json::String(config.topic.clone()));
        let count = match positions.get(&partition).and_then(|offset| offset.get("count")) {
            None => 0,
            Some(count) => count.as_i64().filter(|count| *count >= 0).ok_or_else(|| {
                Error::bad_config(
                    "the stored position of the generator is not a number of records; reset the connector's offsets",
                )
            })?,
        };
        let content = Content {
            size: usize::try_from(config.size).unwrap_or(0),
            keys: config.keys,
            seed: config.seed.cast_unsigned(),
            schema: config.schema.then(Content::schema),
        };
        let pace = (config.rate > 0).then(|| Pace::new(config.rate));
        Ok(GeneratorSource { config, content, partition, count, pace })
    }
}

#[async_trait]
impl SourceTask for GeneratorSource {
    async fn poll(&mut self) -> Result<SourceBatch> {
        let left = match self.config.count {
            0 => i64::MAX,
            total => total - self.count,
        };
        if left <= 0 {
            // All was made; the task goes on, as every source does.
            return std::future::pending().await;
        }
        let most = left.min(i64::from(self.config.batch_size));
        let ready = match &mut self.pace {
            None => most,
            Some(pace) => pace.ready(most).await,
        };
        // From here on nothing waits: a dropped poll has changed nothing but the pace.
        Ok(self.batch(ready))
    }
}

impl GeneratorSource {
    fn batch(&mut self, ready: i64) -> SourceBatch {
        let made = self.content.records(self.count, usize::try_from(ready).unwrap_or(0));
        self.count += ready;
        if let Some(pace) = &mut self.pace {
            pace.made += ready;
        }
        let records = made.into_iter().map(|(key, value)| SourceRecord {
            topic: self.config.topic.clone(),
            partition: None,
            key,
            value,
            headers: Vec::new(),
            timestamp_ms: None,
        });
        let mut offset = Map::new();
        offset.insert("count".to_owned(), Json::from(self.count));
        SourceBatch {
            records: records.collect(),
            positions: vec![Position { partition: self.partition.clone(), offset }],
            ..SourceBatch::default()
        }
    }
}

/// How many records are due.
#[derive(Debug)]
struct Pace {
    rate: i64,
    since: Instant,
    /// Records since then
    made: i64,
}

impl Pace {
    fn new(rate: i64) -> Self {
        Self { rate, since: Instant::now(), made: 0 }
    }

    /// Waits for some to be due; at most `most`.
    async fn ready(&mut self, most: i64) -> i64 {
        loop {
            let due = self.due();
            if due > self.rate {
                // After a long wait, behind a slow Kafka say, the lost time is not made up for.
                *self = Self::new(self.rate);
            } else if due > 0 {
                return due.min(most);
            }
            tokio::time::sleep(TICK.max(self.interval())).await;
        }
    }

    fn due(&self) -> i64 {
        let millis = i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX);
        millis.saturating_mul(self.rate) / 1000 - self.made
    }

    /// From one record to the next
    fn interval(&self) -> Duration {
        Duration::from_secs(1) / u32::try_from(self.rate).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn config(rate: i64, count: i64) -> SourceConfig {
        SourceConfig {
            topic: "t".to_owned(),
            rate,
            size: 242,
            keys: 10,
            count,
            seed: 1,
            schema: false,
            batch_size: 100,
        }
    }

    async fn open(config: SourceConfig, positions: Positions) -> Result<GeneratorSource> {
        let context = TaskContext {
            tenant: "default".to_owned(),
            connector: "generator".to_owned(),
            task: 0,
            tasks_total: 1,
            generation: 1,
            topics: Vec::new(),
            config: Arc::new(Flat::new()),
            ..TaskContext::default()
        };
        Source.open(config, context, positions).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_generator_that_is_opened_again_goes_on_where_it_was() {
        let mut whole = open(config(0, 250), Positions::default()).await.unwrap();
        let first = whole.poll().await.unwrap();
        let mut expected = whole.poll().await.unwrap().records;
        expected.extend(whole.poll().await.unwrap().records);
        assert_eq!((first.records.len(), expected.len()), (100, 150));
        let mut again = open(config(0, 250), Positions(first.positions)).await.unwrap();
        let mut found = again.poll().await.unwrap().records;
        found.extend(again.poll().await.unwrap().records);
        assert_eq!(found, expected);
        // There are no more.
        assert!(tokio::time::timeout(Duration::from_secs(3600), again.poll()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept() {
        for rate in [1, 7, 1000] {
            let mut source = open(config(rate, 0), Positions::default()).await.unwrap();
            let (start, mut made) = (Instant::now(), 0);
            while start.elapsed() < Duration::from_secs(20) {
                made += source.poll().await.unwrap().records.len() as i64;
            }
            assert!((made - 20 * rate).abs() <= rate / 5 + 1, "{made} at {rate} a second");
        }
    }

    #[tokio::test]
    async fn a_position_that_is_none_is_named() {
        let mut source = open(config(0, 1), Positions::default()).await.unwrap();
        let mut positions = source.poll().await.unwrap().positions;
        positions[0].offset.insert("count".to_owned(), Json::from("x"));
        let error = open(config(0, 1), Positions(positions)).await.unwrap_err();
        assert_eq!(error.kind().name(), "bad-config");
    }

    #[test]
    fn too_small_a_record_is_refused() {
        use millrace_sdk::Config as _;
        let mut config = config(0, 0);
        assert!(config.check(&Flat::new()).is_empty());
        config.size = 20;
        assert_eq!(config.check(&Flat::new())[0].key, "size");
    }
}
