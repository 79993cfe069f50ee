//! What an answer leaves unread of its request is read and thrown away before the answer goes.
//!
//! Enters: a request over HTTP/1 and its answer, which may have been given before the body was read: a refusal needs none. Leaves: the
//! answer, after the body. Invariants: nothing of it is kept; so many bytes and so long, then the connection ends with the answer. Without
//! this, whoever was still sending would find the connection closed, and never learn why.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::limits::{UNREAD_BYTES_MAX, UNREAD_MS_MAX};

/// The middleware.
pub async fn read_on(request: Request, next: Next) -> Response {
    // HTTP/2 ends one stream and no connection. Who waits for leave to send has not begun.
    let is_bound = request.version() <= Version::HTTP_11 && !request.headers().contains_key(header::EXPECT);
    if !is_bound || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (back, mut unread) = oneshot::channel();
    let lend = |body| Body::new(Lent { body, back: Some(back) });
    let mut answer = next.run(request.map(lend)).await;
    if let Ok(rest) = unread.try_recv() {
        let within = Duration::from_millis(UNREAD_MS_MAX);
        if !matches!(tokio::time::timeout(within, is_whole(rest)).await, Ok(true)) {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    answer
}

/// Whether the body ended within its bound.
async fn is_whole(mut rest: Body) -> bool {
    let mut bytes = 0;
    while bytes <= UNREAD_BYTES_MAX {
        match rest.frame().await {
            None => return true,
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) => return false,
        }
    }
    false
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream()
            && let Some(back) = self.back.take()
        {
            // Nobody waits where the connection has ended.
            let _ = back.send(std::mem::take(&mut self.body));
        }
    }
}
