//! A way in that works once: for a new person, a lost key, and the first administrator of all.
//!
//! Enters: who, and who says so. Leaves: an address with a code that no log sees, as a browser never sends what stands behind `#`.
//! Invariants: the code is kept as its hash; a new one takes the place of the one before; it is spent in the same breath in
//! which the key it brings is kept.

use super::book::Edit;
use super::credentials::{Keys, Link, Record};
use super::origin;
use super::people::{People, PeopleError, Person, Ways};
use super::secret::{Hash, as_made, readable};
use crate::limits::LINK_MS;
use crate::settings::Settings;

/// A link that has been made: shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub person: String,
    /// `https://HOST:PORT/enter#CODE`.
    pub url: String,
    /// UTC milliseconds.
    pub expires_at: i64,
}

/// For the command line: adds the person if there is none of this id, and makes a link. `by`: who says so, for the record.
///
/// # Errors
/// [`PeopleError`]: the files cannot be read, or the id belongs to somebody with another role, other groups, or who has ended.
pub fn invite(settings: &Settings, wish: &Person, by: &str, now_ms: i64) -> Result<Invitation, PeopleError> {
    let people = People::open(&settings.people, Ways::from(settings))?;
    match people.get(&wish.id) {
        None => people.change(&Edit::Add(wish.clone()))?,
        Some(there) if there.role == wish.role && there.units == wish.units => {}
        Some(there) => {
            let units: Vec<_> = there.units.0.iter().map(String::as_str).collect();
            return Err(PeopleError::Refused(format!(
                "{} is there as {} of {units:?}; take another id, or say the same role and groups for a new link",
                there.id,
                there.role.as_str()
            )));
        }
    }
    link(&people, settings, &wish.id, by, now_ms)
}

/// Makes a link for somebody who is there.
///
/// # Errors
/// [`PeopleError`].
pub fn link(
    people: &People,
    settings: &Settings,
    person: &str,
    by: &str,
    now_ms: i64,
) -> Result<Invitation, PeopleError> {
    if people.in_force(person).is_none() {
        return Err(PeopleError::Refused(format!("{person} is not there, or has ended; a link would lead nowhere")));
    }
    let code = readable()?;
    let expires_at = now_ms + LINK_MS;
    let link = Link { hash: hash_of(&code), person: person.to_owned(), by: by.to_owned(), expires_at };
    people.record(|_| Ok((vec![Record::Link(link)], ())))?;
    Ok(Invitation { person: person.to_owned(), url: format!("{}/enter#{code}", origin(settings)), expires_at })
}

/// What is kept of a code.
pub fn hash_of(code: &str) -> String {
    Hash::of(as_made(code).as_bytes()).hex()
}

/// Whose link this is, if it still works.
pub fn holder(keys: &Keys, hash: &str, now_ms: i64) -> Option<String> {
    keys.links.values().find(|link| link.hash == hash && now_ms < link.expires_at).map(|link| link.person.clone())
}
