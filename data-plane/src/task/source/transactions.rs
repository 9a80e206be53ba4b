//! The transactions of a task that runs exactly once. Its transactional id is stable, so that Kafka itself fences whatever life
//! of the task was there before. librdkafka's calls block, and are made beside the async threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_sdk::{Error, ErrorKind, Result};
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::kafka::client::creation_error;
use crate::kafka::{ClientSettings, Counting, Producer, SharedProducer};

/// How long one call may take before it is made again …
const CALL: Duration = Duration::from_secs(10);
/// … and how long that goes on.
const LIMIT: Duration = Duration::from_secs(120);
/// Kafka's own default.
const TRANSACTION_TIMEOUT_MS: i64 = 60_000;

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The transaction must be aborted; another may begin
    Abort(Error),
    /// Nothing more can be done with this producer
    Final(Error),
}

impl Failed {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Abort(error) | Self::Final(error) => error,
        }
    }
}

/// A transactional producer.
pub(super) struct Transactions {
    producer: SharedProducer,
    id: Arc<str>,
}

impl Transactions {
    /// Takes the transactional id over: whoever had it is fenced, what it had begun is aborted when this returns.
    pub(super) async fn open(settings: &ClientSettings, id: &str) -> Result<Self> {
        let number = |name: &str| settings.property(name).and_then(|text| text.parse::<i64>().ok());
        let timeout = number("transaction.timeout.ms").unwrap_or(TRANSACTION_TIMEOUT_MS);
        // A record that waits for longer than its transaction may last is of no use to anybody.
        let patience = number("message.timeout.ms").filter(|ms| *ms > 0).map_or(timeout, |ms| ms.min(timeout));
        let config = settings
            .clone()
            .with("transactional.id", id)
            .with("transaction.timeout.ms", timeout.to_string())
            .with("message.timeout.ms", patience.to_string())
            .config();
        let created = tokio::task::spawn_blocking(move || config.create_with_context::<_, Producer>(Counting)).await;
        let producer = created
            .map_err(|error| Error::internal("creating a Kafka producer ended").because(error))?
            .map_err(|error| creation_error("a transactional Kafka producer", error))?;
        let transactions = Self { producer: Arc::new(producer), id: id.into() };
        transactions
            .call("take over", |producer| producer.init_transactions(CALL))
            .await
            .map_err(Failed::into_error)?;
        Ok(transactions)
    }

    /// What writes into the transactions.
    pub(super) fn producer(&self) -> &SharedProducer {
        &self.producer
    }

    pub(super) async fn begin(&self) -> Result<(), Failed> {
        self.call("begin a transaction of", |producer| producer.begin_transaction()).await
    }

    /// Waits for all records of the transaction, and commits it.
    pub(super) async fn commit(&self) -> Result<(), Failed> {
        self.call("commit a transaction of", |producer| producer.commit_transaction(CALL)).await
    }

    pub(super) async fn abort(&self) -> Result<(), Failed> {
        self.call("abort a transaction of", |producer| producer.abort_transaction(CALL)).await
    }

    /// Closing a client joins its threads.
    pub(super) async fn close(self) {
        let closing = tokio::task::spawn_blocking(move || drop(self));
        let _ = closing.await;
    }

    /// Calls again what may be called again.
    async fn call(
        &self,
        doing: &'static str,
        call: impl Fn(&Producer) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), Failed> {
        let (producer, id) = (Arc::clone(&self.producer), Arc::clone(&self.id));
        let calling = move || {
            let began = Instant::now();
            loop {
                let Err(error) = call(&producer) else { return Ok(()) };
                let again = matches!(&error, KafkaError::Transaction(cause) if cause.is_retriable());
                if !again || began.elapsed() >= LIMIT {
                    return Err(judge(&producer, doing, &id, error));
                }
            }
        };
        let ended = |error| Failed::Final(Error::internal("a call of librdkafka ended").because(error));
        tokio::task::spawn_blocking(calling).await.map_err(ended)?
    }
}

fn judge(producer: &Producer, doing: &str, id: &str, error: KafkaError) -> Failed {
    let requires_abort = matches!(&error, KafkaError::Transaction(cause) if cause.txn_requires_abort());
    let code = producer.client().fatal_error().map(|(code, _)| code).or_else(|| error.rdkafka_error_code());
    let message = format!("cannot {doing} the transactional id {id}");
    match code {
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => {
            let message = format!("{message}: a newer life of the task has it");
            Failed::Final(Error::new(ErrorKind::Fenced, message).because(error))
        }
        Some(Code::TransactionalIdAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
            let message = format!("{message}: grant WRITE and DESCRIBE on it to the tenant's Kafka user");
            Failed::Final(Error::bad_config(message).because(error))
        }
        Some(Code::InvalidTransactionTimeout) => {
            let message = format!("{message}: set a smaller producer.override.transaction.timeout.ms");
            Failed::Final(Error::bad_config(message).because(error))
        }
        _ if requires_abort => Failed::Abort(Error::transient(message).because(error)),
        _ => Failed::Final(Error::transient(message).because(error)),
    }
}
