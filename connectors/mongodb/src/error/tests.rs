use mongodb::bson;

use super::*;

/// `writeErrors` as MongoDB 6.0.5 answered them, except for the entries said to be of a fail point.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
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
        (
            r#"{"index":0,"code":121,"errmsg":"Document failed validation","errInfo":{"failingDocumentId":1,"details":{"operatorName":"$jsonSchema","schemaRulesNotSatisfied":[{"operatorName":"required","specifiedAs":{"required":["n"]},"missingProperties":["n"]}]}}}"#,
            true,
            bad,
        ),
        (r#"{"index":0,"code":17419,"errmsg":"Resulting document after update is larger than 16777216"}"#, true, bad),
        (
            r#"{"index":0,"code":2,"errmsg":"object to insert too large. size in bytes: 16777641, max size: 16777216"}"#,
            false,
            bad,
        ),
        (
            r#"{"index":0,"code":388,"errmsg":"-31800: transaction is too large and will not fit in the storage engine cache"}"#,
            false,
            bad,
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

fn refused(reply: &str) -> Error {
    let reply: bson::Document = serde_json::from_str(reply).unwrap();
    let command: mongodb::error::CommandError = bson::deserialize_from_document(reply).unwrap();
    classify(Driver::Command(command).into(), "cannot write to cap.c")
}

/// Replies with `ok: 0` as MongoDB 6.0.5 gave them, except for the one said to be of a fail point.
#[test]
fn refused_commands_mean_what_they_should() {
    let config = ErrorKind::BadConfig;
    for (reply, kind, says) in [
        (
            r#"{"ok":0.0,"errmsg":"command insert requires authentication","code":13,"codeName":"Unauthorized"}"#,
            config,
            "code 13",
        ),
        (
            r#"{"ok":0.0,"errmsg":"not authorized on cap to execute command { insert: \"c\", $db: \"cap\" }","code":13,"codeName":"Unauthorized"}"#,
            config,
            "not authorized on cap",
        ),
        (
            r#"{"ok":0.0,"errmsg":"Authentication failed.","code":18,"codeName":"AuthenticationFailed"}"#,
            config,
            "Authentication failed",
        ),
        (
            r#"{"ok":0.0,"errmsg":"Invalid namespace specified 'cap.'","code":73,"codeName":"InvalidNamespace"}"#,
            config,
            "cap.",
        ),
        (
            r#"{"ok":0.0,"errmsg":"Invalid collection name: a$b","code":73,"codeName":"InvalidNamespace"}"#,
            config,
            "a$b",
        ),
        (r#"{"ok":0.0,"errmsg":"no such command: 'inzert'","code":59,"codeName":"CommandNotFound"}"#, config, "inzert"),
        (
            r#"{"ok":0.0,"errmsg":"not primary","code":10107,"codeName":"NotWritablePrimary"}"#,
            ErrorKind::TRANSIENT,
            "not primary",
        ),
        (
            r#"{"ok":0.0,"errmsg":"operation exceeded time limit","code":50,"codeName":"MaxTimeMSExpired"}"#,
            ErrorKind::TRANSIENT,
            "time limit",
        ),
        // Of a fail point:
        (
            r#"{"ok":0.0,"errmsg":"Failing command via 'failCommand' failpoint","code":11600,"codeName":"InterruptedAtShutdown"}"#,
            ErrorKind::TRANSIENT,
            "11600",
        ),
    ] {
        let error = refused(reply);
        assert_eq!(error.kind(), kind, "{reply}");
        assert!(
            error.to_string().starts_with("cannot write to cap.c: ") && error.to_string().contains(says),
            "{error}"
        );
    }
}

#[test]
fn what_happens_to_connections_passes_by_itself() {
    use std::io::{Error as Io, ErrorKind as Kind};
    for kind in [Kind::ConnectionRefused, Kind::ConnectionReset, Kind::BrokenPipe, Kind::UnexpectedEof, Kind::TimedOut]
    {
        let error = classify(Io::from(kind).into(), "cannot write to cap.c");
        assert_eq!(error.kind(), ErrorKind::TRANSIENT, "{kind:?}: {error}");
    }
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
