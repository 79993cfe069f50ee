//! A stand-in alarm centre: takes SCAIP alarms over TCP or TLS, says 200, and then its `mrs` as a MESSAGE of its own.
//!
//! Enters: connections on 127.0.0.1. Leaves: what it has taken, counted by (cid, reference).
//! It can be stopped and started again on its port, paused as a hung process is, and told to refuse.
//! It knows no login and judges nothing but the client's certificate, where it is given a CA.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::dispatch::connection::{Connection, Wire};
use crate::dispatch::scaip::CONTENT_TYPE;
use crate::dispatch::scaip::xml::Fields;
use crate::dispatch::sip::{Frame, Message, Start, Transport, write};
use crate::dispatch::stream::Stream;

/// What the centre shows, and whom it lets in. PEM texts.
#[derive(Debug, Clone)]
pub struct CentreTls {
    pub cert_pem: Vec<u8>,
    pub key_pem: Vec<u8>,
    /// Only clients with a certificate from here are let in; None: anybody.
    pub client_ca_pem: Option<Vec<u8>>,
}

/// Why the centre could not start.
#[derive(Debug, thiserror::Error)]
pub enum CentreError {
    #[error("starting the stand-in alarm centre on {at}: {source}")]
    Bind { at: SocketAddr, source: std::io::Error },
    #[error("starting the stand-in alarm centre: its certificates: {0}")]
    Tls(String),
}

/// One alarm message as it was taken; repeats are kept too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub reference: String,
    pub cid: String,
    /// `ME`, or `PI` for heartbeats (which are counted, not kept).
    pub mty: String,
    pub dty: u32,
    pub stc: u32,
    /// `dte`, and `stt` where there is one.
    pub text: String,
    pub status_text: String,
    pub room: String,
    /// It had come before with the same (cid, reference).
    pub repeated: bool,
}

/// What the centre has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Different alarms, by (cid, reference).
    pub alarms: usize,
    /// Messages beyond the first of each.
    pub duplicates: usize,
    pub heartbeats: usize,
    /// Connections let in.
    pub connections: usize,
}

#[derive(Debug, Default)]
struct Book {
    taken: Vec<Taken>,
    by_reference: BTreeMap<(String, String), usize>,
    heartbeats: usize,
    connections: usize,
    snu: u32,
}

/// The centre. Dropped: stopped.
#[derive(Debug)]
pub struct Centre {
    address: SocketAddr,
    acceptor: Option<Arc<ServerConfig>>,
    book: Arc<Mutex<Book>>,
    paused: watch::Sender<bool>,
    changed: watch::Sender<u64>,
    tasks: JoinSet<()>,
}

impl Centre {
    /// Starts on a free port of 127.0.0.1, in the running tokio runtime.
    pub async fn start(tls: Option<&CentreTls>) -> Result<Self, CentreError> {
        let acceptor = tls.map(server_config).transpose()?;
        let mut centre = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            acceptor,
            book: Arc::default(),
            paused: watch::Sender::new(false),
            changed: watch::Sender::new(0),
            tasks: JoinSet::new(),
        };
        centre.listen().await?;
        Ok(centre)
    }

    /// As it stands in a `[[receiver]]`: `sips:` with TLS, else `sip:…;transport=tcp`.
    pub fn url(&self) -> String {
        match self.acceptor {
            Some(_) => format!("sips:{}", self.address),
            None => format!("sip:{};transport=tcp", self.address),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and every connection, as a crash would. What was counted stays.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Listens again on the same port.
    pub async fn restart(&mut self) -> Result<(), CentreError> {
        self.stop().await;
        self.listen().await
    }

    /// Lets connections stand but takes and answers nothing, as a hung process does; what comes meanwhile is taken after.
    pub fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// Status number of the answers from now on: 0 takes the alarm, others refuse it.
    pub fn answer_with(&self, snu: u32) {
        self.book().snu = snu;
    }

    pub fn count(&self) -> Count {
        let book = self.book();
        Count {
            alarms: book.by_reference.len(),
            duplicates: book.taken.len() - book.by_reference.len(),
            heartbeats: book.heartbeats,
            connections: book.connections,
        }
    }

    /// Every alarm message in the order of its coming, repeats included.
    pub fn taken(&self) -> Vec<Taken> {
        self.book().taken.clone()
    }

    /// Waits until what is counted is as wished.
    pub async fn until(&self, wished: impl Fn(&Count) -> bool) -> Count {
        let mut changed = self.changed.subscribe();
        loop {
            let count = self.count();
            if wished(&count) || changed.changed().await.is_err() {
                return count;
            }
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(&mut self) -> Result<(), CentreError> {
        let bind = |source| CentreError::Bind { at: self.address, source };
        let listener = TcpListener::bind(self.address).await.map_err(bind)?;
        self.address = listener.local_addr().map_err(bind)?;
        let desk = Desk {
            acceptor: self.acceptor.clone().map(TlsAcceptor::from),
            book: self.book.clone(),
            paused: self.paused.subscribe(),
            changed: self.changed.clone(),
        };
        self.tasks.spawn(accept(listener, desk));
        Ok(())
    }
}

/// What each connection works with.
#[derive(Clone)]
struct Desk {
    acceptor: Option<TlsAcceptor>,
    book: Arc<Mutex<Book>>,
    paused: watch::Receiver<bool>,
    changed: watch::Sender<u64>,
}

async fn accept(listener: TcpListener, desk: Desk) {
    // Connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, desk.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, mut desk: Desk) {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
        return;
    };
    let _ = stream.set_nodelay(true);
    let (stream, transport): (Box<dyn Stream>, _) = match desk.acceptor.clone() {
        None => (Box::new(stream), Transport::Tcp),
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => (Box::new(stream), Transport::Tls),
            Err(error) => {
                return tracing::debug!(%error, "the stand-in alarm centre let a client go");
            }
        },
    };
    desk.note(|book| book.connections += 1);
    let (wire, mut events) = mpsc::channel(64);
    let connection = Connection::start(0, stream, wire);
    while let Some(event) = events.recv().await {
        let message = match event {
            Wire::Frame(_, Frame::Message(message)) => message,
            Wire::Frame(_, Frame::Ping) if connection.send(b"\r\n".to_vec()) => continue,
            Wire::Frame(_, Frame::Defective { start, headers, .. }) => {
                let reply = write::response(start.as_ref(), &headers, 400, "Bad Request", &write::token(), &[]);
                if let Some(bytes) = reply
                    && !connection.send(bytes)
                {
                    return;
                }
                continue;
            }
            _ => return,
        };
        if matches!(message.start, Start::Response { .. }) {
            continue;
        }
        if desk.paused.wait_for(|paused| !paused).await.is_err() {
            return;
        }
        let (status, answer) = desk.take(&message);
        let reason = if status == 200 { "OK" } else { "Bad Request" };
        let mut bytes = write::answer(&message, status, reason, &write::token()).unwrap_or_default();
        if let Some(body) = answer {
            bytes.extend(mrs_request(&body, &local.to_string(), &peer.to_string(), transport));
        }
        if !bytes.is_empty() && !connection.send(bytes) {
            return;
        }
    }
}

impl Desk {
    fn note(&self, write: impl FnOnce(&mut Book)) {
        write(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_modify(|count| *count += 1);
    }

    /// Books a message: the SIP status, and the body of the answer.
    fn take(&self, message: &Message) -> (u16, Option<String>) {
        let read = Fields::read(&message.body).ok().filter(|fields| fields.root == "mrq");
        let Some(fields) = read else {
            return (400, None);
        };
        let text = |tag: &str| fields.text(tag).unwrap_or_default().to_owned();
        let number = |tag| fields.number(tag).ok().flatten().unwrap_or(0);
        let (reference, cid, mty) = (text("ref"), text("cid"), text("mty"));
        let mut snu = 0;
        self.note(|book| {
            if mty == "PI" {
                book.heartbeats += 1;
                return;
            }
            snu = book.snu;
            let times = book.by_reference.entry((cid.clone(), reference.clone())).or_default();
            *times += 1;
            let repeated = *times > 1;
            book.taken.push(Taken {
                reference: reference.clone(),
                cid: cid.clone(),
                mty: mty.clone(),
                dty: number("dty"),
                stc: number("stc"),
                text: text("dte"),
                status_text: text("stt"),
                room: text("lte"),
                repeated,
            });
        });
        let reference = quick_xml::escape::escape(reference);
        (200, Some(format!("<mrs><ref>{reference}</ref><snu>{snu}</snu></mrs>")))
    }
}

/// The centre's own MESSAGE with its answer.
fn mrs_request(body: &str, local: &str, peer: &str, transport: Transport) -> Vec<u8> {
    let scheme = if transport == Transport::Tls { "sips" } else { "sip" };
    let request = write::Request {
        uri: &format!("{scheme}:{peer}"),
        transport,
        local,
        user: "centre",
        branch: &write::branch(),
        from_tag: &write::token(),
        call_id: &write::token(),
        cseq: 1,
        authorization: None,
        content_type: CONTENT_TYPE,
    };
    write::message_request(&request, body.as_bytes())
}

pub(crate) fn server_config(tls: &CentreTls) -> Result<Arc<ServerConfig>, CentreError> {
    let wrong = |error: &dyn std::fmt::Display| CentreError::Tls(error.to_string());
    let pem = |text: &[u8]| CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(|e| wrong(&e));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(&e))?;
    let builder = match &tls.client_ca_pem {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for certificate in pem(ca)? {
                roots.add(certificate).map_err(|e| wrong(&e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|e| wrong(&e))?)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(&tls.key_pem).map_err(|e| wrong(&e))?;
    let config = builder.with_single_cert(pem(&tls.cert_pem)?, key).map_err(|e| wrong(&e))?;
    Ok(Arc::new(config))
}
