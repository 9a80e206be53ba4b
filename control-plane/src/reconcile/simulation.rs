//! The real election and reconciler over the memory store, with workers made of paper and faults from a seed, in virtual
//! time. What must hold: no task runs on two workers within their leases; when the faults end, everything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::test_world::{definition, id, plugin, worker};
use super::*;
use crate::election::Election;
use crate::model::*;
use crate::store::memory::MemoryStore;
use crate::store::{Commit, Entry, Guard, LeaseId, Listing, Write};

/// A worker may act for this long after it sent a report that was answered.
const WORKER_LEASE: Duration = Duration::from_secs(4);
const SESSION_LEASE: Duration = Duration::from_secs(6);
const STEP: Duration = Duration::from_millis(100);

struct Dice(AtomicU64);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// A store that can be away, and whose answers can get lost.
struct Flaky {
    store: MemoryStore,
    away: AtomicBool,
    lossy: AtomicBool,
    dice: Arc<Dice>,
}

impl Flaky {
    fn here(&self) -> Result<&MemoryStore, StoreError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("simulated".into()));
        }
        Ok(&self.store)
    }
}

#[async_trait]
impl Store for Flaky {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.here()?.get(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        self.here()?.list(prefix).await
    }
    async fn watch(&self, prefix: &str, from_revision: i64) -> Result<BoxStream<'static, Event>, StoreError> {
        self.here()?.watch(prefix, from_revision).await
    }
    async fn commit(&self, commit: Commit) -> Result<i64, StoreError> {
        let done = self.here()?.commit(commit).await;
        if self.lossy.load(Ordering::Relaxed) && self.dice.roll(5) == 0 {
            return Err(StoreError::Unavailable("simulated: the answer was lost".into()));
        }
        done
    }
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.here()?.grant(ttl).await
    }
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.here()?.keep_alive(lease).await
    }
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.here()?.revoke(lease).await
    }
}

/// Who really runs what, and until when they may.
#[derive(Default)]
struct Floor {
    running: BTreeMap<String, BTreeMap<TaskId, Generation>>,
    until: BTreeMap<String, Instant>,
}

impl Floor {
    fn start(&mut self, worker: &str, id: &TaskId, generation: Generation) {
        let now = Instant::now();
        for (other, tasks) in self.running.iter().filter(|(other, _)| *other != worker) {
            let allowed = self.until.get(other).is_some_and(|until| now < *until);
            assert!(!(allowed && tasks.contains_key(id)), "{id:?} starts on {worker} while {other} runs it");
        }
        self.running.entry(worker.to_owned()).or_default().insert(id.clone(), generation);
    }
}

struct Paper {
    name: String,
    store: Arc<Flaky>,
    floor: Arc<Mutex<Floor>>,
    frozen: Arc<Mutex<BTreeMap<String, Instant>>>,
    lease: Option<LeaseId>,
}

impl Paper {
    async fn run(mut self) {
        let mut reported = Instant::now();
        loop {
            tokio::time::sleep(STEP).await;
            let frozen = self.frozen.lock().expect("lock").get(&self.name).copied();
            if frozen.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            if reported.elapsed() >= Duration::from_secs(1) || self.lease.is_none() {
                reported = Instant::now();
                self.report().await;
            }
            let until = self.floor.lock().expect("lock").until.get(&self.name).copied();
            if until.is_none_or(|until| Instant::now() >= until) {
                self.floor.lock().expect("lock").running.remove(&self.name);
                continue;
            }
            // A store that is away, or a write that came too late, is tried again with the next step.
            let _ = self.work().await;
        }
    }

    async fn report(&mut self) {
        let sent = Instant::now();
        if let Some(lease) = self.lease {
            match self.store.keep_alive(lease).await {
                Ok(()) => drop(self.floor.lock().expect("lock").until.insert(self.name.clone(), sent + WORKER_LEASE)),
                Err(StoreError::LeaseExpired) => self.lease = None,
                Err(_) => return,
            }
        }
        if self.lease.is_none()
            && let Ok(lease) = self.store.grant(SESSION_LEASE).await
        {
            let value = serde_json::to_vec(&worker(&self.name, 50, &["x", "y"])).expect("JSON");
            let put = Write::Put { key: keys::worker(&self.name), value, lease: Some(lease) };
            if self.store.commit(Commit { guards: Vec::new(), writes: vec![put] }).await.is_ok() {
                self.lease = Some(lease);
                self.floor.lock().expect("lock").until.insert(self.name.clone(), sent + WORKER_LEASE);
            }
        }
    }

    async fn work(&self) -> Result<(), StoreError> {
        let assigned = self.store.get(&keys::assignment(&self.name)).await?;
        let wanted: BTreeMap<TaskId, Generation> = assigned
            .map(|entry| serde_json::from_slice::<Assignment>(&entry.value).expect("JSON").tasks)
            .unwrap_or_default()
            .into_iter()
            .map(|task| (task.id, task.generation))
            .collect();
        {
            let mut floor = self.floor.lock().expect("lock");
            let running = floor.running.entry(self.name.clone()).or_default();
            running.retain(|id, generation| wanted.get(id) == Some(generation));
            let fresh: Vec<_> = wanted.iter().filter(|(id, _)| !running.contains_key(*id)).collect();
            for (id, generation) in fresh {
                floor.start(&self.name, id, *generation);
            }
        }
        let listing = self.store.list(keys::TENANTS).await?;
        let snapshot = Snapshot::from_listing(&listing);
        for (id, connector) in &snapshot.connectors {
            for (index, placement) in &connector.placements {
                if placement.value.worker.as_ref() != Some(&self.name) {
                    continue;
                }
                let id = TaskId { connector: id.clone(), index: *index };
                let state = match wanted.get(&id) {
                    Some(generation) if *generation == placement.value.generation => TaskState::Running,
                    None if placement.value.revoking => TaskState::Stopped,
                    _ => continue,
                };
                let told = connector.statuses.get(index).map(|status| (status.value.generation, status.value.state));
                if told != Some((placement.value.generation, state)) {
                    self.tell(&id, placement, state).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell(
        &self,
        id: &TaskId,
        placement: &snapshot::Versioned<Placement>,
        state: TaskState,
    ) -> Result<(), StoreError> {
        let status = TaskStatus {
            generation: placement.value.generation,
            worker: self.name.clone(),
            address: String::new(),
            state,
            error_kind: String::new(),
            trace: String::new(),
            warnings: Vec::new(),
            since_ms: 0,
        };
        let guards = vec![Guard::Revision { key: keys::placement(id), revision: placement.revision }];
        let value = serde_json::to_vec(&status).expect("JSON");
        let writes = vec![Write::Put { key: keys::status(id), value, lease: None }];
        self.store.commit(Commit { guards, writes }).await.map(drop)
    }
}

struct Simulation {
    store: Arc<Flaky>,
    dice: Arc<Dice>,
    floor: Arc<Mutex<Floor>>,
    frozen: Arc<Mutex<BTreeMap<String, Instant>>>,
    workers: BTreeMap<String, JoinSet<()>>,
    replicas: Vec<(Election, JoinSet<()>)>,
    started: u32,
}

impl Simulation {
    async fn new(seed: u64, workers: &[&str], replicas: u32) -> Self {
        let dice = Arc::new(Dice(AtomicU64::new(seed)));
        let (away, lossy) = (AtomicBool::new(false), AtomicBool::new(false));
        let store = Arc::new(Flaky { store: MemoryStore::new(), away, lossy, dice: Arc::clone(&dice) });
        let mut simulation = Self {
            store,
            dice,
            floor: Arc::default(),
            frozen: Arc::default(),
            workers: BTreeMap::new(),
            replicas: Vec::new(),
            started: 0,
        };
        for class in ["x", "y"] {
            simulation.put(keys::plugin(class, "1"), &plugin(class, ConnectorKind::Sink)).await;
        }
        for worker in workers {
            simulation.start_worker(worker);
        }
        for _ in 0..replicas {
            simulation.start_replica();
        }
        simulation
    }

    /// By the API, which is not part of this: it writes to the store whether that is away or not.
    async fn put<T: serde::Serialize>(&self, key: String, value: &T) {
        let value = serde_json::to_vec(value).expect("JSON");
        let writes = vec![Write::Put { key, value, lease: None }];
        self.store.store.commit(Commit { guards: Vec::new(), writes }).await.expect("committed");
    }

    async fn define(&self, name: &str, tasks: u64, target: TargetState) {
        let config = Flat::from([("connector.class".into(), "x".into()), ("tasks.max".into(), tasks.to_string())]);
        let version = self.snapshot().await.connectors.get(&id(name)).and_then(|c| c.definition.clone());
        let version = version.map_or(1, |definition| definition.value.version + 1);
        self.put(keys::definition(&id(name)), &Definition { target, version, ..definition(config) }).await;
    }

    async fn snapshot(&self) -> Snapshot {
        Snapshot::from_listing(&self.store.store.list(keys::ROOT).await.expect("listed"))
    }

    fn start_worker(&mut self, name: &str) {
        let paper = Paper {
            name: name.to_owned(),
            store: Arc::clone(&self.store),
            floor: Arc::clone(&self.floor),
            frozen: Arc::clone(&self.frozen),
            lease: None,
        };
        let mut task = JoinSet::new();
        task.spawn(paper.run());
        self.workers.insert(name.to_owned(), task);
    }

    fn kill_worker(&mut self, name: &str) {
        self.workers.remove(name);
        let mut floor = self.floor.lock().expect("lock");
        floor.running.remove(name);
        floor.until.remove(name);
    }

    fn start_replica(&mut self) {
        self.started += 1;
        let store: Arc<dyn Store> = Arc::clone(&self.store) as Arc<dyn Store>;
        let (ttl, shutdown) = (Duration::from_secs(3), CancellationToken::new());
        let election = Election::run(Arc::clone(&store), format!("r{}", self.started), ttl, shutdown.clone());
        let mut task = JoinSet::new();
        task.spawn(run(store, election.leadership(), Times::default(), shutdown));
        self.replicas.push((election, task));
    }

    /// A panic in a worker is one of ours.
    fn check_workers(&mut self) {
        for (name, task) in &mut self.workers {
            if let Some(Err(error)) = task.try_join_next() {
                panic!("{name}: {error}");
            }
        }
    }

    async fn fault(&mut self) {
        let dice = Arc::clone(&self.dice);
        let seconds = |n: u64| Duration::from_millis(200 + dice.roll(n * 1000));
        let name = format!("w{}", dice.roll(4));
        match dice.roll(9) {
            0 => self.kill_worker(&name),
            1 => {
                self.kill_worker(&name);
                self.start_worker(&name);
            }
            2 => drop(self.frozen.lock().expect("lock").insert(name, Instant::now() + seconds(12))),
            3 => {
                self.store.away.store(true, Ordering::Relaxed);
                tokio::time::sleep(seconds(10)).await;
                self.store.away.store(false, Ordering::Relaxed);
            }
            4 => drop(self.replicas.remove(0)),
            5 => self.store.lossy.store(dice.roll(2) == 0, Ordering::Relaxed),
            6 => self.define(&format!("c{}", dice.roll(4)), 1 + dice.roll(5), TargetState::Running).await,
            7 => self.define(&format!("c{}", dice.roll(4)), 1 + dice.roll(5), TargetState::Stopped).await,
            _ => {
                let writes = vec![Write::Delete { key: keys::definition(&id(&format!("c{}", dice.roll(4)))) }];
                let _ = self.store.store.commit(Commit { guards: Vec::new(), writes }).await;
            }
        }
        if self.replicas.is_empty() || (self.replicas.len() < 2 && dice.roll(2) == 0) {
            self.start_replica();
        }
        tokio::time::sleep(seconds(4)).await;
        self.check_workers();
    }

    fn heal(&mut self) {
        self.store.away.store(false, Ordering::Relaxed);
        self.store.lossy.store(false, Ordering::Relaxed);
        self.frozen.lock().expect("lock").clear();
        for n in 0..4 {
            let name = format!("w{n}");
            if !self.workers.contains_key(&name) {
                self.start_worker(&name);
            }
        }
    }

    /// What should run, and nothing else, runs, by the store and on the floor.
    async fn all_runs(&self) -> bool {
        let snapshot = self.snapshot().await;
        let mut rightful = BTreeSet::new();
        for (id, connector) in &snapshot.connectors {
            let Some(definition) = &connector.definition else { return false };
            let runs = definition.value.target != TargetState::Stopped;
            if runs && connector.placements.len() != definition.value.tasks_max() as usize {
                return false;
            }
            for (index, placement) in &connector.placements {
                let Some(worker) = &placement.value.worker else {
                    if runs {
                        return false;
                    }
                    continue;
                };
                let told = connector.statuses.get(index).map(|s| (s.value.generation, s.value.state));
                if !runs || placement.value.revoking || told != Some((placement.value.generation, TaskState::Running)) {
                    return false;
                }
                let id = TaskId { connector: id.clone(), index: *index };
                rightful.insert((worker.clone(), id, placement.value.generation));
            }
        }
        let floor = self.floor.lock().expect("lock");
        let real: BTreeSet<_> = floor
            .running
            .iter()
            .flat_map(|(worker, tasks)| tasks.iter().map(|(id, generation)| (worker.clone(), id.clone(), *generation)))
            .collect();
        real == rightful
    }

    async fn until_all_runs(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        while !self.all_runs().await {
            assert!(Instant::now() < end, "not everything runs: {:#?}", self.snapshot().await);
            tokio::time::sleep(STEP).await;
            self.check_workers();
        }
    }
}

async fn with_faults(seed: u64) {
    let mut simulation = Simulation::new(seed, &["w0", "w1", "w2", "w3"], 2).await;
    simulation.define("c0", 3, TargetState::Running).await;
    simulation.define("c1", 5, TargetState::Running).await;
    for _ in 0..25 {
        simulation.fault().await;
    }
    simulation.heal();
    simulation.until_all_runs(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn with_faults_from_a_handful_of_seeds() {
    for seed in 1..=12 {
        with_faults(seed).await;
    }
}

/// Run by hand, with the seeds wanted: `SEEDS=1000 cargo test -p millrace-control-plane many_seeds -- --ignored`
#[tokio::test(start_paused = true)]
#[ignore = "long"]
async fn with_faults_from_many_seeds() {
    let seeds = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    for seed in 100..100 + seeds {
        println!("seed {seed}");
        with_faults(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_store_was_away_workers_that_register_again_keep_their_tasks() {
    let mut simulation = Simulation::new(7, &["w0", "w1", "w2"], 2).await;
    simulation.define("c0", 6, TargetState::Running).await;
    simulation.until_all_runs(Duration::from_secs(10)).await;
    let before = simulation.snapshot().await.connectors[&id("c0")].placements.clone();
    simulation.store.away.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(60)).await;
    simulation.store.away.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(20)).await;
    simulation.until_all_runs(Duration::from_secs(10)).await;
    assert_eq!(simulation.snapshot().await.connectors[&id("c0")].placements, before);
}

#[tokio::test(start_paused = true)]
async fn a_leaders_death_is_not_noticed_by_tasks_and_a_workers_death_is_repaired_in_time() {
    let mut simulation = Simulation::new(7, &["w0", "w1", "w2"], 2).await;
    simulation.define("c0", 6, TargetState::Running).await;
    simulation.until_all_runs(Duration::from_secs(10)).await;
    let before = simulation.snapshot().await.connectors[&id("c0")].placements.clone();
    drop(simulation.replicas.remove(0));
    tokio::time::sleep(Duration::from_secs(20)).await;
    simulation.until_all_runs(Duration::from_secs(10)).await;
    assert_eq!(simulation.snapshot().await.connectors[&id("c0")].placements, before);
    simulation.kill_worker("w1");
    simulation.until_all_runs(SESSION_LEASE + Duration::from_secs(2)).await;
}
