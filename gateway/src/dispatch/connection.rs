//! One SIP connection, TCP or TLS: a task that reads and a task that writes.
//!
//! Enters: bytes to send, by [`Connection::send`]. Leaves: [`Wire`] events, in the order in which they stood on the stream.
//! Invariants: the reader waits when its listener is behind, the writer's queue is bounded; dropping a [`Connection`] closes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::config::ReceiverConfig;
use super::sip::{Decoder, Frame, FramingLost, SipUri, Transport};
use super::stream::{self, OpenError, Opened, Stream};
use super::tls;
use crate::limits::{DIAL_BACK_CONNECTIONS_MAX, WRITE_QUEUE_MAX};

/// What a connection tells.
pub(crate) enum Wire {
    Dialled(Result<Opened, OpenError>),
    /// The receiver has dialled us.
    DialledBack(Opened),
    Frame(u64, Frame),
    Closed(u64, String),
}

/// Dials a receiver.
pub(crate) async fn dial(config: &ReceiverConfig, uri: &SipUri, wall_ms: i64) -> Result<Opened, OpenError> {
    stream::open(config, &uri.host, uri.port, uri.transport == Transport::Tls, wall_ms).await
}

/// Listens for a receiver that answers on connections of its own; ends with its task.
pub(crate) async fn listen(config: ReceiverConfig, transport: Transport, at: SocketAddr, wire: mpsc::Sender<Wire>) {
    let limit = Duration::from_millis(config.received_deadline_ms.into());
    let acceptor = match transport {
        Transport::Tcp => None,
        Transport::Tls => match tls::server(&config) {
            Ok(server) => Some(TlsAcceptor::from(server)),
            Err(error) => {
                tracing::error!(receiver = config.name, %error, "not listening for the receiver: correct its TLS files");
                return;
            }
        },
    };
    let listener = match TcpListener::bind(at).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(receiver = config.name, %at, %error, "not listening for the receiver: choose a free address");
            return;
        }
    };
    let handshakes = Arc::new(Semaphore::new(DIAL_BACK_CONNECTIONS_MAX));
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of descriptors or a peer that is gone already: give others a chance before the next try.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(permit) = handshakes.clone().try_acquire_owned() else {
            continue;
        };
        let (acceptor, wire) = (acceptor.clone(), wire.clone());
        // A slow peer holds its own handshake, not the listener.
        tokio::spawn(async move {
            let Ok(local) = stream.local_addr() else {
                return;
            };
            let _ = stream.set_nodelay(true);
            let stream: Box<dyn Stream> = match acceptor {
                None => Box::new(stream),
                Some(acceptor) => match tokio::time::timeout(limit, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => Box::new(stream),
                    Ok(Err(error)) => {
                        return tracing::warn!(%peer, %error, "refused a connection that is not the receiver's");
                    }
                    Err(_) => return,
                },
            };
            drop(permit);
            let _ = wire.send(Wire::DialledBack(Opened { stream, local, peer, expired_at_s: None })).await;
        });
    }
}

/// An open connection. Dropped: closed.
#[derive(Debug)]
pub(crate) struct Connection {
    out: mpsc::Sender<Vec<u8>>,
    reader: AbortHandle,
    writer: AbortHandle,
}

impl Connection {
    /// Starts to read and write. Everything is told under this `id`.
    pub fn start(id: u64, stream: Box<dyn Stream>, wire: mpsc::Sender<Wire>) -> Self {
        let (reading, writing) = tokio::io::split(stream);
        let (out, queue) = mpsc::channel(WRITE_QUEUE_MAX);
        let reader = tokio::spawn(read(id, reading, wire.clone())).abort_handle();
        let writer = tokio::spawn(write(id, writing, queue, wire)).abort_handle();
        Self { out, reader, writer }
    }

    /// Queues bytes; false where the peer does not take what is queued already, or is gone.
    #[must_use]
    pub fn send(&self, bytes: Vec<u8>) -> bool {
        self.out.try_send(bytes).is_ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

async fn read(id: u64, mut reading: impl AsyncRead + Unpin, wire: mpsc::Sender<Wire>) {
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 8 * 1024];
    let why = loop {
        match reading.read(&mut buffer).await {
            Ok(0) if decoder.in_message() => {
                break "closed by the peer in the middle of a message".to_owned();
            }
            Ok(0) => break "closed by the peer".to_owned(),
            Ok(count) => decoder.feed(&buffer[..count]),
            Err(error) => break error.to_string(),
        }
        if let Err(lost) = pass_on(id, &mut decoder, &wire).await {
            break lost.to_string();
        }
    };
    let _ = wire.send(Wire::Closed(id, why)).await;
}

async fn pass_on(id: u64, decoder: &mut Decoder, wire: &mpsc::Sender<Wire>) -> Result<(), FramingLost> {
    while let Some(frame) = decoder.next()? {
        let _ = wire.send(Wire::Frame(id, frame)).await;
    }
    Ok(())
}

async fn write(
    id: u64,
    mut writing: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    wire: mpsc::Sender<Wire>,
) {
    while let Some(bytes) = queue.recv().await {
        let written = async {
            writing.write_all(&bytes).await?;
            writing.flush().await
        };
        if let Err(error) = written.await {
            let _ = wire.send(Wire::Closed(id, error.to_string())).await;
            return;
        }
    }
}
