//! Who asks for a page and how they read: the person, their language, their theme, the time.
//!
//! Enters: a request that the middleware has let through. Leaves: [`Asked`], which every page's handler takes, and the trace of
//! what was read or done.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};

use super::seen::Sight;
use super::times::Times;
use super::trouble::Trouble;
use crate::Board;
use crate::auth::{Right, Session};
use crate::gateway::{Lang, Refused, Trace};

/// Light or dark: as the person chose, else as their machine says; at night dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Auto,
    Day,
    Night,
}

impl Theme {
    pub const COOKIE: &'static str = "theme";

    pub fn as_str(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Day => "day",
            Theme::Night => "night",
        }
    }

    pub fn of(word: &str) -> Theme {
        match word {
            "day" => Theme::Day,
            "night" => Theme::Night,
            _ => Theme::Auto,
        }
    }
}

/// How a page is to be made.
#[derive(Debug, Clone)]
pub struct View {
    pub lang: Lang,
    /// As chosen.
    pub theme: Theme,
    pub times: Times,
    pub session: Option<Session>,
    /// The path to come back to.
    pub at: String,
}

impl View {
    pub fn of(board: &Board, session: Option<&Session>, headers: &HeaderMap) -> View {
        let lang = session.and_then(|session| session.person.lang);
        let lang = lang.or_else(|| accepted(headers)).unwrap_or_else(|| board.gateway.lang());
        let times = Times { zone: board.gateway.zone(), lang, now_ms: board.gateway.now_ms() };
        let theme = cookie(headers, Theme::COOKIE).map_or(Theme::Auto, Theme::of);
        View { lang, theme, times, session: session.cloned(), at: "/".to_owned() }
    }

    pub fn t(&self, sv: &'static str, en: &'static str) -> &'static str {
        super::words::t(self.lang, sv, en)
    }

    /// Either of two texts that are made on the spot.
    pub fn say(&self, sv: impl Into<String>, en: impl Into<String>) -> String {
        match self.lang {
            Lang::Sv => sv.into(),
            Lang::En => en.into(),
        }
    }

    pub fn may(&self, right: Right) -> bool {
        self.session.as_ref().is_some_and(|session| session.person.role.may(right))
    }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The first of the browser's languages that we speak. Its order is taken as written: browsers write the dearest first.
fn accepted(headers: &HeaderMap) -> Option<Lang> {
    let wished = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    wished.split(',').find_map(|range| match range.trim().get(..2)?.to_ascii_lowercase().as_str() {
        "sv" => Some(Lang::Sv),
        "en" => Some(Lang::En),
        _ => None,
    })
}

/// A request for a page, by somebody who has logged in.
#[derive(Clone)]
pub struct Asked {
    pub board: Arc<Board>,
    pub session: Session,
    pub view: View,
}

impl FromRequestParts<Arc<Board>> for Asked {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, board: &Arc<Board>) -> Result<Self, Trouble> {
        let session = parts.extensions.get::<Session>();
        let mut view = View::of(board, session, &parts.headers);
        if parts.method == Method::GET {
            view.at = parts.uri.path().to_owned();
        }
        let Some(session) = session.cloned() else { return Err(Trouble::of(view, StatusCode::FORBIDDEN)) };
        Ok(Asked { board: Arc::clone(board), session, view })
    }
}

impl Asked {
    /// The gateway as this person sees it.
    pub fn sight(&self) -> Sight<'_> {
        Sight::new(self.board.gateway.as_ref(), &self.session)
    }

    pub fn by(&self) -> &str {
        &self.session.person.id
    }

    /// A refusal as a page.
    pub fn trouble(&self, refused: Refused) -> Trouble {
        Trouble::refused(self.view.clone(), &refused)
    }

    /// Written before the answer goes out: what was read or done, to what, why.
    pub async fn trace(
        &self,
        act: &str,
        object: impl Into<String>,
        purpose: impl Into<String>,
        resident: Option<&str>,
    ) -> Result<(), Trouble> {
        let trace = Trace {
            person: self.session.person.id.clone(),
            role: self.session.person.role.as_str().to_owned(),
            session: self.session.name.clone(),
            act: act.to_owned(),
            object: object.into(),
            purpose: purpose.into(),
            resident: resident.map(str::to_owned),
        };
        self.board.record(trace).await.map_err(|refused| self.trouble(refused))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_language_that_we_speak_is_taken() {
        let of = |value: &'static str| {
            accepted(&HeaderMap::from_iter([(
                header::ACCEPT_LANGUAGE,
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            )]))
        };
        assert_eq!(of("fi-FI, en-GB;q=0.8, sv;q=0.5"), Some(Lang::En));
        assert_eq!(of("sv-SE"), Some(Lang::Sv));
        assert_eq!(of("fi, *"), None);
        assert_eq!(of("x"), None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static("a=1; theme=night; b=2"))]);
        assert_eq!(cookie(&headers, "theme").map(Theme::of), Some(Theme::Night));
        assert_eq!(cookie(&headers, "them"), None);
    }
}
