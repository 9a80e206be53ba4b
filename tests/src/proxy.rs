//! A TCP proxy that has the faults of a network, between a connector and its store: it cuts, refuses, slows down, swallows
//! without a word, cuts after a number of bytes, and holds back what is on its way. It knows nothing of what it passes on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What is wrong with the way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing
    None,
    /// Open connections are cut, new ones refused: the server is gone
    Cut,
    /// Connections stay open and new ones are taken, and not a byte arrives until this ends
    Stall,
    /// Each piece of what is sent, either way, comes so much later
    Slow(Duration),
    /// What the connections of now send to the server arrives when this ends; newer connections are not held: the writes of one
    /// process come very late
    Hold,
    /// After so many more bytes towards the server as [`Fault::Cut`]: it dies in the middle of a request
    CutAfter(u64),
}

/// A proxy to one server, on a free port of its own.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    fault: watch::Sender<Fault>,
    /// Bytes towards the server since the fault was set
    sent: AtomicU64,
    accepted: AtomicUsize,
    /// Connections with a number below this are held
    held_below: AtomicUsize,
    /// Bytes that are held
    held: AtomicUsize,
}

impl Proxy {
    /// A proxy to `server` (`host:port`), without a fault.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(server: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            fault: watch::Sender::new(Fault::None),
            sent: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
            held_below: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, server.to_owned(), Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    /// Where it listens, as `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on the way is like this.
    pub fn set(&self, fault: Fault) {
        self.state.sent.store(0, Ordering::SeqCst);
        self.state.held_below.store(self.state.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
        self.state.fault.send_replace(fault);
    }

    /// How many bytes [`Fault::Hold`] keeps.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state.held.load(Ordering::SeqCst)
    }

    /// The fault of now; [`Fault::CutAfter`] turns into [`Fault::Cut`] when it strikes.
    #[must_use]
    pub fn fault(&self) -> Fault {
        *self.state.fault.borrow()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort(); // and with it all connections
    }
}

async fn accept(listener: TcpListener, server: String, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if *state.fault.borrow() == Fault::Cut {
            continue; // closed at once
        }
        connections.spawn(connect(client, server.clone(), Arc::clone(&state)));
    }
}

async fn connect(client: TcpStream, server: String, state: Arc<State>) {
    let number = state.accepted.fetch_add(1, Ordering::SeqCst);
    let Ok(server) = TcpStream::connect(&server).await else { return };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Whichever end goes away first, the connection is over.
    tokio::select! {
        () = pump(from_client, to_server, &state, Some(number)) => {}
        () = pump(from_server, to_client, &state, None) => {}
    }
}

/// `upwards` is the number of the connection, on its way to the server.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State, upwards: Option<usize>) {
    let mut fault = state.fault.subscribe();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = fault.wait_for(|fault| *fault == Fault::Cut) => 0,
        };
        if length == 0 {
            return;
        }
        let passed = pass(&mut fault, state, length, upwards).await;
        if to.write_all(&buffer[..passed]).await.is_err() || passed < length {
            return;
        }
    }
}

/// How many of `length` bytes go through, when they may.
async fn pass(fault: &mut watch::Receiver<Fault>, state: &State, length: usize, upwards: Option<usize>) -> usize {
    loop {
        let now = *fault.borrow_and_update();
        match now {
            Fault::None => return length,
            Fault::Cut => return 0,
            Fault::Slow(delay) => {
                tokio::time::sleep(delay).await;
                return length;
            }
            Fault::Stall => {
                if fault.changed().await.is_err() {
                    return 0;
                }
            }
            Fault::Hold if upwards.is_none_or(|number| number >= state.held_below.load(Ordering::SeqCst)) => {
                return length;
            }
            Fault::Hold => {
                state.held.fetch_add(length, Ordering::SeqCst);
                let ended = fault.changed().await;
                state.held.fetch_sub(length, Ordering::SeqCst);
                if ended.is_err() {
                    return 0;
                }
            }
            Fault::CutAfter(_) if upwards.is_none() => return length,
            Fault::CutAfter(limit) => {
                let before = state.sent.fetch_add(length as u64, Ordering::SeqCst);
                if before + (length as u64) < limit {
                    return length;
                }
                state.fault.send_replace(Fault::Cut);
                return usize::try_from(limit.saturating_sub(before)).unwrap_or(0).min(length.saturating_sub(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// A server that sends back what it gets.
    async fn echo() -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        (address, serving)
    }

    async fn ask(stream: &mut TcpStream, text: &[u8]) -> io::Result<()> {
        stream.write_all(text).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        assert_eq!(answer, text);
        Ok(())
    }

    #[tokio::test]
    async fn connections_are_cut_refused_and_healed() {
        let (server, serving) = echo().await;
        let proxy = Proxy::start(&server.to_string()).await.expect("a proxy");
        let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection");
        ask(&mut stream, b"one").await.expect("an answer");
        proxy.set(Fault::Cut);
        assert!(ask(&mut stream, b"two").await.is_err());
        let mut refused = TcpStream::connect(proxy.address()).await.expect("taken by the kernel");
        assert!(ask(&mut refused, b"three").await.is_err());
        proxy.set(Fault::None);
        let mut healed = TcpStream::connect(proxy.address()).await.expect("a connection");
        ask(&mut healed, b"four").await.expect("an answer");
        serving.abort();
    }

    #[tokio::test]
    async fn a_request_is_cut_after_so_many_bytes() {
        let (server, serving) = echo().await;
        let proxy = Proxy::start(&server.to_string()).await.expect("a proxy");
        let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection");
        proxy.set(Fault::CutAfter(10));
        ask(&mut stream, b"12345").await.expect("an answer");
        assert!(ask(&mut stream, b"67890abcde").await.is_err());
        assert_eq!(proxy.fault(), Fault::Cut);
        serving.abort();
    }

    #[tokio::test]
    async fn what_is_stalled_arrives_when_the_stall_ends() {
        let (server, serving) = echo().await;
        let proxy = Proxy::start(&server.to_string()).await.expect("a proxy");
        let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection");
        proxy.set(Fault::Stall);
        stream.write_all(b"late").await.expect("sent");
        let mut answer = [0; 4];
        assert!(tokio::time::timeout(Duration::from_millis(100), stream.read_exact(&mut answer)).await.is_err());
        proxy.set(Fault::Slow(Duration::from_millis(1)));
        tokio::time::timeout(SOON, stream.read_exact(&mut answer)).await.expect("in time").expect("an answer");
        assert_eq!(&answer, b"late");
        serving.abort();
    }

    #[tokio::test]
    async fn what_old_connections_send_is_held_and_new_ones_pass() {
        let (server, serving) = echo().await;
        let proxy = Proxy::start(&server.to_string()).await.expect("a proxy");
        let mut old = TcpStream::connect(proxy.address()).await.expect("a connection");
        ask(&mut old, b"one").await.expect("an answer");
        proxy.set(Fault::Hold);
        old.write_all(b"late").await.expect("sent");
        let mut new = TcpStream::connect(proxy.address()).await.expect("a connection");
        ask(&mut new, b"two").await.expect("an answer");
        crate::wait::eventually("it is held", SOON, || async {
            if proxy.held() == 4 { Ok(()) } else { Err(format!("{} bytes", proxy.held())) }
        })
        .await;
        proxy.set(Fault::None);
        let mut answer = [0; 4];
        tokio::time::timeout(SOON, old.read_exact(&mut answer)).await.expect("in time").expect("an answer");
        assert_eq!(&answer, b"late");
        serving.abort();
    }
}
