//! Connector classes that workers announced: data, found by every name Connect would accept.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::Plugin;

/// The newest version of each class.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    plugins: Vec<Arc<Plugin>>,
}

impl Catalogue {
    /// From all versions of all classes.
    #[must_use]
    pub fn new(all: impl IntoIterator<Item = Arc<Plugin>>) -> Self {
        let mut plugins: Vec<Arc<Plugin>> = all.into_iter().collect();
        plugins.sort_by(|a, b| {
            a.class.cmp(&b.class).then_with(|| version_parts(&b.version).cmp(&version_parts(&a.version)))
        });
        plugins.dedup_by(|later, first| later.class == first.class);
        Self { plugins }
    }

    /// In the order of names.
    #[must_use]
    pub fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// The class of that name: ours, a Java class, or what Connect accepts for one (`MongoSinkConnector`, `MongoSink`).
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Plugin>> {
        let name = name.trim();
        self.plugins
            .iter()
            .find(|plugin| plugin.class == name)
            .or_else(|| self.plugins.iter().find(|plugin| names(plugin).contains(name)))
    }

    /// What to say of a class that nobody offers.
    #[must_use]
    pub fn unknown(&self, name: &str) -> UnknownClass {
        let simple = name.trim().rsplit('.').next().unwrap_or_default();
        if let Some((_, answer)) = NOT_AVAILABLE_YET.iter().find(|(class, _)| *class == simple) {
            let text = format!("{} is not available yet: {answer}", name.trim());
            return UnknownClass { connect: text.clone(), plain: text };
        }
        let none = "none, as no worker has registered yet".to_owned();
        let list = |items: Vec<String>| if items.is_empty() { none.clone() } else { items.join(", ") };
        let classes = list(self.plugins.iter().map(|plugin| plugin.class.clone()).collect());
        let described = self
            .plugins
            .iter()
            .map(|plugin| {
                format!(
                    "PluginDesc{{klass={}, name='{}', version='{}', type={}}}",
                    plugin.class,
                    plugin.aliases.first().unwrap_or(&plugin.class),
                    plugin.version,
                    type_name(plugin.kind)
                )
            })
            .collect();
        UnknownClass {
            connect: format!(
                "Failed to find any class that implements Connector and which name matches {name}, available connectors \
                 are: {}",
                list(described)
            ),
            plain: format!("there is no connector class \"{name}\"; available are: {classes}"),
        }
    }
}

/// That nobody offers a class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{plain}")]
pub struct UnknownClass {
    /// In Connect's words
    pub connect: String,
    /// In ours
    pub plain: String,
}

/// Classes of the peers that users post though no version offers them yet, by simple name.
const NOT_AVAILABLE_YET: &[(&str, &str)] = &[
    ("CassandraSourceConnector", CASSANDRA_SOURCE),
    ("CassandraSource", CASSANDRA_SOURCE),
    ("cassandra-source", CASSANDRA_SOURCE),
];

const CASSANDRA_SOURCE: &str = "this version writes to Cassandra \
     (com.datastax.oss.kafka.sink.CassandraSinkConnector) but does not read from it";

/// All names of a class.
#[must_use]
pub fn names(plugin: &Plugin) -> BTreeSet<&str> {
    let mut names = BTreeSet::from([plugin.class.as_str()]);
    for alias in &plugin.aliases {
        names.insert(alias);
        names.extend(short_names(alias));
    }
    names
}

/// What Connect accepts for a Java class name: without the package, and without "Connector" at the end.
pub(crate) fn short_names(class: &str) -> impl Iterator<Item = &str> {
    let simple = class.rsplit_once('.').map(|(_, simple)| simple);
    let short = simple.and_then(|simple| simple.strip_suffix("Connector")).filter(|short| !short.is_empty());
    simple.into_iter().chain(short)
}

/// As Connect spells it.
#[must_use]
pub fn type_name(kind: millrace_sdk::ConnectorKind) -> &'static str {
    match kind {
        millrace_sdk::ConnectorKind::Source => "source",
        millrace_sdk::ConnectorKind::Sink => "sink",
    }
}

/// Numbers compare as numbers.
fn version_parts(version: &str) -> Vec<(u64, &str)> {
    version.split(['.', '-', '+']).map(|part| part.parse().map_or((0, part), |number| (number, ""))).collect()
}

#[cfg(test)]
mod tests {
    use millrace_sdk::{ConfigDef, ConnectorKind};

    use super::*;

    fn plugin(class: &str, alias: &str, version: &str) -> Arc<Plugin> {
        Arc::new(Plugin {
            class: class.into(),
            aliases: vec![alias.into()],
            kind: ConnectorKind::Sink,
            version: version.into(),
            description: String::new(),
            config: ConfigDef::default(),
        })
    }

    #[test]
    fn a_class_is_found_by_all_its_names() {
        let catalogue = Catalogue::new([
            plugin("file-sink", "org.apache.kafka.connect.file.FileStreamSinkConnector", "0.9.0"),
            plugin("file-sink", "org.apache.kafka.connect.file.FileStreamSinkConnector", "0.10.0"),
            plugin("mongodb-sink", "com.mongodb.kafka.connect.MongoSinkConnector", "0.1.0"),
        ]);
        for name in ["file-sink", "org.apache.kafka.connect.file.FileStreamSinkConnector", "FileStreamSink"] {
            assert_eq!(catalogue.find(name).unwrap().version, "0.10.0", "{name}");
        }
        assert_eq!(catalogue.plugins().len(), 2);
        assert!(catalogue.find("Nope").is_none());
        assert!(catalogue.unknown("Nope").connect.contains("name='com.mongodb.kafka.connect.MongoSinkConnector'"));
        assert_eq!(
            catalogue.unknown("Nope").plain,
            "there is no connector class \"Nope\"; available are: file-sink, mongodb-sink"
        );
        assert!(Catalogue::default().unknown("Nope").plain.contains("no worker has registered"));
        let source = catalogue.unknown("com.datastax.oss.kafka.source.CassandraSourceConnector");
        assert!(source.plain.contains("CassandraSourceConnector is not available yet"), "{source:?}");
    }
}
