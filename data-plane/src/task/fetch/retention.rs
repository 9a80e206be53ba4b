//! Records that are gone before they were read. Kafka refuses a position below the start of its log, and librdkafka goes on where
//! `auto.offset.reset` says, with nothing but a line in its log to show for it.

use std::ops::Range;

use millrace_sdk::TopicPartition;

/// What librdkafka's log says of a position that it has given up: topic, partition, and the offset that was to be read next.
/// `a-topic [3]: offset reset (at offset 17 (leader epoch 0), broker 1) to offset BEGINNING (leader epoch -1): fetch failed …`
pub(in crate::task) fn given_up(facility: &str, message: &str) -> Option<(String, i32, i64)> {
    if facility != "OFFSET" {
        return None;
    }
    // Before the topic may stand the thread's name.
    let (place, rest) = message.rsplit_once("]: offset reset (at offset ")?;
    let (topic, partition) = place.rsplit_once(" [")?;
    let topic = topic.rsplit(' ').next()?;
    let offset = rest.split([' ', ',', ')']).next()?;
    Some((topic.to_owned(), partition.parse().ok()?, offset.parse().ok()?))
}

/// What was lost at a position that was given up, where the log has these offsets now. A position behind its end was not lost to
/// retention: the topic was made anew.
pub(super) fn lost(next: i64, log: &Range<i64>, from_the_end: bool) -> Option<Range<i64>> {
    let to = if from_the_end { log.end } else { log.start };
    (next < log.start).then_some(next..to)
}

/// For the user.
pub(in crate::task) fn remark(partition: &TopicPartition, lost: &Range<i64>, all: u64) -> String {
    let (from, to) = (lost.start, lost.end - 1);
    format!(
        "records were deleted before they were read: Kafka no longer had offset {from} of {partition}, reading went on after \
         {to} ({} offsets; {all} since this task's start); give the topic a longer retention.ms or retention.bytes, or the \
         connector more tasks",
        lost.end - lost.start
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_that_was_given_up_is_read_from_the_log() {
        let line = "[thrd:main]: my.topic [12]: offset reset (at offset 17 (leader epoch 0), broker 1) to offset BEGINNING \
                    (leader epoch -1): fetch failed due to requested offset not available on the broker: Broker: Offset out \
                    of range";
        let expected = Some(("my.topic".to_owned(), 12, 17));
        assert_eq!(given_up("OFFSET", line), expected);
        assert_eq!(given_up("OFFSET", line.trim_start_matches("[thrd:main]: ")), expected);
        assert_eq!(given_up("FETCH", line), None);
        for other in [
            "",
            "my.topic [12]: offset reset (at offset INVALID (leader epoch -1), broker 1) to offset END",
            "my.topic [x]: offset reset (at offset 1)",
        ] {
            assert_eq!(given_up("OFFSET", other), None, "{other}");
        }
    }

    #[test]
    fn only_what_lies_before_the_logs_start_is_lost() {
        assert_eq!(lost(10, &(100..200), false), Some(10..100));
        assert_eq!(lost(10, &(100..200), true), Some(10..200));
        assert_eq!(lost(100, &(100..200), false), None);
        assert_eq!(lost(300, &(100..200), false), None, "a topic that was made anew");
        assert_eq!(lost(10, &(100..100), false), Some(10..100), "nothing is left");
    }

    #[test]
    fn the_remark_says_what_and_where() {
        let partition = TopicPartition { topic: "t".into(), partition: 3 };
        let text = remark(&partition, &(10..100), 95);
        for part in ["offset 10 of t-3", "after 99", "(90 offsets; 95 since", "retention.ms", "more tasks"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
