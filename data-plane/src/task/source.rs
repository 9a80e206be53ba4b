//! One life of a source task.

use millrace_sdk::Error;

use super::{Failure, Life, Stage};

/// Opens the task and runs it until it is stopped (`Ok`) or cannot go on.
///
/// # Errors
/// Why it cannot go on.
pub async fn run(life: Life) -> Result<(), Failure> {
    let message = format!("{} is a source, and sources are not available yet", life.spec.class);
    Err(Failure::new(Stage::Start, Error::bad_config(message)))
}
