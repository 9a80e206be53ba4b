//! `apply` and `validate`: files to the server.

use std::path::PathBuf;

use millrace_proto::v1;
use millrace_sdk::config::MASK;
use serde_json::json;
use tonic::Code;

use super::progress::Progress;
use super::wait::{Outdated, Wanted, outdated, wait_for};
use super::{Api, within};
use crate::args::{Apply, Validate};
use crate::failure::Failure;
use crate::input::{ConnectorFile, read_connectors};
use crate::output::{print, show};

/// What became of a connector.
#[derive(Debug)]
pub(crate) struct Applied {
    /// created, updated, unchanged; configured where a secret hides which
    pub(crate) word: &'static str,
    pub(crate) warnings: Vec<String>,
    /// What its tasks will come to
    wanted: Wanted,
    /// What they were before
    before: Outdated,
}

/// `millrace apply`
pub(crate) async fn apply(args: &Apply) -> Result<(), Failure> {
    let files = read_all(&args.filename)?;
    let api = Api::connect(&args.client).await?;
    let mut all = Vec::new();
    for file in &files {
        let mut progress = Progress::new();
        progress.tell(&format!("{}: checking", file.name));
        let applied = apply_one(&api, file).await?;
        drop(progress);
        print(&format!("connector {} {}\n", file.name, applied.word))?;
        for warning in &applied.warnings {
            eprintln!("warning: {}: {warning}", file.name);
        }
        all.push((file, applied));
    }
    if args.wait.wait {
        for (file, applied) in &all {
            wait_for(&api, &file.name, applied.wanted, &applied.before, args.wait.timeout).await?;
            let state = match applied.wanted {
                Wanted::Running => "running",
                Wanted::Paused => "paused",
                Wanted::Stopped => "stopped",
            };
            print(&format!("connector {} is {state}\n", file.name))?;
        }
    }
    Ok(())
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<ConnectorFile>, Failure> {
    let mut files: Vec<ConnectorFile> = Vec::new();
    for path in paths {
        for file in read_connectors(path)? {
            if let Some(other) = files.iter().find(|other| other.name == file.name) {
                return Err(Failure::usage(format!(
                    "connector {} is in {} and in {}",
                    file.name, other.origin, file.origin
                )));
            }
            files.push(file);
        }
    }
    Ok(files)
}

fn wanted(file: &ConnectorFile) -> Wanted {
    match file.initial_state.as_deref() {
        Some("PAUSED") => Wanted::Paused,
        Some("STOPPED") => Wanted::Stopped,
        _ => Wanted::Running,
    }
}

/// Creates the connector or replaces its configuration; an existing one keeps its target state, as in Kafka Connect.
pub(crate) async fn apply_one(api: &Api, file: &ConnectorFile) -> Result<Applied, Failure> {
    let refused = |verb: &str, status: &tonic::Status| {
        api.failure(format!("cannot {verb} connector {} ({})", file.name, file.origin), status)
    };
    let name = api.name_of(&file.name);
    // Looked up first: a `***` in the file means something only for a connector that exists.
    match api.connectors().get_connector(within(v1::GetConnectorRequest { name })).await {
        Ok(found) => {
            let before = found.into_inner().connector.unwrap_or_default();
            update_one(api, file, &before).await?.map_err(|status| refused("update", &status))
        }
        Err(status) if status.code() == Code::NotFound => {
            create_one(api, file).await.map_err(|status| refused("create", &status))
        }
        Err(status) => Err(refused("look for", &status)),
    }
}

async fn create_one(api: &Api, file: &ConnectorFile) -> Result<Applied, tonic::Status> {
    let initial_state = match wanted(file) {
        Wanted::Running => v1::TargetState::Running,
        Wanted::Paused => v1::TargetState::Paused,
        Wanted::Stopped => v1::TargetState::Stopped,
    };
    let create = v1::CreateConnectorRequest {
        parent: api.parent(),
        connector_id: file.name.clone(),
        config: file.config.clone().into_iter().collect(),
        initial_state: initial_state.into(),
        validate_only: false,
    };
    let warnings = api.connectors().create_connector(within(create)).await?.into_inner().warnings;
    Ok(Applied { word: "created", warnings, wanted: wanted(file), before: Outdated::new() })
}

/// Ok(Err) is the server's refusal.
async fn update_one(
    api: &Api,
    file: &ConnectorFile,
    before: &v1::Connector,
) -> Result<Result<Applied, tonic::Status>, Failure> {
    let tasks = api.status(&file.name).await?;
    let config = file.config.clone().into_iter().collect();
    let update = v1::UpdateConnectorRequest {
        connector: Some(v1::Connector { name: api.name_of(&file.name), config, ..v1::Connector::default() }),
        update_mask: None,
        allow_missing: true,
    };
    let answer = match api.connectors().update_connector(within(update)).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(Err(status)),
    };
    let after = answer.connector.unwrap_or_default();
    let unchanged = after.config == before.config;
    // Of a secret only `***` is seen, so that whether a new one is really new remains the server's knowledge.
    let unseen = after.config.iter().any(|(key, shown)| shown.contains(MASK) && file.config.get(key) != Some(shown));
    let wanted = match after.target_state() {
        v1::TargetState::Paused => Wanted::Paused,
        v1::TargetState::Stopped => Wanted::Stopped,
        v1::TargetState::Running | v1::TargetState::Unspecified => Wanted::Running,
    };
    Ok(Ok(Applied {
        word: match (unchanged, unseen) {
            (false, _) => "updated",
            (true, true) => "configured",
            (true, false) => "unchanged",
        },
        warnings: answer.warnings,
        wanted,
        before: if unchanged { Outdated::new() } else { outdated(&tasks, |_| true) },
    }))
}

/// `millrace validate`
pub(crate) async fn validate(args: &Validate) -> Result<(), Failure> {
    let files = read_all(&args.filename)?;
    let api = Api::connect(&args.client).await?;
    let mut answers = Vec::new();
    let mut text = String::new();
    let mut wrong = 0;
    for file in &files {
        let request = v1::ValidateConnectorRequest {
            parent: api.parent(),
            connector_id: file.name.clone(),
            config: file.config.clone().into_iter().collect(),
        };
        let mut progress = Progress::new();
        progress.tell(&format!("{}: checking", file.name));
        let answer = api.connectors().validate_connector(within(request)).await;
        let answer =
            answer.map_err(|status| api.failure(format!("cannot validate {}", file.name), &status))?.into_inner();
        drop(progress);
        wrong += answer.errors.len();
        let verdict = match answer.errors.len() {
            0 => "valid".to_owned(),
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        };
        text.push_str(&format!("connector {} ({}): {verdict}\n", file.name, file.origin));
        for (word, problems) in [("error", &answer.errors), ("warning", &answer.warnings)] {
            for problem in problems {
                text.push_str(&format!("  {word}: {}\n", problem_text(problem)));
            }
        }
        let problems = |problems: &[v1::ConfigProblem]| -> Vec<_> {
            problems.iter().map(|problem| json!({"key": problem.key, "message": problem.message})).collect()
        };
        answers.push(
            json!({"name": file.name, "errors": problems(&answer.errors), "warnings": problems(&answer.warnings)}),
        );
    }
    show(args.output.output, &serde_json::Value::Array(answers), || text)?;
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::new("the configuration would be refused: 1 problem")),
        many => Err(Failure::new(format!("the configuration would be refused: {many} problems"))),
    }
}

fn problem_text(problem: &v1::ConfigProblem) -> String {
    if problem.key.is_empty() || problem.message.starts_with(&problem.key) {
        return problem.message.clone();
    }
    format!("{}: {}", problem.key, problem.message)
}
