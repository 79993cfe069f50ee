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
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::Config;

    /// Three pieces and a half.
    const SIZE: usize = FIRMWARE_PIECE_BYTES * 7 / 2;
    const PATH: &str = "0123456789abcdef0123456789abcdef";

    fn image() -> Vec<u8> {
        (0..SIZE).map(|at| (at % 251) as u8).collect()
    }

    fn may() -> May {
        Some(Ok(Serving { path: PATH.into(), sha256: "ab".repeat(32), size_bytes: SIZE as u32 }))
    }

    fn not_now() -> May {
        Some(Err("quiet time".into()))
    }

    /// What a request is answered where the journal's thread says this, the last again and again: the status, the lines of the head, the body.
    /// And what it was told that the device has.
    async fn ask(request: &str, range: &str, answers: &[May]) -> (u16, String, Vec<u8>, Vec<u32>) {
        let dir = tempfile::tempdir().unwrap();
        let text = b"[gateway]\nid = \"gw-1\"\ncontroller_id = \"1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n";
        let (config, _) = Config::parse(text, &dir.path().join("v.toml")).unwrap();
        let shelf = Shelf::new(config.images()).path(&"ab".repeat(32));
        std::fs::create_dir_all(shelf.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(&shelf, image()).unwrap();
        let counter = Arc::new(Counter { inbox: Arc::new(Inbox::default()), board: Board::default() });
        counter.board.set(|found| {
            found.offer = Some(Arc::new(Offer { config: Arc::new(config), list: None, here: BTreeSet::new() }));
        });
        let has = Arc::new(Mutex::new(Vec::new()));
        let (inbox, answers, told) = (counter.inbox.clone(), answers.to_vec(), has.clone());
        std::thread::spawn(move || {
            let (mut batch, mut count) = (Vec::new(), 0);
            loop {
                inbox.take(1, Duration::from_secs(3_600), &mut batch);
                let Some(Input::Ask(keeper::Ask::Firmware(Ask::May { has_bytes, reply, .. }))) = batch.pop() else {
                    return;
                };
                told.lock().unwrap().push(has_bytes);
                let _ = reply.send(answers[count.min(answers.len() - 1)].clone());
                count += 1;
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let serving = tokio::spawn(attend(stream, counter.clone()));
        let range = if range.is_empty() { String::new() } else { format!("Range: {range}\r\n") };
        let request = format!("{request} HTTP/1.1\r\nHost: v\r\nConnection: close\r\n{range}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        // One that is cut off may end so too.
        let _ = client.read_to_end(&mut said).await;
        serving.await.unwrap();
        // Nothing of ours: the thread above ends.
        counter.inbox.put([(Rank::Usual, Input::Stop)]);
        let has = has.lock().unwrap().clone();
        let Some(end) = said.windows(4).position(|part| part == b"\r\n\r\n") else {
            return (0, String::new(), said, has);
        };
        let head = String::from_utf8_lossy(&said[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, head, said[end + 4..].to_vec(), has)
    }

    #[tokio::test]
    async fn the_whole_or_what_comes_behind_a_byte_is_given_as_it_is() {
        let get = format!("GET /{PATH}");
        let (status, head, body, has) = ask(&get, "", &[may()]).await;
        assert_eq!((status, body == image(), has[0]), (200, true, 0), "{head}");
        let (status, head, body, has) = ask(&get, "bytes=20000-", &[may()]).await;
        assert_eq!((status, body == image()[20_000..], has[0]), (206, true, 20_000), "{head}");
        assert!(head.contains(&format!("content-range: bytes 20000-{}/{SIZE}", SIZE - 1)), "{head}");
        let (status, head, body, _) = ask(&get, "bytes=20000-20009", &[may()]).await;
        assert_eq!((status, &body[..]), (206, &image()[20_000..20_010]), "{head}");
        let (status, head, body, has) = ask(&format!("HEAD /{PATH}"), "bytes=20000-", &[may()]).await;
        assert_eq!((status, body.len(), has), (206, 0, vec![0]), "{head}");
    }

    #[tokio::test]
    async fn who_asks_for_what_comes_behind_the_end_hears_that_it_may_restart_or_that_it_waits() {
        let get = format!("GET /{PATH}");
        let range = format!("bytes={SIZE}-");
        let (status, head, _, has) = ask(&get, &range, &[may()]).await;
        assert_eq!((status, has), (416, vec![SIZE as u32]), "{head}");
        assert!(head.contains(&format!("content-range: bytes */{SIZE}")), "{head}");
        let (status, head, body, _) = ask(&get, &range, &[not_now()]).await;
        assert_eq!(status, 503, "{head}");
        assert!(head.contains("retry-after") && body.starts_with(b"not now: quiet time"), "{head}");
    }

    #[tokio::test]
    async fn who_is_not_meant_is_told_of_nothing_and_a_refusal_cuts_an_answer_off_where_it_is() {
        let get = format!("GET /{PATH}");
        for (request, answer, wanted) in [
            (get.as_str(), None, 404),
            ("GET /other", may(), 404),
            ("POST /0123456789abcdef0123456789abcdef", may(), 405),
        ] {
            let (status, head, ..) = ask(request, "", &[answer]).await;
            assert_eq!(status, wanted, "{request}: {head}");
        }
        // It may begin, and have one piece, and then no more. What was not sent by then goes with the connection.
        let (_, head, body, has) = ask(&get, "", &[may(), may(), not_now()]).await;
        assert!(body.len() <= FIRMWARE_PIECE_BYTES && image().starts_with(&body), "{} bytes: {head}", body.len());
        assert_eq!(has.len(), 3);
        // And begun again, it is asked for each piece.
        let (.., body, has) = ask(&get, "", &[may()]).await;
        assert_eq!((body.len(), has.len()), (SIZE, 5));
    }

    #[test]
    fn only_who_fetches_says_what_they_have() {
        for (method, range, wanted) in [
            (Method::GET, Some("bytes=100-"), 100),
            (Method::GET, Some("bytes=40-59"), 40),
            (Method::GET, Some("bytes=-5"), 0),
            (Method::GET, None, 0),
            (Method::HEAD, Some("bytes=100-"), 0),
        ] {
            assert_eq!(has_bytes(&method, range), wanted, "{method} {range:?}");
        }
    }

    #[test]
    fn ranges_are_read_as_a_device_asks() {
        for (range, wanted) in [
            ("bytes=0-", Span::Part(0, 100)),
            ("bytes=40-", Span::Part(40, 100)),
            ("bytes=40-59", Span::Part(40, 60)),
            ("bytes=40-400", Span::Part(40, 100)),
            ("bytes=99-99", Span::Part(99, 100)),
            ("bytes=40-18446744073709551615", Span::Part(40, 100)),
            ("bytes=100-", Span::Beyond),
            ("bytes=60-40", Span::Whole),
            ("bytes=-5", Span::Whole),
            ("bytes=0-1,5-6", Span::Whole),
            ("pieces=0-1", Span::Whole),
            ("", Span::Whole),
        ] {
            assert_eq!(span(range, 100), wanted, "{range}");
        }
    }
}
