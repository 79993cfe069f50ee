//! A push message sealed for one phone (RFC 8291: `aes128gcm` with an ECDH key of its own for each message).

use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{aead, hkdf};

/// Size of a record, bytes: ours are one record, and far smaller (RFC 8291 section 4).
const RECORD_BYTES: u32 = 4_096;

/// So many bytes out of a derivation.
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const N: usize>(prk: &hkdf::Prk, info: &[&[u8]]) -> Result<[u8; N], Unspecified> {
    let mut out = [0; N];
    prk.expand(info, Bytes(N))?.fill(&mut out)?;
    Ok(out)
}

/// The body of the request. `phone`: its public key, an uncompressed point of 65 bytes; `auth`: its 16 secret bytes.
///
/// # Errors
/// The key is no point on the curve, or there is no randomness.
pub fn seal(phone: &[u8], auth: &[u8], message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let random = SystemRandom::new();
    let own = EphemeralPrivateKey::generate(&ECDH_P256, &random)?;
    let own_public = own.compute_public_key()?;
    let mut salt = [0; 16];
    random.fill(&mut salt)?;
    let info: [&[u8]; 3] = [b"WebPush: info\0", phone, own_public.as_ref()];
    let secret: [u8; 32] = agree_ephemeral(own, &UnparsedPublicKey::new(&ECDH_P256, phone), |shared| {
        derive(&Salt::new(HKDF_SHA256, auth).extract(shared), &info)
    })??;
    let prk = Salt::new(HKDF_SHA256, &salt).extract(&secret);
    let key: [u8; 16] = derive(&prk, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; 12] = derive(&prk, &[b"Content-Encoding: nonce\0"])?;

    let mut sealed = Vec::with_capacity(message.len() + 120);
    sealed.extend_from_slice(message);
    // The last record's delimiter.
    sealed.push(2);
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key)?);
    key.seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::empty(), &mut sealed)?;

    let own_public = own_public.as_ref();
    let mut body = Vec::with_capacity(sealed.len() + 86);
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(u8::try_from(own_public.len()).map_err(|_| Unspecified)?);
    body.extend_from_slice(own_public);
    body.extend_from_slice(&sealed);
    Ok(body)
}
