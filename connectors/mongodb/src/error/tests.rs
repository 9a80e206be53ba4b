use mongodb::bson;

use super::*;

/// `writeErrors` as MongoDB 6.0.5 answered them, except for the entries said to be of a fail point.
#[test]
fn write_errors_mean_what_they_should() {
    let bad = ErrorKind::BadRecord;
    for (reply, upsert, kind) in [
        (
            r#"{"index":0,"code":11000,"errmsg":"E11000 duplicate key error collection: cap.u index: k_1 dup key: { k: 1 }","keyPattern":{"k":1},"keyValue":{"k":1}}"#,
            true,
            bad,
        ),
        (
            r#"{"index":0,"code":11000,"errmsg":"E11000 duplicate key error collection: cap.u index: _id_ dup key: { _id: 1 }","keyPattern":{"_id":1},"keyValue":{"_id":1}}"#,
            true,
            ErrorKind::TRANSIENT,
        ),
        (
            r#"{"index":0,"code":11000,"errmsg":"E11000 duplicate key error collection: cap.u index: _id_ dup key: { _id: 1 }","keyPattern":{"_id":1},"keyValue":{"_id":1}}"#,
            false,
            bad,
        ),
        (
            r#"{"index":1,"code":66,"errmsg":"After applying the update, the (immutable) field '_id' was found to have been altered to _id: 4"}"#,
            true,
            bad,
        ),
        (
            r#"{"index":2,"code":56,"errmsg":"The update path 'a..b' contains an empty field name, which is not allowed."}"#,
            true,
            bad,
        ),
        (
            r#"{"index":3,"code":54,"errmsg":"After applying the update to the document, the (immutable) field '_id' was found to be an array or array descendant."}"#,
            true,
            bad,
        ),
        (
            r#"{"index":4,"code":9,"errmsg":"Unknown modifier: $x. Expected a valid update modifier or pipeline-style update specified as an array"}"#,
            true,
            bad,
        ),
        (
            r#"{"index":0,"code":121,"errmsg":"Document failed validation","errInfo":{"failingDocumentId":2}}"#,
            true,
            bad,
        ),
        (
            r#"{"index":0,"code":166,"errmsg":"Namespace cap.w is a view, not a collection"}"#,
            true,
            ErrorKind::BadConfig,
        ),
        // Of a fail point:
        (r#"{"index":0,"code":112,"errmsg":"WriteConflict"}"#, true, ErrorKind::TRANSIENT),
        (r#"{"index":0,"code":99999,"errmsg":"of a newer server"}"#, true, bad),
    ] {
        let document: bson::Document = serde_json::from_str(reply).unwrap();
        let error: WriteError = bson::deserialize_from_document(document).unwrap();
        let meaning = classify_write(&error, upsert);
        assert_eq!(meaning.kind(), kind, "{reply}");
        assert!(meaning.to_string().contains(&error.message));
    }
}

#[test]
fn write_concerns_that_nobody_can_meet_are_a_matter_of_configuration() {
    assert_eq!(classify_concern(100, "Not enough data-bearing nodes").kind(), ErrorKind::BadConfig);
    let mode = "No write concern mode named 'nope' found in replica set configuration";
    assert_eq!(classify_concern(79, mode).kind(), ErrorKind::BadConfig);
    assert_eq!(classify_concern(64, "waiting for replication timed out").kind(), ErrorKind::TRANSIENT);
}

#[test]
fn codes_of_commands_are_decided() {
    for (code, kind) in [
        (13, Some(ErrorKind::BadConfig)),
        (18, Some(ErrorKind::BadConfig)),
        (73, Some(ErrorKind::BadConfig)),
        (10_107, Some(ErrorKind::TRANSIENT)),
        (189, Some(ErrorKind::TRANSIENT)),
        (11_600, Some(ErrorKind::TRANSIENT)),
        (50, Some(ErrorKind::TRANSIENT)),
        (10_334, Some(ErrorKind::BadRecord)),
        (22, Some(ErrorKind::BadRecord)),
        (8, None),
    ] {
        assert_eq!(kind_of(code), kind, "{code}");
    }
}

#[test]
fn an_unreachable_store_is_told_without_the_drivers_structures() {
    let message = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ { Address: \
        a:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {\"RetryableError\"}, \
        source: None, server response: None }, { Address: b:2, Type: Unknown } ] }";
    assert_eq!(
        no_server(message).unwrap(),
        "no server can be used (a:1: I/O error: Connection refused (os error 111))"
    );
    assert_eq!(no_server("Server selection timeout: None suitable"), None);
}
