//! A producer against brokers that fail in every way they can: played through without I/O.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::asking::{APPEARS, Ask, Sending};
use super::batch::{Refusal, Refused};
use super::exchange::verdict;
use super::state::{Limits, State, Verdict, after};
use crate::kafka::Deliveries;
use crate::kafka::wire::{
    Aborted, Apart, Cluster, Codec, Isolation, NewProducer, Outline, Place, Produced, TELL_AFTER, code, take_apart,
};

const PARTITIONS: usize = 3;
const BROKERS: i32 = 2;
const HOUR: Duration = Duration::from_secs(3600);

fn limits() -> Limits {
    let times = Duration::from_millis(10)..=Duration::from_millis(40);
    Limits {
        batch: 300,
        record: 250,
        request: 500,
        linger: Duration::from_millis(5),
        delivery: None,
        retries: u32::MAX,
        idempotent: true,
        retry: times.clone(),
        reconnect: times,
        look_up: HOUR,
    }
}

/// What brokers have of a partition.
#[derive(Default)]
struct Log {
    leader: i32,
    records: Vec<u32>,
    /// The last batch of each producer: its first number and how many records
    producers: HashMap<i64, (i32, u32)>,
    /// Whether it has forgotten a producer: then a batch may be there twice
    forgot: bool,
}

struct Model {
    rng: StdRng,
    logs: Vec<Log>,
    names: i64,
    /// Brokers take no batch with more records
    most: usize,
}

impl Model {
    fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::default();
        (0..BROKERS).for_each(|id| {
            cluster.brokers.insert(id, ("broker".to_owned(), 1));
        });
        let places = (0..).zip(&self.logs).map(|(index, log)| (index, Place { leader: Some(log.leader), epoch: 0 }));
        cluster.places.insert("t".to_owned(), places.collect());
        cluster
    }

    fn disturb(&mut self) {
        let index = self.rng.random_range(0..PARTITIONS);
        match self.rng.random_range(0..30) {
            0 => self.logs[index].leader = self.rng.random_range(0..BROKERS),
            1 => {
                self.logs[index].producers.clear();
                self.logs[index].forgot = true;
            }
            _ => {}
        }
    }

    /// The error code with which a broker answers, after it has written or not.
    fn write(&mut self, broker: i32, sending: &mut Sending) -> i16 {
        let closed = sending.pending.closed(Codec::None, Vec::new, drop);
        closed.sign(sending.name, sending.sequence);
        let mut bytes = closed.bytes().to_vec();
        let mut found = Vec::new();
        let how = Apart { from: 0, check: true, isolation: Isolation::Uncommitted };
        take_apart(&mut bytes, Vec::new, how, &mut Aborted::default(), &mut found);
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap());
        let records: Vec<u32> = found.iter().map(|record| number(&bytes[record.value.range().unwrap()])).collect();
        let log = &mut self.logs[usize::try_from(sending.partition()).unwrap()];
        if log.leader != broker {
            return code::NOT_LEADER_OR_FOLLOWER;
        }
        if records.len() > self.most {
            return code::MESSAGE_TOO_LARGE;
        }
        let count = u32::try_from(records.len()).unwrap();
        match log.producers.get(&sending.name.id) {
            Some(last) if *last == (sending.sequence, count) => return code::DUPLICATE_SEQUENCE_NUMBER,
            Some((first, records)) if after(*first, *records) != sending.sequence => {
                return code::OUT_OF_ORDER_SEQUENCE_NUMBER;
            }
            None if sending.sequence != 0 => return code::UNKNOWN_PRODUCER_ID,
            _ => {}
        }
        log.producers.insert(sending.name.id, (sending.sequence, count));
        log.records.extend(records);
        if self.rng.random_bool(0.05) { 20 } else { code::NONE }
    }

    /// Carries out what is asked.
    fn answer(&mut self, state: &mut State, limits: &Limits, ask: Ask, now: Instant) {
        match ask {
            Ask::Places(_) if self.rng.random_bool(0.2) => state.not_found(limits, now),
            Ask::Places(_) => state.found(self.cluster(), limits, now),
            Ask::Name if self.rng.random_bool(0.2) => state.named(None, limits, now),
            Ask::Name => {
                self.names += 1;
                state.named(Some(NewProducer { id: self.names, epoch: 0 }), limits, now);
            }
            Ask::Write(broker, sendings) => {
                let (is_lost, is_written) = (self.rng.random_bool(0.15), self.rng.random_bool(0.5));
                for mut sending in sendings {
                    let refused = |code| Produced {
                        topic: "t".to_owned(),
                        partition: 0,
                        error: code,
                        records: Vec::new(),
                        message: None,
                    };
                    let is_short = self.rng.random_bool(0.05);
                    let answer = match () {
                        () if is_lost && !is_written => Verdict::Again(Refusal::Fault("lost".to_owned())),
                        () if is_short => verdict(&refused(19)),
                        () => verdict(&refused(self.write(broker, &mut sending))),
                    };
                    let answer = if is_lost { Verdict::Again(Refusal::Fault("lost".to_owned())) } else { answer };
                    state.settle(sending, answer, limits, now);
                }
                state.link(broker, (!is_lost).then_some(Duration::ZERO), limits, now);
            }
        }
    }
}

fn add(state: &mut State, partition: usize, number: u32, deliveries: &mut Deliveries<Refused>, now: Instant) {
    let mut value = vec![0; 4 + number as usize % 60];
    value[..4].copy_from_slice(&number.to_be_bytes());
    let outline = Outline { timestamp_ms: 1, key: None, value: Some(&value), headers: &[] };
    let partition = i32::try_from(partition).ok();
    state.add(0, partition, &outline, deliveries.add(), &limits(), now).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_brokers_do_every_record_is_there_in_order(seed in any::<u64>(), most in 1..9_usize) {
        let rng = StdRng::seed_from_u64(seed);
        let logs = (0..PARTITIONS).map(|_| Log::default()).collect();
        let mut model = Model { rng, logs, names: 0, most };
        let (mut state, limits, start) = (State::default(), limits(), Instant::now());
        let mut now = start;
        state.topic("t", now);
        state.found(model.cluster(), &limits, now);
        let mut deliveries = Deliveries::default();
        let mut sent: Vec<Vec<u32>> = vec![Vec::new(); PARTITIONS];
        let mut waiting: Vec<Ask> = Vec::new();
        for step in 0..4000_u32 {
            if step < 400 {
                let partition = model.rng.random_range(0..PARTITIONS);
                add(&mut state, partition, step, &mut deliveries, now);
                sent[partition].push(step);
                model.disturb();
            }
            now += Duration::from_millis(model.rng.random_range(0..4));
            let (asks, again) = state.asks(&limits, now);
            waiting.extend(asks);
            prop_assert!(waiting.len() <= 2 + usize::try_from(BROKERS).unwrap());
            if !waiting.is_empty() && model.rng.random_bool(0.5) {
                let ask = waiting.swap_remove(model.rng.random_range(0..waiting.len()));
                model.answer(&mut state, &limits, ask, now);
            } else if waiting.is_empty() && step >= 400 {
                if state.busy.is_empty() {
                    break;
                }
                now = now.max(again.expect("there is something to do, and a time for it"));
            }
        }
        prop_assert!(state.busy.is_empty() && state.on_the_way == 0);
        prop_assert!(now < start + HOUR, "it waited until places are looked up anyway");
        for (log, sent) in model.logs.iter().zip(&sent) {
            let mut seen = std::collections::HashSet::new();
            let first: Vec<u32> = log.records.iter().copied().filter(|record| seen.insert(*record)).collect();
            prop_assert_eq!(&first, sent);
            if !log.forgot {
                prop_assert_eq!(&log.records, sent);
            }
        }
        let refused = deliveries.finished().now_or_never().expect("Kafka has answered for every record");
        prop_assert!(refused.is_empty());
    }
}

/// A state that knows two partitions led by broker 0, and a name.
fn ready(limits: &Limits, now: Instant) -> State {
    let mut state = State::default();
    state.topic("t", now);
    let logs = (0..PARTITIONS).map(|_| Log::default()).collect();
    let model = Model { rng: StdRng::seed_from_u64(1), logs, names: 0, most: 9 };
    state.found(model.cluster(), limits, now);
    state.named(Some(NewProducer { id: 5, epoch: 0 }), limits, now);
    state
}

fn sendings(asks: Vec<Ask>) -> Vec<Sending> {
    let of_ask = |ask| if let Ask::Write(_, sendings) = ask { sendings } else { Vec::new() };
    asks.into_iter().flat_map(of_ask).collect()
}

#[test]
fn a_batch_waits_for_more_unless_its_broker_is_asked_anyway() {
    let (limits, now) = (limits(), Instant::now());
    let mut state = ready(&limits, now);
    let mut deliveries = Deliveries::default();
    add(&mut state, 0, 1, &mut deliveries, now);
    let (asks, again) = state.asks(&limits, now);
    assert!(asks.is_empty());
    assert_eq!(again, Some(now + limits.linger));
    let later = now + limits.linger;
    add(&mut state, 1, 2, &mut deliveries, later);
    assert_eq!(sendings(state.asks(&limits, later).0).len(), 2, "the second one goes along");
}

#[test]
fn what_the_broker_names_is_refused_and_the_rest_goes_again() {
    let (limits, now) = (limits(), Instant::now());
    let mut state = ready(&limits, now);
    let mut deliveries = Deliveries::default();
    (0..4).for_each(|number| add(&mut state, 0, number, &mut deliveries, now));
    let now = now + limits.linger;
    let sending = sendings(state.asks(&limits, now).0).pop().unwrap();
    assert_eq!(sending.pending.records(), 4);
    let why = Refusal::Kafka { code: code::INVALID_RECORD, message: Some("no key".to_owned()) };
    state.settle(sending, Verdict::Refused(why.clone(), vec![1, 3]), &limits, now);
    state.link(0, Some(Duration::ZERO), &limits, now);
    let sending = sendings(state.asks(&limits, now).0).pop().unwrap();
    assert_eq!((sending.pending.records(), sending.sequence), (2, 0), "under the number that is not used yet");
    state.settle(sending, Verdict::Written, &limits, now);
    let refused = deliveries.finished().now_or_never().unwrap();
    let numbers: Vec<u8> = refused.iter().map(|one| one.value.as_ref().unwrap()[3]).collect();
    assert_eq!(numbers, [1, 3]);
    assert!(refused.iter().all(|one| one.why == why && &*one.topic == "t"));
}

#[test]
fn a_broker_that_names_no_record_that_is_there_refuses_all() {
    let (limits, now) = (limits(), Instant::now());
    for named in [vec![], vec![-1, 4, i32::MAX]] {
        let mut state = ready(&limits, now);
        let mut deliveries = Deliveries::default();
        (0..4).for_each(|number| add(&mut state, 0, number, &mut deliveries, now));
        let sending = sendings(state.asks(&limits, now + limits.linger).0).pop().unwrap();
        let why = Refusal::Kafka { code: code::INVALID_RECORD, message: None };
        state.settle(sending, Verdict::Refused(why, named), &limits, now);
        assert!(state.busy.is_empty());
        assert_eq!(deliveries.finished().now_or_never().unwrap().len(), 4);
    }
}

#[test]
fn what_is_late_is_given_up_and_its_number_is_not_used_again() {
    let limits = Limits { delivery: Some(Duration::from_secs(1)), ..limits() };
    let start = Instant::now();
    let mut state = ready(&limits, start);
    let mut deliveries = Deliveries::default();
    add(&mut state, 0, 1, &mut deliveries, start);
    let sending = sendings(state.asks(&limits, start + limits.linger).0).pop().unwrap();
    let fault = Refusal::Fault("no answer".to_owned());
    let now = start + Duration::from_millis(999);
    state.settle(sending, Verdict::Again(fault.clone()), &limits, now);
    let (_, again) = state.asks(&limits, now);
    assert!(again.is_some_and(|again| again <= start + Duration::from_secs(1) + *limits.retry.start()));
    state.asks(&limits, start + Duration::from_secs(1));
    assert_eq!(deliveries.finished().now_or_never().unwrap().pop().unwrap().why, fault);
    assert_eq!(state.name, None, "perhaps it is written after all");
}

#[test]
fn a_partition_that_the_cluster_does_not_have_is_waited_for_and_then_given_up() {
    let (limits, start) = (limits(), Instant::now());
    let mut state = ready(&limits, start);
    let mut deliveries = Deliveries::default();
    add(&mut state, 2, 1, &mut deliveries, start);
    state.found(Cluster::default(), &limits, start);
    state.asks(&limits, start);
    state.asks(&limits, start + APPEARS / 2);
    assert!(!state.busy.is_empty());
    state.asks(&limits, start + APPEARS);
    assert_eq!(deliveries.finished().now_or_never().unwrap().pop().unwrap().why, Refusal::Missing);
}

#[test]
fn records_that_never_get_in_are_refused_at_once() {
    let (limits, now) = (limits(), Instant::now());
    let mut state = ready(&limits, now);
    let mut deliveries = Deliveries::<Refused>::default();
    let large = Outline { timestamp_ms: 1, key: None, value: Some(&[0; 300]), headers: &[] };
    let small = Outline { value: None, ..large };
    let mut add = |partition, record| state.add(0, partition, record, deliveries.add(), &limits, now);
    assert!(matches!(add(None, &large), Err(Refusal::TooLarge(bytes)) if bytes > 300));
    assert_eq!(add(Some(3), &small), Err(Refusal::NoPartition(3, 3)));
    assert_eq!(add(Some(-1), &small), Err(Refusal::NoPartition(-1, 3)));
    assert_eq!(add(Some(2), &small), Ok(()));
}

#[test]
fn a_partition_without_a_leader_is_told_of() {
    let (limits, mut now) = (limits(), Instant::now());
    let mut state = ready(&limits, now);
    add(&mut state, 1, 1, &mut Deliveries::default(), now);
    let mut cluster = state.cluster.clone();
    cluster.places.get_mut("t").unwrap().insert(1, Place { leader: None, epoch: 1 });
    for _ in 0..TELL_AFTER {
        assert_eq!(state.trouble(), None);
        state.found(cluster.clone(), &limits, now);
        now += *limits.retry.end();
        assert!(matches!(&state.asks(&limits, now).0[..], [Ask::Places(_)]), "it is looked for again");
    }
    assert_eq!(state.trouble(), Some(("t", 1, Refusal::Leaderless)));
}

#[test]
fn numbers_begin_anew_after_the_last_one() {
    assert_eq!(after(i32::MAX - 1, 1), i32::MAX);
    assert_eq!(after(i32::MAX, 1), 0);
    assert_eq!(after(i32::MAX - 1, 5), 3);
}
