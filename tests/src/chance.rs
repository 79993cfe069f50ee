//! Numbers that look random and come again: every test that draws says its seed.

/// A small generator of its own, so that a seed means the same for ever (splitmix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The seed is `$VAKA_SEED`, else another one each time; printed, so that a failure can be repeated.
    pub fn from_environment() -> Chance {
        let seed = crate::setting("VAKA_SEED", u64::try_from(crate::now_ms()).unwrap_or_default());
        println!("VAKA_SEED={seed} repeats this run");
        Chance(seed)
    }

    /// Of a seed that a measurement is to have every time.
    pub fn from_seed(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }
}
