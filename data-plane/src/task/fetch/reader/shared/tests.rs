//! What becomes of answers.

use std::collections::HashMap;

use millrace_sdk::Flat;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::super::Limits;
use super::super::state::Reading;
use super::*;
use crate::kafka::wire::Place;
use crate::kafka::{ClientKind, ClientSettings, Envelope, Span};

const LIMITS: Limits = Limits { batch_records: 2, batch_bytes: 1 << 20, budget: 1 << 20 };

fn origin() -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: 0 }
}

/// A reader of t-0 from offset 10 on, whose leader is broker 1; and what it tells.
fn shared(policy: &str) -> (Shared, UnboundedReceiver<FetchEvent>) {
    let tenant = Flat::from([
        ("bootstrap.servers".to_owned(), "localhost:9092".to_owned()),
        ("consumer.auto.offset.reset".to_owned(), policy.to_owned()),
    ]);
    let settings = ClientSettings::build(ClientKind::Consumer, &tenant, &Flat::new()).unwrap();
    let (events, told) = unbounded_channel();
    let shared = Shared::new(Settings::of(&settings, &LIMITS).unwrap(), false, &Arc::default(), &events);
    shared.found(cluster(1), Instant::now());
    let mut reading = Reading::new(origin(), 1);
    reading.position = Position::At(10);
    shared.state().partitions.push(reading);
    (shared, told)
}

fn cluster(leader: i32) -> Cluster {
    let place = Place { leader: Some(leader), epoch: 0 };
    Cluster {
        brokers: (1..=2).map(|id| (id, (format!("host-{id}"), 9092))).collect(),
        places: HashMap::from([("t".to_owned(), HashMap::from([(0, place)]))]),
        errors: HashMap::new(),
    }
}

/// What is asked next.
fn wanted(shared: &Shared) -> Wanted {
    let (asks, _) = shared.decide(Instant::now());
    let wanted = asks.into_iter().find_map(|ask| match ask {
        Ask::Records(_, request) => request.wanted.into_iter().next(),
        Ask::Ends(_, wanted) => wanted.into_iter().next().map(|(wanted, _)| wanted),
        Ask::Places(_) => None,
    });
    wanted.expect("something is asked")
}

fn position(shared: &Shared) -> Position {
    shared.state().partitions[0].position
}

fn answer(error: i16) -> Answer {
    Answer { error, end: 30, ..Answer::default() }
}

/// Records of the old format, which needs no more than this.
fn records(offsets: std::ops::Range<i64>) -> Room {
    let mut buffer = Vec::new();
    for offset in offsets {
        let body = [&[0_u8, 0][..], &(-1_i32).to_be_bytes(), &1_i32.to_be_bytes(), b"v"].concat();
        buffer.extend(offset.to_be_bytes());
        buffer.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        buffer.extend(crc32fast::hash(&body).to_be_bytes());
        buffer.extend(body);
    }
    Room { buffer, records: Vec::new() }
}

fn batches(told: &mut UnboundedReceiver<FetchEvent>) -> Vec<RawBatch> {
    let events = std::iter::from_fn(|| told.try_recv().ok());
    let batches = events.filter_map(|event| match event {
        FetchEvent::Batch { batch, .. } => Some(batch),
        _ => None,
    });
    batches.collect()
}

fn texts(told: &mut UnboundedReceiver<FetchEvent>) -> Vec<Option<String>> {
    let events = std::iter::from_fn(|| told.try_recv().ok());
    let texts = events.filter_map(|event| match event {
        FetchEvent::Remark { subject: "fetch", text } => Some(text),
        _ => None,
    });
    texts.collect()
}

#[test]
fn records_go_out_two_batches_at_a_time_and_all_that_is_held_comes_back() {
    let (shared, mut told) = shared("earliest");
    shared.arrived(&wanted(&shared), answer(0), records(10..17), Instant::now());
    assert_eq!(position(&shared), Position::At(17));
    let first = batches(&mut told);
    let offsets = |batch: &RawBatch| batch.records().iter().map(|record: &Envelope| record.offset).collect::<Vec<_>>();
    assert_eq!(first.iter().map(offsets).collect::<Vec<_>>(), [vec![10, 11], vec![12, 13]]);
    assert_ne!(first[0].records()[0].value, Span::NONE);
    let held = shared.state().held;
    drop(first);
    shared.decide(Instant::now());
    let second = batches(&mut told);
    assert_eq!(second.iter().map(offsets).collect::<Vec<_>>(), [vec![14, 15], vec![16]]);
    assert!(shared.state().held < held);
    drop(second);
    shared.decide(Instant::now());
    assert_eq!(shared.state().held, 0);
}

#[test]
fn an_answer_for_a_partition_that_is_gone_leaves_no_trace() {
    let (shared, mut told) = shared("earliest");
    let wanted = wanted(&shared);
    shared.state().partitions[0].assignment = 2;
    shared.state().held = 1000;
    shared.arrived(&wanted, answer(0), records(10..12), Instant::now());
    shared.decide(Instant::now());
    let held = shared.state().held;
    assert_eq!((held, position(&shared), batches(&mut told).len()), (1000, Position::At(10), 0));
}

#[test]
fn an_offset_that_kafka_no_longer_has_is_looked_for_and_what_is_lost_is_told() {
    for (policy, next, lost) in [("earliest", 20, 10..20), ("latest", 30, 10..30)] {
        let (shared, mut told) = shared(policy);
        let first = wanted(&shared);
        shared.arrived(&first, answer(code::OFFSET_OUT_OF_RANGE), Room::default(), Instant::now());
        assert_eq!(position(&shared), Position::Reset(Some(10)));
        shared.reset(&first, Ok(20..30), Instant::now());
        assert_eq!(position(&shared), Position::At(next));
        let Ok(FetchEvent::Lost(_, range)) = told.try_recv() else { panic!("not told") };
        assert_eq!(range, lost);
    }
}

#[test]
fn a_nearer_broker_that_lags_behind_is_left_for_the_leader() {
    let (shared, _told) = shared("none");
    let wanted = wanted(&shared);
    shared.state().partitions[0].prefer(2, Instant::now());
    shared.arrived(&wanted, answer(code::OFFSET_OUT_OF_RANGE), Room::default(), Instant::now());
    assert_eq!((position(&shared), shared.failure().is_none()), (Position::At(10), true));
    assert_eq!(shared.state().partitions[0].nearer, None);
}

#[test]
fn what_only_the_user_can_mend_fails_the_task() {
    for (error, part) in [(code::OFFSET_OUT_OF_RANGE, "offset 10 of t-0"), (code::TOPIC_AUTHORIZATION_FAILED, "READ")] {
        let (shared, _told) = shared("none");
        shared.arrived(&wanted(&shared), answer(error), Room::default(), Instant::now());
        let failure = shared.failure().expect("a failure").to_string();
        assert!(failure.contains(part), "{failure}");
    }
    let (shared, _told) = shared("none");
    let first = Wanted { offset: -1, ..wanted(&shared) };
    shared.reset(&first, Ok(0..30), Instant::now());
    assert!(shared.failure().expect("a failure").to_string().contains("no committed offset"));
}

#[test]
fn a_log_that_was_cut_back_is_read_from_there() {
    let (shared, _told) = shared("earliest");
    let cut = Answer { diverging: Some(7), ..answer(0) };
    shared.arrived(&wanted(&shared), cut, Room::default(), Instant::now());
    assert_eq!(position(&shared), Position::At(7));
}

#[test]
fn a_leader_that_has_changed_is_looked_for() {
    let (shared, _told) = shared("earliest");
    shared.arrived(&wanted(&shared), answer(code::NOT_LEADER_OR_FOLLOWER), Room::default(), Instant::now());
    let state = shared.state();
    assert!(state.look_up.is_some() && state.partitions[0].not_before.is_some());
}

#[test]
fn a_broker_that_does_not_answer_is_told_of_after_a_while_and_until_it_leads_nothing_any_more() {
    let (shared, mut told) = shared("earliest");
    let now = Instant::now();
    for failures in 1..=TELL_AFTER {
        let ask = Ask::Ends(1, vec![(wanted_at(10), 0)]);
        let fault = Fault::Late("Fetch", Duration::from_secs(1));
        let done = Exchanged { ask, connection: None, outcome: Err(fault) };
        assert!(shared.settle(done).is_none());
        let texts = texts(&mut told);
        assert_eq!(texts.len(), usize::from(failures == TELL_AFTER));
        assert!(texts.iter().flatten().all(|text| text.contains("host-1:9092") && text.contains("no answer to Fetch")));
    }
    shared.found(cluster(2), now);
    assert_eq!(texts(&mut told), [None]);
}

fn wanted_at(offset: i64) -> Wanted {
    Wanted { origin: origin(), assignment: 1, offset, leader_epoch: 0, fetched_epoch: -1, max_bytes: 1 }
}
