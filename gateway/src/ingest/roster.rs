//! Who may connect, and for whom they speak.
//!
//! Made from the config and the list of issued certificates; replaced as a whole when either changes.

use std::collections::{BTreeMap, BTreeSet};

use vaka_protocol::DeviceId;

/// What a certificate says about who is calling.
#[derive(Debug, Clone)]
pub struct Peer {
    pub device: DeviceId,
    pub enrolment: u32,
    /// The certificate's serial number, as hex.
    pub serial: String,
}

#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// May publish on its maker's topics, for the devices behind it.
    pub bridge: bool,
}

#[derive(Debug, Default)]
pub struct Roster {
    pub devices: BTreeMap<DeviceId, Listed>,
    /// Devices behind a bridge: by bridge, then by the name or address that the bridge uses.
    pub behind: BTreeMap<DeviceId, BTreeMap<String, DeviceId>>,
    /// Serial numbers of revoked certificates, as hex.
    pub revoked: BTreeSet<String>,
}

/// Why a device is turned away at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Unknown,
    Revoked,
}

impl Refusal {
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Unknown => "the device is not in the config",
            Refusal::Revoked => "its certificate is revoked",
        }
    }
}

impl Roster {
    /// # Errors
    /// [`Refusal`] where the device is not listed or its certificate has been revoked.
    pub fn admit(&self, peer: &Peer) -> Result<&Listed, Refusal> {
        if self.revoked.contains(&peer.serial) {
            return Err(Refusal::Revoked);
        }
        self.devices.get(&peer.device).ok_or(Refusal::Unknown)
    }

    /// The device that `bridge` calls `name`: the listed one, else an id made from the name.
    /// An unlisted smoke detector behind a bridge still raises its alarm.
    pub fn behind(&self, bridge: &DeviceId, name: &str) -> DeviceId {
        if let Some(listed) = self.behind.get(bridge).and_then(|devices| devices.get(name)) {
            return listed.clone();
        }
        let slug: String = name
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(vaka_protocol::limits::DEVICE_ID_BYTES_MAX)
            .collect();
        DeviceId::try_from(slug.as_str()).unwrap_or_else(|_| bridge.clone())
    }
}
