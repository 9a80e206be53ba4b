//! What a producer's task and those that add records share, and what becomes of answers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_sdk::{Error, Result};
use tokio::sync::Notify;

use super::Tell;
use super::asking::{APPEARS, Ask, Sending};
use super::batch::Refusal;
use super::exchange::{Brought, Exchanged, verdict};
use super::settings::Settings;
use super::state::{State, Verdict};
use crate::kafka::not_allowed;
use crate::kafka::wire::{Cluster, Connection, Fault, Produced, TELL_AFTER, code};

pub(super) struct Shared {
    pub(super) settings: Settings,
    state: Mutex<State>,
    /// There may be something to ask
    changed: Notify,
    /// It is known better where partitions are, or nothing can be written any more
    known: Notify,
    failure: Mutex<Option<Error>>,
    tell: Tell,
}

impl Shared {
    pub(super) fn new(settings: Settings, tell: Tell) -> Self {
        let (state, failure) = (Mutex::default(), Mutex::default());
        Self { settings, state, changed: Notify::new(), known: Notify::new(), failure, tell }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.changed.notified().await;
    }

    pub(super) fn decide(&self, now: Instant) -> (Vec<Ask>, Option<Instant>) {
        self.state().asks(&self.settings.limits, now)
    }

    pub(super) fn address(&self, broker: Option<i32>) -> (String, u16) {
        let state = self.state();
        self.settings.reach.address(broker, &state.cluster, state.places.failures + state.naming.failures)
    }

    /// See [`super::DirectProducer::know`].
    pub(super) async fn know(&self, topic: &str, most: Option<usize>) -> Result<()> {
        let since = Instant::now();
        loop {
            let known = self.known.notified();
            {
                let mut state = self.state();
                let index = state.topic(topic, since);
                let error = state.cluster.errors.get(topic).copied();
                let topic = &mut state.topics[index];
                topic.most = most;
                if !topic.partitions.is_empty() {
                    return Ok(());
                }
                match error {
                    Some(code::TOPIC_AUTHORIZATION_FAILED) => {
                        return Err(not_allowed(&topic.name));
                    }
                    Some(_) if since.elapsed() > APPEARS => {
                        return Err(Error::transient(format!("Kafka does not have the topic {}", topic.name)));
                    }
                    _ => {}
                }
            }
            self.wake();
            tokio::select! {
                () = known => {}
                error = self.failed() => return Err(error),
            }
        }
    }

    /// See [`super::DirectProducer::failed`].
    pub(super) async fn failed(&self) -> Error {
        loop {
            let known = self.known.notified();
            if let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return error;
            }
            known.await;
        }
    }

    pub(super) fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.known.notify_waiters();
    }

    /// A question is answered, or not. Gives the connection back, with its broker.
    pub(super) fn settle(&self, done: Exchanged) -> Option<(i32, Connection)> {
        let now = Instant::now();
        let Exchanged { ask, connection, outcome } = done;
        let broker = ask.broker();
        match (ask, outcome) {
            (Ask::Write(broker, sendings), Ok(Brought::Written(produced, throttled))) => {
                self.written(broker, sendings, &produced, throttled, now);
            }
            (_, Ok(Brought::Places(cluster))) => self.found(cluster, now),
            (_, Ok(Brought::Name(name))) => self.state().named(Some(name), &self.settings.limits, now),
            (ask, Err(fault)) => self.faulted(ask, &fault, now),
            (_, Ok(Brought::Written(..))) => {}
        }
        self.tell_trouble();
        broker.zip(connection)
    }

    fn written(&self, broker: i32, sendings: Vec<Sending>, produced: &[Produced], throttled: Duration, now: Instant) {
        let limits = &self.settings.limits;
        let mut state = self.state();
        state.link(broker, Some(throttled), limits, now);
        for sending in sendings {
            let answer = produced
                .iter()
                .find(|answer| answer.partition == sending.partition() && *answer.topic == *sending.topic)
                .map_or_else(
                    || Verdict::Again(Refusal::Fault("the broker's answer leaves it out".to_owned())),
                    verdict,
                );
            if let Verdict::Again(why) | Verdict::Forgotten(why) = &answer {
                tracing::debug!(topic = %sending.topic, partition = sending.partition(), %why, "a batch goes again");
            }
            state.settle(sending, answer, limits, now);
        }
    }

    fn found(&self, cluster: Cluster, now: Instant) {
        self.state().found(cluster, &self.settings.limits, now);
        self.known.notify_waiters();
    }

    /// A broker did not answer as it should.
    fn faulted(&self, ask: Ask, fault: &Fault, now: Instant) {
        let broker = ask.broker();
        tracing::debug!(broker, %fault, "a broker does not answer");
        let (host, port) = self.address(broker);
        let limits = &self.settings.limits;
        let mut state = self.state();
        let failures = match ask {
            Ask::Write(broker, sendings) => {
                for sending in sendings {
                    state.settle(sending, Verdict::Again(Refusal::Fault(fault.to_string())), limits, now);
                }
                state.link(broker, None, limits, now)
            }
            Ask::Places(_) => {
                state.not_found(limits, now);
                state.places.failures
            }
            Ask::Name => {
                state.named(None, limits, now);
                state.naming.failures
            }
        };
        drop(state);
        match fault {
            Fault::Kafka(code::CLUSTER_AUTHORIZATION_FAILED | code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED) => {
                self.fail(Error::bad_config(
                    "not allowed to write idempotently: grant WRITE on a topic, or IDEMPOTENT_WRITE on the cluster, to the \
                     tenant's Kafka user, or set producer.override.enable.idempotence=false (a record may then be written twice \
                     when a broker fails)",
                ));
            }
            _ if fault.is_final() => {
                self.fail(Error::bad_config(format!(
                    "Kafka at {host}:{port} cannot be written to: {fault}, as Kafka does since 2.4"
                )));
            }
            _ if failures >= TELL_AFTER => {
                let hint = match fault {
                    Fault::Tls(_) => "; check ssl.*",
                    Fault::Login(_) => "; check sasl.* and security.protocol",
                    _ => "",
                };
                self.state().told = true;
                (self.tell)(Some(format!(
                    "records cannot be written to Kafka at {host}:{port}: {fault}{hint}; it is tried again and again"
                )));
            }
            _ => {}
        }
    }

    /// Tells of a partition that is refused again and again, and takes back what was told once nothing fails any more.
    fn tell_trouble(&self) {
        let mut state = self.state();
        let trouble =
            state.trouble().filter(|(_, _, why)| !matches!(why, Refusal::Fault(_))).map(|(topic, partition, why)| {
                format!("records cannot be written to {topic}-{partition}: {why}; it is tried again and again")
            });
        if trouble.is_some() {
            state.told = true;
        } else if !state.told || !state.is_well() {
            return;
        } else {
            state.told = false;
        }
        drop(state);
        (self.tell)(trouble);
    }
}
