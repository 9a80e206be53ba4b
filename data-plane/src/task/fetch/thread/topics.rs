//! Topics that do not exist yet, and topics that a pattern matches.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::super::{FetchEvent, Subscription};
use super::Fetching;

/// How often topics are looked up that do not exist yet, or that a pattern may match.
const LOOK_UP_INTERVAL: Duration = Duration::from_secs(5);
/// How long a look-up may hold up the thread.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(2);

impl Fetching<'_> {
    /// Looks for topics that did not exist, or that the pattern matches by now.
    pub(super) fn look_up_topics(&mut self) {
        let now = Instant::now();
        if self.next_look_up.is_none_or(|at| now < at) {
            return;
        }
        self.next_look_up = Some(now + LOOK_UP_INTERVAL);
        // All topics at once: asking for one by name could create it.
        let metadata = match self.consumer.fetch_metadata(None, LOOK_UP_LIMIT) {
            Ok(metadata) => metadata,
            Err(error) => {
                tracing::debug!(%error, "cannot look up topics");
                return;
            }
        };
        let existing: BTreeSet<&str> =
            metadata.topics().iter().filter(|topic| topic.error().is_none()).map(|topic| topic.name()).collect();
        match &self.subscription {
            Subscription::Topics(topics) => {
                let missing: Vec<&str> =
                    topics.iter().map(String::as_str).filter(|name| !existing.contains(name)).collect();
                if missing.is_empty() {
                    self.next_look_up = None;
                }
                let text = missing_text(&missing);
                self.tell(FetchEvent::Remark { subject: "topics", text });
            }
            Subscription::Pattern(pattern) => {
                let matching: BTreeSet<String> = existing
                    .into_iter()
                    .filter(|name| !name.starts_with("__") && pattern.is_match(name).unwrap_or(false))
                    .map(str::to_owned)
                    .collect();
                let text = matching.is_empty().then(|| {
                    format!(
                        "no topic matches topics.regex={} (yet)",
                        pattern.as_str().trim_start_matches(r"\A(?:").trim_end_matches(r")\z")
                    )
                });
                self.tell(FetchEvent::Remark { subject: "topics", text });
                if matching != self.subscribed && !matching.is_empty() {
                    let names: Vec<&str> = matching.iter().map(String::as_str).collect();
                    match self.consumer.subscribe(&names) {
                        Ok(()) => self.subscribed = matching,
                        Err(error) => tracing::warn!(%error, "cannot subscribe to the topics of a pattern"),
                    }
                }
            }
        }
    }
}

fn missing_text(missing: &[&str]) -> Option<String> {
    match missing {
        [] => None,
        [one] => Some(format!("topic {one} does not exist (yet)")),
        many => Some(format!("topics {} do not exist (yet)", many.join(", "))),
    }
}
