//! Which files of the worker a connector may touch. A connector that reads or writes files is wrapped, so that the rule
//! holds wherever its configuration is used: validation, check, planning and opening.

use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use millrace_sdk::{
    Error, ExactlyOnce, Findings, Flat, PluginInfo, Positions, Problem, Result, SinkPlugin, SinkTask, SourcePlugin,
    SourceTask, TaskContext, VersionRule,
};

/// The file connectors' key that names their file.
const FILE_KEY: &str = "file";

/// What the operator lets file connectors do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAccess {
    /// Nothing: whoever may create a connector could read and write as the worker's user
    Refused,
    /// Files below these folders
    Below(Vec<PathBuf>),
    /// Everything, as Kafka Connect does; for one's own machine
    Anywhere,
}

impl FileAccess {
    /// Whether a connector with this configuration may run; the message says what to do.
    pub(super) fn allows(&self, flat: &Flat) -> Result<(), String> {
        let roots = match self {
            Self::Anywhere => return Ok(()),
            Self::Refused => {
                return Err(
                    "file connectors are switched off on this worker, because whoever may create connectors could \
                            read and write any file of the worker's user; the operator switches them on with \
                            --file-connectors and --file-root"
                        .to_owned(),
                );
            }
            Self::Below(roots) => roots,
        };
        let Some(file) = flat.get(FILE_KEY).filter(|file| !file.is_empty()) else {
            return Err("a file must be named: standard input and output are not available on this worker".to_owned());
        };
        let inside = resolved(Path::new(file)).is_some_and(|file| {
            roots.iter().any(|root| file.starts_with(root.canonicalize().unwrap_or_else(|_| root.clone())))
        });
        if inside {
            return Ok(());
        }
        let roots: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
        Err(format!("{file} is not below a folder that the operator allows (--file-root: {})", roots.join(", ")))
    }
}

/// The file with links and dots resolved; the file itself need not exist yet, its folder must.
fn resolved(file: &Path) -> Option<PathBuf> {
    if !file.is_absolute() || file.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    if file.symlink_metadata().is_ok() {
        return file.canonicalize().ok();
    }
    Some(file.parent()?.canonicalize().ok()?.join(file.file_name()?))
}

impl FileAccess {
    /// A sink that touches files, under this rule.
    pub(super) fn fence_sink(&self, plugin: Box<dyn SinkPlugin>) -> Box<dyn SinkPlugin> {
        Box::new(Fenced { access: self.clone(), plugin })
    }

    /// A source that touches files, under this rule.
    pub(super) fn fence_source(&self, plugin: Box<dyn SourcePlugin>) -> Box<dyn SourcePlugin> {
        Box::new(Fenced { access: self.clone(), plugin })
    }
}

/// A file connector under the operator's rule.
struct Fenced<P: ?Sized> {
    access: FileAccess,
    plugin: Box<P>,
}

impl<P: ?Sized> Fenced<P> {
    fn allowed(&self, flat: &Flat) -> Result<()> {
        self.access.allows(flat).map_err(Error::bad_config)
    }

    fn findings(&self, flat: &Flat, mut findings: Findings) -> Findings {
        if let Err(message) = self.access.allows(flat) {
            let key = if self.access == FileAccess::Refused { "connector.class" } else { FILE_KEY };
            findings.errors.push(Problem::new(key, message));
        }
        findings
    }
}

#[async_trait]
impl SinkPlugin for Fenced<dyn SinkPlugin> {
    fn info(&self) -> &PluginInfo {
        self.plugin.info()
    }

    fn validate(&self, flat: &Flat) -> Findings {
        self.findings(flat, self.plugin.validate(flat))
    }

    fn versions(&self, flat: &Flat, rule: &VersionRule) -> Result<(), String> {
        self.plugin.versions(flat, rule)
    }

    async fn check(&self, flat: &Flat, context: &TaskContext) -> Result<Findings> {
        self.allowed(flat)?;
        self.plugin.check(flat, context).await
    }

    async fn open(&self, flat: &Flat, context: TaskContext) -> Result<Box<dyn SinkTask>> {
        self.allowed(flat)?;
        self.plugin.open(flat, context).await
    }
}

#[async_trait]
impl SourcePlugin for Fenced<dyn SourcePlugin> {
    fn info(&self) -> &PluginInfo {
        self.plugin.info()
    }

    fn validate(&self, flat: &Flat) -> Findings {
        self.findings(flat, self.plugin.validate(flat))
    }

    fn exactly_once(&self, flat: &Flat) -> ExactlyOnce {
        self.plugin.exactly_once(flat)
    }

    fn defines_boundaries(&self, flat: &Flat) -> bool {
        self.plugin.defines_boundaries(flat)
    }

    async fn check(&self, flat: &Flat, context: &TaskContext) -> Result<Findings> {
        self.allowed(flat)?;
        self.plugin.check(flat, context).await
    }

    async fn plan(&self, flat: &Flat, max_tasks: u32) -> Result<Vec<Flat>> {
        self.allowed(flat)?;
        self.plugin.plan(flat, max_tasks).await
    }

    async fn open(&self, flat: &Flat, context: TaskContext, positions: Positions) -> Result<Box<dyn SourceTask>> {
        self.allowed(flat)?;
        self.plugin.open(flat, context, positions).await
    }
}
