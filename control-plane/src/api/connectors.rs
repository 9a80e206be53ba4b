//! `millrace.v1.ConnectorService`.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use millrace_proto::v1::connector_service_server::ConnectorService;
use millrace_proto::v1::{
    ConfigProblem, CreateConnectorRequest, CreateConnectorResponse, DeleteConnectorRequest, DeleteConnectorResponse,
    GetConnectorRequest, GetConnectorResponse, GetConnectorStatusRequest, GetConnectorStatusResponse,
    ListConnectorsRequest, ListConnectorsResponse, PauseConnectorRequest, PauseConnectorResponse,
    RestartConnectorRequest, RestartConnectorResponse, ResumeConnectorRequest, ResumeConnectorResponse,
    StopConnectorRequest, StopConnectorResponse, UpdateConnectorRequest, UpdateConnectorResponse,
    ValidateConnectorRequest, ValidateConnectorResponse, WatchConnectorsRequest, WatchConnectorsResponse,
};
use millrace_sdk::{Flat, Problem};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::errors::{bad_field, status};
use super::names;
use crate::model::{ConnectorId, TargetState};
use crate::service::watch::Seen;
use crate::service::{Change, Restart, Service, ServiceError};
use crate::wire;

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// The service.
pub(super) struct Connectors {
    pub(super) service: Service,
    pub(super) shutdown: CancellationToken,
}

impl Connectors {
    /// Counts a call, and turns its error into a status.
    async fn call<T>(
        &self,
        operation: &str,
        work: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<Response<T>, Status> {
        let began = Instant::now();
        let outcome = work.await.map_err(status);
        let code = outcome.as_ref().err().map_or(tonic::Code::Ok, Status::code);
        self.service.metrics().request("grpc", operation, format!("{code:?}"), began.elapsed());
        outcome.map(Response::new)
    }
}

#[tonic::async_trait]
impl ConnectorService for Connectors {
    type WatchConnectorsStream = BoxStream<'static, Result<WatchConnectorsResponse, Status>>;

    async fn create_connector(
        &self,
        request: Request<CreateConnectorRequest>,
    ) -> Result<Response<CreateConnectorResponse>, Status> {
        let request = request.into_inner();
        let target = wire::from_target(request.initial_state());
        let tenant = names::tenant("parent", &request.parent)?;
        let config = wire::from_map(request.config);
        let connector = match (request.connector_id.trim(), config.get("name")) {
            ("", Some(name)) => name.clone(),
            (id, _) => id.to_owned(),
        };
        let id = ConnectorId { tenant, connector };
        let config = named(&id, config)?;
        self.call("CreateConnector", async {
            let written = self.service.create(&id, config, target, request.validate_only).await?;
            Ok(CreateConnectorResponse {
                connector: Some(wire::connector(&written.connector)),
                warnings: written.warnings,
            })
        })
        .await
    }

    async fn get_connector(
        &self,
        request: Request<GetConnectorRequest>,
    ) -> Result<Response<GetConnectorResponse>, Status> {
        let id = names::connector("name", &request.into_inner().name)?;
        self.call("GetConnector", async {
            Ok(GetConnectorResponse { connector: Some(wire::connector(&self.service.get(&id).await?)) })
        })
        .await
    }

    async fn list_connectors(
        &self,
        request: Request<ListConnectorsRequest>,
    ) -> Result<Response<ListConnectorsResponse>, Status> {
        let request = request.into_inner();
        let tenant = names::tenant("parent", &request.parent)?;
        let after = names::after(&request.page_token)?;
        let size = match usize::try_from(request.page_size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) => size.min(LARGEST_PAGE),
            Err(_) => return Err(bad_field("page_size", "must not be negative")),
        };
        self.call("ListConnectors", async {
            let mut all = self.service.list(&tenant).await?;
            // Names are in no particular order in the store, since they are encoded there.
            all.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
            all.retain(|(view, _)| after.as_ref().is_none_or(|after| view.id.connector > *after));
            let more = all.len() > size;
            all.truncate(size);
            let last = all.last().filter(|_| more).map(|(view, _)| names::page_token(&view.id.connector));
            Ok(ListConnectorsResponse {
                connectors: all.iter().map(|(view, _)| wire::connector(view)).collect(),
                next_page_token: last.unwrap_or_default(),
            })
        })
        .await
    }

    async fn update_connector(
        &self,
        request: Request<UpdateConnectorRequest>,
    ) -> Result<Response<UpdateConnectorResponse>, Status> {
        let request = request.into_inner();
        let connector = request.connector.ok_or_else(|| bad_field("connector", "is missing"))?;
        let id = names::connector("connector.name", &connector.name)?;
        let config = wire::from_map(connector.config);
        let change = change(&id, config, request.update_mask.map(|mask| mask.paths).unwrap_or_default())?;
        self.call("UpdateConnector", async {
            let written = self.service.update(&id, change, Some(&connector.etag), request.allow_missing).await?;
            Ok(UpdateConnectorResponse {
                connector: Some(wire::connector(&written.connector)),
                warnings: written.warnings,
            })
        })
        .await
    }

    async fn delete_connector(
        &self,
        request: Request<DeleteConnectorRequest>,
    ) -> Result<Response<DeleteConnectorResponse>, Status> {
        let request = request.into_inner();
        let id = names::connector("name", &request.name)?;
        self.call("DeleteConnector", async {
            self.service.delete(&id, Some(&request.etag)).await?;
            Ok(DeleteConnectorResponse {})
        })
        .await
    }

    async fn validate_connector(
        &self,
        request: Request<ValidateConnectorRequest>,
    ) -> Result<Response<ValidateConnectorResponse>, Status> {
        let request = request.into_inner();
        let tenant = names::tenant("parent", &request.parent)?;
        let config = wire::from_map(request.config);
        let connector = match request.connector_id.as_str() {
            "" => config.get("name").cloned().unwrap_or_default(),
            id => id.to_owned(),
        };
        let id = ConnectorId { tenant, connector };
        let problems = |list: Vec<Problem>| {
            list.into_iter().map(|problem| ConfigProblem { key: problem.key, message: problem.message }).collect()
        };
        self.call("ValidateConnector", async {
            let refusal = |key: &str, message: String| Ok((vec![Problem::new(key, message)], Vec::new()));
            let (errors, warnings) = match self.service.validate(&id, config).await {
                Ok((_, findings)) => Ok((findings.errors, findings.warnings)),
                Err(ServiceError::UnknownClass(class)) => refusal("connector.class", class.plain),
                Err(ServiceError::BadRequest(message)) => refusal("connector.class", message),
                Err(other) => Err(other),
            }?;
            Ok(ValidateConnectorResponse { errors: problems(errors), warnings: problems(warnings) })
        })
        .await
    }

    async fn pause_connector(
        &self,
        request: Request<PauseConnectorRequest>,
    ) -> Result<Response<PauseConnectorResponse>, Status> {
        let id = names::connector("name", &request.into_inner().name)?;
        self.call("PauseConnector", async {
            self.service.set_target(&id, TargetState::Paused).await?;
            Ok(PauseConnectorResponse {})
        })
        .await
    }

    async fn resume_connector(
        &self,
        request: Request<ResumeConnectorRequest>,
    ) -> Result<Response<ResumeConnectorResponse>, Status> {
        let id = names::connector("name", &request.into_inner().name)?;
        self.call("ResumeConnector", async {
            self.service.set_target(&id, TargetState::Running).await?;
            Ok(ResumeConnectorResponse {})
        })
        .await
    }

    async fn stop_connector(
        &self,
        request: Request<StopConnectorRequest>,
    ) -> Result<Response<StopConnectorResponse>, Status> {
        let id = names::connector("name", &request.into_inner().name)?;
        self.call("StopConnector", async {
            self.service.set_target(&id, TargetState::Stopped).await?;
            Ok(StopConnectorResponse {})
        })
        .await
    }

    async fn restart_connector(
        &self,
        request: Request<RestartConnectorRequest>,
    ) -> Result<Response<RestartConnectorResponse>, Status> {
        let request = request.into_inner();
        let id = names::connector("name", &request.name)?;
        let task = request.task.map(u32::try_from).transpose();
        let task = task.map_err(|_| bad_field("task", "must not be negative"))?;
        self.call("RestartConnector", async {
            match task {
                Some(index) => self.service.restart_task(&id, index).await?,
                None => {
                    let what = Restart { include_tasks: request.include_tasks, only_failed: request.only_failed };
                    self.service.restart(&id, what).await?;
                }
            }
            Ok(RestartConnectorResponse {})
        })
        .await
    }

    async fn get_connector_status(
        &self,
        request: Request<GetConnectorStatusRequest>,
    ) -> Result<Response<GetConnectorStatusResponse>, Status> {
        let id = names::connector("name", &request.into_inner().name)?;
        self.call("GetConnectorStatus", async {
            Ok(GetConnectorStatusResponse { status: Some(wire::status(&self.service.status(&id).await?)) })
        })
        .await
    }

    async fn watch_connectors(
        &self,
        request: Request<WatchConnectorsRequest>,
    ) -> Result<Response<Self::WatchConnectorsStream>, Status> {
        let name = request.into_inner().name;
        let (tenant, only) = match names::tenant("name", &name) {
            Ok(tenant) => (tenant, None),
            Err(_) => {
                let id = names::connector("name", &name)?;
                (id.tenant, Some(id.connector))
            }
        };
        let watcher = self.service.watch(&tenant, only.as_deref()).await.map_err(status)?;
        let told = stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(seen) => Some((Ok(message(seen)), Some(watcher))),
                Err(error) => Some((Err(status(error)), None)),
            }
        });
        Ok(Response::new(told.take_until(self.shutdown.clone().cancelled_owned()).boxed()))
    }
}

fn message(seen: Seen) -> WatchConnectorsResponse {
    match seen {
        Seen::Now(now) => WatchConnectorsResponse {
            connector: Some(wire::connector(&now.0)),
            status: Some(wire::status(&now.1)),
            deleted: false,
        },
        Seen::Gone(id) => {
            let connector = millrace_proto::v1::Connector { name: id.to_string(), ..Default::default() };
            WatchConnectorsResponse { connector: Some(connector), status: None, deleted: true }
        }
    }
}

/// A configuration with its connector's name in it; another name there is refused.
fn named(id: &ConnectorId, mut config: Flat) -> Result<Flat, Status> {
    match config.get("name") {
        Some(other) if *other != id.connector => Err(bad_field(
            "config.name",
            format!("\"{other}\" is not the connector's name \"{}\": leave it out", id.connector),
        )),
        _ => {
            config.insert("name".to_owned(), id.connector.clone());
            Ok(config)
        }
    }
}

/// What a mask makes of a configuration: nothing or `config` replaces it, `config.<key>` changes that key (and removes it
/// when the configuration does not have it).
fn change(id: &ConnectorId, config: Flat, paths: Vec<String>) -> Result<Change, Status> {
    if paths.is_empty() || paths.iter().any(|path| path == "config") {
        return Ok(Change::Replace(named(id, config)?));
    }
    let mut changes = BTreeMap::new();
    for path in paths {
        let key = path
            .strip_prefix("config.")
            .filter(|key| !key.is_empty() && *key != "name")
            .ok_or_else(|| bad_field("update_mask", format!("\"{path}\" is neither config nor config.<key>")))?;
        changes.insert(key.to_owned(), config.get(key).cloned());
    }
    Ok(Change::Patch(changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_replace_or_patch() {
        let id = ConnectorId { tenant: "t".into(), connector: "c".into() };
        let config = Flat::from([("topics".to_owned(), "a".to_owned())]);
        let whole = Flat::from([("topics".to_owned(), "a".to_owned()), ("name".to_owned(), "c".to_owned())]);
        assert_eq!(change(&id, config.clone(), vec![]).unwrap(), Change::Replace(whole));
        let paths = vec!["config.topics".to_owned(), "config.tasks.max".to_owned()];
        let changes = BTreeMap::from([("topics".to_owned(), Some("a".to_owned())), ("tasks.max".to_owned(), None)]);
        assert_eq!(change(&id, config.clone(), paths).unwrap(), Change::Patch(changes));
        for bad in ["target_state", "config.", "config.name"] {
            assert!(change(&id, config.clone(), vec![bad.to_owned()]).is_err(), "{bad}");
        }
        let other = Flat::from([("name".to_owned(), "d".to_owned())]);
        assert!(change(&id, other, vec![]).is_err());
    }
}
