//! Looks for topics, and creates those that are to be there.

use std::time::{Duration, Instant};

use millrace_sdk::{Error, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::client::{ClientSettings, creation_error};
use crate::framework::NewTopicSettings;

const METADATA_LIMIT: Duration = Duration::from_secs(10);

/// Whether the topic had to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicOutcome {
    /// It is new
    Created,
    /// It was there
    Existed,
}

/// Sees to it that a topic exists.
///
/// # Errors
/// `Transient` when no broker answers, `BadConfig` when the broker refuses.
pub async fn ensure_topic(client: &ClientSettings, name: &str, new: &NewTopicSettings) -> Result<TopicOutcome> {
    let admin = admin(client).await?;
    let mut topic = NewTopic::new(name, new.partitions, TopicReplication::Fixed(new.replication));
    for (key, value) in &new.settings {
        topic = topic.set(key, value);
    }
    let outcome = admin.create_topics([&topic], &options()).await;
    close(admin).await;
    let outcome = outcome.map_err(|error| {
        Error::transient(format!("cannot create the topic {name}: no answer from Kafka")).because(error)
    })?;
    match outcome.into_iter().next() {
        None | Some(Ok(_)) => Ok(TopicOutcome::Created),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(TopicOutcome::Existed),
        Some(Err((_, code))) => Err(refused(name, new, code)),
    }
}

/// The topic's `max.message.bytes`: the most that a batch of records may have. None when the broker does not say.
///
/// # Errors
/// `BadConfig` when the client's settings are wrong.
pub async fn max_batch_bytes(client: &ClientSettings, name: &str) -> Result<Option<usize>> {
    let admin = admin(client).await?;
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(name)], &options()).await;
    close(admin).await;
    let described = described.ok().and_then(|described| described.into_iter().next()?.ok());
    let entry = described.as_ref().and_then(|topic| topic.get("max.message.bytes")?.value.as_ref());
    Ok(entry.and_then(|value| value.parse().ok()))
}

/// librdkafka's clients start and end threads and may wait for them: never on an async thread.
async fn admin(client: &ClientSettings) -> Result<AdminClient<DefaultClientContext>> {
    let config = client.config();
    tokio::task::spawn_blocking(move || config.create::<AdminClient<DefaultClientContext>>())
        .await
        .map_err(|error| Error::internal("cannot create a Kafka admin client").because(error))?
        .map_err(|error| creation_error("a Kafka admin client", error))
}

/// Dropping a client joins its thread.
async fn close(admin: AdminClient<DefaultClientContext>) {
    let closing = tokio::task::spawn_blocking(move || drop(admin));
    let _ = closing.await;
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(Duration::from_secs(10))).operation_timeout(Some(Duration::from_secs(10)))
}

/// The partitions of a topic; None when there is no such topic. Looking creates none. `client` is of any kind.
///
/// # Errors
/// `Transient` when no broker answers.
pub async fn partitions(client: &ClientSettings, name: &str) -> Result<Option<Vec<i32>>> {
    let (config, name) = (client.config(), name.to_owned());
    let look = move || -> Result<Option<Vec<i32>>> {
        // Other than a producer's question for metadata, a consumer's creates no topic.
        let consumer: BaseConsumer<Quiet> =
            config.create_with_context(Quiet).map_err(|error| creation_error("a Kafka client", error))?;
        let metadata = consumer.fetch_metadata(Some(&name), METADATA_LIMIT).map_err(|error| {
            Error::transient(format!("cannot look for the topic {name}: Kafka does not answer")).because(error)
        })?;
        let found = metadata.topics().first().filter(|found| found.error().is_none());
        let partitions = found.map(|found| found.partitions().iter().map(|one| one.id()).collect::<Vec<_>>());
        Ok(partitions.filter(|partitions| !partitions.is_empty()))
    };
    tokio::task::spawn_blocking(look)
        .await
        .map_err(|error| Error::internal("looking for a topic ended").because(error))?
}

/// The partitions of a topic that was just created: the brokers hear of it one by one.
///
/// # Errors
/// `Transient` when it does not appear in time.
pub async fn appeared(client: &ClientSettings, name: &str) -> Result<Vec<i32>> {
    let until = Instant::now() + METADATA_LIMIT;
    loop {
        if let Some(partitions) = partitions(client, name).await? {
            return Ok(partitions);
        }
        if Instant::now() >= until {
            return Err(Error::transient(format!("the topic {name} was created but does not appear")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What librdkafka says comes back from the calls, and the end of a partition is no error here.
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Quiet {}

fn refused(name: &str, new: &NewTopicSettings, code: RDKafkaErrorCode) -> Error {
    let NewTopicSettings { prefix, replication, partitions, settings } = new;
    match code {
        RDKafkaErrorCode::InvalidReplicationFactor => Error::bad_config(format!(
            "cannot create the topic {name}: the Kafka cluster has fewer brokers than the replication factor \
             {replication}; set a smaller {prefix}replication.factor, or create the topic yourself"
        )),
        RDKafkaErrorCode::InvalidPartitions => Error::bad_config(format!(
            "cannot create the topic {name}: the Kafka cluster does not take {partitions} partitions; set another \
             {prefix}partitions, or create the topic yourself"
        )),
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            Error::bad_config(format!(
                "not authorized to create the topic {name}: grant CREATE to the tenant's Kafka user, or create the topic \
                 yourself"
            ))
        }
        RDKafkaErrorCode::InvalidConfig | RDKafkaErrorCode::PolicyViolation => {
            let keys: Vec<String> = settings.iter().map(|(key, value)| format!("{prefix}{key}={value}")).collect();
            Error::bad_config(format!(
                "cannot create the topic {name}: {code}; the broker refuses one of {prefix}partitions={partitions}, \
                 {prefix}replication.factor={replication}{}{}",
                if keys.is_empty() { "" } else { ", " },
                keys.join(", ")
            ))
        }
        RDKafkaErrorCode::InvalidTopic => Error::bad_config(format!("cannot create the topic {name}: {code}")),
        other => Error::transient(format!("cannot create the topic {name}: {other}")),
    }
}
