//! What a worker knows of its work: the assignment it was given and the statuses it reports. Plain data; `wire.rs` converts
//! from and to the protobuf types, and nothing else in this crate knows them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millrace_sdk::{ConnectorKind, Flat};

/// A task of a connector of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The tenant
    pub tenant: String,
    /// The connector's name
    pub connector: String,
    /// From 0
    pub index: u32,
}

impl TaskId {
    /// By which name Kafka knows the task's own clients, unless the user says otherwise.
    #[must_use]
    pub fn client_id(&self) -> String {
        format!("millrace-{}.{}-{}", self.tenant, self.connector, self.index)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}-{}", self.tenant, self.connector, self.index)
    }
}

/// All a worker needs to run a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSpec {
    /// Which task
    pub id: TaskId,
    /// Bumped at each placement and each restart that was asked for
    pub generation: i64,
    /// The task set it belongs to
    pub set_revision: i64,
    /// Hash of all that must cause a restart; pausing is not part of it
    pub fingerprint: String,
    /// The connector class or an alias of it
    pub class: String,
    /// Source or sink
    pub kind: ConnectorKind,
    /// How many tasks the connector has
    pub tasks_total: u32,
    /// Hold still
    pub paused: bool,
    /// The connector's flat keys, secrets in clear
    pub config: Flat,
    /// The task's own keys
    pub task_config: Flat,
    /// The tenant's settings, as in a Connect worker's properties
    pub tenant_settings: Flat,
}

/// The complete set of tasks of this worker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assignment {
    /// The leader that made it
    pub epoch: i64,
    /// Rises with each change; reported back once applied
    pub revision: i64,
    /// By task
    pub tasks: BTreeMap<TaskId, Arc<TaskSpec>>,
}

/// The state of a task here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// Opening
    Starting,
    /// Moving records
    Running,
    /// Holding still
    Paused,
    /// Waiting to be tried again
    Restarting,
    /// Not tried again by itself
    Failed,
    /// Ended as asked
    Stopped,
    /// Found somebody newer
    Fenced,
}

/// What is reported of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStatus {
    /// Which task
    pub id: TaskId,
    /// The generation this speaks of
    pub generation: i64,
    /// The task set it belongs to
    pub set_revision: i64,
    /// The state
    pub state: TaskState,
    /// `ErrorKind::name`, empty without error
    pub error_kind: &'static str,
    /// The error with stage, coordinates, causes and remedy; empty without error
    pub trace: String,
    /// Remarks
    pub warnings: Vec<String>,
}
