//! The binary `millrace`: parses the command line, sets the process up, and hands over to the command.

mod args;
mod client;
mod failure;
mod input;
mod key;
mod output;
mod serve;
mod settings;
mod telemetry;

use std::process::ExitCode;

use crate::args::{Cli, Command, ConfigCommand, KeyCommand};
use crate::client::lifecycle::Verb;
use crate::failure::Failure;
use crate::settings::{Refusal, Settings, SettingsFile};

/// All memory, librdkafka's too, which takes the place of the C library's malloc. A record's memory is taken on one thread and
/// given back on another; that costs no lock here (ARCHITECTURE.md, "What it costs").
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The one provider of the whole tree; fails only when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = match settings::load(std::env::args_os().collect()) {
        Ok(settings) => settings,
        Err(Refusal::Usage(error)) => {
            // Help and version come as errors too, with code 0 and to standard output.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(Refusal::File(failure)) => return report(&failure),
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    eprintln!("{failure}");
    failure.exit_code()
}

fn run(settings: Settings) -> Result<(), Failure> {
    let Settings { cli, tenants } = settings;
    let Cli { common, command } = cli;
    match &command {
        Command::Standalone(args) => return serve::standalone::run(&common, args, tenants),
        Command::ControlPlane(args) => return serve::control_plane::run(&common, args, tenants),
        Command::Worker(args) => return serve::worker::run(&common, args),
        _ => telemetry::start_client(&common)?,
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_runtime)?;
    runtime.block_on(async {
        match &command {
            Command::Apply(args) => client::apply::apply(args).await,
            Command::Validate(args) => client::apply::validate(args).await,
            Command::Get(args) => client::get::get(args).await,
            Command::Describe(args) => client::get::describe(args).await,
            Command::Delete(args) => client::lifecycle::change(Verb::Delete, args).await,
            Command::Pause(args) => client::lifecycle::change(Verb::Pause, args).await,
            Command::Resume(args) => client::lifecycle::change(Verb::Resume, args).await,
            Command::Stop(args) => client::lifecycle::change(Verb::Stop, args).await,
            Command::Restart(args) => client::lifecycle::restart(args).await,
            Command::Config(ConfigCommand::Check) => check_config(&common),
            Command::Key(KeyCommand::Generate { out }) => generate_key(out.as_deref()),
            Command::Standalone(_) | Command::ControlPlane(_) | Command::Worker(_) => Ok(()),
        }
    })
}

fn no_runtime(error: std::io::Error) -> Failure {
    Failure::new(format!("cannot start the runtime: {error}"))
}

/// By the time this runs the file has been read and understood: a wrong one has ended the process with its reason.
fn check_config(common: &args::Common) -> Result<(), Failure> {
    let path = common.config.as_deref().ok_or_else(|| {
        Failure::usage("there is no settings file to check").hint("name it: millrace config check --config FILE")
    })?;
    let file = SettingsFile::read(path)?;
    let values = file.len();
    output::print(&format!(
        "{}: {values} setting{}, all understood\n",
        path.display(),
        if values == 1 { "" } else { "s" }
    ))
}

fn generate_key(out: Option<&std::path::Path>) -> Result<(), Failure> {
    let secret = key::generate()?;
    match out {
        Some(path) => key::write_new(path, &secret),
        None => output::print(&format!("{}\n", secret.reveal())),
    }
}
