//! The connectors without a store: the null sink, and the generator, whose records are there before anybody feeds them.

use std::ops::Range;

use millrace_sdk::{Flat, Position, SourceRecord, Value, async_trait};
use millrace_tests::unique;

use super::flat;
use crate::stand::{Broken, Place, Poison, Reason, SinkStand, SourceStand, State, TOPIC};

pub(crate) struct Sink;
pub(crate) struct Source;

#[async_trait]
impl SinkStand for Sink {
    fn server(&self) -> Option<String> {
        None
    }

    async fn place(&self, _: &str) -> Place {
        Place { name: unique("place"), config: flat(&[("topics", TOPIC)]) }
    }

    async fn state(&self, _: &Place) -> Result<State, Reason> {
        Err("it keeps nothing that could be looked at")
    }

    fn poisons(&self) -> Result<Vec<Poison>, Reason> {
        Err("it takes every record")
    }

    fn too_large(&self) -> Result<usize, Reason> {
        Err("it takes every record")
    }

    fn wrong_credentials(&self, _: &Place) -> Result<Flat, Reason> {
        Err("it asks for no credentials")
    }

    fn broken(&self, _: &Place) -> Vec<Broken> {
        Vec::new()
    }

    fn with_secret(&self, _: &Place, _: &str) -> Vec<Flat> {
        Vec::new()
    }

    async fn throttle(&self, _: &Place, _: bool) -> Result<(), Reason> {
        Err("it never refuses")
    }
}

#[async_trait]
impl SourceStand for Source {
    fn server(&self) -> Option<String> {
        None
    }

    async fn place(&self, _: &str) -> Place {
        Place { name: unique("place"), config: flat(&[("topic", TOPIC), ("batch.size", "5")]) }
    }

    async fn feed(&self, _: &Place, _: Range<i64>) {}

    fn number(&self, record: &SourceRecord) -> i64 {
        match record.value.value().field("id").unwrap() {
            Some(Value::Int(number)) => number,
            other => panic!("no id: {other:?}"),
        }
    }

    fn wrong_credentials(&self, _: &Place) -> Result<Flat, Reason> {
        Err("it asks for no credentials")
    }

    fn broken(&self, place: &Place) -> Vec<Broken> {
        vec![
            Broken {
                what: "no topic",
                config: place.with(&[("topic", "")]),
                says: "topic must not be empty".to_owned(),
            },
            Broken { what: "too small", config: place.with(&[("size", "1")]), says: "at least".to_owned() },
        ]
    }

    fn with_secret(&self, _: &Place, _: &str) -> Vec<Flat> {
        Vec::new()
    }

    fn nonsense(&self, position: &Position) -> Position {
        let mut spoilt = position.clone();
        spoilt.offset.insert("count".to_owned(), "many".into());
        spoilt
    }
}
