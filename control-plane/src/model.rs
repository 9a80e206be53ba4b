//! What the control plane knows: identifiers as types, definitions, task sets, statuses. Plain data, no I/O. Everything
//! stored is JSON with these shapes.

use std::collections::BTreeMap;
use std::fmt;

pub use millrace_sdk::{ConfigDef, ConnectorKind, Flat};
use serde::{Deserialize, Serialize};

/// Leadership number: the store revision at which the leader was elected. Every commit of a reconciler is guarded by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Epoch(pub i64);

/// Bumped, and stored, each time a task is placed, before the placement is sent to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Generation(pub i64);

/// A tenant and a connector of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConnectorId {
    /// `[a-z0-9-]{1,63}`
    pub tenant: String,
    /// As the user named it
    pub connector: String,
}

impl fmt::Display for ConnectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tenants/{}/connectors/{}", self.tenant, self.connector)
    }
}

/// A task of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId {
    /// The connector
    #[serde(flatten)]
    pub connector: ConnectorId,
    /// From 0
    pub index: u32,
}

/// The tenant that exists when authentication is off.
pub const DEFAULT_TENANT: &str = "default";

/// What the user wants of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "UPPERCASE")]
pub enum TargetState {
    /// Tasks run
    #[default]
    Running,
    /// Tasks hold their resources and move no records
    Paused,
    /// No tasks
    Stopped,
}

/// A connector as the user defined it; stored under `…/connectors/{c}/definition`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Flat keys, `name` among them; values of secrets are sealed (`auth/seal.rs`)
    pub config: Flat,
    /// What the user wants
    pub target: TargetState,
    /// Bumped by each change of `config`
    pub version: i64,
    /// Bumped by each restart the user asks for: of the connector (None) or of a task
    #[serde(default)]
    pub restarts: BTreeMap<RestartScope, i64>,
    /// Milliseconds since the epoch
    pub created_ms: i64,
    /// Milliseconds since the epoch
    pub updated_ms: i64,
    /// Remarks of the last validation
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What a restart is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RestartScope {
    /// The connector: its tasks are planned again
    Connector,
    /// One task
    Task(u32),
}

impl From<RestartScope> for String {
    fn from(scope: RestartScope) -> Self {
        match scope {
            RestartScope::Connector => "connector".to_owned(),
            RestartScope::Task(index) => index.to_string(),
        }
    }
}

impl TryFrom<String> for RestartScope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "connector" {
            return Ok(Self::Connector);
        }
        text.parse().map(Self::Task).map_err(|_| format!("\"{text}\" is neither \"connector\" nor a task's index"))
    }
}

impl Definition {
    /// The class the user posted.
    #[must_use]
    pub fn class(&self) -> &str {
        self.config.get("connector.class").map_or("", String::as_str)
    }

    /// `tasks.max`, 1 when absent or unreadable (validation has refused the latter).
    #[must_use]
    pub fn tasks_max(&self) -> u32 {
        self.config.get("tasks.max").and_then(|text| text.trim().parse().ok()).filter(|n| *n > 0).unwrap_or(1)
    }
}

/// The tasks of one plan; stored under `…/connectors/{c}/plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSet {
    /// Rises with each new set
    pub revision: i64,
    /// [`Definition::version`] and connector restarts that this was planned for
    pub planned_for: PlannedFor,
    /// Class and kind as resolved when planned
    pub kind: ConnectorKind,
    /// Each task's own keys
    pub tasks: Vec<Flat>,
    /// Why the newest planning failed (the tasks are then those of the plan before)
    #[serde(default)]
    pub error: Option<String>,
}

/// What a plan depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct PlannedFor {
    /// [`Definition::version`]
    pub version: i64,
    /// Restarts of the connector
    pub restarts: i64,
}

/// Where a task is; stored under `…/connectors/{c}/task/{n}` *before* the worker hears of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// Rises with each placement and each restart
    pub generation: Generation,
    /// The worker; None while unassigned
    pub worker: Option<String>,
    /// The worker is to stop it and confirm, before anybody else may start it
    #[serde(default)]
    pub revoking: bool,
    /// The task set it belongs to
    pub set_revision: i64,
    /// Restarts of the task asked for by the user that this placement answers
    #[serde(default)]
    pub restarts: i64,
}

/// A task as its worker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskState {
    /// Opening
    Starting,
    /// Moving records
    Running,
    /// Holding still
    Paused,
    /// Waiting to be tried again, here
    Restarting,
    /// Not tried again by itself
    Failed,
    /// Ended as asked; another may start
    Stopped,
    /// Found somebody newer
    Fenced,
}

/// What a worker said last of a task; stored under `…/connectors/{c}/status/{n}` when the state changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Of the placement this speaks of
    pub generation: Generation,
    /// Who said it
    pub worker: String,
    /// The worker's host:port
    pub address: String,
    /// The state
    pub state: TaskState,
    /// `ErrorKind::name`, empty without error
    #[serde(default)]
    pub error_kind: String,
    /// Error with causes and remedy, empty without error
    #[serde(default)]
    pub trace: String,
    /// Remarks
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Milliseconds since the epoch
    pub since_ms: i64,
}

/// A live worker; stored under `/workers/{id}` with its session's lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// Its id
    pub id: String,
    /// New for each start of the process
    pub incarnation: String,
    /// host:port
    pub address: String,
    /// Its version
    pub version: String,
    /// For placement rules
    pub labels: BTreeMap<String, String>,
    /// Tasks it takes at most
    pub capacity: u32,
    /// Class names (and aliases) it offers
    pub classes: Vec<String>,
}

/// A connector class some worker offers or offered; stored under `/catalogue/{class}/{version}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plugin {
    /// Our name
    pub class: String,
    /// Java class names that mean the same
    pub aliases: Vec<String>,
    /// Source or sink
    pub kind: ConnectorKind,
    /// Version
    pub version: String,
    /// One sentence
    pub description: String,
    /// Framework's keys and the connector's own
    pub config: ConfigDef,
}

/// The tasks a worker should run, as references; stored under `/assignments/{worker}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The leader that wrote it
    pub epoch: Epoch,
    /// In order
    pub tasks: Vec<TaskRef>,
}

/// A reference to a task in an [`Assignment`]; configuration is joined when it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// The task
    pub id: TaskId,
    /// Of its placement
    pub generation: Generation,
    /// Of its set
    pub set_revision: i64,
}

/// A tenant's settings; stored under `/tenants/{t}/definition`. Flat keys as in a Connect worker's properties:
/// `bootstrap.servers`, `key.converter`, `offset.storage.topic`, `consumer.…`, `producer.…`, `admin.…`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// The settings; secrets sealed
    pub settings: Flat,
}
