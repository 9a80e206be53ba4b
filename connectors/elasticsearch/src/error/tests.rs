use super::*;

fn item(error: &str, status: u16, versioned: bool) -> Outcome {
    let cause = (!error.is_empty()).then(|| serde_json::from_str::<Cause>(error).unwrap());
    classify_item(status, cause.as_ref(), versioned)
}

/// Items as Elasticsearch 9.5.3 answered them, but for the 429 and 503.
#[test]
fn items_mean_what_they_should() {
    let conflict = r#"{"type":"version_conflict_engine_exception","reason":"[a]: version conflict, current version [5] is higher or equal to the one provided [5]","index_uuid":"-36pR_AwQ4yd3WlqD5N8lQ","shard":"0","index":"cap"}"#;
    assert!(matches!(item("", 201, false), Outcome::Done));
    assert!(matches!(item("", 404, true), Outcome::Done), "a deletion of what is not there");
    assert!(matches!(item(conflict, 409, true), Outcome::Superseded));
    let bad = ErrorKind::BadRecord;
    for (status, error, kind) in [
        (409, conflict, ErrorKind::TRANSIENT),
        (
            400,
            r#"{"type":"document_parsing_exception","reason":"[1:6] failed to parse field [n] of type [integer] in document with id 'b'. Preview of field's value: 'many'","caused_by":{"type":"number_format_exception","reason":"For input string: \"many\""}}"#,
            bad,
        ),
        (
            400,
            r#"{"type":"strict_dynamic_mapping_exception","reason":"[1:6] mapping set to strict, dynamic introduction of [z] within [_doc] is not allowed"}"#,
            bad,
        ),
        (400, r#"{"type":"document_parsing_exception","reason":"Malformed content, must start with an object"}"#, bad),
        (
            400,
            r#"{"type":"invalid_index_name_exception","reason":"Invalid index name [CAP], must be lowercase","index_uuid":"_na_","index":"CAP"}"#,
            ErrorKind::BadConfig,
        ),
        (
            400,
            r#"{"type":"index_closed_exception","reason":"closed","index_uuid":"-36pR_AwQ4yd3WlqD5N8lQ","index":"cap"}"#,
            ErrorKind::BadConfig,
        ),
        (
            403,
            r#"{"type":"cluster_block_exception","reason":"index [cap] blocked by: [FORBIDDEN/8/index write (api)];"}"#,
            ErrorKind::TRANSIENT,
        ),
        (
            429,
            r#"{"type":"es_rejected_execution_exception","reason":"rejected execution of coordinating operation"}"#,
            ErrorKind::TRANSIENT,
        ),
        (
            503,
            r#"{"type":"unavailable_shards_exception","reason":"[cap][0] primary shard is not active"}"#,
            ErrorKind::TRANSIENT,
        ),
    ] {
        let Outcome::Failed(found) = item(error, status, false) else { panic!("{error}") };
        assert_eq!(found.kind(), kind, "{error}");
    }
    let Outcome::Failed(found) = item(r#"{"type":"a","reason":"b","caused_by":{"type":"c","reason":"d"}}"#, 400, false)
    else {
        panic!("failed")
    };
    assert_eq!(found.to_string(), "Elasticsearch refused the document (400): a: b: d");
}

#[test]
fn requests_mean_what_they_should() {
    let after = Some(Duration::from_secs(3));
    for (status, body, kind, said) in [
        (
            401,
            r#"{"error":{"type":"security_exception","reason":"unable to authenticate user [me]"},"status":401}"#,
            ErrorKind::BadConfig,
            "connection.password",
        ),
        (
            403,
            r#"{"error":{"type":"security_exception","reason":"action [indices:data/write/bulk] is unauthorized"},"status":403}"#,
            ErrorKind::BadConfig,
            "privileges",
        ),
        (429, "", ErrorKind::Transient { retry_after: after }, "429"),
        (503, "<html>bad gateway</html>", ErrorKind::Transient { retry_after: after }, "bad gateway"),
        (413, "", ErrorKind::BadRecord, "413"),
        (
            405,
            r#"{"error":"no handler found for uri [/_bulk] and method [POST]"}"#,
            ErrorKind::BadConfig,
            "connection.url",
        ),
        (418, "", ErrorKind::Internal, "418"),
    ] {
        let error = classify(status, after, body, "cannot write");
        assert_eq!(error.kind(), kind, "{status}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_reason_does_not_repeat_a_large_record() {
    let reason = format!("failed to parse field [x]. Preview of field's value: '{}'", "é".repeat(50_000));
    let cause = Cause { kind: "document_parsing_exception".to_owned(), reason, caused_by: None };
    let Outcome::Failed(error) = classify_item(400, Some(&cause), false) else { panic!("refused") };
    assert!(error.to_string().len() < 1200 && error.to_string().contains("field [x]"), "{error}");
}
