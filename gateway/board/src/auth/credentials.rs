//! `credentials.jsonl`: what people's keys are known by. One record a line, appended and synced; the last word on a thing counts.
//!
//! Enters: records. Leaves: [`Keys`], their fold. Invariants: no private key and nothing that opens a door by itself is in
//! it, save the secrets of one-time codes, for which the file is this user's alone; a last line without its end was never
//! promised, and is cut before the next is written.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::book::Wrong;
use super::roles::{Role, Units};

/// One line. Binary values are base64 for addresses, hashes are hexadecimal, times UTC milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// What a person's keys call the person by: 64 random bytes, which say nothing of who it is.
    Handle {
        person: String,
        handle: String,
    },
    Passkey(Passkey),
    PasskeyUsed {
        id: String,
        dynamic: String,
        at: i64,
    },
    PasskeyGone {
        id: String,
    },
    Link(Link),
    LinkUsed {
        hash: String,
    },
    Totp(Totp),
    /// A code of this step has been used: it and older ones are spent.
    TotpUsed {
        person: String,
        step: u64,
    },
    TotpGone {
        person: String,
    },
    Token(Token),
    TokenGone {
        hash: String,
    },
}

/// A passkey as its public half is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passkey {
    pub id: String,
    pub person: String,
    /// What its owner calls it.
    pub label: String,
    /// Public key and extensions, in webauthn_rp's own bytes.
    pub stable: String,
    /// User verified, counter, backup, in webauthn_rp's own bytes.
    pub dynamic: String,
    pub transports: u8,
    pub added_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<i64>,
}

/// A way in that works once, for a new person or a lost key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub hash: String,
    pub person: String,
    pub by: String,
    pub expires_at: i64,
}

/// One-time codes by an app, good in one browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Totp {
    pub person: String,
    pub secret: String,
    /// Hash of the browser's device cookie.
    pub device: String,
    /// The last 30-second step whose code was used.
    pub step: u64,
    pub added_at: i64,
}

/// A program's way to `/api`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    pub hash: String,
    /// What the program is called; traces say `api-NAME`.
    pub name: String,
    pub role: Role,
    pub units: Units,
    pub by: String,
    pub made_at: i64,
    pub expires_at: i64,
}

/// What the records come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keys {
    pub handles: BTreeMap<String, String>,
    pub passkeys: BTreeMap<String, Passkey>,
    /// By person: a new one takes the place of the one before.
    pub links: BTreeMap<String, Link>,
    pub totp: BTreeMap<String, Totp>,
    /// By hash.
    pub tokens: BTreeMap<String, Token>,
}

impl Keys {
    /// Reads the file; none is no keys. What stands behind the last line's end is not counted.
    ///
    /// # Errors
    /// An I/O error, or within it the first line that is no record.
    pub fn read(path: &Path) -> io::Result<Result<Self, Wrong>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Ok(Keys::default())),
            Err(e) => return Err(e),
        };
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut keys = Keys::default();
        for (number, line) in text[..whole].split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice(line) {
                Ok(record) => keys.fold(record),
                Err(e) => return Ok(Err(Wrong { line: number + 1, what: format!("no record of a key ({e})") })),
            }
        }
        Ok(Ok(keys))
    }

    pub fn fold(&mut self, record: Record) {
        match record {
            Record::Handle { person, handle } => drop(self.handles.insert(person, handle)),
            Record::Passkey(one) => drop(self.passkeys.insert(one.id.clone(), one)),
            Record::PasskeyUsed { id, dynamic, at } => {
                if let Some(one) = self.passkeys.get_mut(&id) {
                    (one.dynamic, one.used_at) = (dynamic, Some(at));
                }
            }
            Record::PasskeyGone { id } => drop(self.passkeys.remove(&id)),
            Record::Link(one) => drop(self.links.insert(one.person.clone(), one)),
            Record::LinkUsed { hash } => self.links.retain(|_, one| one.hash != hash),
            Record::Totp(one) => drop(self.totp.insert(one.person.clone(), one)),
            Record::TotpUsed { person, step } => {
                if let Some(one) = self.totp.get_mut(&person) {
                    one.step = one.step.max(step);
                }
            }
            Record::TotpGone { person } => drop(self.totp.remove(&person)),
            Record::Token(one) => drop(self.tokens.insert(one.hash.clone(), one)),
            Record::TokenGone { hash } => drop(self.tokens.remove(&hash)),
        }
    }

    /// The fewest records that come to the same.
    pub fn records(&self) -> Vec<Record> {
        let handles = self.handles.iter().map(|(person, handle)| (person.clone(), handle.clone()));
        let handles = handles.map(|(person, handle)| Record::Handle { person, handle });
        handles
            .chain(self.passkeys.values().cloned().map(Record::Passkey))
            .chain(self.links.values().cloned().map(Record::Link))
            .chain(self.totp.values().cloned().map(Record::Totp))
            .chain(self.tokens.values().cloned().map(Record::Token))
            .collect()
    }

    /// A person's passkeys, oldest first.
    pub fn passkeys_of(&self, person: &str) -> Vec<&Passkey> {
        let mut theirs: Vec<&Passkey> = self.passkeys.values().filter(|one| one.person == person).collect();
        theirs.sort_by(|a, b| (a.added_at, &a.id).cmp(&(b.added_at, &b.id)));
        theirs
    }
}

/// Lines for the file.
pub fn lines(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Appends the records and answers when they are on the disk. Whoever calls holds the folder's lock.
pub fn append(path: &Path, records: &[Record]) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let whole = whole_of(&mut file)?;
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    let written = file.write_all(&lines(records)?).and_then(|()| file.sync_all());
    if let Err(e) = written {
        // What is half there was not promised. If this fails too, the next append cuts it, or a reader says so.
        let _ = file.set_len(whole);
        return Err(e);
    }
    if is_new { sync_folder(path) } else { Ok(()) }
}

/// Bytes up to the end of the last whole line.
fn whole_of(file: &mut File) -> io::Result<u64> {
    let mut text = Vec::new();
    io::Read::read_to_end(file, &mut text)?;
    Ok(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end as u64 + 1))
}

/// Puts `bytes` into `path`, in place of what was there, all or nothing. A file that was there keeps who may read it.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_or(mode, |data| data.permissions().mode() & 0o777);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        // Best effort: the error is the one to tell.
        let _ = fs::remove_file(&new);
    }
    written.and_then(|()| sync_folder(path))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passkey(id: &str) -> Record {
        Record::Passkey(Passkey {
            id: id.into(),
            person: "a".into(),
            label: "l".into(),
            stable: "s".into(),
            dynamic: "d".into(),
            transports: 0,
            added_at: 1,
            used_at: None,
        })
    }

    fn link(hash: &str) -> Record {
        Record::Link(Link { hash: hash.into(), person: "a".into(), by: "b".into(), expires_at: 9 })
    }

    fn totp(step: u64) -> Record {
        Record::Totp(Totp { person: "a".into(), secret: "s".into(), device: "d".into(), step, added_at: 1 })
    }

    #[test]
    fn the_last_word_counts_and_the_fewest_records_come_to_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("credentials.jsonl");
        assert_eq!(Keys::read(&path).expect("read").expect("right"), Keys::default());
        append(&path, &[passkey("k1"), passkey("k2"), link("h1"), totp(5)]).expect("appended");
        append(&path, &[Record::PasskeyUsed { id: "k1".into(), dynamic: "d2".into(), at: 7 }]).expect("appended");
        append(&path, &[Record::PasskeyGone { id: "k2".into() }, link("h2")]).expect("appended");
        append(&path, &[Record::TotpUsed { person: "a".into(), step: 8 }]).expect("appended");
        append(&path, &[Record::TotpUsed { person: "a".into(), step: 6 }]).expect("appended");
        let keys = Keys::read(&path).expect("read").expect("right");
        assert_eq!(keys.passkeys.len(), 1);
        assert_eq!((keys.passkeys["k1"].dynamic.as_str(), keys.passkeys["k1"].used_at), ("d2", Some(7)));
        assert_eq!(keys.links["a"].hash, "h2", "a new link takes the place of the old");
        assert_eq!(keys.totp["a"].step, 8, "a spent step stays spent");
        let mut again = Keys::default();
        keys.records().into_iter().for_each(|record| again.fold(record));
        assert_eq!(again, keys);
        append(&path, &[Record::LinkUsed { hash: "h2".into() }]).expect("appended");
        assert!(Keys::read(&path).expect("read").expect("right").links.is_empty());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_torn_last_line_is_cut_wherever_it_tore_and_a_torn_line_within_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("credentials.jsonl");
        append(&path, &[passkey("k1")]).expect("appended");
        let first = fs::read(&path).expect("there");
        let second = lines(&[passkey("k2")]).expect("lines");
        for torn in 0..second.len() {
            fs::write(&path, [&first[..], &second[..torn]].concat()).expect("written");
            let keys = Keys::read(&path).expect("read").expect("right");
            assert_eq!(keys.passkeys.keys().collect::<Vec<_>>(), ["k1"], "torn after {torn}");
            append(&path, &[passkey("k3")]).expect("appended");
            let keys = Keys::read(&path).expect("read").expect("right");
            assert_eq!(keys.passkeys.keys().collect::<Vec<_>>(), ["k1", "k3"], "torn after {torn}");
        }
        fs::write(&path, [&first[..], b"{\"kind\":\"passk\n", &first[..]].concat()).expect("written");
        assert_eq!(Keys::read(&path).expect("read").expect_err("wrong").line, 2);
    }
}
