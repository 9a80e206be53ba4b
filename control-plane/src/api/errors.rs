//! Errors as `google.rpc.Status` with details that programs can read.

use std::collections::HashMap;
use std::time::Duration;

use millrace_sdk::Problem;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::service::ServiceError;
use crate::store::StoreError;

const DOMAIN: &str = "millrace";
const RETRY: Duration = Duration::from_secs(1);

/// A field of the request that cannot be.
pub(super) fn bad_field(field: &str, description: impl Into<String>) -> Status {
    let description = description.into();
    let details = ErrorDetails::with_bad_request_violation(field, description.clone());
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {description}"), details)
}

/// One violation per configuration key.
fn refused(message: String, problems: &[Problem]) -> Status {
    let mut details = ErrorDetails::with_error_info("CONFIG_INVALID", DOMAIN, HashMap::new());
    for problem in problems {
        let field = if problem.key.is_empty() { "config".to_owned() } else { format!("config.{}", problem.key) };
        details.add_bad_request_violation(field, problem.message.clone());
    }
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The status of an error.
pub(super) fn status(error: ServiceError) -> Status {
    let message = error.to_string();
    let (code, reason) = match &error {
        ServiceError::Invalid(problems) => return refused(message, problems),
        ServiceError::NoTenant(_) => (Code::NotFound, "TENANT_NOT_FOUND"),
        ServiceError::NoConnector(_) => (Code::NotFound, "CONNECTOR_NOT_FOUND"),
        ServiceError::NoTask { .. } => (Code::NotFound, "TASK_NOT_FOUND"),
        ServiceError::Exists(_) => (Code::AlreadyExists, "CONNECTOR_EXISTS"),
        ServiceError::UnknownClass(_) => {
            return refused(message.clone(), &[Problem::new("connector.class", message)]);
        }
        ServiceError::BadRequest(_) => return refused(message.clone(), &[Problem::new("", message)]),
        ServiceError::Stale(_) => (Code::Aborted, "ETAG_STALE"),
        ServiceError::Busy(_) => (Code::Aborted, "BUSY"),
        ServiceError::Store(StoreError::TooLarge(_)) => (Code::InvalidArgument, "TOO_LARGE"),
        ServiceError::Store(StoreError::Unavailable(_)) => (Code::Unavailable, "STORE_UNAVAILABLE"),
        ServiceError::Store(_) => (Code::Internal, "STORE_FAILED"),
        ServiceError::Seal(_) => (Code::Internal, "SECRET_UNREADABLE"),
        ServiceError::Unreadable(_) => (Code::Internal, "STORED_VALUE_UNREADABLE"),
    };
    if matches!(code, Code::Internal | Code::Unavailable) {
        tracing::warn!(error = message, "a gRPC request failed");
    }
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    if code == Code::Unavailable || reason == "BUSY" {
        details.set_retry_info(Some(RETRY));
    }
    Status::with_error_details(code, message, details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConnectorId;

    #[test]
    fn errors_carry_details() {
        let refused = status(ServiceError::Invalid(vec![Problem::new("tasks.max", "not a number")]));
        assert_eq!(refused.code(), Code::InvalidArgument);
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(
            (violations[0].field.as_str(), violations[0].description.as_str()),
            ("config.tasks.max", "not a number")
        );
        let id = ConnectorId { tenant: "t".into(), connector: "c".into() };
        let stale = status(ServiceError::Stale(id));
        assert_eq!(
            (stale.code(), stale.get_details_error_info().unwrap().reason.as_str()),
            (Code::Aborted, "ETAG_STALE")
        );
        let away = status(ServiceError::Store(StoreError::Unavailable("x".into())));
        assert!(away.get_details_retry_info().unwrap().retry_delay.is_some());
    }
}
