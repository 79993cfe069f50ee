//! What every way to log in stands on: whose browser it is, how often it failed, and what a log-in that succeeds does.
//!
//! Enters: a person who has been proven. Leaves: cookies, and a line in the log before them.
//! Invariant: every log-in begins a new session and ends the one this browser had.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tracing::error;

use super::flows::Flows;
use super::people::Person;
use super::secret::{Hash, NoRandom, opaque};
use super::sessions::Session;
use super::throttle::{Place, Throttle};
use super::{oidc, passkeys};
use crate::Board;
use crate::gateway::{Refused, Trace};
use crate::limits::DEVICES_MAX;
use crate::server::Peer;

pub const SID: &str = "__Host-sid";
pub const DEVICE: &str = "__Host-device";
/// Browsers keep no cookie longer than this.
const DEVICE_S: u64 = 400 * 86_400;

/// Everything about log-ins that is not yet a session. In memory: a restart forgets it.
#[derive(Debug, Default)]
pub struct Doors {
    inner: Mutex<Inner>,
    pub(super) oidc: oidc::Provider,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub throttle: Throttle,
    known: BTreeSet<Hash>,
    pub ceremonies: Flows<passkeys::Ceremony>,
    pub oidc: Flows<oidc::Asked>,
    /// Wrong one-time codes in a row, by person: only tries from the person's own browser are counted.
    pub codes_wrong: BTreeMap<String, u32>,
}

impl Doors {
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The browser at the other end.
#[derive(Debug, Clone)]
pub struct Browser {
    pub device: Hash,
    /// The cookie it has to be given, when it has none.
    fresh: Option<String>,
    pub place: Place,
    pub sid: Option<String>,
}

impl Browser {
    /// # Errors
    /// [`NoRandom`].
    pub fn of(board: &Board, parts: &Parts) -> Result<Self, NoRandom> {
        Self::at(board, &parts.headers, &parts.extensions)
    }

    /// # Errors
    /// [`NoRandom`].
    pub fn at(board: &Board, headers: &HeaderMap, extensions: &Extensions) -> Result<Self, NoRandom> {
        let (device, fresh) = match cookie(headers, DEVICE) {
            Some(cookie) => (Hash::of(cookie.as_bytes()), None),
            None => {
                let fresh = opaque()?;
                (Hash::of(fresh.as_bytes()), Some(fresh))
            }
        };
        let address = extensions.get::<Peer>().map_or(IpAddr::from([0; 4]), |peer| peer.address.ip());
        // Codes outlive a restart, and so does that their browser is known.
        let has_codes = || board.people.keys().totp.values().any(|totp| totp.device == device.hex());
        let is_known = board.doors.inner().known.contains(&device) || has_codes();
        let place = if is_known { Place::Device(device) } else { Place::of_address(address) };
        Ok(Browser { device, fresh, place, sid: cookie(headers, SID).map(str::to_owned) })
    }

    /// Gives the browser its device cookie with this answer, if it has none.
    pub fn greet(&self, answer: impl IntoResponse) -> Response {
        let mut answer = answer.into_response();
        if let Some(fresh) = &self.fresh {
            set_cookie(&mut answer, DEVICE, fresh, Some(DEVICE_S));
        }
        answer
    }

    /// How many seconds this browser must wait before it may try again.
    pub fn wait_s(&self, board: &Board) -> Option<i64> {
        let wait_ms = board.doors.inner().throttle.wait_ms(self.place, board.gateway.now_ms())?;
        Some(wait_ms / 1_000 + 1)
    }
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Without a time the cookie ends with the browser.
fn set_cookie(answer: &mut Response, name: &str, value: &str, age_s: Option<u64>) {
    let age = age_s.map(|age| format!("; Max-Age={age}")).unwrap_or_default();
    // Lax, not Strict: a provider's answer comes from its own site, and must find the browser again.
    let line = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}");
    if let Ok(line) = HeaderValue::from_str(&line) {
        answer.headers_mut().append(header::SET_COOKIE, line);
    }
}

/// Takes the session's cookie back.
pub fn forget_session(answer: &mut Response) {
    set_cookie(answer, SID, "", Some(0));
}

/// Somebody has proven who they are: a new session, in place of the one this browser had.
///
/// # Errors
/// [`NoRandom`].
pub async fn welcome(
    board: &Board,
    browser: &Browser,
    person: &Person,
    way: &'static str,
    answer: impl IntoResponse,
) -> Result<Response, NoRandom> {
    let now_ms = board.gateway.now_ms();
    if let Some(old) = &browser.sid {
        board.sessions.end(old);
    }
    let cookie = board.sessions.begin(person, way, browser.device, now_ms)?;
    {
        let mut inner = board.doors.inner();
        inner.throttle.succeeded(browser.place);
        if inner.known.len() >= DEVICES_MAX {
            inner.known.pop_first();
        }
        inner.known.insert(browser.device);
    }
    let name = Hash::of(cookie.as_bytes()).name();
    let trace = Trace { session: name, purpose: way.to_owned(), ..trace_of(person, "log-in", "board") };
    if let Err(e) = board.gateway.trace(trace).await {
        // A log that cannot be written must not keep staff from the alarms; what they then read and do asks the log again.
        error!(person = %person.id, "a log-in is not in the log: {e}");
    }
    let mut answer = browser.greet(answer);
    set_cookie(&mut answer, SID, &cookie, None);
    Ok(answer)
}

/// A log-in failed. `object`: which key or way, never a secret; `purpose`: why, in a few words.
pub async fn failed(board: &Board, browser: &Browser, person: &str, object: &str, purpose: &str) {
    board.doors.inner().throttle.failed(browser.place, board.gateway.now_ms());
    told(board, person, object, purpose).await;
}

/// The same of what nobody can guess (a program's token, a provider's answer, a card): told, and it makes no person at that address wait.
pub async fn told(board: &Board, person: &str, object: &str, purpose: &str) {
    let untold = board.doors.inner().throttle.trace(board.gateway.now_ms());
    let Some(untold) = untold else { return };
    let more = if untold > 0 { format!("; {untold} more before it") } else { String::new() };
    let trace = Trace {
        person: person.to_owned(),
        act: "log-in-failed".to_owned(),
        object: object.to_owned(),
        purpose: format!("{purpose}{more}"),
        ..Trace::default()
    };
    if let Err(e) = board.gateway.trace(trace).await {
        error!("a failed log-in is not in the log: {e}");
    }
}

fn trace_of(person: &Person, act: &str, object: &str) -> Trace {
    Trace {
        person: person.id.clone(),
        role: person.role.as_str().to_owned(),
        act: act.to_owned(),
        object: object.to_owned(),
        ..Trace::default()
    }
}

impl Session {
    /// A trace of what this session does; `purpose` and `resident` are for whoever writes it to add.
    pub fn trace(&self, act: &str, object: &str) -> Trace {
        Trace { session: self.name.clone(), ..trace_of(&self.person, act, object) }
    }

    /// Writes what this session does to the log.
    ///
    /// # Errors
    /// [`Refused`]: then it must not be done.
    pub async fn tell(&self, board: &Board, act: &str, object: &str) -> Result<(), Refused> {
        board.gateway.trace(self.trace(act, object)).await
    }
}
