//! Who sends a push, proven to the push service (RFC 8292): a signed token for each service, a key that stays for years.

use std::io;
use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use crate::auth::credentials::replace;
use crate::auth::secret::encode;

/// How long a token is good, in seconds: RFC 8292 allows a day at most.
const TOKEN_S: i64 = 12 * 3_600;

/// The key that phones subscribe to: another one would silence them all.
pub struct Key(EcdsaKeyPair);

impl Key {
    /// The key in `file`, made there the first time, readable by its owner alone.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else.
    pub fn open(file: &Path) -> io::Result<Self> {
        let random = SystemRandom::new();
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
                let made = made.map_err(|_| wrong("no randomness for a key"))?;
                replace(file, made.as_ref(), 0o600)?;
                made.as_ref().to_vec()
            }
            Err(e) => return Err(e),
        };
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes, &random);
        Ok(Key(key.map_err(|_| wrong("not the key that was made here; without the right one no phone is told"))?))
    }

    /// As a browser wants it: an uncompressed point, base64 for addresses.
    pub fn public(&self) -> String {
        encode(self.0.public_key().as_ref())
    }

    /// The `Authorization` header towards one push service.
    ///
    /// # Errors
    /// In words.
    pub fn authorization(&self, audience: &str, subject: &str, now_ms: i64) -> Result<String, String> {
        let head = encode(json!({"typ": "JWT", "alg": "ES256"}).to_string().as_bytes());
        let claims = json!({"aud": audience, "exp": now_ms / 1_000 + TOKEN_S, "sub": subject});
        let signed = format!("{head}.{}", encode(claims.to_string().as_bytes()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| "signing a push token: no randomness".to_owned())?;
        Ok(format!("vapid t={signed}.{}, k={}", encode(signature.as_ref()), self.public()))
    }
}
