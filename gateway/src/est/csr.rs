//! A certificate request (PKCS #10) of a P-256 key, byte by byte: a renewal has to ask for exactly the names that the certificate has,
//! and a library that reads names and writes them again may write them otherwise.

use rcgen::{KeyPair, PublicKeyData, SigningKey};
use x509_parser::prelude::X509Certificate;

const OID_COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.17
const OID_SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 1.2.840.113549.1.9.14
const OID_EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
/// 1.2.840.10045.4.3.2
const OID_ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// The names that a request asks for, in DER.
pub struct Names {
    subject: Vec<u8>,
    /// The value of the extension.
    alternatives: Option<Vec<u8>>,
}

impl Names {
    /// A common name alone.
    pub fn of(common_name: &str) -> Names {
        let attribute = tlv(0x30, &[tlv(0x06, OID_COMMON_NAME), tlv(0x0c, common_name.as_bytes())].concat());
        Names { subject: tlv(0x30, &tlv(0x31, &attribute)), alternatives: None }
    }

    /// Those of a certificate.
    pub fn again(certificate: &X509Certificate<'_>) -> Names {
        let oid =
            |extension: &&x509_parser::extensions::X509Extension<'_>| extension.oid.as_bytes() == OID_SUBJECT_ALT_NAME;
        let alternatives = certificate.extensions().iter().find(oid).map(|extension| extension.value.to_vec());
        Names { subject: certificate.subject().as_raw().to_vec(), alternatives }
    }
}

/// The request, DER.
///
/// # Errors
/// [`rcgen::Error`] where the key cannot sign.
pub fn request(names: &Names, key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let extensions = names.alternatives.as_ref().map(|value| {
        let extension = tlv(0x30, &[tlv(0x06, OID_SUBJECT_ALT_NAME), tlv(0x04, value)].concat());
        let asked = tlv(0x31, &tlv(0x30, &extension));
        tlv(0x30, &[tlv(0x06, OID_EXTENSION_REQUEST), asked].concat())
    });
    let version = tlv(0x02, &[0]);
    let attributes = tlv(0xa0, &extensions.unwrap_or_default());
    let info = tlv(0x30, &[version, names.subject.clone(), key.subject_public_key_info(), attributes].concat());
    let signature = [vec![0], key.sign(&info)?].concat();
    Ok(tlv(0x30, &[info, tlv(0x30, &tlv(0x06, OID_ECDSA_SHA256)), tlv(0x03, &signature)].concat()))
}

/// An element with its length.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut element = vec![tag];
    match digits {
        [] => element.push(0),
        [short] if *short < 0x80 => element.push(*short),
        _ => {
            element.push(0x80 | digits.len() as u8);
            element.extend_from_slice(digits);
        }
    }
    element.extend_from_slice(content);
    element
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, PKCS_ECDSA_P256_SHA256};
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer;

    use super::*;

    #[test]
    fn a_request_says_its_names_and_is_signed_by_its_key() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let written = request(&Names::of("gw-1"), &key).unwrap();
        let (rest, read) = X509CertificationRequest::from_der(&written).unwrap();
        assert!(rest.is_empty() && read.verify_signature().is_ok());
        assert_eq!(read.certification_request_info.subject.to_string(), "CN=gw-1");
        assert_eq!(read.certification_request_info.subject_pki.raw, key.subject_public_key_info());
    }

    #[test]
    fn a_renewal_asks_for_the_very_names_of_the_certificate() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec!["gw-1.example".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Hemtj\u{e4}nsten i en kommun");
        params.distinguished_name.push(DnType::CountryName, "SE");
        params.distinguished_name.push(DnType::CommonName, "gw-1".repeat(40));
        let certificate = params.self_signed(&key).unwrap();
        let (_, x509) = x509_parser::parse_x509_certificate(certificate.der()).unwrap();
        let written = request(&Names::again(&x509), &key).unwrap();
        let (_, read) = X509CertificationRequest::from_der(&written).unwrap();
        assert!(read.verify_signature().is_ok());
        assert_eq!(read.certification_request_info.subject.as_raw(), x509.subject().as_raw());
        let asked = read.requested_extensions().unwrap().next().unwrap();
        let has = x509.subject_alternative_name().unwrap().unwrap();
        assert_eq!(asked, &x509_parser::extensions::ParsedExtension::SubjectAlternativeName(has.value.clone()));
    }
}
