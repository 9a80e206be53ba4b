//! Connect's error shape: `{"error_code": …, "message": …}` with the same status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::service::ServiceError;
use crate::store::StoreError;

/// An answer that is an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RestError {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl RestError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// What Connect answers 500 to: a body that is missing or is not the JSON it should be.
    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

impl From<ServiceError> for RestError {
    fn from(error: ServiceError) -> Self {
        let status = match &error {
            ServiceError::NoTenant(_) | ServiceError::NoConnector(_) | ServiceError::NoTask { .. } => {
                StatusCode::NOT_FOUND
            }
            ServiceError::Exists(_) | ServiceError::Stale(_) | ServiceError::Busy(_) => StatusCode::CONFLICT,
            ServiceError::UnknownClass(_) | ServiceError::Invalid(_) | ServiceError::BadRequest(_) => {
                StatusCode::BAD_REQUEST
            }
            ServiceError::Store(StoreError::TooLarge(_)) => StatusCode::BAD_REQUEST,
            ServiceError::Store(StoreError::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            ServiceError::Store(_) | ServiceError::Seal(_) | ServiceError::Unreadable(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        if status.is_server_error() {
            tracing::warn!(%error, "a REST request failed");
        }
        let message = match error {
            ServiceError::UnknownClass(class) => class.connect,
            other => other.to_string(),
        };
        Self::new(status, message)
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let body = json!({ "error_code": self.status.as_u16(), "message": self.message });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
