//! The keys that every connector has, whatever its class: Kafka Connect's names, defaults and messages, and ours under
//! `millrace.`. The connector's own keys come after them in the catalogue.

use crate::convert;
use crate::kafka::client;
use crate::transform;

mod common;
mod sink;
mod source;
mod topic_creation;

pub use common::{CommonSettings, DEFAULT_TENANT, Tolerance, group_id, instance_id, offsets_topic, transactional_id};
pub(crate) use sink::full_match;
pub use sink::{Fetch, SinkSettings};
pub use source::{ExactlyOnceSupport, SourceSettings, TransactionBoundary, exactly_once_support};
pub use topic_creation::{NewTopicSettings, TopicCreation};

use millrace_sdk::config::{self, ConfigDef};
use millrace_sdk::{ConnectorKind, Findings, Flat};

/// The definitions of the framework's keys.
#[must_use]
pub fn definition(kind: ConnectorKind) -> ConfigDef {
    match kind {
        ConnectorKind::Sink => config::definition::<SinkSettings>(),
        ConnectorKind::Source => config::definition::<SourceSettings>(),
    }
}

/// Everything there is to say of the framework's keys: types, rules across keys, client overrides and what has no effect.
#[must_use]
pub fn findings(kind: ConnectorKind, flat: &Flat, tenant_settings: &Flat) -> Findings {
    let definition = definition(kind);
    let mut findings = definition.validate(flat);
    let parsed = match kind {
        ConnectorKind::Sink => config::parse::<SinkSettings>(&definition, flat).map(drop),
        ConnectorKind::Source => config::parse::<SourceSettings>(&definition, flat).map(drop),
    };
    if let Err(problems) = parsed {
        findings.merge(problems);
    }
    for role in [convert::Role::Key, convert::Role::Value, convert::Role::Header] {
        // An unknown class is a problem of its own already; this finds wrong settings of a known one.
        if flat.get(role.config_key()).is_none_or(|class| convert::check_class(role, class).is_ok())
            && let Err(error) = convert::converter(role, flat, tenant_settings)
        {
            findings.errors.push(millrace_sdk::Problem::new(role.config_key(), error.to_string()));
        }
        findings.merge(convert::findings(role, flat));
    }
    findings.merge(transform::findings(flat));
    findings.merge(client::override_findings(flat, tenant_settings));
    findings
}

#[cfg(test)]
mod tests;
