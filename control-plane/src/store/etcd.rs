//! The store in etcd, for real deployments. Every call has a time limit, reads are tried again within it, watches
//! reconnect by themselves. A commit is never tried again: nobody knows whether an unanswered one happened.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, DeleteOptions, Error, GetOptions, Identity, KeyValue,
    PutOptions, TlsOptions, Txn, TxnOp,
};
use futures::stream::BoxStream;
use millrace_sdk::Secret;
use tokio::time::{Instant, sleep, timeout};

use super::etcd_watch::Watcher;
use super::limits::check_limits;
use super::{Commit, Entry, Event, Guard, LeaseId, Listing, Store, StoreError, Write};

/// Entries fetched at once by a listing.
const PAGE: i64 = 1000;
/// Between two tries of a read.
const PAUSE: Duration = Duration::from_millis(100);
/// etcd takes pings that come more often for an attack.
const PING: Duration = Duration::from_secs(6);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// How to reach etcd.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// `http://host:port` or `https://host:port`, all of one cluster
    pub endpoints: Vec<String>,
    /// Name and password, where etcd asks for them
    pub user: Option<(String, Secret)>,
    /// PEM file with the authorities to trust, for `https`
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate, for mutual TLS
    pub cert_file: Option<PathBuf>,
    /// PEM file with the key to it
    pub key_file: Option<PathBuf>,
    /// For every call
    pub timeout: Duration,
}

impl EtcdOptions {
    /// Without credentials.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        let timeout = Duration::from_secs(3);
        Self { endpoints, user: None, ca_file: None, cert_file: None, key_file: None, timeout }
    }
}

/// A connection to etcd.
pub struct EtcdStore {
    client: Client,
    timeout: Duration,
}

impl EtcdStore {
    /// Connects, and sees that etcd answers.
    pub async fn connect(options: EtcdOptions) -> Result<Self, StoreError> {
        let named = options.endpoints.join(", ");
        let settings = connect_options(&options).await?;
        let connected = timeout(options.timeout, Client::connect(&options.endpoints, Some(settings))).await;
        let client = match connected {
            Ok(connected) => connected.map_err(|error| at(&named, store_error(error)))?,
            Err(_) => return Err(silent(&named, options.timeout)),
        };
        let store = Self { client, timeout: options.timeout };
        store.get(super::keys::ROOT).await.map_err(|error| at(&named, error))?;
        Ok(store)
    }

    /// Tries a read until it is answered or its time is over.
    async fn read<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let end = Instant::now() + self.timeout;
        loop {
            let error = match tokio::time::timeout_at(end, call(self.client.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => store_error(error),
                Err(_) => return Err(silent("etcd", self.timeout)),
            };
            if !matches!(error, StoreError::Unavailable(_)) || Instant::now() + PAUSE >= end {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    async fn once<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(store_error),
            Err(_) => Err(silent("etcd", self.timeout)),
        }
    }

    async fn pages(&self, prefix: &str) -> Result<Listing, StoreError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut revision = 0;
        let mut from = prefix.as_bytes().to_vec();
        loop {
            let mut options = GetOptions::new().with_range(prefix_end(prefix)).with_limit(PAGE);
            if revision > 0 {
                options = options.with_revision(revision);
            }
            let page = self
                .read(|client| {
                    let (from, options) = (from.clone(), options.clone());
                    // The limit on answers would be 4 MiB, fewer than a page of large values.
                    async move { client.kv_client().max_decoding_message_size(usize::MAX).get(from, Some(options)).await }
                })
                .await?;
            if revision == 0 {
                revision = page.header().map_or(0, etcd_client::ResponseHeader::revision);
            }
            for kv in page.kvs() {
                entries.push(entry(kv)?);
            }
            let Some(last) = page.kvs().last().filter(|_| page.more()) else {
                return Ok(Listing { entries, revision });
            };
            from = last.key().to_vec();
            from.push(0);
        }
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let found = self.read(|client| async move { client.kv_client().get(key, None).await }).await?;
        found.kvs().first().map(entry).transpose()
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        match self.pages(prefix).await {
            // The history went between two pages: from the start, once.
            Err(StoreError::Conflict) => self.pages(prefix).await,
            listed => listed,
        }
    }

    async fn watch(&self, prefix: &str, from_revision: i64) -> Result<BoxStream<'static, Event>, StoreError> {
        let watcher = Watcher::open(self.client.clone(), prefix, from_revision, self.timeout).await?;
        Ok(watcher.into_stream())
    }

    async fn commit(&self, commit: Commit) -> Result<i64, StoreError> {
        check_limits(&commit)?;
        let compares: Vec<Compare> = commit.guards.into_iter().map(compare).collect();
        let operations: Vec<TxnOp> = commit.writes.into_iter().map(operation).collect();
        let mut client = self.client.clone();
        let answer = self.once(client.txn(Txn::new().when(compares).and_then(operations))).await?;
        if !answer.succeeded() {
            return Err(StoreError::Conflict);
        }
        Ok(answer.header().map_or(0, etcd_client::ResponseHeader::revision))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let seconds = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1);
        let mut client = self.client.clone();
        let answer = self.once(client.lease_grant(seconds, None)).await?;
        Ok(LeaseId(answer.id()))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        let mut client = self.client.clone();
        self.once(client.lease_keep_alive(lease.0)).await.map(drop)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let mut client = self.client.clone();
        match self.once(client.lease_revoke(lease.0)).await {
            Ok(_) | Err(StoreError::LeaseExpired) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn compare(guard: Guard) -> Compare {
    match guard {
        Guard::Revision { key, revision } => Compare::mod_revision(key, CompareOp::Equal, revision),
        Guard::Created { key, revision } => Compare::create_revision(key, CompareOp::Equal, revision),
        Guard::Absent { key } => Compare::create_revision(key, CompareOp::Equal, 0),
    }
}

fn operation(write: Write) -> TxnOp {
    match write {
        Write::Put { key, value, lease } => {
            let options = lease.map(|lease| PutOptions::new().with_lease(lease.0));
            TxnOp::put(key, value, options)
        }
        Write::Delete { key } => TxnOp::delete(key, None),
        Write::DeletePrefix { prefix } => TxnOp::delete(prefix, Some(DeleteOptions::new().with_prefix())),
    }
}

/// An entry of ours; keys are text.
pub(super) fn entry(kv: &KeyValue) -> Result<Entry, StoreError> {
    let key = kv.key_str().map_err(|_| StoreError::Internal("a key that is not UTF-8 lies among ours".to_owned()))?;
    Ok(Entry {
        key: key.to_owned(),
        value: kv.value().to_vec(),
        revision: kv.mod_revision(),
        created: kv.create_revision(),
    })
}

/// The first key after all that start with the prefix.
fn prefix_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

fn silent(whom: &str, limit: Duration) -> StoreError {
    StoreError::Unavailable(format!("no answer from {whom} within {} ms", limit.as_millis()))
}

fn at(endpoints: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(format!("etcd at {endpoints}: {why}")),
        StoreError::Internal(why) => StoreError::Internal(format!("etcd at {endpoints}: {why}")),
        other => other,
    }
}

/// What the client says, in the store's terms.
pub(super) fn store_error(error: Error) -> StoreError {
    use tonic::Code;
    match error {
        Error::GRpcStatus(status) => match status.code() {
            Code::NotFound if status.message().contains("lease") => StoreError::LeaseExpired,
            Code::InvalidArgument if status.message().contains("too large") => {
                StoreError::TooLarge(status.message().to_owned())
            }
            // Asked for a revision that is compacted; only a listing of several pages does.
            Code::OutOfRange if status.message().contains("compacted") => StoreError::Conflict,
            Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument | Code::FailedPrecondition => {
                StoreError::Internal(format!("etcd refused: {}", status.message()))
            }
            _ => StoreError::Unavailable(status.message().to_owned()),
        },
        Error::LeaseKeepAliveError(why) if why.contains("not found") => StoreError::LeaseExpired,
        Error::TransportError(error) => StoreError::Unavailable(with_causes(&error)),
        Error::IoError(error) => StoreError::Unavailable(error.to_string()),
        Error::WatchError(why) | Error::LeaseKeepAliveError(why) => StoreError::Unavailable(why),
        other => StoreError::Internal(other.to_string()),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn connect_options(options: &EtcdOptions) -> Result<ConnectOptions, StoreError> {
    let mut settings = ConnectOptions::new()
        .with_connect_timeout(options.timeout)
        .with_keep_alive(PING, PING_TIMEOUT)
        .with_require_leader(true);
    if let Some((name, password)) = &options.user {
        settings = settings.with_user(name, password.reveal()).with_auto_token_refresh(true);
    }
    let (ca, certificate, key) = (&options.ca_file, &options.cert_file, &options.key_file);
    if ca.is_none() && certificate.is_none() && key.is_none() {
        return Ok(settings);
    }
    let mut tls = TlsOptions::new();
    match ca {
        Some(file) => tls = tls.ca_certificate(Certificate::from_pem(pem(file).await?)),
        None => tls = tls.with_native_roots(),
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            tls = tls.identity(Identity::from_pem(pem(certificate).await?, pem(key).await?));
        }
        (None, None) => {}
        _ => {
            return Err(StoreError::Internal("etcd: a client certificate and its key are given together".to_owned()));
        }
    }
    Ok(settings.with_tls(tls))
}

async fn pem(file: &PathBuf) -> Result<Vec<u8>, StoreError> {
    tokio::fs::read(file)
        .await
        .map_err(|error| StoreError::Internal(format!("etcd: cannot read {}: {error}", file.display())))
}
