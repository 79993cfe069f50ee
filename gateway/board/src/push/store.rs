//! Which phones are to be told: `push.jsonl` beside people.toml, one subscription a line, written whole, atomically.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::vapid::Key;
use crate::auth::credentials::replace;
use crate::auth::secret::decode;
use crate::limits::{PUSH_ENDPOINT_BYTES_MAX, PUSH_PER_PERSON_MAX};

/// A phone, as its browser gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub person: String,
    pub endpoint: String,
    /// An uncompressed point, 65 bytes.
    pub p256dh: Vec<u8>,
    /// 16 bytes.
    pub auth: Vec<u8>,
}

impl Subscription {
    /// `None`: the keys are not what they should be.
    pub fn new(person: &str, endpoint: String, p256dh: &str, auth: &str) -> Option<Self> {
        let (p256dh, auth) = (decode(p256dh)?, decode(auth)?);
        let fits =
            p256dh.len() == 65 && p256dh[0] == 4 && auth.len() == 16 && endpoint.len() <= PUSH_ENDPOINT_BYTES_MAX;
        fits.then(|| Subscription { person: person.to_owned(), endpoint, p256dh, auth })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("keeping which phones are told in {}: {source}; the gateway's user must own it and its folder", file.display())]
pub struct StoreError {
    file: PathBuf,
    source: io::Error,
}

/// All phones, and the key they subscribe to.
pub struct Store {
    file: PathBuf,
    key_file: PathBuf,
    known: Mutex<State>,
}

#[derive(Default)]
struct State {
    phones: Vec<Subscription>,
    key: Option<Key>,
}

impl Store {
    /// Beside people.toml. Lines that cannot be read are left out: their phones subscribe again at the next log-in.
    ///
    /// # Errors
    /// [`StoreError`], where the file is there and cannot be read.
    pub fn open(people: &Path) -> Result<Self, StoreError> {
        let file = people.with_file_name("push.jsonl");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(StoreError { file, source }),
        };
        let phones = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let key_file = people.with_file_name("push.key");
        Ok(Store { file, key_file, known: Mutex::new(State { phones, key: None }) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn all(&self) -> Vec<Subscription> {
        self.lock().phones.clone()
    }

    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub fn add(&self, subscription: Subscription) -> Result<(), StoreError> {
        let mut known = self.lock();
        let mut phones = known.phones.clone();
        phones.retain(|phone| phone.endpoint != subscription.endpoint);
        // The oldest of a person's phones makes room.
        let theirs = phones.iter().filter(|phone| phone.person == subscription.person).count();
        if theirs >= PUSH_PER_PERSON_MAX
            && let Some(oldest) = phones.iter().position(|phone| phone.person == subscription.person)
        {
            phones.remove(oldest);
        }
        phones.push(subscription);
        self.write(&phones)?;
        known.phones = phones;
        Ok(())
    }

    /// Of this person alone, where one is named.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub fn remove(&self, endpoint: &str, person: Option<&str>) -> Result<(), StoreError> {
        let mut known = self.lock();
        let mut phones = known.phones.clone();
        phones.retain(|phone| phone.endpoint != endpoint || person.is_some_and(|person| phone.person != person));
        self.write(&phones)?;
        known.phones = phones;
        Ok(())
    }

    fn write(&self, phones: &[Subscription]) -> Result<(), StoreError> {
        let lines: Result<Vec<String>, _> = phones.iter().map(serde_json::to_string).collect();
        let written = lines.map_err(io::Error::other).and_then(|lines| {
            let text: String = lines.into_iter().map(|line| line + "\n").collect();
            replace(&self.file, text.as_bytes(), 0o600)
        });
        written.map_err(|source| StoreError { file: self.file.clone(), source })
    }

    fn with_key<T>(&self, use_it: impl FnOnce(&Key) -> T) -> Result<T, StoreError> {
        let mut known = self.lock();
        if known.key.is_none() {
            let made = Key::open(&self.key_file);
            known.key = Some(made.map_err(|source| StoreError { file: self.key_file.clone(), source })?);
        }
        known
            .key
            .as_ref()
            .map(use_it)
            .ok_or_else(|| StoreError { file: self.key_file.clone(), source: io::Error::other("no key") })
    }

    /// # Errors
    /// [`StoreError`].
    pub fn public_key(&self) -> Result<String, StoreError> {
        self.with_key(Key::public)
    }

    pub(super) fn authorization(&self, audience: &str, subject: &str, now_ms: i64) -> Result<String, String> {
        self.with_key(|key| key.authorization(audience, subject, now_ms)).map_err(|e| e.to_string())?
    }
}
