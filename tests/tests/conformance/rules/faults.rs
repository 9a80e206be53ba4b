//! What becomes of records when the way to the store, or the store, does not work for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_sdk::SinkTask;
use millrace_tests::proxy::Fault;

use super::records::{assert_settled, assert_state, state};
use super::{NO_NETWORK, Sink, Verdict, context, untried};
use crate::drive::{Log, attempt, batch, deliver, is_transient};

/// In which an answer must come, whatever it is, from a store that is away.
const ANSWER: Duration = Duration::from_secs(20);
/// In which a check must end: the worker has 10 s for it, and a little is its own.
const CHECK: Duration = Duration::from_secs(12);

fn assert_transient(errors: &[millrace_sdk::Error], when: &str) {
    for error in errors {
        assert!(is_transient(error), "{when}: a {} error: {}", error.kind().name(), error.chain());
        assert!(error.chain().len() > 20, "{when}: an error that says nothing: {:?}", error.chain());
    }
}

/// The connection ends within a request, early and late; what was not written comes again.
pub(crate) async fn cut(sink: Arc<Sink>) -> Verdict {
    let Some((proxy, place)) = sink.proxied().await else { return untried(NO_NETWORK) };
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    assert_settled(&deliver(task.as_ref(), &batch(log.updates("warm", 3, "x"))).await);
    let body = "0123456789".repeat(20);
    for bytes in [10_000, 200_000] {
        let mut records = log.mixed(9, 100);
        records.extend(log.updates("k", 1200, &body));
        let batch = batch(records);
        proxy.set(Fault::CutAfter(bytes));
        let begun = Instant::now();
        let errors = attempt(task.as_ref(), &batch).await;
        assert_eq!(proxy.fault(), Fault::Cut, "the write took less than {bytes} bytes");
        assert!(!errors.is_empty(), "a write that was cut says that all is durable");
        assert_transient(&errors, "cut in the middle of a write");
        assert!(begun.elapsed() < ANSWER, "a lane is held for {:?}", begun.elapsed());
        proxy.set(Fault::None);
        assert_settled(&deliver(task.as_ref(), &batch).await);
        assert_state(&state!(sink, &place), &log.expected);
    }
    task.close().await.unwrap();
    Verdict::Kept
}

/// Nobody listens there: that passes, it is not the configuration's fault. The same task goes on when the store is back.
pub(crate) async fn away(sink: Arc<Sink>) -> Verdict {
    let Some((proxy, place)) = sink.proxied().await else { return untried(NO_NETWORK) };
    let mut log = Log::new(sink.stand);
    let batch = batch(log.updates("k", 20, "x"));
    proxy.set(Fault::Cut);
    let begun = Instant::now();
    let context = context(&place, &place.config);
    let (checked, opened) =
        tokio::join!(sink.plugin.check(&place.config, &context), sink.plugin.open(&place.config, context.clone()));
    assert!(begun.elapsed() < ANSWER, "opening and checking took {:?}", begun.elapsed());
    let error = checked.expect_err("a check of a store that is away has nothing to say against it");
    assert_transient(&[error], "checked while the store is away");
    let task: Box<dyn SinkTask> = match opened {
        Ok(task) => {
            let errors = attempt(task.as_ref(), &batch).await;
            assert!(!errors.is_empty(), "a store that is away took {} records", batch.records.len());
            assert_transient(&errors, "written while the store is away");
            proxy.set(Fault::None);
            task
        }
        Err(error) => {
            assert_transient(&[error], "opened while the store is away");
            proxy.set(Fault::None);
            sink.opened(&place).await
        }
    };
    assert_settled(&deliver(task.as_ref(), &batch).await);
    assert_state(&state!(sink, &place), &log.expected);
    task.close().await.unwrap();
    Verdict::Kept
}

/// A store that says nothing for a moment, and one that is slow: the write ends well by itself.
pub(crate) async fn stalled(sink: Arc<Sink>) -> Verdict {
    let Some((proxy, place)) = sink.proxied().await else { return untried(NO_NETWORK) };
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    assert_settled(&deliver(task.as_ref(), &batch(log.updates("warm", 3, "x"))).await);
    let records = batch(log.mixed(9, 300));
    proxy.set(Fault::Stall);
    let heal = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        proxy.set(Fault::Slow(Duration::from_millis(10)));
    };
    let (refused, ()) = tokio::join!(deliver(task.as_ref(), &records), heal);
    assert_settled(&refused);
    assert_settled(&deliver(task.as_ref(), &batch(log.mixed(9, 300))).await);
    proxy.set(Fault::None);
    assert_state(&state!(sink, &place), &log.expected);
    task.close().await.unwrap();
    Verdict::Kept
}

pub(crate) async fn stalled_check(sink: Arc<Sink>) -> Verdict {
    let Some((proxy, place)) = sink.proxied().await else { return untried(NO_NETWORK) };
    proxy.set(Fault::Stall);
    let context = context(&place, &place.config);
    let checked = tokio::time::timeout(CHECK, sink.plugin.check(&place.config, &context)).await;
    let checked = checked.unwrap_or_else(|_| panic!("a check that has not ended after {CHECK:?}"));
    assert_transient(&[checked.expect_err("nobody answered the check, and it says that all is well")], "check");
    Verdict::Kept
}

/// A store that refuses for the time being slows a task down, and nothing else.
pub(crate) async fn throttled(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    assert_settled(&deliver(task.as_ref(), &batch(log.updates("warm", 3, "x"))).await);
    if let Err(reason) = sink.stand.throttle(&place, true).await {
        return untried(reason);
    }
    let records = batch(log.mixed(9, 200));
    let errors = attempt(task.as_ref(), &records).await;
    assert!(!errors.is_empty(), "the store refuses, and the write says that all is durable");
    assert_transient(&errors, "refused for a while");
    sink.stand.throttle(&place, false).await.unwrap();
    assert_settled(&deliver(task.as_ref(), &records).await);
    assert_state(&state!(sink, &place), &log.expected);
    task.close().await.unwrap();
    Verdict::Kept
}

/// Writes given up at any moment, as when a partition is revoked; then the same records come again.
pub(crate) async fn cancelled(sink: Arc<Sink>) -> Verdict {
    let (proxy, place) = match sink.proxied().await {
        Some((proxy, place)) => (Some(proxy), place),
        None => (None, sink.place().await),
    };
    let task = sink.opened(&place).await;
    if let Some(proxy) = &proxy {
        proxy.set(Fault::Slow(Duration::from_millis(2)));
    }
    let mut log = Log::new(sink.stand);
    for round in 0..16_u64 {
        let batch = batch(log.mixed(20, 150));
        task.order_keys(&batch);
        let given_up = Duration::from_micros(round * round * 100);
        let _ = tokio::time::timeout(given_up, task.write(&batch)).await;
        assert_settled(&deliver(task.as_ref(), &batch).await);
    }
    if let Some(proxy) = &proxy {
        proxy.set(Fault::None);
    }
    assert_state(&state!(sink, &place), &log.expected);
    task.close().await.unwrap();
    Verdict::Kept
}
