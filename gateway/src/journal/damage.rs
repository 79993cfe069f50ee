//! Places in the journal that cannot be read: what is said about them, and the copies kept for whoever looks into it.
//!
//! Enters: findings of the walk. Leaves: [`Damage`], and files in `damaged/`. Invariant: `damaged/` is bounded;
//! a finding whose file is there has been reported before (`known`), so that one old wound raises one alarm, not one a day.

use std::fmt;

use super::disk::Disk;
use super::error::{DiskError, at};
use super::paths::Paths;
use super::scan::Located;
use crate::limits::{DAMAGED_BYTES_MAX, DAMAGED_FILES_MAX};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamageKind {
    /// Bytes that are no record.
    Unreadable,
    /// Sequence numbers that no record has: a segment is gone, or its end is.
    Missing,
    /// A segment's header; its records were read nevertheless.
    Header,
    /// A segment under another one's name; its records were read in their right place.
    Misnamed,
    /// A file among the segments that is none.
    Stray,
}

/// One damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub kind: DamageKind,
    /// File name of the segment.
    pub segment: String,
    /// Bytes `from..to` of that file; equal where nothing is unreadable.
    pub from: u64,
    pub to: u64,
    /// Sequence numbers that are lost, both included. `last` below `first`: none that we know of.
    pub first_missing_seq: u64,
    pub last_missing_seq: u64,
    /// Lies within the last commit: what a power cut leaves of records that were never acknowledged.
    pub unsettled: bool,
    /// Found and reported by an earlier open.
    pub known: bool,
}

impl Damage {
    /// How many sequence numbers are lost.
    pub fn missing(&self) -> u64 {
        if self.last_missing_seq < self.first_missing_seq {
            return 0;
        }
        (self.last_missing_seq - self.first_missing_seq).saturating_add(1)
    }

    /// Name of its file in `damaged/`. Depends on nothing that a later look would see otherwise.
    fn file_name(&self, prefix: &str) -> String {
        let stem = self.segment.strip_suffix(".vaka").unwrap_or(&self.segment);
        match self.kind {
            DamageKind::Missing => format!("{prefix}-missing-{}-{}", self.first_missing_seq, self.last_missing_seq),
            DamageKind::Misnamed => format!("{prefix}-name-{stem}"),
            DamageKind::Header => format!("{prefix}-header-{stem}"),
            DamageKind::Stray => format!("{prefix}-stray-{stem}"),
            DamageKind::Unreadable => format!("{prefix}-{stem}-{}-{}", self.from, self.to),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { segment, from, to, .. } = self;
        match self.kind {
            DamageKind::Unreadable => write!(f, "{segment}: bytes {from} to {to} unreadable")?,
            DamageKind::Missing => write!(f, "{segment}: records missing before byte {from}")?,
            DamageKind::Header => write!(f, "{segment}: header damaged, records read nevertheless")?,
            DamageKind::Misnamed => {
                write!(f, "{segment}: file has another segment's name, records read in their place")?
            }
            DamageKind::Stray => write!(f, "{segment}: not a segment, {to} bytes")?,
        }
        match self.missing() {
            0 => {}
            1 => write!(f, ", record {} lost", self.first_missing_seq)?,
            _ => write!(f, ", records {} to {} lost", self.first_missing_seq, self.last_missing_seq)?,
        }
        if self.unsettled { f.write_str(" (in the last commit, never acknowledged if power failed)") } else { Ok(()) }
    }
}

const PREFIX_DAMAGE: &str = "damage";
const PREFIX_TORN: &str = "torn";

/// Sets `known` (and `unsettled`, as it was found then) from what lies in `damaged/`.
pub(crate) fn recognise(disk: &dyn Disk, paths: &Paths, damage: &mut [Damage]) {
    if damage.is_empty() {
        return;
    }
    let names = disk.list(&paths.damaged).unwrap_or_default();
    for place in damage {
        let torn = names.contains(&place.file_name(PREFIX_TORN));
        place.known = torn || names.contains(&place.file_name(PREFIX_DAMAGE));
        place.unsettled |= torn;
    }
}

/// Copies what cannot be read to `damaged/` and marks what is known already.
///
/// Best effort: a full disk or a full `damaged/` must not keep the journal shut.
pub(crate) fn quarantine(disk: &dyn Disk, paths: &Paths, segments: &[Located], damage: &mut [Damage]) {
    if damage.is_empty() || disk.create_dir(&paths.damaged).is_err() {
        return;
    }
    recognise(disk, paths, damage);
    let (mut files, mut bytes) = folder_size(disk, paths);
    for place in damage.iter().filter(|place| !place.known) {
        let length = place.to - place.from;
        let room = files < DAMAGED_FILES_MAX && bytes + length <= DAMAGED_BYTES_MAX;
        if !room {
            continue;
        }
        let name = place.file_name(if place.unsettled { PREFIX_TORN } else { PREFIX_DAMAGE });
        let source = segments.iter().find(|s| s.name == place.segment);
        if copy(disk, paths, source, place.from, length, &name).is_ok() {
            files += 1;
            bytes += length;
        }
    }
    // An unsynced copy may be lost in a power cut; the next open makes it anew.
    let _ = disk.sync_dir(&paths.damaged);
}

/// Keeps the torn tail that is about to be cut: only the newest one, and only its beginning if it is long.
pub(crate) fn keep_cut(disk: &dyn Disk, paths: &Paths, segment: &Located, from: u64) {
    if disk.create_dir(&paths.damaged).is_ok() {
        let _ = disk.remove(&paths.damaged.join(LAST_CUT));
        let length = (segment.len - from).min(DAMAGED_BYTES_MAX / 4);
        let _ = copy(disk, paths, Some(segment), from, length, LAST_CUT);
    }
}

const LAST_CUT: &str = "last-cut";

/// Moves a file of which nothing can be read out of the segments; deletes it if `damaged/` is full.
pub(crate) fn set_aside(disk: &dyn Disk, paths: &Paths, segment: &Located) -> Result<(), DiskError> {
    let (files, bytes) = folder_size(disk, paths);
    let room = files < DAMAGED_FILES_MAX && bytes + segment.len <= DAMAGED_BYTES_MAX;
    if segment.len > 0 && room && disk.create_dir(&paths.damaged).is_ok() {
        let target = paths.damaged.join(format!("whole-{}", segment.name));
        if disk.rename(&segment.path, &target).is_ok() {
            let _ = disk.sync_dir(&paths.damaged);
            return disk.sync_dir(&paths.segments).map_err(at("syncing", &paths.segments));
        }
    }
    disk.remove(&segment.path).map_err(at("removing", &segment.path))?;
    disk.sync_dir(&paths.segments).map_err(at("syncing", &paths.segments))
}

fn folder_size(disk: &dyn Disk, paths: &Paths) -> (usize, u64) {
    let names = disk.list(&paths.damaged).unwrap_or_default();
    let bytes = names
        .iter()
        .filter(|name| *name != LAST_CUT)
        .filter_map(|name| disk.open(&paths.damaged.join(name), false).ok()?.len().ok())
        .sum();
    (names.len(), bytes)
}

fn copy(
    disk: &dyn Disk,
    paths: &Paths,
    source: Option<&Located>,
    from: u64,
    length: u64,
    name: &str,
) -> std::io::Result<()> {
    let target = disk.create(&paths.damaged.join(name))?;
    let Some(source) = source else { return Ok(()) };
    let source = disk.open(&source.path, false)?;
    let mut block = [0; 4096];
    let mut done = 0;
    while done < length {
        let want = block.len().min((length - done) as usize);
        // A sector that cannot be read stays a hole in the copy.
        let got = source.read_at(&mut block[..want], from + done).unwrap_or(0);
        if got > 0 {
            target.write_at(&block[..got], done)?;
        }
        done += if got > 0 { got } else { want } as u64;
    }
    target.sync_data()
}
