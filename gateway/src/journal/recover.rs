//! Opening: what a crash, a failed sync, a careless hand or a worn-out card left is made a journal again.
//!
//! Enters: a folder in any state, and what this process remembers of a failed commit. Leaves: [`Core`] and [`Opened`].
//! Order: the failed commit's bytes go, then segments below the floor; the last segment is synced before it is believed,
//! read whole, and its torn tail cut; the others' chain is checked. Every step can be cut off and done again.
//!
//! The last segment is appended to again if every byte of it was read and no commit failed in it: a gateway that restarts
//! every minute must not leave a file a minute. In every other case the next commit begins a new segment.

use std::io;
use std::ops::ControlFlow;

use super::damage::{Damage, DamageKind, keep_cut, quarantine, set_aside};
use super::disk::{Disk, DiskFile, DiskLock};
use super::error::{DiskError, OpenError, at};
use super::format::{Head, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES};
use super::head::{self, HeadRead};
use super::paths::Paths;
use super::scan::{self, Located, Walk, damage};
use super::{Core, Failed, Opened, Options, Reserve};
use crate::limits::{READ_WINDOW_BYTES, SEQ_LEASE};

/// What a journal that is reopened in its process knows beyond the disk.
pub(super) struct Memory {
    pub next_seq: u64,
    pub failed: Vec<Failed>,
}

/// Begins the note's line on a segment whose sync failed at an open.
const DOUBTED: &str = "doubted ";

/// Marks kept: the segment that was written when a commit failed, and the one after it whose making failed too.
const MARKS_MAX: usize = 2;

/// The lock file's text: the holder, and where commits failed since the machine started.
pub(super) fn note(failed: &[Failed]) -> String {
    let mut text = format!("pid {}", std::process::id());
    for Failed { segment, from, seq } in failed.iter().rev().take(MARKS_MAX) {
        text += &format!("\nunsynced {from} {seq} {segment}");
    }
    text
}

fn read_note(text: &str) -> Vec<Failed> {
    let mark = |line: &str| {
        let mut words = line.strip_prefix("unsynced ")?.splitn(3, ' ');
        let (from, seq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Failed { segment: words.next()?.to_owned(), from, seq })
    };
    let mut failed: Vec<Failed> = text.lines().filter_map(mark).collect();
    failed.reverse();
    failed
}

/// The last segment after its tail has been dealt with.
#[derive(Default)]
struct Tail {
    walk: Walk,
    cut_bytes: u64,
    /// Every byte was read and nothing was cut.
    whole: bool,
}

pub(super) fn recover(
    options: Options,
    paths: Paths,
    lock: &dyn DiskLock,
    memory: Option<Memory>,
) -> Result<(Core, Opened), OpenError> {
    let disk = &*options.disk;
    let failed = match &memory {
        Some(memory) => memory.failed.clone(),
        None => lock.note().map(|text| read_note(&text)).unwrap_or_default(),
    };
    // Names that a killed process made or exchanged but had not yet synced. The head's too: what goes because it is below the
    // floor must not be missed by an older head that a power cut brings back.
    disk.sync_dir(&paths.dir).map_err(at("syncing", &paths.dir))?;
    disk.sync_dir(&paths.segments).map_err(at("syncing", &paths.segments))?;
    let head = head::load(disk, &paths)?;
    let scan::Listing { mut segments, stray } = scan::list(disk, &paths.segments)?;

    for failed in &failed {
        drop_failed(disk, &paths, &mut segments, failed)?;
    }
    let (known, floor) = match head {
        HeadRead::Valid(head) => (head, head.floor),
        HeadRead::Absent | HeadRead::Damaged => (Head::default(), 0),
    };
    drop_below_floor(disk, &paths, &mut segments, floor)?;
    let doubted = segments.last().is_some_and(|last| is_doubted(lock, &last.name));
    let tail = read_tail(disk, &paths, &mut segments, doubted).inspect_err(|_| {
        if let Some(last) = segments.last() {
            doubt(lock, &failed, &last.name);
        }
    })?;

    let mut found: Vec<Damage> = stray.iter().map(|file| damage(DamageKind::Stray, file, 0, file.len, None)).collect();
    let last_seq = tail.walk.last.map_or(0, |record| record.seq);
    let next_seq = next_number(head, &segments, last_seq, memory.as_ref());
    found.extend(missing_ends(&segments, floor, next_seq));
    if options.check_all {
        found.extend(check_all(disk, &segments)?);
    } else {
        found.extend(check_chain(disk, &segments, tail.walk.damage.clone())?);
    }
    let everything: Vec<Located> = segments.iter().chain(&stray).cloned().collect();
    quarantine(disk, &paths, &everything, &mut found);

    let boot = segments.iter().filter_map(|s| Some(s.header?.boot)).max().unwrap_or(0);
    let boot = boot.max(known.boot).max(tail.walk.last.map_or(0, |record| record.boot)) + 1;
    let active = match segments.last() {
        Some(last) if may_append(last, &tail, &failed, &options) => {
            Some(disk.open(&last.path, true).map_err(at("opening", &last.path))?)
        }
        _ => None,
    };
    // A mark stays as long as its segment: until the next one is begun, it alone keeps this one from being appended to.
    let mut failed = failed;
    failed.retain(|failed| segments.iter().any(|s| s.name == failed.segment));
    failed.drain(..failed.len().saturating_sub(MARKS_MAX));
    let _ = lock.set_note(&note(&failed));

    let opened = Opened {
        first_seq: segments.first().map_or(next_seq, |s| s.first_seq),
        next_seq,
        last_seq,
        boot,
        cut_bytes: tail.cut_bytes,
        damage: found,
        head_damaged: head == HeadRead::Damaged,
        newest_wall_ms: tail.walk.newest_wall_ms,
    };
    let mut core = Core {
        paths,
        segments,
        active,
        batch: vec![0; SEGMENT_HEADER_BYTES],
        batch_records: 0,
        boot,
        last_seq,
        next_seq,
        head: known,
        reserve: Reserve::Without,
        ring: None,
        unsealed: 0,
        poisoned: None,
        writing: None,
        failed,
        options,
    };
    core.find_reserve();
    Ok((core, opened))
}

fn may_append(last: &Located, tail: &Tail, failed: &[Failed], options: &Options) -> bool {
    tail.whole
        && last.header.is_some()
        && !last.misnamed
        && last.len < options.segment_bytes
        && failed.iter().all(|failed| failed.segment != last.name)
}

/// Cuts away what a failed commit wrote. Reading may show it whole although the disk never took it.
fn drop_failed(disk: &dyn Disk, paths: &Paths, segments: &mut Vec<Located>, failed: &Failed) -> Result<(), DiskError> {
    let Some(index) = segments.iter().position(|s| s.name == failed.segment && s.len > failed.from) else {
        return Ok(());
    };
    let segment = &mut segments[index];
    if is_stale(disk, segment, failed).map_err(at("reading", &segment.path))? {
        return Ok(());
    }
    if failed.from <= SEGMENT_HEADER_BYTES as u64 {
        disk.remove(&segment.path).map_err(at("removing", &segment.path))?;
        disk.sync_dir(&paths.segments).map_err(at("syncing", &paths.segments))?;
        segments.remove(index);
    } else {
        cut(disk, segment, failed.from)?;
    }
    Ok(())
}

/// A later record stands where the commit failed: the mark came back with an old version of the lock file.
fn is_stale(disk: &dyn Disk, segment: &Located, failed: &Failed) -> io::Result<bool> {
    let mut header = [0; RECORD_HEADER_BYTES];
    let file = disk.open(&segment.path, false)?;
    let read = file.read_at(&mut header, failed.from.max(SEGMENT_HEADER_BYTES as u64)).unwrap_or(0);
    Ok(RecordHeader::decode(&header[..read], segment.salt).is_some_and(|header| header.seq != failed.seq))
}

fn cut(disk: &dyn Disk, segment: &mut Located, len: u64) -> Result<(), DiskError> {
    let file = disk.open(&segment.path, true).map_err(at("opening", &segment.path))?;
    file.set_len(len).map_err(at("cutting", &segment.path))?;
    file.sync_all().map_err(at("syncing", &segment.path))?;
    segment.len = len;
    Ok(())
}

/// Finishes a removal that a crash cut off, or whose names came back because their folder was not yet synced.
fn drop_below_floor(disk: &dyn Disk, paths: &Paths, segments: &mut Vec<Located>, floor: u64) -> Result<(), DiskError> {
    // The floor is always the beginning of a segment: what begins before it ends before it. The last one stays whatever it is.
    let settled = segments.iter().take_while(|s| s.first_seq < floor).count().min(segments.len().saturating_sub(1));
    if settled == 0 {
        return Ok(());
    }
    for segment in segments.drain(..settled) {
        disk.remove(&segment.path).map_err(at("removing", &segment.path))?;
    }
    disk.sync_dir(&paths.segments).map_err(at("syncing", &paths.segments))
}

/// A sync of this segment failed at an open: the kernel says so once, and calls the lost pages clean.
fn doubt(lock: &dyn DiskLock, failed: &[Failed], segment: &str) {
    let _ = lock.set_note(&format!("{}\n{DOUBTED}{segment}", note(failed)));
}

fn is_doubted(lock: &dyn DiskLock, segment: &str) -> bool {
    lock.note().is_ok_and(|text| text.lines().any(|line| line.strip_prefix(DOUBTED) == Some(segment)))
}

/// Writes a file's bytes over themselves, so that the next sync has them all to write.
fn write_again(file: &dyn DiskFile, len: u64) -> io::Result<()> {
    let mut bytes = vec![0; READ_WINDOW_BYTES];
    let mut from = 0;
    while from < len {
        let read = file.read_at(&mut bytes, from)?;
        if read == 0 {
            break;
        }
        file.write_at(&bytes[..read], from)?;
        from += read as u64;
    }
    Ok(())
}

/// Reads the last segment whole, cuts its torn tail, and sets aside last segments of which nothing can be read.
fn read_tail(disk: &dyn Disk, paths: &Paths, segments: &mut Vec<Located>, doubted: bool) -> Result<Tail, OpenError> {
    let mut tail = Tail::default();
    while let Some(last) = segments.last_mut() {
        // A killed process may have written what it had not yet synced: from here on it counts, so it must be on the disk.
        let file = disk.open(&last.path, true).map_err(at("opening", &last.path))?;
        if doubted {
            // Unreadable pages stay as they are: they are damage, told as such.
            let _ = write_again(&*file, last.len);
        }
        file.sync_data().map_err(at("syncing", &last.path))?;
        let mut walk = Walk::default();
        let walked = walk.segment(disk, last, true, |_| ControlFlow::Continue(()))?;
        if walk.records == 0 {
            tail.cut_bytes += last.len;
            set_aside(disk, paths, last)?;
            segments.pop();
            continue;
        }
        if walked.tail > 0 {
            keep_cut(disk, paths, last, walked.end);
            cut(disk, last, walked.end)?;
            tail.cut_bytes += walked.tail;
        }
        tail.whole = walked.tail == 0 && walk.damage.is_empty();
        tail.walk = walk;
        break;
    }
    Ok(tail)
}

/// The first number that nobody can have seen.
fn next_number(head: HeadRead, segments: &[Located], last_seq: u64, memory: Option<&Memory>) -> u64 {
    let after = last_seq + 1;
    match (memory, head) {
        (Some(memory), _) => memory.next_seq.max(after),
        (None, HeadRead::Valid(head)) => head.ceiling.max(after),
        (None, HeadRead::Absent) if segments.is_empty() => after,
        // Whatever the head said, it was at most one lease further than a commit that was at most one lease ahead.
        (None, HeadRead::Absent | HeadRead::Damaged) => after + 2 * SEQ_LEASE,
    }
}

/// Segments that must be there and are not, at the beginning or altogether.
fn missing_ends(segments: &[Located], floor: u64, next_seq: u64) -> Option<Damage> {
    if floor == 0 {
        return None;
    }
    let Some(first) = segments.first() else {
        let (kind, segment, last_missing_seq) = (DamageKind::Missing, "(every segment)".to_owned(), next_seq - 1);
        let (from, to, unsettled, known, first_missing_seq) = (0, 0, false, false, floor);
        return Some(Damage { kind, segment, from, to, first_missing_seq, last_missing_seq, unsettled, known });
    };
    (first.first_seq > floor).then(|| damage(DamageKind::Missing, first, 0, 0, Some((floor, first.first_seq - 1))))
}

/// Every header names the segment before it; where that is not so, the two neighbours are read to tell what is lost.
///
/// `of_last` is what the last segment's own reading found.
fn check_chain(disk: &dyn Disk, segments: &[Located], mut of_last: Vec<Damage>) -> Result<Vec<Damage>, OpenError> {
    let mut found = Vec::new();
    for (index, pair) in segments.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        if after.header.is_some_and(|header| header.previous == before.first_seq) {
            continue;
        }
        let last = index + 2 == segments.len();
        let enough = if last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        let mut walk = Walk::default();
        walk.segment(disk, before, false, |_| ControlFlow::Continue(()))?;
        walk.segment(disk, after, last, |_| enough)?;
        walk.finish();
        if last {
            // The same places, with what is missing in front of them.
            of_last = walk.damage.iter().filter(|place| place.segment == after.name).cloned().collect();
            walk.damage.retain(|place| place.segment != after.name);
        }
        found.append(&mut walk.damage);
    }
    for segment in segments.iter().rev().skip(1) {
        if segment.header.is_none() {
            let to = (SEGMENT_HEADER_BYTES as u64).min(segment.len);
            found.push(damage(DamageKind::Header, segment, 0, to, None));
        }
        if segment.misnamed {
            found.push(damage(DamageKind::Misnamed, segment, 0, 0, None));
        }
    }
    // A segment between two gaps was read twice.
    let order = |place: &Damage| (place.first_missing_seq, place.segment.clone(), place.from, place.kind);
    found.sort_by_key(order);
    found.dedup();
    found.append(&mut of_last);
    Ok(found)
}

fn check_all(disk: &dyn Disk, segments: &[Located]) -> Result<Vec<Damage>, OpenError> {
    let mut walk = Walk::default();
    for (index, segment) in segments.iter().enumerate() {
        walk.segment(disk, segment, index + 1 == segments.len(), |_| ControlFlow::Continue(()))?;
    }
    walk.finish();
    Ok(walk.damage)
}
