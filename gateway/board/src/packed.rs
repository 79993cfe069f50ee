//! Pages, style and scripts as gzip: a phone on a poor network reads them sooner.
//!
//! Enters: an answer that is whole, and whether the browser takes gzip. Leaves: the same answer, packed where that makes it smaller.
//! Invariants: a stream is never held up; answers to posts are never packed, for in these stand codes that work once. A packed page's
//! length tells of what is in it (BREACH) to whoever may both listen and write into it: another site's requests come without our
//! cookies (`SameSite=Lax`), the one page that writes words of its address back is the log-in, which holds nothing of anybody, and no
//! page carries a secret against forged requests: these are told by where they come from.

use std::io::Write;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Body as _;

use crate::limits::{PACKED_BYTES_MAX, PACKED_BYTES_MIN};

/// Kinds of text that a page is made of.
const KINDS: [&str; 5] = ["text/html", "text/css", "text/javascript", "image/svg+xml", "application/manifest+json"];

/// Whether the browser takes gzip.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let takes = |word: &str| {
        let (name, rest) = word.split_once(';').unwrap_or((word, ""));
        let is_refused = rest.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    };
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(takes)
}

/// The answer, packed if it is text of a page, whole and worth it.
pub async fn pack(answer: Response) -> Response {
    let is_text = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_text = is_text.is_some_and(|kind| KINDS.iter().any(|known| kind.starts_with(known)));
    let length = answer.body().size_hint().exact().unwrap_or_default();
    let is_worth_it = (PACKED_BYTES_MIN..=PACKED_BYTES_MAX).contains(&length);
    if answer.status() != StatusCode::OK || !is_text || !is_worth_it {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    // Whole already: nothing is waited for, and nothing is longer than was said.
    let plain = match to_bytes(body, PACKED_BYTES_MAX as usize).await {
        Ok(plain) => plain,
        Err(e) => return (StatusCode::INTERNAL_SERVER_ERROR, format!("packing a page: {e}")).into_response(),
    };
    head.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let mut packer = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::fast());
    let packed = packer.write_all(&plain).and_then(|()| packer.finish());
    let Some(packed) = packed.ok().filter(|packed| packed.len() < plain.len()) else {
        return Response::from_parts(head, Body::from(plain));
    };
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(packed))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn answer(kind: &'static str, bytes: usize) -> Response {
        ([(header::CONTENT_TYPE, kind)], "en rad om larm\n".repeat(bytes / 15)).into_response()
    }

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        let of = |text: &'static str| HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]);
        for wants in ["gzip", "gzip, deflate, br, zstd", "br, GZIP;q=0.5"] {
            assert!(is_wanted(&of(wants)), "{wants}");
        }
        for wants in ["", "br", "gzip;q=0", "gzip; q=0.0", "x-gzip2"] {
            assert!(!is_wanted(&of(wants)), "{wants}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_packed_page_reads_as_it_was() {
        let packed = pack(answer("text/html; charset=utf-8", 30_000)).await;
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(packed.headers()[header::VARY], "accept-encoding");
        let bytes = to_bytes(packed.into_body(), usize::MAX).await.expect("whole");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
        assert_eq!(text, "en rad om larm\n".repeat(2_000));
        assert!(bytes.len() * 10 < text.len());
    }

    #[tokio::test]
    async fn what_is_small_or_no_page_of_ours_leaves_as_it_is() {
        let others =
            [("text/html", 300), ("text/event-stream", 30_000), ("application/json", 30_000), ("image/png", 30_000)];
        for (kind, bytes) in others {
            assert!(!pack(answer(kind, bytes)).await.headers().contains_key(header::CONTENT_ENCODING), "{kind}");
        }
        let mut failed = answer("text/html", 30_000);
        *failed.status_mut() = StatusCode::CONFLICT;
        assert!(!pack(failed).await.headers().contains_key(header::CONTENT_ENCODING));
    }
}
