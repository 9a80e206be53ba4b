//! Progress on stderr: silent for the first second, then on a terminal one line that changes, elsewhere a line per change.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const SILENT: Duration = Duration::from_secs(1);

/// Tells how something is getting on.
pub(crate) struct Progress {
    started: Instant,
    shown: Option<String>,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), shown: None, terminal: std::io::stderr().is_terminal() }
    }

    /// The newest state; shown when it differs from the one before.
    pub(crate) fn tell(&mut self, text: &str) {
        let seconds = self.started.elapsed().as_secs();
        if self.started.elapsed() < SILENT {
            return;
        }
        let mut err = std::io::stderr().lock();
        // Progress that cannot be written is not worth failing for.
        let _ = if self.terminal {
            write!(err, "\r\x1b[K{text} ({seconds}s)").and_then(|()| err.flush())
        } else if self.shown.as_deref() != Some(text) {
            writeln!(err, "{text}")
        } else {
            Ok(())
        };
        self.shown = Some(text.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal && self.shown.is_some() {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}
