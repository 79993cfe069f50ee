//! What was brought and was wrong is not brought again at once. Pure: the looks are counted by whoever asks.
//!
//! Enters: that an image was wrong, or right; the number of the look. Leaves: whether it is to be tried at this look. Absent: the disk;
//! a restart tries once at once.

use std::collections::BTreeMap;

use crate::limits::{FIRMWARE_CHECK_LOOKS, FIRMWARE_WRONG_LOOKS};

/// Of each image that was wrong, by its SHA-256.
#[derive(Debug, Default)]
pub struct Patience(BTreeMap<String, Wrong>);

#[derive(Debug)]
struct Wrong {
    /// In a row.
    times: u32,
    /// Not before this look.
    next: u32,
    why: String,
}

impl Patience {
    /// Why it is not tried at this look. `None`: it may be.
    pub fn holds(&self, sha256: &str, look: u32) -> Option<&str> {
        self.0.get(sha256).filter(|wrong| look < wrong.next).map(|wrong| wrong.why.as_str())
    }

    /// It came and was wrong: the pause doubles each time, up to the time between two questions to the publisher.
    pub fn wrong(&mut self, sha256: &str, look: u32, why: String) {
        let times = self.0.get(sha256).map_or(0, |wrong| wrong.times).saturating_add(1);
        let pause = FIRMWARE_WRONG_LOOKS.saturating_mul(1 << (times - 1).min(10)).min(FIRMWARE_CHECK_LOOKS);
        self.0.insert(sha256.to_owned(), Wrong { times, next: look.saturating_add(pause), why });
    }

    pub fn right(&mut self, sha256: &str) {
        self.0.remove(sha256);
    }

    /// A person wants it tried now.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_tried_less_and_less_and_a_person_or_a_right_one_ends_that() {
        let (mut patience, mut look, mut tried) = (Patience::default(), 0, Vec::new());
        while tried.len() < 12 {
            if patience.holds("a", look).is_none() {
                tried.push(look);
                patience.wrong("a", look, "spoiled".into());
            }
            look += 1;
        }
        let pauses: Vec<u32> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses[..4], [12, 24, 48, 96].map(|looks| looks * FIRMWARE_WRONG_LOOKS / 12));
        assert_eq!(pauses[10], FIRMWARE_CHECK_LOOKS);
        assert_eq!(patience.holds("a", look), Some("spoiled"));
        assert_eq!(patience.holds("b", look), None, "another image is another matter");
        patience.right("a");
        assert_eq!(patience.holds("a", look), None);
        patience.wrong("a", look, "spoiled".into());
        assert_eq!(patience.holds("a", look + FIRMWARE_WRONG_LOOKS), None, "counted from the beginning again");
        patience.forget();
        assert_eq!(patience.holds("a", look), None);
    }
}
