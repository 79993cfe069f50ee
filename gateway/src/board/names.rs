//! Who the residents are: the only place with a name in it, and unreadable without its key.
//!
//! Enters: a resident's id, a name. Leaves: the same. `names.enc` beside the journal holds a JSON line for each resident, sealed with
//! AES-256-GCM (random nonce; the resident's id is authenticated with it, so that no line can be passed off as another's); the key is
//! `pki/names.key`, sealed under the home's own where there is one. Invariants: no name in any file's bytes; a damaged line is named and kept, and the others are read. Absent: a cache.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use vaka_board::gateway::Name;
use vaka_seal::{HomeKey, wrapped};

use crate::config::Config;
use crate::provision::files;

/// Largest `names.enc`, in bytes: some 20,000 residents. Beyond: refused; it is read whole. Source: our choice.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest of each of a name's four texts, in bytes. Source: our choice; how to get in may need a few sentences.
const TEXT_BYTES_MAX: usize = 1_024;
/// What the key's wrapping is derived for.
const LABEL: &str = "names.key";

/// Why a name cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: larger than {FILE_BYTES_MAX} bytes; move it away and look what filled it", .0.display())]
    TooLarge(PathBuf),
    #[error("the names in {} cannot be opened: {source}", names.display())]
    Key { names: PathBuf, source: vaka_seal::KeyError },
    #[error("{}: the key is gone, and names are sealed with it; put it back from the backup", .0.display())]
    KeyGone(PathBuf),
    #[error("{}: the line of `{resident}` cannot be opened; write the name anew", path.display())]
    Damaged { path: PathBuf, resident: String },
    #[error("a name's {0} is longer than {TEXT_BYTES_MAX} bytes; shorten it")]
    TooLong(&'static str),
    #[error("sealing a name: no randomness from the operating system; try again")]
    Random,
    #[error("{0}")]
    Write(String),
}

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    resident: String,
    /// Hexadecimal.
    nonce: String,
    sealed: String,
}

/// As it is sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    name: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    key_note: String,
    #[serde(default)]
    phone: String,
}

/// Where the names of a home are.
#[derive(Debug, Clone)]
pub struct Names {
    path: PathBuf,
    key: PathBuf,
    /// Whose home's key it is sealed under.
    journal: PathBuf,
}

impl Names {
    pub fn of(config: &Config) -> Names {
        let beside = config.journal.dir.parent().unwrap_or(&config.home);
        Names {
            path: beside.join("names.enc"),
            key: config.pki().dir().join("names.key"),
            journal: config.journal.dir.clone(),
        }
    }

    /// `None`: nothing is written of this resident.
    ///
    /// # Errors
    /// [`NameError`]; a damaged line is one of its own resident's alone.
    pub fn read(&self, resident: &str) -> Result<Option<Name>, NameError> {
        let lines = self.lines()?;
        let Some(line) = lines.iter().rev().find_map(|line| of(line).filter(|line| line.resident == resident)) else {
            return Ok(None);
        };
        let damaged = || NameError::Damaged { path: self.path.clone(), resident: resident.to_owned() };
        let key = self.key(false)?;
        let nonce: [u8; NONCE_LEN] = unhex(&line.nonce).and_then(|nonce| nonce.try_into().ok()).ok_or_else(damaged)?;
        let mut bytes = unhex(&line.sealed).ok_or_else(damaged)?;
        let aad = Aad::from(resident.as_bytes());
        let plain = key.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).map_err(|_| damaged())?;
        let Kept { name, address, key_note, phone } = serde_json::from_slice(plain).map_err(|_| damaged())?;
        Ok(Some(Name { name, address, key_note, phone }))
    }

    /// Whose names are written, whether or not they can be opened.
    ///
    /// # Errors
    /// [`NameError`] where the file cannot be read.
    pub fn written(&self) -> Result<Vec<String>, NameError> {
        let residents =
            self.lines()?.iter().filter_map(|line| Some((of(line)?.resident, ()))).collect::<BTreeMap<_, _>>();
        Ok(residents.into_keys().collect())
    }

    /// Lines that are none: (number, counted from 1).
    ///
    /// # Errors
    /// [`NameError`] where the file cannot be read.
    pub fn damaged(&self) -> Result<Vec<usize>, NameError> {
        let lines = self.lines()?;
        Ok(lines.iter().enumerate().filter(|(_, line)| of(line).is_none()).map(|(index, _)| index + 1).collect())
    }

    /// Writes the whole file anew: the earlier name is in it no longer. Lines that cannot be read are kept as they are.
    ///
    /// # Errors
    /// [`NameError`]; then the file is as it was.
    pub fn write(&self, resident: &str, name: &Name) -> Result<(), NameError> {
        let texts =
            [("name", &name.name), ("address", &name.address), ("key_note", &name.key_note), ("phone", &name.phone)];
        if let Some((which, _)) = texts.iter().find(|(_, text)| text.len() > TEXT_BYTES_MAX) {
            return Err(NameError::TooLong(which));
        }
        let _lock = self.lock()?;
        let lines = self.lines()?;
        let key = self.key(lines.is_empty())?;
        let Name { name, address, key_note, phone } = name.clone();
        let kept = Kept { name, address, key_note, phone };
        let mut bytes = serde_json::to_vec(&kept).map_err(|e| NameError::Write(e.to_string()))?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| NameError::Random)?;
        let aad = Aad::from(resident.as_bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes)
            .map_err(|_| NameError::Random)?;
        let sealed = Sealed { resident: resident.to_owned(), nonce: hex(&nonce), sealed: hex(&bytes) };
        let line = serde_json::to_string(&sealed).map_err(|e| NameError::Write(e.to_string()))?;
        let others = lines.into_iter().filter(|line| of(line).is_none_or(|line| line.resident != resident));
        let text: String = others.chain([line]).map(|line| line + "\n").collect();
        files::write(&self.path, text.as_bytes(), files::PRIVATE).map_err(|e| NameError::Write(e.to_string()))
    }

    /// Nothing is written of this resident any more. True: something was. What stood in the file before is overwritten where it lay.
    ///
    /// # Errors
    /// [`NameError`]; then the file is as it was.
    pub fn remove(&self, resident: &str) -> Result<bool, NameError> {
        let _lock = self.lock()?;
        let lines = self.lines()?;
        let is_theirs = |line: &String| of(line).is_some_and(|line| line.resident == resident);
        if !lines.iter().any(is_theirs) {
            return Ok(false);
        }
        let text: String = lines.into_iter().filter(|line| !is_theirs(line)).map(|line| line + "\n").collect();
        let file = |source| NameError::File { path: self.path.clone(), source };
        let old = std::fs::OpenOptions::new().write(true).open(&self.path).map_err(file)?;
        files::write(&self.path, text.as_bytes(), files::PRIVATE).map_err(|e| NameError::Write(e.to_string()))?;
        let length = old.metadata().map_err(file)?.len();
        let zeros = vec![0; usize::try_from(length).unwrap_or(0)];
        old.write_all_at(&zeros, 0).and_then(|()| old.sync_data()).map_err(file)?;
        Ok(true)
    }

    /// Until dropped this process and thread alone changes the file: the board and the command line read all of it and write all of it.
    fn lock(&self) -> Result<File, NameError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let file = |source| NameError::File { path: folder.to_owned(), source };
        let held = File::open(folder).map_err(file)?;
        flock(&held, FlockOperation::LockExclusive).map_err(|e| file(e.into()))?;
        Ok(held)
    }

    fn lines(&self) -> Result<Vec<String>, NameError> {
        let file = |source| NameError::File { path: self.path.clone(), source };
        match std::fs::metadata(&self.path) {
            Ok(known) if known.len() > FILE_BYTES_MAX => return Err(NameError::TooLarge(self.path.clone())),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(file(e)),
        }
        let bytes = std::fs::read(&self.path).map_err(file)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// The key of an earlier version lies in clear: sealed from now on. False: there was none.
    ///
    /// # Errors
    /// [`NameError`]; then it is as it was.
    pub fn seal_key(&self) -> Result<bool, NameError> {
        let wrong = |source| NameError::Key { names: self.path.clone(), source };
        let Some(home) = HomeKey::find(&self.journal).map_err(wrong)? else { return Ok(false) };
        wrapped::seal(&self.key, LABEL, &home).map_err(wrong)
    }

    /// `may_make`: nothing is sealed with it yet.
    fn key(&self, may_make: bool) -> Result<LessSafeKey, NameError> {
        let wrong = |source| NameError::Key { names: self.path.clone(), source };
        let home = HomeKey::find(&self.journal).map_err(wrong)?;
        let bytes = match wrapped::read(&self.key, LABEL, home.as_ref()).map_err(wrong)? {
            Some(bytes) => bytes,
            None if may_make => wrapped::make(&self.key, LABEL, home.as_ref()).map_err(wrong)?,
            None => return Err(NameError::KeyGone(self.key.clone())),
        };
        UnboundKey::new(&AES_256_GCM, &bytes).map(LessSafeKey::new).map_err(|_| NameError::Random)
    }
}

fn of(line: &str) -> Option<Sealed> {
    serde_json::from_str(line).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Names {
        Names { path: dir.join("names.enc"), key: dir.join("names.key"), journal: dir.join("journal") }
    }

    fn name(name: &str) -> Name {
        Name {
            name: name.into(),
            address: "Ekvägen 3".into(),
            key_note: "nyckelskåp 1234".into(),
            phone: "+468".into(),
        }
    }

    #[test]
    fn a_name_is_read_again_and_stands_in_no_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let names = names(dir.path());
        HomeKey::find_or_make(&names.journal).unwrap();
        assert_eq!(names.read("r1").unwrap(), None);
        names.write("r1", &name("Karin Ek")).unwrap();
        names.write("r2", &name("Bo Alm")).unwrap();
        names.write("r1", &name("Karin Ekberg")).unwrap();
        assert_eq!(names.read("r1").unwrap(), Some(name("Karin Ekberg")));
        assert_eq!(names.written().unwrap(), ["r1", "r2"]);
        assert!(
            std::fs::read_to_string(&names.key).unwrap().starts_with("sealed-1 "),
            "a new home's key is never in clear"
        );
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for word in ["Karin", "Ekberg", "Alm", "Ekv", "1234", "+468"] {
                let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
                assert!(!found, "{word} stands in {}", path.display());
            }
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
    }

    #[test]
    fn the_key_is_sealed_under_the_homes_and_one_of_an_earlier_version_opens_and_is_sealed_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let names = names(dir.path());
        // As an earlier version leaves it: both in clear, and no home's key.
        names.write("r1", &name("Karin")).unwrap();
        let clear = std::fs::read_to_string(&names.key).unwrap();
        assert_eq!(clear.trim().len(), 64);
        HomeKey::find_or_make(&names.journal).unwrap();
        assert_eq!(names.read("r1").unwrap(), Some(name("Karin")));
        names.write("r2", &name("Bo")).unwrap();
        assert_eq!(std::fs::read_to_string(&names.key).unwrap(), clear, "an earlier version can still go back to it");
        assert!(names.seal_key().unwrap() && !names.seal_key().unwrap());
        let sealed = std::fs::read_to_string(&names.key).unwrap();
        assert!(!sealed.contains(clear.trim()), "{sealed}");
        assert_eq!((names.read("r1").unwrap(), names.read("r2").unwrap()), (Some(name("Karin")), Some(name("Bo"))));
        // Another home's key: an error that names it, and nothing is written.
        std::fs::write(dir.path().join("home.key"), "5a".repeat(32)).unwrap();
        let error = names.read("r1").unwrap_err().to_string();
        assert!(error.contains("names.key is sealed") && error.contains("home.key"), "{error}");
        assert!(names.write("r3", &name("Eva")).is_err());
        assert_eq!(std::fs::read_to_string(&names.key).unwrap(), sealed);
    }

    #[test]
    fn names_written_and_removed_at_once_are_all_written_and_all_removed() {
        const EACH: usize = 16;
        const WHERE: &str = "VAKA_TEST_NAMES";
        // A process of its own, started below: the board that writes, or a command that removes.
        if let Some((by, dir)) = std::env::var(WHERE).ok().as_deref().and_then(|said| said.split_once(' ')) {
            let names = names(Path::new(dir));
            for n in 0..EACH {
                match by {
                    "gone" => assert!(names.remove(&format!("gone-{n}")).unwrap()),
                    by => names.write(&format!("{by}-{n}"), &name("Bo")).unwrap(),
                }
            }
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let names = names(dir.path());
        for n in 0..EACH {
            names.write(&format!("gone-{n}"), &name("Karin")).unwrap();
        }
        let own = "board::names::tests::names_written_and_removed_at_once_are_all_written_and_all_removed";
        let process = |by: &&str| {
            let said = format!("{by} {}", dir.path().display());
            let mut test = std::process::Command::new(std::env::current_exe().unwrap());
            test.args(["--exact", own]).env(WHERE, said).stdout(std::process::Stdio::null()).spawn().unwrap()
        };
        let running: Vec<_> = ["a", "b", "gone"].iter().map(process).collect();
        for mut process in running {
            assert!(process.wait().unwrap().success());
        }
        let written = names.written().unwrap();
        let of = |by: &str| written.iter().filter(|resident| resident.starts_with(by)).count();
        assert_eq!((of("gone-"), of("a-"), of("b-")), (0, EACH, EACH), "{written:?}");
    }

    #[test]
    fn a_damaged_line_is_named_and_kept_and_no_line_passes_for_anothers() {
        let dir = tempfile::tempdir().unwrap();
        let names = names(dir.path());
        names.write("r1", &name("Karin")).unwrap();
        names.write("r2", &name("Bo")).unwrap();
        let text = std::fs::read_to_string(&names.path).unwrap();
        let swapped = text.replace("\"r1\"", "\"r3\"") + "half a li\n";
        std::fs::write(&names.path, &swapped).unwrap();
        assert!(matches!(names.read("r3"), Err(NameError::Damaged { resident, .. }) if resident == "r3"));
        assert_eq!(names.read("r2").unwrap(), Some(name("Bo")));
        assert_eq!(names.damaged().unwrap(), [3]);
        names.write("r2", &name("Bosse")).unwrap();
        assert!(std::fs::read_to_string(&names.path).unwrap().contains("half a li"));
    }

    #[test]
    fn names_without_their_key_are_not_sealed_with_another() {
        let dir = tempfile::tempdir().unwrap();
        let names = names(dir.path());
        names.write("r1", &name("Karin")).unwrap();
        std::fs::remove_file(&names.key).unwrap();
        assert!(matches!(names.read("r1"), Err(NameError::KeyGone(_))));
        assert!(matches!(names.write("r2", &name("Bo")), Err(NameError::KeyGone(_))));
        assert!(!names.key.exists());
        std::fs::write(&names.key, "not a key").unwrap();
        assert!(matches!(names.read("r1"), Err(NameError::Key { .. })));
    }
}
