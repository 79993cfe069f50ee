//! Defaults and ranges of single fields.

use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::id::DeviceId;
use crate::words::Lane;

pub(crate) fn yes() -> bool {
    true
}

pub(crate) fn one() -> u32 {
    1
}

pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

pub(crate) fn life() -> Lane {
    Lane::Life
}

pub(crate) fn care() -> Lane {
    Lane::Care
}

pub(crate) fn technical() -> Lane {
    Lane::Technical
}

pub(crate) fn telemetry() -> Lane {
    Lane::Telemetry
}

/// A lane that this version does not know is life: too urgent rather than lost.
pub(crate) fn lane_or_life<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Lane, D::Error> {
    let word = crate::text::Label::deserialize(deserializer)?;
    Ok(word.parse().unwrap_or(Lane::Life))
}

/// A rung that this version does not know is the first: it promises nothing.
pub(crate) fn rung_or_stored<'de, D: Deserializer<'de>>(deserializer: D) -> Result<crate::Rung, D::Error> {
    let word = crate::text::Label::deserialize(deserializer)?;
    Ok(word.parse().unwrap_or(crate::Rung::Stored))
}

pub(crate) fn latitude<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    within(i32::deserialize(deserializer)?, -900_000_000, 900_000_000, "ten-millionths of a degree of latitude")
}

pub(crate) fn longitude<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    within(i32::deserialize(deserializer)?, -1_800_000_000, 1_800_000_000, "ten-millionths of a degree of longitude")
}

pub(crate) fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    match Option::<u8>::deserialize(deserializer)? {
        None => Ok(None),
        Some(percent) => within(i32::from(percent), 0, 100, "percent").map(|_| Some(percent)),
    }
}

/// Beyond these no radio measures anything: thermal noise below, a transmitter at the antenna above.
pub(crate) fn dbm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i16, D::Error> {
    let dbm = i16::deserialize(deserializer)?;
    within(i32::from(dbm), -150, 20, "dBm").map(|_| dbm)
}

fn within<E: Error>(value: i32, least: i32, most: i32, unit: &str) -> Result<i32, E> {
    struct Range<'a>(i32, i32, &'a str);

    impl serde::de::Expected for Range<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} to {} {}", self.0, self.1, self.2)
        }
    }

    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(E::invalid_value(Unexpected::Signed(value.into()), &Range(least, most, unit)))
    }
}

/// A device id, or whatever else stands in its place: then nothing.
pub(crate) struct MaybeId(pub Option<DeviceId>);

impl<'de> Deserialize<'de> for MaybeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaybeIdVisitor)
    }
}

struct MaybeIdVisitor;

impl<'de> Visitor<'de> for MaybeIdVisitor {
    type Value = MaybeId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a device id")
    }

    fn visit_str<E>(self, text: &str) -> Result<MaybeId, E> {
        Ok(MaybeId(DeviceId::try_from(text).ok()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<MaybeId, E> {
        Ok(MaybeId(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<MaybeId, E> {
        Ok(MaybeId(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<MaybeId, E> {
        Ok(MaybeId(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<MaybeId, E> {
        Ok(MaybeId(None))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<MaybeId, E> {
        Ok(MaybeId(None))
    }

    fn visit_none<E>(self) -> Result<MaybeId, E> {
        Ok(MaybeId(None))
    }

    fn visit_unit<E>(self) -> Result<MaybeId, E> {
        Ok(MaybeId(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<MaybeId, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(MaybeId(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MaybeId, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(MaybeId(None))
    }
}
