//! TLS by OpenSSL, as librdkafka has it, so that both connections to Kafka take the same certificates; and who the client is
//! (`sasl`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslMethod};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::connection::Fault;
use crate::kafka::ClientSettings;

/// How a connection is protected, and who the client says it is.
#[derive(Clone, Default)]
pub struct Security {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) login: Option<Arc<Login>>,
}

impl std::fmt::Debug for Security {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security")
            .field("tls", &self.tls.is_some())
            .field("login", &self.login.as_ref().map(|login| login.mechanism))
            .finish()
    }
}

/// What TLS needs.
pub(super) struct Tls {
    connector: SslConnector,
    /// Whether the certificate must be the host's
    check_host: bool,
}

/// How a password is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Who the client is.
pub(super) struct Login {
    pub(super) mechanism: Mechanism,
    pub(super) user: String,
    pub(super) password: String,
}

impl Security {
    /// As librdkafka's properties say; None for what only librdkafka can, or for what it is to complain of.
    #[must_use]
    pub fn of(settings: &ClientSettings) -> Option<Self> {
        let protocol = settings.property("security.protocol").unwrap_or("plaintext").to_ascii_lowercase();
        let (tls, sasl) = match protocol.as_str() {
            "plaintext" => (false, false),
            "ssl" => (true, false),
            "sasl_plaintext" => (false, true),
            "sasl_ssl" => (true, true),
            _ => return None,
        };
        Some(Self {
            tls: if tls { Some(Arc::new(Tls::of(settings)?)) } else { None },
            login: if sasl { Some(Arc::new(Login::of(settings)?)) } else { None },
        })
    }
}

impl Tls {
    fn of(settings: &ClientSettings) -> Option<Self> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).ok()?;
        if let Some(pem) = settings.property("ssl.ca.pem") {
            let mut store = X509StoreBuilder::new().ok()?;
            for certificate in X509::stack_from_pem(pem.as_bytes()).ok()? {
                store.add_cert(certificate).ok()?;
            }
            builder.set_cert_store(store.build());
        }
        if let Some(pem) = settings.property("ssl.certificate.pem") {
            let mut chain = X509::stack_from_pem(pem.as_bytes()).ok()?.into_iter();
            let own = chain.next()?;
            builder.set_certificate(&own).ok()?;
            for certificate in chain {
                builder.add_extra_chain_cert(certificate).ok()?;
            }
        }
        if let Some(pem) = settings.property("ssl.key.pem") {
            let key = match settings.property("ssl.key.password") {
                Some(password) => PKey::private_key_from_pem_passphrase(pem.as_bytes(), password.as_bytes()),
                None => PKey::private_key_from_pem(pem.as_bytes()),
            };
            builder.set_private_key(&*key.ok()?).ok()?;
        }
        let check_host = settings.property("ssl.endpoint.identification.algorithm") != Some("none");
        Some(Self { connector: builder.build(), check_host })
    }

    async fn wrap(&self, stream: TcpStream, host: &str) -> Result<SslStream<TcpStream>, Fault> {
        let failed = |error: &dyn std::fmt::Display| Fault::Tls(error.to_string());
        let ssl = self.connector.configure().map_err(|error| failed(&error))?;
        let ssl = ssl.verify_hostname(self.check_host).into_ssl(host).map_err(|error| failed(&error))?;
        let mut stream = SslStream::new(ssl, stream).map_err(|error| failed(&error))?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(error) => {
                // OpenSSL's own text says only that verification failed.
                let verdict = stream.ssl().verify_result();
                let why = if verdict == openssl::x509::X509VerifyResult::OK { "" } else { verdict.error_string() };
                Err(Fault::Tls(if why.is_empty() { error.to_string() } else { format!("{error}: {why}") }))
            }
        }
    }
}

impl Login {
    fn of(settings: &ClientSettings) -> Option<Self> {
        let mechanism = match settings.property("sasl.mechanisms")? {
            "PLAIN" => Mechanism::Plain,
            "SCRAM-SHA-256" => Mechanism::ScramSha256,
            "SCRAM-SHA-512" => Mechanism::ScramSha512,
            _ => return None,
        };
        let (user, password) = (settings.property("sasl.username")?, settings.property("sasl.password")?);
        Some(Self { mechanism, user: user.to_owned(), password: password.to_owned() })
    }
}

/// The bytes of a connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl Stream {
    pub(super) async fn open(stream: TcpStream, security: &Security, host: &str) -> Result<Self, Fault> {
        Ok(match &security.tls {
            Some(tls) => Self::Tls(Box::new(tls.wrap(stream, host).await?)),
            None => Self::Plain(stream),
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
