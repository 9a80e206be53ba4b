//! The commands that talk to a server: what they share. One connection per command, a deadline per call, and errors that
//! say what the server said and what can be done.

pub(crate) mod apply;
pub(crate) mod get;
pub(crate) mod lifecycle;
mod progress;
mod view;
mod wait;

use std::time::Duration;

use millrace_proto::v1;
use millrace_proto::v1::connector_service_client::ConnectorServiceClient;
use millrace_proto::v1::plugin_service_client::PluginServiceClient;
use millrace_proto::v1::worker_service_client::WorkerServiceClient;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::args::ClientArgs;
use crate::failure::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the server waits for a worker's check of a configuration.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The most a list answers at once.
const PAGE_SIZE: i32 = 1000;

/// Adds the credential to every call.
#[derive(Clone)]
pub(crate) struct Credential(Option<AsciiMetadataValue>);

impl tonic::service::Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        // A caller's own deadline (a watch has none) goes before ours.
        Ok(request)
    }
}

type Connection = InterceptedService<Channel, Credential>;

/// A connection to a server, for one tenant.
#[derive(Clone)]
pub(crate) struct Api {
    connection: Connection,
    server: String,
    tenant: String,
}

impl Api {
    /// Connects.
    pub(crate) async fn connect(args: &ClientArgs) -> Result<Self, Failure> {
        let server = if args.server.contains("://") { args.server.clone() } else { format!("http://{}", args.server) };
        let wrong = || {
            Failure::usage(format!("\"{}\" is not the URL of a server", args.server))
                .hint("use something like http://127.0.0.1:7070 for --server or MILLRACE_SERVER")
        };
        let mut endpoint = Endpoint::from_shared(server.clone()).map_err(|_| wrong())?.connect_timeout(CONNECT_TIMEOUT);
        if server.starts_with("https://") {
            endpoint = endpoint
                .tls_config(tonic::transport::ClientTlsConfig::new().with_native_roots())
                .map_err(|error| wrong().caused_by(&error))?;
        }
        let credential = match &args.token {
            Some(token) => Some(
                format!("Bearer {token}")
                    .parse()
                    .map_err(|_| Failure::usage("the token holds characters no token has"))?,
            ),
            None => None,
        };
        let channel = endpoint.connect().await.map_err(|error| {
            Failure::new(format!("cannot reach the server at {server}"))
                .caused_by(&error)
                .hint("is `millrace standalone` or `millrace control-plane` running there? --server or MILLRACE_SERVER names another")
        })?;
        let connection = InterceptedService::new(channel, Credential(credential));
        Ok(Self { connection, server, tenant: args.tenant.clone() })
    }

    pub(crate) fn connectors(&self) -> ConnectorServiceClient<Connection> {
        ConnectorServiceClient::new(self.connection.clone())
    }

    pub(crate) fn plugins(&self) -> PluginServiceClient<Connection> {
        PluginServiceClient::new(self.connection.clone())
    }

    pub(crate) fn workers(&self) -> WorkerServiceClient<Connection> {
        WorkerServiceClient::new(self.connection.clone())
    }

    /// `tenants/{tenant}`
    pub(crate) fn parent(&self) -> String {
        format!("tenants/{}", self.tenant)
    }

    /// `tenants/{tenant}/connectors/{connector}`
    pub(crate) fn name_of(&self, connector: &str) -> String {
        format!("{}/connectors/{connector}", self.parent())
    }

    /// All connectors of the tenant.
    pub(crate) async fn list(&self) -> Result<Vec<v1::Connector>, Failure> {
        let mut connectors = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListConnectorsRequest { parent: self.parent(), page_size: PAGE_SIZE, page_token };
            let answer = self.connectors().list_connectors(within(request)).await;
            let answer = answer.map_err(|status| self.failure("cannot list connectors", &status))?.into_inner();
            connectors.extend(answer.connectors);
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(connectors);
            }
        }
    }

    /// One connector.
    pub(crate) async fn get(&self, connector: &str) -> Result<v1::Connector, Failure> {
        let request = v1::GetConnectorRequest { name: self.name_of(connector) };
        let answer = self.connectors().get_connector(within(request)).await;
        let answer = answer.map_err(|status| self.failure(format!("cannot get connector {connector}"), &status))?;
        answer
            .into_inner()
            .connector
            .ok_or_else(|| Failure::new(format!("the server answered without connector {connector}")))
    }

    /// Its status.
    pub(crate) async fn status(&self, connector: &str) -> Result<v1::ConnectorStatus, Failure> {
        let request = v1::GetConnectorStatusRequest { name: self.name_of(connector) };
        let answer = self.connectors().get_connector_status(within(request)).await;
        let answer = answer.map_err(|status| self.failure(format!("cannot get the status of {connector}"), &status))?;
        answer
            .into_inner()
            .status
            .ok_or_else(|| Failure::new(format!("the server answered without a status of {connector}")))
    }

    /// What the server said, as a failure of `what`.
    pub(crate) fn failure(&self, what: impl std::fmt::Display, status: &Status) -> Failure {
        failure(&self.server, what, status)
    }
}

/// A request with the deadline of calls that answer once.
pub(crate) fn within<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// The last part of a resource name.
pub(crate) fn short_name(resource: &str) -> &str {
    resource.split_once("/connectors/").map_or(resource, |(_, name)| name)
}

fn failure(server: &str, what: impl std::fmt::Display, status: &Status) -> Failure {
    let details = status.get_error_details();
    let violations: Vec<_> = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    let message = match status.message() {
        "" => status.code().description().to_lowercase(),
        message => without_repetition(message),
    };
    let mut failure = Failure::new(format!("{what}: {message}"));
    for violation in violations.iter().filter(|violation| !message.contains(&violation.description)) {
        let field = violation.field.trim_start_matches("connector.").trim_start_matches("config.");
        failure = match field {
            "" => failure.detail(&violation.description),
            // Servers may name the key in the text already.
            field if violation.description.starts_with(field) => failure.detail(&violation.description),
            field => failure.detail(format!("{field}: {}", violation.description)),
        };
    }
    match status.code() {
        Code::Unavailable => failure.hint(format!("the server at {server} cannot answer now; try again")),
        Code::Unauthenticated => failure.hint("give a credential with --token or MILLRACE_TOKEN"),
        Code::DeadlineExceeded | Code::Cancelled => {
            failure.hint(format!("{server} did not answer within {} s", CALL_TIMEOUT.as_secs()))
        }
        Code::Unimplemented => failure.hint(format!("{server} is of a version that does not offer this")),
        Code::Aborted => failure.hint("somebody else changed it at the same time; look at it and try again"),
        // tonic's words for an answer that is not gRPC's.
        Code::Unknown | Code::Internal if message.contains("transport error") || message.contains("protocol error") => {
            failure.hint(format!("is {server} the address of the gRPC API? REST and metrics have ports of their own"))
        }
        _ => failure,
    }
}

/// Without the line in which Kafka Connect, and so our server, sends readers to another address for what is above it.
fn without_repetition(message: &str) -> String {
    let lines = message.trim().lines().filter(|line| !line.starts_with("You can also find the above list of errors"));
    lines.collect::<Vec<_>>().join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::{ErrorDetails, FieldViolation};

    #[test]
    fn a_refused_configuration_names_every_key() {
        let details = ErrorDetails::with_bad_request(vec![
            FieldViolation::new("config.connection.uri", "must be set"),
            FieldViolation::new("config.tasks.max", "tasks.max must be at least 1, not 0"),
            FieldViolation::new("", "topics and topics.regex exclude each other"),
        ]);
        let status = Status::with_error_details(Code::InvalidArgument, "the configuration has 3 problems", details);
        let text = failure("http://s", "cannot create connector a", &status).to_string();
        assert_eq!(
            text,
            "error: cannot create connector a: the configuration has 3 problems\n  connection.uri: must be set\n  \
             tasks.max must be at least 1, not 0\n  topics and topics.regex exclude each other"
        );
    }

    #[test]
    fn what_the_message_says_is_not_said_twice() {
        let details = ErrorDetails::with_bad_request(vec![FieldViolation::new("config.topics", "must be set")]);
        let message =
            "the configuration has 1 error(s):\ntopics: must be set\nYou can also find the above list of errors at x";
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        assert_eq!(
            failure("http://s", "cannot create a", &status).to_string(),
            "error: cannot create a: the configuration has 1 error(s):\n  topics: must be set"
        );
    }

    #[test]
    fn codes_have_remedies_and_never_debug_text() {
        for (code, part) in [
            (Code::Unavailable, "http://s cannot answer now"),
            (Code::Unauthenticated, "MILLRACE_TOKEN"),
            (Code::Aborted, "look at it and try again"),
        ] {
            let text = failure("http://s", "cannot stop a", &Status::new(code, "")).to_string();
            assert!(text.contains(part) && !text.contains('{'), "{text}");
        }
    }

    #[test]
    fn names_are_shortened() {
        assert_eq!(short_name("tenants/default/connectors/a/b"), "a/b");
        assert_eq!(short_name("plain"), "plain");
    }
}
