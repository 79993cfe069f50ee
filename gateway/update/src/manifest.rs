//! What a publisher says of a release: `release.json`, signed as it stands.
//!
//! Enters: its bytes, after its signature was judged; what runs here. Leaves: the file for this box, or why the release is not for it.
//! Invariants: never an older version; nothing that the program before could not read what it leaves behind. Unknown fields are
//! ignored, so that an older box reads a newer publisher's words; an unknown form (`v`) is refused.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Version;
use crate::limits::{FILES_MAX, MANIFEST_BYTES_MAX, PROGRAM_BYTES_MAX, RINGS_MAX};

/// The form of `release.json` that is written and read here.
pub const FORM: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub v: u32,
    pub version: Version,
    /// The oldest version it can follow.
    pub from: Version,
    #[serde(with = "crate::text")]
    pub not_before: Timestamp,
    /// From then on nobody takes it: whoever keeps newer ones from a box cannot feed it old ones for ever.
    #[serde(with = "crate::text")]
    pub expires: Timestamp,
    /// Which share of the boxes from when on. Empty: every box at `not_before`.
    #[serde(default)]
    pub rings: Vec<Ring>,
    pub formats: Formats,
    pub files: Vec<File>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// Of all boxes, 0 to 100.
    pub percent: u8,
    #[serde(with = "crate::text")]
    pub from: Timestamp,
}

/// What a program reads and writes on the disk. A number grows where a program before it would misread what is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formats {
    pub journal: Format,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    pub reads: (u32, u32),
    pub writes: u32,
}

impl Format {
    fn reads(&self, format: u32) -> bool {
        (self.reads.0..=self.reads.1).contains(&format)
    }
}

/// The program for one kind of machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// As Rust names it, e.g. `aarch64-unknown-linux-gnu`.
    pub target: String,
    /// Its name beside `release.json`.
    pub file: String,
    /// In bytes.
    pub size: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("reading release.json: {0}")]
    Json(#[from] serde_json::Error),
    #[error("reading release.json: it is larger than {MANIFEST_BYTES_MAX} bytes")]
    TooLong,
    #[error("reading release.json: its form is {0}, this program knows {FORM}; it has to be updated by hand")]
    Form(u32),
    #[error("reading release.json: {0}")]
    Wrong(String),
}

/// Why a release, though signed, is not for this box.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "release {version} is older than {running}, which runs here; nobody goes back but to the kept one: vaka update rollback"
    )]
    Older { version: Version, running: Version },
    #[error("release {version} can follow {from} or newer, here runs {running}; publish one in between")]
    TooFar { version: Version, from: Version, running: Version },
    #[error("release {version} has expired at {at}; sign it again, or is this box cut off from newer ones?")]
    Expired { version: Version, at: Timestamp },
    #[error("release {version} has no program for {target}")]
    NoTarget { version: Version, target: String },
    #[error("release {version} was tried here and failed: {why}")]
    Failed { version: Version, why: String },
    #[error("release {version} does not read journal format {writes}, which is written here")]
    Unreadable { version: Version, writes: u32 },
    #[error(
        "release {version} writes journal format {writes}, which the program before it does not read: it could not go back; publish first one that reads it"
    )]
    NoWayBack { version: Version, writes: u32 },
    #[error(
        "release {version} writes journal format {writes}, which the packaged program does not read, and that is the last to be gone back to; install a newer package first (apt install vaka)"
    )]
    PackageTooOld { version: Version, writes: u32 },
}

/// The box that a release is judged for.
#[derive(Debug, Clone)]
pub struct Own<'a> {
    pub running: Version,
    /// What the program reads and writes that runs, and would be gone back to.
    pub formats: &'a Formats,
    /// The same of the packaged program, which starts where everything else fails. `None`: it does not say.
    pub packaged: Option<&'a Formats>,
    pub target: &'a str,
    /// Versions that failed here, and why.
    pub failed: &'a [(Version, String)],
}

/// What cannot be of a publisher's file, in words.
pub(crate) fn file_fault(name: &str, size: u64, size_max: u64, sha256: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let named = !name.starts_with('.') && (1..=100).contains(&name.len());
    if !named || !name.bytes().all(plain) {
        return Some("the name of a file: letters, digits, `-`, `_` and `.` alone, without a folder".to_owned());
    }
    if size == 0 || size > size_max {
        return Some(format!("{name}: {size} bytes; 1 to {size_max} can be"));
    }
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if sha256.len() != 64 || !sha256.bytes().all(hex) {
        return Some(format!("{name}: sha256 is not 64 digits of lower-case hexadecimal"));
    }
    None
}

impl Manifest {
    /// Reads what was signed.
    ///
    /// # Errors
    /// [`ManifestError`], where it says what cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        #[derive(Deserialize)]
        struct Form {
            v: u32,
        }
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong);
        }
        let Form { v } = serde_json::from_slice(bytes)?;
        if v != FORM {
            return Err(ManifestError::Form(v));
        }
        let manifest: Manifest = serde_json::from_slice(bytes)?;
        manifest.check().map_err(ManifestError::Wrong)?;
        Ok(manifest)
    }

    /// What cannot be, in words.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.files.is_empty() || self.files.len() > FILES_MAX {
            return Err(format!("it has {} files; 1 to {FILES_MAX} can be", self.files.len()));
        }
        if self.rings.len() > RINGS_MAX || self.rings.iter().any(|ring| ring.percent > 100) {
            return Err(format!("its rings: at most {RINGS_MAX}, of 0 to 100 percent"));
        }
        for file in &self.files {
            if let Some(why) = file_fault(&file.file, file.size, PROGRAM_BYTES_MAX, &file.sha256) {
                return Err(why);
            }
        }
        Ok(())
    }

    /// The file for this box; `None`: this version runs already.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn judge(&self, own: &Own<'_>, wall_ms: i64) -> Result<Option<&File>, Refusal> {
        let (version, running) = (self.version, own.running);
        if version == running {
            return Ok(None);
        }
        if version < running {
            return Err(Refusal::Older { version, running });
        }
        if let Some((_, why)) = own.failed.iter().find(|(failed, _)| *failed == version) {
            return Err(Refusal::Failed { version, why: why.clone() });
        }
        if wall_ms >= self.expires.as_millisecond() {
            return Err(Refusal::Expired { version, at: self.expires });
        }
        if running < self.from {
            return Err(Refusal::TooFar { version, from: self.from, running });
        }
        let (here, there) = (&own.formats.journal, &self.formats.journal);
        if !there.reads(here.writes) {
            return Err(Refusal::Unreadable { version, writes: here.writes });
        }
        if !here.reads(there.writes) {
            return Err(Refusal::NoWayBack { version, writes: there.writes });
        }
        if own.packaged.is_some_and(|packaged| !packaged.journal.reads(there.writes)) {
            return Err(Refusal::PackageTooOld { version, writes: there.writes });
        }
        let file = self.files.iter().find(|file| file.target == own.target);
        file.map(Some).ok_or_else(|| Refusal::NoTarget { version, target: own.target.to_owned() })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const FORMATS: Formats = Formats { journal: Format { reads: (1, 1), writes: 1 } };
    const NOON: i64 = 1_795_212_000_000;

    pub(crate) fn manifest(version: &str) -> Manifest {
        Manifest {
            v: FORM,
            version: version.parse().unwrap(),
            from: "0.1.0".parse().unwrap(),
            not_before: Timestamp::from_millisecond(NOON - 1_000).unwrap(),
            expires: Timestamp::from_millisecond(NOON + 1_000).unwrap(),
            rings: Vec::new(),
            formats: FORMATS,
            files: vec![File {
                target: "here".to_owned(),
                file: format!("vaka-{version}"),
                size: 5,
                sha256: "ab".repeat(32),
            }],
        }
    }

    fn own<'a>(running: &str, failed: &'a [(Version, String)]) -> Own<'a> {
        Own { running: running.parse().unwrap(), formats: &FORMATS, packaged: Some(&FORMATS), target: "here", failed }
    }

    #[test]
    fn a_newer_one_is_taken_the_same_is_nothing_new_and_an_older_one_is_refused() {
        let release = manifest("0.2.0");
        assert_eq!(release.judge(&own("0.1.0", &[]), NOON).unwrap(), Some(&release.files[0]));
        assert_eq!(release.judge(&own("0.2.0", &[]), NOON), Ok(None));
        assert!(matches!(release.judge(&own("0.2.1", &[]), NOON), Err(Refusal::Older { .. })));
        assert!(matches!(release.judge(&own("0.0.9", &[]), NOON), Err(Refusal::TooFar { .. })));
        let end = release.expires.as_millisecond();
        assert!(release.judge(&own("0.1.0", &[]), end - 1).is_ok());
        assert!(matches!(release.judge(&own("0.1.0", &[]), end), Err(Refusal::Expired { .. })));
        let failed = [(release.version, "it did not start".to_owned())];
        assert!(matches!(release.judge(&own("0.1.0", &failed), NOON), Err(Refusal::Failed { .. })));
        let elsewhere = Own { target: "there", ..own("0.1.0", &[]) };
        assert!(matches!(release.judge(&elsewhere, NOON), Err(Refusal::NoTarget { .. })));
    }

    #[test]
    fn a_format_that_could_not_be_gone_back_from_is_refused_before_anything_is_switched() {
        let mut release = manifest("0.2.0");
        release.formats.journal = Format { reads: (1, 2), writes: 2 };
        assert!(matches!(release.judge(&own("0.1.0", &[]), NOON), Err(Refusal::NoWayBack { writes: 2, .. })));
        // The way there: one that reads the next format and does not write it yet.
        let between = Formats { journal: Format { reads: (1, 2), writes: 1 } };
        // One later the program that runs would be the way back; the package, years old, would not.
        let reader = Own { formats: &between, ..own("0.1.0", &[]) };
        assert!(matches!(release.judge(&reader, NOON), Err(Refusal::PackageTooOld { writes: 2, .. })));
        assert!(release.judge(&Own { packaged: Some(&between), ..reader.clone() }, NOON).is_ok());
        assert!(release.judge(&Own { packaged: None, ..reader }, NOON).is_ok(), "a package from before it said so");
        release.formats.journal = Format { reads: (2, 3), writes: 2 };
        let refused = release.judge(&Own { formats: &between, ..own("0.1.0", &[]) }, NOON);
        assert!(matches!(refused, Err(Refusal::Unreadable { writes: 1, .. })));
    }

    #[test]
    fn it_is_read_as_it_is_written_and_what_is_new_in_it_is_ignored() {
        let release = manifest("0.2.0");
        let text = serde_json::to_string(&release).unwrap();
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), release);
        let later = text.replacen('{', "{\"mood\":\"good\",", 1);
        assert_eq!(Manifest::parse(later.as_bytes()).unwrap(), release);
        let form = text.replacen("\"v\":1", "\"v\":2", 1);
        assert!(matches!(Manifest::parse(form.as_bytes()), Err(ManifestError::Form(2))));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let wrong = |change: fn(&mut Manifest)| {
            let mut release = manifest("0.2.0");
            change(&mut release);
            Manifest::parse(&serde_json::to_vec(&release).unwrap()).is_err()
        };
        assert!(!wrong(|_| ()));
        assert!(wrong(|r| r.files.clear()));
        assert!(wrong(|r| r.files = vec![r.files[0].clone(); FILES_MAX + 1]));
        assert!(wrong(|r| r.files[0].size = PROGRAM_BYTES_MAX + 1));
        assert!(wrong(|r| r.files[0].size = 0));
        assert!(wrong(|r| r.files[0].sha256 = "AB".repeat(32)));
        for name in ["../vaka", "a/b", ".hidden", "", "a b", "a?b"] {
            let mut release = manifest("0.2.0");
            release.files[0].file = name.to_owned();
            assert!(release.check().is_err(), "{name}");
        }
        let percent = |percent| Ring { percent, from: Timestamp::UNIX_EPOCH };
        let mut release = manifest("0.2.0");
        release.rings = vec![percent(101)];
        assert!(release.check().is_err());
        release.rings = vec![percent(1); RINGS_MAX + 1];
        assert!(release.check().is_err());
        assert!(Manifest::parse(&vec![b' '; MANIFEST_BYTES_MAX + 1]).is_err());
    }
}
