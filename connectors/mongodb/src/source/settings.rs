//! What the keys come to.

use std::time::Duration;

use fancy_regex::Regex;
use millrace_sdk::{Flat, Problem};
use mongodb::bson::{Document, Timestamp};
use mongodb::options::{ConnectionString, HostInfo};

use super::config::{OnLostToken, SourceConfig};
use super::json::Mode;
use super::schema::{self, Shape};
use super::share::Share;
use super::shell_json;
use super::topic::Topics;

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    Deployment,
    Database(String),
    Collection(String, String),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deployment => f.write_str("the whole deployment"),
            Self::Database(database) => f.write_str(database),
            Self::Collection(database, collection) => write!(f, "{database}.{collection}"),
        }
    }
}

/// The form of keys or values.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Json,
    Bson,
    Schema(Shape),
    /// A schema from each document
    Infer,
}

/// Where to begin without a stored position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Startup {
    Latest,
    Timestamp(Timestamp),
    Copy,
}

/// How existing data is copied.
#[derive(Debug, Clone)]
pub(super) struct Copying {
    pub(super) threads: usize,
    pub(super) queue: usize,
    pub(super) pipeline: Vec<Document>,
    pub(super) namespaces: Option<Regex>,
    pub(super) allow_disk_use: bool,
}

/// What becomes of documents that cannot become records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tolerance {
    /// As the framework's `errors.*` say
    Framework,
    /// As `mongo.errors.*` say: the task fails
    None,
    /// Skipped, or kept in a topic
    All { topic: String, log: bool },
}

/// Heartbeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heartbeat {
    /// None = never
    pub(super) every: Option<Duration>,
    /// Where records go; None = positions only
    pub(super) topic: Option<String>,
}

/// All settings of a source.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) scope: Scope,
    pub(super) share: Share,
    pub(super) pipeline: Vec<Document>,
    pub(super) collation: Option<Document>,
    pub(super) batch_size: Option<u32>,
    pub(super) poll_max: usize,
    pub(super) poll_await: Duration,
    pub(super) full_document: Option<String>,
    pub(super) full_document_before_change: Option<String>,
    pub(super) show_expanded_events: bool,
    pub(super) full_document_only: bool,
    pub(super) tombstone_on_delete: bool,
    pub(super) document_key_as_key: bool,
    pub(super) topics: Topics,
    pub(super) key: Form,
    pub(super) value: Form,
    pub(super) mode: Mode,
    pub(super) startup: Startup,
    pub(super) copying: Copying,
    pub(super) tolerance: Tolerance,
    pub(super) heartbeat: Heartbeat,
    /// `ns` of the source partition
    pub(super) partition_name: String,
    pub(super) on_lost_token: OnLostToken,
    pub(super) oplog_warning: Duration,
}

/// Positions without records, when the user says nothing.
const HEARTBEAT: Duration = Duration::from_secs(10);
const QUEUE: i32 = 16_000;

/// Collects problems while values are read.
struct Reader<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn or<T>(&mut self, key: &str, fallback: T, read: Result<T, String>) -> T {
        read.unwrap_or_else(|message| {
            self.problems.push(Problem::new(key, message));
            fallback
        })
    }
}

impl Settings {
    /// # Errors
    /// Every problem found.
    pub(super) fn resolve(config: &SourceConfig, flat: &Flat) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut reader = Reader { problems: &mut problems };
        let fallback =
            Topics::new(".", "", "", "").map_err(|message| vec![Problem::new("topic.separator", message)])?;
        let topics = Topics::new(
            &config.topic_separator,
            &config.topic_prefix,
            &config.topic_suffix,
            &config.topic_namespace_map,
        );
        let settings = Self {
            scope: reader.or("collection", Scope::Deployment, scope(config)),
            share: reader.or("millrace.mongodb.share", Share::All, Share::parse(&config.share)),
            pipeline: reader.or("pipeline", Vec::new(), array(&config.pipeline)),
            collation: reader.or("collation", None, optional_object(&config.collation)),
            batch_size: u32::try_from(config.batch_size).ok().filter(|size| *size > 0),
            poll_max: usize::try_from(config.poll_max_batch_size).unwrap_or(1000),
            poll_await: millis(config.poll_await_ms),
            full_document: reader.or("change.stream.full.document", None, full_document(config)),
            full_document_before_change: reader.or(
                "change.stream.full.document.before.change",
                None,
                one_of(&config.full_document_before_change, &["default", "off", "whenAvailable", "required"]),
            ),
            show_expanded_events: config.show_expanded_events,
            full_document_only: config.full_document_only,
            tombstone_on_delete: config.full_document_only && config.tombstone_on_delete,
            document_key_as_key: config.document_key_as_key,
            topics: reader.or("topic.namespace.map", fallback, topics),
            key: reader.or("output.format.key", Form::Json, format(&config.format_key)),
            value: reader.or("output.format.value", Form::Json, format(&config.format_value)),
            mode: reader.or("output.json.formatter", Mode::Strict, formatter(&config.json_formatter)),
            startup: reader.or("startup.mode", Startup::Latest, startup(config)),
            copying: copying(config, &mut reader),
            tolerance: reader.or("mongo.errors.tolerance", Tolerance::Framework, tolerance(config, flat)),
            heartbeat: heartbeat(config),
            partition_name: partition_name(config),
            on_lost_token: config.on_lost_token,
            oplog_warning: Duration::from_secs(u64::try_from(config.oplog_warning_minutes).unwrap_or(0) * 60),
        };
        let settings = settings.with_schemas(config, &mut reader);
        let mapper = config.topic_mapper.rsplit('.').next().unwrap_or_default();
        if mapper != "DefaultTopicMapper" {
            reader.problems.push(Problem::new(
                "topic.mapper",
                format!("{} cannot be loaded: there is DefaultTopicMapper; use topic.namespace.map or a transform such as RegexRouter", config.topic_mapper),
            ));
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// Schemas are read only where they are used, but must be right anyway, as in the peer.
    fn with_schemas(mut self, config: &SourceConfig, reader: &mut Reader<'_>) -> Self {
        let key = reader.or("output.schema.key", None, schema::avro(&config.schema_key).map(Some));
        let value = reader.or("output.schema.value", None, schema::avro(&config.schema_value).map(Some));
        if let (Form::Infer, Some(shape)) = (&self.key, key) {
            self.key = Form::Schema(shape);
        }
        if let (Form::Infer, Some(shape), false) = (&self.value, value, config.infer_schema) {
            self.value = Form::Schema(shape);
        }
        self
    }
}

fn array(text: &str) -> Result<Vec<Document>, String> {
    shell_json::objects(text).map_err(|error| format!("Not a valid JSON array: {error}"))
}

fn optional_object(text: &str) -> Result<Option<Document>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    shell_json::object(text).map(Some).map_err(|error| format!("Not a valid JSON object: {error}"))
}

fn millis(value: i64) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

fn scope(config: &SourceConfig) -> Result<Scope, String> {
    match (config.database.as_str(), config.collection.as_str()) {
        ("", "") => Ok(Scope::Deployment),
        ("", _) => Err("Missing database configuration `database`".to_owned()),
        (database, "") => Ok(Scope::Database(database.to_owned())),
        (database, collection) => Ok(Scope::Collection(database.to_owned(), collection.to_owned())),
    }
}

fn one_of(value: &str, allowed: &[&str]) -> Result<Option<String>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let found = allowed.iter().find(|one| one.eq_ignore_ascii_case(value));
    let found = found.ok_or_else(|| format!("\"{value}\" is none of {}", allowed.join(", ")))?;
    Ok(Some((*found).to_owned()))
}

fn full_document(config: &SourceConfig) -> Result<Option<String>, String> {
    let chosen = one_of(&config.full_document, &["default", "updateLookup", "whenAvailable", "required"])?;
    if config.full_document_only {
        return Ok(Some("updateLookup".to_owned()));
    }
    Ok(chosen)
}

fn format(name: &str) -> Result<Form, String> {
    match name.to_ascii_lowercase().as_str() {
        "json" => Ok(Form::Json),
        "bson" => Ok(Form::Bson),
        "schema" => Ok(Form::Infer),
        _ => Err(format!("\"{name}\" is none of json, bson, schema")),
    }
}

fn formatter(class: &str) -> Result<Mode, String> {
    match class.rsplit('.').next().unwrap_or_default() {
        "DefaultJson" => Ok(Mode::Strict),
        "ExtendedJson" => Ok(Mode::Extended),
        "SimplifiedJson" => Ok(Mode::Simplified),
        _ => Err(format!("{class} cannot be loaded; there are DefaultJson, ExtendedJson and SimplifiedJson")),
    }
}

fn startup(config: &SourceConfig) -> Result<Startup, String> {
    match config.startup_mode.to_ascii_lowercase().as_str() {
        "" if config.old_copy => Ok(Startup::Copy),
        "" | "latest" => Ok(Startup::Latest),
        "copy_existing" => Ok(Startup::Copy),
        "timestamp" if config.start_at.trim().is_empty() => Ok(Startup::Latest),
        "timestamp" => timestamp(config.start_at.trim()).map(Startup::Timestamp),
        _ => Err(format!("\"{}\" is none of latest, timestamp, copy_existing", config.startup_mode)),
    }
}

/// Seconds, an instant, or a BSON timestamp.
fn timestamp(text: &str) -> Result<Timestamp, String> {
    let seconds = |seconds: i64| u32::try_from(seconds).ok().map(|time| Timestamp { time, increment: 0 });
    let parsed = text.parse::<i32>().ok().and_then(|number| seconds(number.into())).or_else(|| {
        let instant = mongodb::bson::DateTime::parse_rfc3339_str(text).ok()?;
        seconds(instant.timestamp_millis().div_euclid(1000))
    });
    let parsed = parsed.or_else(|| {
        let wrapped = shell_json::object(&format!("{{\"t\": {text}}}")).ok()?;
        wrapped.get_timestamp("t").ok()
    });
    parsed.ok_or_else(|| {
        format!(
            "startup.mode.timestamp.start.at.operation.time: \"{text}\" is neither seconds since 1970 (30), nor an ISO-8601 instant \
             ('1970-01-01T00:00:30Z'), nor a BSON timestamp ('{{\"$timestamp\": {{\"t\": 30, \"i\": 0}}}}')"
        )
    })
}

fn copying(config: &SourceConfig, reader: &mut Reader<'_>) -> Copying {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let positive = |number: i32| usize::try_from(number).unwrap_or(1).max(1);
    let pipeline = config.copy_pipeline.as_ref().or(config.old_copy_pipeline.as_ref());
    let namespaces = config.copy_namespaces.as_ref().or(config.old_copy_namespaces.as_ref());
    let regex = match namespaces.map(|text| text.trim()).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => Regex::new(text).map(Some).map_err(|error| error.to_string()),
    };
    Copying {
        threads: config.copy_threads.or(config.old_copy_threads).map_or(processors, positive),
        queue: positive(config.copy_queue.or(config.old_copy_queue).unwrap_or(QUEUE)),
        pipeline: reader.or(
            "startup.mode.copy.existing.pipeline",
            Vec::new(),
            pipeline.map_or(Ok(Vec::new()), |text| array(text)),
        ),
        namespaces: reader.or("startup.mode.copy.existing.namespace.regex", None, regex),
        allow_disk_use: config.copy_allow_disk_use.or(config.old_copy_allow_disk_use).unwrap_or(true),
    }
}

fn tolerance(config: &SourceConfig, flat: &Flat) -> Result<Tolerance, String> {
    let Some(tolerance) = &config.errors_tolerance else {
        return match &config.errors_topic {
            None => Ok(Tolerance::Framework),
            Some(_) => Err("mongo.errors.deadletterqueue.topic.name needs mongo.errors.tolerance".to_owned()),
        };
    };
    let framework = |key: &str| flat.get(key).map(|text| text.trim().to_owned()).unwrap_or_default();
    match tolerance.to_ascii_lowercase().as_str() {
        "none" => Ok(Tolerance::None),
        "all" => Ok(Tolerance::All {
            topic: config.errors_topic.clone().unwrap_or_else(|| framework("errors.deadletterqueue.topic.name")),
            log: config.errors_log.unwrap_or_else(|| framework("errors.log.enable").eq_ignore_ascii_case("true")),
        }),
        _ => Err(format!("\"{tolerance}\" is neither none nor all")),
    }
}

fn heartbeat(config: &SourceConfig) -> Heartbeat {
    match config.heartbeat_ms {
        None => Heartbeat { every: Some(HEARTBEAT), topic: None },
        Some(0) => Heartbeat { every: None, topic: None },
        Some(interval) => Heartbeat { every: Some(millis(interval)), topic: Some(config.heartbeat_topic.clone()) },
    }
}

/// The peer's: scheme, hosts in order, namespace.
fn partition_name(config: &SourceConfig) -> String {
    if !config.partition_name.is_empty() {
        return config.partition_name.clone();
    }
    let (scheme, hosts) = match ConnectionString::parse(config.connection.uri.reveal()).map(|parsed| parsed.host_info) {
        Ok(HostInfo::DnsRecord(host)) => ("mongodb+srv", vec![host]),
        Ok(HostInfo::HostIdentifiers(hosts)) => ("mongodb", named(config.connection.uri.reveal(), hosts.len())),
        _ => ("mongodb", Vec::new()),
    };
    let mut hosts = hosts;
    hosts.sort();
    let dot = if config.collection.is_empty() { "" } else { "." };
    format!("{scheme}://{}/{}{dot}{}", hosts.join(","), config.database, config.collection)
}

/// The hosts as the connection string spells them: the parsed ones have a port where none was given.
fn named(uri: &str, count: usize) -> Vec<String> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let hosts: Vec<String> = hosts.split(',').map(str::to_owned).collect();
    debug_assert_eq!(hosts.len(), count);
    hosts
}
