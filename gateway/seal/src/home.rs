//! The home's own key: what all others are sealed with.
//!
//! Enters: the service manager's credentials, else a file. Leaves: a key, and where it came from. A credential may be bound to the machine's
//! TPM by the service manager (systemd-creds); this program sees the bare key in either case, and never writes a credential.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

use crate::{KEY_BYTES, KeyError, file};

/// Name of the credential and of the file beside the journal.
pub const NAME: &str = "home.key";

/// The key, and the file it was read from.
#[derive(Clone)]
pub struct HomeKey {
    pub(crate) bytes: [u8; KEY_BYTES],
    pub from: PathBuf,
    /// The service manager passed it: it is not this program's to keep.
    pub is_credential: bool,
}

/// The file that is looked for where no credential is passed: beside the journal's folder, also for records put aside in it.
pub fn file_beside(journal: &Path) -> PathBuf {
    let is_aside = journal.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("unread-"));
    let journal = if is_aside { journal.parent().unwrap_or(journal) } else { journal };
    journal.parent().unwrap_or(journal).join(NAME)
}

/// [`file_beside`] and what was kept next to it under names that begin so, e.g. `home.key.damaged`; those that are there, that one first.
pub fn files_beside(journal: &Path) -> Vec<PathBuf> {
    let own = file_beside(journal);
    let begins = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME));
    let folder = own.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().filter(begins);
    let mut found: Vec<PathBuf> = entries.map(|entry| own.with_file_name(entry.file_name())).collect();
    // The plain name is the shortest that begins so.
    found.sort();
    found
}

/// What a machine's administrator has added to the gateway's unit (deploy/TPM.md); everybody may read it.
const UNIT: &str = "/etc/systemd/system/vaka.service.d";

/// The service manager is to pass the home's key: where it did not pass it to this process, it is not lost. The folder that it lies in says nothing:
/// that is closed to all but root, and other keys lie there too.
pub(crate) fn is_kept_elsewhere() -> bool {
    is_passed_by(Path::new(UNIT))
}

fn is_passed_by(unit: &Path) -> bool {
    let passes = |line: &str| line.starts_with("LoadCredential") && line.contains(&format!("={NAME}:"));
    let says = |entry: fs::DirEntry| fs::read_to_string(entry.path()).is_ok_and(|text| text.lines().any(passes));
    fs::read_dir(unit).into_iter().flatten().flatten().any(says)
}

impl HomeKey {
    /// The key for the journal in this folder; `None`: there is none.
    ///
    /// # Errors
    /// Where what is there cannot be read, or is no key.
    pub fn find(journal: &Path) -> Result<Option<HomeKey>, KeyError> {
        let passed = std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join(NAME));
        Self::find_in(passed.as_deref(), journal)
    }

    pub(crate) fn find_in(passed: Option<&Path>, journal: &Path) -> Result<Option<HomeKey>, KeyError> {
        let own = file_beside(journal);
        for (path, is_credential) in passed.map(|path| (path, true)).into_iter().chain([(own.as_path(), false)]) {
            if let Some(key) = HomeKey::read(path, is_credential)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    fn read(path: &Path, is_credential: bool) -> Result<Option<HomeKey>, KeyError> {
        let text = match file::read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(KeyError::NotAKey(path.to_owned())),
            Err(source) => return Err(KeyError::File { attempt: "reading", path: path.to_owned(), source }),
        };
        let bytes = unhex(text.trim()).ok_or_else(|| KeyError::NotAKey(path.to_owned()))?;
        Ok(Some(HomeKey { bytes, from: path.to_owned(), is_credential }))
    }

    /// Every key there is for this journal, the passed one first, and why one could not be had. All [`files_beside`] count: whoever puts the
    /// right one back keeps the other under a name of its own.
    pub fn all(journal: &Path) -> (Vec<HomeKey>, Option<KeyError>) {
        let passed = std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join(NAME));
        let places = passed.into_iter().map(|path| (path, true));
        let places = places.chain(files_beside(journal).into_iter().map(|path| (path, false)));
        let (mut keys, mut trouble) = (Vec::new(), None);
        for (path, is_credential) in places {
            match HomeKey::read(&path, is_credential) {
                Ok(key) => keys.extend(key),
                // One that may be had later weighs more than one that never will.
                Err(error) if trouble.as_ref().is_none_or(KeyError::is_lost) => trouble = Some(error),
                Err(_) => {}
            }
        }
        (keys, trouble)
    }

    /// Files beside this journal in which this same key lies.
    pub fn copies_beside(&self, journal: &Path) -> Vec<PathBuf> {
        let is_it = |path: &PathBuf| matches!(HomeKey::read(path, false), Ok(Some(key)) if key.bytes == self.bytes);
        files_beside(journal).into_iter().filter(is_it).collect()
    }

    /// The first key that can be used, for keys that are made anew. Where there is none, a file of its owner's alone is made, and a damaged one
    /// in its place is kept as `home.key.damaged`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn any_or_make(journal: &Path) -> Result<HomeKey, KeyError> {
        let (known, trouble) = HomeKey::all(journal);
        let new = file::new_of(&file_beside(journal));
        if let Some(known) = known.into_iter().find(|known| known.from != new) {
            return Ok(known);
        }
        // It may be whole: nothing takes its place.
        if let Some(trouble) = trouble.filter(|trouble| !trouble.is_lost()) {
            return Err(trouble);
        }
        file::set_aside(&file_beside(journal))?;
        HomeKey::make(journal)
    }

    /// The key for this journal, made as a file of its owner's alone where there is none.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn find_or_make(journal: &Path) -> Result<HomeKey, KeyError> {
        if let Some(known) = Self::find(journal)? {
            return Ok(known);
        }
        HomeKey::make(journal)
    }

    /// Overwrites nothing that may be a key: a person may have kept the right one as `home.key.old`.
    fn make(journal: &Path) -> Result<HomeKey, KeyError> {
        let from = file_beside(journal);
        let new = file::new_of(&from);
        // Whole, and the power went before it had its name: keys may be sealed under it by now.
        if let Some(key) =
            HomeKey::read(&new, false).or_else(|error| if error.is_lost() { Ok(None) } else { Err(error) })?
        {
            file::name(&new, &from)?;
            return Ok(HomeKey { from, ..key });
        }
        let bytes = fresh()?;
        file::create(&from, (hex(&bytes) + "\n").as_bytes())?;
        Ok(HomeKey { bytes, from, is_credential: false })
    }
}

pub(crate) fn fresh() -> Result<[u8; KEY_BYTES], KeyError> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut bytes = [0; KEY_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn making_a_key_overwrites_none_and_finishes_what_the_power_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, own) = (dir.path().join("journal"), dir.path().join(NAME));
        let (old, new) = (dir.path().join("home.key.old"), dir.path().join("home.key.new"));
        fs::write(&old, "5a".repeat(32)).unwrap();
        fs::write(&new, "half of one").unwrap();
        let made = HomeKey::find_or_make(&journal).unwrap();
        assert_eq!((fs::read_to_string(&old).unwrap(), new.exists()), ("5a".repeat(32), false));
        assert_ne!(made.bytes, [0x5a; 32]);
        fs::remove_file(&old).unwrap();
        for make in [HomeKey::find_or_make, HomeKey::any_or_make] {
            fs::rename(&own, &new).unwrap();
            let finished = make(&journal).unwrap();
            assert_eq!((finished.bytes, &finished.from, new.exists()), (made.bytes, &own, false));
        }
    }

    #[test]
    fn whether_the_unit_is_to_pass_the_key_is_read_off_the_unit() {
        let dir = tempfile::tempdir().unwrap();
        let example = include_str!("../../../deploy/systemd/home-key.example.conf");
        assert!(!is_passed_by(&dir.path().join("nowhere")));
        fs::write(dir.path().join("other.conf"), "[Service]\nLoadCredential=device-ca.key:/etc/vaka/ca\n# home.key:\n")
            .unwrap();
        assert!(!is_passed_by(dir.path()));
        fs::write(dir.path().join("home-key.conf"), example).unwrap();
        assert!(is_passed_by(dir.path()));
    }

    #[test]
    fn a_credential_goes_before_the_file_and_neither_is_guessed() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, passed) = (dir.path().join("journal"), dir.path().join("passed"));
        assert!(HomeKey::find_in(Some(&passed), &journal).unwrap().is_none());
        let made = HomeKey::find_or_make(&journal).unwrap();
        assert_eq!(HomeKey::find_in(Some(&passed), &journal).unwrap().unwrap().bytes, made.bytes);
        fs::write(&passed, "ab".repeat(32)).unwrap();
        let found = HomeKey::find_in(Some(&passed), &journal).unwrap().unwrap();
        assert_eq!((found.bytes, found.is_credential), ([0xab; 32], true));
        // A copy of it in clear is one to shred; another key may be all that opens other records.
        assert!(found.copies_beside(&journal).is_empty());
        fs::write(dir.path().join("home.key.2"), "ab".repeat(32)).unwrap();
        assert_eq!(found.copies_beside(&journal), [dir.path().join("home.key.2")]);
        fs::write(&passed, "ab").unwrap();
        let error = HomeKey::find_in(Some(&passed), &journal).err().unwrap().to_string();
        assert!(error.contains("passed is no key"), "{error}");
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(file_beside(&journal)).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
