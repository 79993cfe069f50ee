//! Random numbers: ChaCha20 over a seed. Enters: 32 bytes of the host's `/dev/urandom` at boot, by semihosting, since
//! QEMU's board has no source of its own; a real board reads its generator here.

use core::cell::RefCell;

use critical_section::Mutex;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};

static GENERATOR: Mutex<RefCell<Option<ChaCha20Rng>>> = Mutex::new(RefCell::new(None));

/// Seeds it. False: there is no seed, and nothing secret can be made.
pub fn start() -> bool {
    let mut seed = [0; 32];
    let is_seeded = crate::host::read(c"/dev/urandom", &mut seed) == seed.len();
    if is_seeded {
        critical_section::with(|cs| *GENERATOR.borrow_ref_mut(cs) = Some(ChaCha20Rng::from_seed(seed)));
    }
    is_seeded
}

/// Fills it with random bytes. False: there was no seed, and it is unchanged.
pub fn fill(bytes: &mut [u8]) -> bool {
    critical_section::with(|cs| match GENERATOR.borrow_ref_mut(cs).as_mut() {
        Some(generator) => {
            generator.fill_bytes(bytes);
            true
        }
        None => false,
    })
}

/// A random number for what is not secret: pauses, names.
pub fn chance() -> u32 {
    let mut bytes = [0; 4];
    fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

/// A random number for a key. Without a seed it stays nought, which is none.
pub fn key(bytes: &mut [u8; 32]) {
    fill(bytes);
}

/// The generator as other crates want it. It panics without a seed; [`start`] is asked first.
#[derive(Debug)]
pub struct Random;

impl CryptoRng for Random {}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        assert!(fill(bytes), "there is no seed");
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
