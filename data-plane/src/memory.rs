//! Gives memory back. Large records leave large holes in malloc's heaps, which it keeps for itself: without this a worker
//! would stay as large as it ever was, and larger than what its tasks hold.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::native;

/// How often the process looks at itself.
const TICK: Duration = Duration::from_millis(100);
/// So much more than is in use is worth giving back. Small records reuse what they free, and stay below.
const SLACK: usize = 16 * 1024 * 1024;

/// Watches the process's memory for as long as it is polled; returns where the system does not tell enough.
pub(crate) async fn keep_small() {
    native::few_heaps();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What is not malloc's, or cannot be given back
    let mut rest = 0;
    while let Some(resident) = resident() {
        tick.tick().await;
        if resident < SLACK {
            continue;
        }
        let Some(allocated) = native::allocated() else { return };
        if !is_worth_it(&mut rest, resident.saturating_sub(allocated)) {
            continue;
        }
        // It takes milliseconds, and is waited for so that there is never a second one.
        let _ = tokio::task::spawn_blocking(native::give_back_memory).await;
        let (Some(after), Some(allocated)) = (self::resident(), native::allocated()) else { return };
        rest = after.saturating_sub(allocated);
        tracing::debug!(before = resident, after, allocated, "memory given back");
    }
}

/// Whether so much is unused that something should be given back; `rest` is the least that is unused always.
fn is_worth_it(rest: &mut usize, unused: usize) -> bool {
    *rest = unused.min(*rest);
    unused >= *rest + SLACK
}

/// The process's own resident memory (without mapped files) in bytes; None where the system does not tell.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unused_counts_from_the_least_since() {
        let mut rest = 0;
        assert!(!is_worth_it(&mut rest, SLACK - 1));
        assert!(is_worth_it(&mut rest, SLACK));
        rest = SLACK;
        assert!(!is_worth_it(&mut rest, 2 * SLACK - 1));
        assert!(!is_worth_it(&mut rest, 1));
        assert!(is_worth_it(&mut rest, SLACK + 1));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_knows_its_size() {
        assert!(resident().is_some_and(|size| size > 1024 * 1024));
    }
}
