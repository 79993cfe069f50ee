//! Beginning anew beside records whose keys are lost: the alarm of tonight must not wait for what last night's were sealed with.
//!
//! Enters: a journal's folder at the start of the gateway. Leaves: the same, or its sealed segments whole in a folder aside (`unread-1`), and a
//! journal with new keys whose numbers go on. Nothing is overwritten or removed: new keys have a name of their own (`keys-2`), and the lost file,
//! put back where it was, is taken to what it opens.
//! Invariants: only a file that is not there counts as lost, with the home's key at hand: one that cannot be read just now, does not open, or
//! belongs to another home stops the start as before; a crash between any two steps is finished by the next start; a number is used once.
//! Absent: what records mean. Alarms that were open in them are unknown here until a person has looked; that is told as a technical alarm.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vaka_seal::{HomeKey, Ring, ring_path, unread};

use super::disk::{Disk, Locked, RealDisk};
use super::error::{DiskError, OpenError, at};
use super::format::Head;
use super::{Options, head, paths::Paths, recover};

/// Where the keys are lost: what they sealed goes aside, and the journal begins anew. The folder that was put aside.
///
/// # Errors
/// Where the disk refuses, another gateway holds the journal, or the home's key cannot be had: then nothing is moved but what was begun.
pub fn begin_anew(dir: &Path) -> Result<Option<PathBuf>, OpenError> {
    let aside = unread(dir);
    for (folder, lost) in &aside {
        // Put back where it was: it opens what was put aside.
        let there = folder.join("keys");
        if exists(lost)? && !exists(&there)? {
            fs::rename(lost, &there).map_err(at("moving", lost))?;
            sync(folder)?;
            sync(dir)?;
        }
    }
    if exists(&ring_path(dir))? || HomeKey::find(dir)?.is_none() || !exists(dir)? {
        return Ok(None);
    }
    let (paths, options) = (Paths::new(dir), Options { reserve_bytes: 0, ..Options::default() });
    RealDisk.create_dir(&paths.segments).map_err(at("creating", &paths.segments))?;
    let lock = match RealDisk.lock(&paths.lock).map_err(at("locking", &paths.lock))? {
        Locked::Mine(lock) => lock,
        // The one who holds it says so when the journal is opened.
        Locked::Held(_) => return Ok(None),
    };
    let (core, opened) = recover::recover(options, paths.clone(), &*lock, None)?;
    let is_sealed = core.segments.iter().any(|segment| segment.header.is_some_and(|header| header.sealed));
    // Without a sealed segment it is a journal in clear, or one whose keys were about to be made when the power went.
    if !is_sealed && (aside.is_empty() || !core.segments.is_empty()) {
        return Ok(None);
    }
    let mut made = None;
    if is_sealed {
        // One that the power left empty is gone on with.
        let empty = aside.last().filter(|(folder, _)| !folder.join("segments").exists());
        let folder =
            empty.map_or_else(|| dir.join(format!("unread-{}", aside.len() + 1)), |(folder, _)| folder.clone());
        fs::create_dir(&folder).or_else(known).map_err(at("creating", &folder))?;
        // A journal without a head is read too.
        fs::copy(&paths.head, folder.join("head")).map(drop).or_else(gone).map_err(at("copying", &paths.head))?;
        let there = folder.join("segments");
        fs::rename(&paths.segments, &there).map_err(at("moving", &paths.segments))?;
        sync(&folder)?;
        sync(dir)?;
        RealDisk.create_dir(&paths.segments).map_err(at("creating", &paths.segments))?;
        made = Some(folder);
    }
    let index = dir.join("index");
    fs::remove_dir_all(&index).or_else(gone).map_err(at("removing", &index))?;
    // Numbers and boots go on, and no segment is missed.
    head::store(&RealDisk, &paths, &Head { ceiling: opened.next_seq, floor: 0, boot: opened.boot })?;
    Ring::open_or_make(dir)?;
    Ok(made)
}

/// What a person is told of records that cannot be read; empty: there are none.
pub fn told(dir: &Path) -> String {
    // Whoever has given the records up removes them, and leaves the folder.
    let has_records =
        |folder: &Path| fs::read_dir(folder.join("segments")).is_ok_and(|mut found| found.next().is_some());
    let is_closed = |folder: &Path| !folder.join("keys").exists() && has_records(folder);
    let closed = unread(dir).into_iter().filter(|(folder, _)| is_closed(folder));
    let closed: Vec<String> =
        closed.map(|(folder, lost)| format!("{} ({} is lost)", folder.display(), lost.display())).collect();
    if closed.is_empty() {
        return String::new();
    }
    format!(
        "earlier records cannot be read: {}. Who waited for help then is not shown here: ask the alarm centre and the home. New events are taken and \
         sealed with new keys. Put the lost file back where it was, from the newest backup, and restart: `vaka journal export --aside 1` reads it then",
        closed.join(", ")
    )
}

/// A failed look is an error: what may only be out of sight just now must not be replaced.
fn exists(path: &Path) -> Result<bool, DiskError> {
    path.try_exists().map_err(at("looking for", path))
}

fn known(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn sync(folder: &Path) -> Result<(), DiskError> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("syncing", folder))
}
