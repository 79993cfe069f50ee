//! As whom the device connects, and to whom. Enters: what enrolment and renewal have kept in the flash, and what a
//! technician's tool has written. Leaves: all that a connection needs, or what is missing.

use alloc::string::String;
use alloc::vec::Vec;

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use vaka_device::Keep;
use vaka_device::identity::{Kept, Which, authority, pkcs8, place, read};
use vaka_device::keep::VALUE_BYTES_MAX;
use vaka_protocol::DeviceId;

use crate::provisioning::{Provisioning, tag};

/// What one connection needs.
#[derive(Debug)]
pub struct Who {
    /// The device's id.
    pub id: DeviceId,
    /// The gateway's address, IPv4.
    pub address: [u8; 4],
    /// Its port.
    pub port: u16,
    /// The name that its certificate must bear.
    pub name: String,
    /// The authority that signs gateways.
    pub authority: CertificateDer<'static>,
    /// The device's certificate.
    pub certificate: CertificateDer<'static>,
    /// And its key.
    pub key: PrivatePkcs8KeyDer<'static>,
    /// Which of its certificates that is.
    pub which: Which,
}

/// True if the device has a certificate to connect with.
pub fn is_known(keep: &mut dyn Keep, provisioning: &Provisioning) -> bool {
    !provisioning.bytes(tag::CERTIFICATE).is_empty() || certificate(keep, provisioning, Which::Renewed).is_some()
}

/// All that a connection needs, with the certificate that is wanted, or the device's own where there is none.
///
/// # Errors
/// The part that is missing.
pub fn who(keep: &mut dyn Keep, provisioning: &Provisioning, wanted: Which) -> Result<Who, &'static str> {
    let kept = certificate(keep, provisioning, wanted);
    let written = |wanted| provisioning.bytes(wanted);
    let (which, key, certificate) =
        kept.unwrap_or_else(|| (Which::Own, written(tag::KEY).to_vec(), written(tag::CERTIFICATE).to_vec()));
    let (key, certificate) = (PrivatePkcs8KeyDer::from(key), CertificateDer::from(certificate));
    if provisioning.mark() != 0 {
        let (address, port) = provisioning.address().ok_or("address")?;
        let id = DeviceId::try_from(provisioning.text(tag::ID)).map_err(|_| "id")?;
        let (name, authority) = (provisioning.text(tag::NAME).into(), CertificateDer::from(written(tag::AUTHORITY)));
        return Ok(Who { id, address, port, name, authority, certificate, key, which });
    }
    let place = place(keep).ok_or("address")?;
    let mut buffer = [0; VALUE_BYTES_MAX];
    let authority = CertificateDer::from(authority(keep, &mut buffer).ok_or("authority")?.to_vec());
    let name = place.name.as_str().into();
    Ok(Who { id: place.id, address: place.address, port: place.port, name, authority, certificate, key, which })
}

/// The wanted one, or the device's own, if one of them is kept: which, key and certificate.
fn certificate(keep: &mut dyn Keep, provisioning: &Provisioning, wanted: Which) -> Option<(Which, Vec<u8>, Vec<u8>)> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    [wanted, Which::Own].into_iter().find_map(|which| {
        // One that cannot be read is as good as none: the other may be.
        let Kept { key, certificate } = read(keep, provisioning.mark(), which, &mut buffer).ok()??;
        Some((which, pkcs8(key).to_vec(), certificate.to_vec()))
    })
}
