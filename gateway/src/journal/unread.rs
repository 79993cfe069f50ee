//! Beginning anew beside records whose keys are lost: the alarm of tonight must not wait for what last night's were sealed with.
//!
//! Enters: a journal's folder at the start of the gateway. Leaves: the same, or its sealed segments whole in a folder aside (`unread-1`), and a
//! journal with new keys whose numbers go on. Nothing is overwritten or removed: new keys have a name of their own (`keys-2`), keys that do not
//! open are kept (`keys.damaged`), and the right ones, put back where they were, are taken to what they open.
//! Invariants: keys count as lost where they are gone, damaged, refused by the disk, older than the records, or do not open with any home's key
//! there is; a file that is only out of sight just now stops the start; a crash between any two steps is finished by the next start, or undone
//! where the keys are back by then; a number is used once.
//! Absent: what records mean. Alarms that were open in them are unknown here until a person has looked: that is told as a technical alarm, and
//! where somebody may still be waiting as one for help, see [`Lost`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;
use vaka_protocol::Lane;
use vaka_seal::{HomeKey, KeyError, Ring, kept_aside, ring_number, ring_path, set_aside, unread};

use super::disk::{Disk, Locked, RealDisk};
use super::error::{DiskError, OpenError, ReadError, at};
use super::format::Head;
use super::reader::{self, OwnedEntry};
use super::record::Kind;
use super::scan::{self, Located, Walk};
use super::sealed::is_never_sealed;
use super::{Options, head, paths::Paths, recover};
use crate::limits::UNREAD_LIFE_MS;

/// What the headers of a loss still say, in the folder's file `newest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    /// When the last record was made, UTC milliseconds; 0: there is none.
    wall_ms: i64,
    /// When the last one of lane `life` was, if somebody may still wait. Absent: nobody does, or it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    life_ms: Option<i64>,
    /// Number of a key that the file of that time did not know: whoever reads all of them knows it. 0: it is not known which.
    #[serde(default)]
    needs: u32,
    /// People were told that there was a loss. Absent: before that was noted.
    #[serde(default = "yes")]
    is_told: bool,
}

fn yes() -> bool {
    true
}

/// The same before it is whole.
const NEWEST_PART: &str = "newest.json.part";

/// A loss after which somebody may be waiting for help, and nobody was told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    folder: PathBuf,
    /// As the folder's: 1 of `unread-1`.
    pub number: String,
    /// When the last record of lane `life` was made that cannot be read, UTC milliseconds.
    pub life_ms: i64,
}

/// Where the keys are lost: what they sealed goes aside, and the journal begins anew. The folder that was put aside.
///
/// # Errors
/// Where the disk refuses, or keys are only out of sight just now: then nothing is moved but what was begun.
pub fn begin_anew(dir: &Path) -> Result<Option<PathBuf>, OpenError> {
    begin(dir, None)
}

/// The same after it was seen that the file does not know a key, by its number: it is older than the journal.
///
/// # Errors
/// As [`begin_anew`].
pub fn begin_anew_beside_older_keys(dir: &Path, missing: u32) -> Result<Option<PathBuf>, OpenError> {
    begin(dir, Some(missing))
}

fn begin(dir: &Path, missing: Option<u32>) -> Result<Option<PathBuf>, OpenError> {
    if !exists(dir)? {
        return Ok(None);
    }
    let (paths, options) = (Paths::new(dir), Options { reserve_bytes: 0, ..Options::default() });
    RealDisk.create_dir(&paths.segments).map_err(at("creating", &paths.segments))?;
    let lock = match RealDisk.lock(&paths.lock).map_err(at("locking", &paths.lock))? {
        Locked::Mine(lock) => lock,
        // The one who holds it says so when the journal is opened.
        Locked::Held(_) => return Ok(None),
    };
    let mut aside = unread(dir);
    if aside.last().is_some_and(|begun| is_needless(begun, dir)) {
        aside.pop();
    }
    for (folder, lost) in &aside {
        // An old loss stops no journal that is well.
        if let Err(e) = take_back(folder, lost) {
            warn!("looking for the keys of {}: {e}", folder.display());
        }
    }
    let ring = ring_path(dir);
    let closed = match Ring::load(dir) {
        Ok(Some(_)) if missing.is_some() => true,
        Ok(Some(_)) => return Ok(None),
        Ok(None) => false,
        Err(error) if error.is_lost() => true,
        Err(error) => return Err(error.into()),
    };
    let segments = scan::list_all(&RealDisk, &paths)?.segments;
    let is_sealed = segments.iter().any(|segment| segment.header.is_some_and(|header| header.sealed));
    // Without a sealed segment it is a journal in clear, or one whose keys were about to be made when the power went. Nothing is mended in it
    // here: the one who opens it tells what was cut.
    if !is_sealed && !closed && (aside.is_empty() || !segments.is_empty()) {
        return Ok(None);
    }
    let (core, opened) = recover::recover(options, paths.clone(), &*lock, None)?;
    let mut made = None;
    if is_sealed {
        // One that the power left empty is gone on with: its next keys were never made.
        let is_next = !ring.exists() && kept_aside(&ring).is_empty();
        let empty = aside.last().filter(|(folder, _)| is_next && !folder.join("segments").exists());
        let own = || dir.join(format!("unread-{}", ring_number(&ring)));
        let folder = empty.map_or_else(own, |(folder, _)| folder.clone());
        fs::create_dir(&folder).or_else(known).map_err(at("creating", &folder))?;
        // A journal without a head is read too.
        fs::copy(&paths.head, folder.join("head")).map(drop).or_else(gone).map_err(at("copying", &paths.head))?;
        let newest = Newest {
            wall_ms: opened.newest_wall_ms,
            life_ms: newest_life(&core.segments)?.map(|(life_ms, _)| life_ms),
            // What a start noted that was cut off stays.
            needs: missing.or_else(|| Some(read_newest(&folder)?.needs)).unwrap_or(0),
            is_told: false,
        };
        write_newest(&folder, &newest)?;
        if closed {
            set_aside(&ring)?;
        }
        let there = folder.join("segments");
        fs::rename(&paths.segments, &there).map_err(at("moving", &paths.segments))?;
        sync(&folder)?;
        sync(dir)?;
        RealDisk.create_dir(&paths.segments).map_err(at("creating", &paths.segments))?;
        made = Some(folder);
    } else if closed {
        set_aside(&ring)?;
        if !core.segments.is_empty() {
            return Ok(None);
        }
    }
    let index = dir.join("index");
    fs::remove_dir_all(&index).or_else(gone).map_err(at("removing", &index))?;
    // Numbers and boots go on, and no segment is missed.
    head::store(&RealDisk, &paths, &Head { ceiling: opened.next_seq, floor: 0, boot: opened.boot })?;
    // Any home's key that there is: the journal is not to be in clear, and no press is to wait for the right one.
    Ring::make(dir, HomeKey::any_or_make(dir)?)?;
    Ok(made)
}

/// This beginning anew was cut off before anything was moved, and keys that open are back by now: its folder goes, and the journal is as it was.
fn is_needless((folder, lost): &(PathBuf, PathBuf), dir: &Path) -> bool {
    let is_begun = folder.join("segments").exists() || ring_path(dir).exists();
    if is_begun || !matches!(Ring::load_from(lost, dir), Ok(Some(_))) {
        return false;
    }
    let mut ours = [folder.join("head"), newest_path(folder), folder.join(NEWEST_PART)].into_iter();
    let cleared = ours.try_for_each(|file| fs::remove_file(file).or_else(gone)).and_then(|()| fs::remove_dir(folder));
    cleared.inspect_err(|e| warn!("removing {}, which nothing was put into: {e}", folder.display())).is_ok()
}

/// Keys that open what was put aside, where they were or kept as damaged (the home's key was the wrong one), go to it.
fn take_back(folder: &Path, lost: &Path) -> Result<(), OpenError> {
    if is_open(folder) {
        return Ok(());
    }
    for keys in std::iter::once(lost.to_owned()).chain(kept_aside(lost)) {
        match Ring::load_from(&keys, folder) {
            Ok(Some(ring)) if fits(&ring, folder) => {
                let there = folder.join("keys");
                set_aside(&there)?;
                fs::rename(&keys, &there).map_err(at("moving", &keys))?;
                sync(folder)?;
                return Ok(sync(folder.parent().unwrap_or(folder))?);
            }
            // None, or older than the records.
            Ok(_) => {}
            Err(error) if error.is_lost() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What was put aside can be read.
fn is_open(folder: &Path) -> bool {
    matches!(Ring::load(folder), Ok(Some(ring)) if fits(&ring, folder))
}

/// The keys know what the newest sealed records there are sealed with, and what others did not: a file from before a key was made opens, and
/// reads no further than that.
fn fits(ring: &Ring, folder: &Path) -> bool {
    let paths = Paths::new(folder);
    if read_newest(folder).is_some_and(|newest| newest.needs != 0 && !ring.knows(newest.needs)) {
        return false;
    }
    if !paths.segments.exists() {
        return true;
    }
    let Ok(found) = scan::list_all(&RealDisk, &paths) else { return false };
    for segment in found.segments.iter().rev() {
        let (mut is_sealed, mut is_known) = (false, true);
        let walked = Walk::default().segment(&RealDisk, segment, true, |placed| {
            is_sealed |= placed.header.key_id != 0;
            is_known &= placed.header.key_id == 0 || ring.knows(placed.header.key_id);
            ControlFlow::Continue(())
        });
        if walked.is_err() || is_sealed {
            return walked.is_ok() && is_known;
        }
    }
    true
}

/// When the last record of somebody in lane `life` was made, UTC milliseconds, and the first number of its segment, where the gateway did not run
/// for [`UNREAD_LIFE_MS`] after it: headers are in clear. One that was never sealed (its key failed) went aside with the rest. By the running
/// clock alone: a press that was stamped while no time was known bears the time of the last power cut. From the end, and no further than to that
/// record or that time.
fn newest_life(segments: &[Located]) -> Result<Option<(i64, u64)>, ReadError> {
    let mut ran = Ran::default();
    for segment in segments.iter().rev() {
        let (mut life, mut after) = (None, Ran::default());
        Walk::default().segment(&RealDisk, segment, true, |placed| {
            let of_somebody = Kind::of(placed.header.kind).is_none_or(|kind| !is_never_sealed(kind));
            if placed.header.lane == Lane::Life as u8 && of_somebody {
                (life, after) = (Some((placed.header.wall_ms, segment.first_seq)), Ran::default());
            }
            after.see(placed.header.boot, placed.header.mono_ms);
            ControlFlow::Continue(())
        })?;
        ran.join(&after);
        if life.is_some() || ran.ms() >= UNREAD_LIFE_MS {
            return Ok(life.filter(|_| ran.ms() < UNREAD_LIFE_MS));
        }
    }
    Ok(None)
}

/// How long the gateway ran, as records show it: of each start the first and the last of them, by the running clock.
#[derive(Debug, Default)]
struct Ran(BTreeMap<u32, (u64, u64)>);

impl Ran {
    fn see(&mut self, boot: u32, mono_ms: u64) {
        let (first, last) = self.0.entry(boot).or_insert((mono_ms, mono_ms));
        (*first, *last) = ((*first).min(mono_ms), (*last).max(mono_ms));
    }

    fn join(&mut self, other: &Ran) {
        for (boot, (first, last)) in &other.0 {
            self.see(*boot, *first);
            self.see(*boot, *last);
        }
    }

    fn ms(&self) -> u64 {
        self.0.values().map(|(first, last)| last - first).fold(0, u64::saturating_add)
    }
}

fn newest_path(folder: &Path) -> PathBuf {
    folder.join("newest.json")
}

fn write_newest(folder: &Path, newest: &Newest) -> Result<(), DiskError> {
    let (path, new) = (newest_path(folder), folder.join(NEWEST_PART));
    let bytes = serde_json::to_vec(newest).map_err(|e| at("writing", &new)(e.into()))?;
    fs::write(&new, bytes).and_then(|()| fs::File::open(&new)?.sync_all()).map_err(at("writing", &new))?;
    fs::rename(&new, &path).map_err(at("naming", &path))?;
    sync(folder)
}

fn read_newest(folder: &Path) -> Option<Newest> {
    serde_json::from_slice(&fs::read(newest_path(folder)).ok()?).ok()
}

/// The newest time in what was put aside, UTC milliseconds; 0: there is none.
pub fn newest_wall_ms(dir: &Path) -> i64 {
    unread(dir).iter().filter_map(|(folder, _)| read_newest(folder)).map(|newest| newest.wall_ms).max().unwrap_or(0)
}

/// Losses that nobody was told of although somebody may have called for help just before. Also where the keys are back by now: what was open in
/// those records is not open here.
pub fn lost(dir: &Path) -> Vec<Lost> {
    let lost = unread(dir).into_iter().filter_map(|(folder, _)| {
        let life_ms = read_newest(&folder)?.life_ms?;
        Some(Lost { number: number(&folder)?, folder, life_ms })
    });
    lost.collect()
}

/// 1 of `unread-1`.
fn number(folder: &Path) -> Option<String> {
    Some(folder.file_name()?.to_str()?.strip_prefix("unread-")?.to_owned())
}

/// The last event of lane `life` in what was put aside under this number, or what there is in its place; `None`: it cannot be read (yet), or
/// there is none. Reads as far back as [`newest_life`], and one segment once more.
///
/// # Errors
/// Where the disk refuses.
pub fn last_life(dir: &Path, number: &str) -> Result<Option<OwnedEntry>, ReadError> {
    let folder = dir.join(format!("unread-{number}"));
    if !is_open(&folder) {
        return Ok(None);
    }
    let segments = scan::list_all(&RealDisk, &Paths::new(&folder))?.segments;
    let Some((_, first_seq)) = newest_life(&segments)? else { return Ok(None) };
    let mut last: Option<OwnedEntry> = None;
    reader::scan(&folder, first_seq, |entry| {
        let is_event = |kind: u8| kind == Kind::Event as u8;
        let is_over = last.as_ref().is_some_and(|last| is_event(last.header.kind)) && !is_event(entry.header.kind);
        if entry.header.lane == Lane::Life as u8 && !is_over {
            last = Some(entry.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    Ok(last)
}

impl Lost {
    /// Somebody was told: no later start does it again.
    ///
    /// # Errors
    /// [`DiskError`]; the next start asks again.
    pub fn settle(&self) -> Result<(), DiskError> {
        note(&self.folder, |newest| newest.life_ms = None)
    }
}

fn note(folder: &Path, change: impl FnOnce(&mut Newest)) -> Result<(), DiskError> {
    let mut newest = read_newest(folder).unwrap_or(Newest { wall_ms: 0, life_ms: None, needs: 0, is_told: false });
    change(&mut newest);
    write_newest(folder, &newest)
}

/// People were told of every loss there is: one whose keys are back is not told again.
///
/// # Errors
/// [`DiskError`]; the next start tells it again.
pub fn settle_told(dir: &Path) -> Result<(), DiskError> {
    let untold = unread(dir).into_iter().filter(|(folder, _)| !was_told(folder));
    untold.map(|(folder, _)| folder).try_for_each(|folder| note(&folder, |newest| newest.is_told = true))
}

fn was_told(folder: &Path) -> bool {
    read_newest(folder).is_none_or(|newest| newest.is_told)
}

/// What a person is told of records that cannot be read; empty: there are none.
pub fn told(dir: &Path) -> String {
    // Whoever has given the records up removes them, and leaves the folder.
    let has_records =
        |folder: &Path| fs::read_dir(folder.join("segments")).is_ok_and(|mut found| found.next().is_some());
    let there = unread(dir).into_iter().filter(|(folder, _)| has_records(folder));
    let (open, closed): (Vec<_>, Vec<_>) = there.partition(|(folder, _)| is_open(folder));
    let back: Vec<String> =
        open.iter().filter(|(folder, _)| !was_told(folder)).filter_map(|(folder, _)| number(folder)).collect();
    let why = |(folder, lost): (PathBuf, PathBuf)| {
        let kept = kept_aside(&lost).into_iter().chain([lost.clone(), folder.join("keys")]).find(|keys| keys.exists());
        let why = match kept {
            None => format!("{} is lost", lost.display()),
            Some(kept) => match Ring::load_from(&kept, &folder).err() {
                None => format!("{} is older than these records", kept.display()),
                Some(KeyError::Damaged(_)) => format!("{} was damaged, kept as {}", lost.display(), kept.display()),
                Some(error) => error.to_string(),
            },
        };
        format!("{} ({why})", folder.display())
    };
    let closed: Vec<String> = closed.into_iter().map(why).collect();
    if closed.is_empty() {
        return match back.is_empty() {
            true => String::new(),
            false => format!(
                "earlier records were put aside while their keys could not be had, and can be read again (`vaka journal export --aside {}`). Who \
                 waited for help then is not shown here: ask the alarm centre and the home",
                back.join("`, `--aside ")
            ),
        };
    }
    format!(
        "earlier records cannot be read: {}. Who waited for help then is not shown here: ask the alarm centre and the home. New events are taken and \
         sealed with new keys. Put the lost file back where it was, from the newest backup, and restart: `vaka journal export --aside 1` reads it then. \
         If home.key is the wrong one, keep it beside the right one under another name (home.key.2)",
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

#[cfg(test)]
mod tests {
    use super::super::{Journal, Stamp};
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const NOW_MS: i64 = 1_795_000_000_000;

    /// What is noted of a loss after these records, each in a segment of its own: lane, key, running time, wall clock.
    fn noted(records: &[(Lane, u32, u64, i64)]) -> Option<i64> {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("journal");
        fs::create_dir(&dir).unwrap();
        Ring::open_or_make(&dir).unwrap();
        let options = Options { segment_bytes: 1, reserve_bytes: 0, ..Options::default() };
        let (mut journal, _) = Journal::open(&dir, options).unwrap();
        for (lane, key_id, mono_ms, wall_ms) in records {
            let stamp = Stamp { mono_ms: *mono_ms, wall_ms: *wall_ms };
            journal.append_raw(Kind::Event as u8, *lane as u8, *key_id, stamp, b"an event");
            journal.commit().unwrap();
        }
        assert_eq!(journal.stat().segments, records.len());
        drop(journal);
        fs::remove_file(dir.join("keys")).unwrap();
        let folder = begin_anew(&dir).unwrap().expect("a loss");
        read_newest(&folder).unwrap().life_ms
    }

    #[test]
    fn keys_that_are_back_before_anything_was_moved_leave_the_journal_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("journal");
        fs::create_dir(&dir).unwrap();
        Ring::open_or_make(&dir).unwrap();
        let (mut journal, _) = Journal::open(&dir, Options { reserve_bytes: 0, ..Options::default() }).unwrap();
        journal.append_raw(Kind::Event as u8, Lane::Life as u8, 1, Stamp { mono_ms: 1, wall_ms: NOW_MS }, b"an event");
        journal.commit().unwrap();
        drop(journal);
        // As the power left it after the folder and what is said of the loss.
        let folder = dir.join("unread-1");
        fs::create_dir(&folder).unwrap();
        fs::copy(dir.join("head"), folder.join("head")).unwrap();
        write_newest(&folder, &Newest { wall_ms: NOW_MS, life_ms: Some(NOW_MS), needs: 0, is_told: false }).unwrap();
        // Something of a person's: nothing of it is removed, and the beginning is gone on with.
        let witness = home.path().join("copy");
        let copied = std::process::Command::new("cp").arg("-r").args([&dir, &witness]).status().unwrap();
        assert!(copied.success());
        fs::write(witness.join("unread-1/note"), "mine").unwrap();
        assert_eq!(begin_anew(&witness).unwrap(), Some(witness.join("unread-1")));
        assert!(witness.join("unread-1/note").exists() && witness.join("unread-1/segments").exists());

        assert_eq!(begin_anew(&dir).unwrap(), None);
        assert!(!folder.exists() && lost(&dir).is_empty() && told(&dir).is_empty());
        let (journal, _) = Journal::open(&dir, Options { reserve_bytes: 0, ..Options::default() }).unwrap();
        assert_eq!((journal.stat().first_seq, journal.stat().segments), (1, 1));
    }

    #[test]
    fn keys_of_an_earlier_day_that_open_the_newest_records_are_not_those_of_all() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("journal");
        fs::create_dir(&dir).unwrap();
        let mut ring = Ring::open_or_make(&dir).unwrap();
        let (keys, of_yesterday) = (dir.join("keys"), fs::read(dir.join("keys")).unwrap());
        let people = BTreeMap::from([("r3".to_owned(), std::collections::BTreeSet::new())]);
        ring.lives_here(&people).unwrap();
        let of_r3 = ring.of("r3").unwrap();
        let options = Options { segment_bytes: 1, reserve_bytes: 0, ..Options::default() };
        let (mut journal, _) = Journal::open(&dir, options).unwrap();
        for key_id in [of_r3, 1] {
            let stamp = Stamp { mono_ms: 1, wall_ms: NOW_MS };
            journal.append_raw(Kind::Event as u8, Lane::Care as u8, key_id, stamp, b"an event");
            journal.commit().unwrap();
        }
        drop(journal);
        let of_today = fs::read(&keys).unwrap();
        fs::write(&keys, &of_yesterday).unwrap();
        let uncut = home.path().join("uncut");
        assert!(std::process::Command::new("cp").arg("-r").args([&dir, &uncut]).status().unwrap().success());
        begin_anew_beside_older_keys(&uncut, of_r3).unwrap().expect("a loss");
        assert!(uncut.join("keys.damaged").exists() && read_newest(&uncut.join("unread-1")).unwrap().needs == of_r3);
        // Cut off once, after it was noted what for and the keys were kept aside.
        let folder = dir.join("unread-1");
        fs::create_dir(&folder).unwrap();
        write_newest(&folder, &Newest { wall_ms: NOW_MS, life_ms: None, needs: of_r3, is_told: false }).unwrap();
        set_aside(&keys).unwrap();
        assert_eq!(begin_anew(&dir).unwrap(), Some(folder));
        for _ in 0..2 {
            assert_eq!(begin_anew(&dir).unwrap(), None);
            assert!(told(&dir).contains("is older than these records"), "{}", told(&dir));
        }
        fs::write(&keys, &of_today).unwrap();
        begin_anew(&dir).unwrap();
        assert!(is_open(&dir.join("unread-1")) && !keys.exists());
    }

    #[test]
    fn the_last_press_is_looked_for_as_far_back_as_somebody_may_wait_and_no_further() {
        let (life, bed) = (Lane::Life, Lane::Telemetry);
        let press = (life, 1, 0, NOW_MS);
        for (then, found) in [
            (vec![(bed, 1, 10 * HOUR_MS, NOW_MS), (bed, 1, 24 * HOUR_MS - 1, NOW_MS)], Some(NOW_MS)),
            (vec![(bed, 1, 10 * HOUR_MS, NOW_MS), (bed, 1, 24 * HOUR_MS, NOW_MS)], None),
            // A clock that jumped makes no press old.
            (vec![(bed, 1, HOUR_MS, NOW_MS), (bed, 1, 2 * HOUR_MS, NOW_MS + 3_000 * 86_400_000)], Some(NOW_MS)),
            (vec![(life, 1, HOUR_MS, NOW_MS + 5), (bed, 1, 24 * HOUR_MS, NOW_MS)], Some(NOW_MS + 5)),
            // Its key failed: it lies in clear, and aside with the rest.
            (vec![(life, 0, HOUR_MS, NOW_MS + 7)], Some(NOW_MS + 7)),
        ] {
            let records: Vec<_> = [press].into_iter().chain(then).collect();
            assert_eq!(noted(&records), found, "{records:?}");
        }
    }
}
