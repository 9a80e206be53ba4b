//! `/`, `/health` and `/connector-plugins`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::RestError;
use super::request::{self, Path};
use super::shapes;
use crate::model::ConnectorId;
use crate::service::{Service, ServiceError, catalogue};

type Answer = Result<Response, RestError>;

pub(super) async fn root(State(service): State<Service>) -> Response {
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("MILLRACE_COMMIT").unwrap_or("unknown"),
        "kafka_cluster_id": cluster_id(&service),
    }))
    .into_response()
}

/// The configured id. The control plane talks to no Kafka, so it cannot ask for one, and an invented id could be taken for
/// a real cluster's.
fn cluster_id(service: &Service) -> &str {
    service.config().cluster_id.as_deref().unwrap_or("unknown")
}

/// Healthy when the store answers.
pub(super) async fn health(State(service): State<Service>) -> Response {
    match service.store().get(crate::store::keys::LEADER).await {
        Ok(_) if service.mirror().synced() => {
            let message = "Worker has completed startup and is ready to handle requests.";
            Json(json!({ "status": "healthy", "message": message })).into_response()
        }
        Ok(_) => {
            let body = json!({ "status": "starting", "message": "Worker is still starting up." });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
        Err(error) => {
            let message =
                format!("Worker was unable to handle this request and may be unable to handle other requests: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "status": "unhealthy", "message": message })))
                .into_response()
        }
    }
}

/// Connectors; the other kinds of plugins that `connectorsOnly=false` asks for are not announced by workers yet.
pub(super) async fn list(State(service): State<Service>, path: Path) -> Answer {
    service.tenant(&path.tenant).await?;
    let catalogue = service.mirror().catalogue();
    let mut posted: Vec<String> = Vec::new();
    for (view, _) in service.list(&path.tenant).await? {
        posted.extend(view.config.get("connector.class").cloned());
    }
    let mut listed = Vec::new();
    for plugin in catalogue.plugins() {
        // Under its first Java class name, which is what tools look for, or else ours; and under whatever users posted.
        let names = catalogue::names(plugin);
        let usual = plugin.aliases.iter().find(|alias| alias.contains('.')).unwrap_or(&plugin.class);
        let mut under = vec![usual.as_str()];
        for name in posted.iter().filter_map(|posted| names.get(posted.as_str())) {
            if !under.contains(name) {
                under.push(name);
            }
        }
        listed.extend(under.into_iter().map(|name| (name, plugin.as_ref())));
    }
    Ok(Json(shapes::plugins(listed)).into_response())
}

pub(super) async fn config(State(service): State<Service>, path: Path) -> Answer {
    service.tenant(&path.tenant).await?;
    let catalogue = service.mirror().catalogue();
    let plugin =
        catalogue.find(&path.name).ok_or_else(|| RestError::not_found(format!("Unknown plugin {}.", path.name)))?;
    Ok(Json(shapes::definitions(plugin)).into_response())
}

pub(super) async fn validate(State(service): State<Service>, path: Path, body: Bytes) -> Answer {
    let config = request::config(request::object(&body)?)?;
    service.announced(&config).await;
    let included = config.get("connector.class").cloned().unwrap_or_default();
    if !included.is_empty() && !same_class(&service, &included, &path.name) {
        return Err(RestError::bad_request(format!(
            "Included connector type {included} does not match request type {}",
            path.name
        )));
    }
    let connector = config.get("name").cloned().unwrap_or_default();
    let id = ConnectorId { tenant: path.tenant.clone(), connector };
    match service.validate(&id, config.clone()).await {
        Ok((plugin, findings)) => Ok(Json(shapes::validation(&plugin, &included, &config, &findings)).into_response()),
        // Connect wraps these two and answers 500.
        Err(ServiceError::UnknownClass(class)) => Err(RestError::unreadable(class.connect)),
        Err(ServiceError::BadRequest(message)) => Err(RestError::unreadable(message)),
        Err(other) => Err(other.into()),
    }
}

/// As Connect compares: either name may be the short form of the other, or another name of the same class.
fn same_class(service: &Service, included: &str, requested: &str) -> bool {
    let short = |name: &str| name.strip_suffix("Connector").filter(|rest| !rest.is_empty()).unwrap_or(name).to_owned();
    let catalogue = service.mirror().catalogue();
    let class = |name: &str| catalogue.find(name).map(|plugin| plugin.class.clone());
    short(included).ends_with(&short(requested))
        || class(included).is_some_and(|one| class(requested).is_some_and(|other| one == other))
}
