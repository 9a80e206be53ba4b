//! What there is to say of the settings of these converters: those of Confluent's that have no effect here, and those that
//! nobody knows.

use millrace_sdk::config::nearest;
use millrace_sdk::{Findings, Flat, Problem};

/// Settings of every format.
const COMMON: &[&str] = &[
    "schema.registry.url",
    "basic.auth.credentials.source",
    "schema.registry.basic.auth.credentials.source",
    "basic.auth.user.info",
    "schema.registry.basic.auth.user.info",
    "bearer.auth.credentials.source",
    "schema.registry.bearer.auth.credentials.source",
    "bearer.auth.token",
    "schema.registry.bearer.auth.token",
    "schema.registry.ssl.truststore.type",
    "schema.registry.ssl.truststore.certificates",
    "schema.registry.ssl.keystore.type",
    "schema.registry.ssl.keystore.certificate.chain",
    "schema.registry.ssl.keystore.key",
    "schema.registry.ssl.endpoint.identification.algorithm",
    "http.connect.timeout.ms",
    "http.read.timeout.ms",
    "proxy.host",
    "proxy.port",
    "auto.register.schemas",
    "use.schema.id",
    "use.latest.version",
    "latest.compatibility.strict",
    "normalize.schemas",
    "key.schema.id.serializer",
    "value.schema.id.serializer",
    "key.schema.id.deserializer",
    "value.schema.id.deserializer",
    "key.subject.name.strategy",
    "value.subject.name.strategy",
    "schemas.cache.config",
    "schemas.cache.size",
];

const AGAIN: &str = "a registry that does not answer is asked again for as long as it takes";
const CACHED: &str = "schemas.cache.size bounds what is kept";
const RULES: &str = "rules of data contracts are not carried out";

/// Confluent's settings that have no effect, and why.
const IGNORED: &[(&str, &str)] = &[
    ("max.retries", AGAIN),
    ("retries.wait.ms", AGAIN),
    ("retries.max.wait.ms", AGAIN),
    ("max.schemas.per.subject", CACHED),
    ("latest.cache.size", CACHED),
    ("missing.cache.size", CACHED),
    ("latest.cache.ttl.sec", "the newest version of a subject is asked for again after a minute"),
    ("missing.id.cache.ttl.sec", "what is missing is asked for again after half a minute"),
    ("missing.version.cache.ttl.sec", "what is missing is asked for again after half a minute"),
    ("missing.schema.cache.ttl.sec", "what is missing is asked for again after half a minute"),
    ("schema.registry.url.randomize", "the addresses are asked in the order given"),
    ("schema.registry.ssl.truststore.password", "PEM certificates have no password"),
    ("schema.registry.ssl.keystore.password", "PEM text has no password"),
    ("schema.registry.ssl.protocol", "TLS versions are negotiated"),
    ("schema.registry.ssl.enabled.protocols", "TLS versions are negotiated"),
    ("schema.registry.ssl.cipher.suites", "ciphers are negotiated"),
    ("schema.registry.ssl.provider", "it tunes Java's TLS"),
    ("id.compatibility.strict", "fields are found by name; what does not fit the schema is an error of its record"),
    ("use.latest.with.metadata", RULES),
    ("rule.executors", RULES),
    ("rule.actions", RULES),
    ("rule.service.loader.enable", RULES),
    ("context.name.strategy", "put the context into the path of schema.registry.url"),
    ("propagate.schema.tags", "tags belong to data contracts, which are not carried out"),
    ("schema.reflection", "it concerns Java's classes"),
    ("specific.avro.reader", "it concerns Java's classes"),
    ("avro.reflection.allow.null", "it concerns Java's classes"),
    ("avro.use.logical.type.converters", "it concerns Java's classes"),
    ("avro.remove.java.properties", "schemas made here hold no Java properties"),
    ("auto.register.schemas.async", "schemas are registered before the first record is written"),
    (
        "reference.subject.name.strategy",
        "schemas made of Connect's are complete in themselves, so none is registered for a reference",
    ),
    ("reference.lookup.only", "schemas made of Connect's are complete in themselves"),
    ("skip.known.types", "Google's and Confluent's own types are never registered"),
    ("json.write.dates.iso8601", "dates are written as Connect's converter writes them"),
    ("json.indent.output", "the payload is written without white space"),
    ("oneof.for.nullables", "it concerns Java's classes"),
    ("json.oneof.for.nullables", "it concerns Java's classes"),
    ("ignore.modern.dialects", "one parser reads all drafts"),
    ("preserve.additional.properties", "what a JSON Schema does not name is passed over"),
    ("json.schema.spec.version", "schemas are written as draft 7"),
];

/// What there is to say of settings; `own` are those of the format. `prefix` is what the user wrote before their names.
pub(in crate::convert) fn findings(prefix: &str, settings: &Flat, own: &[&str]) -> Findings {
    let mut findings = Findings::default();
    let known = || COMMON.iter().chain(own).copied();
    for name in settings.keys() {
        if known().any(|one| one == name) || name.starts_with("request.header.") {
            continue;
        }
        let shown = format!("{prefix}{name}");
        let message = match IGNORED.iter().find(|(one, _)| one == name) {
            Some((_, reason)) => format!("\"{shown}\" is accepted without effect: {reason}"),
            // What these refuse is an error of making the converter.
            None if name.starts_with("schema.registry.ssl.") => continue,
            None => {
                let hint = nearest(name, known()).map(|near| format!("; did you mean \"{prefix}{near}\"?"));
                format!("\"{shown}\" is no known setting of the converter and is ignored{}", hint.unwrap_or_default())
            }
        };
        findings.warnings.push(Problem::new(shown, message));
    }
    findings
}
