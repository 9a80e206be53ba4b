//! The connectors of this worker, in one visible list ([`standard`]): a new connector is one line there.
//!
//! A class is found by our name, by its Java class name, and by what Connect accepts for one (`MongoSinkConnector`,
//! `MongoSink`). The catalogue announces each class with the framework's keys and the connector's own in one definition, and
//! answers validate, check and plan from the same definition.

mod roots;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_sdk::{
    ConfigDef, ConnectorKind, Error, ExactlyOnce, Findings, Flat, PluginInfo, Problem, Result, SinkPlugin,
    SourcePlugin, TaskContext, VersionRule, erase_sink, erase_source,
};

use crate::framework::{self, ExactlyOnceSupport};
pub use roots::FileAccess;

/// What a worker tells the control plane of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Announced {
    /// Our name
    pub class: String,
    /// Other names of it
    pub aliases: Vec<String>,
    /// Source or sink
    pub kind: ConnectorKind,
    /// The connector's version
    pub version: String,
    /// One sentence
    pub description: String,
    /// The framework's keys and the connector's own
    pub config: ConfigDef,
}

#[derive(Clone)]
enum Plugin {
    Sink(Arc<dyn SinkPlugin>),
    Source(Arc<dyn SourcePlugin>),
}

impl Plugin {
    fn info(&self) -> &PluginInfo {
        match self {
            Self::Sink(sink) => sink.info(),
            Self::Source(source) => source.info(),
        }
    }
}

struct Entry {
    plugin: Plugin,
    definition: ConfigDef,
}

/// Connector classes by name.
#[derive(Default)]
pub struct Catalog {
    entries: Vec<Entry>,
    by_name: BTreeMap<String, usize>,
}

impl Catalog {
    /// All connectors that this program contains; those that touch the worker's files as far as `files` lets them.
    #[must_use]
    pub fn standard(files: &FileAccess) -> Self {
        const VERSION: &str = env!("CARGO_PKG_VERSION");
        Self::default()
            .sink_plugin(erase_sink(millrace_connector_mongodb::Sink, VERSION))
            .source_plugin(erase_source(millrace_connector_mongodb::Source, VERSION))
            .sink_plugin(erase_sink(millrace_connector_cassandra::Sink, VERSION))
            .sink_plugin(erase_sink(millrace_connector_elasticsearch::Sink, VERSION))
            .sink_plugin(files.fence_sink(erase_sink(millrace_connector_file::Sink, VERSION)))
            .sink_plugin(files.fence_sink(erase_sink(millrace_connector_file::Capture, VERSION)))
            .source_plugin(files.fence_source(erase_source(millrace_connector_file::Source, VERSION)))
            .sink_plugin(erase_sink(millrace_connector_generator::Sink, VERSION))
            .source_plugin(erase_source(millrace_connector_generator::Source, VERSION))
    }

    /// Adds a sink.
    #[must_use]
    pub fn sink_plugin(self, plugin: Box<dyn SinkPlugin>) -> Self {
        self.add(Plugin::Sink(plugin.into()))
    }

    /// Adds a source.
    #[must_use]
    pub fn source_plugin(self, plugin: Box<dyn SourcePlugin>) -> Self {
        self.add(Plugin::Source(plugin.into()))
    }

    fn add(mut self, plugin: Plugin) -> Self {
        let info = plugin.info();
        let index = self.entries.len();
        for name in names(info) {
            self.by_name.entry(name).or_insert(index);
        }
        let definition = framework::definition(info.kind).with(&info.config);
        self.entries.push(Entry { plugin, definition });
        self
    }

    /// The sink connector of that class.
    ///
    /// # Errors
    /// `BadConfig` that names the classes there are.
    pub fn sink(&self, class: &str) -> Result<Arc<dyn SinkPlugin>> {
        match &self.entry(class)?.plugin {
            Plugin::Sink(sink) => Ok(Arc::clone(sink)),
            Plugin::Source(_) => Err(Error::bad_config(format!("{class} is a source, not a sink"))),
        }
    }

    /// The source connector of that class.
    ///
    /// # Errors
    /// `BadConfig` that names the classes there are.
    pub fn source(&self, class: &str) -> Result<Arc<dyn SourcePlugin>> {
        match &self.entry(class)?.plugin {
            Plugin::Source(source) => Ok(Arc::clone(source)),
            Plugin::Sink(_) => Err(Error::bad_config(format!("{class} is a sink, not a source"))),
        }
    }

    /// The framework's keys and the connector's own.
    ///
    /// # Errors
    /// `BadConfig` that names the classes there are.
    pub fn definition(&self, class: &str) -> Result<&ConfigDef> {
        Ok(&self.entry(class)?.definition)
    }

    /// What the control plane is told.
    #[must_use]
    pub fn announce(&self) -> Vec<Announced> {
        self.entries
            .iter()
            .map(|entry| {
                let info = entry.plugin.info();
                Announced {
                    class: info.class.to_owned(),
                    aliases: names(info).into_iter().skip(1).collect(),
                    kind: info.kind,
                    version: info.version.to_owned(),
                    description: info.description.to_owned(),
                    config: entry.definition.clone(),
                }
            })
            .collect()
    }

    /// Every problem of a configuration that can be found without connecting anywhere.
    #[must_use]
    pub fn validate(&self, class: &str, flat: &Flat, tenant_settings: &Flat) -> Findings {
        let entry = match self.entry(class) {
            Ok(entry) => entry,
            Err(error) => {
                let errors = vec![Problem::new("connector.class", error.to_string())];
                return Findings { errors, warnings: Vec::new() };
            }
        };
        let mut findings = entry.definition.validate(flat);
        findings.merge(framework::findings(entry.plugin.info().kind, flat, tenant_settings));
        findings.merge(match &entry.plugin {
            Plugin::Sink(sink) => sink.validate(flat),
            Plugin::Source(source) => source.validate(flat),
        });
        findings.errors.extend(Self::across(entry, flat, tenant_settings));
        findings.merge(entry.definition.unknown_keys(flat));
        findings
    }

    /// Whether a source with this configuration runs exactly once: if the user wishes it and the connector can.
    ///
    /// # Errors
    /// `BadConfig` when it is required and the connector cannot, or there is no such source.
    pub fn runs_exactly_once(&self, class: &str, flat: &Flat, tenant_settings: &Flat) -> Result<bool> {
        let Some(wish) = framework::exactly_once_support(flat, tenant_settings) else { return Ok(false) };
        match (self.source(class)?.exactly_once(flat), wish) {
            (ExactlyOnce::Supported, _) => Ok(true),
            (ExactlyOnce::Unsupported(_), ExactlyOnceSupport::Requested) => Ok(false),
            (ExactlyOnce::Unsupported(why), ExactlyOnceSupport::Required) => Err(Error::bad_config(format!(
                "The connector does not support exactly-once semantics with the provided configuration: {why}. Remove \
                 exactly.once.support, or set it to \"requested\""
            ))),
        }
    }

    /// What the connector has to say of keys of the framework.
    fn across(entry: &Entry, flat: &Flat, tenant_settings: &Flat) -> Vec<Problem> {
        let mut problems = Vec::new();
        match &entry.plugin {
            Plugin::Sink(sink) => {
                let rule = VersionRule::parse(flat.get("millrace.versions").map_or("", String::as_str));
                let asked = rule.ok().filter(|rule| !matches!(rule, VersionRule::Peer | VersionRule::None));
                if let Some(Err(why)) = asked.map(|rule| sink.versions(flat, &rule)) {
                    problems.push(Problem::new("millrace.versions", why));
                }
            }
            Plugin::Source(source) => {
                let wish = framework::exactly_once_support(flat, tenant_settings);
                if let (Some(ExactlyOnceSupport::Required), ExactlyOnce::Unsupported(why)) =
                    (wish, source.exactly_once(flat))
                {
                    let text = "The connector does not support exactly-once semantics with the provided configuration.";
                    problems.push(Problem::new("exactly.once.support", format!("{text} ({why})")));
                }
                let by_connector =
                    flat.get("transaction.boundary").is_some_and(|text| text.trim().eq_ignore_ascii_case("connector"));
                if by_connector && !source.defines_boundaries(flat) {
                    problems.push(Problem::new(
                        "transaction.boundary",
                        "The connector does not support connector-defined transaction boundaries with the given \
                         configuration; use poll or interval",
                    ));
                }
            }
        }
        problems
    }

    /// Connects to the store and looks whether the connector could work.
    ///
    /// # Errors
    /// `BadConfig` refuses the configuration; other kinds mean that the store could not be asked.
    pub async fn check(&self, class: &str, flat: &Flat, context: &TaskContext) -> Result<Findings> {
        match &self.entry(class)?.plugin {
            Plugin::Sink(sink) => sink.check(flat, context).await,
            Plugin::Source(source) => source.check(flat, context).await,
        }
    }

    /// The tasks' own keys, one entry per task. Sinks share the topics' partitions among `max_tasks` equal tasks.
    ///
    /// # Errors
    /// The connector's.
    pub async fn plan(&self, class: &str, flat: &Flat, max_tasks: u32) -> Result<Vec<Flat>> {
        let max_tasks = max_tasks.max(1);
        match &self.entry(class)?.plugin {
            Plugin::Sink(_) => Ok(vec![Flat::new(); max_tasks as usize]),
            Plugin::Source(source) => source.plan(flat, max_tasks).await,
        }
    }

    /// Our name of a class that the worker has.
    #[must_use]
    pub fn name_of(&self, class: &str) -> Option<&'static str> {
        self.by_name.get(class.trim()).map(|index| self.entries[*index].plugin.info().class)
    }

    fn entry(&self, class: &str) -> Result<&Entry> {
        if let Some(index) = self.by_name.get(class.trim()) {
            return Ok(&self.entries[*index]);
        }
        let not_available = millrace_connector_cassandra::NOT_AVAILABLE;
        if let Some((_, message)) = not_available.iter().find(|(known, _)| *known == class.trim()) {
            return Err(Error::bad_config(*message));
        }
        let near = millrace_sdk::config::nearest(class, self.by_name.keys().map(String::as_str))
            .map(|near| format!(" Did you mean {near}?"))
            .unwrap_or_default();
        let known: Vec<&str> = self.entries.iter().map(|entry| entry.plugin.info().class).collect();
        Err(Error::bad_config(format!(
            "Failed to find any class that implements Connector and which name matches {class}.{near} \
             This worker offers: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )))
    }
}

/// All names of a class: ours, the Java ones, and of those the simple name with and without `Connector`.
fn names(info: &PluginInfo) -> Vec<String> {
    let mut names = vec![info.class.to_owned()];
    let mut push = |name: &str| {
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    for alias in info.aliases {
        push(alias);
    }
    for alias in info.aliases {
        let simple = alias.rsplit('.').next().unwrap_or(alias);
        push(simple);
        push(simple.strip_suffix("Connector").unwrap_or(simple));
    }
    names
}
