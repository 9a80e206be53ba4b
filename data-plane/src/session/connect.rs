//! How a worker reaches the control plane: over the network, at one of several endpoints, or inside the same process.

use std::time::Duration;

use millrace_proto::internal::v1::worker_session_service_client::WorkerSessionServiceClient;
use millrace_sdk::Secret;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that is dead without a word is found out by these.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A whole assignment comes in chunks of less than one MiB; some room for one large configuration.
const MESSAGE_LIMIT: usize = 8 * 1024 * 1024;

pub(super) type Client = WorkerSessionServiceClient<InterceptedService<Channel, Bearer>>;

/// Where the control plane is.
#[derive(Debug, Clone)]
pub enum SessionTransport {
    /// Over the network
    Remote {
        /// `http://host:7071` or `https://host:7071`; tried in turn
        endpoints: Vec<String>,
        /// The workers' credential
        token: Option<Secret>,
        /// PEM of the authority that signed the control plane's certificate; the system's authorities without it
        ca: Option<String>,
    },
    /// In this process
    Local(Channel),
}

/// Why the control plane cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No endpoint at all
    #[error("no control plane endpoint is configured")]
    NoEndpoint,
    /// Not a URI we can use
    #[error("{endpoint} is not an endpoint such as http://host:7071: {reason}")]
    Endpoint {
        /// As configured
        endpoint: String,
        /// Why not
        reason: String,
    },
    /// The token cannot be sent
    #[error("the worker token holds characters that cannot be sent in a header")]
    Token,
    /// Nobody answers there
    #[error("cannot reach the control plane at {endpoint}")]
    Unreachable {
        /// As configured
        endpoint: String,
        /// What happened
        source: tonic::transport::Error,
    },
}

/// Adds the workers' credential to each call.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    fn new(token: Option<&Secret>) -> Result<Self, ConnectError> {
        let Some(token) = token else { return Ok(Self(None)) };
        let mut value: MetadataValue<Ascii> =
            format!("Bearer {}", token.reveal().trim()).parse().map_err(|_| ConnectError::Token)?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl SessionTransport {
    /// Proves that the configuration makes sense; connects nowhere.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), ConnectError> {
        let Self::Remote { endpoints, token, ca } = self else { return Ok(()) };
        if endpoints.is_empty() {
            return Err(ConnectError::NoEndpoint);
        }
        Bearer::new(token.as_ref())?;
        endpoints.iter().try_for_each(|endpoint| configured(endpoint, ca.as_deref()).map(|_| ()))
    }

    /// A client for the next attempt; endpoints take turns.
    pub(super) async fn connect(&self, attempt: usize) -> Result<Client, ConnectError> {
        let (channel, bearer) = match self {
            Self::Local(channel) => (channel.clone(), Bearer(None)),
            Self::Remote { endpoints, token, ca } => {
                if endpoints.is_empty() {
                    return Err(ConnectError::NoEndpoint);
                }
                let bearer = Bearer::new(token.as_ref())?;
                let endpoint = &endpoints[attempt % endpoints.len()];
                let channel = configured(endpoint, ca.as_deref())?
                    .connect()
                    .await
                    .map_err(|source| ConnectError::Unreachable { endpoint: endpoint.clone(), source })?;
                (channel, bearer)
            }
        };
        Ok(WorkerSessionServiceClient::with_interceptor(channel, bearer).max_decoding_message_size(MESSAGE_LIMIT))
    }
}

fn configured(endpoint: &str, ca: Option<&str>) -> Result<Endpoint, ConnectError> {
    let wrong = |reason: String| ConnectError::Endpoint { endpoint: endpoint.to_owned(), reason };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(wrong("it must begin with http:// or https://".to_owned()));
    }
    let mut configured = Endpoint::from_shared(endpoint.to_owned())
        .map_err(|error| wrong(error.to_string()))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    if endpoint.starts_with("https://") {
        let tls = match ca {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        configured = configured.tls_config(tls).map_err(|error| wrong(super::error_chain(&error)))?;
    }
    Ok(configured)
}
