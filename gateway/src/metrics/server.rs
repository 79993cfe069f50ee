//! `/metrics` and `/healthz` over plain HTTP.
//!
//! Enters: connections to `[metrics] listen`. Leaves: pages, one made at a time. Invariants: an address that is taken stops no alarm
//! (it is tried again), strangers are bounded and short of time. Absent: TLS, log-in, anything that changes something.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tracing::{info, warn};

use super::page;
use crate::limits::{METRICS_CONNECTIONS_MAX, METRICS_REQUEST_MS_MAX, METRICS_RETRY_MS};

/// What a look at the gateway has found.
#[derive(Debug)]
pub struct Look {
    pub text: String,
    /// The journal's thread goes on with its work.
    pub is_alive: bool,
}

/// Serves what `look` finds, until it stops.
pub async fn run<F, L>(address: SocketAddr, look: F, mut shutdown: watch::Receiver<bool>)
where
    F: Fn() -> L + Send + Sync + 'static,
    L: Future<Output = Look> + Send,
{
    let shared = Arc::new((look, Mutex::new(())));
    let places = Arc::new(Semaphore::new(METRICS_CONNECTIONS_MAX));
    let (mut listener, mut is_told) = (None, false);
    loop {
        let Some(open) = &listener else {
            match TcpListener::bind(address).await {
                Ok(bound) => {
                    info!(listen = %address, "figures for Prometheus are served");
                    listener = Some(bound);
                    continue;
                }
                // Said once: Prometheus sees by itself that nobody answers.
                Err(e) if !std::mem::replace(&mut is_told, true) => warn!(
                    "listening on {address} for Prometheus: {e}; another program has the port ([metrics] listen); alarms go on, trying again every {METRICS_RETRY_MS} ms"
                ),
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(METRICS_RETRY_MS)) => continue,
                _ = shutdown.changed() => return,
            }
        };
        let accepted = tokio::select! {
            accepted = open.accept() => accepted,
            _ = shutdown.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // No descriptors are left: whoever carries alarms needs them first.
            tokio::time::sleep(Duration::from_millis(METRICS_RETRY_MS)).await;
            continue;
        };
        // Whoever finds every place taken is closed at once; Prometheus asks again by itself.
        if let Ok(place) = places.clone().try_acquire_owned() {
            let shared = shared.clone();
            tokio::spawn(async move {
                let _place = place;
                attend(stream, shared).await;
            });
        }
    }
}

async fn attend<F, L>(stream: TcpStream, shared: Arc<(F, Mutex<()>)>)
where
    F: Fn() -> L + Send + Sync + 'static,
    L: Future<Output = Look> + Send,
{
    let service = service_fn(|request: Request<Incoming>| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(&request, &shared).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(METRICS_REQUEST_MS_MAX))
        .serve_connection(TokioIo::new(stream), service);
    // Whoever goes away in the middle asks again.
    let _ = connection.await;
}

async fn answer<F, L>(request: &Request<Incoming>, (look, one): &(F, Mutex<()>)) -> Response<String>
where
    F: Fn() -> L + Send + Sync + 'static,
    L: Future<Output = Look> + Send,
{
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, path @ ("/metrics" | "/healthz")) => {
            let _turn = one.lock().await;
            let Look { text, is_alive } = look().await;
            match (path, is_alive) {
                ("/metrics", _) => (StatusCode::OK, text),
                (_, true) => (StatusCode::OK, "ok\n".to_owned()),
                (_, false) => (StatusCode::SERVICE_UNAVAILABLE, "the journal's thread does not answer\n".to_owned()),
            }
        }
        (&Method::GET | &Method::HEAD, _) => (StatusCode::NOT_FOUND, "there are /metrics and /healthz\n".to_owned()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here\n".to_owned()),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page::CONTENT_TYPE));
    response
}
