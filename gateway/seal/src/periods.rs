//! Keys of times: what shares a retention time is sealed under a key of the class and the period too, so that it goes at once for everybody.
//!
//! Enters: a class, days, moments. Leaves: numbers. A record's key is derived from two, whose it is and of which period: either one
//! destroyed closes it. So there is one key for each class and period, however many residents there are.
//! Invariants: a period still open is never destroyed; a number is given once; what says that a key is gone says of what and when.

use std::collections::BTreeMap;

use ring::aead::LessSafeKey;
use ring::hkdf;
use serde::{Deserialize, Serialize};

use crate::{KEY_BYTES, body};

/// Most periods in one file, those that are gone included. Beyond: none is begun, the class goes on under the key it has, and it is told.
/// Source: our choice, below what the upper half of a record's key number holds; seven classes with a new key every day, for 23 years.
pub const PERIODS_MAX: usize = 60_000;

/// Key numbers below this are of people and folds; what stands above is the period's number.
pub(crate) const BASE_BITS: u32 = 16;

/// A stretch of time whose records of one class go together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub class: String,
    /// As agreed when it began.
    pub days: u32,
    /// UTC milliseconds.
    pub from_ms: i64,
    /// When the next one began, UTC milliseconds; absent: it is written to.
    pub until_ms: Option<i64>,
    /// Hexadecimal; empty: it is gone for good.
    pub(crate) key: String,
}

impl Period {
    pub fn is_gone(&self) -> bool {
        self.key.is_empty()
    }
}

/// All periods by number, from 1.
pub(crate) type Periods = BTreeMap<u32, Period>;

/// Both numbers in one. `None`: they do not fit.
pub(crate) fn both(base: u32, period: u32) -> Option<u32> {
    (base < 1 << BASE_BITS && period > 0 && period < 1 << (32 - BASE_BITS)).then_some(period << BASE_BITS | base)
}

/// Whose key, and of which period; 0: of none.
pub(crate) fn apart(id: u32) -> (u32, u32) {
    (id & ((1 << BASE_BITS) - 1), id >> BASE_BITS)
}

/// HKDF-SHA256 (RFC 5869) of whose key it is, salted with the period's.
pub(crate) fn derived(base: &[u8; KEY_BYTES], period: &[u8; KEY_BYTES]) -> LessSafeKey {
    let mut key = [0; KEY_BYTES];
    hkdf::Salt::new(hkdf::HKDF_SHA256, period)
        .extract(base)
        .expand(&[b"vaka 1 period"], hkdf::HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut key))
        .unwrap_or_else(|_| unreachable!("as long as the hash"));
    body::cipher(&key)
}
