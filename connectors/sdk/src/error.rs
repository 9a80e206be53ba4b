//! One error type with one kind, and one reaction to each kind. A connector classifies its driver's errors once, in its
//! own `error.rs`; the framework decides what happens next from the kind alone and never from the text.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What the framework does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Will pass by itself: the same write is tried again with back-off, for as long as it takes.
    Transient {
        /// What the peer asked for, when it did.
        retry_after: Option<Duration>,
    },
    /// This record (or one record of this batch) can never be written: `errors.tolerance` decides.
    BadRecord,
    /// The configuration, the credentials or the target is wrong: FAILED until the configuration changes.
    BadConfig,
    /// Somebody newer owns this work: stop silently.
    Fenced,
    /// Unexpected: restart with a budget, then FAILED.
    Internal,
}

impl ErrorKind {
    /// A transient error without a wish of the peer.
    pub const TRANSIENT: Self = Self::Transient { retry_after: None };

    /// The name used in statuses, metrics and dead-letter headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient { .. } => "transient",
            Self::BadRecord => "bad-record",
            Self::BadConfig => "bad-config",
            Self::Fenced => "fenced",
            Self::Internal => "internal",
        }
    }
}

/// The result of everything a connector does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// An error of a connector: its kind, a sentence that says what was being done, what is wrong and what to do, and the
/// cause. `Display` prints the sentence only; [`Error::chain`] prints the causes too. Never put a secret in either.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
    tolerance: Option<bool>,
    class: Option<&'static str>,
}

impl Error {
    /// An error of `kind`; `message` is a whole sentence fragment such as "cannot insert into orders.lines: …".
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None, tolerance: None, class: None }
    }

    /// [`ErrorKind::Transient`] without a wished delay.
    pub fn transient(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::TRANSIENT, message)
    }

    /// [`ErrorKind::BadRecord`].
    pub fn bad_record(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::BadRecord, message)
    }

    /// [`ErrorKind::BadConfig`].
    pub fn bad_config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::BadConfig, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says of a [`ErrorKind::BadRecord`] whether it is passed over, whatever `errors.tolerance` says: for connectors with a
    /// key of their own for it.
    #[must_use]
    pub fn tolerated(mut self, tolerated: bool) -> Self {
        self.tolerance = Some(tolerated);
        self
    }

    /// What [`Error::tolerated`] was told.
    #[must_use]
    pub fn tolerance(&self) -> Option<bool> {
        self.tolerance
    }

    /// Names the class that the peer's users know the cause by; it stands in dead letters.
    #[must_use]
    pub fn of_class(mut self, class: &'static str) -> Self {
        self.class = Some(class);
        self
    }

    /// What [`Error::of_class`] was told.
    #[must_use]
    pub fn class(&self) -> Option<&'static str> {
        self.class
    }

    /// What happens next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence and all causes, joined by ": ".
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.message.to_string();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(self);
        while let Some(next) = cause {
            let sentence = next.to_string();
            if !text.contains(&sentence) {
                text.push_str(": ");
                text.push_str(&sentence);
            }
            cause = next.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_each_cause_once() {
        let io = std::io::Error::other("connection refused");
        let error = Error::transient("cannot reach the store").because(io);
        assert_eq!(error.to_string(), "cannot reach the store");
        assert_eq!(error.chain(), "cannot reach the store: connection refused");
        assert_eq!(error.kind().name(), "transient");
    }
}
