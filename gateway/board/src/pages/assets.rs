//! Style, script and pictures: in the binary, each under a name that holds its hash, so that a browser may keep it for ever.
//!
//! Enters: a file's name. Leaves: its bytes. Invariant: nothing personal; the name changes with the content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

struct Asset {
    /// As the sources call it.
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    /// `board.0123456789ab.css`.
    hashed: String,
}

fn asset_of(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Asset {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let hash: String = digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    Asset { name, kind, bytes, hashed: format!("{stem}.{hash}.{ending}") }
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    vec![
        asset_of("board.css", "text/css; charset=utf-8", include_bytes!("../../assets/board.css")),
        asset_of("live.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/live.js")),
        asset_of("look.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/look.js")),
        asset_of("passkey.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/passkey.js")),
        asset_of("push.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/push.js")),
        asset_of("icon.svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")),
        asset_of("icon-192.png", "image/png", include_bytes!("../../assets/icon-192.png")),
        asset_of("icon-512.png", "image/png", include_bytes!("../../assets/icon-512.png")),
    ]
});

/// Where a page finds a file: `/assets/board.0123456789ab.css` for `board.css`.
pub fn path(name: &str) -> String {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    format!("/assets/{}", found.map_or(name, |asset| asset.hashed.as_str()))
}

/// The header's line by which a browser fetches a file while the page is still on its way.
pub fn ahead(name: &str, what: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("<{}>; rel=preload; as={what}", path(name))).ok()
}

pub(super) async fn get(Path(name): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.hashed == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kept = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, kept)], asset.bytes).into_response()
}

/// So that a phone keeps the board on its home screen.
pub(super) async fn manifest() -> Response {
    let icon = |name: &str, sizes: &str, kind: &str| serde_json::json!({"src": path(name), "sizes": sizes, "type": kind, "purpose": "any maskable"});
    let manifest = serde_json::json!({
        "name": "Vaka",
        "short_name": "Vaka",
        "id": "/",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#0f1419",
        "theme_color": "#0f1419",
        "icons": [
            icon("icon.svg", "any", "image/svg+xml"),
            icon("icon-192.png", "192x192", "image/png"),
            icon("icon-512.png", "512x512", "image/png"),
        ],
    });
    ([(header::CONTENT_TYPE, "application/manifest+json")], manifest.to_string()).into_response()
}

/// The worker that answers when there is no network: it keeps no page, and says so in place of one.
pub(super) async fn worker() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (kind, include_str!("../../assets/sw.js")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_found_under_its_hash_alone_and_kept_for_ever() {
        let at = path("board.css");
        let name = at.strip_prefix("/assets/").expect("under /assets");
        assert!(name.len() == "board.css".len() + 13, "{name}");
        let found = get(Path(name.to_owned())).await;
        assert_eq!(found.status(), StatusCode::OK);
        assert!(found.headers()[header::CACHE_CONTROL].to_str().is_ok_and(|kept| kept.contains("immutable")));
        assert_eq!(get(Path("board.css".to_owned())).await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn style_script_and_the_small_icon_leave_room_for_a_page_of_60_kib() {
        let of = |name: &str| ASSETS.iter().find(|asset| asset.name == name).map_or(0, |asset| asset.bytes.len());
        let sum = of("board.css") + of("live.js") + of("icon.svg");
        assert!(sum < 40 * 1024, "{sum} bytes");
    }
}
