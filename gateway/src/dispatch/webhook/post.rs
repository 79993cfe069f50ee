//! POSTs over HTTP/1.1 on connections that stay open between them.
//!
//! Enters: messages with their signature. Leaves: what the answer's head says. Invariants: one request at a time on a connection;
//! a connection on which an answer is missing, late or longer than it may be is closed, so that no answer can be taken for
//! another's; a request that an idle connection did not take is said once more on a new one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::asking::Progress;
use super::super::config::ReceiverConfig;
use super::super::link::Failure;
use super::super::stream::{self, Stream};
use super::super::tls::Worn;
use super::config::Target;
use crate::clock::Clock;
use crate::limits::{
    WEBHOOK_HEAD_BYTES_MAX, WEBHOOK_HEADERS_MAX, WEBHOOK_IDLE_MAX, WEBHOOK_REST_BYTES_MAX, WEBHOOK_REST_MS_MAX,
};

/// What is said.
pub(super) struct Message<'a> {
    pub id: &'a str,
    /// UTC seconds.
    pub timestamp_s: i64,
    pub signature: Option<String>,
    pub body: Bytes,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// The receiver cannot just now; the same message may be taken later.
    pub fn is_temporary(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 425 | 429 | 500..=599)
    }

    /// `None`: the receiver has it.
    pub fn refusal(&self) -> Option<Failure> {
        let hint = match self.status.as_u16() {
            200..=299 => return None,
            300..=399 => "; redirects are not followed: write the final address as its url",
            401 | 403 => "; check its secret and our certificate",
            404 | 410 => "; check its url",
            _ => "",
        };
        let detail = format!("HTTP {}{hint}", self.status);
        Some(Failure::Refused { detail, permanent: !self.is_temporary() })
    }
}

/// An open connection; dropped: closed.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    /// Our certificate that it was opened with.
    worn: Worn,
}

impl Line {
    async fn over(stream: Box<dyn Stream>, worn: Worn) -> Result<Self, Failure> {
        let mut builder = Builder::new();
        builder.max_headers(WEBHOOK_HEADERS_MAX).max_buf_size(WEBHOOK_HEAD_BYTES_MAX);
        let stands = builder.handshake(TokioIo::new(stream)).await;
        let (sender, driver) = stands.map_err(|error| Failure::NotConnected(whole(&error)))?;
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer hears of the error; nobody else needs to.
            let _ = driver.await;
        });
        Ok(Self { sender, driver: driver.abort_handle(), worn })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub(super) struct Client {
    config: ReceiverConfig,
    target: Target,
    clock: Arc<dyn Clock>,
    idle: Mutex<Vec<Line>>,
}

impl Client {
    pub fn new(config: ReceiverConfig, target: Target, clock: Arc<dyn Clock>) -> Self {
        Self { config, target, clock, idle: Mutex::default() }
    }

    /// Opens a connection and keeps it for the next message.
    pub async fn connect(&self, until: Instant, progress: &Progress) -> Result<(), Failure> {
        let line = self.open(until, progress).await?;
        self.keep(line);
        Ok(())
    }

    pub async fn post(&self, message: &Message<'_>, until: Instant, progress: &Progress) -> Result<Answer, Failure> {
        loop {
            let kept = self.take();
            let is_reused = kept.is_some();
            let mut line = match kept {
                Some(line) => line,
                None => self.open(until, progress).await?,
            };
            progress.sent();
            let request = self.request(message)?;
            let asking = async {
                line.sender.ready().await?;
                line.sender.send_request(request).await
            };
            match timeout_at(until, asking).await {
                Err(_) => return Err(self.silent()),
                // It was closed just before: the receiver tells a repeat by its id.
                Ok(Err(error)) if is_reused => {
                    tracing::debug!(receiver = self.config.name, %error, "an idle connection was gone")
                }
                Ok(Err(error)) => return Err(Failure::Closed(whole(&error))),
                Ok(Ok(response)) => {
                    let retry_after = retry_after(response.headers(), self.clock.now().wall_ms);
                    let answer = Answer { status: response.status(), retry_after };
                    if ends(response).await {
                        self.keep(line);
                    }
                    return Ok(answer);
                }
            }
        }
    }

    fn request(&self, message: &Message<'_>) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::post(self.target.path.as_str())
            .header(HOST, &self.target.authority)
            .header(USER_AGENT, concat!("vaka/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp_s);
        if let Some(signature) = &message.signature {
            request = request.header("webhook-signature", signature);
        }
        let made = request.body(Full::new(message.body.clone()));
        made.map_err(|error| Failure::Refused { detail: format!("it cannot be written: {error}"), permanent: true })
    }

    async fn open(&self, until: Instant, progress: &Progress) -> Result<Line, Failure> {
        let Target { tls, host, port, .. } = &self.target;
        let worn = Worn::now(&self.config);
        let opening = stream::open(&self.config, host, *port, *tls, self.clock.now().wall_ms);
        let opened = timeout_at(until, opening).await.map_err(|_| self.silent())?;
        let opened = opened.map_err(|error| Failure::NotConnected(error.to_string()))?;
        let line = Line::over(opened.stream, worn).await?;
        progress.opened(opened.expired_at_s);
        Ok(line)
    }

    fn silent(&self) -> Failure {
        Failure::NotReceived(self.config.received_deadline_ms)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Line> {
        let mut idle = self.idle();
        idle.retain(|line| !line.sender.is_closed() && !line.worn.is_renewed(&self.config));
        idle.pop()
    }

    fn keep(&self, line: Line) {
        let mut idle = self.idle();
        if idle.len() < WEBHOOK_IDLE_MAX {
            idle.push(line);
        }
    }
}

/// True if the rest of the answer came, and was short: its connection can be used again.
async fn ends(response: Response<Incoming>) -> bool {
    let mut body = response.into_body();
    let reading = async {
        let mut left = WEBHOOK_REST_BYTES_MAX;
        while let Some(frame) = body.frame().await {
            let count = frame.ok()?.data_ref().map_or(0, Bytes::len);
            left = left.checked_sub(count)?;
        }
        Some(())
    };
    matches!(timeout(Duration::from_millis(WEBHOOK_REST_MS_MAX), reading).await, Ok(Some(())))
}

/// Seconds, or a date of HTTP.
fn retry_after(headers: &HeaderMap, wall_ms: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = at.duration_since(Timestamp::from_millisecond(wall_ms).ok()?);
    Duration::try_from(wait).ok()
}

/// hyper says what, its source says why.
fn whole(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers, 784_111_777_000).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_read_in_both_forms_and_nonsense_is_none() {
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked(" 4294967295 "), Some(4_294_967_295));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        for none in ["", "-1", "soon", "1.5", "99999999999", "Sun, 06 Nov 1994 08:49:27 GMT", "Sun, 06 Nov 1994"] {
            assert_eq!(asked(none), None, "{none}");
        }
    }

    /// On the runtime's own clock: nothing waits, and an hour passes at once.
    #[tokio::test(start_paused = true)]
    async fn a_silent_receiver_costs_the_deadline_and_its_late_answer_is_nobodys() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        use super::super::super::asking::watched;
        use crate::clock::ManualClock;

        let config =
            ReceiverConfig::new("c", super::super::super::config::ReceiverKind::Webhook, "http://127.0.0.1:9/");
        let target = Target::parse(&config.url).unwrap();
        let client = Client::new(config, target, Arc::new(ManualClock::new(0)));
        let (ours, mut theirs) = tokio::io::duplex(4_096);
        client.keep(Line::over(Box::new(ours), Worn::default()).await.unwrap());
        let (progress, mut told) = watched(7);
        let message = Message { id: "x", timestamp_s: 0, signature: None, body: Bytes::from_static(b"{}") };
        let begun = Instant::now();
        let answer = client.post(&message, begun + Duration::from_secs(5), &progress).await;
        assert_eq!(answer, Err(Failure::NotReceived(5_000)));
        assert_eq!((begun.elapsed(), told.all()), (Duration::from_secs(5), vec!["sent 7".to_owned()]));
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let mut said = Vec::new();
        theirs.read_to_end(&mut said).await.unwrap();
        assert!(said.starts_with(b"POST / HTTP/1.1\r\n"));
        assert!(theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err());
        assert!(client.take().is_none());
    }

    #[test]
    fn every_status_has_its_fate() {
        let fate = |status: u16| {
            let answer = Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None };
            answer.refusal().map(|failure| failure.is_permanent())
        };
        for taken in [200, 201, 202, 204, 299] {
            assert_eq!(fate(taken), None, "{taken}");
        }
        for later in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(fate(later), Some(false), "{later}");
        }
        for never in [101, 301, 302, 307, 308, 400, 401, 403, 404, 405, 410, 413, 422, 600, 999] {
            assert_eq!(fate(never), Some(true), "{never}");
        }
    }
}
