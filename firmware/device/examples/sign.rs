//! Makes a signed firmware image.
//!
//! ```text
//! openssl ecparam -name prime256v1 -genkey -noout -outform DER -out release.der
//! cargo run -p vaka-device --example sign -- public release.der
//! cargo run -p vaka-device --example sign -- image release.der 0 pendant mps2-an386 7 1.4.0 body.bin pendant.img
//! ```
//!
//! `public` prints the 65 bytes that go into the device's keys; `image` writes the file, and prints what the command
//! `update` names: its size and its SHA-256.
#![allow(dead_code, reason = "the tests make their images with a part of it")]

use std::error::Error;

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};
use vaka_device::update::image::{HEADER_BYTES, Header, NAME_BYTES, SIGNED_BYTES, padded};

/// What an image is.
pub struct Release<'a> {
    /// Which of the device's keys signs it, 0 or 1.
    pub key: u8,
    pub role: &'a str,
    pub board: &'a str,
    /// Rises with each release.
    pub version: u32,
    /// The version in words.
    pub name: &'a str,
}

/// Header, signature and body: the file.
pub fn image(release: &Release<'_>, body: &[u8], key: &SigningKey) -> Result<Vec<u8>, Box<dyn Error>> {
    for name in [release.role, release.board] {
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(format!("cannot name {name:?} in a header; use 1 to {NAME_BYTES} bytes").into());
        }
    }
    let header = Header {
        key: release.key,
        version: release.version,
        body_bytes: u32::try_from(body.len())?,
        role: padded(release.role),
        board: padded(release.board),
        name: release.name.into(),
        sha256: Sha256::digest(body).into(),
    };
    let mut file = header.to_bytes().to_vec();
    let signature: Signature = key.sign(&file[..SIGNED_BYTES]);
    file[SIGNED_BYTES..HEADER_BYTES].copy_from_slice(&signature.to_bytes());
    file.extend_from_slice(body);
    Ok(file)
}

/// The public key as the device has it.
pub fn public(key: &SigningKey) -> [u8; 65] {
    let point = key.verifying_key().to_encoded_point(false);
    let mut bytes = [0; 65];
    bytes.copy_from_slice(point.as_bytes());
    bytes
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The private key in a DER file as `openssl ecparam` or `openssl genpkey` writes it.
pub fn private(der: &[u8]) -> Result<SigningKey, Box<dyn Error>> {
    // RFC 5915: version 1, then an octet string of 32 bytes; PKCS #8 has the same within.
    let begin = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = der.windows(begin.len()).position(|bytes| bytes == begin).map(|at| at + begin.len());
    let scalar = at.and_then(|at| der.get(at..at + 32));
    let scalar = scalar.ok_or("cannot find a P-256 key in the file; make one with openssl ecparam, -outform DER")?;
    SigningKey::from_slice(scalar).map_err(|_| "the key in the file is no number of the curve P-256".into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["public", key] => println!("{}", hex(&public(&private(&std::fs::read(key)?)?))),
        ["image", key, id, role, board, version, name, body, out] => {
            let key = private(&std::fs::read(key)?)?;
            let release = Release { key: id.parse()?, role, board, version: version.parse()?, name };
            let file = image(&release, &std::fs::read(body)?, &key)?;
            std::fs::write(out, &file)?;
            println!("size_bytes {}\nsha256 {}", file.len(), hex(&Sha256::digest(&file)));
        }
        _ => return Err("usage: sign public KEY.der | sign image KEY.der 0|1 ROLE BOARD VERSION NAME BODY OUT".into()),
    }
    Ok(())
}
