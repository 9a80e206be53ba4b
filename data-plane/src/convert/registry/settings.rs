//! The settings that the converters with a schema registry share: where it is, who asks, and what becomes of schemas that it
//! does not know. Secrets are kept in [`Secret`].

use std::time::Duration;

use millrace_sdk::{Error, Flat, Result, Secret};

/// How to reach a registry. Equal settings share one client and what it has fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Access {
    /// Asked in this order
    pub(super) urls: Vec<String>,
    pub(super) login: Login,
    pub(super) tls: Tls,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    /// `http://host:port`
    pub(super) proxy: Option<String>,
    /// Further headers of each request; they may be secrets
    pub(super) headers: Vec<(String, Secret)>,
    /// How many schemas are kept
    pub(super) cache_size: usize,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// Nobody in particular, or whom the URL names
    Url,
    Basic {
        user: String,
        password: Secret,
    },
    Bearer(Secret),
}

/// Whom to trust, as PEM text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    /// None: the certificate authorities that browsers trust
    pub(super) authorities: Option<String>,
    /// Certificate chain and key
    pub(super) identity: Option<Secret>,
    pub(super) any_hostname: bool,
}

/// The subject that a schema is registered under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::convert) enum SubjectStrategy {
    /// `topic-key` or `topic-value`
    Topic,
    /// The record's full name
    Record,
    /// `topic-name`
    TopicRecord,
}

/// Where the schema of data that is written comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteSchema {
    /// It is registered when it is not there
    Register,
    /// It must be there
    LookUp,
    /// The newest of the subject
    Latest,
    /// This one
    Id(u32),
}

/// What becomes of schemas when data are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) strategy: SubjectStrategy,
    pub(super) schema: WriteSchema,
    /// Whether the schema taken instead of the data's own must be compatible with that
    pub(super) strict: bool,
    pub(super) normalize: bool,
    /// Whether what is read comes as the newest schema of the subject has it
    pub(super) read_latest: bool,
    pub(super) cache_size: usize,
}

/// Reads one setting after another, under the name that an error tells.
pub(in crate::convert) struct Reader<'a> {
    flat: &'a Flat,
}

impl<'a> Reader<'a> {
    pub(in crate::convert) fn new(flat: &'a Flat) -> Self {
        Self { flat }
    }

    pub(in crate::convert) fn text(&self, name: &str) -> Option<&'a str> {
        self.flat.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The first of these names that is set.
    fn any(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.text(name))
    }

    pub(in crate::convert) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.text(name) {
            None => Ok(default),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(invalid(name, value, "Expected value to be either true or false")),
        }
    }

    pub(in crate::convert) fn number(&self, name: &str, default: i64) -> Result<i64> {
        match self.text(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| invalid(name, value, "Not a number")),
        }
    }

    fn millis(&self, name: &str, default: i64) -> Result<Duration> {
        Ok(Duration::from_millis(u64::try_from(self.number(name, default)?).unwrap_or(0).max(1)))
    }

    fn refuse(&self, name: &str, why: &str) -> Result<()> {
        match self.text(name) {
            None => Ok(()),
            Some(_) => Err(Error::bad_config(format!("The setting \"{name}\" is not allowed: {why}"))),
        }
    }
}

fn invalid(name: &str, value: &str, why: &str) -> Error {
    Error::bad_config(format!("Invalid value {value} for configuration {name}: {why}"))
}

/// What to do with a store of Java's.
fn pem_instead(store: &str) -> String {
    let (settings, command) = if store == "truststore" {
        ("schema.registry.ssl.truststore.certificates", "keytool -list -rfc -keystore STORE")
    } else {
        (
            "schema.registry.ssl.keystore.certificate.chain and schema.registry.ssl.keystore.key",
            "openssl pkcs12 -nodes -in STORE (of a JKS store after keytool -importkeystore -srckeystore STORE -destkeystore \
             STORE.p12 -deststoretype PKCS12)",
        )
    };
    format!("give PEM text in {settings}; {command} prints it")
}

impl Access {
    pub(super) fn read(flat: &Flat) -> Result<Self> {
        let reader = Reader::new(flat);
        let Some(urls) = reader.text("schema.registry.url") else {
            return Err(Error::bad_config(
                "Missing required configuration \"schema.registry.url\" which has no default value.",
            ));
        };
        let mut list = Vec::new();
        for url in urls.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            let parsed = reqwest::Url::parse(url).ok().filter(|parsed| matches!(parsed.scheme(), "http" | "https"));
            if parsed.is_none() {
                let shown = millrace_sdk::config::mask_uri(url).into_owned();
                return Err(invalid("schema.registry.url", &shown, "must be a list of http or https URLs"));
            }
            list.push(url.trim_end_matches('/').to_owned());
        }
        Ok(Self {
            urls: list,
            login: Login::read(&reader)?,
            tls: Tls::read(&reader)?,
            connect_timeout: reader.millis("http.connect.timeout.ms", 60_000)?,
            read_timeout: reader.millis("http.read.timeout.ms", 60_000)?,
            proxy: match (reader.text("proxy.host"), reader.number("proxy.port", -1)?) {
                (Some(host), port) if (1..=65535).contains(&port) => Some(format!("http://{host}:{port}")),
                (Some(_), _) => return Err(Error::bad_config("proxy.host needs proxy.port, a number from 1 to 65535")),
                (None, _) => None,
            },
            headers: flat
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.strip_prefix("request.header.")?.to_owned(), Secret::new(value.trim())))
                })
                .collect(),
            cache_size: cache_size(&reader)?,
        })
    }
}

fn cache_size(reader: &Reader<'_>) -> Result<usize> {
    let size = reader.number("schemas.cache.size", reader.number("schemas.cache.config", 1000)?)?;
    Ok(usize::try_from(size).unwrap_or(0).max(1))
}

impl Login {
    fn read(reader: &Reader<'_>) -> Result<Self> {
        let source = reader.any(&["basic.auth.credentials.source", "schema.registry.basic.auth.credentials.source"]);
        let info = reader.any(&["basic.auth.user.info", "schema.registry.basic.auth.user.info"]);
        let bearer = reader.any(&["bearer.auth.credentials.source", "schema.registry.bearer.auth.credentials.source"]);
        let token = reader.any(&["bearer.auth.token", "schema.registry.bearer.auth.token"]);
        match bearer {
            None => {}
            Some(kind) if kind.eq_ignore_ascii_case("STATIC_TOKEN") => {
                return token.map(|token| Self::Bearer(Secret::new(token))).ok_or_else(|| {
                    Error::bad_config("bearer.auth.credentials.source=STATIC_TOKEN needs bearer.auth.token")
                });
            }
            Some(kind) => {
                let why = "only STATIC_TOKEN is available";
                return Err(invalid("bearer.auth.credentials.source", kind, why));
            }
        }
        match source.map(str::to_ascii_uppercase).as_deref() {
            Some("USER_INFO") => {
                let Some((user, password)) = info.and_then(|info| info.split_once(':')) else {
                    return Err(Error::bad_config(
                        "basic.auth.credentials.source=USER_INFO needs basic.auth.user.info of the form user:password",
                    ));
                };
                Ok(Self::Basic { user: user.to_owned(), password: Secret::new(password) })
            }
            Some("URL") => Ok(Self::Url),
            None if token.is_some() => Ok(Self::Bearer(Secret::new(token.unwrap_or_default()))),
            None => Ok(Self::Url),
            Some(other) => Err(invalid("basic.auth.credentials.source", other, "must be URL or USER_INFO")),
        }
    }
}

impl Tls {
    fn read(reader: &Reader<'_>) -> Result<Self> {
        for store in ["truststore", "keystore"] {
            let file = format!("it reads a file of the worker; {}", pem_instead(store));
            reader.refuse(&format!("schema.registry.ssl.{store}.location"), &file)?;
            let name = format!("schema.registry.ssl.{store}.type");
            if let Some(kind) = reader.text(&name).filter(|kind| !kind.eq_ignore_ascii_case("PEM")) {
                return Err(invalid(&name, kind, &format!("use PEM: {}", pem_instead(store))));
            }
        }
        let refused = "encrypted keys are not available here; give the key as plain PEM text";
        reader.refuse("schema.registry.ssl.key.password", refused)?;
        let chain = reader.text("schema.registry.ssl.keystore.certificate.chain");
        let identity = match (chain, reader.text("schema.registry.ssl.keystore.key")) {
            (Some(chain), Some(key)) => Some(Secret::new(format!("{key}\n{chain}\n"))),
            (None, None) => None,
            _ => {
                return Err(Error::bad_config(
                    "schema.registry.ssl.keystore.certificate.chain and schema.registry.ssl.keystore.key go together",
                ));
            }
        };
        let algorithm = reader.flat.get("schema.registry.ssl.endpoint.identification.algorithm");
        Ok(Self {
            authorities: reader.text("schema.registry.ssl.truststore.certificates").map(str::to_owned),
            identity,
            any_hostname: algorithm.is_some_and(|value| value.trim().is_empty()),
        })
    }
}

impl Policy {
    pub(super) fn read(flat: &Flat, is_key: bool) -> Result<Self> {
        let reader = Reader::new(flat);
        let name = if is_key { "key.subject.name.strategy" } else { "value.subject.name.strategy" };
        let id = reader.number("use.schema.id", -1)?;
        let (schema, strict) = if reader.flag("auto.register.schemas", true)? {
            (WriteSchema::Register, true)
        } else if let Ok(id) = u32::try_from(id) {
            (WriteSchema::Id(id), false)
        } else if reader.flag("use.latest.version", false)? {
            (WriteSchema::Latest, reader.flag("latest.compatibility.strict", true)?)
        } else {
            (WriteSchema::LookUp, true)
        };
        ids_in_prefix(&reader, is_key)?;
        Ok(Self {
            strategy: reader.text(name).map_or(Ok(SubjectStrategy::Topic), |value| strategy(name, value))?,
            schema,
            strict,
            normalize: reader.flag("normalize.schemas", false)?,
            read_latest: reader.flag("use.latest.version", false)?,
            cache_size: cache_size(&reader)?,
        })
    }
}

/// Ids of schemas are read from and written to the first bytes of a payload. Confluent's Dual deserializer, its default,
/// takes those as well.
fn ids_in_prefix(reader: &Reader<'_>, is_key: bool) -> Result<()> {
    let role = if is_key { "key" } else { "value" };
    for (kind, known) in [
        ("serializer", &["PrefixSchemaIdSerializer"][..]),
        ("deserializer", &["PrefixSchemaIdDeserializer", "DualSchemaIdDeserializer"]),
    ] {
        let name = format!("{role}.schema.id.{kind}");
        let Some(value) = reader.text(&name) else { continue };
        if !known.contains(&value.rsplit('.').next().unwrap_or(value)) {
            let why = format!("ids of schemas in headers are not available; use {}", known[0]);
            return Err(invalid(&name, value, &why));
        }
    }
    Ok(())
}

fn strategy(name: &str, value: &str) -> Result<SubjectStrategy> {
    // Java's classes, whatever their package, and their names without the last part
    match value.rsplit('.').next().unwrap_or(value) {
        "TopicNameStrategy" | "TopicName" => Ok(SubjectStrategy::Topic),
        "RecordNameStrategy" | "RecordName" => Ok(SubjectStrategy::Record),
        "TopicRecordNameStrategy" | "TopicRecordName" => Ok(SubjectStrategy::TopicRecord),
        "AssociatedNameStrategy" => Err(invalid(
            name,
            value,
            "associations of topics with subjects are not available; use TopicNameStrategy, RecordNameStrategy or \
             TopicRecordNameStrategy",
        )),
        _ => Err(invalid(name, value, "must be one of TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy")),
    }
}

impl SubjectStrategy {
    /// The subject of a schema whose record has that name; None when it has none and needs one.
    pub(in crate::convert) fn subject(self, topic: &str, is_key: bool, record: Option<&str>) -> Option<String> {
        match self {
            Self::Topic => Some(format!("{topic}-{}", if is_key { "key" } else { "value" })),
            Self::Record => record.map(str::to_owned),
            Self::TopicRecord => record.map(|record| format!("{topic}-{record}")),
        }
    }
}
