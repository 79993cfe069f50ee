//! The journal's file `keys`: every data key, and the numbers of those that are erased.
//!
//! Enters: the file, the home's key. Leaves: bodies sealed and opened; the file replaced where a key comes or goes.
//! Format: `VAKAKEYS`, version (u16, little-endian), then the JSON of [`Kept`], sealed under the home's key. Version 1 knows no periods, and is
//! what is written as long as there are none: an older program that would drop them does not open version 2. That number is for older programs:
//! it is under no tag, and one changed bit must stop no home, so this one goes by [`Kept::format`], which is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ring::aead::LessSafeKey;
use serde::{Deserialize, Serialize};

use crate::body::{self, Place};
use crate::home::{fresh, hex, unhex};
use crate::nonces::Nonces;
use crate::periods::{self, PERIODS_MAX, Period, Periods};
use crate::{HOME_ID, HomeKey, KEY_BYTES, KEYS_MAX, KeyError, file};

const MAGIC: &[u8; 8] = b"VAKAKEYS";
/// Without periods, and with.
const VERSIONS: [u16; 2] = [1, 2];
/// The newest that this program reads.
const FORMAT: u16 = VERSIONS[1];
/// Keys of a person and a period together that are at hand. Source: our choice; beyond, they are derived anew, microseconds each.
const DERIVED_MAX: usize = 1_024;
/// The first file of keys in a journal's folder.
pub const NAME: &str = "keys";

/// Folders in the journal's whose records were sealed with keys that were lost, in order, each with the file that was.
pub fn unread(journal: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut numbers: Vec<usize> =
        numbers(journal, "unread-").filter(|(_, path)| path.is_dir()).map(|found| found.0).collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| (journal.join(format!("unread-{number}")), journal.join(name(number)))).collect()
}

/// Most losses that are counted: a person's copy that bears a date (`keys-20261124`) is none of them.
const LOSSES_MAX: usize = 999;

/// What lies in the folder under a name with a number, and what this program itself leaves beside that: `keys-2`, `keys-2.damaged`.
fn numbers(journal: &Path, prefix: &str) -> impl Iterator<Item = (usize, PathBuf)> {
    let number = move |entry: fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_str()?.strip_prefix(prefix)?;
        let (number, rest) = name.split_once('.').unwrap_or((name, ""));
        let is_ours = matches!(rest, "" | "new" | "old" | "damaged") || rest.starts_with("damaged-");
        let number = number.parse().ok().filter(|_| is_ours)?;
        (1..=LOSSES_MAX).contains(&number).then(|| (number, entry.path()))
    };
    fs::read_dir(journal).into_iter().flatten().flatten().filter_map(number)
}

fn name(number: usize) -> String {
    if number == 1 { NAME.to_owned() } else { format!("{NAME}-{number}") }
}

/// The file of keys that the journal in this folder has, or would have: a name of its own after each loss, so that what is put back later
/// overwrites nothing.
pub fn ring_path(journal: &Path) -> PathBuf {
    // A folder that a person has removed takes no name with it: the newest keys stay the journal's, also where they are lost by now.
    // A copy that a person has made beside keys that never were lost is none.
    let is_first = journal.join(NAME).exists();
    let followed = |number: &usize| !is_first || journal.join(format!("unread-{}", number - 1)).is_dir();
    let of_keys = numbers(journal, "keys-").map(|found| found.0).filter(followed);
    let of_losses = numbers(journal, "unread-").filter(|(_, path)| path.is_dir()).map(|found| found.0 + 1);
    journal.join(name(of_keys.chain(of_losses).max().unwrap_or(1)))
}

/// The number in the name of a journal's file of keys, from 1: what it sealed goes to the folder of that number if it is lost.
pub fn ring_number(ring: &Path) -> usize {
    let number = |name: &str| name.strip_prefix("keys-")?.parse().ok();
    ring.file_name().and_then(|name| name.to_str()).and_then(number).unwrap_or(1)
}

/// How far the numbers of a journal's keys went: neither goes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The number that the next key gets.
    next: u32,
    /// The newest period's number.
    periods: u32,
}

/// As what the file itself is sealed: no record has this place.
const OWN: Place = Place { seq: u64::MAX, kind: 0 };

/// Whose a key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// What is about nobody alone.
    Home,
    /// Saved folds: everybody is in them, so they have a new key whenever somebody is erased.
    Folds,
    /// A resident, by id, and the devices that were ever theirs.
    Resident { id: String, devices: BTreeSet<String> },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Key {
    of: Of,
    /// Hexadecimal.
    key: String,
}

/// What stands in the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    /// The version again, sealed. 0: of a program that wrote it in front alone, and knew no version after 2.
    #[serde(default)]
    format: u16,
    /// The number that the next key gets.
    next: u32,
    keys: BTreeMap<u32, Key>,
    /// Keys that are gone for good.
    erased: BTreeSet<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    periods: Periods,
}

/// What every version says of itself.
#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    format: u16,
}

/// All keys of a journal.
pub struct Ring {
    path: PathBuf,
    home: HomeKey,
    kept: Kept,
    ciphers: BTreeMap<u32, LessSafeKey>,
    residents: BTreeMap<String, u32>,
    folds: u32,
    nonces: Nonces,
    /// Of periods, by number, and of both together, by the number in a record's header.
    times: BTreeMap<u32, [u8; KEY_BYTES]>,
    derived: Mutex<BTreeMap<u32, LessSafeKey>>,
    /// Why an earlier file beside this one could not be overwritten; empty: there is none.
    leftover: String,
    /// Which period each class is written to.
    current: BTreeMap<String, u32>,
    /// Keys that are to go: nobody's any more, see [`Ring::doom`].
    doomed: BTreeSet<u32>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ring({}, {} keys)", self.path.display(), self.ciphers.len())
    }
}

impl Ring {
    /// The keys of the journal in this folder; `None`: it has none, and nothing in it is sealed.
    ///
    /// # Errors
    /// [`KeyError`]: where there are keys that cannot be had.
    pub fn load(journal: &Path) -> Result<Option<Ring>, KeyError> {
        Ring::load_from(&ring_path(journal), journal)
    }

    /// [`Ring::load`] of this file, which may have been kept elsewhere, with any home's key there is for `journal`.
    ///
    /// # Errors
    /// As [`Ring::load`].
    pub fn load_from(path: &Path, journal: &Path) -> Result<Option<Ring>, KeyError> {
        let path = path.to_owned();
        let bytes = match file::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyError::File { attempt: "reading", path, source }),
        };
        let damaged = || KeyError::Damaged(path.clone());
        let (version, sealed) =
            bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk()).ok_or_else(damaged)?;
        let version = u16::from_le_bytes(*version);
        let (homes, trouble) = HomeKey::all(journal);
        let opened = |home: &HomeKey| body::open(&body::cipher(&home.bytes), OWN, sealed);
        if let Some((home, plain)) = homes.iter().find_map(|home| Some((home, opened(home)?))) {
            // Whatever else a newer program has put there.
            let said: Option<Format> = serde_json::from_slice(&plain).ok();
            if let Some(Format { format: version }) = said.filter(|said| said.format > FORMAT) {
                return Err(KeyError::Newer { ring: path, version });
            }
            let not_keys = |why: String| KeyError::NotKeys { ring: path.clone(), home: home.from.clone(), why };
            let kept = serde_json::from_slice(&plain).map_err(|why| not_keys(why.to_string()))?;
            let ring = Ring::from(path.clone(), home.clone(), kept);
            return ring.map(Some).ok_or_else(|| not_keys("not all keys that belong together are there".to_owned()));
        }
        // The machine has it sealed, and did not pass it to this process: what lies beside under its name proves nothing.
        if crate::home::is_kept_elsewhere() && !homes.iter().any(|home| home.is_credential) {
            return Err(KeyError::HomeGone(crate::home::file_beside(journal)));
        }
        Err(match (trouble, homes.first()) {
            // The right one may be there, and not to be had just now.
            (Some(trouble), _) if !trouble.is_lost() => trouble,
            (_, Some(home)) if !VERSIONS.contains(&version) => {
                KeyError::Unknown { ring: path, home: home.from.clone(), version }
            }
            (_, Some(home)) => KeyError::Mismatch { ring: path, home: home.from.clone() },
            (Some(trouble), None) => trouble,
            (None, None) => KeyError::HomeGone(crate::home::file_beside(journal)),
        })
    }

    /// [`Ring::load`] by the one process that may write: what a crash left beside the file is overwritten. What cannot be stops nothing, see
    /// [`Ring::leftover`].
    ///
    /// # Errors
    /// As [`Ring::load`].
    pub fn open(journal: &Path) -> Result<Option<Ring>, KeyError> {
        let ring = Ring::load(journal)?;
        Ok(ring.map(|mut ring| {
            ring.leftover = said(file::clean(&ring.path).err().as_ref());
            ring
        }))
    }

    /// Keys for the journal in this folder, made where there are none: from then on it is sealed.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open_or_make(journal: &Path) -> Result<Ring, KeyError> {
        if let Some(ring) = Ring::open(journal)? {
            return Ok(ring);
        }
        Ring::make(journal, HomeKey::find_or_make(journal)?)
    }

    /// New keys for the journal in this folder, which has none, sealed under `home`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn make(journal: &Path, home: HomeKey) -> Result<Ring, KeyError> {
        let path = ring_path(journal);
        let mut kept = Kept { next: HOME_ID, ..Kept::default() };
        for of in [Of::Home, Of::Folds] {
            kept.keys.insert(kept.next, Key { of, key: hex(&fresh()?) });
            kept.next += 1;
        }
        save(&path, &home, &kept)?;
        Ring::from(path, home, kept).ok_or(KeyError::Random)
    }

    /// `None`: what is kept is not whole.
    fn from(path: PathBuf, home: HomeKey, kept: Kept) -> Option<Ring> {
        let (mut ciphers, mut residents, mut folds) = (BTreeMap::new(), BTreeMap::new(), None);
        for (id, key) in &kept.keys {
            ciphers.insert(*id, body::cipher(&unhex(&key.key)?));
            match &key.of {
                Of::Home => {}
                Of::Folds => folds = Some(*id),
                Of::Resident { id: resident, .. } => drop(residents.insert(resident.clone(), *id)),
            }
        }
        let is_whole = ciphers.contains_key(&HOME_ID) && kept.keys.keys().all(|id| *id < kept.next);
        is_whole.then_some(())?;
        let (mut times, mut current) = (BTreeMap::new(), BTreeMap::new());
        for (number, period) in &kept.periods {
            if !period.is_gone() {
                times.insert(*number, unhex(&period.key)?);
            }
            if period.until_ms.is_none() {
                current.insert(period.class.clone(), *number);
            }
        }
        let (nonces, derived) = (Nonces::new(), Mutex::default());
        let (leftover, doomed) = (String::new(), BTreeSet::new());
        let folds = folds?;
        Some(Ring { path, home, kept, ciphers, residents, folds, nonces, times, derived, leftover, current, doomed })
    }

    /// Where the home's key came from.
    pub fn home(&self) -> &HomeKey {
        &self.home
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why an earlier file beside this one, whose keys were to be destroyed, is still there; empty: it is not. For a person to read.
    pub fn leftover(&self) -> &str {
        &self.leftover
    }

    /// The key of this resident, if there is one.
    pub fn of(&self, resident: &str) -> Option<u32> {
        self.residents.get(resident).copied()
    }

    /// The devices that were ever this resident's.
    pub fn devices_of(&self, resident: &str) -> BTreeSet<String> {
        match self.of(resident).and_then(|id| self.kept.keys.get(&id)) {
            Some(Key { of: Of::Resident { devices, .. }, .. }) => devices.clone(),
            _ => BTreeSet::new(),
        }
    }

    /// The key of saved folds.
    pub fn folds(&self) -> u32 {
        self.folds
    }

    /// Everybody who has a key.
    pub fn residents(&self) -> impl Iterator<Item = &str> {
        self.residents.keys().map(String::as_str)
    }

    /// Whose key this is; `None`: nobody's alone, or it is gone.
    pub fn whose(&self, id: u32) -> Option<&str> {
        match &self.kept.keys.get(&periods::apart(id).0)?.of {
            Of::Resident { id, .. } => Some(id),
            Of::Home | Of::Folds => None,
        }
    }

    /// The key is there.
    pub fn has(&self, id: u32) -> bool {
        self.ciphers.contains_key(&id)
    }

    /// The file is not older than what was sealed with this: it has both keys that it is made of, or says that they are gone.
    pub fn knows(&self, id: u32) -> bool {
        let (base, period) = periods::apart(id);
        let has_base = self.kept.keys.contains_key(&base) || self.is_erased(base);
        has_base && (period == 0 || self.kept.periods.contains_key(&period))
    }

    /// How far its numbers go by now.
    pub fn reach(&self) -> Reach {
        Reach { next: self.kept.next, periods: self.kept.periods.last_key_value().map_or(0, |(number, _)| *number) }
    }

    /// A number that was given by then and that this file does not know: it is of an earlier day.
    pub fn lacks(&self, then: Reach) -> Option<u32> {
        let own = self.reach();
        if own.next < then.next {
            return Some(then.next - 1);
        }
        (own.periods < then.periods).then(|| periods::both(HOME_ID, then.periods)).flatten()
    }

    /// The file says that this key is gone for good.
    pub fn is_erased(&self, id: u32) -> bool {
        self.kept.erased.contains(&id)
    }

    /// Each of these residents has a key, and these devices are known to be theirs. One write, and none where that is so already.
    ///
    /// # Errors
    /// [`KeyError`]; then the keys are as they were.
    pub fn lives_here(&mut self, residents: &BTreeMap<String, BTreeSet<String>>) -> Result<(), KeyError> {
        let mut kept = self.kept.clone();
        let mut is_new = false;
        for (resident, theirs) in residents {
            if let Some(Key { of: Of::Resident { devices, .. }, .. }) =
                self.of(resident).and_then(|id| kept.keys.get_mut(&id))
            {
                is_new |= !theirs.is_subset(devices);
                devices.extend(theirs.iter().cloned());
                continue;
            }
            is_new = true;
            if kept.keys.len() + kept.erased.len() >= KEYS_MAX {
                return Err(KeyError::Full(self.path.clone()));
            }
            let of = Of::Resident { id: resident.clone(), devices: theirs.clone() };
            kept.keys.insert(kept.next, Key { of, key: hex(&fresh()?) });
            kept.next += 1;
        }
        if is_new { self.become_kept(kept).map(drop) } else { Ok(()) }
    }

    /// A new key for saved folds; the earlier one still opens. Its number.
    ///
    /// # Errors
    /// [`KeyError`]; then the keys are as they were.
    pub fn renew_folds(&mut self) -> Result<u32, KeyError> {
        let mut kept = self.kept.clone();
        let id = kept.next;
        // A higher number would read as a period's.
        if id >= 1 << periods::BASE_BITS {
            return Err(KeyError::Full(self.path.clone()));
        }
        kept.keys.insert(id, Key { of: Of::Folds, key: hex(&fresh()?) });
        kept.next += 1;
        self.become_kept(kept)?;
        Ok(id)
    }

    /// These keys, and those of earlier folds, are gone for good when this returns: out of the file, and overwritten where they lay.
    ///
    /// # Errors
    /// [`KeyError`]; do the same again.
    pub fn shred(&mut self, ids: &[u32]) -> Result<(), KeyError> {
        self.without(self.kept.clone(), ids)
    }

    fn without(&mut self, mut kept: Kept, ids: &[u32]) -> Result<(), KeyError> {
        let folds = self.folds;
        let old = kept.keys.iter().filter(|(id, key)| key.of == Of::Folds && **id != folds).map(|(id, _)| *id);
        let gone: Vec<u32> = old.chain(ids.iter().copied().filter(|id| *id != HOME_ID && *id != folds)).collect();
        for id in gone {
            kept.keys.remove(&id);
            kept.erased.insert(id);
        }
        match self.become_kept(kept)? {
            None => Ok(()),
            Some(left) => Err(left),
        }
    }

    /// `Some`: these are the keys, and the earlier file could not be overwritten.
    fn become_kept(&mut self, kept: Kept) -> Result<Option<KeyError>, KeyError> {
        let left = save(&self.path, &self.home, &kept)?;
        let (path, home, doomed) = (self.path.clone(), self.home.clone(), self.doomed.clone());
        *self = Ring::from(path, home, kept).ok_or(KeyError::Random)?;
        self.leftover = said(left.as_ref());
        self.doom(&doomed);
        Ok(left)
    }

    /// These keys are to be destroyed as soon as the disk allows: from now on they are nobody's, and who has one gets another.
    pub fn doom(&mut self, ids: &BTreeSet<u32>) {
        self.residents.retain(|_, id| !ids.contains(id));
        self.doomed.extend(ids);
    }

    /// The number for a record of this class and this key: of the class's period too, where the class has a time.
    pub fn under(&self, id: u32, class: Option<&str>) -> u32 {
        let period = class.filter(|_| id != 0).and_then(|class| self.current.get(class));
        period.and_then(|period| periods::both(id, *period)).unwrap_or(id)
    }

    /// Records of this class go under a period.
    pub fn is_timed(&self, class: &str) -> bool {
        self.current.contains_key(class)
    }

    /// All periods by number, those that are gone too.
    pub fn periods(&self) -> &BTreeMap<u32, Period> {
        &self.kept.periods
    }

    /// The period in a record's key number.
    pub fn period_of(&self, id: u32) -> Option<&Period> {
        self.kept.periods.get(&periods::apart(id).1)
    }

    /// From now on (`now_ms`, UTC) records of these classes go under new periods, with these days; `None`: the class has no time any more.
    /// The periods before count as written to until `until_ms`. One write.
    ///
    /// # Errors
    /// [`KeyError`]; then the keys are as they were.
    pub fn begin_periods(&mut self, begun: &[(&str, Option<u32>)], now_ms: i64, until_ms: i64) -> Result<(), KeyError> {
        let mut kept = self.kept.clone();
        for (class, days) in begun {
            if days.is_some() && kept.periods.len() >= PERIODS_MAX {
                return Err(KeyError::Full(self.path.clone()));
            }
            if let Some(period) = self.current.get(*class).and_then(|number| kept.periods.get_mut(number)) {
                period.until_ms = Some(until_ms);
            }
            if let Some(days) = *days {
                let number = kept.periods.last_key_value().map_or(1, |(number, _)| number + 1);
                let class = (*class).to_owned();
                let key = hex(&fresh()?);
                kept.periods.insert(number, Period { class, days, from_ms: now_ms, until_ms: None, key });
            }
        }
        self.become_kept(kept).map(drop)
    }

    /// The keys of these periods, and those of earlier folds, are gone for good when this returns. One that is written to stays.
    ///
    /// # Errors
    /// [`KeyError`]; do the same again.
    pub fn shred_periods(&mut self, numbers: &[u32]) -> Result<(), KeyError> {
        let mut kept = self.kept.clone();
        for number in numbers {
            if let Some(period) = kept.periods.get_mut(number).filter(|period| period.until_ms.is_some()) {
                period.key.clear();
            }
        }
        self.without(kept, &[])
    }

    /// Does `f` with the cipher of this number; `None`: it is not there.
    fn with<T>(&self, id: u32, f: impl FnOnce(&LessSafeKey) -> T) -> Option<T> {
        if let Some(key) = self.ciphers.get(&id) {
            return Some(f(key));
        }
        let (base, period) = periods::apart(id);
        let (base, period) = (self.kept.keys.get(&base)?, self.times.get(&period)?);
        let mut derived = self.derived.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if derived.len() >= DERIVED_MAX && !derived.contains_key(&id) {
            derived.clear();
        }
        let base = unhex(&base.key)?;
        Some(f(derived.entry(id).or_insert_with(|| periods::derived(&base, period))))
    }

    /// Seals what stands in `bytes` from `from` on, in place; leaves the number of the key that did it. Where that key fails the home's is
    /// tried, of the same period first; 0: none did, and `bytes` is as it was.
    pub fn seal(&self, id: u32, place: Place, bytes: &mut Vec<u8>, from: usize) -> u32 {
        let of_home = periods::both(HOME_ID, periods::apart(id).1).unwrap_or(HOME_ID);
        for id in [id, of_home, HOME_ID] {
            let sealed = self.with(id, |key| body::seal(key, self.nonces.next()?, place, bytes, from));
            if sealed.flatten().is_some() {
                return id;
            }
        }
        0
    }

    /// The body that was sealed for this place. `Ok(None)`: its key is erased, or its time is over.
    ///
    /// # Errors
    /// `Err(Some)`: the key is missing and was not erased. `Err(None)`: the bytes are not what was sealed here.
    pub fn open_body(&self, id: u32, place: Place, sealed: &[u8]) -> Result<Option<Vec<u8>>, Option<KeyError>> {
        if let Some(opened) = self.with(id, |key| body::open(key, place, sealed)) {
            return opened.map(Some).ok_or(None);
        }
        let (base, period) = periods::apart(id);
        let is_over = self.kept.periods.get(&period).is_some_and(Period::is_gone);
        // A number of a person alone is its own base.
        if self.is_erased(id) || is_over || (self.kept.periods.contains_key(&period) && self.is_erased(base)) {
            return Ok(None);
        }
        Err(Some(KeyError::Missing { ring: self.path.clone(), id }))
    }
}

/// What a person is told of an earlier file that could not be overwritten.
fn said(left: Option<&KeyError>) -> String {
    left.map_or_else(String::new, |why| {
        format!(
            "{why}: it may hold keys that were to be destroyed, and nobody is erased until it is gone; let user vaka write it (chown, \
             chattr -i), or shred it (`shred --remove`), then restart"
        )
    })
}

/// As [`file::replace`].
fn save(path: &Path, home: &HomeKey, kept: &Kept) -> Result<Option<KeyError>, KeyError> {
    let mut bytes = MAGIC.to_vec();
    let format = VERSIONS[usize::from(!kept.periods.is_empty())];
    bytes.extend(format.to_le_bytes());
    let head = bytes.len();
    let failed = |e: serde_json::Error| KeyError::File { attempt: "writing", path: path.to_owned(), source: e.into() };
    serde_json::to_writer(&mut bytes, &Kept { format, ..kept.clone() }).map_err(failed)?;
    let nonce = Nonces::new().next().ok_or(KeyError::Random)?;
    body::seal(&body::cipher(&home.bytes), nonce, OWN, &mut bytes, head).ok_or(KeyError::Random)?;
    file::replace(path, &bytes)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
