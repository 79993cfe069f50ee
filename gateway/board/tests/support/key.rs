//! A passkey in software: what an authenticator does, by hand.

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use vaka_board::auth::secret::{encode, random};

pub const ORIGIN: &str = "https://localhost:8443";
/// Somebody was there, and proved who.
const UP: u8 = 1;
const UV: u8 = 4;

pub struct Key {
    pair: EcdsaKeyPair,
    id: [u8; 16],
    handle: String,
    pub counter: u32,
    /// Asks for a PIN or a finger.
    pub verifies: bool,
    pub origin: String,
}

impl Key {
    /// Makes the key that `asked` is for, and the answer that registers it.
    pub fn create(asked: &Value) -> (Self, Value) {
        let random_source = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random_source).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random_source);
        let handle = asked["user"]["id"].as_str().expect("a handle").to_owned();
        let id = random().expect("random numbers");
        let key = Key { pair: pair.expect("a key"), id, handle, counter: 1, verifies: true, origin: ORIGIN.to_owned() };
        let answer = key.registration(asked);
        (key, answer)
    }

    pub fn registration(&self, asked: &Value) -> Value {
        let client = self.client("webauthn.create", asked);
        let public = self.pair.public_key().as_ref();
        let mut data = self.data(asked["rp"]["id"].as_str().expect("an id"), 0x40);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id);
        // COSE: kty EC2, alg ES256, crv P-256, x, y.
        data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend(&public[1..33]);
        data.extend([0x22, 0x58, 32]);
        data.extend(&public[33..]);
        // {"fmt": "none", "attStmt": {}, "authData": bytes}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).expect("short"));
        object.extend(data);
        let response = json!({ "clientDataJSON": encode(&client), "attestationObject": encode(&object), "transports": ["internal"] });
        self.credential(response)
    }

    pub fn assertion(&mut self, asked: &Value) -> Value {
        self.counter += 1;
        let client = self.client("webauthn.get", asked);
        let data = self.data(asked["rpId"].as_str().expect("an id"), 0);
        let signed = [&data[..], digest(&SHA256, &client).as_ref()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).expect("signed");
        self.credential(json!({
            "clientDataJSON": encode(&client),
            "authenticatorData": encode(&data),
            "signature": encode(signature.as_ref()),
            "userHandle": self.handle,
        }))
    }

    fn client(&self, kind: &str, asked: &Value) -> Vec<u8> {
        let client =
            json!({ "type": kind, "challenge": asked["challenge"], "origin": self.origin, "crossOrigin": false });
        client.to_string().into_bytes()
    }

    fn data(&self, rp: &str, flags: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, rp.as_bytes()).as_ref().to_vec();
        data.push(flags | UP | if self.verifies { UV } else { 0 });
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn credential(&self, response: Value) -> Value {
        let id = encode(&self.id);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {} })
    }
}
