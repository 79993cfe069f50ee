//! The device's own key: made here, and never told. Enters: random bytes. Leaves: a request for a certificate.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};

use super::der;

/// Longest request, bytes: 98 that it says, 12 for the algorithm, a signature of 72 at the most, and their heads.
pub const REQUEST_BYTES_MAX: usize = 200;

/// How often a number is drawn that is no key: one in 2^32 is none. Beyond: the source is broken.
const DRAWS_MAX: usize = 4;

/// `CertificationRequestInfo` up to the key (RFC 2986, 4.1): version 0, no name, and a point of P-256 (RFC 5480). The
/// gateway takes nothing but the key from it.
const INFO: [u8; 32] = [
    0x30, 0x62, 0x02, 0x01, 0x00, 0x30, 0x00, 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42,
];
/// No unused bits in the key.
const UNUSED: u8 = 0;
/// No attributes.
const ATTRIBUTES: [u8; 2] = [der::CONTEXT_0, 0];
/// ecdsa-with-SHA256 (RFC 5758, 3.2).
const ALGORITHM: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const INFO_BYTES: usize = INFO.len() + 1 + 65 + ATTRIBUTES.len();

/// PKCS #8 (RFC 5958) up to the number itself: P-256, and a key (RFC 5915) without its point.
const PKCS8: [u8; 35] = [
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20,
];

/// A P-256 key. Says nothing of itself in a log.
#[derive(Clone)]
pub struct OwnKey(SigningKey);

impl core::fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("OwnKey(..)")
    }
}

impl OwnKey {
    /// A new one. `random` fills its bytes; `None`: nothing that it gave makes a key.
    pub fn make(random: &mut dyn FnMut(&mut [u8; 32])) -> Option<Self> {
        (0..DRAWS_MAX).find_map(|_| {
            let mut number = [0; 32];
            random(&mut number);
            Self::from_bytes(&number)
        })
    }

    /// As it was kept.
    pub fn from_bytes(number: &[u8]) -> Option<Self> {
        SigningKey::from_slice(number).ok().map(Self)
    }

    /// To be kept.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    /// What others may know of it: an uncompressed point.
    pub fn public(&self) -> [u8; 65] {
        let mut public = [0; 65];
        // Uncompressed: of this length.
        public.copy_from_slice(self.0.verifying_key().to_encoded_point(false).as_bytes());
        public
    }

    /// A request for a certificate of this key (PKCS #10, DER), signed by it. The same key, the same bytes (RFC 6979).
    pub fn request(&self) -> heapless::Vec<u8, REQUEST_BYTES_MAX> {
        let mut info = heapless::Vec::<u8, INFO_BYTES>::new();
        for part in [&INFO[..], &[UNUSED], &self.public(), &ATTRIBUTES] {
            // As long as they are together.
            let _ = info.extend_from_slice(part);
        }
        let signature: DerSignature = self.0.sign(&info);
        let signature = signature.as_bytes();
        // 72 bytes at the most: one byte says it.
        let bits = [der::BIT_STRING, signature.len() as u8 + 1, 0];
        let inner = info.len() + ALGORITHM.len() + bits.len() + signature.len();
        let mut request = heapless::Vec::new();
        for part in [&[der::SEQUENCE, 0x81, inner as u8][..], &info, &ALGORITHM, &bits, signature] {
            let _ = request.extend_from_slice(part);
        }
        request
    }
}

/// A kept key as PKCS #8 (DER), for what reads nothing else.
pub fn pkcs8(number: &[u8; 32]) -> [u8; 67] {
    let mut bytes = [0; 67];
    bytes[..PKCS8.len()].copy_from_slice(&PKCS8);
    bytes[PKCS8.len()..].copy_from_slice(number);
    bytes
}
