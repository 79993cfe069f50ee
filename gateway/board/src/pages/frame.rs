//! The frame around every page: head, tabs, the live line, the stale band.

use maud::{DOCTYPE, Markup, html};

use crate::auth::Session;
use crate::gateway::Lang;

/// A whole page. `tab`: the path of the tab that is open. `session`: absent before log-in.
pub fn page(lang: Lang, title: &str, tab: &str, session: Option<&Session>, body: Markup) -> Markup {
    let _ = (tab, session);
    let code = match lang {
        Lang::Sv => "sv",
        Lang::En => "en",
    };
    html! {
        (DOCTYPE)
        html lang=(code) {
            head { meta charset="utf-8"; title { (title) " – Vaka" } link rel="stylesheet" href="/assets/board.css"; }
            body { main { (body) } }
        }
    }
}
