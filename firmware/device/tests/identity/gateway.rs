//! A gateway that gives certificates by the rules of the real one (`gateway/src/provision/invite.rs`, `renew.rs`): a code
//! is one key's; the same key is given the same again; the certificate before is good until the next was used.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
};
use vaka_device::identity::Facts;

type Time = time::OffsetDateTime;

/// Bytes that are keys, another with each call.
pub fn random(seed: u8) -> impl FnMut(&mut [u8; 32]) {
    let mut next = seed.wrapping_mul(5);
    move |bytes| {
        next = next.wrapping_add(1);
        bytes.fill(next.max(1));
    }
}

/// The gateway.
pub struct Gateway {
    authority: CertifiedIssuer<'static, KeyPair>,
    /// Whose key the code has become, and the certificate.
    enrolled: Option<([u8; 65], Vec<u8>)>,
    /// Certificates in force, the newest last.
    in_force: Vec<Vec<u8>>,
}

impl Gateway {
    pub fn new() -> Gateway {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        Gateway { authority, enrolled: None, in_force: Vec::new() }
    }

    /// A certificate for that request.
    pub fn sign(&mut self, request: &[u8], from: Time, until: Time) -> Vec<u8> {
        let mut request = CertificateSigningRequestParams::from_der(&request.into()).expect("PKCS #10");
        (request.params.not_before, request.params.not_after) = (from, until);
        request.signed_by(&self.authority).expect("signed").der().to_vec()
    }

    fn give(&mut self, request: &[u8]) -> Vec<u8> {
        let certificate = self.sign(request, date_time_ymd(2026, 1, 1), date_time_ymd(2027, 2, 5));
        self.in_force.push(certificate.clone());
        certificate
    }

    /// A request with the code. `None`: it is used.
    pub fn enrol(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let key = CertificateSigningRequestParams::from_der(&request.into()).expect("PKCS #10");
        let key: [u8; 65] = rcgen::PublicKeyData::der_bytes(&key.public_key).try_into().expect("a point");
        if let Some((first, certificate)) = &self.enrolled {
            return (*first == key).then(|| certificate.clone());
        }
        let certificate = self.give(request);
        self.enrolled = Some((key, certificate.clone()));
        Some(certificate)
    }

    /// A device comes with that certificate. False: it is turned away.
    pub fn connects(&mut self, certificate: &[u8]) -> bool {
        let Some(place) = self.in_force.iter().position(|good| good == certificate) else { return false };
        // Used: those before it are good no longer.
        self.in_force.drain(..place);
        true
    }

    /// A request on the connection of that certificate.
    pub fn renew(&mut self, certificate: &[u8], request: &[u8]) -> Vec<u8> {
        let place = self.in_force.iter().position(|good| good == certificate).expect("it is connected");
        let key = CertificateSigningRequestParams::from_der(&request.into()).expect("PKCS #10");
        let same = |given: &&Vec<u8>| {
            Facts::read(given).expect("ours").public == rcgen::PublicKeyData::der_bytes(&key.public_key)
        };
        if let Some(given) = self.in_force[place + 1..].iter().find(same) {
            return given.clone();
        }
        self.in_force.truncate(place + 1);
        self.give(request)
    }
}
