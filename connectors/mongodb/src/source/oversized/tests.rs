#![allow(clippy::unwrap_used)] // a test fails by panicking

use mongodb::bson::{Document, deserialize_from_slice, serialize_to_vec};

use super::*;

/// As MongoDB 7 splits an event, by its documentation: this has not met a server.
#[test]
fn fragments_become_one_event() {
    let fragments = [
        doc! { "_id": { "_data": "1" }, "splitEvent": { "fragment": 1, "of": 3 }, "operationType": "update", "ns": { "db": "d" } },
        doc! { "_id": { "_data": "2" }, "splitEvent": { "fragment": 2, "of": 3 }, "fullDocumentBeforeChange": { "a": 1 } },
        doc! { "_id": { "_data": "3" }, "splitEvent": { "fragment": 3, "of": 3 }, "fullDocument": { "a": 2 } },
    ];
    let mut pending = Vec::new();
    let plain = serialize_to_vec(&doc! { "_id": { "_data": "0" } }).unwrap();
    assert!(matches!(merge(&mut pending, &plain).unwrap(), Merged::Whole));
    for fragment in &fragments[..2] {
        assert!(matches!(merge(&mut pending, &serialize_to_vec(fragment).unwrap()).unwrap(), Merged::Pending));
    }
    let Merged::Of(whole) = merge(&mut pending, &serialize_to_vec(&fragments[2]).unwrap()).unwrap() else {
        panic!("not merged")
    };
    let whole: Document = deserialize_from_slice(&whole).unwrap();
    let expected = doc! {
        "_id": { "_data": "3" }, "operationType": "update", "ns": { "db": "d" },
        "fullDocumentBeforeChange": { "a": 1 }, "fullDocument": { "a": 2 },
    };
    assert_eq!(whole, expected);
    assert!(pending.is_empty());
}
