//! Connecting, and looking at the cluster: data centre, keyspaces, tables.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use millrace_sdk::{Error, Result};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::{Compression as Wire, PoolSize};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::statement::Consistency;

use crate::config::{Compression, SinkConfig};
use crate::error;
use crate::plan::Described;
use crate::tables::TableSettings;

/// Opening a task must not wait longer for a cluster that is away.
const CONNECT_LIMIT: Duration = Duration::from_secs(9);

/// Connects and makes sure that the local data centre exists.
pub(crate) async fn connect(config: &SinkConfig, tables: &[TableSettings]) -> Result<Session> {
    let addresses = config.addresses();
    let doing = format!("cannot connect to Cassandra at {}", addresses.join(", "));
    let keyspaces: BTreeSet<&str> = tables.iter().map(|table| table.keyspace.as_str()).collect();
    let builder = builder(config, &addresses).keyspaces_to_fetch(keyspaces);
    let session = match tokio::time::timeout(CONNECT_LIMIT, builder.build()).await {
        Ok(Ok(session)) => session,
        Ok(Err(cause)) => return Err(error::of_connect(&doing, cause)),
        Err(_) => return Err(Error::transient(format!("{doing}: no answer within {} s", CONNECT_LIMIT.as_secs()))),
    };
    check_data_centre(&session, config.local_dc.as_deref())?;
    Ok(session)
}

fn builder(config: &SinkConfig, addresses: &[String]) -> SessionBuilder {
    let timeout = Duration::from_secs(u64::try_from(config.query_timeout_seconds).unwrap_or(30));
    let mut policy = DefaultPolicy::builder().token_aware(true);
    if let Some(dc) = &config.local_dc {
        policy = policy.prefer_datacenter(dc.clone()).permit_dc_failover(false);
    }
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalOne)
        .request_timeout(Some(timeout))
        .load_balancing_policy(policy.build())
        .build();
    let pool = usize::try_from(config.pool_size).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN);
    let mut builder = SessionBuilder::new()
        .known_nodes(addresses)
        .connection_timeout(Duration::from_secs(5))
        .pool_size(PoolSize::PerHost(pool))
        .compression(match config.compression {
            Compression::None => None,
            Compression::Lz4 => Some(Wire::Lz4),
            Compression::Snappy => Some(Wire::Snappy),
        })
        .default_execution_profile_handle(profile.into_handle());
    if let (Some(user), Some(password)) = (&config.username, &config.password) {
        builder = builder.user(user, password.reveal());
    }
    builder
}

fn check_data_centre(session: &Session, local_dc: Option<&str>) -> Result<()> {
    let Some(wanted) = local_dc else { return Ok(()) };
    let state = session.get_cluster_state();
    let real: BTreeSet<&str> = state.get_nodes_info().iter().filter_map(|node| node.datacenter.as_deref()).collect();
    if real.contains(wanted) {
        return Ok(());
    }
    Err(Error::bad_config(format!(
        "loadBalancing.localDc: the cluster has no data centre {wanted:?}; it has {}",
        listed(real.into_iter())
    )))
}

/// The definition of a table; the error names what there is instead.
pub(crate) async fn table(session: &Session, settings: &TableSettings) -> Result<Described> {
    let state = session.get_cluster_state();
    let Some(keyspace) = state.get_keyspace(&settings.keyspace) else {
        let names = keyspaces(session).await.unwrap_or_default();
        return Err(Error::bad_config(format!(
            "{}: keyspace {} does not exist; keyspaces: {}",
            settings.key,
            settings.keyspace,
            listed(names.iter().map(String::as_str))
        )));
    };
    let Some(table) = keyspace.tables.get(&settings.table) else {
        return Err(Error::bad_config(format!(
            "{}: table {}.{} does not exist; tables of {}: {}. Create it first: the sink never does",
            settings.key,
            settings.keyspace,
            settings.table,
            settings.keyspace,
            listed(keyspace.tables.keys().map(String::as_str))
        )));
    };
    Ok(Described {
        columns: table.columns.iter().map(|(name, column)| (name.clone(), column.typ.clone())).collect(),
        partition_key: table.partition_key.clone(),
        clustering_key: table.clustering_key.clone(),
    })
}

async fn keyspaces(session: &Session) -> Option<Vec<String>> {
    let answer = session.query_unpaged("SELECT keyspace_name FROM system_schema.keyspaces", ()).await.ok()?;
    let rows = answer.into_rows_result().ok()?;
    let names = rows.rows::<(String,)>().ok()?;
    Some(names.filter_map(|row| row.ok()).map(|(name,)| name).filter(|name| !name.starts_with("system")).collect())
}

/// Names in order, or "none".
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: BTreeSet<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
}
