//! What a connector's task tells of itself: figures become instruments with the task's labels, remarks part of its status.

use std::sync::Arc;

use millrace_sdk::{Figure, Listener, Reports};

use super::{Life, Reporter};
use crate::metrics::TaskMetrics;

struct Told {
    metrics: Arc<TaskMetrics>,
    reporter: Arc<Reporter>,
}

impl Listener for Told {
    fn gauge(&self, figure: &'static Figure, value: f64) {
        self.metrics.connector_gauge(figure, value);
    }

    fn count(&self, figure: &'static Figure, more: u64) {
        self.metrics.connector_count(figure, more);
    }

    fn remark(&self, subject: &'static str, text: Option<String>) {
        self.reporter.remark(subject, text);
    }
}

impl Life {
    /// For the connector's task.
    pub(super) fn reports(&self) -> Reports {
        Reports::to(Arc::new(Told { metrics: Arc::clone(&self.metrics), reporter: Arc::clone(&self.reporter) }))
    }
}
