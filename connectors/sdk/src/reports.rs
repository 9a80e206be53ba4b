//! What a task tells of itself beside its records: figures for the metrics, and remarks for its status.

use std::fmt;
use std::sync::Arc;

/// A figure that a connector keeps; `millrace.<system>.<subject>…`, with the unit that OpenTelemetry gives it.
#[derive(Debug)]
pub struct Figure {
    /// Its name
    pub name: &'static str,
    /// Such as `s` or `{record}`
    pub unit: &'static str,
    /// One sentence
    pub description: &'static str,
}

/// Who listens: the framework, which knows the task's labels and its status.
pub trait Listener: Send + Sync {
    /// A figure has this value now.
    fn gauge(&self, figure: &'static Figure, value: f64);
    /// A figure has grown.
    fn count(&self, figure: &'static Figure, more: u64);
    /// Sets the remark on a subject, or takes it back.
    fn remark(&self, subject: &'static str, text: Option<String>);
}

/// The task's way to tell. The default tells nobody.
#[derive(Clone, Default)]
pub struct Reports(Option<Arc<dyn Listener>>);

impl Reports {
    /// Reports to a listener.
    #[must_use]
    pub fn to(listener: Arc<dyn Listener>) -> Self {
        Self(Some(listener))
    }

    /// A figure has this value now. It is gone with the task.
    pub fn gauge(&self, figure: &'static Figure, value: f64) {
        if let Some(listener) = &self.0 {
            listener.gauge(figure, value);
        }
    }

    /// A figure has grown.
    pub fn count(&self, figure: &'static Figure, more: u64) {
        if let Some(listener) = &self.0 {
            listener.count(figure, more);
        }
    }

    /// What the user should know while the task runs: part of its status and logged when it changes, until it is replaced or taken
    /// back with None. The subject tells remarks apart, such as `mongodb.oplog`.
    pub fn remark(&self, subject: &'static str, text: Option<String>) {
        if let Some(listener) = &self.0 {
            listener.remark(subject, text);
        }
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Reports(..)" } else { "Reports(nobody)" })
    }
}
