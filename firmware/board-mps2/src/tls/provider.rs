//! The one way in which this device speaks TLS: ChaCha20-Poly1305 with SHA-256, P-256 for keys and signatures, from the
//! RustCrypto crates. ChaCha20 rather than AES: without AES in hardware it is smaller, quicker, and takes the same time
//! whatever the key is.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Tag};
use hmac::{Hmac, Mac};
use p256::ecdh::EphemeralSecret;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::DecodePrivateKey;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm, UnsupportedOperationError,
    make_tls13_aad,
};
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, SharedSecret, SupportedKxGroup,
    WebPkiSupportedAlgorithms, hash, hmac as mac,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm, alg_id};
use rustls::sign::{Signer, SigningKey as Key};
use rustls::{
    CipherSuite, CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, NamedGroup, PeerMisbehaved,
    ProtocolVersion, SignatureAlgorithm, SignatureScheme, SupportedCipherSuite, Tls13CipherSuite,
};
use sha2::{Digest, Sha256};

use crate::entropy::{self, Random};

/// What the check sum of a record takes, bytes.
const TAG_BYTES: usize = 16;

/// Which signatures are taken, of certificates and in the handshake.
pub const SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[&P256Sha256],
    mapping: &[(SignatureScheme::ECDSA_NISTP256_SHA256, &[&P256Sha256])],
};

/// The provider for rustls.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: alloc::vec![SupportedCipherSuite::Tls13(&SUITE)],
        kx_groups: alloc::vec![&P256 as &dyn SupportedKxGroup],
        signature_verification_algorithms: SIGNATURES,
        secure_random: &Source,
        key_provider: &Source,
    }
}

static SUITE: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        hash_provider: &Hash,
        confidentiality_limit: u64::MAX,
    },
    hkdf_provider: &HkdfUsingHmac(&HmacSha256),
    aead_alg: &Aead,
    quic: None,
};

struct Hash;
struct Hashing(Sha256);

impl hash::Hash for Hash {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Hashing(Sha256::new()))
    }

    fn hash(&self, bytes: &[u8]) -> hash::Output {
        hash::Output::new(&Sha256::digest(bytes))
    }

    fn output_len(&self) -> usize {
        32
    }

    fn algorithm(&self) -> hash::HashAlgorithm {
        hash::HashAlgorithm::SHA256
    }
}

impl hash::Context for Hashing {
    fn fork_finish(&self) -> hash::Output {
        hash::Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(Hashing(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> hash::Output {
        hash::Output::new(&self.0.finalize())
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

struct HmacSha256;
struct HmacKey(Hmac<Sha256>);

impl mac::Hmac for HmacSha256 {
    fn with_key(&self, key: &[u8]) -> Box<dyn mac::Key> {
        // HMAC takes keys of any length.
        Box::new(HmacKey(<Hmac<Sha256> as Mac>::new_from_slice(key).expect("any length will do")))
    }

    fn hash_output_len(&self) -> usize {
        32
    }
}

impl mac::Key for HmacKey {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> mac::Tag {
        let mut running = self.0.clone();
        running.update(first);
        middle.iter().for_each(|bytes| running.update(bytes));
        running.update(last);
        mac::Tag::new(&running.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        32
    }
}

struct Aead;
struct Records(ChaCha20Poly1305, Iv);

impl Records {
    fn new(key: &AeadKey, iv: Iv) -> Box<Self> {
        Box::new(Self(ChaCha20Poly1305::new(key.as_ref().into()), iv))
    }
}

impl Tls13AeadAlgorithm for Aead {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Records::new(&key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Records::new(&key, iv)
    }

    fn key_len(&self) -> usize {
        32
    }

    fn extract_keys(&self, key: AeadKey, iv: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv })
    }
}

impl MessageEncrypter for Records {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let nonce = Nonce::new(&self.1, seq);
        let tag = self
            .0
            .encrypt_in_place_detached(&nonce.0.into(), &make_tls13_aad(length), payload.as_mut())
            .map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + 1 + TAG_BYTES
    }
}

impl MessageDecrypter for Records {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut message.payload;
        let length = payload.len().checked_sub(TAG_BYTES).ok_or(Error::DecryptError)?;
        let aad = make_tls13_aad(payload.len());
        let tag = *Tag::from_slice(&payload[length..]);
        let nonce = Nonce::new(&self.1, seq);
        self.0
            .decrypt_in_place_detached(&nonce.0.into(), &aad, &mut payload[..length], &tag)
            .map_err(|_| Error::DecryptError)?;
        payload.truncate(length);
        message.into_tls13_unpadded_message()
    }
}

#[derive(Debug)]
struct P256;

struct Exchange {
    secret: EphemeralSecret,
    public: [u8; 65],
}

impl SupportedKxGroup for P256 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = EphemeralSecret::random(&mut Random);
        let mut public = [0; 65];
        public.copy_from_slice(secret.public_key().to_encoded_point(false).as_bytes());
        Ok(Box::new(Exchange { secret, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        // Only the uncompressed form is allowed (RFC 8446, 4.2.8.2), and only a point of the curve is taken.
        let theirs = p256::PublicKey::from_sec1_bytes(theirs)
            .ok()
            .filter(|_| theirs.first() == Some(&4))
            .ok_or(PeerMisbehaved::InvalidKeyShare)?;
        Ok(self.secret.diffie_hellman(&theirs).raw_secret_bytes().as_slice().into())
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

#[derive(Debug)]
struct P256Sha256;

impl SignatureVerificationAlgorithm for P256Sha256 {
    fn verify_signature(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let public = VerifyingKey::from_sec1_bytes(public).map_err(|_| InvalidSignature)?;
        let signature = DerSignature::try_from(signature).map_err(|_| InvalidSignature)?;
        public.verify(message, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

#[derive(Debug)]
struct Source;

impl SecureRandom for Source {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        if entropy::fill(bytes) { Ok(()) } else { Err(GetRandomFailed) }
    }
}

impl KeyProvider for Source {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn Key>, Error> {
        let PrivateKeyDer::Pkcs8(key) = key else { return Err(Error::General("the key is not PKCS #8".into())) };
        let key = SigningKey::from_pkcs8_der(key.secret_pkcs8_der())
            .map_err(|_| Error::General("the key is not one of P-256".into()))?;
        Ok(Arc::new(Own(Arc::new(key))))
    }
}

/// The device's key.
struct Own(Arc<SigningKey>);

impl core::fmt::Debug for Own {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Own")
    }
}

impl Key for Own {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(Self(self.0.clone())) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Own {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        // The nonce is derived from key and message (RFC 6979): a weak generator does not betray the key.
        let signature: DerSignature = self.0.sign(message);
        Ok(signature.as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}
