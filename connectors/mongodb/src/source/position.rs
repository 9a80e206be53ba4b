//! Positions in the offsets topic, in the peer's form: the partition is `{"ns": "mongodb://hosts/database.collection"}`, the
//! offset `{"_id": "<resume token>"}`, with `"copy": "true"` while existing data is copied. With more than one task a
//! partition says which share it is.

use millrace_sdk::{Error, Position, Positions, Result};
use serde_json::{Map, Value as Json};

use super::share::Share;
use super::token::Token;

/// The source partition of a share.
pub(super) fn partition(name: &str, share: &Share) -> Map<String, Json> {
    let mut partition = Map::from_iter([("ns".to_owned(), Json::from(name))]);
    if *share != Share::All {
        partition.insert("share".to_owned(), Json::from(share.text()));
    }
    partition
}

/// What is stored of a share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) share: Share,
    pub(super) token: Token,
    /// Set while existing data is copied
    pub(super) copy: Option<Copy>,
}

/// A copy that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    /// Tells its parts from those of an older copy; empty for one of the peer's, which cannot be continued
    pub(super) epoch: String,
    /// How many parts it has
    pub(super) parts: u64,
}

/// The positions of a connector that are those of a share.
///
/// # Errors
/// `BadConfig` for a position that cannot be read.
pub(super) fn stored(positions: &Positions, name: &str) -> Result<Vec<Stored>> {
    let mut found = Vec::new();
    for Position { partition, offset } in &positions.0 {
        let text = |map: &Map<String, Json>, key: &str| map.get(key).and_then(Json::as_str).map(str::to_owned);
        let is_part = partition.contains_key("part");
        if text(partition, "ns").as_deref() != Some(name) || is_part {
            continue;
        }
        let share = Share::parse(&text(partition, "share").unwrap_or_default()).map_err(|message| {
            Error::bad_config(format!(
                "a stored position is of an unknown share ({message}); reset the connector's offsets"
            ))
        })?;
        let Some(token) = text(offset, "_id") else { continue };
        let copy = offset.contains_key("copy").then(|| Copy {
            epoch: text(offset, "epoch").unwrap_or_default(),
            parts: offset.get("parts").and_then(Json::as_u64).unwrap_or(0),
        });
        found.push(Stored { share, token: Token::parse(&token)?, copy });
    }
    Ok(found)
}

/// The position behind an event.
pub(super) fn after(partition: &Map<String, Json>, token: &Token) -> Result<Position> {
    let offset = Map::from_iter([("_id".to_owned(), Json::from(token.json()?))]);
    Ok(Position { partition: partition.clone(), offset })
}

/// The position of a copy that is under way: where the stream begins when it is done.
pub(super) fn copying(partition: &Map<String, Json>, token: &Token, copy: &Copy) -> Result<Position> {
    let mut position = after(partition, token)?;
    position.offset.insert("copy".to_owned(), Json::from("true"));
    position.offset.insert("epoch".to_owned(), Json::from(copy.epoch.as_str()));
    position.offset.insert("parts".to_owned(), Json::from(copy.parts));
    Ok(position)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by panicking

    use serde_json::json;

    use super::*;

    const TOKEN: &str = r#"{"_data": "8265"}"#;

    fn position(partition: Json, offset: Json) -> Position {
        let object = |json: Json| json.as_object().cloned().unwrap();
        Position { partition: object(partition), offset: object(offset) }
    }

    #[test]
    fn positions_are_read_as_they_were_written() {
        let token = Token::parse(TOKEN).unwrap();
        let copy = Copy { epoch: "5.1".to_owned(), parts: 3 };
        for share in [Share::All, Share::parse(r#"{"only": ["d.a"]}"#).unwrap()] {
            let partition = partition("n", &share);
            let stream = after(&partition, &token).unwrap();
            let copying = copying(&partition, &token, &copy).unwrap();
            for (position, copy) in [(stream, None), (copying, Some(copy.clone()))] {
                let expected = Stored { share: share.clone(), token: token.clone(), copy };
                assert_eq!(stored(&Positions(vec![position]), "n").unwrap(), [expected]);
            }
        }
    }

    #[test]
    fn the_peers_positions_are_read_and_what_is_none_is_passed_over() {
        let peers = |offset: Json| position(json!({ "ns": "n" }), offset);
        for (position, expected) in [
            (peers(json!({ "_id": TOKEN })), Some(None)),
            (peers(json!({ "_id": TOKEN, "HEARTBEAT": "true" })), Some(None)),
            // A copy of the peer's cannot be continued: it has no epoch.
            (peers(json!({ "_id": TOKEN, "copy": "true" })), Some(Some(Copy { epoch: String::new(), parts: 0 }))),
            (peers(json!({})), None),
            (position(json!({ "ns": "other" }), json!({ "_id": TOKEN })), None),
            (position(json!({ "ns": "n", "part": "a.b#0" }), json!({ "_id": TOKEN })), None),
        ] {
            let found = stored(&Positions(vec![position.clone()]), "n").unwrap();
            assert_eq!(found.into_iter().next().map(|stored| stored.copy), expected, "{position:?}");
        }
        for broken in [
            position(json!({ "ns": "n" }), json!({ "_id": "no token" })),
            position(json!({ "ns": "n", "share": "nonsense" }), json!({ "_id": TOKEN })),
        ] {
            let error = stored(&Positions(vec![broken]), "n").unwrap_err();
            assert_eq!(error.kind(), millrace_sdk::ErrorKind::BadConfig);
            assert!(error.to_string().contains("reset the connector's offsets"), "{error}");
        }
    }
}
