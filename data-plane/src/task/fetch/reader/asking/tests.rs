//! Whom a reader asks for what.

use std::collections::HashMap;
use std::time::Duration;

use millrace_sdk::TopicPartition;

use super::super::super::super::batch::{RawBatch, Room};
use super::super::super::ledger::Returned;
use super::super::super::{MAX_OUT, PACE};
use super::super::state::{NEARER_FOR, Reading};
use super::*;
use crate::kafka::wire::backoff;
use crate::kafka::wire::{Cluster, Isolation, Place};

const MIB: usize = 1024 * 1024;

fn sizes() -> Sizes {
    Sizes {
        budget: 4 * MIB,
        answer: MIB,
        partition: MIB,
        min_bytes: 1,
        wait_ms: 500,
        isolation: Isolation::Uncommitted,
        rack: String::new(),
    }
}

fn origin(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

/// Topic t with partition n at broker n % 2, epoch 5.
fn cluster(partitions: i32) -> Cluster {
    let places = (0..partitions).map(|n| (n, Place { leader: Some(n % 2), epoch: 5 }));
    Cluster {
        brokers: (0..2).map(|id| (id, (format!("host-{id}"), 9092))).collect(),
        places: HashMap::from([("t".to_owned(), places.collect())]),
        errors: HashMap::new(),
    }
}

fn state(partitions: i32) -> State {
    let mut state = State { cluster: cluster(partitions), ..State::default() };
    for partition in 0..partitions {
        let mut reading = Reading::new(origin("t", partition), 1);
        reading.position = Position::At(100);
        state.partitions.push(reading);
    }
    state
}

fn batch(partition: i32) -> RawBatch {
    RawBatch::new(origin("t", partition), Room::default(), &Arc::default())
}

/// The partitions that each broker is asked for.
fn records(asks: &[Ask]) -> Vec<(i32, Vec<i32>)> {
    let asked = asks.iter().filter_map(|ask| match ask {
        Ask::Records(broker, request) => {
            let mut partitions: Vec<i32> = request.wanted.iter().map(|wanted| wanted.origin.partition).collect();
            partitions.sort_unstable();
            Some((*broker, partitions))
        }
        _ => None,
    });
    let mut asked: Vec<_> = asked.collect();
    asked.sort_unstable();
    asked
}

fn request(asks: &[Ask], broker: i32) -> &FetchRequest {
    asks.iter()
        .find_map(|ask| match ask {
            Ask::Records(id, request) if *id == broker => Some(request),
            _ => None,
        })
        .expect("the broker is asked")
}

#[test]
fn each_leader_is_asked_for_its_partitions_and_not_again_before_it_has_answered() {
    let (mut state, now) = (state(4), Instant::now());
    let (asks, again) = state.asks(&sizes(), now);
    assert_eq!(records(&asks), [(0, vec![0, 2]), (1, vec![1, 3])]);
    assert_eq!(again, None);
    let one = request(&asks, 0).clone();
    assert_eq!((one.wanted[0].offset, one.wanted[0].leader_epoch, one.wanted[0].fetched_epoch), (100, 5, -1));
    assert_eq!(state.asks(&sizes(), now).0, []);
    let bytes = usize::try_from(one.max_bytes).unwrap();
    state.exchanged(0, bytes, one.wanted.iter(), (MIB, Duration::ZERO), now);
    assert_eq!(records(&state.asks(&sizes(), now).0), [(0, vec![0, 2])]);
}

#[test]
fn a_small_answer_is_followed_by_a_short_pause_and_a_throttled_one_by_a_longer() {
    for (brought, throttled, pause) in
        [(100, Duration::ZERO, PACE), (0, Duration::ZERO, Duration::ZERO), (MIB, PACE * 20, PACE * 20)]
    {
        let (mut state, now) = (state(1), Instant::now());
        let (asks, _) = state.asks(&sizes(), now);
        state.exchanged(0, 0, request(&asks, 0).wanted.iter(), (brought, throttled), now);
        let (asks, again) = state.asks(&sizes(), now);
        assert_eq!(again, (pause > Duration::ZERO).then(|| now + pause), "{brought} {throttled:?}");
        assert_eq!(asks.is_empty(), pause > Duration::ZERO);
        assert_eq!(records(&state.asks(&sizes(), now + pause).0).len(), asks.len().max(1) - asks.len());
    }
}

#[test]
fn a_partition_whose_batches_wait_is_not_asked_for_and_the_others_only_for_a_short_time() {
    let (mut state, now) = (state(4), Instant::now());
    for _ in 0..3 {
        state.partitions[0].ready.push_back(batch(0));
    }
    assert_eq!(state.outgoing().len(), MAX_OUT);
    let (asks, _) = state.asks(&sizes(), now);
    assert_eq!(records(&asks), [(0, vec![2]), (1, vec![1, 3])]);
    assert_eq!((request(&asks, 0).wait_ms, request(&asks, 1).wait_ms), (SHORT_WAIT, 500));
    state.exchanged(0, 0, request(&asks, 0).wanted.iter(), (0, Duration::ZERO), now);
    state.take_back(&Returned { origin: origin("t", 0), assignment: 1, bytes: 0 });
    assert_eq!(state.outgoing().len(), 1);
    assert_eq!(records(&state.asks(&sizes(), now).0), [(0, vec![0, 2])]);
}

#[test]
fn what_is_held_and_asked_for_stays_within_the_budget_but_something_always_passes() {
    let (mut state, now) = (state(2), Instant::now());
    state.held = 4 * MIB - LEAST;
    let (asks, _) = state.asks(&sizes(), now);
    assert_eq!(records(&asks).len(), 1, "there is room for one answer");
    assert_eq!(request(&asks, records(&asks)[0].0).max_bytes, i32::try_from(LEAST).unwrap());
    assert_eq!(state.held + state.asked, 4 * MIB);
    let mut crowded = self::state(1);
    crowded.held = 4 * MIB;
    assert!(crowded.asks(&sizes(), now).0.is_empty());
    crowded.held = 0;
    let tiny = Sizes { budget: 1, answer: 1, partition: 1, ..sizes() };
    assert_eq!(records(&crowded.asks(&tiny, now).0).len(), 1);
}

#[test]
fn many_brokers_share_the_budget_and_take_turns() {
    let (mut state, now) = (state(8), Instant::now());
    for broker in 0..8 {
        state.cluster.places.get_mut("t").unwrap().get_mut(&broker).unwrap().leader = Some(broker);
    }
    let (asks, _) = state.asks(&sizes(), now);
    assert_eq!((records(&asks).len(), state.asked), (8, 4 * MIB));
    state.asked = 0;
    state.held = 4 * MIB - LEAST;
    let mut served = Vec::new();
    for _ in 0..8 {
        state.partitions.iter_mut().for_each(|reading| reading.asked = false);
        state.links.clear();
        state.asked = 0;
        served.extend(records(&state.asks(&sizes(), now).0).into_iter().map(|(broker, _)| broker));
    }
    served.sort_unstable();
    assert_eq!(served, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn partitions_share_an_answer_and_take_turns_at_its_front() {
    let (mut state, now) = (state(8), Instant::now());
    let mut first = Vec::new();
    for _ in 0..8 {
        let (asks, _) = state.asks(&sizes(), now);
        let one = request(&asks, 0).clone();
        assert_eq!(one.wanted[0].max_bytes, i32::try_from(MIB / 4).unwrap());
        first.push(one.wanted[0].origin.partition);
        state.exchanged(0, MIB, one.wanted.iter(), (0, Duration::ZERO), now);
    }
    first.sort_unstable();
    first.dedup();
    assert_eq!(first, [0, 2, 4, 6]);
}

#[test]
fn a_position_that_is_not_known_is_waited_for_and_one_that_is_lost_is_looked_up_at_the_leader() {
    let (mut state, now) = (state(4), Instant::now());
    state.partitions[0].position = Position::Unknown;
    state.partitions[2].position = Position::Reset(Some(7));
    state.partitions[2].nearer = Some((1, now + NEARER_FOR));
    let (asks, _) = state.asks(&sizes(), now);
    assert_eq!(records(&asks), [(1, vec![1, 3])]);
    let ends = asks.iter().find(|ask| matches!(ask, Ask::Ends(..)));
    let Some(Ask::Ends(0, wanted)) = ends else { panic!("{asks:?}") };
    assert_eq!((wanted[0].0.origin.partition, wanted[0].0.offset, wanted[0].1), (2, 7, 5));
}

#[test]
fn a_nearer_broker_is_asked_while_it_is_known_and_its_time_lasts() {
    let (mut state, now) = (state(1), Instant::now());
    state.partitions[0].prefer(1, now);
    for (at, broker) in [(now, 1), (now + NEARER_FOR, 0)] {
        let (asks, _) = state.asks(&sizes(), at);
        assert_eq!(records(&asks), [(broker, vec![0])]);
        state.exchanged(broker, 0, request(&asks, broker).wanted.iter(), (0, Duration::ZERO), at);
    }
    state.partitions[0].prefer(9, now);
    assert_eq!(records(&state.asks(&sizes(), now).0), [(0, vec![0])]);
}

#[test]
fn where_partitions_are_is_asked_once_and_for_all_topics() {
    let (mut state, now) = (state(2), Instant::now());
    state.cluster.places.get_mut("t").unwrap().get_mut(&1).unwrap().leader = None;
    let mut other = Reading::new(origin("u", 0), 1);
    other.position = Position::At(0);
    state.partitions.push(other);
    let (asks, _) = state.asks(&sizes(), now);
    assert_eq!(asks[0], Ask::Places(vec!["t".to_owned(), "u".to_owned()]));
    assert_eq!(records(&asks), [(0, vec![0])], "the others are read meanwhile");
    assert!(state.asks(&sizes(), now).0.is_empty(), "it is being asked");
    state.looking = false;
    state.look_up = Some(now + PACE);
    let (asks, again) = state.asks(&sizes(), now);
    assert_eq!((asks, again), (vec![], Some(now + PACE)));
}

#[test]
fn nothing_is_asked_or_handed_on_while_paused() {
    let (mut state, now) = (state(2), Instant::now());
    state.paused = true;
    state.partitions[0].ready.push_back(batch(0));
    assert_eq!((state.outgoing().len(), state.asks(&sizes(), now)), (0, (vec![], None)));
}

#[test]
fn brokers_and_partitions_that_fail_are_left_alone_for_longer_and_longer() {
    let (mut state, now) = (state(2), Instant::now());
    state.partitions[1].back_off(now, &(PACE..=PACE * 4));
    state.links.entry(0).or_default().not_before = Some(now + PACE * 3);
    let (asks, again) = state.asks(&sizes(), now);
    assert_eq!((asks, again), (vec![], Some(now + PACE)));
    assert_eq!(records(&state.asks(&sizes(), now + PACE).0), [(1, vec![1])]);
    let times = [0, 1, 2, 30].map(|failures| backoff(&(PACE..=PACE * 5), failures));
    assert_eq!(times, [PACE, PACE * 2, PACE * 4, PACE * 5]);
}

#[test]
fn partitions_of_a_topic_stand_together() {
    let now = Instant::now();
    let mut state = state(1);
    for (topic, partition) in [("u", 0), ("t", 2), ("u", 1)] {
        let place = Place { leader: Some(0), epoch: 1 };
        state.cluster.places.entry(topic.to_owned()).or_default().insert(partition, place);
        let mut reading = Reading::new(origin(topic, partition), 1);
        reading.position = Position::At(0);
        state.partitions.push(reading);
    }
    let (asks, _) = state.asks(&sizes(), now);
    let topics: Vec<&str> = request(&asks, 0).wanted.iter().map(|wanted| &*wanted.origin.topic).collect();
    assert_eq!(topics.chunk_by(|a, b| a == b).count(), 2, "{topics:?}");
}

#[test]
fn a_broker_that_leads_nothing_any_more_is_forgotten() {
    let mut state = state(1);
    for (broker, busy) in [(0, false), (1, false), (2, true)] {
        state.links.entry(broker).or_default().busy = busy;
    }
    state.forget_links();
    assert_eq!(state.links.keys().copied().collect::<Vec<_>>(), [0, 2]);
}
