//! Words with a fixed meaning on the wire. Enters and leaves: lower-case text.
//!
//! A word from a later version must not lose an alarm: where an event carries it, the unknown word has a meaning of its
//! own (`else`), the most careful one. [`Lane`] and [`Rung`] have none: an order has no place for a stranger.

use core::fmt;
use core::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::text::Label;

/// A word that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {word:?} is unknown; use one of {known}")]
pub struct UnknownWord {
    /// What was read, e.g. `lane`.
    pub what: &'static str,
    /// The culprit.
    pub word: Label,
    /// The words there are.
    pub known: &'static str,
}

macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident ($what:literal) { $( $(#[$word_doc:meta])* $variant:ident $(($number:literal))? = $word:literal, )+ } $(else $other:ident)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $( $(#[$word_doc])* $variant $(= $number)? ),+ }

        impl $name {
            /// Every one of them, in order.
            pub const ALL: &[Self] = &[$( Self::$variant ),+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            #[allow(unreachable_code, reason = "a word that stands for all others ends the search")]
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $( $word => Ok(Self::$variant), )+
                    _ => {
                        $( return Ok(Self::$other); )?
                        Err(UnknownWord { what: $what, word: word.into(), known: concat!($( $word, " ", )+) })
                    }
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Word($what, core::marker::PhantomData))
            }
        }
    };
}

struct Word<T>(&'static str, core::marker::PhantomData<T>);

impl<T: FromStr<Err = UnknownWord>> Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", self.0)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<T, E> {
        word.parse().map_err(E::custom)
    }
}

words! {
    /// How urgent something is; sorts with the most urgent first. The numbers stand in the journal and never change.
    Lane ("lane") {
        /// A life may be at stake.
        Life(1) = "life",
        /// A resident needs somebody, not at once.
        Care(2) = "care",
        /// A technician or the receiver must know: something stopped protecting.
        Technical(3) = "technical",
        /// A fact for the rules; nobody is told.
        Telemetry(4) = "telemetry",
        /// A test; never mixed with the others.
        Test(5) = "test",
    }
}

impl Lane {
    /// The lane of a number in the journal (`lane as u8` is the way back).
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|lane| *lane as u8 == number)
    }
}

words! {
    /// How far an alarm has come; sorts from the first rung to the last.
    Rung ("rung") {
        /// On the gateway's disk.
        Stored = "stored",
        /// On its way to a receiver.
        Sent = "sent",
        /// The receiver's transport took it.
        Received = "received",
        /// The receiver said that it has the alarm.
        Accepted = "accepted",
        /// A person has taken it.
        Claimed = "claimed",
        /// A person has closed it.
        Closed = "closed",
    }
}

words! {
    /// How a button was pressed. Either way it is a call for help.
    Press ("press") {
        /// Pressed and let go.
        Short = "short",
        /// Held.
        Long = "long",
        /// A way of pressing that this version does not know.
        Other = "other",
    } else Other
}

words! {
    /// Why a hub is told of an alarm.
    Telling ("telling") {
        /// It was raised.
        Raise = "raise",
        /// Its cause came again. Also what a word means that this version does not know: told rather than lost.
        Again = "again",
        /// The resident took the call back; the alarm stays open.
        Cancel = "cancel",
        /// Its cause is over; the alarm stays open.
        Over = "over",
    } else Again
}

words! {
    /// What became of a dose.
    DoseOutcome ("dose outcome") {
        /// The resident was reminded.
        Reminded = "reminded",
        /// The dispenser gave it out.
        Dispensed = "dispensed",
        /// It was taken.
        Taken = "taken",
        /// It was not taken in time.
        Missed = "missed",
        /// The resident said no.
        Refused = "refused",
        /// The dispenser is stuck.
        Jammed = "jammed",
        /// Nobody knows, and no word that this version does not know means more. Never read as missed: that
        /// would give the dose twice.
        Unknown = "unknown",
    } else Unknown
}

words! {
    /// Why a device started.
    StartCause ("start cause") {
        /// Power came.
        Power = "power",
        /// It had stopped working and was restarted by its watchdog.
        Watchdog = "watchdog",
        /// Its program found itself in a state that must not be.
        Panic = "panic",
        /// Another firmware was put in and is on trial.
        Update = "update",
        /// The firmware on trial did not prove itself: the one before runs again.
        RolledBack = "rolled-back",
        /// A cause that this version does not know.
        Other = "other",
    } else Other
}

words! {
    /// What a device's light does.
    Light ("light") {
        /// Dark.
        Off = "off",
        /// Blinks slowly: heard, on its way.
        Blink = "blink",
        /// Shines: somebody has the alarm.
        Steady = "steady",
        /// Blinks fast: it did not get through.
        Flash = "flash",
        /// A light that this version does not know: the device leaves its light as it is.
        Other = "other",
    } else Other
}

words! {
    /// What a device's sounder does.
    Sound ("sound") {
        /// Silent.
        Off = "off",
        /// One short tone.
        Tick = "tick",
        /// A friendly sequence: good news.
        Chime = "chime",
        /// A falling sequence: it did not get through.
        Warn = "warn",
        /// A sound that this version does not know: the device stays silent.
        Other = "other",
    } else Other
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Carried out.
    Done,
    /// The device will not, e.g. a lock without a clock.
    Refused,
    /// It came too late.
    Expired,
    /// Tried, and it went wrong.
    Failed,
    /// A word that this version does not know, kept.
    Other(Label),
}

impl Outcome {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for Outcome {
    fn from(word: &str) -> Self {
        match word {
            "done" => Self::Done,
            "refused" => Self::Refused,
            "expired" => Self::Expired,
            "failed" => Self::Failed,
            other => Self::Other(other.into()),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Label::deserialize(deserializer).map(|word| Outcome::from(word.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_keep_their_numbers_and_sort_by_urgency() {
        assert_eq!(Lane::ALL.iter().map(|l| *l as u8).sum::<u8>(), 15);
        assert!(Lane::ALL.iter().all(|lane| Lane::from_u8(*lane as u8) == Some(*lane)));
        assert_eq!((Lane::from_u8(0), Lane::from_u8(6)), (None, None));
        assert!(Lane::Life < Lane::Care && Lane::Telemetry < Lane::Test);
        assert!(Rung::Stored < Rung::Accepted && Rung::Accepted < Rung::Claimed);
    }

    #[test]
    fn an_unknown_word_has_its_careful_meaning_or_is_refused() {
        assert_eq!("triple".parse(), Ok(Press::Other));
        assert_eq!("dropped".parse(), Ok(DoseOutcome::Unknown));
        assert_eq!(Outcome::from("later"), Outcome::Other("later".into()));
        assert!("urgent".parse::<Lane>().is_err());
        assert!("queued".parse::<Rung>().is_err());
    }
}
