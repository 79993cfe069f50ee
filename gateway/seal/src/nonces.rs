//! Random nonces, fetched from the operating system many at a time: asking it once for each record costs more than sealing it.
//!
//! Each is 96 bits that the system gave for it alone, as if it had been asked then: nothing is stretched, counted or derived, and so the bound of
//! [`crate::body`] holds unchanged. A restored backup, a second start and a second process ask anew. This program never forks without exec,
//! which alone would give two processes the same ones.

use std::sync::Mutex;

use ring::aead::NONCE_LEN;
use ring::rand::{SecureRandom, SystemRandom};

/// Nonces fetched at once. Source: our choice; 3 KiB, the largest share of a call is gone, and one getrandom(2) of it takes microseconds.
const BATCH: usize = 256;

/// Nonces, each handed out once.
pub(crate) struct Nonces {
    ahead: Mutex<Vec<[u8; NONCE_LEN]>>,
}

impl Nonces {
    pub fn new() -> Nonces {
        Nonces { ahead: Mutex::new(Vec::new()) }
    }

    /// One that nobody has had; `None`: the operating system has no randomness.
    pub fn next(&self) -> Option<[u8; NONCE_LEN]> {
        let mut ahead = self.ahead.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if ahead.is_empty() {
            let mut bytes = vec![0; BATCH * NONCE_LEN];
            SystemRandom::new().fill(&mut bytes).ok()?;
            ahead.extend(bytes.chunks_exact(NONCE_LEN).filter_map(|nonce| <[u8; NONCE_LEN]>::try_from(nonce).ok()));
        }
        ahead.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_nonce_is_given_twice_by_one_or_by_another() {
        let (one, other) = (Nonces::new(), Nonces::new());
        let many = 3 * BATCH + 1;
        let given: BTreeSet<_> = (0..many).flat_map(|_| [one.next().unwrap(), other.next().unwrap()]).collect();
        assert_eq!(given.len(), 2 * many);
        // Whole ones: every byte of each is random.
        for at in 0..NONCE_LEN {
            assert!(given.iter().map(|nonce| nonce[at]).collect::<BTreeSet<_>>().len() > 200, "byte {at}");
        }
    }
}
