#![allow(clippy::unwrap_used)] // a test fails by panicking

use millrace_sdk::Positions;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Decimal128};

use super::super::super::position::{Copy, partition};
use super::super::super::share::Share;
use super::super::super::token::Token;
use super::super::begun;
use super::*;

fn part(index: u64) -> Part {
    Part {
        database: "d".to_owned(),
        collection: "with.dots#1".to_owned(),
        index,
        plain: true,
        from: None,
        to: None,
        at: None,
        done: false,
    }
}

#[test]
fn a_part_is_read_as_it_was_stored_whatever_its_ids_are() {
    let partition = partition("n", &Share::All);
    let ids = [
        Bson::Null,
        Bson::Int32(5),
        Bson::Int64(1 << 60),
        Bson::Double(2.5),
        Bson::Double(f64::INFINITY),
        Bson::from("\u{e4} \"x\""),
        Bson::ObjectId(ObjectId::from_bytes([7; 12])),
        Bson::DateTime(DateTime::from_millis(-1)),
        Bson::Decimal128("1.50".parse::<Decimal128>().unwrap()),
        Bson::Document(doc! { "a": 1_i64, "b": { "c": 1.0 } }),
        Bson::MinKey,
        Bson::MaxKey,
    ];
    for id in ids {
        for (from, to, at) in [(None, Some(&id), None), (Some(&id), None, Some(&id)), (Some(&id), Some(&id), Some(&id))]
        {
            let stored = Part { from: from.cloned(), to: to.cloned(), at: at.cloned(), ..part(3) };
            let position = stored.position(&partition, "1.1").unwrap();
            assert_eq!(Part::stored(&position, &partition, "1.1"), Some(stored), "{id:?}");
            assert_eq!(Part::stored(&position, &partition, "1.2"), None, "of another copy");
        }
    }
    let done = Part { from: Some(Bson::Int32(1)), done: true, ..part(0) };
    let position = done.position(&partition, "1.1").unwrap();
    assert_eq!(Part::stored(&position, &partition, "1.1"), Some(part_done()), "its bounds are of no use any more");
}

fn part_done() -> Part {
    Part { done: true, ..part(0) }
}

#[test]
fn a_copy_goes_on_only_with_all_of_its_parts() {
    let partition = partition("n", &Share::All);
    let positions =
        |count: u64| Positions((0..count).map(|index| part(index).position(&partition, "1.1").unwrap()).collect());
    let token = Token::parse(r#"{"_data": "82"}"#).unwrap();
    for (epoch, parts, stored, goes_on) in
        [("1.1", 3, 3, true), ("1.1", 3, 2, false), ("1.2", 3, 3, false), ("", 0, 0, false), ("1.1", 0, 0, true)]
    {
        let copy = Copy { epoch: epoch.to_owned(), parts };
        let begun = begun(&positions(stored), &partition, token.clone(), copy);
        assert_eq!(begun.is_some(), goes_on, "{epoch} {parts} {stored}");
    }
}

#[test]
fn large_collections_are_cut_into_parts() {
    for (documents, bytes, threads, expected) in [
        (0, 0, 4, 1),
        (19_999, 1 << 40, 4, 1),
        (20_000, 1 << 20, 2, 4),
        // Not more than there is to sample
        (20_000, 1 << 20, 400, 40),
        (10_000_000, 1 << 30, 2, 50),
        (1_000_000, 64 << 30, 2, 256),
        (1_000_000_000, 1 << 40, 8, 256),
    ] {
        assert_eq!(how_many(documents, bytes, threads), expected, "{documents} {bytes} {threads}");
    }
}
