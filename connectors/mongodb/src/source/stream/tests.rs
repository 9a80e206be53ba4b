#![allow(clippy::unwrap_used)] // a test fails by panicking

use millrace_sdk::Flat;
use millrace_sdk::config::{definition, parse};

use super::super::config::SourceConfig;
use super::*;

fn settings(more: &[(&str, &str)]) -> Settings {
    let keys = [&[("connection.uri", "mongodb://a/?replicaSet=r")], more].concat();
    let flat: Flat = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Settings::resolve(&parse::<SourceConfig>(&definition::<SourceConfig>(), &flat).unwrap(), &flat).unwrap()
}

#[test]
fn errors_of_a_stream_mean_what_the_server_means() {
    for (code, message, expected) in [
        (
            286,
            "Resume of change stream was not possible, as the resume point may no longer be in the oplog.",
            Trouble::Lost,
        ),
        (260, "Attempting to resume a change stream using a resume token that is not valid", Trouble::Lost),
        (280, "cannot resume stream; the resume token was not found.", Trouble::Lost),
        (
            280,
            "BSONObj size: 33555070 (0x200027E) is invalid. Size must be between 0 and 16793600(16MB)",
            Trouble::TooLarge,
        ),
        (280, "Tried to create a document that exceeds maximum size", Trouble::TooLarge),
        (10_334, "BSONObj size: 17825893 (0x1100065) is invalid", Trouble::TooLarge),
        (26, "ns does not exist", Trouble::NoNamespace),
        (50_811, "the resume token was not found", Trouble::Lost),
        (50_811, "something else was not found", Trouble::Other),
        (43, "cursor id 5 not found", Trouble::Other),
        (13, "not authorized on d to execute command", Trouble::Other),
    ] {
        assert_eq!(by_code(code, message), expected, "{code} {message}");
    }
}

#[test]
fn a_stream_is_opened_where_and_as_the_settings_say() {
    let open = |more: &[(&str, &str)], start: &Start| command(&settings(more), start, &Special::default()).unwrap();
    let stage = |command: &Document| {
        let pipeline = command.get_array("pipeline").unwrap();
        pipeline[0].as_document().unwrap().get_document("$changeStream").unwrap().clone()
    };
    let of = [("database", "d"), ("collection", "c")];
    let token = Token::parse(r#"{"_data": "82"}"#).unwrap();
    let time = Timestamp { time: 5, increment: 1 };
    for (more, start, target, expected) in [
        (&[][..], Start::Now, Bson::from(1), doc! { "allChangesForCluster": true }),
        (&of[..1], Start::Now, Bson::from(1), doc! {}),
        (&of, Start::At(time), Bson::from("c"), doc! { "startAtOperationTime": time }),
        (&of, Start::After(token), Bson::from("c"), doc! { "startAfter": { "_data": "82" } }),
        (
            &[
                of[0],
                of[1],
                ("change.stream.full.document", "required"),
                ("change.stream.full.document.before.change", "off"),
            ],
            Start::Now,
            Bson::from("c"),
            doc! { "fullDocument": "required", "fullDocumentBeforeChange": "off" },
        ),
        (
            &[
                of[0],
                of[1],
                ("publish.full.document.only", "true"),
                ("change.stream.full.document.before.change", "default"),
            ],
            Start::Now,
            Bson::from("c"),
            doc! { "fullDocument": "updateLookup" },
        ),
        (
            &[of[0], of[1], ("change.stream.show.expanded.events", "true")],
            Start::Now,
            Bson::from("c"),
            doc! { "showExpandedEvents": true },
        ),
    ] {
        let command = open(more, &start);
        assert_eq!((command.get("aggregate"), stage(&command)), (Some(&target), expected), "{more:?} {start:?}");
    }
}

#[test]
fn stages_stand_in_order_share_user_special() {
    let settings = settings(&[
        ("database", "d"),
        ("pipeline", r#"[{"$match": {"a": 1}}]"#),
        ("collation", r#"{"locale": "de"}"#),
        ("batch.size", "7"),
        ("millrace.mongodb.share", r#"{"only": ["d.a"]}"#),
    ]);
    let special = Special { batch_size: Some(1), stages: vec![doc! { "$project": { "x": 1 } }] };
    let command = command(&settings, &Start::Now, &special).unwrap();
    let names: Vec<&String> = command
        .get_array("pipeline")
        .unwrap()
        .iter()
        .map(|stage| stage.as_document().unwrap().keys().next().unwrap())
        .collect();
    assert_eq!(names, ["$changeStream", "$match", "$match", "$project"]);
    assert_eq!(command.get_document("collation").unwrap(), &doc! { "locale": "de" });
    assert_eq!(command.get_document("cursor").unwrap(), &doc! { "batchSize": 1_i64 });
}

#[test]
fn what_a_stream_is_refused_for_is_classified() {
    // Errors as the driver makes them of a reply.
    let driver = |code: i32, message: &str| {
        let reply = doc! { "code": code, "codeName": "", "errmsg": message };
        let error: mongodb::error::CommandError = mongodb::bson::deserialize_from_document(reply).unwrap();
        DriverError::from(Driver::Command(error))
    };
    for (code, kind, words) in [
        (40_415, millrace_sdk::ErrorKind::BadConfig, "does not have what the configuration asks for"),
        (40_324, millrace_sdk::ErrorKind::BadConfig, "the change stream of d.c"),
        (40_573, millrace_sdk::ErrorKind::BadConfig, "--replSet"),
        (47, millrace_sdk::ErrorKind::BadConfig, "changeStreamPreAndPostImages"),
        (43, millrace_sdk::ErrorKind::TRANSIENT, "cannot read the change stream"),
        (11_601, millrace_sdk::ErrorKind::TRANSIENT, "cannot read the change stream"),
    ] {
        let error = classified(driver(code, "words"), &Scope::Collection("d".to_owned(), "c".to_owned()));
        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
