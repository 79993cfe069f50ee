//! `pki/issued.jsonl`: every device certificate ever issued, one JSON line each, in force or revoked.
//!
//! A revocation is the same row again with `revoked_at`; the last row of a serial number counts. Rows are appended and synced,
//! never changed. A line that cannot be read (torn by a power cut, or damaged) is a warning: a gateway that refused to start
//! for it would take every alarm of the home with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vaka_protocol::DeviceId;

use super::{ProvisionError, files};
use crate::config::Warning;

/// One device certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedRow {
    pub id: DeviceId,
    /// Counts from 1 per device id; a replaced device has the next one.
    pub enrolment: u32,
    /// Lower-case hex.
    pub serial: String,
    /// SHA-256 of the certificate (DER), lower-case hex.
    pub fingerprint_sha256: String,
    /// UTC milliseconds.
    pub issued_at: i64,
    /// UTC milliseconds.
    pub not_after: i64,
    /// UTC milliseconds; absent: in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
    /// UTC milliseconds: its device has used the one that it was renewed by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_at: Option<i64>,
}

impl IssuedRow {
    /// Neither revoked nor superseded. Its end is another matter.
    pub fn is_in_force(&self) -> bool {
        self.revoked_at.is_none() && self.superseded_at.is_none()
    }

    /// When its device asks for the next: at two thirds of its life, UTC milliseconds.
    pub fn renews_at(&self) -> i64 {
        self.not_after - (self.not_after - self.issued_at) / 3
    }

    /// When a person is told that it has not: at five sixths of its life, UTC milliseconds.
    pub fn overdue_at(&self) -> i64 {
        self.not_after - (self.not_after - self.issued_at) / 6
    }
}

/// All rows, by serial number. Load it again to see what the command line has changed.
#[derive(Debug, Clone, Default)]
pub struct Issued {
    rows: BTreeMap<String, IssuedRow>,
    /// By serial number: which one it was in the file. A clock may have gone back in between, the file has not.
    order: BTreeMap<String, usize>,
}

impl Issued {
    /// Reads the list. A missing file is an empty list with a warning.
    ///
    /// # Errors
    /// [`ProvisionError::File`] if the file is there and cannot be read.
    pub fn load(path: &Path) -> Result<(Issued, Vec<Warning>), ProvisionError> {
        let warn = |line, text: &str| Warning { file: path.to_path_buf(), line, text: text.to_owned() };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = "the list of issued certificates is missing: REVOKED DEVICES ARE TAKEN AGAIN; restore it from a backup";
                return Ok((Issued::default(), vec![warn(None, text)]));
            }
            Err(source) => {
                return Err(ProvisionError::File { path: path.to_path_buf(), source });
            }
        };
        let mut issued = Issued::default();
        let mut warnings = Vec::new();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_slice::<IssuedRow>(line) {
                Ok(row) => {
                    let place = issued.order.len();
                    issued.order.entry(row.serial.clone()).or_insert(place);
                    issued.rows.insert(row.serial.clone(), row);
                }
                Err(_) => warnings.push(warn(
                    Some(at + 1),
                    "this line cannot be read (a write was interrupted, or the file is damaged); a certificate or revocation may be missing, compare `vaka device list`",
                )),
            }
        }
        Ok((issued, warnings))
    }

    /// True if the certificate with this serial number (lower-case hex) may no longer be used.
    pub fn is_revoked(&self, serial: &str) -> bool {
        self.rows.get(serial).is_some_and(|row| !row.is_in_force())
    }

    /// Serial numbers of every certificate that is revoked or superseded, lower-case hex.
    pub fn revoked(&self) -> BTreeSet<String> {
        self.rows.values().filter(|row| !row.is_in_force()).map(|row| row.serial.clone()).collect()
    }

    /// The row of a serial number (lower-case hex).
    pub fn row(&self, serial: &str) -> Option<&IssuedRow> {
        self.rows.get(serial)
    }

    /// Where several certificates of one enrolment are in force, the newest's serial number: its first use supersedes the others.
    pub fn renewed(&self) -> BTreeMap<(DeviceId, u32), String> {
        let mut by_enrolment: BTreeMap<(DeviceId, u32), Vec<(usize, &IssuedRow)>> = BTreeMap::new();
        for row in self.rows.values().filter(|row| row.is_in_force()) {
            let place = self.order.get(&row.serial).copied().unwrap_or_default();
            by_enrolment.entry((row.id.clone(), row.enrolment)).or_default().push((place, row));
        }
        let several = by_enrolment.into_iter().filter(|(_, rows)| rows.len() > 1);
        several
            .filter_map(|(of, rows)| Some((of, rows.into_iter().max_by_key(|row| row.0)?.1.serial.clone())))
            .collect()
    }

    /// The rows of one device, oldest enrolment first, and of each the oldest first.
    pub fn of(&self, id: &DeviceId) -> Vec<&IssuedRow> {
        let mut rows: Vec<&IssuedRow> = self.rows.values().filter(|row| row.id == *id).collect();
        rows.sort_by_key(|row| (row.enrolment, self.order.get(&row.serial)));
        rows
    }

    /// The certificate by which the device is to be judged: of its last enrolment in force, the oldest. One that it has been given and
    /// not used yet renews nothing.
    pub fn used(&self, id: &DeviceId) -> Option<&IssuedRow> {
        let rows = self.of(id);
        let last = rows.iter().filter(|row| row.is_in_force()).map(|row| row.enrolment).max()?;
        rows.into_iter().find(|row| row.is_in_force() && row.enrolment == last)
    }

    /// The number that the next certificate of this device gets.
    pub(super) fn next_enrolment(&self, id: &DeviceId) -> u32 {
        self.of(id).last().map_or(1, |row| row.enrolment.saturating_add(1))
    }
}

/// Appends rows and syncs them. A torn last line is closed first, so that it cannot swallow the next.
pub(super) fn append(path: &Path, rows: &[IssuedRow]) -> Result<(), ProvisionError> {
    let mut lines = Vec::new();
    for row in rows {
        // A row is plain text and numbers: this cannot fail.
        let line = serde_json::to_vec(row).map_err(|error| ProvisionError::file(path)(error.into()))?;
        lines.extend(line);
        lines.push(b'\n');
    }
    let written = (|| {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(files::PRIVATE).open(path)?;
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            lines.insert(0, b'\n');
        }
        file.write_all(&lines)?;
        file.sync_all()
    })();
    written.map_err(ProvisionError::file(path))?;
    files::sync_folder(path)
}
