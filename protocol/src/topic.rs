//! The topics of version 1: `vaka/v1/<device>/event`, `…/command`, `…/alive`, `…/time`, `…/renew`, `…/certificate`. Enters and
//! leaves: text.

use crate::id::DeviceId;
use crate::limits::TOPIC_BYTES_MAX;

/// What stands before the device in every topic.
pub const PREFIX: &str = "vaka/v1/";

/// Payload of `alive` when the device is back.
pub const BACK: &[u8] = b"1";

/// Payload of `alive` when the device is gone: its Will.
pub const GONE: &[u8] = b"0";

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Device to gateway, QoS 1: an [`EventMessage`](crate::EventMessage).
    Event,
    /// Gateway to device, QoS 1: a [`CommandMessage`](crate::CommandMessage).
    Command,
    /// The device's Will: [`GONE`] or [`BACK`].
    Alive,
    /// Gateway to device, QoS 0: a [`Time`](crate::Time), while the gateway's own clock is trusted.
    Time,
    /// Device to gateway, QoS 1: a certificate request (PKCS #10, DER) for the same device with a new key.
    Renew,
    /// Gateway to device, QoS 1: the answer to [`Kind::Renew`], a certificate (X.509, DER).
    Certificate,
}

impl Kind {
    /// Every one of them.
    pub const ALL: [Kind; 6] = [Kind::Event, Kind::Command, Kind::Alive, Kind::Time, Kind::Renew, Kind::Certificate];
}

impl Kind {
    /// The topic's last level.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Command => "command",
            Kind::Alive => "alive",
            Kind::Time => "time",
            Kind::Renew => "renew",
            Kind::Certificate => "certificate",
        }
    }
}

/// Whose topic it is and what it carries; `None`: not one of Vaka's (a bridge's own, a wrong id, a wildcard).
pub fn parse(topic: &str) -> Option<(DeviceId, Kind)> {
    let (device, kind) = topic.strip_prefix(PREFIX)?.split_once('/')?;
    let kind = Kind::ALL.into_iter().find(|k| k.as_str() == kind)?;
    Some((DeviceId::try_from(device).ok()?, kind))
}

/// The device's topic of that kind.
pub fn build(device: &DeviceId, kind: Kind) -> heapless::String<TOPIC_BYTES_MAX> {
    let mut topic = heapless::String::new();
    for part in [PREFIX, device.as_str(), "/", kind.as_str()] {
        // 52 bytes at the most: a checked id is bounded.
        let _ = topic.push_str(part);
    }
    topic
}

/// `vaka/v1/<device>/event`
pub fn event(device: &DeviceId) -> heapless::String<TOPIC_BYTES_MAX> {
    build(device, Kind::Event)
}

/// `vaka/v1/<device>/command`
pub fn command(device: &DeviceId) -> heapless::String<TOPIC_BYTES_MAX> {
    build(device, Kind::Command)
}

/// `vaka/v1/<device>/alive`
pub fn alive(device: &DeviceId) -> heapless::String<TOPIC_BYTES_MAX> {
    build(device, Kind::Alive)
}

/// `vaka/v1/<device>/time`
pub fn time(device: &DeviceId) -> heapless::String<TOPIC_BYTES_MAX> {
    build(device, Kind::Time)
}

/// `vaka/v1/<device>/renew`
pub fn renew(device: &DeviceId) -> heapless::String<TOPIC_BYTES_MAX> {
    build(device, Kind::Renew)
}

/// `vaka/v1/<device>/certificate`
pub fn certificate(device: &DeviceId) -> heapless::String<TOPIC_BYTES_MAX> {
    build(device, Kind::Certificate)
}

/// True if the payload says that the device is back, false if it is gone; `None`: neither.
pub fn is_back(payload: &[u8]) -> Option<bool> {
    match payload {
        BACK => Some(true),
        GONE => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_read_as_it_is_built() {
        let device = DeviceId::try_from("a2345678901234567890123456789-12").unwrap();
        for kind in Kind::ALL {
            assert_eq!(parse(&build(&device, kind)), Some((device.clone(), kind)));
        }
        assert_eq!(event(&DeviceId::try_from("p1").unwrap()), "vaka/v1/p1/event");
    }

    #[test]
    fn what_is_not_a_topic_of_ours_is_none() {
        for topic in [
            "",
            "vaka/v1/p1",
            "vaka/v1/p1/",
            "vaka/v1/+/event",
            "vaka/v1//event",
            "vaka/v1/p1/event/x",
            "vaka/v2/p1/event",
            "/vaka/v1/p1/event",
            "vaka/v1/P1/event",
        ] {
            assert_eq!(parse(topic), None, "{topic}");
        }
    }
}
