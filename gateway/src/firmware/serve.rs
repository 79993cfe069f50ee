//! Images for devices over plain HTTP: GET and HEAD, whole or from a byte on.
//!
//! Enters: connections to `[firmware] listen`. Leaves: the bytes of the one image that a device was told of, to whoever knows its address.
//! Invariants: the address of an attempt is 128 random bits and ends with it; before each answer, and before each piece of it, the
//! journal's thread says whether it may go on; strangers are bounded in number, time and bytes. Absent: TLS and log-in (an image is signed, and is no secret), a folder of
//! files, personal data.

use std::convert::Infallible;
use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tracing::{info, warn};

use super::shelf::Shelf;
use super::{Ask, Board, May, Offer, Serving};
use crate::ingest::inbox::{Inbox, Rank};
use crate::limits::{
    FIRMWARE_CONNECTION_MS_MAX, FIRMWARE_CONNECTIONS_MAX, FIRMWARE_PIECE_BYTES, FIRMWARE_REQUEST_MS_MAX,
    FIRMWARE_RETRY_MS, FIRMWARE_UNSENT_BYTES,
};
use crate::pipeline::keeper::{self, Input};

/// All that serving needs.
pub(super) struct Counter {
    pub inbox: Arc<Inbox<Input>>,
    pub board: Board,
}

impl Counter {
    /// Asks the journal's thread; the answer comes after what it was busy with.
    fn may(&self, path: &str, has_bytes: u64, offer: &Arc<Offer>) -> oneshot::Receiver<May> {
        let (reply, answer) = oneshot::channel();
        let has_bytes = u32::try_from(has_bytes).unwrap_or(u32::MAX);
        let asked = Ask::May { path: path.to_owned(), has_bytes, offer: offer.clone(), reply };
        self.inbox.put([(Rank::Usual, Input::Ask(keeper::Ask::Firmware(asked)))]);
        answer
    }
}

/// Serves until it is dropped.
pub(super) async fn run(address: SocketAddr, counter: Arc<Counter>) {
    let places = Arc::new(Semaphore::new(FIRMWARE_CONNECTIONS_MAX));
    let retry = Duration::from_millis(FIRMWARE_RETRY_MS);
    let mut is_told = false;
    let listener = loop {
        match listen(address) {
            Ok(listener) => break listener,
            Err(e) if !std::mem::replace(&mut is_told, true) => warn!(
                "listening on {address} for devices that fetch firmware: {e}; another program has the port, or it is not this machine's address ([firmware] listen); alarms go on, trying again every {FIRMWARE_RETRY_MS} ms"
            ),
            Err(_) => {}
        }
        tokio::time::sleep(retry).await;
    };
    info!(listen = %address, "firmware is given to devices");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors are left: whoever carries alarms needs them first.
            tokio::time::sleep(retry).await;
            continue;
        };
        // Whoever finds every place taken is closed at once, and tries again.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let counter = counter.clone();
        tokio::spawn(async move {
            let _place = place;
            let life = Duration::from_millis(FIRMWARE_CONNECTION_MS_MAX);
            // Cut: the device goes on from there.
            let _ = tokio::time::timeout(life, attend(stream, counter)).await;
        });
    }
}

/// With little room for what is not sent yet: what is on its way when a call for help comes in goes out still.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(FIRMWARE_UNSENT_BYTES)?;
    socket.bind(address)?;
    socket.listen(FIRMWARE_CONNECTIONS_MAX as u32)
}

async fn attend(stream: TcpStream, counter: Arc<Counter>) {
    let service = service_fn(|request: Request<Incoming>| {
        let counter = counter.clone();
        async move { Ok::<_, Infallible>(answer(&request, counter).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(FIRMWARE_REQUEST_MS_MAX))
        .serve_connection(TokioIo::new(stream), service);
    // Whoever goes away in the middle asks again.
    let _ = connection.await;
}

async fn answer(request: &Request<Incoming>, counter: Arc<Counter>) -> Response<Piece> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return said(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here\n");
    }
    let nothing = || said(StatusCode::NOT_FOUND, "there is nothing here\n");
    let path = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let Some(offer) = counter.board.get().offer.filter(|_| path.len() == 32) else { return nothing() };
    let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
    let has_bytes = has_bytes(request.method(), range);
    match counter.may(&path, has_bytes, &offer).await {
        Ok(None) => nothing(),
        Ok(Some(Ok(serving))) => give(request, counter, offer, serving),
        Ok(Some(Err(why))) => not_now(&why),
        Err(_) => not_now("the gateway is stopping"),
    }
}

/// What a device asks for from a byte on, it has up to there. Who looks only (HEAD) says nothing of what they have: to ask for what comes behind
/// the last byte is to ask for the restart.
fn has_bytes(method: &Method, range: Option<&str>) -> u64 {
    match range.filter(|_| *method == Method::GET).map(|range| span(range, u64::MAX)) {
        Some(Span::Part(from, _)) => from,
        Some(Span::Beyond | Span::Whole) | None => 0,
    }
}

fn not_now(why: &str) -> Response<Piece> {
    let mut response = said(StatusCode::SERVICE_UNAVAILABLE, &format!("not now: {why}\n"));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

fn give(request: &Request<Incoming>, counter: Arc<Counter>, offer: Arc<Offer>, serving: Serving) -> Response<Piece> {
    let size = u64::from(serving.size_bytes);
    let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
    let span = match range.map(|range| span(range, size)) {
        None | Some(Span::Whole) => None,
        Some(Span::Part(from, until)) => Some((from, until)),
        Some(Span::Beyond) => {
            let mut response = said(StatusCode::RANGE_NOT_SATISFIABLE, "");
            header(&mut response, CONTENT_RANGE, &format!("bytes */{size}"));
            return response;
        }
    };
    let (from, until) = span.unwrap_or((0, size));
    let path = Shelf::new(offer.config.images()).path(&serving.sha256);
    let opened = File::open(&path).and_then(|mut file| file.seek(SeekFrom::Start(from)).map(|_| file));
    let file = match opened {
        Ok(file) => file,
        Err(e) => {
            warn!("reading firmware {}: {e}", path.display());
            // No "not now", after which a device waits for ever: it counts as a try, and comes to be told.
            return said(StatusCode::INTERNAL_SERVER_ERROR, "the image cannot be read\n");
        }
    };
    let is_head = request.method() == Method::HEAD;
    let source = Source { file, at: from, until, has_bytes: from, path: serving.path, counter, offer, asked: None };
    let mut response = Response::new(Piece(if is_head { Kind::Said(None) } else { Kind::File(Box::new(source)) }));
    header(&mut response, CONTENT_TYPE, "application/octet-stream");
    header(&mut response, ACCEPT_RANGES, "bytes");
    header(&mut response, CONTENT_LENGTH, &(until - from).to_string());
    if span.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        header(&mut response, CONTENT_RANGE, &format!("bytes {from}-{}/{size}", until - 1));
    }
    response
}

fn header(response: &mut Response<Piece>, name: hyper::header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

fn said(status: StatusCode, text: &str) -> Response<Piece> {
    let mut response =
        Response::new(Piece(Kind::Said(Some(text.to_owned().into()).filter(|text: &Bytes| !text.is_empty()))));
    *response.status_mut() = status;
    header(&mut response, CONTENT_TYPE, "text/plain; charset=utf-8");
    response
}

/// What a `Range` asks for, RFC 9110 §14.
#[derive(Debug, PartialEq, Eq)]
enum Span {
    /// From a byte on, until before another.
    Part(u64, u64),
    /// It begins behind the end.
    Beyond,
    /// More than one part, from the end, or not to be read: the whole may be sent.
    Whole,
}

fn span(range: &str, size: u64) -> Span {
    let parts = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let Some((Ok(from), last)) = parts.map(|(from, last)| (from.parse::<u64>(), last)) else { return Span::Whole };
    let last = if last.is_empty() { Ok(u64::MAX) } else { last.parse() };
    match last {
        Err(_) => Span::Whole,
        Ok(last) if last < from => Span::Whole,
        Ok(_) if from >= size => Span::Beyond,
        Ok(last) => Span::Part(from, last.saturating_add(1).min(size)),
    }
}

/// The body of an answer.
struct Piece(Kind);

enum Kind {
    Said(Option<Bytes>),
    File(Box<Source>),
}

/// A file that is read as it is sent: this thread serves nothing else, and an image lies in the page cache.
struct Source {
    file: File,
    at: u64,
    until: u64,
    /// What the device had when it asked.
    has_bytes: u64,
    path: String,
    counter: Arc<Counter>,
    offer: Arc<Offer>,
    /// Whether the next piece may go.
    asked: Option<oneshot::Receiver<May>>,
}

impl Source {
    /// The next piece, where it may go. An error cuts the answer off: the device goes on from what it has.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Option<Bytes>>> {
        let most = (self.until - self.at).min(FIRMWARE_PIECE_BYTES as u64);
        if most == 0 {
            return Poll::Ready(Ok(None));
        }
        let asked = self.asked.get_or_insert_with(|| self.counter.may(&self.path, self.has_bytes, &self.offer));
        let may = ready!(Pin::new(asked).poll(cx));
        self.asked = None;
        Poll::Ready(match may {
            Ok(Some(Ok(_))) => self.read(most).map(Some),
            Ok(Some(Err(why))) => {
                info!("an image on its way to a device is held: {why}");
                Err(std::io::Error::other(why))
            }
            Ok(None) | Err(_) => Err(std::io::Error::other("it is over")),
        })
    }

    fn read(&mut self, most: u64) -> std::io::Result<Bytes> {
        let mut bytes = vec![0; usize::try_from(most).unwrap_or(0)];
        self.file.read_exact(&mut bytes)?;
        self.at += most;
        Ok(bytes.into())
    }
}

impl Body for Piece {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match &mut self.0 {
            Kind::Said(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Kind::File(source) => source.poll(cx).map(|piece| piece.transpose().map(|piece| piece.map(Frame::data))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Said(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Kind::File(source) => SizeHint::with_exact(source.until - source.at),
        }
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
