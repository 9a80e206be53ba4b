//! What a use-case answers when it does not do as asked. Each API says it in its own way.

use millrace_sdk::Problem;

use crate::auth::seal::SealError;
use crate::model::ConnectorId;
use crate::service::catalogue::UnknownClass;
use crate::store::StoreError;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No such tenant
    #[error("Tenant {0} not found")]
    NoTenant(String),
    /// No such connector
    #[error("Connector {} not found", .0.connector)]
    NoConnector(ConnectorId),
    /// No such task
    #[error("Unknown task: {}-{index}", id.connector)]
    NoTask {
        /// The connector
        id: ConnectorId,
        /// The task
        index: u32,
    },
    /// The name is taken
    #[error("Connector {} already exists", .0.connector)]
    Exists(ConnectorId),
    /// No worker offers the class
    #[error(transparent)]
    UnknownClass(UnknownClass),
    /// The configuration is refused
    #[error("{}", invalid(.0))]
    Invalid(Vec<Problem>),
    /// The request makes no sense
    #[error("{0}")]
    BadRequest(String),
    /// The etag is stale
    #[error("connector {} was changed meanwhile: read it again and repeat the change on top of what it is now", .0.connector)]
    Stale(ConnectorId),
    /// Somebody changes it all the time
    #[error("connector {} is being changed by others: try again", .0.connector)]
    Busy(ConnectorId),
    /// The store
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret that cannot be sealed or opened
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Something stored that cannot be read
    #[error("the stored value of {0} is unreadable")]
    Unreadable(String),
}

/// Connect's words for a refused configuration.
fn invalid(problems: &[Problem]) -> String {
    let mut text =
        format!("Connector configuration is invalid and contains the following {} error(s):", problems.len());
    for problem in problems {
        text.push('\n');
        text.push_str(&sentence(problem));
    }
    text.push_str(
        "\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`",
    );
    text
}

/// A problem in one line that names its key.
pub(crate) fn sentence(problem: &Problem) -> String {
    if problem.key.is_empty() || problem.message.contains(&problem.key) {
        problem.message.clone()
    } else {
        format!("{}: {}", problem.key, problem.message)
    }
}
