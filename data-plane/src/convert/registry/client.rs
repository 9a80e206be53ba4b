//! A client of a schema registry: Confluent's REST interface, asked at one address after another until one answers. What it
//! has said of an id or of a subject never changes, so it is kept; one client serves all tasks of a worker that ask the same
//! registry as the same user.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use millrace_sdk::config::mask_uri;
use millrace_sdk::{Error, ErrorKind, Result};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::settings::{Access, Login};

/// Confluent's own.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// An answer that something does not exist holds this long: it may be registered meanwhile.
const ABSENCE: Duration = Duration::from_secs(30);
/// The newest version of a subject is asked for again after this.
const LATEST: Duration = Duration::from_secs(60);
/// No schema is longer.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// References among schemas, at most.
const MAX_REFERENCES: usize = 512;

/// A schema as a registry has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub(in crate::convert) struct Text {
    /// Its text
    pub(in crate::convert) schema: String,
    /// AVRO, PROTOBUF or JSON
    #[serde(rename = "schemaType", default = "avro")]
    pub(in crate::convert) kind: String,
    /// Schemas that it names
    #[serde(default)]
    pub(in crate::convert) references: Vec<Reference>,
}

fn avro() -> String {
    "AVRO".to_owned()
}

/// A schema that another one names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub(in crate::convert) struct Reference {
    /// What it is called there
    pub(in crate::convert) name: String,
    pub(in crate::convert) subject: String,
    pub(in crate::convert) version: i32,
}

/// A schema with all that it names, directly and indirectly, in an order in which each comes after what it needs.
#[derive(Debug)]
pub(in crate::convert) struct Fetched {
    pub(in crate::convert) text: Text,
    pub(in crate::convert) references: Vec<(String, String)>,
}

/// What is registered under a subject.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Registered {
    pub(super) id: u32,
    #[serde(default)]
    pub(super) version: i32,
    #[serde(flatten)]
    pub(super) text: Option<Text>,
}

#[derive(Deserialize)]
struct Id {
    id: u32,
}

#[derive(Deserialize)]
struct Refusal {
    error_code: i64,
    message: String,
}

/// Answers that are asked for once, whoever needs them.
type Once<K, V> = Mutex<HashMap<K, (Instant, Arc<OnceCell<V>>)>>;

pub(super) struct Client {
    access: Access,
    http: reqwest::Client,
    /// By id
    schemas: Once<u32, Option<Arc<Fetched>>>,
    /// By subject and id
    versions: Once<(String, u32), Option<i32>>,
    /// By subject and text, whether it may be registered, and whether it is normalised
    ids: Once<(String, Text, bool, bool), Result<u32, String>>,
    /// By subject
    latest: Once<String, Option<Registered>>,
}

/// The clients that are in use.
static CLIENTS: Mutex<Vec<Weak<Client>>> = Mutex::new(Vec::new());

impl Client {
    /// The client with these settings.
    pub(super) fn shared(access: &Access) -> Result<Arc<Self>> {
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|client| client.strong_count() > 0);
        if let Some(client) = clients.iter().filter_map(Weak::upgrade).find(|client| client.access == *access) {
            return Ok(client);
        }
        let client = Arc::new(Self::new(access.clone())?);
        clients.push(Arc::downgrade(&client));
        Ok(client)
    }

    fn new(access: Access) -> Result<Self> {
        let wrong = |what: &'static str| {
            move |error: reqwest::Error| {
                Error::bad_config(format!("Invalid {what} for the schema registry")).because(error.without_url())
            }
        };
        let mut builder = reqwest::Client::builder()
            .connect_timeout(access.connect_timeout)
            .read_timeout(access.read_timeout)
            // Questions are rare, and what lies between cuts idle connections.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::limited(3))
            .use_rustls_tls();
        builder = match &access.proxy {
            None => builder.no_proxy(),
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).map_err(wrong("proxy.host and proxy.port"))?),
        };
        if let Some(authorities) = &access.tls.authorities {
            let certificates = reqwest::Certificate::from_pem_bundle(authorities.as_bytes())
                .map_err(wrong("schema.registry.ssl.truststore.certificates"))?;
            if certificates.is_empty() {
                return Err(Error::bad_config("schema.registry.ssl.truststore.certificates holds no PEM certificate"));
            }
            builder = builder.tls_built_in_root_certs(false);
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if let Some(identity) = &access.tls.identity {
            let identity = reqwest::Identity::from_pem(identity.reveal().as_bytes())
                .map_err(wrong("schema.registry.ssl.keystore.certificate.chain and .key"))?;
            builder = builder.identity(identity);
        }
        if access.tls.any_hostname {
            builder = builder.danger_accept_invalid_hostnames(true);
        }
        let http = builder.build().map_err(wrong("TLS settings"))?;
        Ok(Self {
            access,
            http,
            schemas: Mutex::default(),
            versions: Mutex::default(),
            ids: Mutex::default(),
            latest: Mutex::default(),
        })
    }

    /// The schema of an id; None when the registry knows none.
    pub(super) async fn schema(&self, id: u32) -> Result<Option<Arc<Fetched>>> {
        let cell = self.cell(&self.schemas, id, |known| if known.is_none() { Some(ABSENCE) } else { None });
        let ask = async {
            match self.get::<Text>(&["schemas", "ids", &id.to_string()]).await? {
                None => Ok(None),
                Some(text) => Ok(Some(Arc::new(self.resolve(text).await?))),
            }
        };
        cell.get_or_try_init(|| ask).await.cloned()
    }

    /// The version of a schema under a subject; None when it is not registered there.
    pub(super) async fn version(&self, subject: &str, id: u32, text: &Text) -> Result<Option<i32>> {
        let key = (subject.to_owned(), id);
        let cell = self.cell(&self.versions, key, |known| if known.is_none() { Some(ABSENCE) } else { None });
        let ask = async {
            let found: Option<Registered> = self.post(&["subjects", subject], &[("deleted", "true")], text).await?;
            Ok(found.map(|found| found.version).filter(|version| *version > 0))
        };
        cell.get_or_try_init(|| ask).await.cloned()
    }

    /// The id of a schema under a subject, where it is registered first when `register` says so. The inner error is the
    /// registry's answer that this cannot be.
    pub(super) async fn id(
        &self,
        subject: &str,
        text: &Text,
        register: bool,
        normalize: bool,
    ) -> Result<Result<u32, String>> {
        let key = (subject.to_owned(), text.clone(), register, normalize);
        let cell = self.cell(&self.ids, key, |known| if known.is_err() { Some(ABSENCE) } else { None });
        let ask = async {
            let path: &[&str] = if register { &["subjects", subject, "versions"] } else { &["subjects", subject] };
            let query = if normalize { vec![("normalize", "true")] } else { Vec::new() };
            match self.ask(Method::POST, path, &query, Some(text)).await? {
                Answer::Found(body) => Ok(Ok(parse::<Id>(&body)?.id)),
                Answer::Refused(reason) => Ok(Err(reason)),
            }
        };
        cell.get_or_try_init(|| ask).await.cloned()
    }

    /// The newest schema of a subject; None when it has none.
    pub(super) async fn latest(&self, subject: &str) -> Result<Option<Registered>> {
        let cell =
            self.cell(&self.latest, subject.to_owned(), |known| Some(if known.is_none() { ABSENCE } else { LATEST }));
        let ask = async { self.get::<Registered>(&["subjects", subject, "versions", "latest"]).await };
        cell.get_or_try_init(|| ask).await.cloned()
    }

    /// Whether a schema may come after the newest of a subject, as the registry sees it; the inner error says why not.
    pub(super) async fn compatible(&self, subject: &str, text: &Text) -> Result<Result<(), String>> {
        #[derive(Deserialize)]
        struct Verdict {
            is_compatible: bool,
            #[serde(default)]
            messages: Vec<String>,
        }
        let path = ["compatibility", "subjects", subject, "versions", "latest"];
        Ok(match self.ask(Method::POST, &path, &[("verbose", "true")], Some(text)).await? {
            Answer::Found(body) => {
                let verdict: Verdict = parse(&body)?;
                if verdict.is_compatible { Ok(()) } else { Err(verdict.messages.join("; ")) }
            }
            Answer::Refused(reason) => Err(reason),
        })
    }

    /// A schema with all that it names.
    pub(super) async fn resolve(&self, text: Text) -> Result<Fetched> {
        let mut order: Vec<(String, String)> = Vec::new();
        let mut open: Vec<(Reference, bool)> = text.references.iter().rev().map(|one| (one.clone(), false)).collect();
        let mut texts: HashMap<Reference, Text> = HashMap::new();
        while let Some((reference, expanded)) = open.pop() {
            if order.iter().any(|(name, _)| *name == reference.name) {
                continue;
            }
            if expanded {
                if let Some(text) = texts.get(&reference) {
                    order.push((reference.name.clone(), text.schema.clone()));
                }
                continue;
            }
            if texts.contains_key(&reference) {
                // A circle: what it closes on is added when it is left.
                continue;
            }
            if texts.len() >= MAX_REFERENCES {
                return Err(Error::bad_record(format!("a schema names more than {MAX_REFERENCES} others")));
            }
            let version = reference.version.to_string();
            let path = ["subjects", &reference.subject, "versions", &version];
            let Some(text) = self.get::<Text>(&path).await? else {
                let Reference { name, subject, version } = reference;
                return Err(Error::bad_record(format!(
                    "the schema names {name}, but the registry has no version {version} of the subject {subject}; register \
                     it again"
                )));
            };
            open.push((reference.clone(), true));
            open.extend(text.references.iter().rev().map(|one| (one.clone(), false)));
            texts.insert(reference, text);
        }
        Ok(Fetched { text, references: order })
    }

    /// The place for an answer; a new one when the known answer has outlived what `life` gives it.
    fn cell<K: Eq + Hash, V>(
        &self,
        known: &Once<K, V>,
        key: K,
        life: impl Fn(&V) -> Option<Duration>,
    ) -> Arc<OnceCell<V>> {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, cell)) = known.get(&key) {
            let over = cell.get().and_then(&life).is_some_and(|life| since.elapsed() >= life);
            if !over {
                return Arc::clone(cell);
            }
        }
        if known.len() >= self.access.cache_size {
            known.clear();
        }
        let cell = Arc::new(OnceCell::new());
        known.insert(key, (Instant::now(), Arc::clone(&cell)));
        cell
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &[&str]) -> Result<Option<T>> {
        match self.ask(Method::GET, path, &[], None).await? {
            Answer::Found(body) => parse(&body).map(Some),
            Answer::Refused(_) => Ok(None),
        }
    }

    async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        text: &Text,
    ) -> Result<Option<T>> {
        match self.ask(Method::POST, path, query, Some(text)).await? {
            Answer::Found(body) => parse(&body).map(Some),
            Answer::Refused(_) => Ok(None),
        }
    }

    /// Asks one address after another until one answers.
    async fn ask(&self, method: Method, path: &[&str], query: &[(&str, &str)], text: Option<&Text>) -> Result<Answer> {
        let mut last = None;
        for url in &self.access.urls {
            match self.ask_at(url, method.clone(), path, query, text).await {
                Err(error) if matches!(error.kind(), ErrorKind::Transient { .. }) => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(|| Error::bad_config("schema.registry.url names no address")))
    }

    async fn ask_at(
        &self,
        base: &str,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        text: Option<&Text>,
    ) -> Result<Answer> {
        let shown = mask_uri(base).into_owned();
        let unreachable = |error: reqwest::Error| {
            Error::transient(format!("the schema registry at {shown} does not answer")).because(error.without_url())
        };
        let mut url = reqwest::Url::parse(base)
            .map_err(|_| Error::bad_config(format!("Invalid value {shown} for configuration schema.registry.url")))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url).header("Accept", format!("{CONTENT_TYPE}, application/json"));
        request = match &self.access.login {
            // reqwest takes what the URL says.
            Login::Url => request,
            Login::Basic { user, password } => request.basic_auth(user, Some(password.reveal())),
            Login::Bearer(token) => request.bearer_auth(token.reveal()),
        };
        for (name, value) in &self.access.headers {
            request = request.header(name, value.reveal());
        }
        if let Some(text) = text {
            let body = body(text)?;
            request = request.header("Content-Type", CONTENT_TYPE).body(body);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, wait) = (response.status(), retry_after(&response));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(Error::bad_record(format!("an answer of the schema registry exceeds {MAX_ANSWER} bytes")));
            }
        }
        judge(&shown, status, wait, body)
    }
}

/// AVRO is what a registry assumes; older ones know no `schemaType`.
fn body(text: &Text) -> Result<String> {
    let mut json = serde_json::json!({ "schema": text.schema });
    if text.kind != "AVRO" {
        json["schemaType"] = text.kind.as_str().into();
    }
    if !text.references.is_empty() {
        json["references"] =
            serde_json::to_value(&text.references).map_err(|error| Error::internal("a reference").because(error))?;
    }
    Ok(json.to_string())
}

enum Answer {
    Found(Vec<u8>),
    /// Not there, or not to be: the registry's reason
    Refused(String),
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get("Retry-After")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn judge(shown: &str, status: StatusCode, wait: Option<Duration>, body: Vec<u8>) -> Result<Answer> {
    if status.is_success() {
        return Ok(Answer::Found(body));
    }
    let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
    let reason = refusal.as_ref().map_or_else(|| status.to_string(), |one| one.message.clone());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Error::bad_config(format!(
            "the schema registry at {shown} answers {status}: check basic.auth.credentials.source, basic.auth.user.info, \
             bearer.auth.token and what the user may do there"
        ))),
        // A 404 without one of a registry's own codes comes from something else.
        StatusCode::NOT_FOUND if refusal.as_ref().is_some_and(|one| one.error_code > 40_000) => {
            Ok(Answer::Refused(reason))
        }
        StatusCode::NOT_FOUND => Err(Error::bad_config(format!(
            "at {shown} there is no schema registry: check the path of schema.registry.url"
        ))),
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => {
            Ok(Answer::Refused(reason))
        }
        status
            if status.is_server_error()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) =>
        {
            let message = format!("the schema registry at {shown} answers {status}: {reason}");
            Err(Error::new(ErrorKind::Transient { retry_after: wait }, message))
        }
        status => Err(Error::bad_config(format!("the schema registry at {shown} answers {status}: {reason}"))),
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|error| Error::transient("the schema registry's answer cannot be read").because(error))
}
