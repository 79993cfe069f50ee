//! A peer that a test plays by hand, over TCP or TLS: for receivers of requests and answers.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::super::stream::Stream;
use crate::demo::centre::{CentreTls, server_config};

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Listens on loopback.
pub(in crate::dispatch) struct Peer {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
}

/// One connection to it.
pub(in crate::dispatch) struct Line {
    stream: Box<dyn Stream>,
    come: Vec<u8>,
}

impl Peer {
    pub async fn new() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn on(listener: TcpListener) -> Self {
        Self { listener, acceptor: None }
    }

    pub async fn over_tls(tls: &CentreTls) -> Self {
        let acceptor = Some(TlsAcceptor::from(server_config(tls).unwrap()));
        Self { acceptor, ..Self::new().await }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// The next connection, before anything is said on it.
    pub async fn bare(&self) -> TcpStream {
        timeout(PATIENCE, self.listener.accept()).await.expect("the gateway comes").unwrap().0
    }

    /// The next connection that stands; those that fail in TLS are passed over.
    pub async fn line(&self) -> Line {
        loop {
            let stream = self.bare().await;
            let stream: Box<dyn Stream> = match &self.acceptor {
                None => Box::new(stream),
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => continue,
                },
            };
            return Line { stream, come: Vec::new() };
        }
    }
}

impl Line {
    /// What comes up to and with `end`, each byte a letter; `None` where the gateway closes before.
    pub async fn until(&mut self, end: &str) -> Option<String> {
        let end = end.as_bytes();
        loop {
            if let Some(at) = self.come.windows(end.len()).position(|part| part == end) {
                let rest = self.come.split_off(at + end.len());
                let said = std::mem::replace(&mut self.come, rest);
                return Some(said.into_iter().map(char::from).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next `count` bytes.
    pub async fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.come.len() < count {
            if !self.more().await {
                return None;
            }
        }
        let rest = self.come.split_off(count);
        Some(std::mem::replace(&mut self.come, rest))
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the gateway says something, or closes") {
            Ok(count) if count > 0 => {
                self.come.extend_from_slice(&buffer[..count]);
                true
            }
            _ => false,
        }
    }

    /// Waits until the gateway has closed.
    pub async fn closed(&mut self) {
        while self.more().await {}
    }

    /// What is said to a gateway that has closed is lost, as it would be outside.
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }
}
