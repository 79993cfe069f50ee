//! A journal that was written in clear, sealed once: the same records under the same numbers, their bodies sealed.
//!
//! Enters: a stopped gateway's journal, and whose each record is. Leaves: the journal sealed; what lay there in clear overwritten.
//! Every segment is written again into a folder aside, synced, and the two folders exchange their names: before that the old journal is the
//! journal, after it the new one. [`clean`] overwrites the one that is aside, whichever it is.
//! Invariants: nothing is sealed of a journal that has damage, as what cannot be read cannot be moved; a key is in `keys` before a body that
//! needs it is on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use vaka_seal::{Place, Ring};

use super::error::{DiskError, SealError, at};
use super::format::{RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, sum};
use super::reader::Entry;
use super::record::Kind;
use super::{Concerns, Journal, Options, sealed};
use crate::limits::READ_WINDOW_BYTES;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Sealed {
    /// Records that are sealed now and were not.
    pub records: u64,
    pub segments: u64,
}

/// Seals the journal in `dir`. `residents`: who has a key, with their devices. `whose` is asked record by record, in their order.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    dir: &Path,
    residents: &BTreeMap<String, BTreeSet<String>>,
    mut whose: impl FnMut(Entry<'_>) -> Option<String>,
) -> Result<Sealed, SealError> {
    // Held to the end: no gateway writes meanwhile.
    let (journal, opened) = Journal::open(dir, Options { check_all: true, reserve_bytes: 0, ..Options::default() })?;
    if let Some(place) = opened.damage.iter().find(|place| !place.unsettled) {
        return Err(SealError::Damaged { place: place.to_string() });
    }
    let mut ring = Ring::open_or_make(dir)?;
    ring.lives_here(residents)?;
    clean(dir)?;
    let (paths, mut done) = (&journal.core.paths, Sealed::default());
    let aside = aside(dir);
    fs::create_dir(&aside).map_err(at("creating", &aside))?;
    for segment in &journal.core.segments {
        let bytes = fs::read(&segment.path).map_err(at("reading", &segment.path))?;
        let wrong = || SealError::Damaged { place: format!("{} changed while it was read", segment.name) };
        let header = segment.header.ok_or_else(wrong)?;
        let mut new = SegmentHeader { sealed: true, ..header }.encode().to_vec();
        let mut rest = bytes.get(SEGMENT_HEADER_BYTES..).ok_or_else(wrong)?;
        while !rest.is_empty() {
            let record = RecordHeader::decode(rest, segment.salt).ok_or_else(wrong)?;
            let end = RECORD_HEADER_BYTES + record.length as usize;
            let body = rest.get(RECORD_HEADER_BYTES..end).ok_or_else(wrong)?;
            done.records += u64::from(one(&ring, record, body, segment.salt, &mut whose, &mut new));
            rest = &rest[end..];
        }
        let path = aside.join(&segment.name);
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(&new)?;
            file.sync_all()
        });
        written.map_err(at("writing", &path))?;
        done.segments += 1;
    }
    sync(&aside)?;
    journal.core.options.disk.exchange(&aside, &paths.segments).map_err(at("exchanging", &aside))?;
    sync(dir)?;
    clean(dir)?;
    // Copies of what was cut or damaged once, and folds in clear.
    for folder in [&paths.damaged, &dir.join("index")] {
        overwrite(folder)?;
    }
    Ok(done)
}

/// Appends the record to `new`, sealed where it is to be and was not: then true.
fn one(
    ring: &Ring,
    record: RecordHeader,
    body: &[u8],
    salt: u32,
    whose: &mut impl FnMut(Entry<'_>) -> Option<String>,
    new: &mut Vec<u8>,
) -> bool {
    let start = new.len();
    new.extend_from_slice(&record.encode_unsealed());
    new.extend_from_slice(body);
    let mut used = record.key_id;
    if used == 0
        && let Some(kind) = Kind::of(record.kind)
    {
        let resident = whose(Entry { header: record.into(), body });
        let concerns = resident.as_deref().map_or(Concerns::Home, Concerns::Resident);
        let id = sealed::key(ring, kind, concerns, None);
        if id != 0 {
            used = ring.seal(id, Place { seq: record.seq, kind: record.kind }, new, start + RECORD_HEADER_BYTES);
        }
    }
    let length = (new.len() - start - RECORD_HEADER_BYTES) as u32;
    new[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    new[start + 12..start + 16].copy_from_slice(&used.to_le_bytes());
    let (header, body) = new[start..].split_at_mut(RECORD_HEADER_BYTES);
    sum(header, body, salt);
    used != record.key_id
}

fn aside(dir: &Path) -> PathBuf {
    dir.join("segments.new")
}

/// Overwrites and removes what a sealing left aside: the old segments, or new ones that were never the journal.
///
/// # Errors
/// Where the disk refuses; the same again goes on.
pub fn clean(dir: &Path) -> Result<(), DiskError> {
    overwrite(&aside(dir))
}

fn overwrite(folder: &Path) -> Result<(), DiskError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(at("listing", folder))?,
    };
    for entry in entries {
        let path = entry.map_err(at("listing", folder))?.path();
        if path.is_dir() {
            overwrite(&path)?;
            continue;
        }
        let zeros = vec![0; READ_WINDOW_BYTES];
        let overwritten = OpenOptions::new().write(true).open(&path).and_then(|file| {
            let (length, mut from) = (file.metadata()?.len(), 0);
            while from < length {
                let piece = usize::try_from(length - from).unwrap_or(usize::MAX).min(zeros.len());
                file.write_all_at(&zeros[..piece], from)?;
                from += piece as u64;
            }
            file.sync_data()
        });
        overwritten.map_err(at("overwriting", &path))?;
        fs::remove_file(&path).map_err(at("removing", &path))?;
    }
    fs::remove_dir(folder).map_err(at("removing", folder))
}

fn sync(folder: &Path) -> Result<(), DiskError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("syncing", folder))
}
