//! A map that is asked at every event: as fast as a hash, and never in the order of one.
//!
//! Enters: keys and values. Leaves: one value by its key; all of them in the order of their keys, or to a question that has no order. So
//! what is decided and what is saved is that of a `BTreeMap`, to the byte; a look-up among 500 devices costs a fifth of one there.

#![allow(clippy::disallowed_types, reason = "the order of the hash map inside never leaves this module")]

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use serde::{Deserialize, Serialize, Serializer};

/// By key.
#[derive(Clone, Deserialize)]
#[serde(transparent, bound(deserialize = "K: Deserialize<'de> + Eq + Hash, V: Deserialize<'de>"))]
pub struct Lookup<K, V>(HashMap<K, V, Fold>);

/// Makes a [`Folding`] that begins where nobody outside can know: ids come from devices, and must not be chosen to fall together.
#[derive(Clone)]
struct Fold(u64);

impl Default for Fold {
    fn default() -> Self {
        Fold(RandomState::new().hash_one(0_u8))
    }
}

impl BuildHasher for Fold {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding(self.0)
    }
}

/// Eight bytes at a time are multiplied in, and the product's halves folded: an id of some twenty bytes costs three multiplications, a
/// sixth of what the standard library's hash takes.
struct Folding(u64);

impl Folding {
    fn fold(&mut self, word: u64) {
        // An odd number whose bits are half ones: the golden ratio's.
        let product = u128::from(self.0 ^ word) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.fold(word.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        // With its length, or a zero at the end would be none.
        self.fold(words.remainder().iter().fold(bytes.len() as u64, |word, byte| word << 8 | u64::from(*byte)));
    }

    /// What ends a string: its length is in it already.
    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<K: Ord + Hash, V> Lookup<K, V> {
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.0.get_mut(key)
    }

    pub fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// The value of this key, made where there is none.
    pub fn or_default(&mut self, key: &K) -> &mut V
    where
        K: Clone,
        V: Default,
    {
        // Nearly always it is there, and its key need not be made.
        if !self.0.contains_key(key) {
            self.0.insert(key.clone(), V::default());
        }
        self.0.get_mut(key).unwrap_or_else(|| unreachable!("it was made"))
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, value);
    }

    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.0.remove(key);
    }

    /// Each by itself, in no order.
    pub fn each(&mut self, change: impl FnMut(&mut V)) {
        self.0.values_mut().for_each(change);
    }

    /// Keeps what `keep` says of each by itself, in no order.
    pub fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.0.retain(|_, value| keep(value));
    }

    /// Keeps what `keep` says of each key, in no order.
    pub fn retain_keys(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.0.retain(|key, _| keep(key));
    }

    /// Something is so of one of them.
    pub fn any(&self, is_so: impl FnMut(&V) -> bool) -> bool {
        self.0.values().any(is_so)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, in the order of their keys: sorted for each call.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        let mut all: Vec<(&K, &V)> = self.0.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all.into_iter()
    }
}

impl<K, V> Default for Lookup<K, V> {
    fn default() -> Self {
        Lookup(HashMap::default())
    }
}

impl<K: Ord + Hash + fmt::Debug, V: fmt::Debug> fmt::Debug for Lookup<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Hash + Serialize, V: Serialize> Serialize for Lookup<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<K: Eq + Hash, V> FromIterator<(K, V)> for Lookup<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        Lookup(all.into_iter().collect())
    }
}

impl<K: Eq + Hash, V, const N: usize> From<[(K, V); N]> for Lookup<K, V> {
    fn from(all: [(K, V); N]) -> Self {
        all.into_iter().collect()
    }
}

impl<K: Eq + Hash, V> From<BTreeMap<K, V>> for Lookup<K, V> {
    fn from(all: BTreeMap<K, V>) -> Self {
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was saved before there was this map is read, and what it saves is what was saved then.
    #[test]
    fn it_is_saved_as_an_ordered_map_is() {
        // In an order that is neither theirs nor a hash's, and enough of them that no chance makes it right.
        let ordered: BTreeMap<String, u64> = (0..200).map(|n| (format!("device-{}", n * 37 % 200), n)).collect();
        let lookup: Lookup<String, u64> = ordered.clone().into();
        let saved = minicbor_serde::to_vec(&ordered).unwrap();
        assert_eq!(minicbor_serde::to_vec(&lookup).unwrap(), saved);
        let read: Lookup<String, u64> = minicbor_serde::from_slice(&saved).unwrap();
        assert!(read.iter().eq(ordered.iter()) && format!("{read:?}") == format!("{ordered:?}"));
    }

    #[test]
    fn ids_that_are_much_alike_fall_apart() {
        let start = Fold::default();
        let hashes: Vec<u64> = (0..4_096).map(|n| start.hash_one(format!("resident-{n}-bed"))).collect();
        // A table takes its place from the lowest bits and tells its neighbours apart by the highest seven.
        for of in [|hash: &u64| hash & 0xff, |hash: &u64| hash >> 57] {
            let mut counts = [0_usize; 256];
            hashes.iter().for_each(|hash| counts[of(hash) as usize] += 1);
            assert!(counts.iter().all(|count| *count < 96), "{counts:?}");
        }
        assert_ne!(start.hash_one("a"), start.hash_one("a\0"), "its length counts");
        assert_ne!(start.hash_one("a"), Fold::default().hash_one("a"), "another map's order is another");
    }

    #[test]
    fn what_is_there_is_kept_and_what_is_not_is_made() {
        let mut lookup = Lookup::from([("b", 2), ("a", 1)]);
        *lookup.or_default(&"a") += 10;
        *lookup.or_default(&"c") += 3;
        lookup.remove("b");
        assert_eq!(lookup.iter().collect::<Vec<_>>(), [(&"a", &11), (&"c", &3)]);
        lookup.retain(|value| *value > 3);
        assert!(lookup.len() == 1 && lookup.any(|value| *value == 11) && !lookup.contains_key(&"c"));
    }
}
