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
    /// When it ends, UTC milliseconds.
    pub not_after: i64,
}

impl Peer {
    /// Its certificate has ended: it may renew it and call for help, nothing else.
    pub fn has_ended(&self, now_ms: i64) -> bool {
        self.not_after < now_ms
    }
}

#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// May publish on its maker's topics, for the devices behind it.
    pub bridge: bool,
    /// Another gateway, for which this one is the hub: it alone tells of look-ins.
    pub home: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Roster {
    pub devices: BTreeMap<DeviceId, Listed>,
    /// Devices behind a bridge: by bridge, then by the name or address that the bridge uses.
    pub behind: BTreeMap<DeviceId, BTreeMap<String, DeviceId>>,
    /// Devices behind a bridge whose plain press is the resident's call for help.
    pub callers: BTreeSet<DeviceId>,
    /// Bridges and gateways: they speak for many devices.
    pub many: BTreeSet<DeviceId>,
    /// Certificates that are given and not used yet, by device and enrolment: their serial numbers, as hex.
    pub renewed: BTreeMap<(DeviceId, u32), String>,
    /// Serial numbers of revoked and superseded certificates, as hex.
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
            Refusal::Revoked => "its certificate is revoked, or superseded by one that it has used",
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
        // A name that is an id already stays; any other gets a mark, so that two rooms never become one.
        let id = DeviceId::try_from(name).or_else(|_| {
            let plain = name.chars().map(|c| c.to_ascii_lowercase());
            let slug: String = plain.map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(24).collect();
            DeviceId::try_from(format!("{slug}-{:06x}", crc32c::crc32c(name.as_bytes()) & 0x00ff_ffff).as_str())
        });
        // No bridge speaks for a device that has a certificate of its own, or stands behind another bridge.
        let is_taken = |id: &DeviceId| {
            self.devices.contains_key(id) || self.behind.values().any(|listed| listed.values().any(|other| other == id))
        };
        id.ok().filter(|id| !is_taken(id)).unwrap_or_else(|| bridge.clone())
    }
}
