//! Sealing at the journal's edge: which key a record is sealed with, and what is handed out in place of what was erased.
//!
//! Enters: a record and whom it concerns; a body from the disk. Leaves: a key's number; the body in clear. The header stays in clear: number,
//! kind, lane, times, the key's number. So the walk over records, checksums and `verify` need no key.
//! Invariants: a body whose key is erased becomes [`Kind::Gone`], never damage; a key that is missing stops the reading; a body that its key
//! does not open is told by its number and handed out as one that cannot be read.

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

/// The number of the key for a record; 0: there is nothing of a person in its kind.
pub(super) fn key(ring: &Ring, kind: Kind, concerns: Concerns<'_>, class: Option<&str>) -> u32 {
    let id = match (kind, concerns) {
        (Kind::Boot | Kind::Path | Kind::Told | Kind::Carried | Kind::Update, _) => 0,
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
        Opener { ring, dir }
    }

    /// # Errors
    /// Where the key is missing and was not erased.
    pub fn open(&self, header: &Header, body: &[u8]) -> Result<Body, ReadError> {
        let Some(ring) = self.ring else { return Err(KeyError::RingGone(ring_path(self.dir)).into()) };
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
