//! The loop as a whole against a store that is slow, fails, and remembers, and a Kafka that gives and takes partitions: both
//! are played, time is not real, everything between them is the product's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::mpsc::Receiver;

use millrace_sdk::{RecordFailure, Result as SdkResult, SinkTask, Value, WriteReport, async_trait, hash_key};
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::catalog::Catalog;
use crate::kafka::Producers;
use crate::lease::LeaseState;
use crate::metrics::Metrics;
use crate::task::TaskEnvironment;
use crate::task::batch::BatchBuilder;
use crate::task::write::tests::{spec, writer};

/// Documents that all partitions write to; a store that waits for nobody has as many for each partition
const DOCUMENTS: u64 = 5;
/// Stands in a log for a record that cannot be decoded
const MALFORMED: u64 = u64::MAX;
const PARTITIONS: usize = 2;

/// A store that takes its time and fails as a list of numbers says.
struct Store {
    is_local: bool,
    luck: Mutex<std::vec::IntoIter<u8>>,
    /// Fails for as long as it is set
    stuck: Mutex<Option<u64>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of each document, every write: partition and offset
    log: BTreeMap<u64, Vec<(i32, i64)>>,
    written: BTreeSet<(i32, i64)>,
    busy: BTreeSet<(i32, u64)>,
    overlaps: usize,
}

/// Documents under way; those of a dropped write are free again.
struct Busy<'a>(&'a Store, BTreeSet<(i32, u64)>);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap();
        for document in &self.1 {
            state.busy.remove(document);
        }
    }
}

fn document(record: &Record) -> u64 {
    match record.value.value().field("document") {
        Ok(Some(Value::Int(number))) => u64::try_from(number).unwrap(),
        other => panic!("{other:?}"),
    }
}

impl Store {
    fn new(is_local: bool, luck: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            is_local,
            luck: Mutex::new(luck.into_iter()),
            stuck: Mutex::default(),
            state: Mutex::default(),
        })
    }

    fn next(&self) -> u8 {
        self.luck.lock().unwrap().next().unwrap_or(u8::MAX)
    }

    fn put(&self, partition: i32, record: &Record) {
        let mut state = self.state.lock().unwrap();
        state.log.entry(document(record)).or_default().push((partition, record.offset));
        state.written.insert((partition, record.offset));
    }
}

#[async_trait]
impl SinkTask for Store {
    /// After the value, whatever the key is.
    fn order_keys(&self, batch: &Batch) -> OrderKeys {
        OrderKeys::PerRecord(batch.records.iter().map(|record| hash_key(document(record))).collect())
    }

    fn is_local(&self) -> bool {
        self.is_local
    }

    async fn write(&self, batch: &Batch) -> SdkResult<WriteReport> {
        let owner = if self.is_local { batch.origin.partition } else { 0 };
        let documents: BTreeSet<_> = batch.records.iter().map(|record| (owner, document(record))).collect();
        let busy = {
            let mut state = self.state.lock().unwrap();
            let taken = documents.iter().filter(|document| !state.busy.insert(**document)).count();
            state.overlaps += usize::from(taken > 0);
            Busy(self, documents)
        };
        tokio::time::sleep(Duration::from_millis(u64::from(self.next() % 32))).await;
        let (partition, fate) = (batch.origin.partition, self.next());
        let mut report = WriteReport::default();
        for (index, record) in batch.records.iter().enumerate() {
            if fate < 40 && self.next() < 128 {
                return Err(Error::transient("away, with some of it written"));
            }
            if *self.stuck.lock().unwrap() == Some(document(record)) || self.next() < 50 {
                report.failures.push(RecordFailure { index, error: Error::transient("busy") });
            } else {
                self.put(partition, record);
            }
        }
        drop(busy);
        Ok(report)
    }
}

fn running(store: &Arc<Store>, fetcher: Fetcher, stop: &CancellationToken) -> Running {
    let writer = Arc::new(writer(Arc::<Store>::clone(store), "none"));
    let environment = TaskEnvironment {
        catalog: Arc::new(Catalog::default()),
        metrics: Metrics::global(),
        statuses: mpsc::unbounded_channel().0,
        lease: watch::channel(LeaseState::Headless).1,
        worker_id: "w".to_owned(),
        producers: Arc::new(Producers::default()),
        stop_timeout: Duration::from_secs(5),
    };
    let life = Life {
        spec: spec("none"),
        environment: Arc::new(environment),
        metrics: Arc::clone(&writer.metrics),
        reporter: Arc::clone(&writer.reporter),
        paused: watch::channel(false).1,
        stop: stop.clone(),
    };
    let decoding = Decoding::open(&life.spec, PARTITIONS).unwrap();
    Running {
        life,
        writer,
        fetcher,
        decoding,
        partitions: Partitions::default(),
        lanes: Lanes::new(4),
        lane_count: 4,
        is_local: store.is_local,
        waiting: HashMap::new(),
        jobs: JoinSet::new(),
        revocations: Vec::new(),
        commit_interval: Duration::from_millis(20),
        commit_sent: None,
        lost: 0,
        ending: None,
        failure: None,
    }
}

/// What Kafka does next.
#[derive(Debug, Clone)]
enum Step {
    Give(usize),
    Take { partition: usize, lost: bool },
    Read { partition: usize, records: usize },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let partition = 0..PARTITIONS;
    prop_oneof![
        1 => partition.clone().prop_map(Step::Give),
        1 => (partition.clone(), any::<bool>()).prop_map(|(partition, lost)| Step::Take { partition, lost }),
        // Some large enough to be split over the lanes.
        4 => (partition, prop_oneof![1_usize..20, 150_usize..200])
            .prop_map(|(partition, records)| Step::Read { partition, records }),
        2 => (0_u64..60).prop_map(Step::Wait),
    ]
}

/// Kafka, as far as the loop sees it.
struct Kafka {
    events: mpsc::UnboundedSender<FetchEvent>,
    commands: Receiver<Command>,
    store: Arc<Store>,
    /// The documents that a partition's records are about, by offset
    logs: [Vec<u64>; PARTITIONS],
    committed: [i64; PARTITIONS],
    position: [i64; PARTITIONS],
    given: [Option<u64>; PARTITIONS],
    assignment: u64,
}

fn origin(partition: usize) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: i32::try_from(partition).unwrap() }
}

impl Kafka {
    fn give(&mut self, partition: usize) {
        if self.given[partition].is_none() {
            self.assignment += 1;
            self.given[partition] = Some(self.assignment);
            self.position[partition] = self.committed[partition];
            let partitions = vec![origin(partition)];
            self.tell(FetchEvent::Assigned { assignment: self.assignment, partitions });
        }
    }

    fn tell(&self, event: FetchEvent) {
        let _ = self.events.send(event);
    }

    fn read(&mut self, partition: usize, records: usize) {
        let Some(assignment) = self.given[partition] else { return };
        let start = usize::try_from(self.position[partition]).unwrap();
        let end = self.logs[partition].len().min(start + records);
        if start == end {
            return;
        }
        self.position[partition] = i64::try_from(end).unwrap();
        let mut batch = BatchBuilder::default();
        for offset in start..end {
            // Several keys for each document
            let key = format!("k{offset}");
            let document = self.logs[partition][offset];
            let value = if document == MALFORMED { "{".to_owned() } else { format!("{{\"document\":{document}}}") };
            batch.put(i64::try_from(offset).unwrap(), Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        }
        let batch = batch.take(origin(partition));
        self.tell(FetchEvent::Batch { assignment, batch });
    }

    /// What is committed must be in the store.
    fn commit(&mut self, offsets: &[(TopicPartition, i64)]) {
        let state = self.store.state.lock().unwrap();
        for (origin, offset) in offsets {
            for below in 0..*offset {
                assert!(
                    state.written.contains(&(origin.partition, below)),
                    "{origin}@{below} is committed, not written"
                );
            }
            let known = &mut self.committed[usize::try_from(origin.partition).unwrap()];
            assert!(*known <= *offset, "a commit goes back");
            *known = *offset;
        }
    }

    /// Obeys what the loop says; answers the partitions that it has let go.
    fn obey(&mut self) -> Vec<TopicPartition> {
        let mut released = Vec::new();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Commit(offsets) => {
                    self.commit(&offsets);
                    self.tell(FetchEvent::Committed(Ok(())));
                }
                Command::Release { partitions, offsets } => {
                    self.commit(&offsets);
                    released.extend(partitions);
                }
                Command::Close(offsets) => {
                    self.commit(&offsets);
                    self.tell(FetchEvent::Ended(None));
                }
                Command::Pause(_) | Command::Abandon => {}
            }
        }
        released
    }

    async fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..200_000 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("never: {what}");
    }

    async fn act(&mut self, step: &Step) {
        match *step {
            Step::Give(partition) => self.give(partition),
            Step::Read { partition, records } => self.read(partition, records),
            Step::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Step::Take { partition, lost } => {
                if self.given[partition].take().is_some() {
                    self.tell(FetchEvent::Revoking { partitions: vec![origin(partition)], lost });
                    self.until("release", |kafka| kafka.obey().contains(&origin(partition))).await;
                }
            }
        }
        self.obey();
    }

    /// Gives everything, reads everything, and waits until it is committed.
    async fn drain(&mut self) {
        (0..PARTITIONS).for_each(|partition| self.give(partition));
        self.until("all is committed", |kafka| {
            kafka.obey();
            (0..PARTITIONS).for_each(|partition| kafka.read(partition, 40));
            (0..PARTITIONS).all(|partition| kafka.committed[partition] == kafka.logs[partition].len() as i64)
        })
        .await;
    }
}

fn play(
    store: &Arc<Store>,
    logs: [Vec<u64>; PARTITIONS],
    script: impl AsyncFnOnce(&mut Kafka),
) -> (Result<(), Failure>, [i64; PARTITIONS]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (fetcher, events, commands) = Fetcher::played();
        let (stop, store) = (CancellationToken::new(), Arc::clone(store));
        let task = tokio::spawn(running(&store, fetcher, &stop).run());
        let (none, zero) = ([None; PARTITIONS], [0; PARTITIONS]);
        let mut kafka =
            Kafka { events, commands, store, logs, committed: zero, position: zero, given: none, assignment: 0 };
        script(&mut kafka).await;
        stop.cancel();
        kafka
            .until("the end", |kafka| {
                kafka.obey();
                task.is_finished()
            })
            .await;
        (task.await.unwrap(), kafka.committed)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Whatever fails, and whatever is taken away and given back: no two writes of a document overlap, nothing is committed
    /// that is not written, and of each partition the last write of a document is its newest.
    #[test]
    fn every_document_ends_with_its_newest_record(
        logs in prop::array::uniform2(prop::collection::vec(0..DOCUMENTS, 0..400)),
        steps in prop::collection::vec(step(), 0..25),
        luck in prop::collection::vec(any::<u8>(), 0..2000),
        is_local in any::<bool>(),
    ) {
        let store = Store::new(is_local, luck);
        let (ended, _) = play(&store, logs.clone(), async |kafka| {
            for step in &steps {
                kafka.act(step).await;
            }
            kafka.drain().await;
        });
        prop_assert!(ended.is_ok());
        let state = store.state.lock().unwrap();
        prop_assert_eq!(state.overlaps, 0);
        for (partition, log) in (0..).zip(&logs) {
            for (offset, document) in (0..).zip(log) {
                let last = state.log[document].iter().rev().find(|(written, _)| *written == partition);
                prop_assert!(last.is_some_and(|(_, last)| *last >= offset), "{}: {:?} after {}", document, last, offset);
            }
        }
    }
}

#[test]
fn one_lane_in_backoff_does_not_stop_the_others() {
    let store = Store::new(false, Vec::new());
    *store.stuck.lock().unwrap() = Some(0);
    let log = || (0..400).map(|offset| offset % DOCUMENTS).collect::<Vec<u64>>();
    let (ended, _) = play(&store, [log(), log()], async |kafka| {
        (0..PARTITIONS).for_each(|partition| kafka.give(partition));
        for _ in 0..2 {
            (0..PARTITIONS).for_each(|partition| kafka.read(partition, 200));
        }
        // Documents that are dealt to the lane of the stuck one wait with it; most are not.
        kafka
            .until("others are written to the end", |kafka| {
                kafka.obey();
                let state = kafka.store.state.lock().unwrap();
                let ends =
                    |document: u64| state.log.get(&document).is_some_and(|log| log.iter().any(|(_, o)| *o >= 395));
                (1..DOCUMENTS).filter(|document| ends(*document)).count() >= 2
            })
            .await;
        assert!(!kafka.store.state.lock().unwrap().log.contains_key(&0));
        assert_eq!(kafka.committed, [0; PARTITIONS], "the watermark waits for the stuck one");
        *kafka.store.stuck.lock().unwrap() = None;
        kafka.drain().await;
    });
    assert!(ended.is_ok());
}

#[test]
fn a_task_fails_at_a_malformed_record_with_all_before_it_written() {
    for is_local in [false, true] {
        let store = Store::new(is_local, vec![u8::MAX; 100]);
        let bad = (0..400).map(|offset| if offset == 300 { MALFORMED } else { offset % DOCUMENTS }).collect();
        let (ended, committed) = play(&store, [bad, Vec::new()], async |kafka| {
            kafka.give(0);
            kafka.read(0, 200);
            kafka.read(0, 200);
            kafka
                .until("what comes before it is committed", |kafka| {
                    kafka.obey();
                    kafka.committed[0] == 300
                })
                .await;
        });
        let failure = ended.unwrap_err();
        assert_eq!((failure.stage, failure.trace().contains("t-0@300")), (Stage::DecodeValue, true), "{failure:?}");
        assert_eq!(committed[0], 300, "{is_local}");
        let state = store.state.lock().unwrap();
        assert_eq!(state.written.iter().map(|(_, offset)| *offset).max(), Some(299));
    }
}
