//! A device's flash as a file: what a technician writes into it, and what outlives a power cut.
//!
//! Its layout is that of `firmware/board-mps2/src/flash.rs` and `provisioning.rs`.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::Home;

/// The board's memory, bytes.
const BYTES: u64 = 16 * 1024 * 1024;

/// From where on the device keeps its values, and how many bytes.
const KEPT: (u64, usize) = (64 * 1024, 128 * 1024);

/// What a technician gives a device.
#[derive(Debug, Clone)]
pub struct Provisioning {
    pub id: String,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authority that signs gateways.
    pub authority: PathBuf,
    /// The gateway's port on this machine.
    pub port: u16,
    /// The name that the gateway's certificate must bear.
    pub name: String,
    /// What the role wants to know.
    pub role: Vec<u8>,
}

impl Provisioning {
    /// A device of this home, as `vaka device add` has made it.
    pub fn of(home: &Home, id: &str) -> Provisioning {
        let pem = |file| home.pem(id, file);
        Provisioning {
            id: id.to_owned(),
            certificate: pem("cert.pem"),
            key: pem("key.pem"),
            authority: pem("ca.pem"),
            port: home.mqtt_port,
            name: "localhost".to_owned(),
            role: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let [low, high] = self.port.to_le_bytes();
        let entries: [(u16, Vec<u8>); 7] = [
            (1, self.id.clone().into_bytes()),
            (2, certificate(&self.certificate)),
            (3, key(&self.key)),
            (4, certificate(&self.authority)),
            // The host, as QEMU's own network shows it to the guest.
            (5, vec![10, 0, 2, 2, low, high]),
            (6, self.name.clone().into_bytes()),
            (7, self.role.clone()),
        ];
        let mut bytes = Vec::new();
        for (tag, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(u16::try_from(value.len()).expect("an entry below 64 KiB").to_le_bytes());
            bytes.extend(value);
        }
        let mut area = b"VAKA\x01\0\0\0".to_vec();
        area.extend(u32::try_from(bytes.len()).expect("an area below 8 KiB").to_le_bytes());
        area.extend(&bytes);
        area.extend(crc32(&bytes).to_le_bytes());
        area
    }
}

/// The file; it belongs to one board at a time.
#[derive(Debug, Clone)]
pub struct Flash {
    path: PathBuf,
}

impl Flash {
    /// A new device's: erased, and provisioned.
    #[track_caller]
    pub fn new(path: &Path, provisioning: &Provisioning) -> Flash {
        let flash = Flash::blank(path);
        flash.provision(provisioning);
        flash
    }

    /// As it leaves its maker: erased, and nobody has written anything into it.
    #[track_caller]
    pub fn blank(path: &Path) -> Flash {
        let flash = Flash { path: path.to_owned() };
        let file = File::create(path).unwrap_or_else(|e| panic!("making {}: {e}", path.display()));
        file.set_len(BYTES).expect("a sparse file");
        flash.write(KEPT.0, &vec![0xff; KEPT.1]);
        flash
    }

    /// Gives the device another provisioning; what it keeps stays.
    pub fn provision(&self, provisioning: &Provisioning) {
        self.write(0, &provisioning.bytes());
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if these bytes stand anywhere in what the device keeps.
    #[track_caller]
    pub fn holds(&self, bytes: &[u8]) -> bool {
        let all = std::fs::read(&self.path).expect("the flash's file");
        all[KEPT.0 as usize..][..KEPT.1].windows(bytes.len()).any(|window| window == bytes)
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let mut file = File::options().write(true).open(&self.path).expect("the flash's file");
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes)).expect("writing the flash's file");
    }
}

fn certificate(path: &Path) -> Vec<u8> {
    let der = CertificateDer::from_pem_file(path).unwrap_or_else(|e| panic!("reading {}: {e}", path.display()));
    der.to_vec()
}

fn key(path: &Path) -> Vec<u8> {
    let der = PrivateKeyDer::from_pem_file(path).unwrap_or_else(|e| panic!("reading {}: {e}", path.display()));
    der.secret_der().to_vec()
}

/// CRC-32 as IEEE 802.3 has it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ ((sum & 1) * 0xedb8_8320))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_the_usual_one() {
        // The check value that catalogues of CRCs print for "123456789".
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
