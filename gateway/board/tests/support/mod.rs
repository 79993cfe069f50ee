//! A gateway in memory, a browser without a window, and a key without a case.

pub mod key;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use axum::{Extension, Router, middleware};
use serde_json::Value;
use tokio::sync::broadcast;
use tower::ServiceExt;
use vaka_board::Board;
use vaka_board::auth::gate::gate;
use vaka_board::gateway::*;
use vaka_board::server::Peer;
use vaka_board::settings::Settings;

/// A November night in 2026.
pub const NIGHT: i64 = 1_795_305_600_000;

/// Knows what is told, and nothing of homes.
pub struct Told {
    now_ms: AtomicI64,
    traces: Mutex<Vec<Trace>>,
    changes: broadcast::Sender<Change>,
    pub disk_is_full: std::sync::atomic::AtomicBool,
}

impl Told {
    pub fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Every trace since the last time, as `person act object: purpose`.
    pub fn traces(&self) -> Vec<String> {
        let traces = std::mem::take(&mut *self.traces.lock().expect("no panic"));
        traces.iter().map(|one| format!("{} {} {}: {}", one.person, one.act, one.object, one.purpose)).collect()
    }
}

fn absent<'a, T: Send + 'a>() -> Later<'a, T> {
    Box::pin(async { Err(Refused::Unavailable("not in this test".into())) })
}

impl Gateway for Told {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }
    fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::UTC
    }
    fn lang(&self) -> Lang {
        Lang::Sv
    }
    fn health(&self) -> Later<'_, Health> {
        absent()
    }
    fn follow(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
    fn alarms(&self, _: bool) -> Later<'_, Vec<Arc<Alarm>>> {
        absent()
    }
    fn story(&self, _: &str) -> Later<'_, Story> {
        absent()
    }
    fn act(&self, _: &str, _: AlarmAct, _: &str, _: &str) -> Later<'_, Alarm> {
        absent()
    }
    fn order(&self, _: OrderWish, _: &str) -> Later<'_, Result<(), Said>> {
        absent()
    }
    fn devices(&self) -> Later<'_, Vec<Device>> {
        absent()
    }
    fn residents(&self) -> Later<'_, Vec<Resident>> {
        absent()
    }
    fn night(&self, _: Option<String>) -> Later<'_, Night> {
        absent()
    }
    fn sign(&self, _: Sign, _: &str) -> Later<'_, ()> {
        absent()
    }
    fn look_in(&self, _: LookAt) -> Later<'_, LookIn> {
        absent()
    }
    fn open_look(&self, _: LookWish, _: &str) -> Later<'_, Granted> {
        absent()
    }
    fn watch_look(&self, _: &str, _: &str) -> Later<'_, tokio::sync::mpsc::Receiver<LookPart>> {
        absent()
    }
    fn unveil_look(&self, _: u64, _: &str, _: &str) -> Later<'_, ()> {
        absent()
    }
    fn say_look(&self, _: u64, _: LookOutcome, _: &str) -> Later<'_, ()> {
        absent()
    }
    fn release_dose(&self, _: &str, _: &str, _: &str, _: &str) -> Later<'_, ()> {
        absent()
    }
    fn name_of(&self, _: &str) -> Later<'_, Name> {
        absent()
    }
    fn set_name(&self, _: &str, _: Name, _: &str) -> Later<'_, ()> {
        absent()
    }
    fn change_settings(&self, _: SettingsChange, _: &str) -> Later<'_, ()> {
        absent()
    }
    fn invite(&self, _: InviteWish, _: &str) -> Later<'_, Invited> {
        absent()
    }
    fn revoke(&self, _: &str, _: &str) -> Later<'_, ()> {
        absent()
    }
    fn visit(&self, _: Value) -> Later<'_, Value> {
        absent()
    }
    fn protocol(&self, _: Lang) -> Later<'_, Protocol> {
        absent()
    }
    fn check(&self) -> Later<'_, Value> {
        absent()
    }
    fn trace(&self, trace: Trace) -> Later<'_, ()> {
        if self.disk_is_full.load(Ordering::Relaxed) {
            return absent();
        }
        self.traces.lock().expect("no panic").push(trace);
        Box::pin(async { Ok(()) })
    }
    fn traces(&self, _: TraceQuery) -> Later<'_, Vec<Traced>> {
        absent()
    }
}

/// A board with these people, on the clock of [`Told`].
pub struct House {
    pub dir: tempfile::TempDir,
    pub told: Arc<Told>,
    pub board: Arc<Board>,
    routes: fn() -> Router<Arc<Board>>,
}

impl House {
    pub fn new(people: &str, routes: fn() -> Router<Arc<Board>>, change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("people.toml"), people).expect("written");
        let mut settings = Settings {
            listen: "127.0.0.1:8443".parse().expect("an address"),
            host: "localhost".into(),
            cert: None,
            own: (dir.path().join("cert.pem"), dir.path().join("key.pem")),
            people: dir.path().join("people.toml"),
            idle_min: 15,
            card: None,
            oidc: None,
            totp: true,
            push_services: Vec::new(),
            ntfy: None,
            push_ca: None,
        };
        change(&mut settings);
        let told = Arc::new(Told {
            now_ms: AtomicI64::new(NIGHT),
            traces: Mutex::default(),
            changes: broadcast::channel(1).0,
            disk_is_full: false.into(),
        });
        let board = Arc::new(Board::open(told.clone(), settings).expect("opened"));
        House { dir, told, board, routes }
    }

    pub fn browser(&self) -> Browser<'_> {
        self.browser_at("192.0.2.1")
    }

    pub fn browser_at(&self, address: &str) -> Browser<'_> {
        let address = format!("{address}:40000").parse().expect("an address");
        Browser { house: self, address, cookies: BTreeMap::new() }
    }

    fn router(&self, peer: Peer) -> Router {
        let board = self.board.clone();
        let gated = (self.routes)().layer(middleware::from_fn_with_state(board.clone(), gate)).with_state(board);
        gated.layer(Extension(peer))
    }
}

/// Keeps cookies as a browser does.
#[derive(Clone)]
pub struct Browser<'a> {
    house: &'a House,
    address: std::net::SocketAddr,
    pub cookies: BTreeMap<String, String>,
}

/// What came back.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub text: String,
}

impl Got {
    pub fn to(&self) -> &str {
        self.headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Browser<'_> {
    pub async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Got {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let request = request.body(Body::from(body)).expect("a request");
        let router = self.house.router(Peer { address: self.address, certificate: None });
        let answer: Response<Body> = router.oneshot(request).await.expect("infallible");
        let (parts, body) = answer.into_parts();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().expect("text");
            assert!(line.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{line}");
            let (name, value) = line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            assert!(name.starts_with("__Host-"), "{line}");
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let text = String::from_utf8(to_bytes(body, 1 << 20).await.expect("a body").to_vec()).expect("text");
        Got { status: parts.status, headers: parts.headers, text }
    }

    pub async fn get(&mut self, path: &str) -> Got {
        self.send(Method::GET, path, &[("sec-fetch-dest", "document")], String::new()).await
    }

    /// A form on one of the board's pages.
    pub async fn submit(&mut self, path: &str, form: &str) -> Got {
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-dest", "document"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send(Method::POST, path, &headers, form.to_owned()).await
    }

    /// A script on one of the board's pages.
    pub async fn post(&mut self, path: &str, body: &Value) -> Got {
        let headers =
            [("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty"), ("content-type", "application/json")];
        self.send(Method::POST, path, &headers, body.to_string()).await
    }
}
