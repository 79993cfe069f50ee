//! Sealing at the journal's edge: which key a record is sealed with, and what is handed out in place of what was erased.
//!
//! Enters: a record and whom it concerns; a body from the disk. Leaves: a key's number; the body in clear. The header stays in clear: number,
//! kind, lane, times, the key's number. So the walk over records, checksums and `verify` need no key.
//! Invariants: a body whose key is erased becomes [`Kind::Gone`], never damage; a key that is missing stops the reading; a body that its key
//! does not open is told by its number and handed out as one that cannot be read.

use std::cell::RefCell;
use std::path::Path;

use vaka_seal::{HOME_ID, KeyError, Place, Ring, ring_path};

use super::error::ReadError;
use super::reader::Header;
use super::record::Kind;

/// Whom a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerns<'a> {
    /// A resident, by id. One who has no key: as [`Concerns::Home`].
    Resident(&'a str),
    /// Nobody alone.
    Home,
}

/// There is nothing of a person in records of this kind.
pub(super) fn is_never_sealed(kind: Kind) -> bool {
    matches!(kind, Kind::Boot | Kind::Path | Kind::Told | Kind::Carried | Kind::Update)
}

/// The number of the key for a record; 0: there is nothing of a person in its kind.
pub(super) fn key(ring: &Ring, kind: Kind, concerns: Concerns<'_>, class: Option<&str>) -> u32 {
    let id = match (kind, concerns) {
        _ if is_never_sealed(kind) => 0,
        (Kind::Checkpoint, _) => ring.folds(),
        // Whom it was about must not go with their key.
        (Kind::Erased | Kind::Aged, _) | (_, Concerns::Home) => HOME_ID,
        (_, Concerns::Resident(id)) => ring.of(id).unwrap_or(HOME_ID),
    };
    ring.under(id, class)
}

/// Opens bodies.
pub(super) struct Opener<'r> {
    ring: Option<&'r Ring>,
    dir: &'r Path,
    /// Of another process than the one that writes: the keys that were read again, as one may have been made meanwhile.
    newer: Option<RefCell<Option<Ring>>>,
}

/// A body as it is handed out.
pub(super) enum Body {
    Clear(Vec<u8>),
    /// Its key is erased: with the days that it was kept, where it is a time that is over.
    Gone(Option<u32>),
    /// It is not what was sealed here.
    Wrong,
}

impl<'r> Opener<'r> {
    pub fn of(ring: Option<&'r Ring>, dir: &'r Path) -> Self {
        Opener { ring, dir, newer: None }
    }

    /// The same beside a writer: a key that is not known is looked for once more in the file before it counts as missing.
    pub fn beside_a_writer(ring: Option<&'r Ring>, dir: &'r Path) -> Self {
        Opener { newer: Some(RefCell::default()), ..Opener::of(ring, dir) }
    }

    /// # Errors
    /// Where the key is missing and was not erased.
    pub fn open(&self, header: &Header, body: &[u8]) -> Result<Body, ReadError> {
        let Some(ring) = self.ring else { return Err(KeyError::RingGone(ring_path(self.dir)).into()) };
        let Some(newer) = self.newer.as_ref().filter(|_| !ring.knows(header.key_id)) else {
            return Self::open_with(ring, header, body);
        };
        let mut newer = newer.borrow_mut();
        if newer.as_ref().is_none_or(|newer| !newer.knows(header.key_id)) {
            *newer = Ring::load(self.dir)?;
        }
        Self::open_with(newer.as_ref().unwrap_or(ring), header, body)
    }

    fn open_with(ring: &Ring, header: &Header, body: &[u8]) -> Result<Body, ReadError> {
        match ring.open_body(header.key_id, Place { seq: header.seq, kind: header.kind }, body) {
            Ok(Some(body)) => Ok(Body::Clear(body)),
            Ok(None) => {
                let over = ring.period_of(header.key_id).filter(|period| period.is_gone());
                Ok(Body::Gone(over.map(|period| period.days)))
            }
            Err(None) => Ok(Body::Wrong),
            Err(Some(error)) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn a_key_that_was_made_while_another_process_reads_is_found_and_one_that_is_nowhere_is_missing() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("journal");
        std::fs::create_dir(&dir).unwrap();
        let mut writer = Ring::open_or_make(&dir).unwrap();
        let reader = Ring::load(&dir).unwrap();
        let (own, beside) = (Opener::of(reader.as_ref(), &dir), Opener::beside_a_writer(reader.as_ref(), &dir));
        for resident in ["r1", "r2"] {
            let people = BTreeMap::from([(resident.to_owned(), BTreeSet::new())]);
            writer.lives_here(&people).unwrap();
            let (seq, kind, mut body) = (7, Kind::Event as u8, b"she fell".to_vec());
            let key_id = writer.seal(writer.of(resident).unwrap(), Place { seq, kind }, &mut body, 0);
            let header = Header { seq, kind, lane: 0, key_id, boot: 1, mono_ms: 0, wall_ms: 0 };
            assert!(matches!(own.open(&header, &body), Err(ReadError::Keys(KeyError::Missing { .. }))), "{resident}");
            for _ in 0..2 {
                assert!(
                    matches!(beside.open(&header, &body), Ok(Body::Clear(body)) if body == b"she fell"),
                    "{resident}"
                );
            }
            let nowhere = Header { key_id: 99, ..header };
            assert!(matches!(beside.open(&nowhere, &body), Err(ReadError::Keys(KeyError::Missing { id: 99, .. }))));
        }
    }
}
