//! Walking over records: the one reader that open, scan, read and verify share.
//!
//! Enters: segments. Leaves: records in order of their numbers, and every place that is none as [`Damage`].
//! Invariants: nothing is skipped in silence; no number comes twice; memory is bounded by the file, never by a length read
//! from it; the search after damage looks at each byte once, because a header has a checksum of its own.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::damage::{Damage, DamageKind};
use super::disk::{Disk, DiskFile};
use super::error::{ReadError, at};
use super::format::{
    FLAG_FIRST, KIND_SKIP, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentName,
    SegmentStart,
};
use super::paths::Paths;
use crate::limits::READ_WINDOW_BYTES;

const RECORD_BYTES: u64 = RECORD_HEADER_BYTES as u64;

/// A segment file as found.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub path: PathBuf,
    pub name: String,
    pub first_seq: u64,
    pub salt: u32,
    /// `None`: damaged; number and salt are from the name.
    pub header: Option<SegmentHeader>,
    pub misnamed: bool,
    /// Bytes that belong to the journal.
    pub len: u64,
}

/// Segments in order, and files that are none.
pub(crate) struct Listing {
    pub segments: Vec<Located>,
    pub stray: Vec<Located>,
}

/// [`list`] for a reader. A journal that was never opened is an empty one: its folder is there and holds no file but its keys.
/// A folder that is gone, or one that has lost its segments, stays an error.
pub(crate) fn list_all(disk: &dyn Disk, paths: &Paths) -> Result<Listing, ReadError> {
    match list(disk, &paths.segments) {
        Err(_) if disk.list(&paths.dir).is_ok_and(|names| names.iter().all(|name| name == "keys")) => {
            Ok(Listing { segments: Vec::new(), stray: Vec::new() })
        }
        listing => listing,
    }
}

/// Looks at every file's name and header. A file that vanishes meanwhile has been removed by the gateway: passed over.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Listing, ReadError> {
    let mut listing = Listing { segments: Vec::new(), stray: Vec::new() };
    for name in disk.list(dir).map_err(at("listing", dir))? {
        let path = dir.join(&name);
        let file = match disk.open(&path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(at("opening", &path))?,
        };
        let len = file.len().map_err(at("measuring", &path))?;
        let mut start = [0; SEGMENT_HEADER_BYTES];
        // A first sector that the disk cannot give is a damaged header: the name tells what is needed.
        let read = file.read_at(&mut start, 0).unwrap_or(0);
        let header = match SegmentHeader::decode(&start[..read]) {
            SegmentStart::Valid(header) => Some(header),
            SegmentStart::Newer(version) => return Err(ReadError::Newer { path, version }),
            SegmentStart::Damaged => None,
        };
        let named = SegmentName::parse(&name);
        let of_header = header.map(|h| SegmentName { first_seq: h.first_seq, salt: h.salt });
        let misnamed = of_header.is_some() && named != of_header;
        match of_header.or(named) {
            Some(SegmentName { first_seq, salt }) => {
                listing.segments.push(Located { path, name, first_seq, salt, header, misnamed, len });
            }
            None => listing.stray.push(Located { path, name, first_seq: 0, salt: 0, header, misnamed, len }),
        }
    }
    listing.segments.sort_by(|a, b| (a.first_seq, &a.name).cmp(&(b.first_seq, &b.name)));
    listing.stray.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

/// A part of a file in memory. Sectors that the disk cannot give are zeros.
struct Window<'f> {
    file: &'f dyn DiskFile,
    limit: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'f> Window<'f> {
    fn new(file: &'f dyn DiskFile, limit: u64) -> Self {
        Window { file, limit, start: 0, bytes: Vec::new() }
    }

    /// At least `length` bytes from `from`, fewer at the limit; up to a whole window if that is in memory.
    fn view(&mut self, from: u64, length: usize) -> io::Result<&[u8]> {
        let length = length.min(usize::try_from(self.limit.saturating_sub(from)).unwrap_or(usize::MAX));
        let inside = from >= self.start && from + length as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            self.fill(from, length)?;
        }
        Ok(&self.bytes[(from - self.start) as usize..])
    }

    fn fill(&mut self, from: u64, length: usize) -> io::Result<()> {
        let left = self.limit.saturating_sub(from);
        let want = left.min(length.max(READ_WINDOW_BYTES) as u64) as usize;
        if self.bytes.capacity() > 4 * READ_WINDOW_BYTES && want <= READ_WINDOW_BYTES {
            // A checkpoint was here; its memory is not kept.
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bytes.resize(want, 0);
        self.start = from;
        let mut done = 0;
        while done < want {
            match self.file.read_at(&mut self.bytes[done..], from + done as u64) {
                // Shorter than it was: the rest stays zero, which is no record.
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.raw_os_error() == Some(EIO) => {
                    // One bad sector must not hide its neighbours: on to the next page, this one read in small steps.
                    let page_end = ((from + done as u64) / PAGE + 1) * PAGE;
                    let step = ((page_end - from) as usize).min(want);
                    match self.file.read_at(&mut self.bytes[done..step], from + done as u64) {
                        Ok(read) if read > 0 => done += read,
                        _ => {
                            self.bytes[done..step].fill(0);
                            done = step;
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

const EIO: i32 = 5;
const PAGE: u64 = 4096;

/// A record as it is handed to a walk's reader.
pub(crate) struct Placed<'a> {
    pub header: RecordHeader,
    pub body: &'a [u8],
}

/// What a walk over segments has seen so far.
#[derive(Default)]
pub(crate) struct Walk {
    /// The number that must come next; `None` until something says so.
    pub expected: Option<u64>,
    pub damage: Vec<Damage>,
    /// Records seen, the journal's own included.
    pub records: u64,
    pub last: Option<RecordHeader>,
    pub newest_wall_ms: i64,
    /// Unreadable end of a segment; which numbers it held shows at the next record.
    open_end: Option<Damage>,
}

/// What one segment held.
pub(crate) struct Walked {
    /// Where its last readable record ends.
    pub end: u64,
    /// Bytes after that.
    pub tail: u64,
    /// Where its last commit begins, if that record can be read.
    pub last_commit: Option<u64>,
    pub stopped: bool,
}

enum Found {
    Record(RecordHeader),
    /// A header that is right, but a body that is not, or a number out of order: its length can be trusted.
    Lost(u64),
    Nothing,
    End,
}

impl Walk {
    pub fn expecting(expected: Option<u64>) -> Walk {
        Walk { expected, ..Walk::default() }
    }

    /// Walks over one segment. `last`: its unreadable end is a torn tail, reported in [`Walked`] alone.
    pub fn segment(
        &mut self,
        disk: &dyn Disk,
        segment: &Located,
        last: bool,
        mut f: impl FnMut(Placed<'_>) -> ControlFlow<()>,
    ) -> Result<Walked, ReadError> {
        let file = match disk.open(&segment.path, false) {
            // Removed by retention while another process reads.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Walked { end: 0, tail: 0, last_commit: None, stopped: false });
            }
            other => other.map_err(at("opening", &segment.path))?,
        };
        self.walk(&*file, segment, last, &mut f).map_err(at("reading", &segment.path)).map_err(ReadError::from)
    }

    fn walk(
        &mut self,
        file: &dyn DiskFile,
        segment: &Located,
        last: bool,
        f: &mut dyn FnMut(Placed<'_>) -> ControlFlow<()>,
    ) -> io::Result<Walked> {
        let limit = segment.len;
        let mut window = Window::new(file, limit);
        let first_damage = self.damage.len();
        self.look_at_start(segment);
        let mut pos = (SEGMENT_HEADER_BYTES as u64).min(limit);
        let mut walked = Walked { end: pos, tail: 0, last_commit: None, stopped: false };
        let mut bad_from = None;
        // Numbers only rise, also within a segment that overlaps another.
        let mut expected = self.expected.unwrap_or(segment.first_seq);
        loop {
            match probe(&mut window, pos, limit, segment.salt, expected)? {
                Found::Record(header) => {
                    let length = RECORD_BYTES + u64::from(header.length);
                    let whole = window.view(pos, length as usize)?;
                    let body = &whole[RECORD_HEADER_BYTES..length as usize];
                    let missing = missing_before(&header, body, expected);
                    self.close_gap(segment, bad_from.take(), pos, missing);
                    if header.flags & FLAG_FIRST != 0 {
                        walked.last_commit = Some(pos);
                    }
                    self.records += 1;
                    self.last = Some(header);
                    self.newest_wall_ms = self.newest_wall_ms.max(header.wall_ms);
                    expected = header.seq + 1;
                    self.expected = Some(expected);
                    pos += length;
                    walked.end = pos;
                    if header.kind != KIND_SKIP && f(Placed { header, body }).is_break() {
                        walked.stopped = true;
                        return Ok(walked);
                    }
                }
                Found::Lost(length) => {
                    bad_from.get_or_insert(pos);
                    pos = limit.min(pos + length);
                }
                Found::Nothing => {
                    bad_from.get_or_insert(pos);
                    pos = next_header(&mut window, pos + 1, limit, segment.salt)?;
                }
                Found::End => break,
            }
        }
        walked.tail = limit - walked.end;
        if last {
            // The open end of the segment before is found here too, and was settled when this one was begun.
            for place in self.damage[first_damage..].iter_mut().filter(|place| place.segment == segment.name) {
                place.unsettled = match place.kind {
                    DamageKind::Unreadable => walked.last_commit.is_none_or(|commit| commit < place.to),
                    DamageKind::Header => walked.last_commit.is_none(),
                    _ => false,
                };
            }
        } else if walked.tail > 0 {
            let open = damage(DamageKind::Unreadable, segment, walked.end, limit, None);
            self.flush_open_end();
            self.open_end = Some(open);
        }
        Ok(walked)
    }

    /// The end of the walk: damage whose numbers nothing after it tells is reported without them.
    pub fn finish(&mut self) {
        self.flush_open_end();
    }

    fn flush_open_end(&mut self) {
        self.damage.extend(self.open_end.take());
    }

    fn look_at_start(&mut self, segment: &Located) {
        if segment.header.is_none() {
            let to = (SEGMENT_HEADER_BYTES as u64).min(segment.len);
            self.damage.push(damage(DamageKind::Header, segment, 0, to, None));
        }
        if segment.misnamed {
            self.damage.push(damage(DamageKind::Misnamed, segment, 0, 0, None));
        }
    }

    /// A record was found at `pos`: says what lies unreadable before it and which numbers are missing.
    fn close_gap(&mut self, segment: &Located, bad_from: Option<u64>, pos: u64, missing: Option<(u64, u64)>) {
        match (self.open_end.take(), bad_from) {
            (Some(mut open), None) => {
                if let Some((first, last)) = missing {
                    (open.first_missing_seq, open.last_missing_seq) = (first, last);
                }
                self.damage.push(open);
            }
            (open, Some(from)) => {
                self.damage.extend(open);
                self.damage.push(damage(DamageKind::Unreadable, segment, from, pos, missing));
            }
            (None, None) => {
                if missing.is_some() {
                    self.damage.push(damage(DamageKind::Missing, segment, pos, pos, missing));
                }
            }
        }
    }
}

pub(crate) fn damage(kind: DamageKind, segment: &Located, from: u64, to: u64, missing: Option<(u64, u64)>) -> Damage {
    let (first_missing_seq, last_missing_seq) = missing.unwrap_or((1, 0));
    let segment = segment.name.clone();
    Damage { kind, segment, from, to, first_missing_seq, last_missing_seq, unsettled: false, known: false }
}

/// Numbers lost between `expected` and this record.
fn missing_before(header: &RecordHeader, body: &[u8], expected: u64) -> Option<(u64, u64)> {
    let last = match <[u8; 8]>::try_from(body) {
        Ok(follows) if header.kind == KIND_SKIP => u64::from_le_bytes(follows),
        _ => header.seq.saturating_sub(1),
    };
    (expected <= last).then_some((expected, last))
}

fn probe(window: &mut Window<'_>, pos: u64, limit: u64, salt: u32, expected: u64) -> io::Result<Found> {
    if pos >= limit {
        return Ok(Found::End);
    }
    let Some(header) = RecordHeader::decode(window.view(pos, RECORD_HEADER_BYTES)?, salt) else {
        return Ok(Found::Nothing);
    };
    let length = RECORD_BYTES + u64::from(header.length);
    if header.seq < expected || header.seq == u64::MAX || length > limit - pos {
        return Ok(Found::Lost(length));
    }
    let body = &window.view(pos, length as usize)?[RECORD_HEADER_BYTES..length as usize];
    Ok(if header.body_is_whole(body, salt) { Found::Record(header) } else { Found::Lost(length) })
}

/// The next place from `from` on where a header's checksum is right; `limit` if there is none.
fn next_header(window: &mut Window<'_>, mut from: u64, limit: u64, salt: u32) -> io::Result<u64> {
    while from + RECORD_BYTES <= limit {
        let bytes = window.view(from, READ_WINDOW_BYTES)?;
        let places = bytes.len() - RECORD_HEADER_BYTES + 1;
        for place in 0..places {
            if RecordHeader::decode(&bytes[place..], salt).is_some() {
                return Ok(from + place as u64);
            }
        }
        from += places as u64;
    }
    Ok(limit)
}
