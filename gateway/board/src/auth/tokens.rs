//! How programs use `/api`: by a token that an administrator made, for one program, with a role and groups, until a day; or by a client
//! certificate whose subject stands in `people.toml` with the same.
//!
//! Invariants: a token is kept as its hash and shown once; neither counts as a fresh log-in, so nothing sensitive is done by a program.

use axum::http::{HeaderMap, header};
use rustls_pki_types::CertificateDer;

use super::book::PROGRAM;
use super::card::marks;
use super::credentials::{Record, Token};
use super::people::{People, PeopleError, Person};
use super::roles::{Role, Units};
use super::secret::{Hash, opaque};
use super::sessions::Session;
use crate::Board;
use crate::limits::{TOKEN_DAYS_MAX, TOKENS_MAX};

/// What an administrator asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// `[a-z0-9-]{1,28}`: what the program is called.
    pub name: String,
    pub role: Role,
    pub units: Units,
    /// 1 to [`TOKEN_DAYS_MAX`].
    pub days: i64,
}

/// Makes a token, in place of the one this program had. Answers it: it is shown once.
///
/// # Errors
/// [`PeopleError`].
pub fn make(people: &People, wish: &Wish, by: &str, now_ms: i64) -> Result<String, PeopleError> {
    let name = &wish.name;
    let is_well_made = (1..=28).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_well_made {
        return Err(PeopleError::Refused(format!("program {name:?} is not 1 to 28 of a-z, 0-9 and -")));
    }
    if !(1..=TOKEN_DAYS_MAX).contains(&wish.days) {
        return Err(PeopleError::Refused(format!("{} days; a token lasts 1 to {TOKEN_DAYS_MAX}", wish.days)));
    }
    let text = format!("vaka_{}", opaque()?);
    let token = Token {
        hash: Hash::of(text.as_bytes()).hex(),
        name: name.clone(),
        role: wish.role,
        units: wish.units.clone(),
        by: by.to_owned(),
        made_at: now_ms,
        expires_at: now_ms + wish.days * 86_400_000,
    };
    people.record(|keys| {
        let replaced = keys.tokens.values().filter(|there| there.name == token.name).map(|there| there.hash.clone());
        let mut records: Vec<Record> = replaced.map(|hash| Record::TokenGone { hash }).collect();
        if records.is_empty() && keys.tokens.len() >= TOKENS_MAX {
            return Err(PeopleError::Refused(format!("{TOKENS_MAX} programs have tokens; end one first")));
        }
        records.push(Record::Token(token));
        Ok((records, ()))
    })?;
    Ok(text)
}

/// Ends a program's token. False: it had none.
///
/// # Errors
/// [`PeopleError`].
pub fn end(people: &People, name: &str) -> Result<bool, PeopleError> {
    people.record(|keys| {
        let gone = keys.tokens.values().filter(|token| token.name == name);
        let gone: Vec<Record> = gone.map(|token| Record::TokenGone { hash: token.hash.clone() }).collect();
        let any = !gone.is_empty();
        Ok((gone, any))
    })
}

/// The session of a request that bears a token.
pub fn session(board: &Board, headers: &HeaderMap) -> Option<Session> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let text = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))?.1;
    let hash = Hash::of(text.trim().as_bytes());
    let keys = board.people.keys();
    let token = keys.tokens.get(&hash.hex()).filter(|token| board.gateway.now_ms() < token.expires_at)?;
    Some(of_program(&token.name, token.role, &token.units, "token", hash.name(), token.expires_at))
}

/// The session of a request over a connection on which a program has shown its certificate: its subject stands in `people.toml`.
pub fn session_by_card(board: &Board, certificate: &CertificateDer<'_>) -> Option<Session> {
    let book = board.people.book();
    let marks = marks(certificate)?;
    let program = marks.iter().find_map(|mark| book.1.get(mark)).filter(|program| !program.ended)?;
    let name = Hash::of(certificate).name();
    // The connection is the session: it is judged anew with the next request.
    Some(of_program(&program.name, program.role, &program.units, "certificate", name, i64::MAX))
}

fn of_program(name: &str, role: Role, units: &Units, way: &'static str, session: String, idle_at: i64) -> Session {
    let (id, units) = (format!("{PROGRAM}{name}"), units.clone());
    let person = Person { id, name: None, role, units, lang: None, card: None, oidc: None, ended: false };
    // Long ago: it is something a program has, not somebody who is there.
    Session { person, name: session, strong_at: i64::MIN / 2, way, idle_at }
}
