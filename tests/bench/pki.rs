//! Throw-away certificates for a peer, of the same make as Vaka's own: P-256, one CA for servers and one for devices.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::session::Identity;

/// Writes server-{cert,key}.pem and device-ca.pem into `dir`, and a folder of three PEM files for each device.
pub fn make(dir: &Path, devices: usize) -> Result<Vec<Identity>> {
    let (server_ca_pem, server_ca) = ca("bench servers")?;
    let (device_ca_pem, device_ca) = ca("bench devices")?;
    let (cert, key) = leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth, &server_ca)?;
    fs::write(dir.join("server-cert.pem"), cert)?;
    fs::write(dir.join("server-key.pem"), key)?;
    fs::write(dir.join("device-ca.pem"), device_ca_pem)?;
    let mut identities = Vec::new();
    for index in 0..devices {
        let id = format!("d{index:02}");
        let folder = dir.join(&id);
        fs::create_dir(&folder)?;
        let (cert, key) = leaf(&id, ExtendedKeyUsagePurpose::ClientAuth, &device_ca)?;
        fs::write(folder.join("cert.pem"), cert)?;
        fs::write(folder.join("key.pem"), key)?;
        fs::write(folder.join("ca.pem"), &server_ca_pem)?;
        identities.push(Identity { id, dir: folder });
    }
    Ok(identities)
}

fn ca(name: &str) -> Result<(String, Issuer<'static, KeyPair>)> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(&key)?.pem();
    Ok((pem, Issuer::new(params, key)))
}

fn leaf(name: &str, purpose: ExtendedKeyUsagePurpose, issuer: &Issuer<'static, KeyPair>) -> Result<(String, String)> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![purpose];
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}
