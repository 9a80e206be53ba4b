//! From Java client properties to a librdkafka configuration, in three layers: ours < the tenant's settings < the
//! connector's overrides. `table` says property by property what becomes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_sdk::{Error, Findings, Flat, Problem, Result, config::nearest};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::jaas;
use super::table::{self, Action};

/// Which client the settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientKind {
    /// Reads the topics of a sink, and offsets
    Consumer,
    /// Writes records of a source, and dead letters
    Producer,
    /// Creates topics
    Admin,
}

impl ClientKind {
    /// The prefix of a connector's own settings for such a client.
    #[must_use]
    pub fn override_prefix(self) -> &'static str {
        match self {
            Self::Consumer => "consumer.override.",
            Self::Producer => "producer.override.",
            Self::Admin => "admin.override.",
        }
    }

    /// The prefix of the tenant's settings for such clients alone.
    #[must_use]
    pub fn tenant_prefix(self) -> &'static str {
        match self {
            Self::Consumer => "consumer.",
            Self::Producer => "producer.",
            Self::Admin => "admin.",
        }
    }

    /// What librdkafka's defaults would surprise with, or what delivery depends on.
    fn defaults(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Consumer => &[
                ("auto.offset.reset", "earliest"),
                // As in Connect: what a transaction has not committed is read too, unless the user says otherwise.
                ("isolation.level", "read_uncommitted"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("check.crcs", "true"),
                ("enable.partition.eof", "false"),
                ("allow.auto.create.topics", "false"),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("session.timeout.ms", "10000"),
                ("heartbeat.interval.ms", "2000"),
                // A topic that appears, or gets more partitions, is seen within this time.
                ("topic.metadata.refresh.interval.ms", "30000"),
            ],
            Self::Producer => &[
                ("enable.idempotence", "true"),
                ("acks", "all"),
                // Records wait for an absent broker as long as it takes; the task slows down instead of losing them.
                ("message.timeout.ms", "0"),
                // Java's partitioner for records with a key, so that a key stays in its partition.
                ("partitioner", "murmur2_random"),
                ("linger.ms", "5"),
                ("queue.buffering.max.kbytes", "16384"),
            ],
            Self::Admin => &[],
        }
    }
}

/// librdkafka's properties of a client. Equal settings may share a client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientSettings {
    kind: ClientKind,
    properties: BTreeMap<String, String>,
}

impl std::fmt::Debug for ClientSettings {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSettings")
            .field("kind", &self.kind)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl ClientSettings {
    /// The settings of a tenant's client, with the overrides of a connector's configuration (empty for a client that belongs
    /// to no connector).
    ///
    /// # Errors
    /// `BadConfig` with every problem found, or without `bootstrap.servers`.
    pub fn build(kind: ClientKind, tenant: &Flat, config: &Flat) -> Result<Self> {
        let mut properties: BTreeMap<String, String> =
            kind.defaults().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut problems = Vec::new();
        // The tenant's unprefixed settings are a Connect worker's properties: most are not for Kafka clients at all.
        for (name, value) in tenant {
            if is_client_wide(name) {
                apply(kind, name, name, value, &mut properties, &mut problems);
            }
        }
        for (name, value) in tenant {
            if let Some(property) = name.strip_prefix(kind.tenant_prefix()) {
                apply(kind, name, property, value, &mut properties, &mut problems);
            }
        }
        for (name, value) in config {
            if let Some(property) = name.strip_prefix(kind.override_prefix()) {
                apply(kind, name, property, value, &mut properties, &mut problems);
            }
        }
        if !properties.contains_key("bootstrap.servers") {
            problems.push(Problem::new(
                "bootstrap.servers",
                "the tenant has no Kafka cluster: set \"bootstrap.servers\" in the tenant's settings",
            ));
        }
        if problems.is_empty() {
            Ok(Self { kind, properties })
        } else {
            let text = millrace_sdk::config::join(&problems);
            Err(Error::bad_config(format!("invalid Kafka client settings: {text}")))
        }
    }

    /// Sets a property of librdkafka that the framework decides on.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a property of librdkafka unless somebody has chosen it.
    #[must_use]
    pub fn with_default(mut self, name: &str, value: impl Into<String>) -> Self {
        self.properties.entry(name.to_owned()).or_insert_with(|| value.into());
        self
    }

    /// A property of librdkafka.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// A property that is a number; `otherwise` without it.
    #[must_use]
    pub fn number<T: std::str::FromStr>(&self, name: &str, otherwise: T) -> T {
        self.property(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    }

    /// A property in milliseconds; `otherwise` without it.
    #[must_use]
    pub fn millis(&self, name: &str, otherwise: u32) -> Duration {
        Duration::from_millis(self.number(name, otherwise).into())
    }

    /// The configuration to create a client from.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }
}

/// The error of creating a client, as the framework sees it.
#[must_use]
pub fn creation_error(what: &str, error: rdkafka::error::KafkaError) -> Error {
    match error {
        rdkafka::error::KafkaError::ClientConfig(_, description, name, _) => {
            Error::bad_config(format!("cannot create {what}: Kafka client setting {name}: {description}"))
        }
        other => Error::bad_config(format!("cannot create {what}: check the Kafka client settings")).because(other),
    }
}

/// Every problem with a connector's overrides for clients of a kind; forbidden and invalid ones.
#[must_use]
pub fn override_problems(kind: ClientKind, config: &Flat) -> Vec<Problem> {
    let (mut properties, mut problems) = (BTreeMap::new(), Vec::new());
    let prefix = kind.override_prefix();
    for (name, value) in config {
        let Some(property) = name.strip_prefix(prefix) else { continue };
        let before = properties.clone();
        apply(kind, name, property, value, &mut properties, &mut problems);
        // librdkafka checks each value by itself.
        let changed = properties.iter().filter(|(name, value)| before.get(*name) != Some(*value));
        for (target, value) in changed {
            if let Err(rdkafka::error::KafkaError::ClientConfig(_, description, _, _)) =
                ClientConfig::new().set(target, value).create_native_config()
            {
                problems.push(Problem::new(name, format!("Invalid value for configuration {name}: {description}")));
            }
        }
    }
    problems
}

/// What to say of a connector's overrides: problems, those without effect, and those that the tenant's
/// `connector.client.config.override.policy` (All, Principal, None) forbids.
#[must_use]
pub fn override_findings(config: &Flat, tenant: &Flat) -> Findings {
    let mut findings = Findings::default();
    let policy = tenant.get("connector.client.config.override.policy").map_or("All", String::as_str);
    for kind in [ClientKind::Consumer, ClientKind::Producer, ClientKind::Admin] {
        findings.errors.extend(override_problems(kind, config));
        for name in config.keys() {
            let Some(property) = name.strip_prefix(kind.override_prefix()) else { continue };
            if !allowed_by(policy, property) {
                findings.errors.push(Problem::new(
                    name,
                    format!(
                        "The '{policy}' policy does not allow '{property}' to be overridden in the connector \
                         configuration; ask the operator to change connector.client.config.override.policy"
                    ),
                ));
            }
            match table::action(kind, property) {
                Some(Action::Ignored(reason)) => {
                    findings
                        .warnings
                        .push(Problem::new(name, format!("\"{name}\" is accepted without effect: {reason}")));
                }
                None => {
                    let hint = nearest(property, table::names(kind))
                        .map(|near| format!("; did you mean \"{}{near}\"?", kind.override_prefix()))
                        .unwrap_or_default();
                    findings.warnings.push(Problem::new(
                        name,
                        format!("\"{name}\" is no known client setting and is ignored{hint}"),
                    ));
                }
                _ => {}
            }
        }
    }
    findings
}

fn allowed_by(policy: &str, property: &str) -> bool {
    match policy.rsplit('.').next().unwrap_or(policy) {
        "None" | "NoneConnectorClientConfigOverridePolicy" => false,
        "Principal" | "PrincipalConnectorClientConfigOverridePolicy" => {
            matches!(property, "security.protocol" | "sasl.jaas.config" | "sasl.mechanism")
        }
        _ => true,
    }
}

/// Settings that a worker's properties give to all its clients.
fn is_client_wide(name: &str) -> bool {
    matches!(
        name,
        "bootstrap.servers"
            | "client.dns.lookup"
            | "client.rack"
            | "security.protocol"
            | "reconnect.backoff.ms"
            | "reconnect.backoff.max.ms"
            | "retry.backoff.ms"
            | "metadata.max.age.ms"
            | "request.timeout.ms"
            | "connections.max.idle.ms"
            | "plugin.library.paths"
    ) || name.starts_with("sasl.")
        || name.starts_with("ssl.")
}

/// Puts one Java property into librdkafka's, or says why not. `key` is what the user wrote.
fn apply(
    kind: ClientKind,
    key: &str,
    property: &str,
    value: &str,
    properties: &mut BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) {
    match table::action(kind, property) {
        Some(Action::Same) => {
            properties.insert(canonical(property).to_owned(), value.trim().to_owned());
        }
        Some(Action::Renamed(name)) => {
            properties.insert(name.to_owned(), value.trim().to_owned());
        }
        Some(Action::Translated) => match translate(kind, property, value) {
            Ok(pairs) => properties.extend(pairs.into_iter().map(|(name, value)| (name.to_owned(), value))),
            Err(why) => problems.push(Problem::new(key, format!("Invalid value for configuration {key}: {why}"))),
        },
        Some(Action::Refused(reason)) => {
            problems.push(Problem::new(key, format!("The setting \"{key}\" is not allowed: {reason}")));
        }
        Some(Action::Ignored(_)) | None => {}
    }
}

/// librdkafka's own name where it has two, so that a later layer replaces an earlier one.
fn canonical(property: &str) -> &str {
    match property {
        "delivery.timeout.ms" => "message.timeout.ms",
        "acks" => "acks",
        "sasl.mechanism" => "sasl.mechanisms",
        "max.partition.fetch.bytes" => "fetch.message.max.bytes",
        "retries" => "message.send.max.retries",
        "compression.type" => "compression.codec",
        other => other,
    }
}

/// Properties whose values librdkafka says differently.
fn translate(kind: ClientKind, property: &str, value: &str) -> Result<Vec<(&'static str, String)>, String> {
    let value = value.trim();
    let number = || value.parse::<i64>().map_err(|_| "Not a number of type INT".to_owned());
    Ok(match property {
        // Java's -1 is the system's default, which is 0 in librdkafka.
        "receive.buffer.bytes" => vec![("socket.receive.buffer.bytes", number()?.max(0).to_string())],
        "send.buffer.bytes" => vec![("socket.send.buffer.bytes", number()?.max(0).to_string())],
        "request.timeout.ms" if kind == ClientKind::Producer => vec![("request.timeout.ms", number()?.to_string())],
        "request.timeout.ms" => vec![("socket.timeout.ms", number()?.to_string())],
        "buffer.memory" => vec![("queue.buffering.max.kbytes", (number()? / 1024).max(1).to_string())],
        "auto.offset.reset" => match value.to_ascii_lowercase().as_str() {
            "earliest" => vec![("auto.offset.reset", "earliest".to_owned())],
            "latest" => vec![("auto.offset.reset", "latest".to_owned())],
            "none" => vec![("auto.offset.reset", "error".to_owned())],
            _ => return Err("must be one of earliest, latest, none".to_owned()),
        },
        "group.protocol" if value.eq_ignore_ascii_case("classic") => Vec::new(),
        "group.protocol" => return Err("only the classic protocol is available".to_owned()),
        "ssl.truststore.type" | "ssl.keystore.type" if value.eq_ignore_ascii_case("PEM") => Vec::new(),
        "ssl.truststore.type" | "ssl.keystore.type" => {
            return Err(format!("{value} stores are not available; use PEM and give the text of the certificates"));
        }
        "ssl.endpoint.identification.algorithm" if value.is_empty() => {
            vec![("ssl.endpoint.identification.algorithm", "none".to_owned())]
        }
        "ssl.endpoint.identification.algorithm" => {
            vec![("ssl.endpoint.identification.algorithm", value.to_ascii_lowercase())]
        }
        "sasl.jaas.config" => {
            let login = jaas::parse(value)?;
            vec![("sasl.username", login.username), ("sasl.password", login.password)]
        }
        other => return Err(format!("{other} has no translation")),
    })
}

#[cfg(test)]
mod tests;
