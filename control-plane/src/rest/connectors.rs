//! `/connectors`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use super::error::RestError;
use super::request::{self, Path};
use super::shapes;
use crate::model::{ConnectorId, TargetState};
use crate::service::{Change, Restart, Service, ServiceError, Written};

type Answer = Result<Response, RestError>;

/// What a path segment may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Connect says "not found" in several ways.
fn absent(text: &'static str) -> impl Fn(ServiceError) -> RestError {
    move |error| match error {
        ServiceError::NoConnector(id) => RestError::not_found(format!("{text}{}", id.connector)),
        other => other.into(),
    }
}

/// The values of a query parameter, decoded.
fn parameters(query: Option<&str>, name: &str) -> Vec<String> {
    query
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned())
        .collect()
}

fn flag(query: Option<&str>, name: &str) -> bool {
    parameters(query, name).first().is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

pub(super) async fn list(State(service): State<Service>, path: Path, RawQuery(query): RawQuery) -> Answer {
    let all = service.list(&path.tenant).await?;
    let expand = parameters(query.as_deref(), "expand");
    if expand.is_empty() {
        let names: Vec<&str> = all.iter().map(|(view, _)| view.id.connector.as_str()).collect();
        return Ok(Json(names).into_response());
    }
    let mut body = Map::new();
    for (view, status) in &all {
        let mut expanded = Map::new();
        for wish in &expand {
            match wish.as_str() {
                "info" => drop(expanded.insert("info".to_owned(), shapes::info(view))),
                "status" => drop(expanded.insert("status".to_owned(), shapes::status(status))),
                // Connect ignores others.
                _ => {}
            }
        }
        body.insert(view.id.connector.clone(), Value::Object(expanded));
    }
    Ok(Json(body).into_response())
}

pub(super) async fn create(State(service): State<Service>, path: Path, headers: HeaderMap, body: Bytes) -> Answer {
    let request = request::create(&body)?;
    let id = ConnectorId { tenant: path.tenant.clone(), connector: request.name };
    let written = service.create(&id, request.config, request.target, false).await?;
    Ok(answer(&written, &headers))
}

/// 201 with Location for a new connector, 200 for a changed one.
fn answer(written: &Written, headers: &HeaderMap) -> Response {
    let body = Json(shapes::info(&written.connector));
    if !written.created {
        return body.into_response();
    }
    let id = &written.connector.id;
    let prefix = if id.tenant == crate::model::DEFAULT_TENANT {
        String::new()
    } else {
        format!("/tenants/{}", utf8_percent_encode(&id.tenant, SEGMENT))
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let base = host.map(|host| format!("http://{host}")).unwrap_or_default();
    let location = format!("{base}{prefix}/connectors/{}", utf8_percent_encode(&id.connector, SEGMENT));
    (StatusCode::CREATED, [(header::LOCATION, location)], body).into_response()
}

pub(super) async fn get(State(service): State<Service>, path: Path) -> Answer {
    let view = service.get(&path.id()).await?;
    Ok(Json(shapes::info(&view)).into_response())
}

pub(super) async fn delete(State(service): State<Service>, path: Path) -> Answer {
    service.delete(&path.id(), None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn config(State(service): State<Service>, path: Path) -> Answer {
    let view = service.get(&path.id()).await?;
    Ok(Json(view.config).into_response())
}

pub(super) async fn put_config(State(service): State<Service>, path: Path, headers: HeaderMap, body: Bytes) -> Answer {
    let config = request::named(&path.name, request::config(request::object(&body)?)?)?;
    let written = service.update(&path.id(), Change::Replace(config), None, true).await?;
    Ok(answer(&written, &headers))
}

pub(super) async fn patch_config(
    State(service): State<Service>,
    path: Path,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let changes = request::patch(request::object(&body)?)?;
    if let Some(Some(other)) = changes.get("name").filter(|name| name.as_ref().is_some_and(|name| *name != path.name)) {
        return Err(RestError::bad_request(format!(
            "Connector name configuration ({other}) doesn't match connector name in the URL ({})",
            path.name
        )));
    }
    let written = service.update(&path.id(), Change::Patch(changes), None, false).await?;
    Ok(answer(&written, &headers))
}

pub(super) async fn status(State(service): State<Service>, path: Path) -> Answer {
    let view = service.status(&path.id()).await.map_err(absent("No status found for connector "))?;
    Ok(Json(shapes::status(&view)).into_response())
}

pub(super) async fn tasks(State(service): State<Service>, path: Path) -> Answer {
    let view = service.get(&path.id()).await?;
    let class = view.config.get("connector.class").map_or("", String::as_str);
    let plugin = service.mirror().catalogue().find(class).cloned();
    Ok(Json(shapes::tasks(&view, plugin.as_deref())).into_response())
}

pub(super) async fn task_status(State(service): State<Service>, path: Path) -> Answer {
    let index = path.task()?;
    let absent = || RestError::not_found(format!("No status found for task {}-{index}", path.name));
    let view = match service.status(&path.id()).await {
        Err(ServiceError::NoConnector(_)) => return Err(absent()),
        other => other?,
    };
    let task = view.tasks.iter().find(|task| task.index == index).ok_or_else(absent)?;
    Ok(Json(shapes::task_status(task, &view.version)).into_response())
}

pub(super) async fn restart_task(State(service): State<Service>, path: Path) -> Answer {
    let index = path.task()?;
    service.restart_task(&path.id(), index).await.map_err(absent("Unknown connector: "))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// 204 for the connector alone, 202 with its state when more was asked for.
pub(super) async fn restart(State(service): State<Service>, path: Path, RawQuery(query): RawQuery) -> Answer {
    let what = Restart {
        include_tasks: flag(query.as_deref(), "includeTasks"),
        only_failed: flag(query.as_deref(), "onlyFailed"),
    };
    let view = service.restart(&path.id(), what).await.map_err(absent("Unknown connector: "))?;
    if !what.include_tasks && !what.only_failed {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok((StatusCode::ACCEPTED, Json(shapes::status(&view))).into_response())
}

pub(super) async fn pause(State(service): State<Service>, path: Path) -> Answer {
    target(&service, &path, TargetState::Paused, StatusCode::ACCEPTED).await
}

pub(super) async fn resume(State(service): State<Service>, path: Path) -> Answer {
    target(&service, &path, TargetState::Running, StatusCode::ACCEPTED).await
}

pub(super) async fn stop(State(service): State<Service>, path: Path) -> Answer {
    target(&service, &path, TargetState::Stopped, StatusCode::NO_CONTENT).await
}

async fn target(service: &Service, path: &Path, target: TargetState, status: StatusCode) -> Answer {
    service.set_target(&path.id(), target).await.map_err(absent("Unknown connector "))?;
    Ok(status.into_response())
}
