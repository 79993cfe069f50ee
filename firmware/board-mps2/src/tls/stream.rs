//! A TLS connection as a stream of bytes. Enters: any stream below, the client's settings. Leaves: `Read` and `Write`.
//!
//! Invariants: a call that is dropped half-way loses and repeats nothing (what was taken in stands in a buffer with its
//! place); nothing is written before the handshake is whole. Bounds: a record that comes may have
//! [`INCOMING_BYTES_MAX`]; larger ends the connection.

use alloc::sync::Arc;
use alloc::vec::Vec;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::ConnectionState;
use rustls::{CertificateError, ClientConfig, Error};

/// Longest record that is taken, bytes. The gateway's longest is its certificate's, below 1 KiB, or a command of 1 KiB.
pub const INCOMING_BYTES_MAX: usize = 4 * 1024;

/// What may wait to go out, bytes: the longest flight of the handshake, certificate and signature, or one record.
pub const OUTGOING_BYTES_MAX: usize = 2 * 1024;

/// Longest piece of a message in one record, bytes.
const RECORD_BYTES_MAX: usize = 1024;

/// Why there is no connection, or no longer.
#[derive(Debug)]
pub enum Trouble {
    /// The stream below ended or broke.
    Broken,
    /// The other side closed it.
    Closed,
    /// TLS says so.
    Tls(Error),
}

impl core::fmt::Display for Trouble {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Broken => "broken",
            Self::Closed => "closed",
            Self::Tls(Error::InvalidCertificate(why)) => match why {
                CertificateError::NotValidForName => "name",
                CertificateError::Expired => "expired",
                CertificateError::NotValidYet => "early",
                CertificateError::InvalidPurpose => "purpose",
                CertificateError::UnknownIssuer => "issuer",
                _ => "certificate",
            },
            Self::Tls(Error::AlertReceived(_)) => "alert",
            Self::Tls(_) => "tls",
        })
    }
}

impl core::error::Error for Trouble {}

impl embedded_io_async::Error for Trouble {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Broken => ErrorKind::ConnectionReset,
            Self::Closed => ErrorKind::ConnectionAborted,
            Self::Tls(_) => ErrorKind::PermissionDenied,
        }
    }
}

/// The connection.
pub struct Stream<'a, S> {
    below: S,
    tls: UnbufferedClientConnection,
    /// What came and is not yet understood.
    incoming: &'a mut [u8; INCOMING_BYTES_MAX],
    came: usize,
    /// What goes; `sent` of `ready` bytes are gone.
    outgoing: &'a mut [u8; OUTGOING_BYTES_MAX],
    ready: usize,
    sent: usize,
    /// What was said to us and is not yet read.
    heard: Vec<u8>,
    read: usize,
    is_closed: bool,
}

/// How far the connection is with what it has.
#[derive(Debug, PartialEq)]
enum Turn {
    /// It needs more from the other side.
    Waits,
    /// The handshake is over, and what was given has been taken.
    Ready,
}

impl<'a, S: Read + Write> Stream<'a, S> {
    /// The handshake with the peer of that name.
    pub async fn open(
        below: S,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        incoming: &'a mut [u8; INCOMING_BYTES_MAX],
        outgoing: &'a mut [u8; OUTGOING_BYTES_MAX],
    ) -> Result<Self, Trouble> {
        let tls = UnbufferedClientConnection::new(config, name).map_err(Trouble::Tls)?;
        let mut stream = Self {
            below,
            tls,
            incoming,
            came: 0,
            outgoing,
            ready: 0,
            sent: 0,
            heard: Vec::new(),
            read: 0,
            is_closed: false,
        };
        loop {
            let turn = stream.turn(&[]);
            // An alert that says why goes out even then.
            stream.drain().await?;
            match turn? {
                Turn::Ready => return Ok(stream),
                Turn::Waits => stream.receive().await?,
            }
        }
    }

    /// What both sides have named as their protocol.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// Lets TLS do what it can with what came, and puts `plain` into a record if there is anything in it.
    fn turn(&mut self, plain: &[u8]) -> Result<Turn, Trouble> {
        loop {
            let Self { tls, incoming, came, outgoing, ready, heard, is_closed, .. } = self;
            let status = tls.process_tls_records(&mut incoming[..*came]);
            let mut discard = status.discard;
            let mut turn = None;
            let mut trouble = None;
            match status.state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => match data.encode(&mut outgoing[*ready..]) {
                    Ok(length) => *ready += length,
                    Err(_) => return Err(Trouble::Broken),
                },
                // It is in our hands from here on: `drain` comes before anything else is sent.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::ReadTraffic(mut data)) => {
                    while let Some(record) = data.next_record() {
                        let record = record.map_err(Trouble::Tls)?;
                        discard += record.discard;
                        heard.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::BlockedHandshake) => turn = Some(Turn::Waits),
                Ok(ConnectionState::WriteTraffic(mut data)) => {
                    if !plain.is_empty() {
                        match data.encrypt(plain, &mut outgoing[*ready..]) {
                            Ok(length) => *ready += length,
                            Err(_) => return Err(Trouble::Broken),
                        }
                    }
                    turn = Some(Turn::Ready);
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    *is_closed = true;
                    trouble = Some(Trouble::Closed);
                }
                Ok(_) => return Err(Trouble::Broken),
                Err(error) => trouble = Some(Trouble::Tls(error)),
            }
            incoming.copy_within(discard..*came, 0);
            *came -= discard;
            match (turn, trouble) {
                (_, Some(trouble)) => {
                    self.last_word();
                    return Err(trouble);
                }
                (Some(turn), None) => return Ok(turn),
                (None, None) => {}
            }
        }
    }

    /// After an error: the alert that tells the other side why.
    fn last_word(&mut self) {
        let status = self.tls.process_tls_records(&mut []);
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = status.state
            && let Ok(length) = data.encode(&mut self.outgoing[self.ready..])
        {
            self.ready += length;
        }
    }

    /// Sends what is ready.
    async fn drain(&mut self) -> Result<(), Trouble> {
        while self.sent < self.ready {
            match self.below.write(&self.outgoing[self.sent..self.ready]).await {
                Ok(0) | Err(_) => return Err(Trouble::Broken),
                Ok(length) => self.sent += length,
            }
        }
        (self.sent, self.ready) = (0, 0);
        // No flush: embassy-net's waits until the peer has acknowledged, for ever on a path that swallows everything.
        Ok(())
    }

    async fn receive(&mut self) -> Result<(), Trouble> {
        match self.below.read(&mut self.incoming[self.came..]).await {
            // No room left is a record that is too long.
            Ok(0) | Err(_) => Err(Trouble::Broken),
            Ok(length) => {
                self.came += length;
                Ok(())
            }
        }
    }
}

impl<S> ErrorType for Stream<'_, S> {
    type Error = Trouble;
}

impl<S: Read + Write> Read for Stream<'_, S> {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Trouble> {
        loop {
            let left = &self.heard[self.read..];
            if !left.is_empty() {
                let length = left.len().min(bytes.len());
                bytes[..length].copy_from_slice(&left[..length]);
                self.read += length;
                if self.read == self.heard.len() {
                    (self.heard, self.read) = (Vec::new(), 0);
                }
                return Ok(length);
            }
            if self.is_closed {
                return Ok(0);
            }
            let turn = self.turn(&[]);
            if self.heard.is_empty() {
                turn?;
                self.drain().await?;
                self.receive().await?;
            }
        }
    }
}

impl<S: Read + Write> Write for Stream<'_, S> {
    /// Taken once it is a record: dropped while it waits before that, nothing was taken.
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Trouble> {
        self.drain().await?;
        let piece = &bytes[..bytes.len().min(RECORD_BYTES_MAX)];
        match self.turn(piece)? {
            Turn::Ready => Ok(piece.len()),
            Turn::Waits => Err(Trouble::Broken),
        }
    }

    async fn flush(&mut self) -> Result<(), Trouble> {
        self.drain().await
    }
}
