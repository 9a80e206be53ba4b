//! The table of Kafka client settings: a Java property and what becomes of it in librdkafka. What is not here never reaches
//! librdkafka, so that a setting that loads code, runs a command or reads a file of the worker cannot slip through.

use super::client::ClientKind;

/// What becomes of a Java property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// librdkafka has it under the same name
    Same,
    /// librdkafka has it under this name
    Renamed(&'static str),
    /// `client::translate` knows
    Translated,
    /// Accepted without effect, and why
    Ignored(&'static str),
    /// An error, and why
    Refused(&'static str),
}

use Action::{Ignored, Refused, Renamed, Same, Translated};

const FILES: &str = "it reads a file of the worker; give PEM text in ssl.truststore.certificates, \
                     ssl.keystore.certificate.chain and ssl.keystore.key";
const CODE: &str = "it loads code into the worker";
const COMMAND: &str = "it runs a command on the worker";
const KERBEROS: &str = "Kerberos is not available; use PLAIN, SCRAM or mutual TLS";
const OAUTH: &str = "OAUTHBEARER is not available yet; use PLAIN, SCRAM or mutual TLS";
const CONVERTERS: &str = "key.converter and value.converter decide on this";
const JVM: &str = "it tunes the Java client's metrics or TLS provider, which is not here";
const TLS: &str = "TLS versions and ciphers are negotiated by OpenSSL, which names them differently";
const OWN_OFFSETS: &str = "offsets are committed by the task, after the store has confirmed";

/// Settings of every client.
const COMMON: &[(&str, Action)] = &[
    ("bootstrap.servers", Same),
    ("client.id", Same),
    ("client.rack", Same),
    ("client.dns.lookup", Same),
    ("connections.max.idle.ms", Same),
    ("metadata.max.age.ms", Renamed("topic.metadata.refresh.interval.ms")),
    ("reconnect.backoff.ms", Same),
    ("reconnect.backoff.max.ms", Same),
    ("retry.backoff.ms", Same),
    ("retry.backoff.max.ms", Same),
    ("receive.buffer.bytes", Translated),
    ("send.buffer.bytes", Translated),
    ("request.timeout.ms", Translated),
    ("default.api.timeout.ms", Ignored("each call here has a limit of its own")),
    ("socket.connection.setup.timeout.ms", Same),
    ("socket.connection.setup.timeout.max.ms", Ignored("librdkafka backs off between connections instead")),
    ("metadata.recovery.strategy", Same),
    ("metadata.recovery.rebootstrap.trigger.ms", Same),
    ("enable.metrics.push", Same),
    ("security.protocol", Same),
    ("sasl.mechanism", Same),
    ("sasl.jaas.config", Translated),
    ("sasl.client.callback.handler.class", Refused(CODE)),
    ("sasl.login.callback.handler.class", Refused(CODE)),
    ("sasl.login.class", Refused(CODE)),
    ("sasl.kerberos.kinit.cmd", Refused(COMMAND)),
    ("sasl.kerberos.keytab", Refused(FILES)),
    ("sasl.kerberos.service.name", Refused(KERBEROS)),
    ("sasl.kerberos.principal", Refused(KERBEROS)),
    ("sasl.oauthbearer.token.endpoint.url", Refused(OAUTH)),
    ("sasl.oauthbearer.config", Refused(OAUTH)),
    ("ssl.truststore.certificates", Renamed("ssl.ca.pem")),
    ("ssl.keystore.certificate.chain", Renamed("ssl.certificate.pem")),
    ("ssl.keystore.key", Renamed("ssl.key.pem")),
    ("ssl.key.password", Same),
    ("ssl.truststore.type", Translated),
    ("ssl.keystore.type", Translated),
    ("ssl.endpoint.identification.algorithm", Translated),
    ("ssl.truststore.location", Refused(FILES)),
    ("ssl.truststore.password", Ignored("PEM certificates have no password")),
    ("ssl.keystore.location", Refused(FILES)),
    ("ssl.keystore.password", Ignored("PEM keys are unlocked by ssl.key.password")),
    ("ssl.ca.location", Refused(FILES)),
    ("ssl.certificate.location", Refused(FILES)),
    ("ssl.key.location", Refused(FILES)),
    ("ssl.crl.location", Refused(FILES)),
    ("ssl.engine.location", Refused(CODE)),
    ("ssl.providers", Refused(CODE)),
    ("ssl.engine.factory.class", Refused(CODE)),
    ("security.providers", Refused(CODE)),
    ("plugin.library.paths", Refused(CODE)),
    ("interceptor.classes", Refused(CODE)),
    ("metric.reporters", Refused(CODE)),
    ("config.providers", Refused(CODE)),
    ("ssl.protocol", Ignored(TLS)),
    ("ssl.enabled.protocols", Ignored(TLS)),
    ("ssl.cipher.suites", Ignored(TLS)),
    ("ssl.provider", Ignored(JVM)),
    ("ssl.keymanager.algorithm", Ignored(JVM)),
    ("ssl.trustmanager.algorithm", Ignored(JVM)),
    ("ssl.secure.random.implementation", Ignored(JVM)),
    ("metrics.num.samples", Ignored(JVM)),
    ("metrics.recording.level", Ignored(JVM)),
    ("metrics.sample.window.ms", Ignored(JVM)),
    ("auto.include.jmx.reporter", Ignored(JVM)),
];

/// Settings of consumers.
const CONSUMER: &[(&str, Action)] = &[
    ("group.id", Same),
    ("group.instance.id", Refused("every task is a static member under its own name, which fences its predecessor")),
    ("group.protocol", Translated),
    ("group.remote.assignor", Ignored("partitions are shared out by the classic protocol")),
    ("partition.assignment.strategy", Ignored("partitions are always shared out cooperatively and sticky")),
    ("enable.auto.commit", Refused(OWN_OFFSETS)),
    ("auto.commit.interval.ms", Ignored("offset.flush.interval.ms says how often offsets are committed")),
    ("enable.auto.offset.store", Refused(OWN_OFFSETS)),
    ("auto.offset.reset", Translated),
    ("isolation.level", Same),
    ("fetch.min.bytes", Same),
    ("fetch.max.bytes", Same),
    ("fetch.max.wait.ms", Renamed("fetch.wait.max.ms")),
    ("max.partition.fetch.bytes", Same),
    ("queued.max.messages.kbytes", Same),
    ("queued.min.messages", Same),
    ("max.poll.records", Ignored("millrace.batch.max.records bounds a batch")),
    ("max.poll.interval.ms", Same),
    ("session.timeout.ms", Same),
    ("heartbeat.interval.ms", Same),
    ("check.crcs", Same),
    ("allow.auto.create.topics", Same),
    ("exclude.internal.topics", Ignored("internal topics are never matched")),
    ("key.deserializer", Refused(CONVERTERS)),
    ("value.deserializer", Refused(CONVERTERS)),
];

/// Settings of producers.
const PRODUCER: &[(&str, Action)] = &[
    ("acks", Same),
    ("batch.size", Same),
    ("linger.ms", Same),
    ("buffer.memory", Translated),
    ("compression.type", Same),
    ("compression.gzip.level", Ignored("compression.type alone is supported")),
    ("compression.lz4.level", Ignored("compression.type alone is supported")),
    ("compression.zstd.level", Ignored("compression.type alone is supported")),
    ("delivery.timeout.ms", Same),
    ("enable.idempotence", Same),
    ("max.block.ms", Ignored("a full buffer slows the task down instead")),
    ("max.in.flight.requests.per.connection", Same),
    ("max.request.size", Renamed("message.max.bytes")),
    ("metadata.max.idle.ms", Ignored("what is known of a topic is small")),
    ("retries", Same),
    ("transaction.timeout.ms", Same),
    ("transactional.id", Refused("it follows from tenant, connector and task, and fences a predecessor")),
    ("partitioner.class", Refused(CODE)),
    ("partitioner.ignore.keys", Ignored("keys always decide the partition, as in Java's default")),
    (
        "partitioner.adaptive.partitioning.enable",
        Ignored("records without a key go to partitions that have a leader, some bytes to one, then some to the next"),
    ),
    (
        "partitioner.availability.timeout.ms",
        Ignored("records without a key go to partitions that have a leader, some bytes to one, then some to the next"),
    ),
    ("key.serializer", Refused(CONVERTERS)),
    ("value.serializer", Refused(CONVERTERS)),
];

/// What becomes of `name` in a client of this kind; None for a name that is in no table.
pub(super) fn action(kind: ClientKind, name: &str) -> Option<Action> {
    let own: &[(&str, Action)] = match kind {
        ClientKind::Consumer => CONSUMER,
        ClientKind::Producer => PRODUCER,
        ClientKind::Admin => &[],
    };
    own.iter().chain(COMMON).find(|(known, _)| *known == name).map(|(_, action)| *action)
}

/// Names for "did you mean".
pub(super) fn names(kind: ClientKind) -> impl Iterator<Item = &'static str> {
    let own: &'static [(&'static str, Action)] = match kind {
        ClientKind::Consumer => CONSUMER,
        ClientKind::Producer => PRODUCER,
        ClientKind::Admin => &[],
    };
    own.iter().chain(COMMON).map(|(name, _)| *name)
}
