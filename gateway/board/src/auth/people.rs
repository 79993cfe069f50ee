//! Who may log in: `people.toml`, readable by people, and beside it what their keys are known by.
//!
//! Enters: both files, whoever writes them. Leaves: people and keys as the files say this moment.
//! Invariants: a file that is wrong leaves what was read before in force; no act of the board or the command line takes the
//! last administrator who can log in away; writers hold the folder's lock, so that two never mix.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::book::{Book, Edit, Wrong, edited};
use super::credentials::{self, Keys, Record};
use super::roles::{Role, Units};
use super::secret::NoRandom;
use crate::gateway::Lang;
use crate::limits::CREDENTIALS_BYTES_SPARE;
use crate::settings::Settings;

/// One person. The id is what the journal keeps; a name, where it is wanted, stands here alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// `[a-z0-9-]{1,32}`, e.g. `natt-07`.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub role: Role,
    /// Groups of residents; `*` is every one. None: no resident.
    #[serde(default)]
    pub units: Units,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    /// The subject of a client certificate, e.g. `SERIALNUMBER=SE2321000016-1003`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// What the identity provider calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<String>,
    #[serde(default)]
    pub ended: bool,
}

/// Which ways to log in are set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    pub card: bool,
    pub oidc: bool,
    pub totp: bool,
}

impl From<&Settings> for Ways {
    fn from(settings: &Settings) -> Self {
        Ways { card: settings.card.is_some(), oidc: settings.oidc.is_some(), totp: settings.totp }
    }
}

/// Why people or keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error("reading or writing {}: {source}; the gateway's user must own it and its folder", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("{}, line {line}: {what}", file.display())]
    Wrong { file: PathBuf, line: usize, what: String },
    #[error("changing people: {0}")]
    Refused(String),
    #[error("{0} is the last administrator who can log in; let another one log in first")]
    LastAdmin(String),
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

/// What tells that a file is another one than last time.
type Stamp = Option<(u64, i64, i64, u64)>;

#[derive(Debug, Default)]
struct State {
    book: Arc<Book>,
    keys: Arc<Keys>,
    stamps: (Stamp, Stamp),
    problem: Option<String>,
}

/// Everybody who may log in, and their keys.
#[derive(Debug)]
pub struct People {
    file: PathBuf,
    credentials: PathBuf,
    ways: Ways,
    state: RwLock<State>,
}

impl People {
    /// Opens `people.toml` and the keys beside it; neither need be there yet.
    ///
    /// # Errors
    /// [`PeopleError`] naming file and line.
    pub fn open(file: &Path, ways: Ways) -> Result<Self, PeopleError> {
        let credentials = file.with_file_name("credentials.jsonl");
        let people = People { file: file.to_owned(), credentials, ways, state: RwLock::default() };
        let (book, keys) = people.read_again();
        book.and(keys)?;
        people.shorten()?;
        Ok(people)
    }

    /// Somebody of this id, also one whose work here has ended.
    pub fn get(&self, id: &str) -> Option<Person> {
        self.book().0.get(id).cloned()
    }

    /// Somebody of this id who may log in.
    pub fn in_force(&self, id: &str) -> Option<Person> {
        self.get(id).filter(|person| !person.ended)
    }

    /// Everybody, as the file says now.
    pub fn book(&self) -> Arc<Book> {
        self.look_again();
        self.state.read().unwrap_or_else(PoisonError::into_inner).book.clone()
    }

    /// All keys, as the file says now.
    pub fn keys(&self) -> Arc<Keys> {
        self.look_again();
        self.state.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    pub fn ways(&self) -> Ways {
        self.ways
    }

    /// What is wrong with the files, while something is: then what was read before is in force.
    pub fn problem(&self) -> Option<String> {
        self.look_again();
        self.state.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// Whether there is a way that this person can log in by.
    pub fn can_log_in(&self, person: &Person) -> bool {
        can_log_in(person, &self.keys(), self.ways)
    }

    /// Changes `people.toml`; on the disk and in force when it returns.
    ///
    /// # Errors
    /// [`PeopleError`]; then nothing has changed.
    pub fn change(&self, edit: &Edit) -> Result<(), PeopleError> {
        let _lock = self.lock()?;
        self.read_again().0?;
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => HEAD.to_owned(),
            Err(source) => return Err(PeopleError::File { file: self.file.clone(), source }),
        };
        let refused = |wrong: Wrong| PeopleError::Refused(wrong.what);
        let text = edited(&text, edit).map_err(refused)?;
        let book = Book::read(&text).map_err(refused)?;
        self.keep_an_admin(&book, &self.keys())?;
        // Behind a link stands the file that is meant.
        let file = self.file.canonicalize().unwrap_or_else(|_| self.file.clone());
        credentials::replace(&file, text.as_bytes(), 0o640).map_err(in_file(&self.file))?;
        self.read_again().0
    }

    /// Writes what `decide` says about keys; on the disk and in force when it returns. It sees the keys as they are, and nobody
    /// writes in between: what is spent is spent once.
    ///
    /// # Errors
    /// [`PeopleError`]; then nothing is written.
    pub fn record<T>(
        &self,
        decide: impl FnOnce(&Keys) -> Result<(Vec<Record>, T), PeopleError>,
    ) -> Result<T, PeopleError> {
        let _lock = self.lock()?;
        // People who cannot be read again do not keep a key from being used.
        self.read_again().1?;
        let keys = self.keys();
        let (records, answer) = decide(&keys)?;
        let mut after = Keys::clone(&keys);
        records.iter().cloned().for_each(|record| after.fold(record));
        if records.is_empty() {
            return Ok(answer);
        }
        self.keep_an_admin(&self.book(), &after)?;
        credentials::append(&self.credentials, &records).map_err(in_file(&self.credentials))?;
        self.read_again().1?;
        Ok(answer)
    }

    /// Refuses what takes the last administrator who can log in away.
    fn keep_an_admin(&self, book: &Book, keys: &Keys) -> Result<(), PeopleError> {
        let admins = |book: &Book, keys: &Keys| -> Vec<String> {
            let able =
                book.0.values().filter(|person| person.role == Role::Admin && can_log_in(person, keys, self.ways));
            able.map(|person| person.id.clone()).collect()
        };
        let before = admins(&self.book(), &self.keys());
        match before.first() {
            Some(last) if admins(book, keys).is_empty() => Err(PeopleError::LastAdmin(last.clone())),
            _ => Ok(()),
        }
    }

    fn look_again(&self) {
        let stamps = (stamp(&self.file), stamp(&self.credentials));
        if self.state.read().unwrap_or_else(PoisonError::into_inner).stamps != stamps {
            let (book, keys) = self.read_again();
            for e in [book, keys].into_iter().filter_map(Result::err) {
                warn!("{e}; what was read before stays in force");
            }
        }
    }

    /// Each file by itself: one that is wrong does not hold up the other.
    fn read_again(&self) -> (Result<(), PeopleError>, Result<(), PeopleError>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Stamped before it is read: a change in between is seen next time.
        let stamps = (stamp(&self.file), stamp(&self.credentials));
        if state.stamps == stamps && state.problem.is_none() {
            return (Ok(()), Ok(()));
        }
        state.stamps = stamps;
        let book = self.read_book().map(|book| state.book = Arc::new(book));
        let keys = self.read_keys().map(|keys| state.keys = Arc::new(keys));
        state.problem = [&book, &keys].into_iter().find_map(|read| read.as_ref().err()).map(PeopleError::to_string);
        (book, keys)
    }

    fn read_book(&self) -> Result<Book, PeopleError> {
        match fs::read_to_string(&self.file) {
            Ok(text) => Book::read(&text).map_err(in_line(&self.file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Book::default()),
            Err(e) => Err(in_file(&self.file)(e)),
        }
    }

    fn read_keys(&self) -> Result<Keys, PeopleError> {
        Keys::read(&self.credentials).map_err(in_file(&self.credentials))?.map_err(in_line(&self.credentials))
    }

    /// Writes the keys anew where most lines have been overtaken.
    fn shorten(&self) -> Result<(), PeopleError> {
        if !self.credentials.exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        self.read_again().1?;
        let (wrap, keys) = (in_file(&self.credentials), self.keys());
        let short = credentials::lines(&keys.records()).map_err(&wrap)?;
        let long = fs::metadata(&self.credentials).map_or(0, |data| data.len());
        if long > short.len() as u64 * 2 + CREDENTIALS_BYTES_SPARE {
            credentials::replace(&self.credentials, &short, 0o600).map_err(wrap)?;
            self.read_again().1?;
        }
        Ok(())
    }

    /// Held until dropped.
    fn lock(&self) -> Result<File, PeopleError> {
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = File::open(folder).map_err(in_file(folder))?;
        rustix::fs::flock(&dir, FlockOperation::LockExclusive).map_err(|e| in_file(folder)(e.into()))?;
        Ok(dir)
    }
}

const HEAD: &str = "# Who may log in to the staff board. Changed by hand, by `vaka people` and by the board itself; it holds at once.\n";

fn can_log_in(person: &Person, keys: &Keys, ways: Ways) -> bool {
    let by_key = || keys.passkeys.values().any(|one| one.person == person.id);
    let by_card = ways.card && person.card.is_some();
    let by_provider = ways.oidc && person.oidc.is_some();
    let by_code = ways.totp && keys.totp.contains_key(&person.id);
    !person.ended && (by_card || by_provider || by_code || by_key())
}

fn in_file(file: &Path) -> impl Fn(io::Error) -> PeopleError + use<> {
    let file = file.to_owned();
    move |source| PeopleError::File { file: file.clone(), source }
}

fn in_line(file: &Path) -> impl Fn(Wrong) -> PeopleError + use<> {
    let file = file.to_owned();
    move |wrong| PeopleError::Wrong { file: file.clone(), line: wrong.line, what: wrong.what }
}

fn stamp(file: &Path) -> Stamp {
    fs::metadata(file).ok().map(|data| (data.ino(), data.mtime(), data.mtime_nsec(), data.len()))
}

#[cfg(test)]
#[path = "people_tests.rs"]
pub(crate) mod tests;
