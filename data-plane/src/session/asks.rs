//! Questions of the control plane that need connectors: validate, check and plan. Each is answered on its own, bounded in
//! time, and a connector that panics costs its own answer only.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use millrace_proto::internal::v1::{self as pb, answer, ask};
use millrace_sdk::{Error, ErrorKind, Findings, Flat, Problem, TaskContext};

use crate::catalog::Catalog;
use crate::wire;

/// How long a connector may look at its store.
const CHECK_LIMIT: Duration = Duration::from_secs(10);
/// How long a connector may think about its tasks.
const PLAN_LIMIT: Duration = Duration::from_secs(30);

/// Answers one question; None for a question that this version does not know.
pub(super) async fn answer(catalog: Arc<Catalog>, ask: pb::Ask) -> Option<pb::Answer> {
    let answer = match ask.question? {
        ask::Question::Validate(validate) => {
            answer::Answer::Validate(wire::findings(findings(&catalog, validate).await))
        }
        ask::Question::PlanTasks(plan) => answer::Answer::Plan(plan_tasks(&catalog, plan).await),
    };
    Some(pb::Answer { id: ask.id, answer: Some(answer) })
}

async fn findings(catalog: &Catalog, validate: pb::Validate) -> Findings {
    let flat = wire::flat(validate.config);
    let mut findings = catalog.validate(&validate.class, &flat, &wire::flat(validate.tenant_settings));
    if !validate.check || !findings.errors.is_empty() {
        return findings;
    }
    let context = context(&flat);
    let check = AssertUnwindSafe(catalog.check(&validate.class, &flat, &context)).catch_unwind();
    match tokio::time::timeout(CHECK_LIMIT, check).await {
        Ok(Ok(Ok(found))) => findings.merge(found),
        Ok(Ok(Err(error))) if error.kind() == ErrorKind::BadConfig => {
            findings.errors.push(Problem::new("", error.chain()));
        }
        Ok(Ok(Err(error))) => findings.warnings.push(unchecked(&error.chain())),
        Ok(Err(_)) => findings.warnings.push(unchecked("the connector panicked; see the worker's log")),
        Err(_) => findings.warnings.push(unchecked(&format!("no answer within {} s", CHECK_LIMIT.as_secs()))),
    }
    findings
}

fn unchecked(why: &str) -> Problem {
    Problem::new("", format!("the configuration could not be checked against the store: {why}"))
}

async fn plan_tasks(catalog: &Catalog, plan: pb::PlanTasks) -> pb::PlanAnswer {
    let flat = wire::flat(plan.config);
    let max_tasks = u32::try_from(plan.max_tasks).unwrap_or(1);
    let planned = AssertUnwindSafe(catalog.plan(&plan.class, &flat, max_tasks)).catch_unwind();
    let planned = match tokio::time::timeout(PLAN_LIMIT, planned).await {
        Ok(Ok(planned)) => planned,
        Ok(Err(_)) => Err(Error::internal("the connector panicked while planning; see the worker's log")),
        Err(_) => Err(Error::transient(format!("the connector did not plan within {} s", PLAN_LIMIT.as_secs()))),
    };
    match planned {
        Ok(tasks) => {
            let tasks = tasks.into_iter().map(|task| pb::TaskConfig { config: task.into_iter().collect() }).collect();
            pb::PlanAnswer { tasks, ..pb::PlanAnswer::default() }
        }
        Err(error) => {
            pb::PlanAnswer { tasks: Vec::new(), error: error.chain(), error_kind: error.kind().name().to_owned() }
        }
    }
}

/// The context of a check: no task yet.
fn context(flat: &Flat) -> TaskContext {
    let topics = flat.get("topics").map(String::as_str).unwrap_or_default();
    TaskContext {
        tenant: String::new(),
        connector: flat.get("name").cloned().unwrap_or_default(),
        task: 0,
        tasks_total: flat.get("tasks.max").and_then(|tasks| tasks.trim().parse().ok()).unwrap_or(1),
        generation: 0,
        topics: topics.split(',').map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned).collect(),
        config: Arc::new(flat.clone()),
        ..TaskContext::default()
    }
}
