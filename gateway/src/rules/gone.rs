//! Somebody whose data was erased: what each rule is asked to forget.

use vaka_protocol::DeviceId;

/// A resident who is gone, and which devices were theirs and are nobody else's.
#[derive(Clone, Copy)]
pub struct Gone<'a> {
    pub resident: &'a str,
    pub is_theirs: &'a dyn Fn(&DeviceId) -> bool,
}

impl Gone<'_> {
    /// A kind of cause, as in a basis: `night r1 absence`.
    pub fn is_in(&self, key: &str) -> bool {
        key.split(' ').any(|word| word == self.resident)
    }
}
