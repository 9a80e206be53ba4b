//! Positions of parts of a copy that is over: they are forgotten once the position behind the copy is stored, so that a crash
//! between finds either the whole copy or its end.

use std::collections::BTreeMap;

use millrace_sdk::{Position, Positions};
use serde_json::{Map, Value as Json};

type Partition = Map<String, Json>;

/// The stored parts of one share, and what is to be forgotten of them.
#[derive(Debug)]
pub(super) struct Parts {
    /// The share's own source partition
    share: Partition,
    /// Parts that may be stored, by name
    stored: BTreeMap<String, Partition>,
    /// To be handed on as forgotten
    due: Vec<Partition>,
}

/// The part that a source partition is of, when it is one of the share's.
fn part(partition: &Partition, share: &Partition) -> Option<String> {
    let name = partition.get("part")?.as_str()?;
    let same = ["ns", "share"].iter().all(|key| partition.get(*key) == share.get(*key));
    same.then(|| name.to_owned())
}

impl Parts {
    /// At the stored positions. Parts that no copy under way needs are due at once.
    pub(super) fn new(share: Partition, positions: &Positions) -> Self {
        let mut parts = Self { share, stored: BTreeMap::new(), due: Vec::new() };
        parts.passed(&positions.0);
        let copies = positions.get(&parts.share).is_some_and(|offset| offset.contains_key("copy"));
        if !copies {
            parts.over();
        }
        parts
    }

    /// Positions on their way to be stored.
    pub(super) fn passed(&mut self, positions: &[Position]) {
        for position in positions {
            if let Some(name) = part(&position.partition, &self.share) {
                self.stored.insert(name, position.partition.clone());
            }
        }
    }

    /// Positions that are stored now.
    pub(super) fn committed(&mut self, positions: &[Position]) {
        let ends = |position: &Position| position.partition == self.share && !position.offset.contains_key("copy");
        if positions.iter().any(ends) {
            self.over();
        }
    }

    fn over(&mut self) {
        self.due.extend(std::mem::take(&mut self.stored).into_values());
    }

    /// What is to be forgotten now; each part once.
    pub(super) fn due(&mut self) -> Vec<Position> {
        std::mem::take(&mut self.due).into_iter().map(Position::forgotten).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn position(partition: Json, offset: Json) -> Position {
        let object = |json: Json| json.as_object().cloned().unwrap_or_default();
        Position { partition: object(partition), offset: object(offset) }
    }

    fn share() -> Partition {
        position(json!({ "ns": "n" }), json!({})).partition
    }

    fn part(name: &str) -> Position {
        position(json!({ "ns": "n", "part": name }), json!({ "epoch": "1", "done": true }))
    }

    fn names(positions: &[Position]) -> Vec<&str> {
        assert!(positions.iter().all(|position| position.offset.is_empty()));
        positions.iter().filter_map(|position| position.partition["part"].as_str()).collect()
    }

    #[test]
    fn parts_are_forgotten_once_the_end_of_the_copy_is_stored() {
        let mut parts = Parts::new(share(), &Positions::default());
        let copying = position(json!({ "ns": "n" }), json!({ "_id": "t", "copy": "true", "epoch": "1", "parts": 2 }));
        let over = position(json!({ "ns": "n" }), json!({ "_id": "t" }));
        parts.passed(&[part("a#0"), part("a#1"), copying.clone()]);
        parts.committed(&[part("a#0"), copying]);
        assert!(parts.due().is_empty(), "the copy goes on");
        parts.passed(&[part("a#1"), over.clone()]);
        assert!(parts.due().is_empty(), "its end is not stored yet");
        parts.committed(&[part("a#1"), over.clone()]);
        assert_eq!(names(&parts.due()), ["a#0", "a#1"]);
        parts.committed(&[over]);
        assert!(parts.due().is_empty(), "once");
    }

    #[test]
    fn what_an_earlier_life_left_behind_is_forgotten_at_once() {
        let copying = position(json!({ "ns": "n" }), json!({ "_id": "t", "copy": "true" }));
        let over = position(json!({ "ns": "n" }), json!({ "_id": "t" }));
        let other = position(json!({ "ns": "n", "share": "{}", "part": "b#0" }), json!({ "epoch": "1" }));
        for (stored, expected) in [
            (vec![part("a#0"), over.clone(), other.clone()], vec!["a#0"]),
            (vec![part("a#0"), copying, other.clone()], vec![]),
            (vec![over], vec![]),
            (vec![other], vec![]),
        ] {
            assert_eq!(names(&Parts::new(share(), &Positions(stored)).due()), expected);
        }
    }
}
