//! Tokens by which programs use `/api`: made by an administrator, for one program, with a role and groups, until a day.
//!
//! Invariants: a token is kept as its hash and shown once; it never counts as a fresh log-in, so nothing sensitive is done by one.

use axum::http::{HeaderMap, header};

use super::book::PROGRAM;
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
    let person = Person {
        id: format!("{PROGRAM}{}", token.name),
        name: None,
        role: token.role,
        units: token.units.clone(),
        lang: None,
        card: None,
        oidc: None,
        ended: false,
    };
    // Long ago: it is something a program has, not somebody who is there.
    Some(Session { person, name: hash.name(), strong_at: i64::MIN / 2, way: "token", idle_at: token.expires_at })
}
