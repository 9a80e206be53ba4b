//! What a stand says of its connector, and the records that the suite writes: a key, a number that grows with each update of
//! the key, and a text.

use std::collections::BTreeMap;

use millrace_sdk::{Bytes, Datum, Flat, Position, SourceRecord, Text, Value, async_trait};

/// The topic of all records.
pub(crate) const TOPIC: &str = "conformance";

/// Somewhere in a store that one test has for itself, empty, and the configuration that leads there.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) config: Flat,
}

impl Place {
    /// The configuration with some keys set.
    pub(crate) fn with(&self, changes: &[(&str, &str)]) -> Flat {
        let mut config = self.config.clone();
        config.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        config
    }
}

/// What a store holds: by key, the number and the length of the text.
pub(crate) type State = BTreeMap<String, (i64, usize)>;

/// A record that can never be written.
pub(crate) struct Poison {
    pub(crate) what: &'static str,
    /// Made with a key of the suite's, which it may ignore
    pub(crate) make: fn(Datum) -> (Datum, Datum),
    /// What its error must name
    pub(crate) says: &'static str,
}

/// A configuration that cannot work.
pub(crate) struct Broken {
    pub(crate) what: &'static str,
    pub(crate) config: Flat,
    /// What the answer must name
    pub(crate) says: String,
}

/// Why something cannot be tried with the store at hand.
pub(crate) type Reason = &'static str;

/// How to try a sink.
#[async_trait]
pub(crate) trait SinkStand: Send + Sync {
    /// `host:port` of the store; None when there is no network between.
    fn server(&self) -> Option<String>;

    /// A new place, reached at `address`.
    async fn place(&self, address: &str) -> Place;

    /// What is there now.
    async fn state(&self, place: &Place) -> Result<State, Reason>;

    /// The key of the store's entry `name`.
    fn key(&self, name: &str) -> Datum {
        text(name)
    }

    /// Whether records without a value delete.
    fn deletes(&self) -> bool {
        true
    }

    /// Records that can never be written, each for another cause.
    fn poisons(&self) -> Result<Vec<Poison>, Reason>;

    /// Bytes of text that are more than the store takes.
    fn too_large(&self) -> Result<usize, Reason>;

    /// Settings with credentials that the store refuses.
    fn wrong_credentials(&self, place: &Place) -> Result<Flat, Reason>;

    /// Configurations that `check` must see through while the store answers.
    fn broken(&self, place: &Place) -> Vec<Broken>;

    /// Configurations that hold this secret wherever one may be, and work or not.
    fn with_secret(&self, place: &Place, secret: &str) -> Vec<Flat>;

    /// Keys that look different and mean the same entry.
    fn same(&self) -> Vec<(Datum, Datum)> {
        Vec::new()
    }

    /// Makes the store refuse writes to the place for the time being, or take them again.
    async fn throttle(&self, place: &Place, on: bool) -> Result<(), Reason>;
}

/// How to try a source.
#[async_trait]
pub(crate) trait SourceStand: Send + Sync {
    /// `host:port` of the store; None when there is no network between.
    fn server(&self) -> Option<String>;

    /// A new place, reached at `address`; a source configured so returns the numbers fed into it.
    async fn place(&self, address: &str) -> Place;

    /// Makes the source hold these numbers, after all that it holds.
    async fn feed(&self, place: &Place, numbers: std::ops::Range<i64>);

    /// The number of a record.
    fn number(&self, record: &SourceRecord) -> i64;

    /// Settings with credentials that the store refuses.
    fn wrong_credentials(&self, place: &Place) -> Result<Flat, Reason>;

    /// Configurations that `check` must see through while the store answers.
    fn broken(&self, place: &Place) -> Vec<Broken>;

    /// Configurations that hold this secret wherever one may be.
    fn with_secret(&self, place: &Place, secret: &str) -> Vec<Flat>;

    /// A stored position turned into nonsense.
    fn nonsense(&self, position: &Position) -> Position;
}

/// A text as the String converter gives it.
pub(crate) fn text(text: &str) -> Datum {
    Datum::schemaless(Value::Str(Text::from(text)))
}

/// JSON as the JSON converter gives it.
pub(crate) fn json(text: &str) -> Datum {
    Datum::schemaless(Value::Json(Bytes::copy_from_slice(text.as_bytes())))
}

/// The value of an update.
pub(crate) fn value(key: &str, number: i64, body: &str) -> Datum {
    let (key, body) = (serde_json::Value::from(key), serde_json::Value::from(body));
    json(&format!(r#"{{"k":{key},"n":{number},"body":{body}}}"#))
}
