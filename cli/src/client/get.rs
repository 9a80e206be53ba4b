//! `get` and `describe`.

use std::time::{SystemTime, UNIX_EPOCH};

use futures::{StreamExt, TryStreamExt, stream};
use millrace_proto::v1;
use serde_json::Value;
use tonic::Code;

use super::{Api, short_name, view, within};
use crate::args::{Describe, Get, Noun, Output, without_noun};
use crate::failure::Failure;
use crate::output::{print, show};

/// Statuses asked for at the same time.
const CONCURRENT: usize = 16;

/// `millrace get`
pub(crate) async fn get(args: &Get) -> Result<(), Failure> {
    let api = Api::connect(&args.client).await?;
    match args.noun {
        Noun::Connectors => connectors(&api, &args.names, args.output.output).await,
        Noun::Plugins => plugins(&api, &args.names, args.output.output).await,
        Noun::Workers => workers(&api, &args.names, args.output.output).await,
    }
}

async fn connectors(api: &Api, names: &[String], output: Output) -> Result<(), Failure> {
    let mut found = Vec::new();
    if names.is_empty() {
        found = api.list().await?;
    } else {
        for name in names {
            found.push(api.get(name).await?);
        }
    }
    let with_status = |connector: v1::Connector| async move {
        let request = v1::GetConnectorStatusRequest { name: connector.name.clone() };
        match api.connectors().get_connector_status(within(request)).await {
            Ok(answer) => Ok((connector, answer.into_inner().status)),
            // Deleted since it was listed.
            Err(status) if status.code() == Code::NotFound => Ok((connector, None)),
            Err(status) => {
                Err(api.failure(format!("cannot get the status of {}", short_name(&connector.name)), &status))
            }
        }
    };
    let mut rows: Vec<_> = stream::iter(found).map(with_status).buffered(CONCURRENT).try_collect().await?;
    rows.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    let mut values: Vec<Value> =
        rows.iter().map(|(connector, status)| view::connector(connector, status.as_ref())).collect();
    // One that was asked for by name is answered as itself, not as a list.
    let data = if names.len() == 1 { values.pop().unwrap_or_default() } else { Value::Array(values) };
    show(output, &data, || view::connectors(&rows, now()).render())
}

async fn plugins(api: &Api, names: &[String], output: Output) -> Result<(), Failure> {
    if names.is_empty() {
        let answer = api.plugins().list_plugins(within(v1::ListPluginsRequest {})).await;
        let answer = answer.map_err(|status| api.failure("cannot list plugins", &status))?.into_inner();
        let (data, table) = view::plugins(&answer.plugins);
        return show(output, &data, || table.render());
    }
    for class in names {
        let answer = api.plugins().get_plugin(within(v1::GetPluginRequest { class: class.clone() })).await;
        let answer = answer.map_err(|status| api.failure(format!("cannot get plugin {class}"), &status))?.into_inner();
        let (data, text) = view::plugin_keys(&answer);
        show(output, &data, || text)?;
    }
    Ok(())
}

async fn workers(api: &Api, names: &[String], output: Output) -> Result<(), Failure> {
    let answer = api.workers().list_workers(within(v1::ListWorkersRequest {})).await;
    let mut workers = answer.map_err(|status| api.failure("cannot list workers", &status))?.into_inner().workers;
    if let Some(missing) = names.iter().find(|name| !workers.iter().any(|worker| worker.id == **name)) {
        return Err(Failure::new(format!("there is no worker {missing}")).hint("see: millrace get workers"));
    }
    workers.retain(|worker| names.is_empty() || names.contains(&worker.id));
    let (data, table) = view::workers(&workers);
    show(output, &data, || table.render())
}

/// `millrace describe`
pub(crate) async fn describe(args: &Describe) -> Result<(), Failure> {
    let api = Api::connect(&args.client).await?;
    for (index, name) in without_noun(&args.names).iter().enumerate() {
        let connector = api.get(name).await?;
        let status = api.status(name).await?;
        if index > 0 && args.output.output == Output::Table {
            print("\n")?;
        }
        show(args.output.output, &view::connector(&connector, Some(&status)), || {
            view::described(&connector, &status, now())
        })?;
    }
    Ok(())
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
