//! Sequence numbers 0001 to 9999: which message bears which. Pure, but for the one register of the process.
//!
//! Enters: references of notices. Leaves: numbers. Invariants: a message that is sent again bears its number again, over
//! whichever path; no two that are remembered share one. A receiver that looks for repeats by the number alone would otherwise
//! acknowledge an alarm as the repeat of another, and drop it.
//! Absent: the disk. A restart begins where the clock says, which is ahead of what was used last unless it was a flood.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::limits::DC09_NUMBERS_KEPT_MAX;

const HIGHEST: u16 = 9_999;

/// How long the clock takes for one number, in milliseconds. A heartbeat every 25 s stays behind it; it comes round in 11 hours.
const MS_PER_NUMBER: i64 = 4_000;

#[derive(Debug)]
pub struct Numbers {
    last: u16,
    references: BTreeMap<u16, String>,
    numbers: BTreeMap<String, u16>,
    order: VecDeque<String>,
}

impl Numbers {
    /// Begins after the number that belongs to `wall_ms` (UTC milliseconds).
    pub fn new(wall_ms: i64) -> Self {
        let last = (wall_ms / MS_PER_NUMBER).rem_euclid(i64::from(HIGHEST)) as u16;
        Self { last, references: BTreeMap::new(), numbers: BTreeMap::new(), order: VecDeque::new() }
    }

    /// A number for a message that nobody will ask for again.
    pub fn fresh(&mut self) -> u16 {
        // Far fewer are remembered than there are.
        for _ in 0..HIGHEST {
            self.last = self.last % HIGHEST + 1;
            if !self.references.contains_key(&self.last) {
                break;
            }
        }
        self.last
    }

    /// The number of a notice: the one it had, or a fresh one that is remembered.
    pub fn of(&mut self, reference: &str) -> u16 {
        if let Some(number) = self.numbers.get(reference) {
            return *number;
        }
        if self.numbers.len() >= DC09_NUMBERS_KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(&oldest);
        }
        let number = self.fresh();
        self.references.insert(number, reference.to_owned());
        self.numbers.insert(reference.to_owned(), number);
        self.order.push_back(reference.to_owned());
        number
    }

    /// Whose number it is.
    pub fn reference(&self, number: u16) -> Option<&str> {
        self.references.get(&number).map(String::as_str)
    }

    /// The notice is answered: its number may be used again, when all others have been.
    pub fn done(&mut self, reference: &str) {
        self.forget(reference);
        self.order.retain(|kept| kept != reference);
    }

    fn forget(&mut self, reference: &str) {
        if let Some(number) = self.numbers.remove(reference) {
            self.references.remove(&number);
        }
    }
}

/// The numbers of one receiver, the same for all its paths.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<Numbers>>);

/// By receiver: a link that is started anew, or another path, goes on where the last one was.
static REGISTER: LazyLock<Mutex<BTreeMap<String, Shared>>> = LazyLock::new(Mutex::default);

impl Shared {
    pub fn of_receiver(name: &str, wall_ms: i64) -> Self {
        let mut register = REGISTER.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Self(Arc::new(Mutex::new(Numbers::new(wall_ms))));
        register.entry(name.to_owned()).or_insert_with(new).clone()
    }

    pub fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_keeps_its_number_until_it_is_answered() {
        let mut numbers = Numbers::new(0);
        let (a, b) = (numbers.of("a"), numbers.of("b"));
        assert_eq!((a, b, numbers.fresh(), numbers.of("a")), (1, 2, 3, 1));
        assert_eq!((numbers.reference(1), numbers.reference(3)), (Some("a"), None));
        numbers.done("a");
        assert_eq!(numbers.reference(1), None);
        assert_eq!(numbers.of("a"), 4);
    }

    #[test]
    fn numbers_go_round_past_those_in_use_and_never_to_zero() {
        let mut numbers = Numbers::new(MS_PER_NUMBER * 9_998);
        assert_eq!((numbers.of("a"), numbers.of("b")), (9_999, 1));
        for expected in (2..=9_998).chain([2]) {
            assert_eq!(numbers.fresh(), expected);
        }
    }

    #[test]
    fn a_restart_begins_ahead_and_paths_share() {
        let (before, after) = (Numbers::new(1_795_212_345_000), Numbers::new(1_795_212_345_000 + 60_000));
        assert_eq!((after.last + HIGHEST - before.last) % HIGHEST, 15);
        assert!((1..=9_999).contains(&Numbers::new(i64::MIN).fresh()) && Numbers::new(i64::MAX).fresh() >= 1);
        let (one, two) = (Shared::of_receiver("numbers-shared", 0), Shared::of_receiver("numbers-shared", 99_000));
        let number = one.lock().of("a");
        assert_eq!(two.lock().of("a"), number);
        assert_eq!(two.lock().of("b"), number + 1);
    }

    proptest! {
        // Each case is long: the bound has to be reached.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn no_two_remembered_share_a_number(steps in proptest::collection::vec((0u16..3_000, 0u8..3), 0..4_000)) {
            let mut numbers = Numbers::new(7);
            for (who, what) in steps {
                match what {
                    0 => drop(numbers.fresh()),
                    1 => drop(numbers.of(&who.to_string())),
                    _ => numbers.done(&who.to_string()),
                }
                prop_assert_eq!(numbers.references.len(), numbers.numbers.len());
                prop_assert!(numbers.numbers.len() <= DC09_NUMBERS_KEPT_MAX && numbers.order.len() == numbers.numbers.len());
            }
            for (reference, number) in &numbers.numbers {
                prop_assert_eq!(numbers.reference(*number), Some(reference.as_str()));
            }
        }
    }
}
