//! A square to scan, drawn within the page: what it says stands in no address and no log.

use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};

/// Dark squares on white with the quiet edge a camera needs. Too long a text: nothing, and the text beside it serves.
pub fn svg(text: &str, label: &str) -> Markup {
    const EDGE: usize = 4;
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else { return html! {} };
    let (width, colours) = (code.width(), code.to_colors());
    let dark = colours.iter().enumerate().filter(|(_, colour)| **colour == Color::Dark);
    let path: String = dark.map(|(at, _)| format!("M{} {}h1v1h-1z", at % width + EDGE, at / width + EDGE)).collect();
    let side = width + 2 * EDGE;
    html! {
        svg.qr role="img" aria-label=(label) viewBox=(format!("0 0 {side} {side}")) width="264" height="264" shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    }
}
