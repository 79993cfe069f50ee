//! Reading without writing: for the journal itself, and for other processes while the gateway runs (no lock is taken).
//!
//! Enters: a journal's folder. Leaves: records in order, and a [`Report`] on the state of every segment.
//! Invariant: nothing on the disk is changed. A commit that is just being written may show as `tail_bytes`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use super::damage::{Damage, DamageKind, recognise};
use super::disk::{Disk, RealDisk};
use super::error::ReadError;
use super::format::RecordHeader;
use super::head::{self, HeadRead};
use super::paths::Paths;
use super::record::{Kind, Record, RecordError};
use super::scan::{self, Located, Walk, damage};
use super::sealed::{Body, Opener};
use vaka_seal::Ring;

/// What a reader needs of a record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub seq: u64,
    pub kind: u8,
    pub lane: u8,
    /// Key that the body is sealed with on the disk; 0: it is not.
    pub key_id: u32,
    pub boot: u32,
    /// Milliseconds since the machine started.
    pub mono_ms: u64,
    /// UTC milliseconds since 1970.
    pub wall_ms: i64,
}

impl From<RecordHeader> for Header {
    fn from(header: RecordHeader) -> Self {
        let RecordHeader { seq, kind, lane, key_id, boot, mono_ms, wall_ms, .. } = header;
        Header { seq, kind, lane, key_id, boot, mono_ms, wall_ms }
    }
}

/// A record as it lies in memory during a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    pub header: Header,
    pub body: &'a [u8],
}

impl Entry<'_> {
    pub fn decode(&self) -> Result<Record, RecordError> {
        Record::decode(self.header.kind, self.body)
    }

    pub fn to_owned(&self) -> OwnedEntry {
        OwnedEntry { header: self.header, body: self.body.to_vec() }
    }
}

/// A record of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedEntry {
    pub header: Header,
    pub body: Vec<u8>,
}

impl OwnedEntry {
    pub fn decode(&self) -> Result<Record, RecordError> {
        Record::decode(self.header.kind, &self.body)
    }
}

/// What a scan went over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// Records handed out.
    pub records: u64,
    /// Number of the last one handed out; 0: none.
    pub last_seq: u64,
    pub damage: Vec<Damage>,
    /// Bytes at the very end that are no record (yet).
    pub tail_bytes: u64,
    /// The reader broke off.
    pub stopped: bool,
    /// Records whose key is erased: handed out as [`Kind::Gone`].
    pub erased: u64,
    /// Records that their key does not open: something else was written there, by somebody who can write to this disk.
    pub unopened: Vec<u64>,
}

/// Hands every record in `dir` from `from_seq` on to `f`, in order, until `f` breaks.
pub fn scan(dir: &Path, from_seq: u64, f: impl FnMut(Entry<'_>) -> ControlFlow<()>) -> Result<Scan, ReadError> {
    scan_on(&RealDisk, dir, from_seq, f)
}

/// [`scan`] on any disk.
pub fn scan_on(
    disk: &dyn Disk,
    dir: &Path,
    from_seq: u64,
    mut f: impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> Result<Scan, ReadError> {
    let paths = Paths::new(dir);
    let listing = scan::list_all(disk, &paths)?;
    let ring = Ring::load(dir).map_err(ReadError::Keys)?;
    let mut scan =
        scan_segments(disk, &listing.segments, from_seq, &Opener::beside_a_writer(ring.as_ref(), dir), &mut f)?;
    recognise(disk, &paths, &mut scan.damage);
    Ok(scan)
}

pub(super) fn scan_segments(
    disk: &dyn Disk,
    segments: &[Located],
    from_seq: u64,
    opener: &Opener<'_>,
    f: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
) -> Result<Scan, ReadError> {
    let start = segments.partition_point(|s| s.first_seq <= from_seq).saturating_sub(1);
    let mut scan = Scan::default();
    let mut walk = Walk::default();
    let mut failed = None;
    for (index, segment) in segments.iter().enumerate().skip(start) {
        let last = index + 1 == segments.len();
        let walked = walk.segment(disk, segment, last, |placed| {
            if placed.header.seq < from_seq {
                return ControlFlow::Continue(());
            }
            scan.records += 1;
            scan.last_seq = placed.header.seq;
            let mut header: Header = placed.header.into();
            if header.key_id == 0 {
                return f(Entry { header, body: placed.body });
            }
            match opener.open(&header, placed.body) {
                Ok(Body::Clear(body)) => f(Entry { header, body: &body }),
                Ok(Body::Gone(kept_days)) => {
                    scan.erased += 1;
                    header.kind = Kind::Gone as u8;
                    f(Entry { header, body: kept_days.map(u32::to_le_bytes).as_ref().map_or(&[], |days| days) })
                }
                Ok(Body::Wrong) => {
                    scan.unopened.push(header.seq);
                    f(Entry { header, body: &[] })
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if walked.stopped {
            scan.stopped = true;
            break;
        }
        if last {
            scan.tail_bytes = walked.tail;
        }
    }
    walk.finish();
    scan.damage = walk.damage;
    Ok(scan)
}

pub(super) fn read_one(
    disk: &dyn Disk,
    segments: &[Located],
    opener: &Opener<'_>,
    seq: u64,
) -> Result<Option<OwnedEntry>, ReadError> {
    let mut found = None;
    scan_segments(disk, segments, seq, opener, &mut |entry| {
        if entry.header.seq == seq {
            found = Some(entry.to_owned());
        }
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// One segment, as verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// File name.
    pub name: String,
    pub first_seq: u64,
    /// Number of its last readable record; 0: none.
    pub last_seq: u64,
    pub records: u64,
    pub bytes: u64,
}

/// State of a whole journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub segments: Vec<SegmentReport>,
    pub records: u64,
    pub bytes: u64,
    pub first_seq: u64,
    pub last_seq: u64,
    /// Records and bytes (headers included) by kind, and by lane.
    pub by_kind: BTreeMap<u8, (u64, u64)>,
    pub by_lane: BTreeMap<u8, (u64, u64)>,
    pub damage: Vec<Damage>,
    /// Bytes at the very end that are no record (yet).
    pub tail_bytes: u64,
    /// The small file that keeps numbers from being used twice cannot be read; the next commit writes it anew.
    pub head_damaged: bool,
    /// Who read or did what: each says the hash of the one before.
    pub traces: Chain,
    /// Records that are sealed; of them those whose key is erased, and the numbers of those that their key does not open.
    pub sealed: u64,
    pub erased: u64,
    /// Of the erased ones those whose agreed days are over.
    pub aged: u64,
    pub unopened: Vec<u64>,
    /// Why sealed bodies could not be looked into: then they were checked as bytes alone.
    pub keys: Option<String>,
}

/// The traces' chain as far as the journal reaches back.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Chain {
    pub count: u64,
    /// Records that do not carry the hash of the trace before them: one was changed, or taken out.
    pub broken: Vec<u64>,
    /// Of the newest.
    pub hash: Vec<u8>,
}

impl Chain {
    /// Places named; further ones are the same tampering. Source: our choice.
    const BROKEN_MAX: usize = 100;

    fn see(&mut self, seq: u64, body: &[u8]) {
        let Ok(Record::Trace(trace)) = Record::decode(Kind::Trace as u8, body) else { return };
        // What the first that is left rests on has been removed with its time.
        if self.count > 0 && trace.before != self.hash && self.broken.len() < Self::BROKEN_MAX {
            self.broken.push(seq);
        }
        self.count += 1;
        self.hash = ring::digest::digest(&ring::digest::SHA256, body).as_ref().to_vec();
    }
}

impl Report {
    /// Nothing is lost that can have been acknowledged.
    pub fn is_sound(&self) -> bool {
        !self.head_damaged
            && self.unopened.is_empty()
            && self.traces.broken.is_empty()
            && self.damage.iter().all(|place| place.unsettled)
    }
}

/// Reads every byte of the journal in `dir` and names every place that is not as it was written.
pub fn verify(dir: &Path) -> Result<Report, ReadError> {
    verify_on(&RealDisk, dir)
}

/// [`verify`] on any disk.
pub fn verify_on(disk: &dyn Disk, dir: &Path) -> Result<Report, ReadError> {
    let paths = Paths::new(dir);
    let head = head::load(disk, &paths)?;
    let scan::Listing { mut segments, stray } = scan::list_all(disk, &paths)?;
    let mut report = Report { head_damaged: head == HeadRead::Damaged, ..Report::default() };
    let ring = Ring::load(dir).unwrap_or_else(|error| {
        report.keys = Some(error.to_string());
        None
    });
    let opener = Opener::beside_a_writer(ring.as_ref(), dir);
    // What the floor has passed is only waiting to be removed.
    let floor = if let HeadRead::Valid(head) = head { head.floor } else { 0 };
    let gone = segments.iter().take_while(|s| s.first_seq < floor).count().min(segments.len().saturating_sub(1));
    segments.drain(..gone);

    let mut walk = Walk::expecting((floor > 0).then_some(floor));
    for (index, segment) in segments.iter().enumerate() {
        let before = walk.records;
        let last = index + 1 == segments.len();
        let walked = walk.segment(disk, segment, last, |placed| {
            let bytes = (super::RECORD_HEADER_BYTES + placed.body.len()) as u64;
            for sum in [
                report.by_kind.entry(placed.header.kind).or_default(),
                report.by_lane.entry(placed.header.lane).or_default(),
            ] {
                sum.0 += 1;
                sum.1 += bytes;
            }
            let is_trace = placed.header.kind == Kind::Trace as u8;
            if placed.header.key_id == 0 {
                if is_trace {
                    report.traces.see(placed.header.seq, placed.body);
                }
            } else {
                report.sealed += 1;
                if report.keys.is_none() {
                    match opener.open(&placed.header.into(), placed.body) {
                        Ok(Body::Clear(body)) if is_trace => report.traces.see(placed.header.seq, &body),
                        Ok(Body::Clear(_)) => {}
                        Ok(Body::Gone(kept_days)) => {
                            report.erased += 1;
                            report.aged += u64::from(kept_days.is_some());
                        }
                        Ok(Body::Wrong) => report.unopened.push(placed.header.seq),
                        Err(error) => report.keys = Some(error.to_string()),
                    }
                }
            }
            report.records += 1;
            report.last_seq = placed.header.seq;
            ControlFlow::Continue(())
        })?;
        let records = walk.records - before;
        let last_seq = if records > 0 { walk.last.map_or(0, |record| record.seq) } else { 0 };
        let (name, first_seq, bytes) = (segment.name.clone(), segment.first_seq, segment.len);
        report.bytes += bytes;
        report.segments.push(SegmentReport { name, first_seq, last_seq, records, bytes });
        if last {
            report.tail_bytes = walked.tail;
        }
    }
    walk.finish();
    report.first_seq = segments.first().map_or(0, |s| s.first_seq);
    report.damage = walk.damage;
    report.damage.extend(stray.iter().map(|file| damage(DamageKind::Stray, file, 0, file.len, None)));
    recognise(disk, &paths, &mut report.damage);
    Ok(report)
}
