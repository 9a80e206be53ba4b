//! Resume tokens: the `_id` of an event. They are kept in positions as the peer keeps them, as relaxed extended JSON.

use std::cmp::Ordering;

use millrace_sdk::{Error, Result};
use mongodb::bson::{Document, Timestamp};

use super::json;
use super::raw::{self, Raw};

/// A resume token, as the bytes of a BSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token(Vec<u8>);

impl Token {
    /// The token in an event or a reply.
    ///
    /// # Errors
    /// `BadRecord` for malformed BSON.
    pub(super) fn of(bytes: &[u8]) -> Result<Self> {
        raw::elements(bytes)?;
        Ok(Self(bytes.to_vec()))
    }

    /// The token of a stored position.
    ///
    /// # Errors
    /// `BadConfig` for what is no JSON object.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = "a stored position holds no resume token; reset the connector's offsets";
        let document: Document = serde_json::from_str(text).map_err(|error| Error::bad_config(wrong).because(error))?;
        mongodb::bson::serialize_to_vec(&document).map(Self).map_err(|error| Error::bad_config(wrong).because(error))
    }

    /// As it is stored.
    pub(super) fn json(&self) -> Result<String> {
        json::text(&self.0)
    }

    /// For the server.
    pub(super) fn bson(&self) -> Result<Document> {
        mongodb::bson::deserialize_from_slice(&self.0)
            .map_err(|error| Error::internal("a token came out malformed").because(error))
    }

    /// What orders tokens of one deployment, whatever stream they come from: text that compares as the events do.
    fn data(&self) -> Option<&str> {
        raw::field(&self.0, "_data").ok().flatten().and_then(Raw::str)
    }

    /// When the event was: the text begins with the type of a timestamp (0x82) and its eight bytes, in hex.
    pub(super) fn time(&self) -> Option<Timestamp> {
        let hex = self.data()?.strip_prefix("82")?;
        let part = |from: usize| u32::from_str_radix(hex.get(from..from + 8)?, 16).ok();
        Some(Timestamp { time: part(0)?, increment: part(8)? })
    }
}

impl PartialOrd for Token {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Token {
    fn cmp(&self, other: &Self) -> Ordering {
        self.data().cmp(&other.data()).then_with(|| self.0.cmp(&other.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by panicking

    use super::*;

    const EVENT: &str = "{\"_data\": \"826553F3E0000000012B022C0100296E5A1004\"}";

    #[test]
    fn a_token_is_stored_as_the_peer_stores_it() {
        let token = Token::parse(EVENT).unwrap();
        assert_eq!(token.json().unwrap(), EVENT);
        let old = r#"{"_data": "8265", "_typeBits": {"$binary": {"base64": "gkA=", "subType": "00"}}}"#;
        assert_eq!(Token::parse(old).unwrap().json().unwrap(), old);
        assert!(Token::parse("[]").is_err());
    }

    #[test]
    fn a_token_tells_its_time_and_its_place() {
        let token = Token::parse(EVENT).unwrap();
        assert_eq!(token.time(), Some(Timestamp { time: 1_700_000_736, increment: 1 }));
        assert_eq!(Token::parse("{\"_data\": \"8265\"}").unwrap().time(), None);
        assert_eq!(Token::parse("{\"x\": 1}").unwrap().time(), None);
        let later = Token::parse("{\"_data\": \"826553F3E0000000022B\"}").unwrap();
        assert!(token < later);
    }
}
