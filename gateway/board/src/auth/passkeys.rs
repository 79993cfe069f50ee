//! Passkeys: log-in and registration by WebAuthn, user verification always required, no name typed.
//!
//! Enters: what the browser's `navigator.credentials` answers. Leaves: the person whose key it is. Invariants: an answer counts
//! once, in the browser that was asked; a counter that runs backwards is refused and not kept.

use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::auth::AuthenticationVerificationOptions;
use webauthn_rp::request::register::{
    CredProtect, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, UserHandle64, Username,
};
use webauthn_rp::request::{AsciiDomain, ExtensionInfo, PublicKeyCredentialDescriptor, RpId, TimedCeremony};
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication64, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions, PublicKeyCredentialCreationOptions, Registration, RegistrationServerState,
};

use super::credentials::{Keys, Passkey, Record};
use super::doors::Browser;
use super::people::{PeopleError, Person};
use super::secret::{decode, encode, random};
use super::{invite, origin};
use crate::Board;
use crate::gateway::Said;
use crate::limits::{NAME_CHARS_MAX, PASSKEYS_MAX};
use crate::settings::Settings;

/// A ceremony that waits for its answer.
#[derive(Debug)]
pub enum Ceremony {
    LogIn(DiscoverableAuthenticationServerState),
    Register {
        state: RegistrationServerState<64>,
        person: String,
        by: By,
    },
    /// One-time codes whose first one is waited for.
    Totp {
        secret: [u8; 20],
        link: String,
    },
}

/// What gives the right to add a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A one-time link, by its hash.
    Link(String),
    /// A session that is fresh.
    Own,
}

/// Why a key does not open.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("reading a key's answer: {0}")]
    Unreadable(String),
    #[error("no log-in waits for this answer: it was late, already used, or begun in another browser")]
    Late,
    #[error("this key is not known here, or its owner's work here has ended")]
    Unknown,
    #[error("checking a key's answer: {0}")]
    Refused(String),
    #[error("the link has been used, has expired, or never was")]
    Spent,
    #[error("{0} has {PASSKEYS_MAX} keys; remove one first")]
    TooMany(String),
    #[error("[board] host {0:?} is no name passkeys can be made for; use a domain name or localhost")]
    Host(String),
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl KeyError {
    /// For whoever stands there.
    pub fn said(&self) -> Said {
        match self {
            KeyError::Unreadable(_) => Said::new(
                "Nyckelns svar gick inte att läsa. Försök igen.",
                "The key's answer could not be read. Try again.",
            ),
            KeyError::Late => Said::new("Det tog för lång tid. Försök igen.", "It took too long. Try again."),
            KeyError::Unknown => Said::new(
                "Nyckeln hör inte till någon här. Be en administratör om en länk.",
                "This key belongs to nobody here. Ask an administrator for a link.",
            ),
            KeyError::Refused(_) => Said::new(
                "Nyckeln godtogs inte. Den måste fråga efter PIN, finger eller ansikte. Försök igen, eller använd en annan nyckel.",
                "The key was not accepted. It must ask for a PIN, a finger or a face. Try again, or use another key.",
            ),
            KeyError::Spent => Said::new(
                "Länken gäller inte längre. Be en administratör om en ny.",
                "The link is no longer valid. Ask an administrator for a new one.",
            ),
            KeyError::TooMany(_) => Said::new(
                "Du har så många nycklar som går. Ta bort en först.",
                "You have as many keys as there can be. Remove one first.",
            ),
            KeyError::Host(_) | KeyError::People(_) => Said::new(
                "Det gick inte att spara just nu. Försök igen, och säg annars till en administratör.",
                "It could not be saved just now. Try again, or else tell an administrator.",
            ),
        }
    }
}

/// What the browser is asked in order to log in, as JSON.
///
/// # Errors
/// [`KeyError`].
pub fn ask_log_in(board: &Board, browser: &Browser) -> Result<Vec<u8>, KeyError> {
    let rp = rp(&board.settings)?;
    let started = DiscoverableCredentialRequestOptions::passkey(&rp).start_ceremony();
    let (state, asked) = started.map_err(|e| KeyError::Refused(e.to_string()))?;
    let key = state.sent_challenge().0.to_le_bytes().to_vec();
    let now_ms = board.gateway.now_ms();
    board.doors.inner().ceremonies.begin(key, browser.device, browser.place, now_ms, Ceremony::LogIn(state));
    serde_json::to_vec(&asked).map_err(|e| KeyError::Unreadable(e.to_string()))
}

/// Whose key has answered.
///
/// # Errors
/// [`KeyError`].
pub fn log_in(board: &Board, browser: &Browser, answer: &[u8]) -> Result<Person, KeyError> {
    let answer = DiscoverableAuthentication64::from_json_relaxed(answer).map_err(unreadable)?;
    let challenge = answer.challenge_relaxed().map_err(unreadable)?;
    let now_ms = board.gateway.now_ms();
    // Out before it is judged: whatever comes of it, it counts once.
    let taken = board.doors.inner().ceremonies.take(&challenge.0.to_le_bytes(), browser.device, now_ms);
    let Some(Ceremony::LogIn(state)) = taken else { return Err(KeyError::Late) };

    let id = encode(answer.raw_id().as_ref());
    let (rp, origin) = (rp(&board.settings)?, origin(&board.settings));
    let options = AuthenticationVerificationOptions::<'_, '_, &str, &str> {
        allowed_origins: &[&origin],
        error_on_unsolicited_extensions: false,
        ..AuthenticationVerificationOptions::default()
    };
    // Judged while nobody else writes: two answers with the same counter are not both right.
    let person = board.people.record(|keys| {
        let judged = judge(keys, &id, state, &rp, &answer, &options);
        Ok(match judged {
            Ok((person, Some(dynamic))) => {
                (vec![Record::PasskeyUsed { id: id.clone(), dynamic, at: now_ms }], Ok(person))
            }
            Ok((person, None)) => (Vec::new(), Ok(person)),
            Err(e) => (Vec::new(), Err(e)),
        })
    })??;
    board.people.in_force(&person).ok_or(KeyError::Unknown)
}

/// The person, and what has changed about the key.
fn judge(
    keys: &Keys,
    id: &str,
    state: DiscoverableAuthenticationServerState,
    rp: &RpId,
    answer: &DiscoverableAuthentication64,
    options: &AuthenticationVerificationOptions<'_, '_, &str, &str>,
) -> Result<(String, Option<String>), KeyError> {
    let key = keys.passkeys.get(id).ok_or(KeyError::Unknown)?;
    let handle = keys.handles.get(&key.person).and_then(|handle| handle_of(handle)).ok_or(KeyError::Unknown)?;
    let damaged = |what: &str| KeyError::Refused(format!("key {} in credentials.jsonl has damaged {what}", short(id)));
    let stable = decode(&key.stable).ok_or_else(|| damaged("bytes"))?;
    let stable = StaticState::<CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>>::decode(stable.as_slice());
    let dynamic = decode(&key.dynamic).and_then(|bytes| <[u8; 7]>::try_from(bytes).ok());
    let dynamic = dynamic.and_then(|bytes| DynamicState::decode(bytes).ok()).ok_or_else(|| damaged("state"))?;
    let stable = stable.map_err(|_| damaged("public key"))?;
    let raw = decode(id).ok_or_else(|| damaged("id"))?;
    let credential_id = CredentialId::<&[u8]>::decode(raw.as_slice()).map_err(|_| damaged("id"))?;
    let known = AuthenticatedCredential::new(credential_id, &handle, stable, dynamic);
    let mut known = known.map_err(|e| KeyError::Refused(e.to_string()))?;
    let changed = state
        .verify(rp, answer, &mut known, options)
        .map_err(|e| KeyError::Refused(format!("{e} (key {})", short(id))))?;
    let Ok(dynamic) = known.dynamic_state().encode();
    Ok((key.person.clone(), changed.then(|| encode(&dynamic))))
}

/// What the browser is asked in order to make a key for this person, as JSON.
///
/// # Errors
/// [`KeyError`].
pub fn ask_register(board: &Board, browser: &Browser, person: &Person, by: By) -> Result<Vec<u8>, KeyError> {
    let rp = rp(&board.settings)?;
    let handle = own_handle(board, &person.id)?;
    let keys = board.people.keys();
    let theirs = keys.passkeys_of(&person.id);
    if theirs.len() >= PASSKEYS_MAX {
        return Err(KeyError::TooMany(person.id.clone()));
    }
    let there = theirs.into_iter().filter_map(|key| {
        let id = CredentialId::<Vec<u8>>::decode(decode(&key.id)?).ok()?;
        Some(PublicKeyCredentialDescriptor { id, transports: AuthTransports::decode(key.transports).ok()? })
    });
    // The id, not the name: it is kept on the key, and shown by whoever finds it.
    let name = Username::try_from(person.id.as_str()).map_err(|e| KeyError::Refused(e.to_string()))?;
    let user = PublicKeyCredentialUserEntity { name, id: &handle, display_name: None };
    let mut options = PublicKeyCredentialCreationOptions::passkey(&rp, user, there.collect());
    // Asked for, not enforced: authenticators without it would fail with nothing that a person understands.
    options.extensions.cred_protect = CredProtect::UserVerificationRequired(ExtensionInfo::AllowDontEnforceValue);
    let (state, asked) = options.start_ceremony().map_err(|e| KeyError::Refused(e.to_string()))?;
    let json = serde_json::to_vec(&asked).map_err(|e| KeyError::Unreadable(e.to_string()))?;
    let key = state.sent_challenge().0.to_le_bytes().to_vec();
    let what = Ceremony::Register { state, person: person.id.clone(), by };
    let now_ms = board.gateway.now_ms();
    board.doors.inner().ceremonies.begin(key, browser.device, browser.place, now_ms, what);
    Ok(json)
}

/// Keeps the new key. `own`: whose session it is, where one adds it. Answers whose key it is, and its id.
///
/// # Errors
/// [`KeyError`]; then nothing is kept, and a link is not spent.
pub fn register(
    board: &Board,
    browser: &Browser,
    answer: &[u8],
    label: &str,
    own: Option<&Person>,
) -> Result<(Person, String), KeyError> {
    let answer = Registration::from_json_relaxed(answer).map_err(unreadable)?;
    let challenge = answer.challenge_relaxed().map_err(unreadable)?;
    let now_ms = board.gateway.now_ms();
    let taken = board.doors.inner().ceremonies.take(&challenge.0.to_le_bytes(), browser.device, now_ms);
    let Some(Ceremony::Register { state, person, by }) = taken else { return Err(KeyError::Late) };
    if (by == By::Own) != (own.map(|own| &own.id) == Some(&person)) {
        return Err(KeyError::Late);
    }
    let (rp, origin) = (rp(&board.settings)?, origin(&board.settings));
    let options = RegistrationVerificationOptions::<'_, '_, &str, &str> {
        allowed_origins: &[&origin],
        error_on_unsolicited_extensions: false,
        ..RegistrationVerificationOptions::default()
    };
    let made = state.verify(&rp, &answer, &options).map_err(|e| KeyError::Refused(e.to_string()))?;
    let (Ok(stable), Ok(dynamic), Ok(transports)) =
        (made.static_state().encode(), made.dynamic_state().encode(), made.transports().encode());
    let id = encode(made.id().as_ref());
    let key = Passkey {
        id: id.clone(),
        person: person.clone(),
        label: label.trim().chars().take(NAME_CHARS_MAX).collect(),
        stable: encode(&stable),
        dynamic: encode(&dynamic),
        transports,
        added_at: now_ms,
        used_at: None,
    };
    let in_force = board.people.in_force(&person).ok_or(KeyError::Unknown)?;
    board.people.record(|keys| {
        let mut records = Vec::new();
        if let By::Link(hash) = by {
            if invite::holder(keys, &hash, now_ms).as_ref() != Some(&person) {
                return Ok((Vec::new(), Err(KeyError::Spent)));
            }
            // First: torn after this line, the link is spent and nobody has come in.
            records.push(Record::LinkUsed { hash });
        }
        if keys.passkeys.contains_key(&key.id) {
            return Ok((Vec::new(), Err(KeyError::Refused("this key is registered already".to_owned()))));
        }
        records.push(Record::Passkey(key));
        Ok((records, Ok(())))
    })??;
    Ok((in_force, id))
}

/// What a key is called in the log: enough to tell it from others.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn own_handle(board: &Board, person: &str) -> Result<UserHandle64, KeyError> {
    let fresh = encode(&random::<64>().map_err(PeopleError::from)?);
    let handle = board.people.record(|keys| match keys.handles.get(person) {
        Some(there) => Ok((Vec::new(), there.clone())),
        None => Ok((vec![Record::Handle { person: person.to_owned(), handle: fresh.clone() }], fresh)),
    })?;
    handle_of(&handle)
        .ok_or_else(|| KeyError::Refused(format!("the handle of {person} in credentials.jsonl is damaged")))
}

fn handle_of(text: &str) -> Option<UserHandle64> {
    let Ok(handle) = UserHandle64::decode(<[u8; 64]>::try_from(decode(text)?).ok()?);
    Some(handle)
}

fn rp(settings: &Settings) -> Result<RpId, KeyError> {
    let domain = AsciiDomain::try_from(settings.host.clone());
    domain.map(RpId::Domain).map_err(|_| KeyError::Host(settings.host.clone()))
}

fn unreadable(e: serde_json::Error) -> KeyError {
    KeyError::Unreadable(e.to_string())
}
