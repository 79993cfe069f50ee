//! What two who know the same code can prove to each other, over the connection that they share.

use core::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::EXPORTER_BYTES;

/// Rounds of PBKDF2-HMAC-SHA256 (RFC 8018) between the code and its key.
///
/// Whoever got a device to talk to him holds a proof to try codes against, and has until the code expires: 2^60 codes of 20,000
/// hashes each within 15 minutes are 2.6e19 hashes a second, some ten million times what a hundred graphics cards do (2e10 each). More: a device waits
/// longer (a Cortex-M4 at 64 MHz hashes a block in about 40 µs: under a second). PBKDF2 rather than HKDF, which costs an attacker nothing; and
/// rather than scrypt or Argon2, whose memory no device has. Source: our choice.
pub const ROUNDS: u32 = 10_000;

/// Length of a [`Locator`], in bytes.
pub const LOCATOR_BYTES: usize = 8;

/// Which invitation a request is about. Made of the code by the same stretching, so that it is known only to whom the code is known,
/// and whoever spoke with such a device: nobody else can have tries counted against an invitation.
pub type Locator = [u8; LOCATOR_BYTES];

/// An HMAC-SHA256.
pub type Proof = [u8; 32];

/// One salt for all: a code is 60 random bits, of which no table can be made, and a salt of each gateway's own would cost the device a
/// question before it knows whom it asks.
const SALT: &[u8] = b"vaka-enrol/1";

/// What a code is worth to both sides. Kept by the gateway as long as the code is open.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Keys the proofs.
    pub key: [u8; 32],
    /// Names the invitation.
    pub locator: Locator,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// What the device proves: it knows the code, over this connection, and asks for this.
    pub fn device_proof(&self, exporter: &[u8; EXPORTER_BYTES], kind: Option<&str>, csr: &[u8]) -> Proof {
        self.device_mac(exporter, kind, csr).finalize().into_bytes().into()
    }

    /// True if `proof` is that of a device with the same code on the same connection. Takes the same time however wrong it is.
    pub fn is_device(&self, exporter: &[u8; EXPORTER_BYTES], kind: Option<&str>, csr: &[u8], proof: &Proof) -> bool {
        self.device_mac(exporter, kind, csr).verify_slice(proof).is_ok()
    }

    fn device_mac(&self, exporter: &[u8; EXPORTER_BYTES], kind: Option<&str>, csr: &[u8]) -> Hmac<Sha256> {
        let parts: [&[u8]; 2] = [kind.unwrap_or_default().as_bytes(), csr];
        mac(&self.key, b"vaka-enrol/1 device", exporter, &parts)
    }

    /// What the gateway proves: it knows the code, over this connection, and all that it grants is its own word.
    pub fn gateway_proof(&self, exporter: &[u8; EXPORTER_BYTES], granted: &super::Granted<'_>) -> Proof {
        self.gateway_mac(exporter, granted).finalize().into_bytes().into()
    }

    /// As [`Secret::is_device`], of the gateway.
    pub fn is_gateway(&self, exporter: &[u8; EXPORTER_BYTES], granted: &super::Granted<'_>, proof: &Proof) -> bool {
        self.gateway_mac(exporter, granted).verify_slice(proof).is_ok()
    }

    fn gateway_mac(&self, exporter: &[u8; EXPORTER_BYTES], granted: &super::Granted<'_>) -> Hmac<Sha256> {
        let (port, at) = (granted.port.to_be_bytes(), granted.at.to_be_bytes());
        let parts = [granted.certificate, granted.ca, granted.id.as_bytes(), &port, &at];
        mac(&self.key, b"vaka-enrol/1 gateway", exporter, &parts)
    }
}

/// Each part by its hash: of one length, so that no two requests are the same bytes.
fn mac(key: &[u8], who: &[u8], exporter: &[u8; EXPORTER_BYTES], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = keyed(key);
    mac.update(who);
    mac.update(exporter);
    for part in parts {
        mac.update(&Sha256::digest(part));
    }
    mac
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // A key of the hash's block length fits as it is; HMAC takes any.
    let mut block = [0; 64];
    if key.len() <= block.len() {
        block[..key.len()].copy_from_slice(key);
    } else {
        block[..32].copy_from_slice(&Sha256::digest(key));
    }
    Hmac::new(&block.into())
}

/// [`Code::secret`](super::Code::secret) in pieces, for a device that has to look after others meanwhile.
pub struct Stretching {
    /// Keyed once: each round is two hashes.
    mac: Hmac<Sha256>,
    last: [u8; 32],
    block: [u8; 32],
    left: u32,
}

impl fmt::Debug for Stretching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stretching(..)")
    }
}

impl Stretching {
    /// Of a code's characters.
    pub(super) fn of(code: &[u8]) -> Stretching {
        Stretching::new(code, SALT, ROUNDS)
    }

    /// The first block of PBKDF2-HMAC-SHA256 (RFC 8018 §5.2).
    fn new(password: &[u8], salt: &[u8], rounds: u32) -> Stretching {
        let mac = keyed(password);
        let mut first = mac.clone();
        first.update(salt);
        first.update(&1_u32.to_be_bytes());
        let last: [u8; 32] = first.finalize().into_bytes().into();
        Stretching { mac, last, block: last, left: rounds.saturating_sub(1) }
    }

    /// Goes so many rounds on. `Some`: the last one is done.
    pub fn step(&mut self, rounds: u32) -> Option<Secret> {
        self.go(rounds);
        (self.left == 0).then(|| secret(&self.block))
    }

    fn go(&mut self, rounds: u32) {
        for _ in 0..rounds.min(self.left) {
            let mut next = self.mac.clone();
            next.update(&self.last);
            self.last = next.finalize().into_bytes().into();
            self.block.iter_mut().zip(self.last).for_each(|(sum, byte)| *sum ^= byte);
            self.left -= 1;
        }
    }
}

/// The key and the locator of what a code was stretched to.
fn secret(root: &[u8; 32]) -> Secret {
    let derive = |what: &[u8]| -> [u8; 32] {
        let mut mac = keyed(root);
        mac.update(what);
        mac.finalize().into_bytes().into()
    };
    let mut locator = [0; LOCATOR_BYTES];
    locator.copy_from_slice(&derive(b"vaka-enrol/1 locator")[..LOCATOR_BYTES]);
    Secret { key: derive(b"vaka-enrol/1 key"), locator }
}

#[cfg(test)]
mod tests {
    use super::super::{Code, Granted};
    use super::*;

    fn hex(bytes: &[u8]) -> std::string::String {
        bytes.iter().map(|byte| std::format!("{byte:02x}")).collect()
    }

    fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
        let mut stretching = Stretching::new(password, salt, rounds);
        stretching.go(rounds);
        stretching.block
    }

    #[test]
    fn the_stretching_is_that_of_the_standard() {
        // RFC 7914 §11, first 32 bytes each.
        let one = pbkdf2(b"passwd", b"salt", 1);
        assert_eq!(hex(&one), "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
        let many = pbkdf2(b"Password", b"NaCl", 80_000);
        assert_eq!(hex(&many), "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
    }

    #[test]
    fn a_code_always_makes_the_same_key() {
        // Golden, and made a second time by Python's hashlib: devices in the field make it so. Do not change the test.
        let secret = Code::from_random([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).secret();
        assert_eq!(hex(&secret.key), "78f19c3be454a92d0a237384ca1d62ccbcf9560d10b70a518740621bd7f9926c");
        assert_eq!(hex(&secret.locator), "86e57f7a55130df3");
        let mut pieces = Code::from_random([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).stretching();
        let piece = (1..).find_map(|piece| Some((piece, pieces.step(999)?)));
        assert!(piece == Some((11, secret)), "10,000 rounds, the first of them at once");
    }

    #[test]
    fn a_proof_is_of_one_connection_one_side_and_one_request() {
        let secret = Secret { key: [7; 32], locator: [0; 8] };
        let (here, there) = ([1; 32], [2; 32]);
        let proof = secret.device_proof(&here, Some("pendant"), b"csr");
        assert!(secret.is_device(&here, Some("pendant"), b"csr", &proof));
        assert!(!secret.is_device(&there, Some("pendant"), b"csr", &proof), "another connection");
        assert!(!secret.is_device(&here, None, b"csr", &proof), "another kind");
        assert!(!secret.is_device(&here, Some("pendant"), b"CSR", &proof), "another key");
        let other = Secret { key: [8; 32], ..secret.clone() };
        assert!(!other.is_device(&here, Some("pendant"), b"csr", &proof), "another code");

        let granted = Granted { certificate: b"c", ca: b"a", id: "p1", port: 8883, at: 1 };
        let proof = secret.gateway_proof(&here, &granted);
        assert!(secret.is_gateway(&here, &granted, &proof));
        assert!(!secret.is_gateway(&there, &granted, &proof));
        for changed in [
            Granted { certificate: b"ca", ..granted.clone() },
            Granted { ca: b"b", ..granted.clone() },
            Granted { id: "p2", ..granted.clone() },
            Granted { port: 8884, ..granted.clone() },
            Granted { at: 2, ..granted.clone() },
        ] {
            assert!(!secret.is_gateway(&here, &changed, &proof), "{changed:?}");
        }
        assert_eq!(std::format!("{secret:?}"), "Secret(..)");
    }
}
