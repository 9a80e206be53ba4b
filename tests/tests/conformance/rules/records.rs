//! What becomes of records while the store is well.

use std::collections::HashSet;
use std::sync::Arc;

use millrace_sdk::{ErrorKind, OrderKeys};

use super::{Sink, Verdict, untried};
use crate::drive::{Log, batch, deliver};
use crate::stand::{Place, State, value};

const MEGABYTE: usize = 1 << 20;

/// What the store holds, or the end of the rule with the reason why that cannot be seen.
macro_rules! state {
    ($sink:expr, $place:expr) => {
        match $sink.stand.state($place).await {
            Ok(state) => state,
            Err(reason) => return untried(reason),
        }
    };
}
pub(super) use state;

pub(crate) fn assert_state(found: &State, expected: &State) {
    if found == expected {
        return;
    }
    let missing: Vec<_> = expected.iter().filter(|(key, _)| !found.contains_key(*key)).take(5).collect();
    let extra: Vec<_> = found.iter().filter(|(key, _)| !expected.contains_key(*key)).take(5).collect();
    let other: Vec<_> = expected
        .iter()
        .filter_map(|(key, want)| found.get(key).filter(|has| *has != want).map(|has| (key, has, want)))
        .take(5)
        .collect();
    panic!(
        "the store holds {} entries, expected {}; missing {missing:?}; not expected {extra:?}; (found, expected) {other:?}",
        found.len(),
        expected.len()
    );
}

pub(crate) async fn opens_and_closes(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let (one, other) = tokio::join!(sink.opened(&place), sink.opened(&place));
    let empty = batch(Vec::new());
    match one.order_keys(&empty) {
        OrderKeys::PerRecord(keys) => assert!(keys.is_empty(), "order keys of no record: {keys:?}"),
        OrderKeys::Any | OrderKeys::Total => {}
    }
    let report = one.write(&empty).await.unwrap_or_else(|error| panic!("an empty batch: {}", error.chain()));
    assert!(report.failures.is_empty() && report.superseded == 0, "{report:?}");
    one.close().await.unwrap();
    other.close().await.unwrap();
    assert!(state!(sink, &place).is_empty(), "something is there that nobody wrote");
    Verdict::Kept
}

pub(crate) async fn updates_and_deletes(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    let records = vec![
        log.update("a", "one"),
        log.update("b", ""),
        log.update("c", "ünï✓ \u{1F600} \"\\ \n\t"),
        log.update("a", "two, longer"),
        log.deletion("b"),
        log.deletion("never there"),
    ];
    assert_settled(&deliver(task.as_ref(), &batch(records)).await);
    assert_state(&state!(sink, &place), &log.expected);
    let again = vec![log.update("b", "back"), log.deletion("c"), log.update("c", "too")];
    assert_settled(&deliver(task.as_ref(), &batch(again)).await);
    assert_state(&state!(sink, &place), &log.expected);
    task.close().await.unwrap();
    Verdict::Kept
}

pub(crate) fn assert_settled(refused: &[(usize, millrace_sdk::Error)]) {
    if let Some((index, error)) = refused.first() {
        panic!("{} records refused, the first at {index}: {}", refused.len(), error.chain());
    }
}

/// Updates and deletions of few keys, many to a millisecond; then a successor that begins a little earlier.
pub(crate) async fn keeps_order(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    let mut batches = Vec::new();
    for size in [300, 1, 7, 250, 33, 400] {
        let batch = batch(log.mixed(9, size));
        assert_settled(&deliver(task.as_ref(), &batch).await);
        batches.push(batch);
    }
    assert_state(&state!(sink, &place), &log.expected);
    drop(task);
    let successor = sink.opened(&place).await;
    for batch in &batches[3..] {
        assert_settled(&deliver(successor.as_ref(), batch).await);
    }
    assert_state(&state!(sink, &place), &log.expected);
    successor.close().await.unwrap();
    Verdict::Kept
}

pub(crate) async fn resends(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    let batch = batch(log.mixed(40, 120));
    for _ in 0..3 {
        assert_settled(&deliver(task.as_ref(), &batch).await);
        assert_state(&state!(sink, &place), &log.expected);
    }
    task.close().await.unwrap();
    Verdict::Kept
}

/// Keys of one entry have one order key, and different entries nearly always different ones.
pub(crate) async fn order_keys(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    let many = batch(log.updates("key", 500, ""));
    let OrderKeys::PerRecord(keys) = task.order_keys(&many) else {
        return untried("it asks for one order over all records, or for none");
    };
    let distinct: HashSet<u64> = keys.iter().copied().collect();
    assert!(distinct.len() > 495, "500 entries share {} order keys", distinct.len());
    let (again, removed) =
        (batch(log.updates("key", 500, "other")), (0..500).map(|n| log.deletion(&format!("key-{n}"))).collect());
    assert_eq!(task.order_keys(&again), OrderKeys::PerRecord(keys.clone()), "updates of the same entries");
    if sink.stand.deletes() {
        assert_eq!(task.order_keys(&batch(removed)), OrderKeys::PerRecord(keys), "deletions of the same entries");
    }
    for (one, other) in sink.stand.same() {
        let shown = format!("{one:?} and {other:?}");
        let two = batch(vec![log.record(one, value("same", 1, "")), log.record(other, value("same", 2, ""))]);
        let OrderKeys::PerRecord(keys) = task.order_keys(&two) else { panic!("no order keys for {shown}") };
        assert_eq!(keys[0], keys[1], "{shown} are one entry of the store");
        let place = sink.place().await;
        let task = sink.opened(&place).await;
        assert_settled(&deliver(task.as_ref(), &two).await);
        let state = state!(sink, &place);
        assert_eq!(state.values().map(|(number, _)| *number).collect::<Vec<_>>(), [2], "{shown}: {state:?}");
        task.close().await.unwrap();
    }
    task.close().await.unwrap();
    Verdict::Kept
}

pub(crate) async fn poison(sink: Arc<Sink>) -> Verdict {
    let poisons = match sink.stand.poisons() {
        Ok(poisons) => poisons,
        Err(reason) => return untried(reason),
    };
    for poison in poisons {
        let place = sink.place().await;
        let task = sink.opened(&place).await;
        let mut log = Log::new(sink.stand);
        let mut records = Vec::new();
        let mut poisoned = Vec::new();
        for key in ["one", "two", "three"] {
            // The poison is the newest of its key: what went before it stands.
            records.push(log.update(key, "before"));
            records.extend(log.updates(&format!("around-{key}"), 12, "good"));
            poisoned.push(records.len());
            let (key, value) = (poison.make)(sink.stand.key(key));
            records.push(log.record(key, value));
        }
        // This one is not: where only the newest counts, it need not be tried.
        let outdated = records.len();
        let (key, value) = (poison.make)(sink.stand.key("four"));
        records.push(log.record(key, value));
        records.push(log.update("four", "after"));
        let refused = deliver(task.as_ref(), &batch(records)).await;
        let indices: Vec<usize> = refused.iter().map(|(index, _)| *index).filter(|index| *index != outdated).collect();
        assert_eq!(indices, poisoned, "{}: these were refused", poison.what);
        for (_, error) in &refused {
            assert_eq!(error.kind(), ErrorKind::BadRecord);
            let text = error.chain();
            assert!(text.contains(poison.says), "{}: the error does not name \"{}\": {text}", poison.what, poison.says);
        }
        assert_state(&state!(sink, &place), &log.expected);
        task.close().await.unwrap();
    }
    Verdict::Kept
}

pub(crate) async fn large(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    let body = "é".repeat(MEGABYTE / 2);
    let mut records = vec![log.update("small", "x")];
    records.extend(log.updates("large", 12, &body));
    records.push(log.update("last", "x"));
    assert_settled(&deliver(task.as_ref(), &batch(records)).await);
    assert_state(&state!(sink, &place), &log.expected);
    task.close().await.unwrap();
    Verdict::Kept
}

pub(crate) async fn too_large(sink: Arc<Sink>) -> Verdict {
    let size = match sink.stand.too_large() {
        Ok(size) => size,
        Err(reason) => return untried(reason),
    };
    let place: Place = sink.place().await;
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    let mut records = log.updates("before", 3, "x");
    let body = "x".repeat(size);
    records.push(log.record(sink.stand.key("huge"), value("huge", 1, &body)));
    records.extend(log.updates("after", 3, "x"));
    let refused = deliver(task.as_ref(), &batch(records)).await;
    assert_eq!(refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [3], "these were refused: {refused:?}");
    let text = refused[0].1.chain();
    assert!(text.len() < 2000, "an error of {} bytes: it repeats the record", text.len());
    assert_state(&state!(sink, &place), &log.expected);
    task.close().await.unwrap();
    Verdict::Kept
}
