//! Which causes have been decided: for each kind of cause the newest.
//!
//! Invariant: what is settled stays so, across restarts and changes of the agreement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::SETTLED_MAX;

/// By kind of cause (`night r1 absence`): up to which cause everything is decided.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Settled(BTreeMap<String, i64>);

impl Settled {
    /// This cause, or a later one of its kind, has been decided.
    pub fn has(&self, key: &str, cause: i64) -> bool {
        self.0.get(key).is_some_and(|upto| cause <= *upto)
    }

    /// The newest cause of this kind that has been decided.
    pub fn upto(&self, key: &str) -> Option<i64> {
        self.0.get(key).copied()
    }

    pub fn settle(&mut self, key: &str, upto: i64) {
        match self.0.get_mut(key) {
            Some(known) => *known = upto.max(*known),
            None => {
                self.0.insert(key.to_owned(), upto);
            }
        }
        if self.0.len() > SETTLED_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, upto)| **upto).map(|(key, _)| key.clone())
        {
            self.0.remove(&oldest);
        }
    }
}
