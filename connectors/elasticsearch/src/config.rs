//! The sink's keys: names and defaults of Confluent's Elasticsearch sink, `index.name`, and what follows from them.

use millrace_sdk::{Config, Flat, Problem, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done with null values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnNull {
    /// Skip the record
    Ignore,
    /// Delete the document of the record's key
    Delete,
    /// Refuse the record
    #[default]
    Fail,
}

/// What is done with documents that Elasticsearch refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMalformed {
    /// Skip the record
    Ignore,
    /// Skip the record and log it
    Warn,
    /// Refuse the record
    #[default]
    Fail,
}

/// How documents are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteMethod {
    /// Put the document in the place of any other with its id
    #[default]
    Insert,
    /// Set the record's fields in the document with its id and keep its others
    Upsert,
}

/// Keys of the Elasticsearch sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SinkConfig {
    /// Addresses of one or more nodes, such as `http://es1:9200,http://es2:9200`; without a scheme, http.
    #[serde(rename = "connection.url")]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "high"))]
    pub urls: Vec<String>,
    /// User for basic authentication; used when the password is given too.
    #[serde(rename = "connection.username", default)]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "medium"))]
    pub username: Option<String>,
    /// Password for basic authentication.
    #[serde(rename = "connection.password", default)]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "medium"))]
    pub password: Option<Secret>,
    /// Whether requests are compressed by gzip.
    #[serde(rename = "connection.compression", default)]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "low"))]
    pub compression: bool,
    /// How long to wait for the answer to a request, in milliseconds; 30 seconds when not set. What is not answered in time
    /// is sent again.
    #[serde(rename = "read.timeout.ms", default)]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "low"), range(min = 1))]
    pub read_timeout_ms: Option<i32>,
    /// The most records in one bulk request.
    #[serde(rename = "batch.size", default = "default_batch_size")]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "medium"), range(min = 1, max = 1_000_000))]
    pub batch_size: i32,
    /// The most bytes in one bulk request; -1 means no limit.
    #[serde(rename = "bulk.size.bytes", default = "default_bulk_size")]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "low"), range(min = -1))]
    pub bulk_size_bytes: i32,
    /// `insert` puts the record's document in the place of any other with its id; `upsert` sets its fields and keeps others.
    #[serde(rename = "write.method", default)]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "low"))]
    pub write_method: WriteMethod,
    /// The index to write into; empty means the record's topic in lower case. Created when it does not exist.
    #[serde(rename = "index.name", default)]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "high"))]
    pub index_name: String,
    /// Whether the record's key is ignored: the document's `_id` is then `topic+partition+offset`, otherwise it is the key.
    #[serde(rename = "key.ignore", default)]
    #[schemars(extend("x-group" = "Documents", "x-importance" = "high"))]
    pub key_ignore: bool,
    /// Topics for which `key.ignore` is true.
    #[serde(rename = "topic.key.ignore", default)]
    #[schemars(extend("x-group" = "Documents", "x-importance" = "low"))]
    pub topic_key_ignore: Vec<String>,
    /// Whether Connect's schema of a value is ignored. Without it, decimals become numbers in the document; with it, they
    /// are base64 text as Connect's JSON converter writes them. The mapping is Elasticsearch's dynamic one either way.
    #[serde(rename = "schema.ignore", default)]
    #[schemars(extend("x-group" = "Documents", "x-importance" = "low"))]
    pub schema_ignore: bool,
    /// Topics for which `schema.ignore` is true.
    #[serde(rename = "topic.schema.ignore", default)]
    #[schemars(extend("x-group" = "Documents", "x-importance" = "low"))]
    pub topic_schema_ignore: Vec<String>,
    /// What is done with a null value: `ignore`, `delete` the document of its key, or `fail`.
    #[serde(rename = "behavior.on.null.values", default)]
    #[schemars(extend("x-group" = "Documents", "x-importance" = "medium"))]
    pub on_null: OnNull,
    /// What is done with a document that Elasticsearch refuses (a mapping conflict, say): `ignore`, `warn` or `fail`.
    #[serde(rename = "behavior.on.malformed.documents", default)]
    #[schemars(extend("x-group" = "Documents", "x-importance" = "medium"))]
    pub on_malformed: OnMalformed,
    /// Whether a record that cannot be made into a document is dropped (and logged) instead of refused.
    #[serde(rename = "drop.invalid.message", default)]
    #[schemars(extend("x-group" = "Documents", "x-importance" = "low"))]
    pub drop_invalid: bool,
    /// Header that holds the version of a document, a whole number, in the place of the record's offset.
    #[serde(rename = "external.version.header", default)]
    #[schemars(extend("x-group" = "Documents", "x-importance" = "low"))]
    pub version_header: String,
}

fn default_batch_size() -> i32 {
    2000
}

fn default_bulk_size() -> i32 {
    5 * 1024 * 1024
}

/// The peer's keys that would change what is written or how it connects, and their defaults.
const NOT_YET: &[(&str, &str)] = &[
    ("use.autogenerated.ids", "false"),
    ("compact.map.entries", "true"),
    ("data.stream.type", "none"),
    ("data.stream.dataset", ""),
    ("data.stream.namespace", "${topic}"),
    ("data.stream.timestamp.field", ""),
    ("external.resource.usage", "DISABLED"),
    ("topic.to.external.resource.mapping", ""),
    ("topic.index.map", ""),
    ("proxy.host", ""),
    ("elastic.security.protocol", "PLAINTEXT"),
    ("kerberos.user.principal", ""),
    ("kerberos.keytab.path", ""),
];

impl Config for SinkConfig {
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &[
        ("use.autogenerated.", "", "Ids made by Elasticsearch: not available yet, refused when set"),
        ("compact.map.", "", "Maps as lists of entries: not available yet, refused when set"),
        ("data.stream.", "", "Data streams: not available yet, refused when set"),
        ("external.resource.", "", "Existing resources: not available yet, refused when set; use index.name"),
        ("topic.to.external.", "", "Resources by topic: not available yet, refused when set; use index.name"),
        ("topic.index.", "", "Indices by topic: not available yet, refused when set; use index.name"),
        ("proxy.", "", "Proxies: not available yet, refused when set"),
        ("elastic.security.", "", "TLS settings: not available yet, refused when set; an https:// address works"),
        (
            "elastic.https.",
            "",
            "TLS settings: not available yet, without effect unless elastic.security.protocol is SSL",
        ),
        ("kerberos.", "", "Kerberos: not available yet, refused when set"),
    ];

    const IGNORED: &'static [(&'static str, &'static str)] = &[
        ("type.name", "Elasticsearch has no mapping types any more (since version 7)"),
        ("max.in.flight.requests", "use millrace.lanes: that many requests run at the same time"),
        ("max.buffered.records", "the framework bounds memory by bytes"),
        ("linger.ms", "a batch is what has arrived while the one before was written"),
        ("flush.timeout.ms", "nothing is buffered: an offset is committed when its document is durable"),
        ("flush.synchronously", "nothing is buffered: an offset is committed when its document is durable"),
        ("max.retries", "what passes by itself is tried again for as long as it takes, with back-off"),
        ("retry.backoff.ms", "the framework backs off with jitter"),
        ("connection.timeout.ms", "read.timeout.ms bounds a request from its start, connecting included"),
        ("max.connection.idle.time.ms", "the HTTP client closes idle connections by itself"),
        ("max.external.resource.mappings", "there are no resource mappings yet"),
    ];

    fn check(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.urls.is_empty() {
            problems.push(Problem::new("connection.url", "connection.url names no address"));
        }
        for url in &self.urls {
            if let Err(message) = crate::client::address(url) {
                problems.push(Problem::new("connection.url", message));
            }
        }
        if self.username.is_some() != self.password.is_some() {
            let missing = if self.username.is_some() { "connection.password" } else { "connection.username" };
            problems.push(Problem::new(
                missing,
                format!("connection.username and connection.password go together: {missing} is missing"),
            ));
        }
        if let Some(message) = (!self.index_name.is_empty()).then(|| wrong_index(&self.index_name)).flatten() {
            problems.push(Problem::new("index.name", message));
        }
        for (key, default) in NOT_YET {
            let value = flat.get(*key).map(|value| value.trim()).unwrap_or_default();
            if !value.is_empty() && !value.eq_ignore_ascii_case(default) {
                problems.push(Problem::new(
                    *key,
                    format!("{key} is not available yet; remove it, or set it to its default \"{default}\""),
                ));
            }
        }
        if self.write_method == WriteMethod::Upsert && !self.version_header.is_empty() {
            problems.push(Problem::new(
                "external.version.header",
                "external.version.header has no effect on write.method=upsert: Elasticsearch's updates take no external version",
            ));
        }
        problems
    }
}

impl SinkConfig {
    /// Why writes cannot carry external versions.
    pub(crate) fn refuses_versions(&self) -> Result<(), String> {
        if self.key_ignore {
            return Err(
                "with key.ignore=true every record has a document of its own, so there is nothing to guard: remove \
                        millrace.versions"
                    .to_owned(),
            );
        }
        if self.write_method == WriteMethod::Upsert {
            return Err("Elasticsearch's updates take no external version: set write.method=insert, or remove \
                        millrace.versions"
                .to_owned());
        }
        if !self.version_header.is_empty() {
            return Err(
                "external.version.header says already where versions come from: remove one of the two".to_owned()
            );
        }
        Ok(())
    }

    /// Whether the key of records of `topic` is ignored.
    #[must_use]
    pub fn ignores_key(&self, topic: &str) -> bool {
        self.key_ignore || self.topic_key_ignore.iter().any(|one| one == topic)
    }

    /// Whether the schema of records of `topic` is ignored.
    #[must_use]
    pub fn ignores_schema(&self, topic: &str) -> bool {
        self.schema_ignore || self.topic_schema_ignore.iter().any(|one| one == topic)
    }

    /// The index for records of `topic`.
    #[must_use]
    pub fn index(&self, topic: &str) -> String {
        if self.index_name.is_empty() { index_of_topic(topic) } else { self.index_name.clone() }
    }
}

/// The peer's index name of a topic.
fn index_of_topic(topic: &str) -> String {
    let lower = topic.to_lowercase();
    let mut index: String = lower.chars().take(255).collect();
    if index.starts_with(['-', '_']) {
        index.remove(0);
    }
    if index == "." || index == ".." {
        index = index.replace('.', "dot");
    }
    index
}

fn wrong_index(name: &str) -> Option<String> {
    if name.to_lowercase() != name {
        return Some(format!("an index name must be in lower case: \"{name}\""));
    }
    if name.len() > 255 {
        return Some(format!("the index name has {} bytes; Elasticsearch takes at most 255", name.len()));
    }
    if name.starts_with(['-', '_', '+']) || name == "." || name == ".." {
        return Some(format!("an index name must not start with -, _ or +, nor be . or ..: \"{name}\""));
    }
    let bad = name.chars().find(|c| "\\/*?\"<>| ,#:".contains(*c))?;
    Some(format!("an index name must not hold {bad:?}: \"{name}\""))
}

#[cfg(test)]
mod tests;
