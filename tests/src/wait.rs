//! Waiting for conditions instead of sleeping for luck.

use std::future::Future;
use std::time::{Duration, Instant};

/// Asks every 100 ms until the answer is `Ok`, at most for `limit`.
///
/// # Panics
/// With the last answer when the time is over.
pub async fn eventually<T, F, Fut>(what: &str, limit: Duration, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + limit;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if Instant::now() >= deadline => panic!("{what}: not within {limit:?}; last seen: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Asks every 100 ms for the whole of `duration`; the answer must never be `Err`. For "nothing happens" claims.
///
/// # Panics
/// With the first `Err`.
pub async fn throughout<F, Fut>(what: &str, duration: Duration, mut ask: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let deadline = Instant::now() + duration;
    while Instant::now() < deadline {
        if let Err(seen) = ask().await {
            panic!("{what}: {seen}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
