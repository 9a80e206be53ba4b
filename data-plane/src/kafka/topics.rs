//! Creates a topic that is to be there.

use std::time::Duration;

use millrace_sdk::{Error, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::client::{ClientSettings, creation_error};

/// Whether the topic had to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicOutcome {
    /// It is new
    Created,
    /// It was there
    Existed,
}

/// Sees to it that a topic exists. `settings` are the broker-side settings of a new topic.
///
/// # Errors
/// `Transient` when no broker answers, `BadConfig` when the broker refuses.
pub async fn ensure_topic(
    client: &ClientSettings,
    name: &str,
    partitions: i32,
    replication: i32,
    settings: &[(&str, &str)],
) -> Result<TopicOutcome> {
    // librdkafka's clients start and end threads and may wait for them: never on an async thread.
    let config = client.config();
    let admin = tokio::task::spawn_blocking(move || config.create::<AdminClient<DefaultClientContext>>())
        .await
        .map_err(|error| Error::internal("cannot create a Kafka admin client").because(error))?
        .map_err(|error| creation_error("a Kafka admin client", error))?;
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    let options = AdminOptions::new()
        .request_timeout(Some(Duration::from_secs(10)))
        .operation_timeout(Some(Duration::from_secs(10)));
    let outcome = admin.create_topics([&topic], &options).await;
    // Dropping it joins its thread.
    let closing = tokio::task::spawn_blocking(move || drop(admin));
    let _ = closing.await;
    let outcome = outcome.map_err(|error| {
        Error::transient(format!("cannot create the topic {name}: no answer from Kafka")).because(error)
    })?;
    match outcome.into_iter().next() {
        None | Some(Ok(_)) => Ok(TopicOutcome::Created),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(TopicOutcome::Existed),
        Some(Err((_, code))) => Err(refused(name, replication, code)),
    }
}

fn refused(name: &str, replication: i32, code: RDKafkaErrorCode) -> Error {
    match code {
        RDKafkaErrorCode::InvalidReplicationFactor => Error::bad_config(format!(
            "cannot create the topic {name}: the Kafka cluster has fewer brokers than the replication factor \
             {replication}; set a smaller replication factor, or create the topic yourself"
        )),
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            Error::bad_config(format!(
                "not authorized to create the topic {name}: grant CREATE to the tenant's Kafka user, or create the topic \
                 yourself"
            ))
        }
        RDKafkaErrorCode::InvalidTopic | RDKafkaErrorCode::PolicyViolation | RDKafkaErrorCode::InvalidConfig => {
            Error::bad_config(format!("cannot create the topic {name}: {code}"))
        }
        other => Error::transient(format!("cannot create the topic {name}: {other}")),
    }
}
