use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What Cassandra keeps of one row: the write with the highest time; a delete wins over an insert of the same time, and
/// between two inserts the larger value.
#[derive(Debug, Default)]
struct Cells(BTreeMap<u8, (i64, bool, i64)>);

impl Cells {
    fn write(&mut self, key: u8, micros: i64, delete: bool, offset: i64) {
        let cell = self.0.entry(key).or_insert((i64::MIN, false, 0));
        // An older offset counts as the larger value, which is the worst case.
        *cell = (*cell).max((micros, delete, -offset));
    }

    fn newest(&self, key: u8) -> Option<i64> {
        self.0.get(&key).map(|cell| -cell.2)
    }
}

#[derive(Debug, Clone, Copy)]
struct Event {
    timestamp_ms: i64,
    key: u8,
    delete: bool,
}

const BASE_MS: i64 = 1_795_256_130_000;
const WINDOW: i64 = 4096;

fn events(step: impl Strategy<Value = i64> + 'static) -> impl Strategy<Value = Vec<Event>> {
    let event = (step, 0..4_u8, any::<bool>());
    proptest::collection::vec(event, 1..400).prop_map(|events| {
        let mut timestamp_ms = BASE_MS;
        let next = |(step, key, delete): (i64, u8, bool)| {
            timestamp_ms += step;
            Event { timestamp_ms, key, delete }
        };
        events.into_iter().map(next).collect()
    })
}

/// Runs the log from `start` with restarts. Each is a share of the records still to come that are written before it, and a
/// share of those that is committed. Compares each key with the newest offset; returns the highest lead over the timestamp.
fn run(events: &[Event], start: i64, restarts: &[(usize, usize)]) -> i64 {
    let (mut cells, mut lead, mut begin) = (Cells::default(), 0, 0);
    for (written, committed) in restarts.iter().copied().chain([(1000, 1000)]) {
        let stop = begin + (events.len() - begin) * written / 1000;
        let mut clock = Clock::with_window(WINDOW);
        let mut before = i64::MIN;
        for (index, event) in events.iter().enumerate().take(stop).skip(begin) {
            let offset = start + i64::try_from(index).unwrap();
            let micros = clock.next(offset, event.timestamp_ms);
            assert!(micros > before, "times increase strictly within a run");
            before = micros;
            lead = lead.max(micros - event.timestamp_ms * 1000);
            cells.write(event.key, micros, event.delete, offset);
        }
        begin += (stop - begin) * committed / 1000;
    }
    for key in 0..4 {
        let newest = events.iter().rposition(|event| event.key == key).map(|at| start + i64::try_from(at).unwrap());
        assert_eq!(cells.newest(key), newest, "key {key}");
    }
    lead
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Timestamps that never step back, most of them equal: after any restarts from committed offsets each key holds its
    /// newest record, wherever the log lies relative to the window.
    #[test]
    fn the_newest_offset_wins_whatever_restarts(
        events in events(prop_oneof![8 => Just(0_i64), 2 => 1..4_i64, 1 => 4..50_i64]),
        // The module's words name what is left out: logs that straddle the end of the lifted quarter.
        start in prop_oneof![0..(WINDOW / 4), (WINDOW / 4)..(2 * WINDOW - 400), (2 * WINDOW - 400)..(2 * WINDOW + WINDOW / 4 - 400)]
            .prop_filter("the end of the lifted quarter", |start| {
                let edge = WINDOW + WINDOW / 4;
                *start + 400 < edge || *start >= edge
            }),
        restarts in proptest::collection::vec((0..=1000_usize, 0..=1000_usize), 0..6),
    ) {
        let lead = run(&events, start, &restarts);
        prop_assert!(lead <= WINDOW + WINDOW / 4 + 400, "ahead by {lead}");
    }

    /// Whatever timestamps do: away from the window's ends a record has the same time in every run, so that neither replay,
    /// rewind nor zombie can change who wins.
    #[test]
    fn a_replay_writes_at_the_same_time(
        events in events(-2000..2000_i64),
        first in 0..400_usize,
        second in 0..400_usize,
    ) {
        let start = WINDOW + WINDOW / 4;
        let times = |from: usize| -> Vec<i64> {
            let mut clock = Clock::with_window(WINDOW);
            let all = events.iter().enumerate().skip(from % events.len());
            // Far apart, so that only the plain time counts.
            all.map(|(index, event)| clock.next(start + i64::try_from(index).unwrap(), event.timestamp_ms * 10)).collect()
        };
        let (a, b) = (times(first), times(second));
        let common = a.len().min(b.len());
        prop_assert_eq!(&a[a.len() - common..], &b[b.len() - common..]);
    }

    /// Timestamps that step back a little, across the window's end too: within one run equal timestamps end in offset order.
    #[test]
    fn ties_end_in_offset_order_though_timestamps_step_back(
        steps in proptest::collection::vec(0..5_i64, 1..300),
        start in (16 * WINDOW - 300)..(16 * WINDOW),
    ) {
        let mut clock = Clock::with_window(16 * WINDOW);
        let mut last: HashMap<i64, i64> = HashMap::new();
        for (index, step) in steps.iter().enumerate() {
            let micros = clock.next(start + i64::try_from(index).unwrap(), BASE_MS + step);
            if let Some(before) = last.insert(*step, micros) {
                prop_assert!(micros > before, "{micros} after {before}");
            }
        }
    }
}

#[test]
fn times_follow_timestamps_and_offsets() {
    let mut clock = Clock::default();
    assert_eq!(clock.next(7, BASE_MS), BASE_MS * 1000 + 7);
    assert_eq!(clock.next(8, BASE_MS), BASE_MS * 1000 + 8);
    assert_eq!(clock.next(13, BASE_MS), BASE_MS * 1000 + 13);
    assert_eq!(clock.next(14, BASE_MS + 1), (BASE_MS + 1) * 1000 + 14);
    assert_eq!(clock.next(15, BASE_MS), BASE_MS * 1000 + 15, "the newest timestamp wins");
}

#[test]
fn the_windows_end_is_passed_without_a_fall() {
    let mut clock = Clock::default();
    let last = clock.next(WINDOW_END - 1, BASE_MS);
    assert_eq!(clock.next(WINDOW_END, BASE_MS), last + 1);
    assert_eq!(clock.next(WINDOW_END + 1, BASE_MS + 1), last + 2);
    assert_eq!(clock.next(WINDOW_END + 2, BASE_MS + 2000), (BASE_MS + 2000) * 1000 + 2, "the clock has caught up");
    let started = Clock::default().next(WINDOW_END + 2, BASE_MS + 1);
    assert!(started > last + 2, "a start there lies above what may have been written");
}

const WINDOW_END: i64 = super::WINDOW;

#[test]
fn a_clock_gone_wrong_does_not_move_the_others() {
    let mut clock = Clock::default();
    clock.next(0, BASE_MS);
    let far = BASE_MS + 3_000_000_000;
    assert_eq!(clock.next(1, far), far * 1000 + 1);
    assert_eq!(clock.next(2, BASE_MS + 1), (BASE_MS + 1) * 1000 + 2);
    assert_eq!(clock.next(3, BASE_MS + 1), (BASE_MS + 1) * 1000 + 3);
}

#[test]
fn times_are_kept_until_a_record_is_written() {
    let record = |offset| Record {
        offset,
        timestamp_ms: Some(BASE_MS),
        timestamp_kind: millrace_sdk::TimestampKind::CreateTime,
        renamed_topic: None,
        key: millrace_sdk::Datum::Null,
        value: millrace_sdk::Datum::Null,
        headers: Vec::new(),
    };
    let origin = millrace_sdk::TopicPartition { topic: "t".into(), partition: 3 };
    let batch =
        |offsets: &[i64]| Batch { origin: origin.clone(), records: offsets.iter().copied().map(record).collect() };
    let mut times = WriteTimes::default();
    times.assign(&batch(&[100, 101, 102]), 0);
    let lane = batch(&[101]);
    let micros = times.of(&lane, &lane.records[0], 0);
    assert_eq!(micros, BASE_MS * 1000 + 101);
    times.assign(&batch(&[103]), 0);
    assert_eq!(times.of(&lane, &lane.records[0], 0), micros, "a later batch changes nothing");
    times.done(&batch(&[100, 101, 102]), [100, 101, 102].into_iter());
    let left: usize = times.partitions.values().map(|partition| partition.pending.len()).sum();
    assert_eq!(left, 1);
}
