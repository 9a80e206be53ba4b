//! The command line: names, help, defaults. What a flag means is decided here, what it does in the other modules. Every
//! flag of a server can also be set by its `MILLRACE_…` variable or in the `--config` file (see `settings.rs`).

mod client;
mod servers;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use client::*;
pub(crate) use servers::*;

/// Moves data between Apache Kafka and NoSQL stores.
///
/// `millrace standalone` is everything in one process. `millrace control-plane` and `millrace worker` are the same parts as
/// processes of their own. All other commands are clients of the gRPC API that both ways of running serve.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, propagate_version = true, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  millrace standalone --bootstrap-servers localhost:9092 orders-to-mongodb.json
  millrace apply -f orders-to-mongodb.json --wait
  millrace get connectors
  millrace describe connector orders-to-mongodb
  millrace restart orders-to-mongodb --only-failed

Settings are taken from flags, then MILLRACE_* variables, then the TOML file of --config, then the defaults.
Exit codes: 0 done, 1 failed, 2 not understood (flags, settings, files).";

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Common {
    /// TOML file with settings: keys are the flags' names, in a section per command
    #[arg(long, global = true, value_name = "FILE", env = "MILLRACE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// What to log: a level, or directives such as `info,millrace_data_plane=debug` [default: info for servers, warn for clients]
    #[arg(long, global = true, value_name = "FILTER", env = "MILLRACE_LOG", help_heading = "Telemetry")]
    pub(crate) log: Option<String>,
    /// How to log (to stderr)
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "MILLRACE_LOG_FORMAT", help_heading = "Telemetry")]
    pub(crate) log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process, with the definitions in a local directory
    Standalone(Box<Standalone>),
    /// Run a control plane: APIs, placement of tasks, worker sessions; definitions in etcd
    ControlPlane(Box<ControlPlaneArgs>),
    /// Run a worker: it connects to the control plane and runs the tasks it is given
    Worker(Box<WorkerArgs>),
    /// Create connectors, or update those that exist, from files
    Apply(Apply),
    /// Show connectors, plugins or workers
    Get(Get),
    /// Show everything about a connector: configuration, tasks, errors
    Describe(Describe),
    /// Delete connectors
    Delete(Names),
    /// Pause connectors: tasks stay where they are and move no records
    Pause(Names),
    /// Let paused or stopped connectors go on
    Resume(Names),
    /// Stop connectors: their tasks end, definitions and offsets stay
    Stop(Names),
    /// Restart a connector and its tasks, or some of them
    Restart(Restart),
    /// Check connector files against the server without changing anything
    Validate(Validate),
    /// Work with settings files
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make keys and tokens
    #[command(subcommand)]
    Key(KeyCommand),
}

/// `millrace config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the file given by --config: unknown keys, values of the wrong type
    #[command(after_help = "Example:\n  millrace config check --config /etc/millrace/millrace.toml")]
    Check,
}

/// `millrace key …`
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a random 256-bit key, for --key-file or --worker-token-file
    #[command(
        after_help = "Examples:\n  millrace key generate --out secrets.key\n  millrace key generate --out worker.token"
    )]
    Generate {
        /// Write it to this new file, readable by you only, instead of standard output
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help text", command.get_name());
        }
    }
}
