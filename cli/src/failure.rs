//! The one error of the command line: what went wrong, where, and what to do about it. Everything a command can fail with
//! becomes a [`Failure`] at the place where the reader's remedy is known; nothing is ever printed with `Debug`.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    what: String,
    details: Vec<String>,
    hint: Option<String>,
    usage: bool,
}

impl Failure {
    /// The command was understood and failed: exit code 1.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), details: Vec::new(), hint: None, usage: false }
    }

    /// The command, a setting or a file it was given cannot be understood: exit code 2.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self { usage: true, ..Self::new(what) }
    }

    /// Adds a line of detail.
    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds a line per cause below an error.
    pub(crate) fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let line = error.to_string();
            // Many errors repeat their source in their own text; one line of each is enough.
            if !self.details.iter().any(|known| known.contains(&line)) && !self.what.contains(&line) {
                self.details.push(line);
            }
            cause = error.source();
        }
        self
    }

    /// Says what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.usage { 2 } else { 1 })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        for detail in &self.details {
            for line in detail.lines() {
                write!(f, "\n  {line}")?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_where_and_what_to_do() {
        let failure = Failure::new("cannot read the file").detail("orders.json\nline 3").hint("check its path");
        assert_eq!(failure.to_string(), "error: cannot read the file\n  orders.json\n  line 3\nhint: check its path");
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::io::Error::other("disk on fire");
        let failure = Failure::new("cannot write: disk on fire").caused_by(&cause);
        assert_eq!(failure.to_string(), "error: cannot write: disk on fire");
    }
}
