//! What the driver's errors mean. The database's own messages name columns and tables, never values, and are kept.

use std::time::Duration;

use millrace_sdk::{Error, ErrorKind};
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError,
    MetadataFetchErrorKind, NewSessionError, NextPageError, NextRowError, PrepareError, RequestAttemptError,
    RequestError,
};

/// The error of a write.
pub(crate) fn of_write(doing: &str, error: ExecutionError) -> Error {
    let kind = match &error {
        ExecutionError::BadQuery(_) => ErrorKind::BadRecord,
        ExecutionError::PrepareError(error) => of_prepare_kind(error),
        ExecutionError::LastAttemptError(error) => of_attempt(error, ErrorKind::BadRecord),
        ExecutionError::ConnectionPoolError(error) => of_pool(error),
        ExecutionError::UseKeyspaceError(_) => ErrorKind::BadConfig,
        _ => ErrorKind::TRANSIENT,
    };
    Error::new(kind, doing.to_owned()).because(error)
}

/// The error of preparing a statement.
pub(crate) fn of_prepare(doing: &str, error: PrepareError) -> Error {
    Error::new(of_prepare_kind(&error), doing.to_owned()).because(error)
}

/// The error of connecting.
pub(crate) fn of_connect(doing: &str, error: NewSessionError) -> Error {
    let kind = match &error {
        NewSessionError::EmptyKnownNodesList | NewSessionError::IllegalConfig(_) => ErrorKind::BadConfig,
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(error)) => of_pool(error),
        NewSessionError::MetadataError(MetadataError::FetchError(error)) => match &error.error {
            MetadataFetchErrorKind::PrepareError(error) => of_attempt(error, ErrorKind::TRANSIENT),
            MetadataFetchErrorKind::NextRowError(NextRowError::NextPageError(NextPageError::RequestFailure(
                RequestError::LastAttemptError(error),
            ))) => of_attempt(error, ErrorKind::TRANSIENT),
            _ => ErrorKind::TRANSIENT,
        },
        _ => ErrorKind::TRANSIENT,
    };
    Error::new(kind, doing.to_owned()).because(error)
}

fn of_prepare_kind(error: &PrepareError) -> ErrorKind {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt } => of_attempt(first_attempt, ErrorKind::BadConfig),
        PrepareError::ConnectionPoolError(error) => of_pool(error),
        _ => ErrorKind::TRANSIENT,
    }
}

fn of_pool(error: &ConnectionPoolError) -> ErrorKind {
    let ConnectionPoolError::Broken { last_connection_error } = error else { return ErrorKind::TRANSIENT };
    let ConnectionError::ConnectionSetupRequestError(error) = last_connection_error else {
        return ErrorKind::TRANSIENT;
    };
    match error.get_error() {
        ConnectionSetupRequestErrorKind::DbError(error, message) => of_database(error, message, ErrorKind::TRANSIENT),
        ConnectionSetupRequestErrorKind::MissingAuthentication
        | ConnectionSetupRequestErrorKind::StartAuthSessionError(_)
        | ConnectionSetupRequestErrorKind::AuthChallengeEvaluationError(_)
        | ConnectionSetupRequestErrorKind::AuthFinishError(_) => ErrorKind::BadConfig,
        _ => ErrorKind::TRANSIENT,
    }
}

fn of_attempt(error: &RequestAttemptError, invalid: ErrorKind) -> ErrorKind {
    match error {
        RequestAttemptError::DbError(error, message) => of_database(error, message, invalid),
        RequestAttemptError::SerializationError(_) => ErrorKind::BadRecord,
        RequestAttemptError::CqlRequestSerialization(_) => ErrorKind::BadRecord, // longer than a frame may be
        _ => ErrorKind::TRANSIENT,
    }
}

/// `invalid` is what an INVALID answer means where it came from: of a write, that the record is bad; of a statement being
/// prepared, that the configuration is.
fn of_database(error: &DbError, message: &str, invalid: ErrorKind) -> ErrorKind {
    match error {
        DbError::Overloaded | DbError::RateLimitReached { .. } => {
            ErrorKind::Transient { retry_after: Some(Duration::from_millis(500)) }
        }
        DbError::Unauthorized | DbError::AuthenticationError | DbError::ConfigError => ErrorKind::BadConfig,
        DbError::Invalid if names_schema(message) => ErrorKind::BadConfig,
        DbError::Invalid | DbError::FunctionFailure { .. } => invalid,
        DbError::SyntaxError => ErrorKind::BadConfig,
        _ => ErrorKind::TRANSIENT,
    }
}

/// An INVALID answer about the schema is no record's fault: the table was changed or dropped under us.
fn names_schema(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["unconfigured table", "does not exist", "undefined column", "unknown identifier", "unknown keyspace"]
        .iter()
        .any(|phrase| message.contains(phrase))
}

#[cfg(test)]
mod tests;
