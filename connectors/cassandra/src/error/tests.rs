use scylla::errors::BadQuery;

use super::*;

/// What Cassandra 5.0 really answered, and what becomes of the write.
#[test]
fn answers_to_writes() {
    let unavailable =
        DbError::Unavailable { consistency: scylla::statement::Consistency::LocalQuorum, required: 2, alive: 1 };
    let cases: Vec<(DbError, &str, &str)> = vec![
        (unavailable, "Cannot achieve consistency level LOCAL_QUORUM", "transient"),
        (DbError::Overloaded, "Server is shutting down", "transient"),
        (DbError::IsBootstrapping, "Cannot read from a bootstrapping node", "transient"),
        (DbError::ServerError, "java.lang.RuntimeException: boom", "transient"),
        (DbError::Invalid, "Key may not be empty", "bad-record"),
        (DbError::Invalid, "Key length of 70000 is longer than maximum of 65535", "bad-record"),
        (DbError::Invalid, "Batch too large", "bad-record"),
        (DbError::Invalid, "unconfigured table stock", "bad-config"),
        (DbError::Invalid, "table stock does not exist", "bad-config"),
        (DbError::Unauthorized, "User u has no MODIFY permission on <table ks.stock>", "bad-config"),
        (DbError::SyntaxError, "line 1:0 no viable alternative", "bad-config"),
    ];
    for (answer, message, kind) in cases {
        let error = ExecutionError::LastAttemptError(RequestAttemptError::DbError(answer, message.to_owned()));
        let error = of_write("cannot insert into ks.stock", error);
        assert_eq!(error.kind().name(), kind, "{message}");
        assert!(error.chain().contains(message), "the database's own words are kept: {}", error.chain());
    }
}

#[test]
fn what_happens_before_an_answer() {
    let cases: Vec<(ExecutionError, &str)> = vec![
        (ExecutionError::RequestTimeout(Duration::from_secs(30)), "transient"),
        (ExecutionError::EmptyPlan, "transient"),
        (ExecutionError::ConnectionPoolError(ConnectionPoolError::Initializing), "transient"),
        (ExecutionError::BadQuery(BadQuery::ValuesTooLongForKey(70_000, 65_535)), "bad-record"),
    ];
    for (error, kind) in cases {
        assert_eq!(of_write("cannot insert", error).kind().name(), kind);
    }
    let invalid = RequestAttemptError::DbError(DbError::Invalid, "Undefined column name x in table ks.t".to_owned());
    let error = PrepareError::AllAttemptsFailed { first_attempt: invalid };
    assert_eq!(of_prepare("cannot prepare", error).kind().name(), "bad-config");
}

#[test]
fn connecting() {
    let refused = ConnectionPoolError::Broken {
        last_connection_error: ConnectionError::IoError(std::sync::Arc::new(std::io::Error::from(
            std::io::ErrorKind::ConnectionRefused,
        ))),
    };
    let error = NewSessionError::MetadataError(MetadataError::ConnectionPoolError(refused));
    assert_eq!(of_connect("cannot connect", error).kind().name(), "transient");
    let error = NewSessionError::FailedToResolveAnyHostname(vec!["nowhere".to_owned()]);
    assert_eq!(of_connect("cannot connect", error).kind().name(), "transient");
}
