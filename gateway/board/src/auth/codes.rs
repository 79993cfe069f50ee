//! Setting up one-time codes by a link, and logging in with them.
//!
//! Enters: a link or a code, in a browser. Leaves: the person. See [`totp`](super::totp) for what holds.

use data_encoding::BASE32_NOPAD;

use super::credentials::{Record, Totp};
use super::doors::Browser;
use super::invite;
use super::passkeys::Ceremony;
use super::people::{PeopleError, Person};
use super::secret::{decode, encode, random};
use super::totp;
use crate::Board;
use crate::gateway::Said;
use crate::limits::CODES_WRONG_MAX;

#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    #[error("one-time codes are not allowed; [board] totp = true allows them")]
    Off,
    #[error("the link has been used, has expired, or never was")]
    Spent,
    #[error("the code is wrong, used, or of another browser")]
    Wrong,
    #[error("too many wrong codes in a row: they have ended, and a new link is needed")]
    Ended,
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl CodeError {
    pub fn said(&self) -> Said {
        match self {
            CodeError::Off => {
                Said::new("Engångskoder är avstängda här. Använd en nyckel.", "One-time codes are off here. Use a key.")
            }
            CodeError::Spent => Said::new(
                "Länken gäller inte längre. Be en administratör om en ny.",
                "The link is no longer valid. Ask an administrator for a new one.",
            ),
            CodeError::Wrong => Said::new(
                "Koden stämmer inte. Den gäller en gång, och bara i webbläsaren där den ställdes in.",
                "The code is not right. It works once, and only in the browser where it was set up.",
            ),
            CodeError::Ended => Said::new(
                "För många fel koder. Be en administratör om en ny länk.",
                "Too many wrong codes. Ask an administrator for a new link.",
            ),
            CodeError::People(_) => {
                Said::new("Det gick inte att spara just nu. Försök igen.", "It could not be saved just now. Try again.")
            }
        }
    }
}

/// What is shown while the first code is waited for.
#[derive(Debug)]
pub struct Asked {
    pub key: String,
    pub address: String,
    pub secret: String,
}

/// Begins to set codes up, for whoever has the link.
///
/// # Errors
/// [`CodeError`].
pub fn ask(board: &Board, browser: &Browser, link: &str) -> Result<Asked, CodeError> {
    if !board.settings.totp {
        return Err(CodeError::Off);
    }
    let (hash, now_ms) = (invite::hash_of(link), board.gateway.now_ms());
    let person = invite::holder(&board.people.keys(), &hash, now_ms).ok_or(CodeError::Spent)?;
    let secret = random::<20>().map_err(PeopleError::from)?;
    let key = random::<16>().map_err(PeopleError::from)?;
    let asked = Asked {
        key: encode(&key),
        address: totp::address(&person, &board.settings.host, &secret),
        secret: BASE32_NOPAD.encode(&secret),
    };
    let what = Ceremony::Totp { secret, link: hash };
    board.doors.inner().ceremonies.begin(key.to_vec(), browser.device, browser.place, now_ms, what);
    Ok(asked)
}

/// Keeps the codes when the first one is right, and spends the link.
///
/// # Errors
/// [`CodeError`].
pub fn prove(board: &Board, browser: &Browser, key: &str, typed: &str) -> Result<Person, CodeError> {
    let now_ms = board.gateway.now_ms();
    let key = decode(key).ok_or(CodeError::Spent)?;
    let taken = board.doors.inner().ceremonies.take(&key, browser.device, now_ms);
    let Some(Ceremony::Totp { secret, link }) = taken else { return Err(CodeError::Spent) };
    let step = totp::matching(&secret, 0, typed, now_ms).ok_or(CodeError::Wrong)?;
    let person = board.people.record(|keys| {
        let Some(person) = invite::holder(keys, &link, now_ms) else { return Ok((Vec::new(), Err(CodeError::Spent))) };
        let (secret, device) = (encode(&secret), browser.device.hex());
        let totp = Totp { person: person.clone(), secret, device, step, added_at: now_ms };
        Ok((vec![Record::LinkUsed { hash: link }, Record::Totp(totp)], Ok(person)))
    })??;
    board.people.in_force(&person).ok_or(CodeError::Spent)
}

/// Who has typed the right code.
///
/// # Errors
/// [`CodeError`].
pub fn log_in(board: &Board, browser: &Browser, person: &str, typed: &str) -> Result<Person, CodeError> {
    if !board.settings.totp {
        return Err(CodeError::Off);
    }
    let now_ms = board.gateway.now_ms();
    let device = browser.device.hex();
    let judged = board.people.record(|keys| {
        let Some(totp) = keys.totp.get(person).filter(|totp| totp.device == device) else {
            return Ok((Vec::new(), Err(CodeError::Wrong)));
        };
        let wrong = {
            let mut inner = board.doors.inner();
            let wrong = inner.codes_wrong.entry(person.to_owned()).or_default();
            *wrong += 1;
            *wrong
        };
        Ok(match totp.matching(&device, typed, now_ms) {
            Some(step) => (vec![Record::TotpUsed { person: person.to_owned(), step }], Ok(())),
            None if wrong >= CODES_WRONG_MAX => {
                (vec![Record::TotpGone { person: person.to_owned() }], Err(CodeError::Ended))
            }
            None => (Vec::new(), Err(CodeError::Wrong)),
        })
    })?;
    if matches!(judged, Ok(()) | Err(CodeError::Ended)) {
        board.doors.inner().codes_wrong.remove(person);
    }
    judged?;
    board.people.in_force(person).ok_or(CodeError::Wrong)
}
