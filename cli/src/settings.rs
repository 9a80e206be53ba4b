//! Settings in layers: flags, then `MILLRACE_*` variables, then the TOML file of `--config`, then defaults.
//!
//! The file has no structure of its own: its keys *are* the flags' names. They become defaults of the flags before the
//! command line is parsed, so that precedence, types and error texts are clap's everywhere. Keys at the top are those that
//! every command takes; sections are the commands that serve, and `client` for all others; `[tenants.<name>]` holds a
//! tenant's flat keys as a Connect worker has them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory, FromArgMatches};
use millrace_sdk::config::nearest;
use toml::{Table, Value};

use crate::args::Cli;
use crate::failure::Failure;

/// Flat keys of each tenant.
pub(crate) type Tenants = BTreeMap<String, BTreeMap<String, String>>;

/// What was set, from all layers.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The command with its flags
    pub(crate) cli: Cli,
    /// The file's `[tenants.…]` sections
    pub(crate) tenants: Tenants,
}

/// Why there are no settings.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// clap's message (or its help), which clap prints itself
    Usage(clap::Error),
    /// The file's
    File(Failure),
}

/// The commands that have a section of their own.
const SERVERS: [&str; 3] = ["standalone", "control-plane", "worker"];
const CLIENT: &str = "client";
const TENANTS: &str = "tenants";

/// Reads the command line and the file it names.
pub(crate) fn load(arguments: Vec<OsString>) -> Result<Settings, Refusal> {
    let arguments = command_first(arguments);
    let mut command = Cli::command();
    let mut tenants = Tenants::new();
    if let Some(path) = config_path(&arguments, std::env::var_os("MILLRACE_CONFIG")) {
        let file = SettingsFile::read(&path).map_err(Refusal::File)?;
        command = file.apply(command).map_err(Refusal::File)?;
        tenants = file.tenants().map_err(Refusal::File)?;
    }
    let matches = command.try_get_matches_from(arguments).map_err(Refusal::Usage)?;
    let cli = Cli::from_arg_matches(&matches).map_err(Refusal::Usage)?;
    Ok(Settings { cli, tenants })
}

/// Flags of all commands may stand in front of the command.
const ANYWHERE: [&str; 3] = ["--config", "--log", "--log-format"];
/// So may those of all client commands, which clap knows behind it only: the commands that serve do not have them.
const CLIENT_ANYWHERE: [&str; 5] = ["--server", "--tenant", "--token", "--output", "-o"];

/// The command line with the client's flags behind the command.
fn command_first(arguments: Vec<OsString>) -> Vec<OsString> {
    let (mut sorted, mut moved) = (Vec::with_capacity(arguments.len()), Vec::new());
    let mut rest = arguments.into_iter();
    sorted.extend(rest.next());
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy().into_owned();
        let (name, has_value) = text.split_once('=').map_or((text.as_str(), false), |(name, _)| (name, true));
        let (is_client, is_known) = (CLIENT_ANYWHERE.contains(&name), ANYWHERE.contains(&name));
        let place = if is_client { &mut moved } else { &mut sorted };
        let value = if (is_client || is_known) && !has_value { rest.next() } else { None };
        place.push(argument);
        place.extend(value);
        if !is_client && !is_known {
            break; // the command, or nothing that could be sorted
        }
    }
    sorted.append(&mut moved);
    sorted.extend(rest);
    sorted
}

/// The value of `--config`, found before the command line is parsed: the parser's defaults depend on it.
fn config_path(arguments: &[OsString], environment: Option<OsString>) -> Option<PathBuf> {
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        if argument == OsStr::new("--") {
            break;
        }
        if argument == OsStr::new("--config") {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--config=")) {
            return Some(PathBuf::from(path));
        }
    }
    environment.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A settings file, parsed and not yet understood.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    path: String,
    table: Table,
}

impl SettingsFile {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("cannot read the settings file {shown}: {error}"))
                .hint("check the path given by --config or MILLRACE_CONFIG")
        })?;
        Self::parse(&shown, &text)
    }

    fn parse(path: &str, text: &str) -> Result<Self, Failure> {
        let table = text.parse::<Table>().map_err(|error| {
            // toml's text quotes the line, which may hold a secret; the position is enough to find it.
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            Failure::usage(format!("{path} is not valid TOML, line {line}: {}", error.message()))
        })?;
        Ok(Self { path: path.to_owned(), table })
    }

    /// The command line with the file's values as defaults.
    pub(crate) fn apply(&self, mut command: Command) -> Result<Command, Failure> {
        for (key, value) in &self.table {
            let name = key.replace('_', "-");
            let Value::Table(section) = value else {
                command = self.set(command, &[], "the top of the file", &name, value)?;
                continue;
            };
            if name == TENANTS {
                continue;
            }
            let targets = targets(&command, &name).ok_or_else(|| self.unknown_section(key))?;
            for (key, value) in section {
                command = self.set(command, &targets, &format!("[{name}]"), &key.replace('_', "-"), value)?;
            }
        }
        Ok(command)
    }

    /// Makes a value the default of the flag, in each of the commands (of the top when there are none).
    fn set(
        &self,
        command: Command,
        targets: &[String],
        place: &str,
        key: &str,
        value: &Value,
    ) -> Result<Command, Failure> {
        let texts = texts(value).ok_or_else(|| {
            Failure::usage(format!(
                "{}, {place}: \"{key}\" must be a text, number, boolean or list of those",
                self.path
            ))
        })?;
        if targets.is_empty() {
            let id = flag(&command, key).ok_or_else(|| self.unknown_key(&[&command], place, key))?;
            self.check(&command, None, place, key, &id, &texts)?;
            return Ok(with_default(command, &id, &texts));
        }
        let having: Vec<(String, String)> = targets
            .iter()
            .filter_map(|name| Some((name.clone(), flag(command.find_subcommand(name)?, key)?)))
            .collect();
        if having.is_empty() {
            let commands: Vec<&Command> = targets.iter().filter_map(|name| command.find_subcommand(name)).collect();
            return Err(self.unknown_key(&commands, place, key));
        }
        let mut command = command;
        for (name, id) in having {
            self.check(&command, Some(&name), place, key, &id, &texts)?;
            command = command.mut_subcommand(name, |sub| with_default(sub, &id, &texts));
        }
        Ok(command)
    }

    /// Tries the value on the flag alone, so that a wrong one is reported with its place in the file.
    fn check(
        &self,
        command: &Command,
        sub: Option<&str>,
        place: &str,
        key: &str,
        id: &str,
        texts: &[String],
    ) -> Result<(), Failure> {
        let owner = sub.and_then(|name| command.find_subcommand(name)).unwrap_or(command);
        let Some(argument) = owner.get_arguments().find(|argument| argument.get_id() == id) else { return Ok(()) };
        let switch = !argument.get_action().takes_values();
        // Of the flag only what reads a value: neither its variable nor the flags it goes together with matter here.
        let mut probe = clap::Arg::new("value")
            .long(key.to_owned())
            .action(argument.get_action().clone())
            .value_parser(argument.get_value_parser().clone())
            .value_name(
                argument.get_value_names().and_then(|names| names.first()).map_or("VALUE".into(), Clone::clone),
            );
        if let Some(delimiter) = argument.get_value_delimiter() {
            probe = probe.value_delimiter(delimiter);
        }
        let tokens: Vec<String> = if switch {
            match texts {
                [text] if text == "true" => vec![format!("--{key}")],
                [text] if text == "false" => Vec::new(),
                _ => return Err(Failure::usage(format!("{}, {place}: \"{key}\" must be true or false", self.path))),
            }
        } else {
            texts.iter().map(|text| format!("--{key}={text}")).collect()
        };
        let read = Command::new("settings").no_binary_name(true).arg(probe).try_get_matches_from(tokens);
        read.map(|_| ()).map_err(|error| {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Failure::usage(format!("{}, {place}: {line}", self.path))
        })
    }

    fn unknown_section(&self, section: &str) -> Failure {
        let known = SERVERS.into_iter().chain([CLIENT, TENANTS]);
        let failure = Failure::usage(format!("{}: unknown section [{section}]", self.path));
        match nearest(section, known) {
            Some(name) => failure.hint(format!("did you mean [{name}]?")),
            None => failure.hint("sections are [standalone], [control-plane], [worker], [client], [tenants.<name>]"),
        }
    }

    fn unknown_key(&self, commands: &[&Command], place: &str, key: &str) -> Failure {
        let known: Vec<&str> = commands.iter().flat_map(|command| flags(command)).collect();
        let failure = Failure::usage(format!("{}, {place}: unknown key \"{key}\"", self.path));
        match nearest(key, known.iter().copied()) {
            Some(name) => failure.hint(format!("did you mean \"{name}\"?")),
            None => failure.hint(format!("keys here are: {}", unique(known).join(", "))),
        }
    }

    /// The `[tenants.…]` sections, nested tables joined by dots.
    pub(crate) fn tenants(&self) -> Result<Tenants, Failure> {
        let mut tenants = Tenants::new();
        let Some(value) = self.table.get(TENANTS) else { return Ok(tenants) };
        let wrong =
            |name: &str| Failure::usage(format!("{}: [tenants.{name}] must be a section of settings", self.path));
        for (name, section) in value.as_table().ok_or_else(|| wrong("<name>"))? {
            let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 63 || !name.chars().all(valid) {
                return Err(Failure::usage(format!("{}: [tenants.{name}] is not a tenant's name", self.path))
                    .hint("1 to 63 of a-z, 0-9 and -"));
            }
            let mut settings = BTreeMap::new();
            flatten("", section.as_table().ok_or_else(|| wrong(name))?, &mut settings).map_err(|key| {
                Failure::usage(format!("{}, [tenants.{name}]: \"{key}\" must be a text, number or boolean", self.path))
            })?;
            tenants.insert(name.clone(), settings);
        }
        Ok(tenants)
    }

    /// How many values the file sets.
    pub(crate) fn len(&self) -> usize {
        fn count(table: &Table) -> usize {
            table.values().map(|value| value.as_table().map_or(1, count)).sum()
        }
        count(&self.table)
    }
}

/// The commands a section is about.
fn targets(command: &Command, section: &str) -> Option<Vec<String>> {
    if SERVERS.contains(&section) {
        return Some(vec![section.to_owned()]);
    }
    let clients = command.get_subcommands().map(|sub| sub.get_name().to_owned());
    (section == CLIENT).then(|| clients.filter(|name| !SERVERS.contains(&name.as_str())).collect())
}

fn flags(command: &Command) -> impl Iterator<Item = &str> {
    // A settings file cannot name another one.
    command.get_arguments().filter_map(clap::Arg::get_long).filter(|name| !["config", "help", "version"].contains(name))
}

fn flag(command: &Command, key: &str) -> Option<String> {
    flags(command).find(|name| *name == key)?;
    let argument = command.get_arguments().find(|argument| argument.get_long() == Some(key))?;
    Some(argument.get_id().to_string())
}

fn with_default(command: Command, id: &str, texts: &[String]) -> Command {
    command.mut_arg(id, |argument| argument.default_values(texts.to_vec()))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(values) => values.iter().map(scalar).collect(),
        other => scalar(other).map(|text| vec![text]),
    }
}

/// Err holds the key that has no text.
fn flatten(prefix: &str, table: &Table, into: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => flatten(&format!("{key}."), inner, into)?,
            other => {
                let text = scalar(other).ok_or_else(|| key.clone())?;
                into.insert(key, text);
            }
        }
    }
    Ok(())
}

fn unique(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
