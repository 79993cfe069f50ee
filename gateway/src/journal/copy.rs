//! A journal on its way to another box: a whole prefix of it, taken beside a running gateway, and its continuation there.
//!
//! Enters: a journal's folder, and from a running gateway what is committed. Leaves: open files with lengths, and a head; later, in the
//! new folder, a head beyond every number that the old box can have used.
//! Invariants: nothing of the old journal is changed and no lock is taken; the prefix begins where the journal began when the gateway was
//! asked, so that the checkpoint for what is gone is in it; a number that the old box used after the copy never stands for something else.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};

use super::disk::RealDisk;
use super::error::{ReadError, at};
use super::format::{Head, RECORD_HEADER_BYTES};
use super::head::{self, HeadRead};
use super::paths::Paths;
use super::scan::{self, Located, Walk};
use crate::limits::{SEQ_LEASE, SUCCESSION_BOOTS, SUCCESSION_RECORDS};

/// How often the journal is looked at anew because segments were removed meanwhile. Retention removes a tenth of the journal at once,
/// and not again before as much is written.
const TRIES_MAX: u32 = 8;

/// What a running gateway says is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Number of the oldest record there may be.
    pub first_seq: u64,
    /// Number of the newest.
    pub last_seq: u64,
}

/// One segment of the prefix.
#[derive(Debug)]
pub struct Piece {
    /// File name.
    pub name: String,
    /// Open, so that retention cannot take it away.
    pub file: File,
    /// How much of it belongs to the prefix.
    pub bytes: u64,
}

/// The whole records of a journal up to a moment.
#[derive(Debug)]
pub struct Prefix {
    /// Contents of the file `head` that belongs to it.
    pub head: Vec<u8>,
    /// In order.
    pub pieces: Vec<Piece>,
    /// Number of the oldest record there may be; 0 in an empty journal.
    pub first_seq: u64,
    /// Number of the newest record; 0: there is none in the last segment.
    pub last_seq: u64,
}

/// Takes hold of the journal in `dir` as it is now. `ask`: what the running gateway has committed, `None` where none runs.
///
/// Each segment is an open file: a process that may open too few of them gets an error.
///
/// # Errors
/// Where the folder cannot be read. Damage is no error: it is copied as it is.
pub fn prefix(dir: &Path, mut ask: impl FnMut() -> Option<Committed>) -> Result<Prefix, ReadError> {
    let paths = Paths::new(dir);
    for _ in 1..TRIES_MAX {
        let committed = ask();
        if let Some(prefix) = take(&paths, committed)? {
            return Ok(prefix);
        }
    }
    let source = io::Error::other("segments are removed faster than they can be opened; try again");
    Err(at("taking hold of", &paths.segments)(source).into())
}

/// `None`: retention came between.
fn take(paths: &Paths, committed: Option<Committed>) -> Result<Option<Prefix>, ReadError> {
    let head = head::load(&RealDisk, paths)?;
    let mut segments = scan::list_all(&RealDisk, paths)?.segments;
    let floor = if let HeadRead::Valid(head) = head { head.floor } else { 0 };
    let gone = segments.iter().take_while(|s| s.first_seq < floor).count().min(segments.len().saturating_sub(1));
    segments.drain(..gone);
    if let (Some(committed), Some(first)) = (committed, segments.first())
        && first.first_seq != committed.first_seq
    {
        return Ok(None);
    }
    // What was begun after the question holds nothing of what was committed then.
    while let (Some(committed), Some(last)) = (committed, segments.last())
        && last.first_seq > committed.last_seq
    {
        segments.pop();
    }
    let mut pieces = Vec::with_capacity(segments.len());
    for segment in &segments {
        match File::open(&segment.path) {
            Ok(file) => pieces.push(Piece { name: segment.name.clone(), file, bytes: segment.len }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at("opening", &segment.path)(error).into()),
        }
    }
    let (mut last_seq, first_seq) = (0, segments.first().map_or(0, |first| first.first_seq));
    if let (Some(last), Some(piece)) = (segments.last(), pieces.last_mut()) {
        (piece.bytes, last_seq) = end(last, committed)?;
    }
    let head = match head {
        HeadRead::Valid(head) => Head { floor: first_seq, ceiling: head.ceiling.max(last_seq + 1), ..head },
        HeadRead::Absent | HeadRead::Damaged => {
            let boot = segments.iter().filter_map(|segment| Some(segment.header?.boot)).max().unwrap_or(0);
            Head { ceiling: last_seq + 1 + 2 * SEQ_LEASE, floor: first_seq, boot }
        }
    };
    Ok(Some(Prefix { head: head.encode().to_vec(), pieces, first_seq, last_seq }))
}

/// Where the last whole record ends that counts, and its number.
fn end(segment: &Located, committed: Option<Committed>) -> Result<(u64, u64), ReadError> {
    let upto = committed.map_or(u64::MAX, |committed| committed.last_seq);
    let (mut last_seq, mut beyond) = (0, 0);
    let walked = Walk::default().segment(&RealDisk, segment, true, |placed| {
        if placed.header.seq > upto {
            beyond = (RECORD_HEADER_BYTES + placed.body.len()) as u64;
            return ControlFlow::Break(());
        }
        last_seq = placed.header.seq;
        ControlFlow::Continue(())
    })?;
    Ok((walked.end - beyond, last_seq))
}

/// Lets the journal in `dir`, a copy that ends with `last_seq`, go on under numbers and boots that the old box can never have used, nor
/// another one that is made of the same copy: how far it leaps is drawn by lot.
///
/// # Errors
/// Where the folder cannot be read or written.
pub fn succeed(dir: &Path, last_seq: u64) -> Result<Head, ReadError> {
    let paths = Paths::new(dir);
    let known = match head::load(&RealDisk, &paths)? {
        HeadRead::Valid(head) => head,
        HeadRead::Absent | HeadRead::Damaged => Head::default(),
    };
    let head = Head {
        ceiling: known.ceiling.max(last_seq + 1).saturating_add(SUCCESSION_RECORDS + by_lot(&paths)?),
        boot: known.boot.saturating_add(SUCCESSION_BOOTS),
        ..known
    };
    head::store(&RealDisk, &paths, &head)?;
    Ok(head)
}

/// Below [`SUCCESSION_RECORDS`]. Two of 10,000,000 records each lie apart with 99.97 %.
fn by_lot(paths: &Paths) -> Result<u64, ReadError> {
    let mut bytes = [0; 8];
    let failed = |_| at("drawing a lot for", &paths.head)(io::Error::other("no randomness; try again"));
    SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    Ok(u64::from_le_bytes(bytes) % SUCCESSION_RECORDS)
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
