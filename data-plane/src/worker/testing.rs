//! Made-up tasks for the tests of this crate.

use std::sync::Arc;

use millrace_sdk::{ConnectorKind, Flat};

use crate::model::{TaskId, TaskSpec};

/// Task 0 of a sink.
pub(crate) fn spec(connector: &str, generation: i64) -> Arc<TaskSpec> {
    Arc::new(TaskSpec {
        id: TaskId { tenant: "default".to_owned(), connector: connector.to_owned(), index: 0 },
        generation,
        set_revision: 1,
        fingerprint: "f".to_owned(),
        class: "example".to_owned(),
        kind: ConnectorKind::Sink,
        tasks_total: 1,
        paused: false,
        config: Flat::new(),
        task_config: Flat::new(),
        tenant_settings: Flat::new(),
    })
}

/// Task 0 of a source.
pub(crate) fn source_spec(connector: &str, generation: i64) -> Arc<TaskSpec> {
    Arc::new(TaskSpec { kind: ConnectorKind::Source, ..TaskSpec::clone(&spec(connector, generation)) })
}
