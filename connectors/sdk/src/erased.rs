//! The erased twins: a catalogue can hold any connector as a [`SinkPlugin`] or [`SourcePlugin`], made from the typed
//! traits by blanket implementations. The step from flat text keys to the typed configuration happens here and nowhere
//! else.

use async_trait::async_trait;

use crate::config::{self, Config, ConfigDef, Findings, Flat};
use crate::{
    Error, ExactlyOnce, Positions, Result, SinkConnector, SinkTask, SourceConnector, SourceTask, TaskContext,
    VersionRule,
};

/// Source or sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorKind {
    /// Store to Kafka
    Source,
    /// Kafka to store
    Sink,
}

/// What a catalogue says about a connector class.
#[derive(Debug, Clone)]
pub struct PluginInfo {
    /// Our name
    pub class: &'static str,
    /// Java class names which mean the same
    pub aliases: &'static [&'static str],
    /// Source or sink
    pub kind: ConnectorKind,
    /// The version
    pub version: &'static str,
    /// One sentence
    pub description: &'static str,
    /// The connector's own keys (the framework adds its own)
    pub config: ConfigDef,
}

/// A sink connector without its types.
#[async_trait]
pub trait SinkPlugin: Send + Sync {
    /// Its catalogue entry.
    fn info(&self) -> &PluginInfo;
    /// All problems of the connector's own keys, types and rules across keys.
    fn validate(&self, flat: &Flat) -> Findings;
    /// See [`SinkConnector::versions`]; a configuration that cannot be parsed is another's to refuse.
    ///
    /// # Errors
    /// The reason for the user.
    fn versions(&self, flat: &Flat, rule: &VersionRule) -> Result<(), String>;
    /// See [`SinkConnector::check`].
    async fn check(&self, flat: &Flat, context: &TaskContext) -> Result<Findings>;
    /// See [`SinkConnector::open`].
    async fn open(&self, flat: &Flat, context: TaskContext) -> Result<Box<dyn SinkTask>>;
}

/// A source connector without its types.
#[async_trait]
pub trait SourcePlugin: Send + Sync {
    /// Its catalogue entry.
    fn info(&self) -> &PluginInfo;
    /// All problems of the connector's own keys, types and rules across keys.
    fn validate(&self, flat: &Flat) -> Findings;
    /// See [`SourceConnector::exactly_once`].
    fn exactly_once(&self, flat: &Flat) -> ExactlyOnce;
    /// See [`SourceConnector::defines_boundaries`].
    fn defines_boundaries(&self, flat: &Flat) -> bool;
    /// See [`SourceConnector::check`].
    async fn check(&self, flat: &Flat, context: &TaskContext) -> Result<Findings>;
    /// See [`SourceConnector::plan`].
    async fn plan(&self, flat: &Flat, max_tasks: u32) -> Result<Vec<Flat>>;
    /// See [`SourceConnector::open`].
    async fn open(&self, flat: &Flat, context: TaskContext, positions: Positions) -> Result<Box<dyn SourceTask>>;
}

struct ErasedSink<C> {
    info: PluginInfo,
    connector: C,
}

struct ErasedSource<C> {
    info: PluginInfo,
    connector: C,
}

/// The erased twin of a sink connector; `version` is the crate's.
pub fn erase_sink<C: SinkConnector>(connector: C, version: &'static str) -> Box<dyn SinkPlugin> {
    let info = PluginInfo {
        class: C::NAME,
        aliases: C::ALIASES,
        kind: ConnectorKind::Sink,
        version,
        description: C::DESCRIPTION,
        config: config::definition::<C::Config>(),
    };
    Box::new(ErasedSink { info, connector })
}

/// The erased twin of a source connector; `version` is the crate's.
pub fn erase_source<C: SourceConnector>(connector: C, version: &'static str) -> Box<dyn SourcePlugin> {
    let info = PluginInfo {
        class: C::NAME,
        aliases: C::ALIASES,
        kind: ConnectorKind::Source,
        version,
        description: C::DESCRIPTION,
        config: config::definition::<C::Config>(),
    };
    Box::new(ErasedSource { info, connector })
}

fn typed<T: Config>(info: &PluginInfo, flat: &Flat) -> Result<T> {
    config::parse::<T>(&info.config, flat)
        .map_err(|findings| Error::bad_config(format!("invalid configuration: {}", config::join(&findings.errors))))
}

fn validate<T: Config>(info: &PluginInfo, flat: &Flat) -> Findings {
    match config::parse::<T>(&info.config, flat) {
        Ok(_) => info.config.validate(flat),
        Err(findings) => findings,
    }
}

#[async_trait]
impl<C: SinkConnector> SinkPlugin for ErasedSink<C> {
    fn info(&self) -> &PluginInfo {
        &self.info
    }

    fn validate(&self, flat: &Flat) -> Findings {
        validate::<C::Config>(&self.info, flat)
    }

    fn versions(&self, flat: &Flat, rule: &VersionRule) -> Result<(), String> {
        match typed::<C::Config>(&self.info, flat) {
            Ok(config) => self.connector.versions(&config, rule),
            Err(_) => Ok(()),
        }
    }

    async fn check(&self, flat: &Flat, context: &TaskContext) -> Result<Findings> {
        let config = typed::<C::Config>(&self.info, flat)?;
        self.connector.check(&config, context).await
    }

    async fn open(&self, flat: &Flat, context: TaskContext) -> Result<Box<dyn SinkTask>> {
        let config = typed::<C::Config>(&self.info, flat)?;
        Ok(Box::new(self.connector.open(config, context).await?))
    }
}

#[async_trait]
impl<C: SourceConnector> SourcePlugin for ErasedSource<C> {
    fn info(&self) -> &PluginInfo {
        &self.info
    }

    fn validate(&self, flat: &Flat) -> Findings {
        validate::<C::Config>(&self.info, flat)
    }

    fn exactly_once(&self, flat: &Flat) -> ExactlyOnce {
        match typed::<C::Config>(&self.info, flat) {
            Ok(config) => self.connector.exactly_once(&config),
            Err(_) => ExactlyOnce::Unsupported("its configuration is not valid"),
        }
    }

    fn defines_boundaries(&self, flat: &Flat) -> bool {
        typed::<C::Config>(&self.info, flat).is_ok_and(|config| self.connector.defines_boundaries(&config))
    }

    async fn check(&self, flat: &Flat, context: &TaskContext) -> Result<Findings> {
        let config = typed::<C::Config>(&self.info, flat)?;
        self.connector.check(&config, context).await
    }

    async fn plan(&self, flat: &Flat, max_tasks: u32) -> Result<Vec<Flat>> {
        let config = typed::<C::Config>(&self.info, flat)?;
        self.connector.plan(&config, max_tasks).await
    }

    async fn open(&self, flat: &Flat, context: TaskContext, positions: Positions) -> Result<Box<dyn SourceTask>> {
        let config = typed::<C::Config>(&self.info, flat)?;
        Ok(Box::new(self.connector.open(config, context, positions).await?))
    }
}
