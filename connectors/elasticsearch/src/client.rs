//! Requests through Elastic's transport. Bodies are bytes; the typed API of the client crate is not used, and `GET /` need
//! not exist.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::auth::Credentials;
use elasticsearch::http::headers::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::{MultiNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};
use millrace_sdk::{Error, ErrorKind, Result};

use crate::bulk::{FILTER, Reply};
use crate::config::SinkConfig;
use crate::error::{classify, classify_transport};

/// When `read.timeout.ms` is not set.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A cluster.
#[derive(Debug)]
pub(crate) struct Client {
    transport: Transport,
    timeout: Duration,
    /// Indices that are known to exist.
    known: Mutex<HashSet<String>>,
}

/// An answer.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: String,
}

/// An address of a node, made complete.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn address(text: &str) -> Result<Url, String> {
    let shown = millrace_sdk::config::mask_uri(text).into_owned();
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&whole).map_err(|error| format!("{shown} is not an address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{shown} is neither an http nor an https address"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

impl Client {
    /// A client; connects when it is first used.
    ///
    /// # Errors
    /// `BadConfig` for unusable addresses.
    pub(crate) fn new(config: &SinkConfig, at_most: Option<Duration>) -> Result<Self> {
        let mut urls =
            config.urls.iter().map(|url| address(url)).collect::<Result<Vec<_>, _>>().map_err(Error::bad_config)?;
        let mut credentials = match (&config.username, &config.password) {
            (Some(user), Some(password)) => Some(Credentials::Basic(user.clone(), password.reveal().to_owned())),
            _ => None,
        };
        for url in &mut urls {
            if let (false, Some(password)) = (url.username().is_empty(), url.password()) {
                let basic = Credentials::Basic(decoded(url.username()), decoded(password));
                credentials.get_or_insert(basic);
            }
            // Never in a URL from here on: it might be printed. Only addresses without a host refuse this.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        let wanted = config.read_timeout_ms.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
        let timeout = wanted.unwrap_or(REQUEST_TIMEOUT);
        let mut builder = TransportBuilder::new(MultiNodeConnectionPool::round_robin(urls, None))
            .disable_proxy()
            .request_body_compression(config.compression);
        if let Some(credentials) = credentials {
            builder = builder.auth(credentials);
        }
        let transport =
            builder.build().map_err(|error| Error::bad_config("cannot set up the HTTP client").because(error))?;
        let timeout = at_most.map_or(timeout, |most| timeout.min(most));
        Ok(Self { transport, timeout, known: Mutex::default() })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Bytes>,
        doing: &str,
    ) -> Result<Answer> {
        let mut headers = HeaderMap::new();
        // Plain media types: every version and every relative of Elasticsearch takes them.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let content = if path.ends_with("_bulk") { "application/x-ndjson" } else { "application/json" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        let sent = self.transport.send(method, path, headers, Some(query), body, Some(self.timeout)).await;
        let response = sent.map_err(|error| classify_transport(&error, doing))?;
        let status = response.status_code().as_u16();
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let body = response.text().await.map_err(|error| classify_transport(&error, doing))?;
        Ok(Answer { status, retry_after, body })
    }

    /// Sends a bulk request.
    ///
    /// # Errors
    /// When nothing is known about any of its operations; `BadRecord` when it was refused as a whole for what it holds.
    pub(crate) async fn bulk(&self, body: Bytes) -> Result<Reply> {
        let doing = "cannot write to Elasticsearch";
        let answer = self.send(Method::Post, "_bulk", &[("filter_path", FILTER)], Some(body), doing).await?;
        if answer.status != 200 {
            return Err(answer.error(doing));
        }
        Reply::parse(&answer.body)
            .map_err(|error| Error::transient(format!("{doing}: the answer is none of Elasticsearch's")).because(error))
    }

    /// Creates an index unless it is there; a race with another task is no error.
    ///
    /// # Errors
    /// When it can neither be found nor created.
    pub(crate) async fn ensure_index(&self, index: &str) -> Result<()> {
        if self.known().contains(index) {
            return Ok(());
        }
        let doing = format!("cannot create the index {index}");
        let path = encoded(index);
        let found = self.send(Method::Head, &path, &[], None, &doing).await?;
        match found.status {
            // Who may not look may still write.
            200 | 403 => {}
            404 => {
                let made = self.send(Method::Put, &path, &[], None, &doing).await?;
                if !matches!(made.status, 200 | 201) && !made.body.contains("resource_already_exists_exception") {
                    return Err(made.target_error(&doing));
                }
            }
            _ => return Err(found.error(&doing)),
        }
        self.known().insert(index.to_owned());
        Ok(())
    }

    /// Forgets that an index exists: somebody has removed it.
    pub(crate) fn forget_index(&self, index: &str) {
        self.known().remove(index);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // A set of names is whole after any panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Proves connection and credentials, and the privileges on indices where the cluster has security.
    ///
    /// # Errors
    /// `Transient` when there is no answer, `BadConfig` when it is a refusal.
    pub(crate) async fn check(&self, indices: &[String]) -> Result<()> {
        let doing = "cannot reach Elasticsearch";
        let root = self.send(Method::Get, "", &[], None, doing).await?;
        if matches!(root.status, 401 | 429 | 502 | 503 | 504) {
            return Err(root.error(doing));
        }
        for index in indices {
            let doing = format!("cannot look at the index {index}");
            let found = self.send(Method::Head, &encoded(index), &[], None, &doing).await?;
            if !matches!(found.status, 200 | 403 | 404) {
                return Err(found.target_error(&doing));
            }
        }
        if indices.is_empty() {
            return Ok(());
        }
        let asked = serde_json::json!({ "index": [{ "names": indices, "privileges": ["write", "create_index"] }] });
        let body = Bytes::from(asked.to_string());
        let answer = self.send(Method::Post, "_security/user/_has_privileges", &[], Some(body), doing).await?;
        let verdict: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        if !root.is_json() && !answer.is_json() {
            return Err(Error::bad_config(format!(
                "{doing}: whatever connection.url leads to is no Elasticsearch; it answered {} to GET / and {} to POST \
                 _security/user/_has_privileges, neither with JSON",
                root.status, answer.status
            )));
        }
        // Without security the question itself is unknown, and everything is allowed.
        if answer.status == 200 && verdict["has_all_requested"] == false {
            return Err(Error::bad_config(format!(
                "the user {} lacks privileges on {}; grant write and create_index",
                verdict["username"],
                indices.join(", ")
            )));
        }
        Ok(())
    }
}

impl Answer {
    /// Every Elasticsearch and every relative of it answers in JSON, errors too.
    fn is_json(&self) -> bool {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&self.body).is_ok()
    }

    fn error(&self, doing: &str) -> Error {
        classify(self.status, self.retry_after, &self.body, doing)
    }

    /// An error that no record has caused.
    fn target_error(&self, doing: &str) -> Error {
        let error = self.error(doing);
        if error.kind() == ErrorKind::BadRecord { Error::bad_config(error.to_string()) } else { error }
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn encoded(index: &str) -> String {
    percent_encoding::utf8_percent_encode(index, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests;
