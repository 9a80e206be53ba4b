//! How source and sink reach MongoDB: the keys of the connection, and a client made of them. Nothing is asked of the server
//! here, but that a `mongodb+srv` address is resolved.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_sdk::config::{MASK, mask_uri};
use millrace_sdk::{Error, Flat, Problem, Result, Secret};
use mongodb::Client;
use mongodb::options::{ClientOptions, ConnectionString, ServerApi, ServerApiVersion, Tls, TlsOptions};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::classify;

/// How long a check waits for the server.
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long work waits for a primary before it is the framework's turn to back off; an election takes less.
pub(crate) const SELECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Keys of the connection, the same for source and sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Connection {
    /// MongoDB connection string, such as `mongodb://user:password@host:27017/?replicaSet=rs0`. TLS, authentication,
    /// compression, write concern and timeouts are set here, as for every MongoDB driver.
    #[serde(rename = "connection.uri")]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "high"))]
    pub uri: Secret,
    /// The version of the stable API that is asked of the server: `1`. Empty means none.
    #[serde(rename = "server.api.version", default)]
    #[schemars(extend("x-group" = "Server Api", "x-importance" = "medium"))]
    pub api_version: String,
    /// Whether the server refuses what is deprecated in that version.
    #[serde(rename = "server.api.deprecation.errors", default)]
    #[schemars(extend("x-group" = "Server Api", "x-importance" = "medium"))]
    pub api_deprecation_errors: bool,
    /// Whether the server refuses what does not belong to that version.
    #[serde(rename = "server.api.strict", default)]
    #[schemars(extend("x-group" = "Server Api", "x-importance" = "medium"))]
    pub api_strict: bool,
    /// A file of certificates (PEM) of the authorities to trust, as `tlsCAFile` in `connection.uri`.
    #[serde(rename = "connection.ssl.truststore", default)]
    #[schemars(extend("x-group" = "SSL", "x-importance" = "medium"))]
    pub truststore: String,
    /// The password of a Java trust store; PEM files have none.
    #[serde(rename = "connection.ssl.truststorePassword", default)]
    #[schemars(extend("x-group" = "SSL", "x-importance" = "medium"))]
    pub truststore_password: Option<Secret>,
    /// A file with certificate and private key (PEM) to present, as `tlsCertificateKeyFile` in `connection.uri`.
    #[serde(rename = "connection.ssl.keystore", default)]
    #[schemars(extend("x-group" = "SSL", "x-importance" = "medium"))]
    pub keystore: String,
    /// The password of a Java key store; keys in PEM files must not be encrypted.
    #[serde(rename = "connection.ssl.keystorePassword", default)]
    #[schemars(extend("x-group" = "SSL", "x-importance" = "medium"))]
    pub keystore_password: Option<Secret>,
}

/// Keys of the peer that Millrace refuses when they are set to anything but their default, and why.
const REFUSED: &[(&str, &str, &str)] = &[(
    "mongo.custom.auth.mechanism.enable",
    "false",
    "a custom credential provider is a Java class; use authMechanism in connection.uri",
)];

/// Patterns of the connection's keys that are no fields.
pub(crate) const PATTERNS: [(&str, &str, &str); 1] = [(
    "mongo.custom.auth.mechanism.",
    "",
    "Custom credential providers are Java classes: refused, use `authMechanism` in `connection.uri`",
)];

impl Connection {
    /// What is wrong with the keys of the connection.
    pub(crate) fn check(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(error) = ConnectionString::parse(self.uri.reveal()) {
            let text = error.kind.to_string();
            let message = without_password(&text, self.uri.reveal());
            problems.push(Problem::new("connection.uri", format!("not a MongoDB connection string: {message}")));
        }
        if !matches!(self.api_version.trim(), "" | "1") {
            let message = format!("\"{}\" is no version of the stable API; there is only 1", self.api_version);
            problems.push(Problem::new("server.api.version", message));
        }
        for (key, set) in
            [("server.api.deprecation.errors", self.api_deprecation_errors), ("server.api.strict", self.api_strict)]
        {
            if set && self.api_version.trim().is_empty() {
                problems.push(Problem::new(key, format!("{key} needs server.api.version")));
            }
        }
        for (key, default, reason) in REFUSED {
            if flat.get(*key).is_some_and(|value| !value.trim().eq_ignore_ascii_case(default)) {
                problems.push(Problem::new(*key, format!("{key} is not supported: {reason}")));
            }
        }
        problems
    }

    /// A client, which connects when it is first used, and what it was made of.
    ///
    /// # Errors
    /// `BadConfig` for keys that cannot be used, `Transient` when a `mongodb+srv` address cannot be resolved now.
    pub(crate) async fn client(&self, selection: Duration) -> Result<(Client, ClientOptions)> {
        let uri = self.uri.reveal();
        let refuse = |error: mongodb::error::Error| {
            let error = classify(error, "cannot use connection.uri");
            Error::new(error.kind(), without_password(&error.to_string(), uri).into_owned())
        };
        let mut options = ClientOptions::parse(uri).await.map_err(refuse)?;
        options.server_selection_timeout.get_or_insert(selection);
        options.connect_timeout.get_or_insert(selection);
        options.app_name.get_or_insert_with(|| "millrace".to_owned());
        if !self.api_version.trim().is_empty() {
            let api = ServerApi::builder()
                .version(ServerApiVersion::V1)
                .strict(self.api_strict)
                .deprecation_errors(self.api_deprecation_errors);
            options.server_api = Some(api.build());
        }
        self.tls(&mut options)?;
        let client = Client::with_options(options.clone()).map_err(refuse)?;
        Ok((client, options))
    }

    fn tls(&self, options: &mut ClientOptions) -> Result<()> {
        let authorities = pem_file("connection.ssl.truststore", &self.truststore)?;
        let certificate = pem_file("connection.ssl.keystore", &self.keystore)?;
        if authorities.is_none() && certificate.is_none() {
            return Ok(());
        }
        let mut tls = match options.tls.take() {
            Some(Tls::Enabled(tls)) => tls,
            // As in the peer: stores say how TLS is done, connection.uri says whether.
            other => {
                options.tls = other;
                return Ok(());
            }
        };
        set(&mut tls, authorities, certificate);
        options.tls = Some(Tls::Enabled(tls));
        Ok(())
    }
}

fn set(tls: &mut TlsOptions, authorities: Option<PathBuf>, certificate: Option<PathBuf>) {
    if authorities.is_some() {
        tls.ca_file_path = authorities;
    }
    if certificate.is_some() {
        tls.cert_key_file_path = certificate;
    }
}

/// The path in a key, when the file holds PEM. Java's key stores do not.
fn pem_file(key: &str, path: &str) -> Result<Option<PathBuf>> {
    let path = path.trim();
    if path.is_empty() {
        return Ok(None);
    }
    let mut start = [0; 1024];
    let read = std::fs::File::open(path)
        .and_then(|mut file| file.read(&mut start))
        .map_err(|error| Error::bad_config(format!("{key}: cannot read the file")).because(error))?;
    if start[..read].windows(11).any(|window| window == b"-----BEGIN ") {
        return Ok(Some(Path::new(path).to_path_buf()));
    }
    Err(Error::bad_config(format!(
        "{key} is no PEM file; Java key stores are not read: convert it with `keytool -importkeystore … -deststoretype PKCS12` \
         and `openssl pkcs12 -in … -out ….pem -nodes`, and name the PEM file here"
    )))
}

/// Ends a client's connections without waiting for a server that is away: they end with the process anyway.
pub(crate) async fn shut_down(client: &Client) {
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, client.clone().shutdown().immediate(true)).await;
}

/// A driver's text without the password of the connection string, wherever it repeats it.
pub(crate) fn without_password<'a>(text: &'a str, uri: &str) -> Cow<'a, str> {
    let masked = mask_uri(text);
    let authority = uri.split_once("://").map(|(_, rest)| rest).and_then(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        rest[..end].rsplit_once('@').map(|(credentials, _)| credentials)
    });
    match authority.and_then(|credentials| credentials.split_once(':')) {
        Some((_, password)) if !password.is_empty() && masked.contains(password) => {
            Cow::Owned(masked.replace(password, MASK))
        }
        _ => masked,
    }
}

#[cfg(test)]
mod tests;
