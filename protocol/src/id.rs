//! Ids that stand in topics, certificates and receipts. Enters: text. Leaves: a checked id, or an error with the culprit.

use core::fmt;
use core::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::limits::{ALARM_ID_BYTES_MAX, DEVICE_ID_BYTES_MAX};

/// Text that cannot be an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Too short or too long.
    #[error("{what}: it has {bytes} bytes; use 1 to {bytes_max}")]
    Length {
        /// `device id` or `alarm id`.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest that is allowed.
        bytes_max: usize,
    },
    /// A character that is not allowed.
    #[error("{what}: {culprit:?} as character {position} is not allowed; use only {allowed}")]
    Character {
        /// `device id` or `alarm id`.
        what: &'static str,
        /// The first character that is not allowed.
        culprit: char,
        /// Its place, counted from 1.
        position: usize,
        /// What is allowed, in words.
        allowed: &'static str,
    },
}

fn check(what: &'static str, text: &str, bytes_max: usize, hyphen: bool) -> Result<(), IdError> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(IdError::Length { what, bytes: text.len(), bytes_max });
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || (hyphen && c == '-');
    match text.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        None => Ok(()),
        Some((before, culprit)) => Err(IdError::Character {
            what,
            culprit,
            position: before + 1,
            allowed: if hyphen { "a-z, 0-9 and '-'" } else { "a-z and 0-9" },
        }),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $id:ident, $what:literal, $max:ident, hyphen: $hyphen:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(heapless::String<$max>);

        impl $id {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $id {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                check($what, text, $max, $hyphen)?;
                let too_long = |_| IdError::Length { what: $what, bytes: text.len(), bytes_max: $max };
                heapless::String::try_from(text).map(Self).map_err(too_long)
            }
        }

        impl FromStr for $id {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text)
            }
        }

        impl AsRef<str> for $id {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Checked;

                impl Visitor<'_> for Checked {
                    type Value = $id;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$id, E> {
                        $id::try_from(text).map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Checked)
            }
        }
    };
}

id! {
    /// A device's id: `[a-z0-9-]{1,32}`, the common name of its certificate and its level in the topics.
    DeviceId, "device id", DEVICE_ID_BYTES_MAX, hyphen: true
}

id! {
    /// An alarm's id: `[a-z0-9]{1,24}`, derived by the gateway from the rule's name and its cause.
    AlarmId, "alarm id", ALARM_ID_BYTES_MAX, hyphen: false
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn an_error_names_the_culprit_and_the_fix() {
        assert_eq!(DeviceId::try_from("p-1").unwrap().as_str(), "p-1");
        assert_eq!(
            DeviceId::try_from("kök-1").unwrap_err().to_string(),
            "device id: 'ö' as character 2 is not allowed; use only a-z, 0-9 and '-'"
        );
        assert_eq!("".parse::<AlarmId>().unwrap_err().to_string(), "alarm id: it has 0 bytes; use 1 to 24");
        assert!(AlarmId::try_from("a-1").is_err());
        assert!(DeviceId::try_from("a23456789012345678901234567890123").is_err());
    }
}
