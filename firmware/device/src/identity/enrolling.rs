//! How a new device goes about its code. Enters: how each try ended. Leaves: whether to try again, and what the
//! technician beside it sees.
//!
//! Invariants: a gateway that says no has said it once and for all, so that no wrong code is tried twice; who could not
//! be reached is tried again, with pauses, [`TRIES_MAX`] times.

use vaka_protocol::enrol::{Answer, EXPORTER_BYTES, Granted, Refused, Secret};
use vaka_protocol::{Light, Sound};

use crate::feedback::Shown;

/// Tries of one code between two boots, at most. With pauses that grow to a minute they take an hour: the door takes 600
/// an hour of one address, and a code lives a quarter. Beyond: told, and tried again after the next boot. Source: our
/// choice.
pub const TRIES_MAX: u32 = 60;

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// No connection, one that broke, or a gateway with too many at its door: the code is as good as before.
    NotReached,
    /// The gateway refuses the code: unknown, expired, used, or for another kind of device.
    Refused,
    /// Who answered does not know the code.
    Impostor,
    /// What was granted is of no use to this device.
    Useless,
    /// The device has a certificate.
    Enrolled,
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Busy => Self::NotReached,
            Refused::Refused => Self::Refused,
            Refused::Impostor => Self::Impostor,
        }
    }
}

impl Ended {
    /// The code is settled: it is not tried again, whatever boots come.
    pub fn is_final(self) -> bool {
        self != Self::NotReached
    }

    /// One word for a log.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotReached => "unreachable",
            Self::Refused => "refused",
            Self::Impostor => "impostor",
            Self::Useless => "useless",
            Self::Enrolled => "enrolled",
        }
    }

    /// What the technician is shown of it.
    pub fn shown(self) -> Shown {
        let wrong = |sv, en| Shown { light: Light::Flash, sound: Sound::Warn, sv, en };
        match self {
            Self::NotReached => wrong("Gatewayen svarar inte", "The gateway does not answer"),
            Self::Refused => wrong("Koden gäller inte. Gör en ny", "The code is not valid. Make a new one"),
            Self::Impostor => wrong("Fel gateway svarade. Gör en ny kod", "Another gateway answered. Make a new code"),
            Self::Useless => wrong("Certifikatet går inte att använda", "The certificate is of no use"),
            Self::Enrolled => Shown {
                light: Light::Off,
                sound: Sound::Chime,
                sv: "Enheten är ansluten",
                en: "The device is enrolled",
            },
        }
    }
}

/// While the code is tried.
pub fn trying() -> Shown {
    Shown { light: Light::Blink, sound: Sound::Off, sv: "Ansluter till gatewayen", en: "Enrolling at the gateway" }
}

/// What the bytes behind an answer's length grant.
///
/// # Errors
/// How the try has ended.
pub fn granted<'a>(answer: &'a [u8], secret: &Secret, exporter: &[u8; EXPORTER_BYTES]) -> Result<Granted<'a>, Ended> {
    // Whoever knows the code writes no nonsense.
    let answer = Answer::read(answer).map_err(|_| Ended::Impostor)?;
    Ok(answer.proven(secret, exporter)?)
}

/// The tries of one code.
#[derive(Debug, Clone, Default)]
pub struct Enrolling {
    tries: u32,
}

impl Enrolling {
    /// None yet.
    pub const fn new() -> Self {
        Self { tries: 0 }
    }

    /// One has ended. `Some`: after so many failures it is tried again. `None`: this is told, and nothing is tried.
    pub fn ended(&mut self, ended: Ended) -> Option<u32> {
        self.tries = self.tries.saturating_add(1);
        (!ended.is_final() && self.tries < TRIES_MAX).then_some(self.tries)
    }
}
