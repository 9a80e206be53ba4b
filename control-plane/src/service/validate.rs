//! Whether a configuration can work: by the class's definition here, then by a worker that offers the class, which also
//! connects to the store. A worker or a store that cannot be asked is a warning, never a refusal.

use std::sync::Arc;

use millrace_sdk::{Findings, Flat, Problem};

use super::{Service, ServiceError, secrets};
use crate::dispatch::{AskError, Question};
use crate::model::{ConnectorId, Plugin};

/// Switches the check on a worker off.
const CHECK_KEY: &str = "millrace.check.on.create";

impl Service {
    /// Everything that is wrong with a configuration, or worth saying; nothing is written.
    ///
    /// # Errors
    /// No such tenant, no class, or a class that nobody offers.
    pub async fn validate(&self, id: &ConnectorId, config: Flat) -> Result<(Arc<Plugin>, Findings), ServiceError> {
        self.tenant(&id.tenant).await?;
        self.announced(&config).await;
        // A `***` stands for what the connector of that name has stored, where there is one.
        let old = match self.facts(id).await {
            Ok(facts) => Some(self.open(id, &facts.definition.config)?),
            Err(ServiceError::NoConnector(_)) => None,
            Err(error) => return Err(error),
        };
        let (plugin, config) = match self.prepare_lenient(id, config, old.as_ref())? {
            (plugin, Ok(config)) => (plugin, config),
            (plugin, Err(errors)) => return Ok((plugin, Findings { errors, warnings: Vec::new() })),
        };
        let findings = self.findings(id, &plugin, &config).await?;
        Ok((plugin, findings))
    }

    /// The class of a configuration, and what the user means by its `***`s.
    pub(super) fn prepare(
        &self,
        id: &ConnectorId,
        config: Flat,
        old: Option<&Flat>,
    ) -> Result<(Arc<Plugin>, Flat), ServiceError> {
        let (plugin, config) = self.prepare_lenient(id, config, old)?;
        let named = name_problem(&id.connector).map_or_else(Vec::new, |problem| vec![problem]);
        match config {
            Ok(config) if named.is_empty() => Ok((plugin, config)),
            Ok(_) => Err(ServiceError::Invalid(named)),
            Err(mut problems) => {
                problems.splice(0..0, named);
                Err(ServiceError::Invalid(problems))
            }
        }
    }

    #[allow(clippy::type_complexity)] // the two kinds of refusal are answered differently
    fn prepare_lenient(
        &self,
        id: &ConnectorId,
        mut config: Flat,
        old: Option<&Flat>,
    ) -> Result<(Arc<Plugin>, Result<Flat, Vec<Problem>>), ServiceError> {
        if !id.connector.is_empty() {
            config.entry("name".to_owned()).or_insert_with(|| id.connector.clone());
        }
        let Some(class) = config.get("connector.class").map(|class| class.trim()).filter(|class| !class.is_empty())
        else {
            return Err(ServiceError::BadRequest(format!(
                "Connector config {} contains no connector type",
                braces(&secrets::masked(None, &config))
            )));
        };
        let catalogue = self.mirror().catalogue();
        let plugin =
            catalogue.find(class).cloned().ok_or_else(|| ServiceError::UnknownClass(catalogue.unknown(class)))?;
        let config = secrets::unmask(Some(&plugin.config), &config, old);
        Ok((plugin, config))
    }

    /// Findings whose errors refuse the configuration.
    pub(super) async fn judged(
        &self,
        id: &ConnectorId,
        plugin: &Arc<Plugin>,
        config: &Flat,
    ) -> Result<Findings, ServiceError> {
        let findings = self.findings(id, plugin, config).await?;
        if findings.errors.is_empty() { Ok(findings) } else { Err(ServiceError::Invalid(findings.errors)) }
    }

    async fn findings(&self, id: &ConnectorId, plugin: &Plugin, config: &Flat) -> Result<Findings, ServiceError> {
        let mut findings = by_definition(plugin, config);
        let worth_checking = findings.errors.is_empty();
        let check =
            worth_checking && config.get(CHECK_KEY).is_none_or(|value| !value.trim().eq_ignore_ascii_case("false"));
        let question = Question::Validate {
            class: plugin.class.clone(),
            config: config.clone(),
            tenant_settings: self.settings(&id.tenant)?,
            check,
        };
        match self
            .inner
            .shared
            .sessions
            .ask_validate(plugin, question, self.inner.shared.config.times.ask_timeout())
            .await
        {
            Ok(more) => findings.merge(drop_referenced(more, config)),
            Err(error) if check => findings.warnings.push(Problem::new("", unchecked(plugin, &error))),
            Err(_) => {}
        }
        Ok(findings)
    }
}

fn unchecked(plugin: &Plugin, error: &AskError) -> String {
    match error {
        AskError::NoWorker => format!("not checked against the store: no worker here offers {} now", plugin.class),
        AskError::Timeout => "not checked against the store: the worker's check took too long".to_owned(),
        AskError::Gone => "not checked against the store: the worker went away meanwhile".to_owned(),
    }
}

/// What the class's definition says. References are resolved on workers only, so types of such values are not judged.
fn by_definition(plugin: &Plugin, config: &Flat) -> Findings {
    let mut findings = plugin.config.validate(config);
    findings.merge(plugin.config.unknown_keys(config));
    drop_referenced(findings, config)
}

fn drop_referenced(mut findings: Findings, config: &Flat) -> Findings {
    findings.errors.retain(|problem| !config.get(&problem.key).is_some_and(|value| secrets::has_reference(value)));
    // `name` is the framework's, whether or not a class lists it.
    findings.warnings.retain(|problem| problem.key != "name");
    findings
}

/// Connect's rules for names.
fn name_problem(name: &str) -> Option<Problem> {
    if name.trim().is_empty() {
        return Some(Problem::new(
            "name",
            format!("Invalid value {name} for configuration name: String may not be empty"),
        ));
    }
    let control: Vec<String> = name.chars().filter(char::is_ascii_control).map(|c| u32::from(c).to_string()).collect();
    if control.is_empty() {
        return None;
    }
    let message = format!(
        "Invalid value {name} for configuration name: String may not contain control sequences but had the following \
         ASCII chars: {}",
        control.join(", ")
    );
    Some(Problem::new("name", message))
}

fn braces(config: &Flat) -> String {
    let pairs: Vec<String> = config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
