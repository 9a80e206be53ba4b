//! One question to one broker, and what its answer means.

use std::time::Duration;

use super::asking::{Ask, Sending};
use super::batch::Refusal;
use super::shared::Shared;
use super::state::Verdict;
use crate::kafka::wire::{Cluster, Connection, Fault, NewProducer, ProduceRequest, Produced, code};

/// A question that was answered, or not.
pub(super) struct Exchanged {
    pub(super) ask: Ask,
    /// To be used again
    pub(super) connection: Option<Connection>,
    pub(super) outcome: Result<Brought, Fault>,
}

/// What an answer has brought.
pub(super) enum Brought {
    /// What is said of batches; no question is welcome for some time
    Written(Vec<Produced>, Duration),
    Places(Cluster),
    Name(NewProducer),
}

/// Carries out a question.
pub(super) async fn exchange(shared: &Shared, mut ask: Ask, connection: Option<Connection>) -> Exchanged {
    let connection = match connection {
        Some(connection) => Ok(connection),
        None => Connection::open(shared.settings.reach.endpoint(shared.address(ask.broker()))).await,
    };
    let mut connection = match connection {
        Ok(connection) => connection,
        Err(fault) => return Exchanged { ask, connection: None, outcome: Err(fault) },
    };
    let outcome = match &mut ask {
        Ask::Write(_, sendings) => write(shared, &mut connection, sendings).await,
        Ask::Places(topics) => connection.metadata(topics.iter().map(|topic| &**topic)).await.map(Brought::Places),
        Ask::Name => connection.new_producer().await.map(Brought::Name),
    };
    let connection = outcome.is_ok().then_some(connection);
    Exchanged { ask, connection, outcome }
}

async fn write(shared: &Shared, connection: &mut Connection, sendings: &mut [Sending]) -> Result<Brought, Fault> {
    let settings = &shared.settings;
    for sending in &mut *sendings {
        let closed =
            sending.pending.closed(settings.codec, || shared.state().room(), |room| shared.state().give_room(room));
        closed.sign(sending.name, sending.sequence);
    }
    let batches =
        sendings.iter().map(|sending| (&*sending.topic, sending.partition(), sending.pending.bytes())).collect();
    let request = ProduceRequest { acks: settings.acks, timeout: settings.timeout, batches };
    let (produced, throttled) = connection.produce(&request).await?;
    Ok(Brought::Written(produced, throttled))
}

/// What a broker's answer means for a batch.
pub(super) fn verdict(produced: &Produced) -> Verdict {
    let refusal = || Refusal::Kafka { code: produced.error, message: produced.message.clone() };
    match produced.error {
        code::NONE | code::DUPLICATE_SEQUENCE_NUMBER => Verdict::Written,
        code::MESSAGE_TOO_LARGE | code::RECORD_LIST_TOO_LARGE => Verdict::TooLarge(refusal()),
        code::OUT_OF_ORDER_SEQUENCE_NUMBER
        | code::UNKNOWN_PRODUCER_ID
        | code::INVALID_PRODUCER_EPOCH
        | code::INVALID_PRODUCER_ID_MAPPING => Verdict::Forgotten(refusal()),
        code::INVALID_RECORD | code::INVALID_TIMESTAMP => Verdict::Refused(refusal(), produced.records.clone()),
        code::INVALID_TOPIC
        | code::TOPIC_AUTHORIZATION_FAILED
        | code::CLUSTER_AUTHORIZATION_FAILED
        | code::UNSUPPORTED_VERSION
        | code::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | code::POLICY_VIOLATION
        | code::UNSUPPORTED_COMPRESSION_TYPE => Verdict::Refused(refusal(), Vec::new()),
        // Leaders change, replicas are slow, disks fail: all of that passes, or is told by and by.
        _ => Verdict::Again(refusal()),
    }
}
