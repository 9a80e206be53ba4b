//! A connection to a broker: one request at a time, each with a limit.

use std::borrow::Cow;
use std::io;
use std::time::{Duration, Instant};

use rand::distr::{Alphanumeric, SampleString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::codec::{Malformed, Pieces, Reader, Writer};
use super::fetch::{self, Receive};
use super::messages::{
    API_VERSIONS, Api, FETCH, INIT_PRODUCER_ID, LIST_OFFSETS, METADATA, PRODUCE, SASL_AUTHENTICATE, SASL_HANDSHAKE,
    not_spoken,
};
use super::produce::{self, NewProducer, ProduceRequest, Produced};
use super::sasl::{self, Authenticated};
use super::security::{Login, Security, Stream};
use super::{Cluster, FetchRequest, ListOffsets, LogEnd, Metadata, code};

/// Where a broker is, and how to talk to it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// What for
    pub purpose: Purpose,
    /// Host name or address
    pub host: String,
    /// Port
    pub port: u16,
    /// Who asks
    pub client_id: String,
    /// How long connecting may take
    pub connect_limit: Duration,
    /// How long an answer may take, beyond what the broker is told to wait
    pub answer_limit: Duration,
    /// The longest answer that is believed, in bytes
    pub longest: usize,
    /// How the connection is protected, and who asks
    pub security: Security,
}

/// What a connection is for; the broker must speak what that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Records are read; Kafka since 2.7
    Read,
    /// Records are written; Kafka since 2.4
    Write,
}

impl Purpose {
    fn apis(self) -> &'static [Api] {
        match self {
            Self::Read => &[METADATA, LIST_OFFSETS, FETCH],
            Self::Write => &[METADATA, PRODUCE, INIT_PRODUCER_ID],
        }
    }
}

/// Why a broker does not do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The network
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No answer in time
    #[error("no answer to {0} within {1:?}")]
    Late(&'static str, Duration),
    /// An answer that makes no sense
    #[error("an answer is {0}")]
    Malformed(#[from] Malformed),
    /// An answer that is longer than any may be
    #[error("an answer of {0} bytes is longer than any should be")]
    TooLong(usize),
    /// An error code for the whole request
    #[error("Kafka answers {name} ({0})", name = code::name(*.0))]
    Kafka(i16),
    /// No TLS
    #[error("no TLS connection: {0}")]
    Tls(String),
    /// The broker does not let the client in, or does not prove who it is
    #[error("the login fails: {0}")]
    Login(String),
    /// The broker is too old
    #[error("the broker does not speak {0} of version {1}")]
    NotSpoken(&'static str, i16),
}

/// How much longer than the broker may take one waits for its answer to records.
const PRODUCE_GRACE: Duration = Duration::from_secs(5);

/// The bytes that are read ahead of what is being looked at: little, since what follows mostly goes elsewhere.
const AHEAD: usize = 256;

/// After so long without a request a broker may close a connection (its `connections.max.idle.ms`, ten minutes unless set).
const IDLE: Duration = Duration::from_secs(240);

/// An open connection. After a fault it is of no more use.
pub struct Connection {
    stream: Stream,
    endpoint: Endpoint,
    correlation: i32,
    ahead: Vec<u8>,
    /// How much of `ahead` has been looked at
    used: usize,
    /// Until when the login is good (KIP-368)
    good_until: Option<Instant>,
    /// When it was asked last
    idle_since: Instant,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// A [`Fault`] when the broker is out of reach or too old.
    pub async fn open(endpoint: Endpoint) -> Result<Self, Fault> {
        let limit = endpoint.connect_limit;
        let late = |_| Fault::Late("connecting", limit);
        tokio::time::timeout(limit, Self::set_up(endpoint)).await.map_err(late)?
    }

    async fn set_up(endpoint: Endpoint) -> Result<Self, Fault> {
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        stream.set_nodelay(true)?;
        let stream = Stream::open(stream, &endpoint.security, &endpoint.host).await?;
        let login = endpoint.security.login.clone();
        let ahead = Vec::with_capacity(AHEAD);
        let idle_since = Instant::now();
        let mut this = Self { stream, endpoint, correlation: 0, ahead, used: 0, good_until: None, idle_since };
        let answer = this.call(API_VERSIONS, &[]).await?;
        if let Some(api) = not_spoken(&answer, this.endpoint.purpose.apis())? {
            return Err(Fault::NotSpoken(api.name, api.version));
        }
        if let Some(login) = login {
            this.log_in(&login).await?;
        }
        Ok(this)
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), Fault> {
        let answer = self.call(SASL_HANDSHAKE, &sasl::handshake(login)).await?;
        sasl::handshaken(&answer)?.map_err(|known| {
            let wanted = login.mechanism.name();
            Fault::Login(format!("the broker has no mechanism {wanted}, but {known}"))
        })?;
        let nonce = Alphanumeric.sample_string(&mut rand::rng(), 24);
        let mut step = Some(sasl::begin(login, &nonce));
        while let Some((message, steps)) = step {
            let answer = self.call(SASL_AUTHENTICATE, &sasl::authenticate(&message)).await?;
            let answer = Authenticated::read(&answer)?;
            let theirs = answer.outcome.map_err(Fault::Login)?;
            step = sasl::next(login, steps, &theirs).map_err(Fault::Login)?;
            // A new login at nine tenths of the time
            let lifetime = u64::try_from(answer.lifetime_ms).unwrap_or(0);
            self.good_until = (lifetime > 0).then(|| Instant::now() + Duration::from_millis(lifetime / 10 * 9));
        }
        Ok(())
    }

    /// Whether the login is still good for some time, and the broker has no reason to close; else the connection is to be made
    /// anew.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.idle_since.elapsed() < IDLE && self.good_until.is_none_or(|until| Instant::now() < until)
    }

    /// The partitions of topics.
    ///
    /// # Errors
    /// A [`Fault`]; what is wrong with a topic or a partition is in the answer.
    pub async fn metadata<'a>(&mut self, topics: impl ExactSizeIterator<Item = &'a str>) -> Result<Cluster, Fault> {
        Ok(Metadata::answer(&self.call(METADATA, &Metadata::request(topics)).await?)?)
    }

    /// An end of partitions' logs.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn list_offsets(&mut self, request: &ListOffsets<'_>) -> Result<Vec<LogEnd>, Fault> {
        Ok(ListOffsets::answer(&self.call(LIST_OFFSETS, &request.request()).await?)?)
    }

    /// Records, partition by partition. Says for how long no further request is welcome.
    ///
    /// # Errors
    /// A [`Fault`]; what is wrong with a partition is in the answer.
    pub async fn fetch(&mut self, request: &FetchRequest, to: &mut impl Receive) -> Result<Duration, Fault> {
        let wait = u64::try_from(request.wait_ms).unwrap_or(0);
        let limit = self.endpoint.answer_limit + Duration::from_millis(wait);
        let exchange = async {
            self.send(FETCH, &request.encode()).await?;
            let mut frame = self.answer(FETCH).await?;
            let throttled = fetch::read(&mut frame, request, to).await?;
            frame.end()?;
            Ok(Duration::from_millis(throttled))
        };
        tokio::time::timeout(limit, exchange).await.map_err(|_| Fault::Late(FETCH.name, limit))?
    }

    /// A name under which a producer's batches are told apart.
    ///
    /// # Errors
    /// A [`Fault`]; an error code if the broker gives none.
    pub async fn new_producer(&mut self) -> Result<NewProducer, Fault> {
        let answer = self.call(INIT_PRODUCER_ID, &NewProducer::request()).await?;
        NewProducer::answer(&answer)?.map_err(Fault::Kafka)
    }

    /// Writes batches of records. Says for how long no further request is welcome.
    ///
    /// # Errors
    /// A [`Fault`], with which nobody knows what was written; what is wrong with a batch is in the answer.
    pub async fn produce(&mut self, request: &ProduceRequest<'_>) -> Result<(Vec<Produced>, Duration), Fault> {
        let limit = request.timeout + PRODUCE_GRACE;
        let exchange = async {
            let pieces = request.encode();
            self.send_pieces(PRODUCE, &pieces).await?;
            let answer = self.whole_answer(PRODUCE).await?;
            Ok(produce::answer(&answer)?)
        };
        tokio::time::timeout(limit, exchange).await.map_err(|_| Fault::Late(PRODUCE.name, limit))?
    }

    async fn call(&mut self, api: Api, body: &[u8]) -> Result<Vec<u8>, Fault> {
        let limit = self.endpoint.answer_limit;
        let exchange = async {
            self.send(api, body).await?;
            self.whole_answer(api).await
        };
        tokio::time::timeout(limit, exchange).await.map_err(|_| Fault::Late(api.name, limit))?
    }

    async fn whole_answer(&mut self, api: Api) -> Result<Vec<u8>, Fault> {
        let mut frame = self.answer(api).await?;
        let (size, mut bytes) = (frame.left, Vec::new());
        frame.read_into(&mut bytes, size).await?;
        Ok(bytes)
    }

    async fn send(&mut self, api: Api, body: &[u8]) -> Result<(), Fault> {
        self.send_pieces(api, &[Cow::Borrowed(body)]).await
    }

    /// Sends a request whose body lies in pieces.
    async fn send_pieces(&mut self, api: Api, body: &[Cow<'_, [u8]>]) -> Result<(), Fault> {
        self.correlation = self.correlation.wrapping_add(1);
        self.idle_since = Instant::now();
        let mut writer = Writer::default();
        writer.i32(0); // the length, once it is known
        writer.i16(api.key);
        writer.i16(api.version);
        writer.i32(self.correlation);
        writer.string(&self.endpoint.client_id);
        if api.flexible {
            writer.no_tags();
        }
        let length = writer.0.len() - 4 + body.iter().map(|piece| piece.len()).sum::<usize>();
        writer.0[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        self.stream.write_all_buf(&mut Pieces::new(&writer.0, body)).await?;
        Ok(self.stream.flush().await?)
    }

    /// The answer to the request that was just sent.
    async fn answer(&mut self, api: Api) -> Result<Frame<'_>, Fault> {
        let correlation = self.correlation;
        let longest = self.endpoint.longest;
        let mut frame = Frame { connection: self, left: 8 };
        let length = usize::try_from(frame.i32().await?).map_err(|_| Malformed("its length is negative"))?;
        if length > longest {
            return Err(Fault::TooLong(length));
        }
        if frame.i32().await? != correlation {
            return Err(Malformed("the answer to another request").into());
        }
        frame.left = length.checked_sub(4).ok_or(Malformed("it ends early"))?;
        if api.flexible {
            frame.skip_tags().await?;
        }
        Ok(frame)
    }
}

/// What is left of an answer.
pub(super) struct Frame<'a> {
    connection: &'a mut Connection,
    left: usize,
}

impl Frame<'_> {
    /// The next `length` bytes, of which there are few.
    async fn next(&mut self, length: usize) -> Result<&[u8], Fault> {
        self.left = self.left.checked_sub(length).ok_or(Malformed("it ends early"))?;
        let Connection { stream, ahead, used, .. } = &mut *self.connection;
        if ahead.len() - *used < length {
            ahead.drain(..*used);
            *used = 0;
            while ahead.len() < length {
                // No further than this answer: what follows it has not been asked for yet.
                let most = (length + self.left).min(length.max(AHEAD)) - ahead.len();
                read_some(stream, ahead, most).await?;
            }
        }
        let start = *used;
        *used += length;
        Ok(&ahead[start..start + length])
    }

    async fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.next(N).await?);
        Ok(array)
    }

    pub(super) async fn i16(&mut self) -> Result<i16, Fault> {
        Ok(i16::from_be_bytes(self.array().await?))
    }

    pub(super) async fn i32(&mut self) -> Result<i32, Fault> {
        Ok(i32::from_be_bytes(self.array().await?))
    }

    pub(super) async fn i64(&mut self) -> Result<i64, Fault> {
        Ok(i64::from_be_bytes(self.array().await?))
    }

    pub(super) async fn uvarint(&mut self) -> Result<u32, Fault> {
        let mut bytes = [0; 5];
        for length in 1..=bytes.len() {
            let [byte] = self.array().await?;
            bytes[length - 1] = byte;
            if byte < 0x80 {
                return Ok(Reader::new(&bytes[..length]).uvarint()?);
            }
        }
        Err(Malformed("a varint is too long").into())
    }

    /// The length of an array whose elements take at least `least` bytes each; null is 0.
    pub(super) async fn compact_count(&mut self, least: usize) -> Result<usize, Fault> {
        let count = self.uvarint().await?.saturating_sub(1) as usize;
        if count.saturating_mul(least) > self.left {
            return Err(Malformed("an array is longer than what is left").into());
        }
        Ok(count)
    }

    pub(super) async fn compact_string(&mut self) -> Result<String, Fault> {
        let length = self.compact_count(1).await?;
        let bytes = self.next(length).await?.to_vec();
        String::from_utf8(bytes).map_err(|_| Malformed("a string is not UTF-8").into())
    }

    pub(super) async fn skip_tags(&mut self) -> Result<(), Fault> {
        for _ in 0..self.uvarint().await? {
            let (_tag, size) = (self.uvarint().await?, self.uvarint().await?);
            self.skip(size as usize).await?;
        }
        Ok(())
    }

    pub(super) async fn skip(&mut self, mut length: usize) -> Result<(), Fault> {
        while length > 0 {
            let step = length.min(AHEAD);
            self.next(step).await?;
            length -= step;
        }
        Ok(())
    }

    /// Reads `length` bytes to the end of `bytes`, past the bytes that are read ahead.
    pub(super) async fn read_into(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(length).ok_or(Malformed("it ends early"))?;
        bytes.reserve(length);
        let Connection { stream, ahead, used, .. } = &mut *self.connection;
        let known = length.min(ahead.len() - *used);
        bytes.extend_from_slice(&ahead[*used..*used + known]);
        *used += known;
        let mut left = length - known;
        while left > 0 {
            left -= read_some(stream, bytes, left).await?;
        }
        Ok(())
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.left == 0 { Ok(()) } else { Err(Malformed("it is longer than it should be").into()) }
    }
}

async fn read_some(stream: &mut Stream, bytes: &mut Vec<u8>, most: usize) -> Result<usize, Fault> {
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    match stream.take(most).read_buf(bytes).await? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the broker has closed the connection").into()),
        read => Ok(read),
    }
}

impl Fault {
    /// Whether the broker understood, and would refuse the same again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::NotSpoken(..) | Self::Kafka(code::UNSUPPORTED_VERSION))
    }
}
