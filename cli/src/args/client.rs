//! Flags of the client commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// Where the server is and how to show answers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ClientArgs {
    /// gRPC API of the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7070", env = "MILLRACE_SERVER")]
    pub(crate) server: String,
    /// Whose connectors
    #[arg(long, value_name = "TENANT", default_value = "default", env = "MILLRACE_TENANT")]
    pub(crate) tenant: String,
    /// Credential, sent as a bearer token
    #[arg(long, value_name = "TOKEN", env = "MILLRACE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// How answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For programs
    Json,
    /// For both
    Yaml,
}

/// `--output`
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OutputArgs {
    /// How to show the answer
    #[arg(long, short, value_enum, default_value_t = Output::Table, env = "MILLRACE_OUTPUT")]
    pub(crate) output: Output,
}

/// `--wait` and `--timeout`
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WaitArgs {
    /// Wait until every task is in the wanted state
    #[arg(long, short)]
    pub(crate) wait: bool,
    /// How long to wait at most: 500ms, 60s, 2m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// `millrace apply`
#[derive(Debug, Args)]
#[command(after_help = "\
A file holds one connector as Java properties, or one or several as JSON or YAML, either flat (with
`name` among the keys) or as Kafka Connect's REST takes it: {\"name\": …, \"config\": {…}}.
A secret shown as *** and sent back means: unchanged.

Examples:
  millrace apply -f orders-to-mongodb.json --wait
  millrace apply -f mongodb.json -f cassandra.properties
  millrace get connector orders-to-mongodb -o json | millrace apply -f -")]
pub(crate) struct Apply {
    /// Connector files; `-` is standard input
    #[arg(long = "filename", short, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) filename: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `millrace validate`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  millrace validate -f orders-to-mongodb.json")]
pub(crate) struct Validate {
    /// Connector files; `-` is standard input
    #[arg(long = "filename", short, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) filename: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Noun {
    /// Connectors, with their state
    #[value(aliases = ["connector", "c"])]
    Connectors,
    /// Connector classes the workers offer; with a name, its configuration keys
    #[value(aliases = ["plugin", "p"])]
    Plugins,
    /// Workers
    #[value(aliases = ["worker", "w"])]
    Workers,
}

/// `millrace get`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace get connectors
  millrace get connector orders-to-mongodb -o yaml
  millrace get plugins
  millrace get plugin mongodb-sink
  millrace get workers -o json")]
pub(crate) struct Get {
    /// What to show: connectors (c), plugins (p), workers (w)
    #[arg(value_enum)]
    pub(crate) noun: Noun,
    /// Only these
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `millrace describe`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  millrace describe connector orders-to-mongodb\n  millrace describe orders-to-mongodb"
)]
pub(crate) struct Describe {
    /// `connector` may stand in front of the name
    #[arg(value_name = "NAME", required = true, num_args = 1..)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `millrace delete|pause|resume|stop`
#[derive(Debug, Args)]
pub(crate) struct Names {
    /// Connectors; the word `connector` may stand in front of them
    #[arg(value_name = "NAME", required = true, num_args = 1..)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// `millrace restart`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace restart orders-to-mongodb
  millrace restart orders-to-mongodb --task 2
  millrace restart orders-to-mongodb --only-failed --wait")]
pub(crate) struct Restart {
    /// Connectors; the word `connector` may stand in front of them
    #[arg(value_name = "NAME", required = true, num_args = 1..)]
    pub(crate) names: Vec<String>,
    /// Only this task
    #[arg(long, value_name = "INDEX", conflicts_with = "only_failed", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) task: Option<i32>,
    /// Only what has failed
    #[arg(long)]
    pub(crate) only_failed: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// A number with `ms`, `s`, `m` or `h`; seconds without.
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let milliseconds_per_unit = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(format!("\"{other}\" is no unit: use ms, s, m or h")),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number with a unit, such as 60s".to_owned())?;
    number.checked_mul(milliseconds_per_unit).map(Duration::from_millis).ok_or_else(|| "too long".to_owned())
}

/// Names without the word `connector` (or a short form of it) in front: `millrace pause connector x` is `millrace pause x`.
pub(crate) fn without_noun(names: &[String]) -> &[String] {
    match names {
        [noun, rest @ ..] if !rest.is_empty() && matches!(noun.as_str(), "connector" | "connectors" | "c") => rest,
        _ => names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in [("500ms", 500), ("60s", 60_000), ("2m", 120_000), ("1h", 3_600_000), ("7", 7_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "1d", "-1s", "1.5s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_noun_may_be_left_out() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(without_noun(&words("connector a b")), words("a b"));
        assert_eq!(without_noun(&words("a b")), words("a b"));
        assert_eq!(without_noun(&words("connector")), words("connector"), "a connector of that name");
    }
}
