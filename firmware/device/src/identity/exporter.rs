//! The exporter of TLS 1.3 (RFC 8446, 7.5), for TLS that gives out its secret and not what is made of it.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// What both ends of a connection with SHA-256 export under that label, without a context, of its exporter secret.
pub fn exported(secret: &[u8; 32], label: &[u8]) -> [u8; 32] {
    let nothing = Sha256::digest([]);
    expand(&expand(secret, label, &nothing), b"exporter", &nothing)
}

/// HKDF-Expand-Label (RFC 8446, 7.1) to 32 bytes, which are one block of HKDF-Expand (RFC 5869).
fn expand(secret: &[u8; 32], label: &[u8], context: &[u8]) -> [u8; 32] {
    const PREFIX: &[u8] = b"tls13 ";
    let mut block = [0; 64];
    block[..32].copy_from_slice(secret);
    let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new(&block.into());
    // Labels and contexts are below 256 bytes.
    mac.update(&[0, 32, (PREFIX.len() + label.len()) as u8]);
    mac.update(PREFIX);
    mac.update(label);
    mac.update(&[context.len() as u8]);
    mac.update(context);
    mac.update(&[1]);
    mac.finalize().into_bytes().into()
}
